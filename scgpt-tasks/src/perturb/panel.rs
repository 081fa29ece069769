//! [`ResponsePanel`]: the genes whose response is predicted.
//!
//! A perturbed gene need not be measured: the network is told of it by a token of value 0 with the
//! flag, and does not predict its response.

use std::collections::BTreeMap;

use scgpt_data::{
    AlignmentSummary, CellTokens, ConditionToken, CsrRow, Frame, GeneNames, GeneToken, GeneVocab,
    unknown_gene,
};
use scgpt_eval::perturbation::Condition;

use crate::error::{Error, Result};

/// Flags of tokens; the network's third flag, of padding, is not used.
const NOT_PERTURBED: ConditionToken = ConditionToken(0);
const PERTURBED: ConditionToken = ConditionToken(1);

/// Measured genes that the model knows, in the order of the data.
#[derive(Clone, Debug)]
pub(super) struct ResponsePanel {
    /// Their names.
    pub(super) names: Vec<String>,
    /// Their tokens in the vocabulary.
    pub(super) tokens: Vec<GeneToken>,
    /// The column of each in the data.
    pub(super) columns: Vec<usize>,
    /// The place in the panel of each gene, by its name.
    pub(super) places: BTreeMap<String, usize>,
    /// The place in the panel of each token's gene, if it has one.
    of_token: Vec<Option<u32>>,
}

/// What a network is told of a condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PerturbedGenes {
    /// Places in the panel of the perturbed genes.
    pub(super) measured: Vec<usize>,
    /// Tokens of perturbed genes that are not measured.
    pub(super) unmeasured: Vec<GeneToken>,
}

impl ResponsePanel {
    /// Finds the genes of `var` in the vocabulary.
    pub(super) fn new(
        vocab: &GeneVocab,
        var: &Frame,
        names: &GeneNames,
    ) -> Result<(Self, AlignmentSummary)> {
        let alignment = vocab.align(var, names)?;
        let known = |(column, token): (usize, &Option<GeneToken>)| Some((column, (*token)?));
        let (columns, tokens): (Vec<usize>, Vec<GeneToken>) =
            alignment.tokens.iter().enumerate().filter_map(known).unzip();
        let name = |token: &GeneToken| vocab.own_name(*token).to_owned();
        let names = tokens.iter().map(name).collect();
        Ok((Self::of(vocab, names, tokens, columns), alignment.summary()))
    }

    /// The panel of an artefact, whose genes are `names` of its vocabulary.
    pub(super) fn of_names(vocab: &GeneVocab, names: &[String]) -> Result<Self> {
        let token = |name: &String| {
            vocab.token(name).ok_or_else(|| {
                Error::option(format!("gene `{name}` of the panel is not in the vocabulary"))
            })
        };
        let tokens = names.iter().map(token).collect::<Result<Vec<_>>>()?;
        Ok(Self::of(vocab, names.to_vec(), tokens, (0..names.len()).collect()))
    }

    /// A panel of genes with their names, tokens and columns, all in the same order.
    fn of(
        vocab: &GeneVocab,
        names: Vec<String>,
        tokens: Vec<GeneToken>,
        columns: Vec<usize>,
    ) -> Self {
        let mut of_token = vec![None; vocab.len()];
        for (place, token) in (0..).zip(&tokens) {
            of_token[token.0 as usize] = Some(place);
        }
        let places = names.iter().cloned().zip(0..).collect();
        Self { names, tokens, columns, places, of_token }
    }

    /// Number of genes of the panel, `g` in shapes.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The place in the panel of a column of the data, if it has one.
    pub(super) fn place(&self, column: usize) -> Option<usize> {
        self.columns.binary_search(&column).ok()
    }

    /// Adds the values of a cell of token shards to `sum`, `[g]`.
    pub(super) fn add(&self, cell: CsrRow<'_>, sum: &mut [f32]) {
        for (&token, &value) in cell.indices.iter().zip(cell.values) {
            if let Some(place) = self.of_token[token as usize] {
                sum[place as usize] += value;
            }
        }
    }

    /// The genes of the panel, `[g]`, from a profile over all columns of the data.
    pub(super) fn part(&self, profile: &[f64]) -> Vec<f64> {
        self.columns.iter().map(|&column| profile[column]).collect()
    }

    /// What the network is told of a condition.
    ///
    /// # Errors
    /// If a gene is neither in the panel nor in the vocabulary.
    pub(super) fn targets(
        &self,
        condition: &Condition,
        vocab: &GeneVocab,
    ) -> Result<PerturbedGenes> {
        let mut targets = PerturbedGenes::default();
        for gene in condition.genes() {
            if let Some(&place) = self.places.get(gene) {
                targets.measured.push(place);
            } else if let Some(token) = vocab.token(gene).filter(|&token| !vocab.is_special(token))
            {
                targets.unmeasured.push(token);
            } else {
                return Err(unknown_gene(gene, vocab).into());
            }
        }
        targets.measured.sort_unstable();
        Ok(targets)
    }

    /// The tokens of one cell: the genes at `places`, then perturbed genes that are not measured,
    /// with value 0.
    pub(super) fn tokens(
        &self,
        places: &[usize],
        values: &[f32],
        targets: &PerturbedGenes,
    ) -> CellTokens {
        let flag = |place: &usize| {
            if targets.measured.contains(place) { PERTURBED } else { NOT_PERTURBED }
        };
        let extra = targets.unmeasured.len();
        let genes = places.iter().map(|&place| self.tokens[place]);
        let of_genes = places.iter().map(|&place| values[place]);
        let flags = places.iter().map(flag);
        CellTokens {
            genes: genes.chain(targets.unmeasured.iter().copied()).collect(),
            values: of_genes.chain(std::iter::repeat_n(0.0, extra)).collect(),
            conditions: Some(flags.chain(std::iter::repeat_n(PERTURBED, extra)).collect()),
            n_available: places.len() + extra,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use scgpt_data::Column;
    use scgpt_eval::perturbation::gene_column;

    use super::*;

    fn var(index: &[&str], symbols: &[&str]) -> Frame {
        let text = symbols.iter().map(|&name| Some(name.to_owned())).collect();
        Frame {
            index_name: "_index".into(),
            index: index.iter().map(|&name| name.to_owned()).collect(),
            columns: vec![("gene_name".into(), Column::Text(text))],
        }
    }

    #[test]
    fn tokens_carry_flags_and_perturbed_genes_that_are_not_measured() {
        let vocab = GeneVocab::from_names(["X", "C", "A", "B"]).unwrap();
        let var = var(&["E1", "E2", "E3"], &["A", "Q", "C"]);
        let perturbed = BTreeSet::from(["A", "X"]);
        let column = gene_column(&var, &perturbed);
        assert_eq!(column, "gene_name");
        let (panel, summary) =
            ResponsePanel::new(&vocab, &var, &GeneNames::of_column(column)).unwrap();
        assert_eq!((panel.names.as_slice(), summary.unmatched), (&["A".into(), "C".into()][..], 1));
        assert_eq!(panel.part(&[0.1, 0.2, 0.3]), [0.1, 0.3]);
        let targets = panel.targets(&Condition::new(["X", "C"]), &vocab).unwrap();
        let tokens = panel.tokens(&[0, 1], &[5.0, 6.0], &targets);
        assert_eq!(tokens.genes, [GeneToken(2), GeneToken(1), GeneToken(0)]);
        assert_eq!(tokens.values, [5.0, 6.0, 0.0]);
        let flags = tokens.conditions.unwrap();
        assert_eq!(flags, [NOT_PERTURBED, PERTURBED, PERTURBED]);
        let mut sum = vec![1.0, 1.0];
        panel.add(CsrRow { indices: &[1, 3], values: &[2.0, 9.0] }, &mut sum);
        assert_eq!(sum, [1.0, 3.0]);
    }
}
