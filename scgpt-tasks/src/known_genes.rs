//! [`KnownGenes`]: how many of the genes that a model was made for some data has.

use scgpt_data::{Alignment, GeneNames};
use serde::Serialize;

use crate::error::{Error, Result};

/// Least share of the genes. Below it little is left of what the model learned to look at: a query
/// with 5 of 200 training genes was annotated with confidence 0.95 and was right in 39 % of its
/// cells. Data with a larger share, such as panels that were made for other models, passes with a
/// warning. Whether the names are names of genes at all is checked before, by `GeneVocab::align`.
const LEAST: f64 = 0.05;

/// Share below which there is a warning: most of what the model could see of a cell is missing.
const ENOUGH: f64 = 0.5;

/// How many of the genes of a model some data has. They are counted among those of the model: a
/// file of five genes, all of which it knows, is not enough for a model of two hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KnownGenes {
    /// Number of genes that the model was made for and the data has.
    pub matched: usize,
    /// Number of genes that the model was made for: those it was trained on where that is known,
    /// else those of its vocabulary.
    pub of_model: usize,
    /// Whether these are known to be the genes that it was trained on.
    pub is_trained: bool,
    /// Most genes of one cell that it saw at once in training. A model of all human genes saw some
    /// 1200 of a cell at a time, so a panel of 1200 is as good to it as all.
    pub at_once: usize,
}

impl KnownGenes {
    /// Counts the genes of `alignment` among those of the vocabulary, or among those that the model was
    /// `trained` on; `max_length` is what it saw of a cell at once, `<cls>` included.
    pub(crate) fn new(alignment: &Alignment, trained: Option<&[bool]>, max_length: usize) -> Self {
        let tokens = alignment.tokens.iter().flatten();
        let (matched, of_model) = match trained {
            Some(trained) => (
                tokens.filter(|token| trained[token.0 as usize]).count(),
                trained.iter().filter(|&&is_trained| is_trained).count(),
            ),
            None => (tokens.count(), alignment.vocabulary),
        };
        // `<cls>` is a token, too; what has no limit sees all genes at once.
        let at_once = max_length.saturating_sub(1).clamp(1, of_model.max(1));
        Self { matched, of_model, is_trained: trained.is_some(), at_once }
    }

    /// The same genes, counted among `reference` genes that other cells had.
    #[must_use]
    pub fn beside(self, reference: usize) -> Self {
        Self { of_model: reference, is_trained: true, ..self }
    }

    /// Share of what the model could see of a cell that it does see, 0 to 1.
    pub fn share(&self) -> f64 {
        let all = self.of_model.min(self.at_once).max(1);
        (self.matched as f64 / all as f64).min(1.0)
    }

    /// Checks that the genes are enough to say anything of the cells.
    ///
    /// # Errors
    /// If less than a twentieth of what the model sees of a cell is there, or than the share that is
    /// asked for.
    pub fn check(&self, names: &GeneNames) -> Result<()> {
        if self.matched > 0 && self.share() >= names.min_genes.unwrap_or(LEAST) {
            return Ok(());
        }
        Err(Error::Genes { matched: self.matched, of_model: self.of_model, whose: self.whose() })
    }

    /// A warning for people, if there are enough genes but few.
    pub fn remark(&self) -> Option<String> {
        let lacks = self.is_trained && (self.matched as f64) < ENOUGH * self.of_model as f64;
        (self.share() < ENOUGH || lacks).then(|| {
            format!(
                "the data has {} of the {} genes {} ({:.0} %): what is said of its cells is less sure than it was there",
                self.matched,
                self.of_model,
                self.whose(),
                100.0 * self.matched as f64 / self.of_model.max(1) as f64
            )
        })
    }

    /// Which genes of the model were counted, in words.
    fn whose(&self) -> &'static str {
        if self.is_trained { "that it was trained on" } else { "of the model" }
    }
}

#[cfg(test)]
mod tests {
    use scgpt_data::{Frame, GeneVocab};

    use super::*;

    fn known(matched: usize, of_model: usize, at_once: usize) -> KnownGenes {
        KnownGenes { matched, of_model, is_trained: false, at_once }
    }

    #[test]
    fn a_model_sees_its_length_at_once_and_never_more_than_its_genes() {
        let names: Vec<String> = (0..100).map(|gene| format!("G{gene}")).collect();
        let vocab = GeneVocab::from_names(names.iter().map(String::as_str)).unwrap();
        let var =
            Frame { index_name: "_index".into(), index: names[..40].to_vec(), columns: Vec::new() };
        let alignment = vocab.align(&var, &GeneNames::BEST).unwrap();
        let of = |trained: Option<&[bool]>, length| {
            let known = KnownGenes::new(&alignment, trained, length);
            (known.matched, known.of_model, known.at_once)
        };
        // One token is `<cls>`; without a limit all genes fit, and with the shortest one does.
        assert_eq!(of(None, 31), (40, 100, 30));
        assert_eq!(of(None, usize::MAX), (40, 100, 100));
        assert_eq!(of(None, 1), (40, 100, 1));
        assert!((KnownGenes::new(&alignment, None, 31).share() - 1.0).abs() < 1e-12);
        // Of those it was trained on, which are less than it could see.
        let trained: Vec<bool> = (0..vocab.len()).map(|token| token < 20).collect();
        let (matched, of_model, at_once) = of(Some(&trained), 1200);
        assert_eq!((of_model, at_once), (20, 20));
        assert!(matched <= 20, "{matched}");
    }

    #[test]
    fn genes_count_from_the_side_of_the_model() {
        // Five of five genes of a file, but of 200 of the model.
        let five = known(5, 200, 1199);
        assert!(five.check(&GeneNames::BEST).is_err());
        let anyway = GeneNames { min_genes: Some(0.0), ..GeneNames::BEST };
        assert!(five.check(&anyway).is_ok() && five.remark().is_some());
        // A whole transcriptome beside a small model.
        let whole = known(734, 765, 1199);
        assert!(whole.check(&GeneNames::BEST).is_ok() && whole.remark().is_none());
        // A panel beside a model of all genes: as many as it ever saw at once.
        let panel = known(2000, 60_694, 1199);
        assert!((panel.share() - 1.0).abs() < 1e-12 && panel.remark().is_none());
        let small = known(300, 60_694, 1199);
        assert!(small.check(&GeneNames::BEST).is_ok() && small.remark().is_some());
        // Cells that had fewer genes than the vocabulary.
        assert!(small.beside(310).remark().is_none());
        let trained = KnownGenes { is_trained: true, ..known(2000, 20_000, 1199) };
        assert!(trained.check(&GeneNames::BEST).is_ok() && trained.remark().is_some());
    }
}
