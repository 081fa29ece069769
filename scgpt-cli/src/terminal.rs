//! The one place for text that goes to a terminal: names of files, labels and genes were written by
//! others.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, Write as _},
};

/// A text whose control characters, escape sequences among them, and changes of the direction of
/// writing are spelled out: what is shown is what is there.
///
/// Line breaks stay, followed by `indent`, so that no name can pose as a line of its own.
pub(crate) fn shown<'t>(text: &'t str, indent: &str) -> Cow<'t, str> {
    if !text.contains(|it| it == '\n' || is_unseen(it)) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for it in text.chars() {
        match it {
            '\n' => {
                shown.push('\n');
                shown.push_str(indent);
            }
            it if is_unseen(it) => shown.extend(it.escape_unicode()),
            it => shown.push(it),
        }
    }
    shown.into()
}

/// JSON whose unseen characters are escaped as JSON does: the same document, safe to look at.
pub(crate) fn shown_json(json: &str) -> Cow<'_, str> {
    // Outside of texts there are none but line breaks.
    if !json.contains(is_unseen) {
        return json.into();
    }
    let mut shown = String::with_capacity(json.len() + 16);
    for it in json.chars() {
        if is_unseen(it) {
            // Writing to a text cannot fail.
            let _ = write!(shown, "\\u{:04x}", u32::from(it));
        } else {
            shown.push(it);
        }
    }
    shown.into()
}

/// Whether a character acts on a terminal, or on its neighbours, instead of being seen.
fn is_unseen(it: char) -> bool {
    (it.is_control() && it != '\n')
        || matches!(
            it,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

/// Writes a line for people. If it cannot be written, the program goes on all the same.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_is_there() {
        assert_eq!(shown("B cell β 细胞", "  "), "B cell β 细胞");
        assert_eq!(shown("\u{1b}[2J\u{7}a\rb", ""), "\\u{1b}[2J\\u{7}a\\u{d}b");
        assert_eq!(shown("a\u{202e}b\u{9b}31m", ""), "a\\u{202e}b\\u{9b}31m");
        assert_eq!(shown("a\nerror: b", "  "), "a\n  error: b");
        let json = serde_json::to_string(&["a\u{9b}\u{202e}\u{1b}b"]).unwrap();
        let safe = shown_json(&json);
        assert!(!safe.contains(is_unseen), "{safe}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&safe).unwrap(), ["a\u{9b}\u{202e}\u{1b}b"]);
    }
}
