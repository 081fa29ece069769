//! Several labels in one text, for columns of `obs`: `A;B`, and `"A; naïve";B` where a label
//! contains the separator.

/// What stands between labels, as other tools have it.
const SEPARATOR: char = ';';

/// Labels joined by `;`. A label with a `;`, or one that begins with a quote, is put in quotes, its
/// own quotes doubled, as in CSV files.
pub fn join_labels<'l>(labels: impl IntoIterator<Item = &'l str>) -> String {
    let mut joined = String::new();
    for label in labels {
        if !joined.is_empty() {
            joined.push(SEPARATOR);
        }
        if label.contains(SEPARATOR) || label.starts_with('"') {
            joined.push('"');
            joined.push_str(&label.replace('"', "\"\""));
            joined.push('"');
        } else {
            joined.push_str(label);
        }
    }
    joined
}

/// The labels of a text that [`join_labels`] made. Other tools join without quotes, so a text that
/// `is_known` as one label is taken for one, whether it has separators or not.
pub fn split_labels(text: &str, is_known: impl Fn(&str) -> bool) -> Vec<String> {
    let mut labels = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (label, after) = quoted(rest).unwrap_or_else(|| {
            let ends = rest.match_indices(SEPARATOR).map(|(at, _)| at).chain([rest.len()]);
            let ends: Vec<usize> = ends.collect();
            let whole = ends.iter().rev().find(|&&end| is_known(&rest[..end]));
            let end = *whole.unwrap_or(&ends[0]);
            (rest[..end].to_owned(), &rest[end..])
        });
        if !label.is_empty() {
            labels.push(label);
        }
        rest = after.strip_prefix(SEPARATOR).unwrap_or(after);
    }
    labels
}

/// A label in quotes at the beginning, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('"')?;
    let mut label = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        label.push_str(part);
        match after.strip_prefix('"') {
            Some(after) => {
                label.push('"');
                rest = after;
            }
            None if after.is_empty() || after.starts_with(SEPARATOR) => {
                return Some((label, after));
            }
            None => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_with_separators_come_back() {
        for labels in [
            &["B", "T"][..],
            &["CD4/CD8 T; naïve", "B cell, mature \"x\"", "B"],
            &["\"quoted\"", ";", "a;b;c", "\";\""],
            &["Größe=α\nβ"],
            &[],
        ] {
            let joined = join_labels(labels.iter().copied());
            assert_eq!(split_labels(&joined, |_| false), labels, "{joined}");
        }
        assert_eq!(join_labels(["B cell", "T cell"]), "B cell;T cell");
    }

    #[test]
    fn labels_that_others_joined_are_recognised() {
        let known = ["CD4; naïve", "CD4", "B"];
        let split = |text| split_labels(text, |label| known.contains(&label));
        assert_eq!(split("CD4; naïve"), ["CD4; naïve"]);
        assert_eq!(split("B;CD4; naïve;CD4"), ["B", "CD4; naïve", "CD4"]);
        assert_eq!(split("new;B"), ["new", "B"]);
        assert_eq!(split("\"B;B"), ["\"B", "B"], "a quote that does not end");
    }
}
