//! [`Judge`]: generated values and what simple methods say, beside the truth.

use std::collections::{BTreeMap, HashSet, btree_map::Entry};

use scgpt_data::{CellTokens, Measured, Observer};
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
    /// The mean of each feature.
    mean: Vec<f64>,
    network: Sums,
    ridge: Sums,
    type_mean: Sums,
    pairs: HashSet<usize>,
    /// Numbers of the pairs with a truth, and the tokens of what was measured of them and of what was not.
    numbers: Vec<usize>,
    halves: [Vec<CellTokens>; 2],
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
            Judged {
                mean: means.of_all(&all.columns, modality),
                ridge: sums.clone(),
                type_mean: sums.clone(),
                network: sums,
                pairs,
                numbers: Vec::new(),
                halves: Default::default(),
            }
        };
        let judged = (0..all.columns.modalities.names().len()).map(of).collect();
        Self { truth, means, kept, judged, ridges: BTreeMap::new() }
    }

    /// Compares what was generated of a modality of a cell, whose tokens are known.
    ///
    /// # Errors
    /// If the truth cannot be read;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub(super) fn cell(
        &mut self,
        all: &Cells<'_>,
        modality: usize,
        cell: usize,
        known: &CellTokens,
        found: &[f32],
        observer: &dyn Observer,
    ) -> Result<()> {
        let Some(truth) = self.truth.cell(cell, all.tokenizer)? else { return Ok(()) };
        let columns = &all.columns;
        let expected = columns.values(&truth, modality);
        let judged = &mut self.judged[modality];
        let mean = &judged.mean;
        judged.network.add(found, &expected, mean);
        let measured = all.measured[cell];
        let ridge = match self.ridges.entry((modality, measured)) {
            Entry::Occupied(ridge) => ridge.into_mut(),
            Entry::Vacant(place) => {
                place.insert(linear(all, self.kept, modality, measured, observer)?)
            }
        };
        if let Some(ridge) = ridge {
            let found = ridge.values(columns, std::slice::from_ref(known));
            judged.ridge.add(&found, &expected, mean);
        }
        let of_type = all.of_type(cell);
        if let Some(of_type) =
            of_type.and_then(|of_type| self.means.of_type(columns, modality, of_type))
        {
            #[allow(clippy::cast_possible_truncation, reason = "values are bins")]
            let found: Vec<f32> = of_type.iter().map(|&mean| mean as f32).collect();
            judged.type_mean.add(&found, &expected, mean);
        }
        if judged.pairs.contains(&cell) {
            judged.numbers.push(cell);
            let [measured, hidden] = &mut judged.halves;
            measured.push(known.clone());
            hidden.push(columns.only(&truth, modality));
        }
        Ok(())
    }

    /// What has been told of a modality.
    ///
    /// # Errors
    /// If the pairs cannot be embedded;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub(super) fn verdict(
        &self,
        all: &Cells<'_>,
        modality: usize,
        observer: &dyn Observer,
    ) -> Result<Verdict> {
        let Judged { network, ridge, type_mean, numbers, halves, .. } = &self.judged[modality];
        let [measured, hidden] = halves.each_ref().map(|half| all.places(numbers, half));
        let (measured, hidden) = (measured?, hidden?);
        Ok(Verdict {
            network: network.scores(),
            ridge: ridge.scores(),
            type_mean: type_mean.scores(),
            foscttm: (numbers.len() > 1)
                .then(|| foscttm(&measured, &hidden, all.d(), observer))
                .transpose()?,
        })
    }
}

/// The regression from the modalities `of` to another one, by cells that were measured in all of them;
/// `None` without any.
fn linear(
    all: &Cells<'_>,
    kept: &Kept,
    modality: usize,
    of: Measured,
    observer: &dyn Observer,
) -> Result<Option<Linear>> {
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
    let can_be = !of.is_empty() && !cells.is_empty();
    let fitted = can_be.then(|| Linear::fit(columns, &cells, &values, features, observer));
    Ok(fitted.transpose()?)
}
