//! [`Completion`]: cells, window by window, with the modalities that they lack.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    ops::Range,
};

use scgpt_data::{CellSource, CellTokens, Layer, Observer, RowSpool, narrow};
use scgpt_stats::subsample;
use serde::Serialize;

use super::{
    GeneratedModality,
    cells::{Cells, Kept},
    columns::without,
    head::Head,
    judge::{Judge, Verdict},
    means::Means,
    readout::{Examples, Readout, wide},
    truth::Truth,
};
use crate::error::Result;

/// Cells read at a time.
const WINDOW: usize = 256;
/// Most cells that a readout is fitted to, and most that choose.
const FITTED: usize = 2000;
const CHOOSING: usize = 1000;
/// Most values of these: of very many features, fewer cells.
const VALUES: usize = 1 << 25;
/// Fewer cells tell nothing.
const LEAST: usize = 20;

/// What generates a modality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GeneratedBy {
    /// The expression head, as where a modality was hidden in training.
    ExpressionHead,
    /// A ridge regression on the cell embeddings of cells that were measured in it and another modality.
    CellEmbedding,
}

impl fmt::Display for GeneratedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ExpressionHead => "the expression head",
            Self::CellEmbedding => "cell embeddings",
        })
    }
}

/// Mean squared errors, in squared value bins, on cells that were not learned from and were measured in the
/// modality, which was hidden.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HeldOutErrors {
    /// Number of cells.
    pub cells: usize,
    /// Of the expression head.
    pub head: f64,
    /// Of the readout of cell embeddings.
    pub embedding: f64,
}

/// A network and what it needs to complete cells.
pub(super) struct Completion<'a> {
    pub(super) cells: Cells<'a>,
    /// The network, if it has learned to generate modalities.
    pub(super) head: Option<Head<'a>>,
    /// Cells that were not learned from.
    pub(super) held_out: &'a [usize],
    pub(super) layer: &'a Layer,
    pub(super) observer: &'a dyn Observer,
}

/// How a modality is generated.
struct Way {
    modality: usize,
    /// The batch whose values are generated.
    label: i32,
    readout: Option<Readout>,
    chosen_by: Option<HeldOutErrors>,
}

impl Completion<'_> {
    /// Fills `rows`, whose columns are those of `source`, for all cells, and compares with `truth`.
    ///
    /// Every window of cells is filled with what was measured, then modality by modality with what was not.
    /// What is generated of one modality is never an input for the next.
    ///
    /// # Errors
    /// If a source cannot be read or the rows not be written; [`Cancelled`](scgpt_data::Error::Cancelled) if the
    /// observer says so.
    pub(super) fn run(
        &self,
        source: &mut dyn CellSource,
        truth: Option<Truth<'_>>,
        rows: &mut RowSpool,
    ) -> Result<Vec<GeneratedModality>> {
        let (means, kept) = self.look(source)?;
        let names = self.cells.columns.modalities.names();
        let lacking = (0..names.len()).filter(|&modality| !self.cells.lacking(modality).is_empty());
        let ways = lacking.map(|modality| self.way(modality, &kept)).collect::<Result<Vec<_>>>()?;
        let (of_means, of_kept) = (&means, &kept);
        let mut judge = truth.map(|truth| Judge::new(&self.cells, truth, of_means, of_kept));
        self.observer.begin("generating modalities", self.cells.measured.len());
        for window in windows(self.cells.measured.len()) {
            let cells = self.read(source, window.clone())?;
            let width = self.cells.columns.len();
            let mut values: Vec<f32> =
                cells.iter().flat_map(|cell| self.cells.columns.row(cell)).collect();
            for way in &ways {
                let lacks = |cell: &usize| !self.cells.measured[*cell].contains(way.modality);
                let some: Vec<usize> = window.clone().filter(lacks).collect();
                let known: Vec<CellTokens> =
                    some.iter().map(|cell| cells[cell - window.start].clone()).collect();
                let columns = self.cells.columns.of(way.modality);
                let found = self.generate(way, &some, &known)?;
                let found = found.chunks(columns.len().max(1));
                for ((&cell, known), found) in some.iter().zip(&known).zip(found) {
                    let row = &mut values[(cell - window.start) * width..];
                    columns.iter().zip(found).for_each(|(&column, &value)| row[column] = value);
                    if let Some(judge) = &mut judge {
                        judge.cell(&self.cells, way.modality, cell, known, found, self.observer)?;
                    }
                }
            }
            rows.write_rows(window.start, &values)?;
            self.observer.advance(window.len());
        }
        let report = ways.into_iter().map(|way| {
            let verdict =
                judge.as_ref().map(|judge| judge.verdict(&self.cells, way.modality, self.observer));
            let Verdict { network, ridge, type_mean, foscttm } =
                verdict.transpose()?.unwrap_or_default();
            Ok(GeneratedModality {
                modality: names[way.modality].clone(),
                features: self.cells.columns.of(way.modality).len(),
                cells: self.cells.lacking(way.modality).len(),
                by: way.by(),
                chosen_by: way.chosen_by,
                scores: network,
                ridge,
                type_mean,
                foscttm,
            })
        });
        report.collect()
    }

    /// The tokens of some cells: the value bins of what they express, each modality binned apart.
    fn read(&self, source: &mut dyn CellSource, cells: Range<usize>) -> Result<Vec<CellTokens>> {
        self.observer.check_cancelled()?;
        Ok(self.cells.tokenizer.block(&source.read(self.layer, cells)?))
    }

    /// One pass over the cells: means of their values, and the tokens of those by which modalities are fitted and
    /// chosen.
    fn look(&self, source: &mut dyn CellSource) -> Result<(Means, Kept)> {
        let n_types = self.cells.labels.map_or(0, |labels| labels.classes.len());
        let mut means = Means::new(&self.cells.columns, n_types);
        let held_out: HashSet<usize> = self.held_out.iter().copied().collect();
        let mut wanted = HashSet::new();
        for modality in 0..self.cells.columns.modalities.names().len() {
            let paired =
                (0..self.cells.measured.len()).filter(|&cell| self.cells.is_paired(cell, modality));
            let (choosing, fitted): (Vec<usize>, Vec<usize>) =
                paired.partition(|cell| held_out.contains(cell));
            let most = VALUES / self.cells.columns.of(modality).len().max(1);
            for (cells, most) in [(choosing, CHOOSING.min(most)), (fitted, FITTED.min(most))] {
                let chosen = subsample(cells.len(), most, self.cells.seed);
                wanted.extend(chosen.into_iter().map(|place| cells[place]));
            }
        }
        let mut kept = Kept::new();
        for window in windows(self.cells.measured.len()) {
            for (cell, tokens) in window.clone().zip(self.read(source, window)?) {
                means.add(
                    &self.cells.columns,
                    &tokens,
                    self.cells.measured[cell],
                    self.cells.of_type(cell),
                );
                if wanted.contains(&cell) {
                    kept.insert(cell, tokens);
                }
            }
        }
        Ok((means, kept))
    }

    /// Finds out how a modality is best generated, by cells that were measured in it and in others.
    fn way(&self, modality: usize, kept: &Kept) -> Result<Way> {
        let (choosing, fitted): (Vec<usize>, Vec<usize>) = (kept.keys().copied())
            .filter(|&cell| self.cells.is_paired(cell, modality))
            .partition(|cell| self.held_out.contains(cell));
        let known = |cells: &[usize]| -> Vec<CellTokens> {
            cells.iter().map(|cell| without(&kept[cell], modality)).collect()
        };
        let values = |cells: &[usize]| -> Vec<f32> {
            cells.iter().flat_map(|cell| self.cells.columns.values(&kept[cell], modality)).collect()
        };
        let mut way = Way { modality, label: self.label(modality), readout: None, chosen_by: None };
        if self.head.is_some() && fitted.len().min(choosing.len()) < LEAST {
            return Ok(way);
        }
        let dims = [self.cells.d(), self.cells.columns.of(modality).len()];
        let examples = |cells: &[usize]| -> Result<Examples> {
            Ok(Examples::new(&self.cells.places(cells, &known(cells))?, &values(cells)))
        };
        let fitted = examples(&fitted)?;
        if choosing.len() < LEAST {
            way.readout = Some(Readout::plain(&fitted, dims, self.observer)?);
            return Ok(way);
        }
        let examples = examples(&choosing)?;
        let readout = Readout::chosen(&fitted, &examples, dims, self.observer)?;
        let embedding = readout.error(&examples, dims);
        let mut head = f64::INFINITY;
        if self.head.is_some() {
            let found = self.generate(&way, &choosing, &known(&choosing))?;
            let errors =
                wide(&found).into_iter().zip(&examples.values).map(|(x, y)| (x - y).powi(2));
            head = errors.sum::<f64>() / found.len().max(1) as f64;
            way.chosen_by = Some(HeldOutErrors { cells: choosing.len(), head, embedding });
        }
        way.readout = (self.head.is_none() || embedding < head).then_some(readout);
        Ok(way)
    }

    /// The values of a modality, `[cells, features]`, of cells by their numbers and tokens.
    fn generate(&self, way: &Way, numbers: &[usize], known: &[CellTokens]) -> Result<Vec<f32>> {
        if let Some(readout) = &way.readout {
            let rows = self.cells.places(numbers, known)?;
            let d = self.cells.d();
            return Ok(readout.of_all(&rows, d));
        }
        let domains: Vec<usize> = numbers.iter().map(|&cell| self.cells.domains[cell]).collect();
        let of_head = |head: &Head<'_>| {
            head.values(&self.cells.columns, way.modality, known, &domains, way.label)
        };
        Ok(self.head.as_ref().map(of_head).unwrap_or_default())
    }

    /// The batch with most cells measured in a modality. Values are generated as they would be in
    /// that batch, since the vectors of other batches may never have been trained with that of the
    /// modality.
    fn label(&self, modality: usize) -> i32 {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for (measured, &domain) in self.cells.measured.iter().zip(self.cells.domains) {
            *counts.entry(domain).or_default() += usize::from(measured.contains(modality));
        }
        let most = counts.into_iter().max_by_key(|&(_, n)| n).map_or(0, |(domain, _)| domain);
        narrow(most).cast_signed()
    }
}

impl Way {
    fn by(&self) -> GeneratedBy {
        if self.readout.is_some() {
            GeneratedBy::CellEmbedding
        } else {
            GeneratedBy::ExpressionHead
        }
    }
}

/// Numbers of the cells `0..n`, in ranges of as many as are read at a time.
fn windows(n: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n).step_by(WINDOW).map(move |first| first..n.min(first + WINDOW))
}
