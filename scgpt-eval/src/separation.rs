//! [`Separation`]: whether cells of one type lie together, in several embeddings of the same cells.

use scgpt_data::{Observer, Result, RowSpool};
use scgpt_report::{Bar, Colouring, Page};
use scgpt_stats::{ClusterOptions, ClusterScores, cluster_scores, label_codes};
use serde::Serialize;

use crate::{cell_colours::CellColours, cell_map::CellMap};

/// An embedding and how well its clusters agree with labels.
#[derive(Clone, Debug, Serialize)]
pub struct Separation {
    /// The name of the embedding in reports.
    pub name: String,
    /// How clusters of the embedding agree with labels.
    pub scores: ClusterScores,
    #[serde(skip)]
    map: CellMap,
    #[serde(skip)]
    labels: Vec<String>,
}

impl Separation {
    /// Clusters `rows`, `[n, d]` row-major, and compares the clusters with `labels`, `[n]`.
    ///
    /// # Errors
    /// See [`cluster_scores`];
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn new(
        name: &str,
        rows: &[f32],
        d: usize,
        labels: &[String],
        seed: u64,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let mut options = ClusterOptions::default();
        options.seed = seed;
        let scores = cluster_scores(rows, d, &label_codes(labels), &options, observer)?;
        let map = CellMap::new(rows, d, seed, observer)?;
        Ok(Self { name: name.into(), scores, map, labels: labels.to_vec() })
    }

    /// As [`new`](Self::new), for the rows of a spool.
    ///
    /// # Errors
    /// If they cannot be read, and see [`cluster_scores`].
    pub fn of_spool(
        name: &str,
        rows: &RowSpool,
        labels: &[String],
        seed: u64,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let mut all = Vec::new();
        rows.read_rows(0, rows.n_rows(), &mut all)?;
        Self::new(name, &all, rows.n_columns(), labels, seed, observer)
    }

    /// Adds to the page the scores as bars, then a map of each embedding, coloured by the labels,
    /// which are called `label`, and in a browser by the columns of `more`: of the cells that
    /// [`CellMap::sample`] chooses by the seed, or of none.
    pub fn describe(all: &[Self], label: &str, more: &CellColours, page: &mut Page) {
        let bars = |of: fn(&ClusterScores) -> f64| -> Vec<Bar> {
            let bar = |one: &Self| {
                let value = of(&one.scores);
                Bar { name: one.name.clone(), value: value.max(0.0), label: format!("{value:.2}") }
            };
            all.iter().map(bar).collect()
        };
        page.section("Separation");
        page.bars(
            &bars(|scores| scores.ari),
            &format!("Adjusted Rand index of clusters against {label}: 1 is perfect, 0 is chance."),
        );
        page.bars(
            &bars(|scores| scores.nmi),
            &format!("Normalised mutual information of clusters and {label}."),
        );
        for one in all {
            let labels = one.map.cells().iter().map(|&cell| Some(one.labels[cell].as_str()));
            let mut colours = more.clone();
            colours.first = 0;
            colours.columns.insert(0, Colouring::labels(label, labels));
            one.map.draw(page, &one.name, &colours);
        }
    }
}
