//! [`FeaturePanel`]: the genes by which cells of all batches are compared.
//!
//! Every cell is a row over the same genes. They are those that vary within most batches, so that
//! genes are not chosen for differing between batches as a whole.

use scgpt_data::{
    Alignment, CellSource, Frame, GeneSubset, GeneToken, GeneVocab, InputState, Observer, RNA,
    VariableFlavour, Watched, unscaled, variable_columns,
};

use super::{IntegrateConfig, IntegrateOptions};
use crate::error::Result;

/// Known genes that vary within most batches.
#[derive(Clone, Debug)]
pub(super) struct FeaturePanel {
    /// Columns of the data, ascending.
    pub(super) columns: Vec<usize>,
    /// Tokens of the genes.
    pub(super) tokens: Vec<GeneToken>,
    /// The measure of variability that chose them.
    pub(super) flavour: VariableFlavour,
    /// What the values looked like.
    pub(super) input_state: InputState,
    /// Where the genes' names were found.
    pub(super) gene_column: String,
    /// Number of genes of the data that the vocabulary has.
    pub(super) n_known: usize,
    /// Number of genes of the vocabulary.
    pub(super) vocabulary: usize,
}

impl FeaturePanel {
    /// Chooses among the genes of `source` that the vocabulary has, as the reference does.
    ///
    /// # Reference
    /// `sc.pp.highly_variable_genes` with `batch_key`, as in `Tutorial_Integration.ipynb`. Differs: genes that the
    /// vocabulary lacks are left out first.
    ///
    /// # Errors
    /// If the source cannot be read, its values are scaled, or it has too few known genes.
    pub(super) fn choose(
        source: &mut dyn CellSource,
        vocab: &GeneVocab,
        config: &IntegrateConfig,
        options: &IntegrateOptions<'_>,
        batches: &[u32],
        observer: &dyn Observer,
    ) -> Result<Self> {
        let layer = options.learn.layer;
        let alignment = vocab.align(&source.var(layer)?, options.learn.gene_names)?;
        let values = unscaled(source, layer)?;
        let of_column = |(column, token): (usize, &Option<GeneToken>)| Some((column, (*token)?));
        let known: Vec<(usize, GeneToken)> =
            alignment.tokens.iter().enumerate().filter_map(of_column).collect();
        observer.begin("selecting variable genes", 0);
        let mut watched = Watched { source, observer };
        let columns = known.iter().map(|&(column, _)| column).collect();
        let mut subset = GeneSubset::new(&mut watched, layer, columns)?;
        let n_top = match config.n_features(RNA) {
            0 => known.len(),
            n => n.min(known.len()),
        };
        let wanted = (n_top, config.flavour);
        let (flavour, mut chosen) =
            variable_columns(&mut subset, layer, wanted, Some(batches), values)?;
        chosen.sort_unstable();
        Ok(Self {
            columns: chosen.iter().map(|&place| known[place].0).collect(),
            tokens: chosen.iter().map(|&place| known[place].1).collect(),
            flavour,
            input_state: values.state,
            gene_column: alignment.column,
            n_known: known.len(),
            vocabulary: alignment.vocabulary,
        })
    }

    /// The same panel over the vocabulary `known`, behind which only those genes stand that are in the
    /// panel, out of all that `vocab` has.
    pub(super) fn joining(self, vocab: &GeneVocab, known: &GeneVocab) -> Result<(Self, GeneVocab)> {
        let names = self.names(vocab);
        let vocab = known.with_genes(names.iter().map(String::as_str))?;
        let tokens = names.iter().filter_map(|name| vocab.token(name)).collect();
        Ok((Self { tokens, ..self }, vocab))
    }

    /// Names of the genes.
    pub(super) fn names(&self, vocab: &GeneVocab) -> Vec<String> {
        let name = |token: &GeneToken| vocab.own_name(*token).to_owned();
        self.tokens.iter().map(name).collect()
    }
}

/// Which features of the data the vocabulary has; if there are several modalities, only genes are
/// looked for.
pub(super) fn align(
    vocab: &GeneVocab,
    var: &Frame,
    options: &IntegrateOptions<'_>,
) -> Result<Alignment> {
    let Some(cells) = options.modalities else {
        return Ok(vocab.align(var, options.learn.gene_names)?);
    };
    let genes = cells.modalities.position(RNA);
    let genes: Vec<usize> =
        genes.map_or_else(Vec::new, |rna| cells.modalities.features(rna).collect());
    let mut tokens = vec![None; var.len()];
    if genes.is_empty() {
        let column = options.learn.gene_names.column.clone().unwrap_or_else(|| "index".to_owned());
        return Ok(Alignment {
            tokens,
            column,
            unmatched: Vec::new(),
            duplicates: Vec::new(),
            candidates: Vec::new(),
            renamed: Vec::new(),
            ambiguous: Vec::new(),
            other_features: Vec::new(),
            vocabulary: vocab.n_genes(),
        });
    }
    let found = vocab.align(&var.pick(&genes), options.learn.gene_names)?;
    for (gene, token) in genes.into_iter().zip(&found.tokens) {
        tokens[gene] = *token;
    }
    Ok(Alignment { tokens, ..found })
}

/// For each token of the vocabulary, whether it is one of `tokens`.
pub(super) fn is_in(vocab: &GeneVocab, tokens: &[GeneToken]) -> Vec<bool> {
    let mut is_in = vec![false; vocab.len()];
    for token in tokens {
        is_in[token.0 as usize] = true;
    }
    is_in
}
