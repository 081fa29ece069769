//! [`similar_names`]: what was probably meant by a name that does not exist.

use strsim::osa_distance;

use crate::error::Error;

/// Most names suggested.
const SUGGESTED: usize = 3;

/// Names that look like another, the likeliest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Similar<'n>(Vec<&'n str>);

impl Similar<'_> {
    /// The end of a message: `; similar names: …`, or nothing.
    pub fn hint(&self) -> String {
        match self.0.as_slice() {
            [] => String::new(),
            names => format!("; similar names: {}", names.join(", ")),
        }
    }
}

/// Those of `names` that differ from `name` by few letters, or begin with it, whatever their case;
/// never special tokens.
pub fn similar_names<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Similar<'n> {
    let wanted = name.to_uppercase();
    let n_wanted = wanted.chars().count();
    let few = (n_wanted / 3).max(1);
    let rank = |other: &'n str| {
        let letters = other.to_uppercase();
        let n_letters = letters.chars().count();
        let goes_on = n_wanted.min(n_letters) > 2
            && (wanted.starts_with(&letters) || letters.starts_with(&wanted));
        let apart = n_wanted.abs_diff(n_letters);
        let distance = if goes_on {
            apart
        } else if apart > few {
            return None;
        } else {
            // Letters to be changed, added, left out, or swapped with the next one (Damerau 1964).
            osa_distance(&wanted, &letters)
        };
        (goes_on || distance <= few).then_some((distance, !goes_on, other))
    };
    let mut ranked: Vec<_> = names.filter(|name| !name.starts_with('<')).filter_map(rank).collect();
    ranked.sort_unstable();
    Similar(ranked.into_iter().take(SUGGESTED).map(|(.., name)| name).collect())
}

/// The first names of a list, for a message.
pub fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let first: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more == 0 { first.join(", ") } else { format!("{} and {more} more", first.join(", ")) }
}

/// A number of things in words: `1 condition`, `2 conditions`.
///
/// ```
/// assert_eq!(scgpt_data::number_of(1, "condition"), "1 condition");
/// assert_eq!(scgpt_data::number_of(0, "condition"), "0 conditions");
/// ```
pub fn number_of(n: usize, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}

/// The error for a word in place of one of `choices`.
pub fn unknown_choice(word: &str, choices: &[&str]) -> Error {
    let hint = similar_names(word, choices.iter().copied()).hint();
    let listed = match choices {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        choices => choices.concat(),
    };
    Error::Option(format!("`{word}` is not known, expected {listed}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_letters_apart() {
        assert_eq!(osa_distance("kitten", "sitting"), 3);
        assert_eq!(osa_distance("", "abc"), 3);
        assert_eq!(osa_distance("ISG51", "ISG15"), 1);
    }

    #[test]
    fn the_likeliest_comes_first() {
        let names = ["CD3G", "CD3D", "CD4", "<cls>", "FOXP3", "CD3", "CD3E", "X"];
        let similar = |name| similar_names(name, names.into_iter()).0;
        assert_eq!(similar("cd3"), ["CD3", "CD3D", "CD3E"]);
        assert_eq!(similar("FOXP2"), ["FOXP3"]);
        assert!(
            similar("ZZZZ").is_empty() && similar_names("<cl>", names.into_iter()).0.is_empty()
        );
        assert_eq!(similar_names("FOXP", names.into_iter()).hint(), "; similar names: FOXP3");
    }

    #[test]
    fn choices_are_listed() {
        let message = |choices: &[&str]| unknown_choice("gene", choices).to_string();
        let expected = "`gene` is not known, expected genes, values or all; similar names: genes";
        assert_eq!(message(&["genes", "values", "all"]), expected);
        assert_eq!(message(&["x"]), "`gene` is not known, expected x");
    }
}
