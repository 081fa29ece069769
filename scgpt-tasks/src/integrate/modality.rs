//! [`Multimodal`]: the features of several modalities, and the vocabulary they make.
//!
//! A checkpoint knows genes. Peaks and proteins become tokens of a vocabulary that is made for the
//! cells: genes of the checkpoint keep their vectors, everything else is drawn anew, and every
//! token carries the token of its modality.
//!
//! # Reference
//! `Tutorial_Multiomics.ipynb` and the multi-omic model of the reference. Differs: features that vary most are
//! chosen in every modality, each among the cells that were measured in it.

use scgpt_data::{
    CellSource, CellSubset, GeneNames, GeneSubset, GeneToken, GeneVocab, Modalities, Observer, RNA,
    VariableFlavour, Watched, unscaled, variable_columns,
};
use scgpt_model::ScgptConfig;

use super::{
    CellModalities, IntegrateConfig, IntegrateOptions, ModalitySize,
    panel::{FeaturePanel, align},
};
use crate::{
    error::Result,
    training::{Checkpoint, StartingNetwork},
};

/// Modalities of the features by which cells are compared.
#[derive(Clone, Debug)]
pub(super) struct Multimodal {
    /// Modalities of the tokens of the vocabulary.
    pub(super) of_tokens: Modalities,
    /// Modalities of the columns of the panel.
    pub(super) of_columns: Modalities,
    /// For each modality, the measure that chose its features, if it is another than that of the panel.
    by: Vec<Option<VariableFlavour>>,
    /// For each token, the token of the same gene in the checkpoint, if there is one.
    rows: Vec<Option<GeneToken>>,
}

impl Multimodal {
    /// Chooses the features that vary most in each modality, among the cells measured in it, and
    /// makes a vocabulary of them in which the genes that `vocab` has keep their vectors.
    ///
    /// # Errors
    /// If the source cannot be read, or names features twice.
    pub(super) fn choose(
        source: &mut dyn CellSource,
        vocab: &GeneVocab,
        config: &IntegrateConfig,
        options: &IntegrateOptions<'_>,
        cells: &CellModalities,
        batches: &[u32],
        observer: &dyn Observer,
    ) -> Result<(FeaturePanel, GeneVocab, Self)> {
        let layer = options.learn.layer;
        let var = source.var(layer)?;
        let alignment = align(vocab, &var, options)?;
        let input_state = unscaled(source, layer)?.state;
        let mut columns = Vec::new();
        let mut by = vec![None; cells.modalities.names().len()];
        for (number, name) in cells.modalities.names().iter().enumerate() {
            let all: Vec<usize> = cells.modalities.features(number).collect();
            let n_top = config.n_features(name);
            if n_top == 0 || all.len() <= n_top {
                columns.extend(all);
                continue;
            }
            observer.begin(&format!("selecting variable features of {name}"), 0);
            let of_modality = cells.cells(number);
            let of_batch: Vec<u32> = of_modality.iter().map(|&cell| batches[cell]).collect();
            let mut watched = Watched { source: &mut *source, observer };
            let mut features = GeneSubset::new(&mut watched, layer, all.clone())?;
            let mut measured = CellSubset::new(&mut features, of_modality);
            let values = unscaled(&mut measured, layer)?;
            let wanted = (n_top, config.flavour_of(name));
            let (flavour, chosen) =
                variable_columns(&mut measured, layer, wanted, Some(&of_batch), values)?;
            by[number] = Some(flavour);
            columns.extend(chosen.into_iter().map(|place| all[place]));
        }
        columns.sort_unstable();
        let names = match var.column(&alignment.column) {
            Some(column) => column.labels(),
            None => var.index.iter().cloned().map(Some).collect(),
        };
        let is_new = config.model.is_none();
        let features = columns.iter().filter_map(|&column| {
            let token = if is_new { None } else { alignment.tokens[column] };
            Some((names[column].as_deref()?, token))
        });
        let extended = vocab.extended(features)?;
        let found =
            extended.vocab.align(&var.pick(&columns), &GeneNames::found_in(&alignment.column))?;
        let kept = columns.iter().zip(&found.tokens);
        let kept: Vec<(usize, GeneToken)> =
            kept.filter_map(|(&column, token)| Some((column, (*token)?))).collect();
        let mut column_of = vec![None; extended.vocab.len()];
        for &(column, token) in &kept {
            column_of[token.0 as usize] = Some(column);
        }
        // What is said of all features is said of genes, if there is a choice.
        let of_genes = cells.modalities.position(RNA).and_then(|rna| by[rna]);
        let first = by.iter().flatten().next().copied();
        let flavour = of_genes.or(first).or(config.flavour).unwrap_or_default();
        let by = by.into_iter().map(|of| of.filter(|&of| of != flavour)).collect();
        let multimodal = Self {
            by,
            of_tokens: cells.modalities.pick(column_of),
            of_columns: cells.modalities.pick(kept.iter().map(|&(column, _)| Some(column))),
            rows: extended.rows.clone(),
        };
        let panel = FeaturePanel {
            columns: kept.iter().map(|&(column, _)| column).collect(),
            tokens: kept.iter().map(|&(_, token)| token).collect(),
            flavour,
            input_state,
            gene_column: alignment.column,
            vocabulary: alignment.vocabulary,
            n_known: if is_new { kept.len() } else { extended.n_known() },
        };
        Ok((panel, extended.vocab, multimodal))
    }

    /// Numbers of features and of cells of each modality.
    pub(super) fn sizes(&self, cells: &CellModalities, domains: &[usize]) -> Vec<ModalitySize> {
        let n_batches = domains.iter().max().map_or(0, |last| last + 1);
        let names = self.of_columns.names().iter().enumerate();
        names
            .map(|(number, name)| {
                let mut counts = vec![0; n_batches];
                for cell in cells.cells(number) {
                    counts[domains[cell]] += 1;
                }
                let features = self.of_columns.features(number).count();
                ModalitySize { name: name.clone(), features, by: self.by[number], cells: counts }
            })
            .collect()
    }

    /// The network to fine-tune, over the vocabulary of the features.
    pub(super) fn extend(
        &self,
        config: &IntegrateConfig,
        checkpoint: &Checkpoint,
        n_batches: usize,
    ) -> StartingNetwork {
        let adapt = |network: ScgptConfig| {
            config.adapt_to(&config.adapt(&network, n_batches), &self.of_tokens)
        };
        StartingNetwork::extended(
            checkpoint,
            adapt,
            &self.rows,
            config.only_genes,
            config.new_genes,
        )
    }

    /// Columns of the genes, if there are any.
    pub(super) fn genes(&self) -> Option<Vec<usize>> {
        Some(self.of_columns.features(self.of_columns.position(RNA)?).collect())
    }
}
