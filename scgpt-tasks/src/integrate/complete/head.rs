//! [`Head`]: a modality by the expression head, as the network learned to predict it where it was hidden.

use burn::prelude::Device;
use scgpt_data::{CellTokens, ConditionToken, GeneToken, narrow};
use scgpt_model::{Scgpt, host_values};
use scgpt_train::InputBatch;

use super::columns::Columns;

/// Features asked for at a time. They do not see each other, so the number changes no result.
const ASKED: usize = 1024;

/// A network that is asked for values.
pub(super) struct Head<'a> {
    pub(super) model: &'a Scgpt,
    pub(super) device: &'a Device,
    /// Token and value of padding.
    pub(super) pad: (GeneToken, f32),
    /// Number of cells computed at once.
    pub(super) batch_size: usize,
}

impl Head<'_> {
    /// The values of a modality, `[cells, features]`, of cells that lack it; features are known to the network
    /// by `columns`, and `domains` has the batch of each cell.
    ///
    /// Cells of one batch are computed together, as tokens are normalised by batch; all are labelled with the
    /// batch `label`. Predictions below zero become zero, as there are no such bins.
    pub(super) fn values(
        &self,
        columns: &Columns<'_>,
        modality: usize,
        cells: &[CellTokens],
        domains: &[usize],
        label: i32,
    ) -> Vec<f32> {
        let asked = columns.of(modality);
        let token = ConditionToken(narrow(modality));
        let mut values = vec![0.0; cells.len() * asked.len()];
        let mut order: Vec<usize> = (0..cells.len()).collect();
        order.sort_by_key(|&cell| domains[cell]);
        let of_domain = order.chunk_by(|&a, &b| domains[a] == domains[b]);
        for some in of_domain.flat_map(|of_domain| of_domain.chunks(self.batch_size)) {
            for (part, asked_now) in asked.chunks(ASKED).enumerate() {
                let unknown = CellTokens {
                    genes: asked_now.iter().map(|&column| columns.tokens[column]).collect(),
                    values: vec![0.0; asked_now.len()],
                    conditions: Some(vec![token; asked_now.len()]),
                    n_available: asked_now.len(),
                };
                let tokens = some.iter().map(|&cell| [&cells[cell], &unknown]);
                let (pad, pad_value) = self.pad;
                let pad_modality = columns.modalities.pad();
                let mut batch =
                    InputBatch::new(tokens, pad, pad_value).with_modalities(pad_modality);
                batch.batches = Some(vec![label; some.len()]);
                batch.domain = domains[some[0]];
                let input = batch.to_device(self.device);
                let found = host_values(self.model.predict(&self.model.encode(&input)).value);
                for (&cell, found) in some.iter().zip(found.chunks(batch.n_tokens())) {
                    let first = cell * asked.len() + part * ASKED;
                    let of_unknown = &found[cells[cell].len()..][..asked_now.len()];
                    let row = &mut values[first..first + asked_now.len()];
                    row.iter_mut().zip(of_unknown).for_each(|(to, &value)| *to = value.max(0.0));
                }
            }
        }
        values
    }
}
