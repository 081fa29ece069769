//! [`Judge`]: generated values and what simple methods say, beside the truth.

use std::collections::{BTreeMap, HashSet};

use scgpt_data::{CellTokens, Measured};
use scgpt_stats::{foscttm, subsample};

use super::{
    cells::{Cells, Kept},
    columns::without,
    linear::Linear,
    means::Means,
    scores::{GeneratedScores, Sums},
    truth::Truth,
};
use crate::error::Result;

/// Most cells of which what was measured and what was not are to find each other.
const PAIRS: usize = 2000;

/// The truth, and what it has told so far.
pub(super) struct Judge<'t, 'a> {
    truth: Truth<'t>,
    means: &'a Means,
    kept: &'a Kept,
    /// For each modality.
    judged: Vec<Judged>,
    /// For each modality and what is known of a cell.
    ridges: BTreeMap<(usize, Measured), Option<Linear>>,
}

/// What a truth tells of a modality.
struct Judged {
    network: Sums,
    ridge: Sums,
    type_mean: Sums,
    pairs: HashSet<usize>,
    /// Embeddings of what was measured of the pairs and of what was not, `[pairs, d]`.
    halves: [Vec<f32>; 2],
}

/// The scores of a modality.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) network: Option<GeneratedScores>,
    pub(super) ridge: Option<GeneratedScores>,
    pub(super) type_mean: Option<GeneratedScores>,
    pub(super) foscttm: Option<f64>,
}

impl<'t, 'a> Judge<'t, 'a> {
    pub(super) fn new(all: &Cells<'_>, truth: Truth<'t>, means: &'a Means, kept: &'a Kept) -> Self {
        let of = |modality| {
            let sums = Sums::new(all.columns.of(modality).len());
            let lacking = all.lacking(modality);
            let chosen = subsample(lacking.len(), PAIRS, all.seed);
            let pairs = chosen.into_iter().map(|place| lacking[place]).collect();
            let (ridge, type_mean) = (sums.clone(), sums.clone());
            Judged { network: sums, ridge, type_mean, pairs, halves: Default::default() }
        };
        let judged = (0..all.columns.modalities.names().len()).map(of).collect();
        Self { truth, means, kept, judged, ridges: BTreeMap::new() }
    }

    /// Compares what was generated of a modality of a cell, whose tokens are known.
    ///
    /// # Errors
    /// If the truth cannot be read.
    pub(super) fn cell(
        &mut self,
        all: &Cells<'_>,
        modality: usize,
        cell: usize,
        known: &CellTokens,
        found: &[f32],
    ) -> Result<()> {
        let Some(truth) = self.truth.cell(cell, all.tokenizer)? else { return Ok(()) };
        let columns = &all.columns;
        let expected = columns.values(&truth, modality);
        let mean = self.means.of_all(columns, modality);
        let judged = &mut self.judged[modality];
        judged.network.add(found, &expected, &mean);
        let measured = all.measured[cell];
        let ridge = self.ridges.entry((modality, measured));
        let ridge = ridge.or_insert_with(|| linear(all, self.kept, modality, measured));
        if let Some(ridge) = ridge {
            let found = ridge.values(columns, std::slice::from_ref(known));
            judged.ridge.add(&found, &expected, &mean);
        }
        let of_type = all.of_type(cell);
        if let Some(of_type) =
            of_type.and_then(|of_type| self.means.of_type(columns, modality, of_type))
        {
            #[allow(clippy::cast_possible_truncation, reason = "values are bins")]
            let found: Vec<f32> = of_type.iter().map(|&mean| mean as f32).collect();
            judged.type_mean.add(&found, &expected, &mean);
        }
        if judged.pairs.contains(&cell) {
            for (half, tokens) in
                judged.halves.iter_mut().zip([known.clone(), columns.only(&truth, modality)])
            {
                half.extend(all.places(&[cell], &[tokens])?);
            }
        }
        Ok(())
    }

    /// What has been told of a modality.
    pub(super) fn verdict(&self, modality: usize, d: usize) -> Verdict {
        let Judged { network, ridge, type_mean, halves, .. } = &self.judged[modality];
        let n = halves[0].len() / d.max(1);
        Verdict {
            network: network.scores(),
            ridge: ridge.scores(),
            type_mean: type_mean.scores(),
            foscttm: (n > 1).then(|| foscttm(&halves[0], &halves[1], d)),
        }
    }
}

/// The regression from the modalities `of` to another one, by cells that were measured in all of them;
/// `None` without any.
fn linear(all: &Cells<'_>, kept: &Kept, modality: usize, of: Measured) -> Option<Linear> {
    let Cells { columns, measured, .. } = all;
    let others = (0..columns.modalities.names().len()).filter(|&it| !of.contains(it));
    let known = |tokens: &CellTokens| {
        others.clone().fold(tokens.clone(), |tokens, other| without(&tokens, other))
    };
    let has_all = |cell: usize| measured[cell].contains(modality) && of.is_within(measured[cell]);
    let fitted: Vec<&CellTokens> =
        kept.iter().filter(|(cell, _)| has_all(**cell)).map(|(_, tokens)| tokens).collect();
    let cells: Vec<CellTokens> = fitted.iter().map(|tokens| known(tokens)).collect();
    let values: Vec<f32> =
        fitted.iter().flat_map(|tokens| columns.values(tokens, modality)).collect();
    let features = columns.of(modality).len();
    (!of.is_empty() && !cells.is_empty()).then(|| Linear::fit(columns, &cells, &values, features))
}
