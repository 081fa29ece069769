//! [`similar_names`]: what was probably meant by a name that there is not.

use crate::{error::Error, vocab::GeneVocab};

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

/// Those of `names` that differ from `name` by few letters or go on where it ends, whatever their
/// case; special tokens never.
pub fn similar_names<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Similar<'n> {
    let wanted: Vec<char> = name.to_uppercase().chars().collect();
    let few = (wanted.len() / 3).max(1);
    let rank = |other: &'n str| {
        let letters: Vec<char> = other.to_uppercase().chars().collect();
        let shorter = wanted.len().min(letters.len());
        let goes_on = shorter > 2 && wanted[..shorter] == letters[..shorter];
        let apart = wanted.len().abs_diff(letters.len());
        let distance = if goes_on {
            apart
        } else if apart > few {
            return None;
        } else {
            edits(&wanted, &letters)
        };
        (goes_on || distance <= few).then_some((distance, !goes_on, other))
    };
    let mut ranked: Vec<_> = names.filter(|name| !name.starts_with('<')).filter_map(rank).collect();
    ranked.sort_unstable();
    Similar(ranked.into_iter().take(SUGGESTED).map(|(.., name)| name).collect())
}

/// The first names of a list for a message.
pub fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let first: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more == 0 { first.join(", ") } else { format!("{} and {more} more", first.join(", ")) }
}

/// The error for a word where one of `choices` is expected.
pub fn unknown_choice(word: &str, choices: &[&str]) -> Error {
    let hint = similar_names(word, choices.iter().copied()).hint();
    let listed = match choices {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        choices => choices.concat(),
    };
    Error::Option(format!("`{word}` is not known, expected {listed}{hint}"))
}

/// The error for a gene that the model cannot be told of.
pub fn unknown_gene(gene: &str, vocab: &GeneVocab) -> Error {
    let hint = similar_names(gene, vocab.names()).hint();
    Error::Option(format!("gene `{gene}` is not in the vocabulary of the model{hint}"))
}

/// The error for a gene that is none of those measured, or that the model does not know.
pub fn absent_gene<'n>(
    gene: &str,
    vocab: &GeneVocab,
    measured: impl Iterator<Item = &'n str>,
) -> Error {
    let hint = similar_names(gene, measured).hint();
    Error::Option(if vocab.token(gene).is_some_and(|token| !vocab.is_special(token)) {
        format!("the model knows gene `{gene}`, but the data does not have it{hint}")
    } else {
        format!("gene `{gene}` is not in the vocabulary of the model{hint}")
    })
}

/// Letters to be changed, added, left out, or swapped with the next one (Damerau 1964).
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let changed = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            next[j] = changed.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                next[j] = next[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_letters_apart() {
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        assert_eq!(edits(&letters("kitten"), &letters("sitting")), 3);
        assert_eq!(edits(&letters(""), &letters("abc")), 3);
        assert_eq!(edits(&letters("ISG51"), &letters("ISG15")), 1);
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

    #[test]
    fn unknown_genes_come_with_suggestions() {
        let vocab = GeneVocab::from_names(["KLF1", "KLF10", "FOS"]).unwrap();
        let message = unknown_gene("klf1", &vocab).to_string();
        assert!(message.contains("similar names: KLF1, KLF10"), "{message}");
        assert!(!unknown_gene("ZZZ", &vocab).to_string().contains("similar"));
    }
}
