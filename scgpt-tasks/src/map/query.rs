//! [`ReferenceIndex::map`]: labels of cells by the votes of their neighbours.
//!
//! Two questions are asked of the same neighbours and answered apart: what a cell is, by the labels
//! of the nearest `k`, and whether it is like the reference at all, by the mean distance to the
//! nearest ten. A cell of a type that the reference lacks gets a label too, often a confident one,
//! since its neighbours may all agree; only the distance tells.

use scgpt_data::{Observer, RowSpool, Setting};
use serde::{Deserialize, Serialize};

use super::{
    Found, ReferenceIndex,
    index::{STRANGENESS_NEIGHBOURS, strangeness},
    vote::{Ballot, Voting, confidence, majority, proportional},
};
use crate::error::{Error, Result};

/// Number of cells whose neighbours are searched at a time.
const WINDOW: usize = 4096;

/// How labels are found.
///
/// ```
/// use scgpt_tasks::map::{MapOptions, Voting};
///
/// // Rare types would be outvoted: their votes count more, and more of them are asked.
/// let mut options = MapOptions::default();
/// options.k = 50;
/// options.voting = Voting::Proportional;
/// assert_eq!(options.known_share, 0.95);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MapOptions {
    /// Number of neighbours that vote.
    pub k: usize,
    /// How their votes are counted.
    pub voting: Voting,
    /// Of cells that are as near to the reference as its own cells are to each other, the share
    /// that should not be called unknown.
    pub known_share: f64,
}

impl Default for MapOptions {
    /// Ten neighbours, each with one vote, as the tutorial has them; one in twenty known cells may
    /// be called unknown.
    fn default() -> Self {
        Self { k: 10, voting: Voting::default(), known_share: 0.95 }
    }
}

/// What the neighbours in a reference say of cells, in the order of the embeddings.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct MappedCells {
    /// The labels of the cells, for each column of labels of the index.
    pub labels: Vec<MappedLabels>,
    /// Mean distance to the nearest ten neighbours, 0 to 2.
    pub strangeness: Vec<f32>,
    /// Whether each cell is farther from the reference than all but a few of its own cells.
    pub is_unknown: Vec<bool>,
    /// Neighbours of each cell, nearest first.
    pub neighbours: Vec<Vec<Found>>,
}

/// Labels of all cells by one column of the reference.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MappedLabels {
    /// Name of the column in the reference.
    pub column: String,
    /// The labels of the reference, by code.
    pub names: Vec<String>,
    /// The label of each cell, a place in `names`; `None` if no neighbour has one.
    pub codes: Vec<Option<u32>>,
    /// How sure each label is, 0 to 1; 0 without a label. With majority voting it is the share of
    /// the votes, each weighted by the reciprocal of its distance; with proportional voting the
    /// share of the weighted votes.
    pub confidence: Vec<f32>,
}

impl MappedCells {
    /// Takes the labels of some cells away: nothing can be said of them, so they count as unknown.
    ///
    /// # Panics
    /// If there is no such cell.
    pub fn leave_out(&mut self, cells: &[usize]) {
        for &cell in cells {
            self.is_unknown[cell] = true;
            for labels in &mut self.labels {
                labels.codes[cell] = None;
                labels.confidence[cell] = 0.0;
            }
        }
    }
}

impl ReferenceIndex {
    /// Labels cells by their embeddings `rows`, `[n, width]` of unit length, which were made as
    /// those of the index.
    ///
    /// # Errors
    /// If there are not as many neighbours as asked for, the width differs or a row is not finite;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Reference
    /// The reference mapping tutorial: exact search, k = 10, majority. Differs: ties are settled by
    /// a rule, and cells far from all reference cells are marked.
    pub fn map(
        &self,
        rows: &RowSpool,
        options: &MapOptions,
        observer: &dyn Observer,
    ) -> Result<MappedCells> {
        if rows.n_columns() != self.manifest().width {
            return Err(Error::option(format!(
                "the embeddings are {} wide, those of `{}` {}",
                rows.n_columns(),
                self.folder().display(),
                self.manifest().width
            )));
        }
        if !(options.known_share > 0.0 && options.known_share < 1.0) {
            return Err(Setting("known_share").no_share(options.known_share).into());
        }
        self.check_k(options.k)?;
        let n = rows.n_rows();
        // How far a cell is does not depend on how many neighbours vote.
        let k = options.k.max(STRANGENESS_NEIGHBOURS.min(self.manifest().n_cells));
        observer.begin("searching neighbours", n);
        let mut mapped = MappedCells::default();
        let mut window = Vec::new();
        for first in (0..n).step_by(WINDOW) {
            observer.check_cancelled()?;
            let m = WINDOW.min(n - first);
            rows.read_rows(first, m, &mut window)?;
            for mut found in self.search(&window, k, observer)? {
                mapped.strangeness.push(strangeness(&found));
                found.truncate(options.k);
                mapped.neighbours.push(found);
            }
            observer.advance(m);
        }
        let limit = self.known_distance(options.known_share);
        mapped.is_unknown = mapped.strangeness.iter().map(|&x| f64::from(x) > limit).collect();
        mapped.labels = (0..self.manifest().labels.len())
            .map(|column| self.vote(column, &mapped.neighbours, options.voting))
            .collect();
        Ok(mapped)
    }

    /// The labels of one column for all cells, by the `neighbours` of each. Neighbours without a
    /// label do not vote.
    fn vote(&self, column: usize, neighbours: &[Vec<Found>], voting: Voting) -> MappedLabels {
        let labels = &self.manifest().labels[column];
        let all: u64 = labels.counts.iter().sum();
        let proportions: Vec<f64> =
            labels.counts.iter().map(|&n| n as f64 / all.max(1) as f64).collect();
        let mut mapped = MappedLabels {
            column: labels.column.clone(),
            names: labels.names.clone(),
            ..MappedLabels::default()
        };
        for found in neighbours {
            let ballot = |one: &Found| {
                let label = self.label(one.cell, column)?;
                Some(Ballot { label, distance: one.distance })
            };
            let votes: Vec<Ballot> = found.iter().filter_map(ballot).collect();
            let (label, sure) = match voting {
                Voting::Majority => {
                    let label = majority(&votes);
                    (label, label.map_or(0.0, |label| confidence(&votes, label)))
                }
                Voting::Proportional => {
                    let first = proportional(&votes, &proportions).first().copied();
                    (first.map(|(label, _)| label), first.map_or(0.0, |(_, share)| share))
                }
            };
            mapped.codes.push(label);
            #[allow(clippy::cast_possible_truncation, reason = "a share")]
            mapped.confidence.push(sure as f32);
        }
        mapped
    }
}
