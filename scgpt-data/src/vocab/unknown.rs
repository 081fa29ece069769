//! [`unknown_gene`] and [`absent_gene`]: errors for genes that cannot be asked about.

use super::GeneVocab;
use crate::{error::Error, names::similar_names};

/// The error for a gene that is not in the vocabulary, with similar names.
pub fn unknown_gene(gene: &str, vocab: &GeneVocab) -> Error {
    let hint = similar_names(gene, vocab.names()).hint();
    Error::Option(format!("gene `{gene}` is not in the vocabulary of the model{hint}"))
}

/// The error for a gene that was not measured, or that the model does not know.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_genes_come_with_suggestions() {
        let vocab = GeneVocab::from_names(["KLF1", "KLF10", "FOS"]).unwrap();
        let message = unknown_gene("klf1", &vocab).to_string();
        assert!(message.contains("similar names: KLF1, KLF10"), "{message}");
        assert!(!unknown_gene("ZZZ", &vocab).to_string().contains("similar"));
    }
}
