//! [`Completion`]: generates the modalities that cells were not measured in from those that they
//! were.
//!
//! Features that were measured are the known tokens of a cell; the features of a modality that it
//! lacks are unknown ones, whose values the network predicts as it learned to when a modality was
//! hidden (see [`HiddenModality`](super::cross_modal::HiddenModality)). Cells are read by windows,
//! values are value bins throughout, and the rows `[n, features]` go to a temporary file.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Range,
};

use burn::prelude::Device;
use scgpt_data::{
    Binner, CellKey, CellSource, CellTokens, ConditionToken, CsrRow, Frame, GeneNames, GeneToken,
    Layer, Measured, Modalities, Observer, RowSpool, Setting, SpecialToken, TokenConfig,
    TokenScratch, Tokenizer, narrow,
};
use scgpt_model::{Scgpt, ScgptConfig, host_values};
use scgpt_train::InputBatch;
use serde::Serialize;

use super::{
    CellModalities, IntegrateOptions, Integration, modality::Multimodal, panel::FeaturePanel,
};
use crate::{
    error::{Error, Result},
    training::Trained,
};

/// Cells read at a time.
const WINDOW: usize = 256;
/// Features asked for at a time. They do not see each other, so the number changes no result.
const ASKED: usize = 1024;

/// Cells with values of all modalities.
#[derive(Debug)]
pub struct Completed {
    /// Annotations of the features by which cells were integrated.
    pub features: Frame,
    /// Value bins, measured or generated, `[cells, features]`.
    pub rows: RowSpool,
}

/// A modality as it was generated for the cells that were not measured in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GeneratedModality {
    /// Its name.
    pub modality: String,
    /// Number of its features.
    pub features: usize,
    /// Number of cells that were not measured in it.
    pub cells: usize,
    /// How far the generated values are from the truth, if it is known.
    pub scores: Option<GeneratedScores>,
}

/// How far generated values are from the truth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GeneratedScores {
    /// Number of cells with a truth.
    pub cells: usize,
    /// Mean squared error, in squared value bins.
    pub error: f64,
    /// Mean squared error of a simple guess, in squared value bins: each feature's mean over the
    /// cells in which it was measured.
    pub mean_error: f64,
    /// Pearson correlation over cells, averaged over the features that vary; the mean has none.
    pub correlation: f64,
}

impl Integration<'_> {
    /// Checks that there is something to generate, and that the network will have learned to.
    ///
    /// # Errors
    /// If every cell was measured in everything, or no modality is ever hidden while training.
    pub(super) fn check_completion(&self, network: &ScgptConfig) -> Result<()> {
        let Some(CellModalities { measured, modalities }) = self.options.modalities else {
            return Err(nothing_to_complete());
        };
        if measured.iter().all(|cell| cell.len() == modalities.names().len()) {
            return Err(nothing_to_complete());
        }
        if self.config.hidden_modality == 0.0 && !network.unknown_flag {
            let problem = "is 0, so that generating modalities will not be learned: set it to 0.25 to complete cells";
            return Err(Setting("hidden_modality").wrong(problem).into());
        }
        Ok(())
    }

    /// Value bins of cells in all modalities; those in which a cell was not measured are generated.
    ///
    /// Memory: one window of cells; the rows are in a temporary file.
    ///
    /// # Errors
    /// If the cells lack nothing, source or truth cannot be read, or the temporary file cannot be
    /// written.
    pub(super) fn complete(
        &self,
        source: &mut dyn CellSource,
        cells: &Multimodal,
        panel: &FeaturePanel,
        trained: &Trained,
        truth: Option<&mut dyn CellSource>,
        observer: &dyn Observer,
    ) -> Result<(RowSpool, Vec<GeneratedModality>)> {
        let IntegrateOptions { learn, temporary, predict_batch, .. } = self.options;
        let layer = learn.layer;
        let Some(CellModalities { measured, .. }) = self.options.modalities else {
            return Err(nothing_to_complete());
        };
        let truth = match truth {
            None => None,
            Some(truth) => {
                Some(Truth::new(truth, &source.obs()?.index, &source.var(layer)?.index)?)
            }
        };
        let n_bins = trained.network.value_bins();
        let config = TokenConfig {
            binner: Some(Binner { n_bins, tie_mode: self.config.tie_mode }),
            cls_value: Some(trained.preprocess.cls_value),
            include_zero_genes: self.config.include_zeros,
            max_length: panel.tokens.len() + 1,
            seed: self.config.training.seed,
            ..TokenConfig::default()
        };
        let names = GeneNames::found_in(&panel.gene_column);
        let alignment = self.vocab.align(&source.var(layer)?, &names)?;
        let tokenizer =
            Tokenizer::new(&self.vocab, &alignment, config)?.with_modalities(&cells.of_columns)?;
        let completion = Completion {
            model: trained.model(),
            device: self.device,
            tokenizer: &tokenizer,
            tokens: &panel.tokens,
            modalities: &cells.of_columns,
            measured,
            domains: &self.domains(),
            pad: (self.vocab.special(SpecialToken::Pad), trained.network.pad_value),
            batch_size: predict_batch,
            layer,
        };
        let width = panel.tokens.len();
        let mut rows = RowSpool::new_in(temporary, width)?;
        let report = completion.run(source, truth, &mut rows, observer)?;
        Ok((rows, report))
    }
}

/// A network and what it needs to complete cells.
struct Completion<'a> {
    model: &'a Scgpt,
    device: &'a Device,
    /// The tokenizer of the columns.
    tokenizer: &'a Tokenizer,
    /// The token of every column.
    tokens: &'a [GeneToken],
    /// The modalities of the columns.
    modalities: &'a Modalities,
    /// What each cell was measured in.
    measured: &'a [Measured],
    /// The batch of each cell.
    domains: &'a [usize],
    /// Token and value of padding.
    pad: (GeneToken, f32),
    /// Number of cells computed at once.
    batch_size: usize,
    layer: &'a Layer,
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
    fn run(
        &self,
        source: &mut dyn CellSource,
        mut truth: Option<Truth<'_>>,
        rows: &mut RowSpool,
        observer: &dyn Observer,
    ) -> Result<Vec<GeneratedModality>> {
        let places: HashMap<GeneToken, usize> = self.tokens.iter().copied().zip(0..).collect();
        let means = self.means(source, &places)?;
        let n_modalities = self.modalities.names().len();
        let labels: Vec<i32> = (0..n_modalities).map(|modality| self.label(modality)).collect();
        let mut scores = vec![Sums::new(self.tokens.len()); n_modalities];
        observer.begin("generating modalities", self.measured.len());
        for window in windows(self.measured.len()) {
            observer.check_cancelled()?;
            let cells = self.read(source, window.clone())?;
            let mut values = vec![0.0; cells.len() * self.tokens.len()];
            for (row, cell) in values.chunks_mut(self.tokens.len()).zip(&cells) {
                fill(row, cell, &places);
            }
            for (modality, &label) in labels.iter().enumerate() {
                self.generate(&cells, window.start, modality, label, &mut values);
            }
            if let Some(truth) = &mut truth {
                for (cell, row) in window.clone().zip(values.chunks(self.tokens.len())) {
                    let Some(expected) = truth.cell(cell, self.tokenizer)? else { continue };
                    let mut of_truth = vec![0.0; self.tokens.len()];
                    fill(&mut of_truth, &expected, &places);
                    for (modality, sums) in scores.iter_mut().enumerate() {
                        if !self.measured[cell].contains(modality) {
                            let columns = self.modalities.features(modality);
                            sums.add(columns, row, &of_truth, &means);
                        }
                    }
                }
            }
            rows.write_rows(window.start, &values)?;
            observer.advance(window.len());
        }
        let report = scores.into_iter().zip(self.modalities.names()).enumerate();
        Ok(report
            .map(|(modality, (sums, name))| GeneratedModality {
                modality: name.clone(),
                features: self.modalities.features(modality).count(),
                cells: self.measured.iter().filter(|cell| !cell.contains(modality)).count(),
                scores: sums.scores(),
            })
            .collect())
    }

    /// The tokens of some cells: the value bins of what they express, each modality binned apart.
    fn read(&self, source: &mut dyn CellSource, cells: Range<usize>) -> Result<Vec<CellTokens>> {
        Ok(self.tokenizer.block(&source.read(self.layer, cells)?))
    }

    /// The mean bin of every feature over the cells that were measured in it, zeros included.
    fn means(
        &self,
        source: &mut dyn CellSource,
        places: &HashMap<GeneToken, usize>,
    ) -> Result<Vec<f64>> {
        let mut sums = vec![0.0; self.tokens.len()];
        for window in windows(self.measured.len()) {
            for cell in self.read(source, window)? {
                for (gene, value) in cell.genes.iter().zip(&cell.values) {
                    if let Some(&place) = places.get(gene) {
                        sums[place] += f64::from(*value);
                    }
                }
            }
        }
        for modality in 0..self.modalities.names().len() {
            let n = self.measured.iter().filter(|cell| cell.contains(modality)).count().max(1);
            for column in self.modalities.features(modality) {
                sums[column] /= n as f64;
            }
        }
        Ok(sums)
    }

    /// The batch with most cells measured in a modality. Values are generated as they would be in
    /// that batch, since the vectors of other batches may never have been trained with that of the
    /// modality.
    fn label(&self, modality: usize) -> i32 {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for (measured, &domain) in self.measured.iter().zip(self.domains) {
            *counts.entry(domain).or_default() += usize::from(measured.contains(modality));
        }
        let most = counts.into_iter().max_by_key(|&(_, n)| n).map_or(0, |(domain, _)| domain);
        narrow(most).cast_signed()
    }

    /// Puts the values of a modality into the rows of the cells that lack it.
    ///
    /// `cells` are the tokens of the cells from number `first` on, `values` their rows `[n,
    /// features]`. Cells of one batch are computed together, as tokens are normalised by batch; all
    /// are labelled with the batch `label`. Predictions below zero become zero, as there are no
    /// such bins.
    fn generate(
        &self,
        cells: &[CellTokens],
        first: usize,
        modality: usize,
        label: i32,
        values: &mut [f32],
    ) {
        let width = self.tokens.len();
        let columns: Vec<usize> = self.modalities.features(modality).collect();
        let token = ConditionToken(narrow(modality));
        let mut lacking: Vec<usize> = (0..cells.len())
            .filter(|&cell| !self.measured[first + cell].contains(modality))
            .collect();
        lacking.sort_by_key(|&cell| self.domains[first + cell]);
        let of_domain =
            lacking.chunk_by(|&a, &b| self.domains[first + a] == self.domains[first + b]);
        for some in of_domain.flat_map(|of_domain| of_domain.chunks(self.batch_size.max(1))) {
            for asked in columns.chunks(ASKED) {
                let unknown = CellTokens {
                    genes: asked.iter().map(|&column| self.tokens[column]).collect(),
                    values: vec![0.0; asked.len()],
                    conditions: Some(vec![token; asked.len()]),
                    n_available: asked.len(),
                };
                let tokens = some.iter().map(|&cell| [&cells[cell], &unknown]);
                let (pad, pad_value) = self.pad;
                let mut batch =
                    InputBatch::new(tokens, pad, pad_value).with_modalities(self.modalities.pad());
                let domain = |&cell: &usize| self.domains[first + cell];
                batch.batches = Some(vec![label; some.len()]);
                batch.domain = some.first().map_or(0, domain);
                let input = batch.to_device(self.device);
                let found = host_values(self.model.predict(&self.model.encode(&input)).value);
                for (&cell, found) in some.iter().zip(found.chunks(batch.n_tokens())) {
                    let row = &mut values[cell * width..(cell + 1) * width];
                    for (&column, &value) in asked.iter().zip(&found[cells[cell].len()..]) {
                        row[column] = value.max(0.0);
                    }
                }
            }
        }
    }
}

/// The error for cells that lack nothing.
fn nothing_to_complete() -> Error {
    Error::option("every cell was measured in everything, so that there is nothing to complete")
}

/// Numbers of the cells `0..n`, in ranges of as many as are read at a time.
fn windows(n: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n).step_by(WINDOW).map(move |first| first..n.min(first + WINDOW))
}

/// Puts the bins of a cell into its row.
fn fill(row: &mut [f32], cell: &CellTokens, places: &HashMap<GeneToken, usize>) {
    for (gene, &value) in cell.genes.iter().zip(&cell.values) {
        if let Some(&place) = places.get(gene) {
            row[place] = value;
        }
    }
}

/// Checks that `truth` has some of the cells and all of the features, since a feature that it lacks
/// would count as zero.
pub(super) fn check_truth(
    truth: &dyn CellSource,
    cells: &[String],
    features: &[String],
) -> Result<()> {
    let path = truth.summary().path.display();
    let (obs, var) = (truth.obs()?.index, truth.var(&Layer::X)?.index);
    let [known_cells, known_features] =
        [&obs, &var].map(|index| index.iter().collect::<HashSet<&String>>());
    if !cells.iter().any(|cell| known_cells.contains(cell)) {
        return Err(Error::option(format!(
            "`{path}` has none of the cells, expected the same with what was not measured: their names must be those \
             of the input"
        )));
    }
    let lacking: Vec<&String> =
        features.iter().filter(|name| !known_features.contains(name)).collect();
    match lacking.first() {
        None => Ok(()),
        Some(first) => Err(Error::option(format!(
            "`{path}` lacks {} of the {} features, such as `{first}`, expected all of the input by the same names",
            lacking.len(),
            features.len()
        ))),
    }
}

/// The true values: the same cells, measured in every modality.
struct Truth<'a> {
    source: &'a mut dyn CellSource,
    /// For each cell, its row in the truth.
    rows: Vec<Option<usize>>,
    /// For each column of the truth, its place among the features.
    columns: Vec<Option<u32>>,
    scratch: TokenScratch,
}

impl<'a> Truth<'a> {
    /// Finds cells and features by their names.
    fn new(source: &'a mut dyn CellSource, cells: &[String], features: &[String]) -> Result<Self> {
        let places: HashMap<&str, u32> = features.iter().map(String::as_str).zip(0..).collect();
        let names = source.var(&Layer::X)?.index;
        let columns: Vec<Option<u32>> =
            names.iter().map(|name| places.get(name.as_str()).copied()).collect();
        let obs = source.obs()?.index;
        let rows: HashMap<&str, usize> = obs.iter().map(String::as_str).zip(0..).collect();
        let rows: Vec<Option<usize>> =
            cells.iter().map(|cell| rows.get(cell.as_str()).copied()).collect();
        Ok(Self { source, rows, columns, scratch: TokenScratch::default() })
    }

    /// The tokens of a cell as it was measured in every modality, with columns in the order of the
    /// features; `None` if the truth lacks the cell.
    ///
    /// # Errors
    /// If it cannot be read.
    fn cell(&mut self, cell: usize, tokenizer: &Tokenizer) -> Result<Option<CellTokens>> {
        let Some(row) = self.rows[cell] else { return Ok(None) };
        let block = self.source.read(&Layer::X, row..row + 1)?;
        let found = block.row(0);
        let entries = found.indices.iter().zip(found.values);
        let mut entries: Vec<(u32, f32)> = entries
            .filter_map(|(&column, &value)| Some((self.columns[column as usize]?, value)))
            .collect();
        entries.sort_unstable_by_key(|entry| entry.0);
        let (indices, values): (Vec<u32>, Vec<f32>) = entries.into_iter().unzip();
        let row = CsrRow { indices: &indices, values: &values };
        Ok(Some(tokenizer.cell(row, CellKey::Content, &mut self.scratch)))
    }
}

/// What scores are made of.
#[derive(Clone, Debug)]
struct Sums {
    /// Numbers of cells, and of values of theirs.
    cells: usize,
    n: f64,
    error: f64,
    mean_error: f64,
    /// For each column, the sums of x, y, x², y² and xy.
    moments: Vec<[f64; 5]>,
}

impl Sums {
    /// Sums of no cells yet, over `n_columns` columns.
    fn new(n_columns: usize) -> Self {
        Self { cells: 0, n: 0.0, error: 0.0, mean_error: 0.0, moments: vec![[0.0; 5]; n_columns] }
    }

    /// Adds the columns of a modality of one cell: the generated values, the true ones, and the
    /// means of the columns.
    fn add(
        &mut self,
        columns: impl Iterator<Item = usize>,
        found: &[f32],
        truth: &[f32],
        means: &[f64],
    ) {
        self.cells += 1;
        for column in columns {
            let [x, y] = [found[column], truth[column]].map(f64::from);
            self.n += 1.0;
            self.error += (x - y).powi(2);
            self.mean_error += (means[column] - y).powi(2);
            for (sum, term) in self.moments[column].iter_mut().zip([x, y, x * x, y * y, x * y]) {
                *sum += term;
            }
        }
    }

    /// Means and correlations; `None` without cells. A column that does not vary in what was
    /// generated, or in truth, has no correlation.
    fn scores(&self) -> Option<GeneratedScores> {
        let n = self.cells as f64;
        let correlation = |[x, y, xx, yy, xy]: &[f64; 5]| {
            let [vx, vy] = [xx - x * x / n, yy - y * y / n];
            (vx > 1e-9 && vy > 1e-9).then(|| (xy - x * y / n) / (vx * vy).sqrt())
        };
        let of: Vec<f64> = self.moments.iter().filter_map(correlation).collect();
        (self.cells > 0).then(|| GeneratedScores {
            cells: self.cells,
            error: self.error / self.n,
            mean_error: self.mean_error / self.n,
            correlation: of.iter().sum::<f64>() / of.len().max(1) as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_means_and_correlations_over_cells() {
        let mut sums = Sums::new(3);
        let means = [0.0, 2.0, 1.0];
        sums.add([1, 2].into_iter(), &[9.0, 1.0, 3.0], &[0.0, 2.0, 1.0], &means);
        sums.add([1, 2].into_iter(), &[9.0, 2.0, 5.0], &[0.0, 4.0, 1.0], &means);
        let scores = sums.scores().unwrap();
        assert_eq!(scores.cells, 2);
        assert!((scores.error - (1.0 + 4.0 + 4.0 + 16.0) / 4.0).abs() < 1e-12);
        assert!((scores.mean_error - 1.0).abs() < 1e-12);
        // Column 2 does not vary in truth, column 1 rises with it.
        assert!((scores.correlation - 1.0).abs() < 1e-12);
        assert!(Sums::new(3).scores().is_none());
    }
}
