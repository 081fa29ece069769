//! What pages about integrated cells have in common, whatever integrated them: maps, and the scores of methods.

use scgpt_data::{CellSource, Column, GeneNames, Observer};
use scgpt_eval::{CellColours, CellMap, ColourChoice, IntegrationScores, Labels, Neighbourhood};
use scgpt_report::Page;

use super::{IntegrateOptions, scored::IntegrationMethod};
use crate::error::Result;

/// Scores of a table: heading and value.
pub(super) type Score = (&'static str, fn(&IntegrationScores) -> Option<f64>);

/// Columns of the tables of scores. The first three are means of others, as scIB defines them.
pub(super) const SCORES: [Score; 9] = [
    ("overall", |scores| scores.overall),
    ("AvgBIO", |scores| scores.avg_bio),
    ("AvgBATCH", |scores| scores.avg_batch),
    ("NMI", |scores| scores.nmi),
    ("ARI", |scores| scores.ari),
    ("ASW label", |scores| scores.asw_label),
    ("ASW batch", |scores| scores.asw_batch),
    ("graph connectivity", |scores| scores.graph_connectivity),
    ("PCR", |scores| scores.pcr),
];

/// Cells that maps are drawn of: what their batches and labels are, and by which names genes are told.
pub(super) struct Annotated<'a> {
    pub(super) options: &'a IntegrateOptions<'a>,
    pub(super) batches: &'a Labels,
    pub(super) labels: Option<&'a Labels>,
    pub(super) gene_names: &'a GeneNames,
    pub(super) seed: u64,
}

/// Some of the cells on a plane, their names and annotations.
#[derive(Debug)]
pub(super) struct Map {
    cells: CellMap,
    /// The columns of labels, if there are any, and of batches come first.
    colours: CellColours,
    /// How many columns these are.
    n_drawn: usize,
    /// Whether the cells are where a UMAP that was found has them.
    is_placed: bool,
}

impl Map {
    /// Lays out some of the `rows`, `[n, d]`, of the cells of a source.
    pub(super) fn of(
        of: &Annotated<'_>,
        source: &mut dyn CellSource,
        rows: &[f32],
        d: usize,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let Annotated { options, gene_names, .. } = *of;
        let cells = CellMap::new(rows, d, of.seed, observer)?;
        let obs = source.obs()?;
        let column = |name: &str, labels: &Labels| {
            // As the file has it, so that it has the file's colours; numbered batches are labels, too.
            let of_file = obs.column(name).filter(|it| matches!(it, Column::Categorical { .. }));
            let told = || Column::Categorical {
                codes: labels.codes.clone(),
                categories: labels.classes.clone(),
                ordered: false,
            };
            (name.to_owned(), of_file.cloned().unwrap_or_else(told))
        };
        // Genes are to tell labels apart, not batches.
        let label = of.labels.map(|it| column(options.label.unwrap_or("label"), it));
        let batch = column(options.batch_key.unwrap_or("batch"), of.batches);
        let added: Vec<_> = label.into_iter().chain([batch]).collect();
        let layer = options.learn.layer;
        let choice = ColourChoice { added: &added, known: &[], wanted: &[], layer, gene_names };
        let colours = CellColours::choose(source, cells.cells(), &choice)?;
        Ok(Self { cells, colours, n_drawn: added.len(), is_placed: false })
    }

    /// Puts the cells where they are on the UMAP that was found, if one was, and the clusters that were found into the
    /// menu of colours.
    pub(super) fn place(&mut self, found: Option<&Neighbourhood>) {
        let Some(found) = found else { return };
        if let Some((name, column)) = found.column() {
            self.colours.add(self.cells.cells(), (name, &column), self.n_drawn);
        }
        if let Some(map) = found.map(self.cells.cells().to_vec()) {
            (self.cells, self.is_placed) = (map, true);
        }
    }

    /// Whether the cells are where a UMAP that was found has them.
    pub(super) fn is_placed(&self) -> bool {
        self.is_placed
    }

    /// Draws the cells in the colours of their batches and, if there are labels, once more in those of their
    /// labels: batches should lie over each other, labels apart. `by` says what they are laid out by.
    pub(super) fn draw(&self, page: &mut Page, by: &str) {
        page.section("Maps");
        for first in 0..self.n_drawn {
            let mut colours = self.colours.clone();
            colours.first = first;
            self.cells.draw(page, &format!("Cells by {by}"), &colours);
        }
    }
}

/// Adds scores of the methods, a row each, and a `verdict`; methods without any score are left out. `label` is
/// the column whose labels scores are by.
pub(super) fn compare(
    page: &mut Page,
    methods: &[IntegrationMethod],
    label: Option<&str>,
    verdict: Option<String>,
) {
    let rows: Vec<Vec<String>> = methods
        .iter()
        .map(|method| line(&method.name, |of| method.mean(of)))
        .filter(|row| row[1..].iter().any(|cell| cell != NONE))
        .collect();
    if rows.is_empty() {
        return;
    }
    page.section("Against other methods").columns(&heading("method"), &rows);
    for method in methods {
        if let Some(note) = &method.note {
            page.text(&format!("{}: {note}.", method.name));
        }
    }
    match label {
        Some(label) => {
            page.text(&format!(
                "AvgBIO says how well the labels in {label} are kept apart, AvgBATCH how well batches are mixed within \
                 them; overall is 0.6 of the one and 0.4 of the other. Nothing was learned from the labels."
            ));
        }
        None => {
            page.text("Without labels, only the variance that batches explain can be told.");
        }
    }
    if let Some(verdict) = verdict {
        page.text(&verdict);
    }
}

/// What a table shows for a score that cannot be computed.
pub(super) const NONE: &str = "–";

/// The heading of a table of scores, whose first column is `first`.
pub(super) fn heading(first: &str) -> Vec<&str> {
    std::iter::once(first).chain(SCORES.iter().map(|(name, _)| *name)).collect()
}

/// A row of such a table: a name, and the value that `of` gives for each score.
pub(super) fn line(
    name: &str,
    of: impl Fn(fn(&IntegrationScores) -> Option<f64>) -> Option<f64>,
) -> Vec<String> {
    let scores = SCORES
        .iter()
        .map(|(_, score)| of(*score).map_or_else(|| NONE.into(), |score| format!("{score:.3}")));
    std::iter::once(name.to_owned()).chain(scores).collect()
}
