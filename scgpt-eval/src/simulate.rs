//! [`Simulation`]: cells of known types and batches, made on demand.
//!
//! Simulated cells have a truth that no real ones have, which is what tests and examples need;
//! they are no stand-in for real cells where a method is to be compared with another.

mod multimodal;
mod perturbed;
mod tissues;

use std::{ops::Range, path::PathBuf};

use rayon::prelude::*;
use scgpt_data::{
    CellSource, Column, Csr, Frame, Keyed, Layer, MatrixSummary, Purpose, Result, Setting, Summary,
};

pub use self::{
    multimodal::{MultimodalSimulateOptions, MultimodalSimulation},
    perturbed::{Direction, PerturbSimulateOptions, PerturbSimulation},
    tissues::{TissueSimulateOptions, TissueSimulation},
};

/// Size parameter of the negative-binomial counts: variance is `mean + mean² / SIZE`.
const SIZE: f64 = 2.0;
/// Spread of library sizes, and of batches' sequencing depth, on the logarithm.
const LIBRARY_SPREAD: f64 = 0.3;
const DEPTH_SPREAD: f64 = 0.2;
/// Most shares of types, batches and genes that are held in memory: 1 GB.
const MOST_SHARES: usize = 1 << 27;

/// What the counts of one modality look like.
#[derive(Clone, Copy, Debug)]
struct Profile {
    /// Expected counts per feature of an average cell.
    depth: f64,
    /// Spread of features' mean counts, and of batch effects, on the logarithm.
    feature_spread: f64,
    batch_spread: f64,
    /// Share of features that mark a given type.
    markers: f64,
    /// Logarithm of the least factor by which a marker is raised.
    marker_effect: f64,
    /// Sets the random choices of modalities apart.
    stream: u64,
}

/// Gene expression: about seven zeros of eight.
const GENES: Profile = Profile {
    depth: 0.4,
    feature_spread: 1.5,
    batch_spread: 0.25,
    markers: 0.08,
    marker_effect: 2.0,
    stream: 0,
};

/// What random choices are about: numbers that are the fourth part of their keys.
mod about {
    pub(super) const GENE: u64 = 0;
    pub(super) const TYPE: u64 = 1;
    pub(super) const BATCH: u64 = 2;
    pub(super) const CELL: u64 = 3;
    pub(super) const COUNTS: u64 = 4;
    pub(super) const DEPTH: u64 = 5;
    pub(super) const PROGRAMME: u64 = 6;
    pub(super) const ACTIVITY: u64 = 7;
    /// An upper bound of these numbers within one modality.
    pub(super) const ALL: u64 = 8;
}

/// How many cells to simulate, and what differs between them.
///
/// ```
/// use scgpt_eval::simulate::SimulateOptions;
///
/// let mut options = SimulateOptions::new(2000, 500);
/// options.types = 5;
/// assert_eq!((options.batches, options.seed), (1, 0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimulateOptions {
    /// Number of cells.
    pub cells: usize,
    /// Number of genes.
    pub genes: usize,
    /// Number of cell types.
    pub types: usize,
    /// Number of batches.
    pub batches: usize,
    /// Seed of every random choice.
    pub seed: u64,
}

impl SimulateOptions {
    /// The given numbers of cells and genes, with one type, one batch and the seed 0.
    pub const fn new(cells: usize, genes: usize) -> Self {
        Self { cells, genes, types: 1, batches: 1, seed: 0 }
    }
}

/// Simulated cells as a [`CellSource`]: a cell is made when it is read, always the same, so any
/// number of them streams through in bounded memory.
///
/// ```text
/// count(cell, gene) ~ NegativeBinomial(mean = library(cell) · share(gene | type, batch), size 2)
/// share(gene | type, batch) ∝ base(gene) · marker(gene, type) · effect(gene, batch)
/// ```
///
/// `base`, `library` and `effect` are log-normal; each type raises a twelfth of the genes, its
/// markers, at least sevenfold. A batch changes the median of `library` too; the first has no
/// effect at all. Genes of a cell are independent given its type, batch and library.
///
/// `obs` has `cell_type` and `batch`; `var` repeats the gene symbols in `feature_name`.
///
/// ```
/// use scgpt_data::{CellSource as _, Layer};
/// use scgpt_eval::simulate::{SimulateOptions, Simulation};
///
/// let mut options = SimulateOptions::new(1_000_000, 500);
/// (options.types, options.batches) = (4, 2);
/// let mut source = Simulation::new(&options, None)?;
/// // A cell is made when it is read.
/// let block = source.read(&Layer::X, 999_990..1_000_000)?;
/// let (kind, batch) = source.truth(999_990);
/// assert!(block.n_cells() == 10 && kind < 4 && batch < 2);
/// # Ok::<(), scgpt_data::Error>(())
/// ```
#[derive(Debug)]
pub struct Simulation {
    options: SimulateOptions,
    profile: Profile,
    symbols: Vec<String>,
    /// Share of every gene, for each type and batch.
    shares: Vec<Vec<f64>>,
    /// Logarithm of the depth of each batch.
    depths: Vec<f64>,
    summary: Summary,
}

impl Simulation {
    /// Plans a simulation; genes have the names `symbols` or, with `None`, `GENE00001`….
    ///
    /// # Errors
    /// If a number is zero, or there are fewer symbols than genes.
    pub fn new(options: &SimulateOptions, symbols: Option<Vec<String>>) -> Result<Self> {
        Self::of(GENES, options, symbols)
    }

    /// Plans the cells of one modality, whose counts look like `profile`. The shares of all types and
    /// batches are computed now, `types · batches · genes` of them; cells only when they are read.
    fn of(
        profile: Profile,
        options: &SimulateOptions,
        symbols: Option<Vec<String>>,
    ) -> Result<Self> {
        let options = *options;
        let SimulateOptions { cells, genes, types, batches, .. } = options;
        for (name, number) in
            [("cells", cells), ("genes", genes), ("types", types), ("batches", batches)]
        {
            if number == 0 {
                return Err(Setting(name).zero().into());
            }
        }
        let n = types.saturating_mul(batches).saturating_mul(genes);
        if n > MOST_SHARES {
            let problem = format!(
                "is {types}, which in {batches} batches of {genes} genes makes {n} rates of expression, \
                 expected at most {MOST_SHARES}"
            );
            return Err(Setting("types").wrong(problem).into());
        }
        let symbols = named(symbols, genes)?;
        let shares = (0..types)
            .flat_map(|kind| (0..batches).map(move |batch| shares(&options, profile, kind, batch)))
            .collect();
        let depths = (0..batches).map(|batch| depth(&options, profile, batch)).collect();
        let summary = summary(cells, genes, 8);
        Ok(Self { options, profile, symbols, shares, depths, summary })
    }

    /// The number of the type and that of the batch of a cell.
    pub fn truth(&self, cell: usize) -> (usize, usize) {
        // The same in all modalities.
        let key = Keyed::new(self.options.seed, Purpose::Simulate, about::CELL, cell as u64);
        (choose(key.uniform(0), self.options.types), choose(key.uniform(1), self.options.batches))
    }

    /// The random choices about one thing in this modality.
    fn key(&self, about: u64, index: usize) -> Keyed {
        key(&self.options, self.profile, about, index)
    }

    /// The expected count of every gene in one cell.
    fn means(&self, cell: usize) -> impl Iterator<Item = f64> {
        let (kind, batch) = self.truth(cell);
        let library = self.options.genes as f64
            * self.profile.depth
            * (LIBRARY_SPREAD * self.key(about::CELL, cell).normal(2) + self.depths[batch]).exp();
        let shares = &self.shares[kind * self.options.batches + batch];
        shares.iter().map(move |share| library * share)
    }

    /// Genes with counts, and the counts, of one cell.
    fn cell(&self, cell: usize) -> (Vec<u32>, Vec<f32>) {
        counts(self.key(about::COUNTS, cell), self.means(cell))
    }
}

impl CellSource for Simulation {
    scgpt_data::absent!(read_obsm, read_lists, unread);

    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn obs(&self) -> scgpt_data::Result<Frame> {
        let (kinds, batches): (Vec<usize>, Vec<usize>) =
            (0..self.options.cells).map(|cell| self.truth(cell)).unzip();
        let column = |codes: Vec<usize>, n: usize, name: &str| Column::Categorical {
            codes: codes.into_iter().map(|code| u32::try_from(code).ok()).collect(),
            categories: (1..=n).map(|number| format!("{name}_{number}")).collect(),
            ordered: false,
        };
        let columns = vec![
            ("cell_type".into(), column(kinds, self.options.types, "type")),
            ("batch".into(), column(batches, self.options.batches, "batch")),
        ];
        Ok(Frame { columns, ..cells(self.options.cells) })
    }

    fn var(&self, layer: &Layer) -> scgpt_data::Result<Frame> {
        self.summary.shape(layer)?;
        let names = self.symbols.iter().cloned().map(Some).collect();
        let columns = vec![("feature_name".into(), Column::Text(names))];
        Ok(Frame { columns, ..Frame::of_names(self.symbols.iter().cloned()) })
    }

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> scgpt_data::Result<Csr> {
        made(&self.summary, layer, rows, |cell| self.cell(cell))
    }
}

/// The names of `genes` genes: the first of `symbols`, or `GENE00001`….
fn named(symbols: Option<Vec<String>>, genes: usize) -> Result<Vec<String>> {
    let mut symbols =
        symbols.unwrap_or_else(|| (1..=genes).map(|gene| format!("GENE{gene:05}")).collect());
    if symbols.len() < genes {
        let n = symbols.len();
        let problem = format!("is {genes}, but only {n} gene symbols are given");
        return Err(Setting("genes").wrong(problem).into());
    }
    symbols.truncate(genes);
    Ok(symbols)
}

/// The summary of simulated cells, of whose values about one in `sparsity` is not zero.
fn summary(cells: usize, genes: usize, sparsity: u64) -> Summary {
    Summary {
        path: PathBuf::from("simulation"),
        format: "simulation".into(),
        n_cells: cells,
        matrices: vec![MatrixSummary {
            layer: Layer::X,
            n_genes: genes,
            n_stored: (cells * genes) as u64 / sparsity,
            encoding: "csr",
            dtype: "float32".into(),
        }],
        elements: Vec::new(),
        chosen: None,
        values: None,
    }
}

/// The names of `n` cells.
fn cells(n: usize) -> Frame {
    Frame::of_names((1..=n).map(|cell| format!("cell_{cell:06}")))
}

/// A block of cells, each made by `cell`: genes with counts, and the counts.
fn made(
    summary: &Summary,
    layer: &Layer,
    rows: Range<usize>,
    cell: impl Fn(usize) -> (Vec<u32>, Vec<f32>) + Send + Sync,
) -> scgpt_data::Result<Csr> {
    let (_, n_genes) = summary.shape(layer)?;
    let cells = rows.into_par_iter().map(cell).collect::<Vec<_>>();
    Csr::of_rows(n_genes, cells).map_err(scgpt_data::Error::Option)
}

/// The random choices about one thing in one modality.
fn key(options: &SimulateOptions, profile: Profile, about: u64, index: usize) -> Keyed {
    let about = about::ALL * profile.stream + about;
    Keyed::new(options.seed, Purpose::Simulate, about, index as u64)
}

/// Share of every gene in cells of that type and batch.
fn shares(options: &SimulateOptions, profile: Profile, kind: usize, batch: usize) -> Vec<f64> {
    let key = |about, index: usize| key(options, profile, about, index);
    let (of_gene, of_type, of_batch) =
        (key(about::GENE, 0), key(about::TYPE, kind), key(about::BATCH, batch));
    let weights: Vec<f64> = (0..options.genes as u64)
        .map(|gene| {
            let base = profile.feature_spread * of_gene.normal(2 * gene);
            let is_marker = of_type.uniform(3 * gene) < profile.markers;
            let raised = || profile.marker_effect + of_type.normal(3 * gene + 1).abs();
            let marker = if is_marker { raised() } else { 0.0 };
            let effect =
                if batch == 0 { 0.0 } else { profile.batch_spread * of_batch.normal(2 * gene) };
            (base + marker + effect).exp()
        })
        .collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

/// Logarithm of the factor by which cells of that batch are sequenced deeper.
fn depth(options: &SimulateOptions, profile: Profile, batch: usize) -> f64 {
    let key = key(options, profile, about::DEPTH, batch);
    if batch == 0 { 0.0 } else { DEPTH_SPREAD * key.normal(0) }
}

/// Genes with counts, and the counts, where so many are expected of every gene.
fn counts(key: Keyed, means: impl Iterator<Item = f64>) -> (Vec<u32>, Vec<f32>) {
    (0u32..)
        .zip(means)
        .filter_map(|(gene, mean)| {
            let draw = key.uniform(gene.into());
            // The probability of zero is at least 1 - mean: most genes need no more than this.
            if draw < 1.0 - mean {
                return None;
            }
            let count = negative_binomial(mean, draw);
            (count > 0.0).then_some((gene, count))
        })
        .unzip()
}

/// One of `n`, for a draw from [0, 1).
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
fn choose(draw: f64, n: usize) -> usize {
    ((draw * n as f64) as usize).min(n - 1)
}

/// A negative-binomial count by inversion: the smallest `k` whose cumulative probability exceeds
/// the draw.
fn negative_binomial(mean: f64, draw: f64) -> f32 {
    let success = mean / (mean + SIZE);
    let mut probability = (1.0 - success).powf(SIZE);
    let (mut cumulative, mut k) = (probability, 0.0);
    while cumulative <= draw && probability > 0.0 {
        probability *= success * (k + SIZE) / (k + 1.0);
        cumulative += probability;
        k += 1.0;
    }
    #[allow(clippy::cast_possible_truncation, reason = "a small count")]
    let count = k as f32;
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: SimulateOptions =
        SimulateOptions { cells: 300, genes: 400, types: 3, batches: 2, seed: 7 };

    fn simulation() -> Simulation {
        Simulation::new(&OPTIONS, None).unwrap()
    }

    #[test]
    fn a_cell_is_the_same_in_any_block() {
        let mut simulation = simulation();
        let all = simulation.read(&Layer::X, 0..300).unwrap();
        let some = simulation.read(&Layer::X, 120..130).unwrap();
        for cell in 0..10 {
            assert_eq!(all.row(120 + cell), some.row(cell));
        }
        let zeros = 1.0 - all.n_stored() as f64 / (300.0 * 400.0);
        assert!((0.6..0.95).contains(&zeros), "{zeros}");
    }

    #[test]
    fn counts_have_the_stated_mean_and_variance() {
        let key = Keyed::new(1, Purpose::Simulate, 9, 9);
        let counts: Vec<f64> =
            (0..200_000).map(|i| f64::from(negative_binomial(3.0, key.uniform(i)))).collect();
        let mean = counts.iter().sum::<f64>() / counts.len() as f64;
        let variance = counts.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / counts.len() as f64;
        assert!((mean - 3.0).abs() < 0.05, "{mean}");
        assert!((variance - 7.5).abs() < 0.2, "{variance}");
    }

    #[test]
    fn values_of_a_cell_are_counts_about_what_it_expects() {
        let mut simulation = simulation();
        let cells = simulation.read(&Layer::X, 0..300).unwrap();
        // Squares of standardised residuals have a mean of one over cells, whatever the gene.
        let mut squares = vec![0.0; OPTIONS.genes];
        let (mut counted, mut expected) = (0.0, 0.0);
        for cell in 0..300 {
            let row = cells.row(cell);
            assert!(row.values.iter().all(|&x| x >= 1.0 && x.fract() == 0.0), "{:?}", row.values);
            let mut counts = vec![0.0; OPTIONS.genes];
            for (&gene, &value) in row.indices.iter().zip(row.values) {
                counts[gene as usize] = f64::from(value);
            }
            for ((count, mean), square) in
                counts.iter().zip(simulation.means(cell)).zip(&mut squares)
            {
                counted += count;
                expected += mean;
                *square += (count - mean).powi(2) / (mean + mean.powi(2) / SIZE) / 300.0;
            }
        }
        assert!((counted / expected - 1.0_f64).abs() < 0.02, "{counted} for {expected}");
        let mean = squares.iter().sum::<f64>() / squares.len() as f64;
        let common = squares.iter().filter(|&&square| (0.5..2.0).contains(&square)).count();
        assert!((mean - 1.0).abs() < 0.05 && common > 300, "{mean} {common}");
        // And these very counts, so that a simulation stays what it was.
        let row = cells.row(6);
        let first: Vec<(u32, f32)> =
            row.indices.iter().copied().zip(row.values.iter().copied()).take(5).collect();
        let total: f32 = row.values.iter().sum();
        assert_eq!(first, [(13, 2.0), (21, 4.0), (28, 1.0), (38, 1.0), (39, 1.0)]);
        assert!((total - 140.0).abs() < 1e-6, "{total}");
    }

    #[test]
    fn types_differ_more_than_batches() {
        let of = |kind, batch| shares(&OPTIONS, GENES, kind, batch);
        let distance =
            |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>();
        let base = of(0, 0);
        assert!(distance(&base, &of(1, 0)) > 2.0 * distance(&base, &of(0, 1)));
    }

    #[test]
    fn planted_types_are_found_again() {
        let mut simulation = simulation();
        let cells = simulation.read(&Layer::X, 0..300).unwrap();
        let profile = |cell: usize| {
            let row = cells.row(cell);
            let total: f32 = row.values.iter().sum();
            let mut profile = vec![0.0_f32; OPTIONS.genes];
            for (&gene, value) in row.indices.iter().zip(row.values) {
                profile[gene as usize] = (1e4 * value / total).ln_1p();
            }
            profile
        };
        // Centroids of one half classify the other.
        let mut centroids = vec![(vec![0.0_f32; OPTIONS.genes], 0.0_f32); OPTIONS.types];
        for cell in 0..150 {
            let (sum, n) = &mut centroids[simulation.truth(cell).0];
            sum.iter_mut().zip(profile(cell)).for_each(|(sum, x)| *sum += x);
            *n += 1.0;
        }
        let right = (150..300).filter(|&cell| {
            let profile = profile(cell);
            let distance = |kind: usize| {
                let (sum, n) = &centroids[kind];
                sum.iter().zip(&profile).map(|(sum, x)| (sum / n - x).powi(2)).sum::<f32>()
            };
            let nearest = (0..OPTIONS.types).min_by(|&a, &b| distance(a).total_cmp(&distance(b)));
            nearest == Some(simulation.truth(cell).0)
        });
        let right = right.count();
        assert!(right > 145, "{right} of 150");
    }

    #[test]
    fn annotations_tell_the_truth() {
        let simulation = simulation();
        let (obs, var) = (simulation.obs().unwrap(), simulation.var(&Layer::X).unwrap());
        assert_eq!((obs.index[6].as_str(), var.index[6].as_str()), ("cell_000007", "GENE00007"));
        assert_eq!(var.column("feature_name").unwrap().labels()[6].as_deref(), Some("GENE00007"));
        let (kind, batch) = simulation.truth(6);
        let label = |column: &str| obs.column(column).unwrap().labels()[6].clone().unwrap();
        assert_eq!(label("cell_type"), format!("type_{}", kind + 1));
        assert_eq!(label("batch"), format!("batch_{}", batch + 1));
    }

    #[test]
    fn nonsense_is_refused() {
        let none = SimulateOptions { types: 0, ..OPTIONS };
        assert!(Simulation::new(&none, None).unwrap_err().to_string().contains("`types`"));
        assert!(Simulation::new(&OPTIONS, Some(vec!["A".into()])).is_err());
    }
}
