//! [`TissueSimulation`]: cells of several tissues, whose genes vary together in programmes.

use std::ops::Range;

use scgpt_data::{CellSource, Column, Csr, Frame, Layer, Result, Setting, Summary};

use super::{SimulateOptions, Simulation, about, counts, made};

/// Share of the genes of a programme, and of the cells of a tissue in which it is active.
const GENES: f64 = 0.06;
const ACTIVE: f64 = 0.4;
/// Logarithm of the most by which a programme raises a gene.
const EFFECT: f64 = 3.0;

/// Which tissues the cells are of, and what varies in them.
///
/// ```
/// use scgpt_eval::simulate::{SimulateOptions, TissueSimulateOptions};
///
/// let mut cells = SimulateOptions::new(2000, 500);
/// cells.types = 6;
/// let options = TissueSimulateOptions::new(cells, 3);
/// assert_eq!(options.programmes, 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TissueSimulateOptions {
    /// Numbers of cells, genes, types and batches.
    pub cells: SimulateOptions,
    /// Number of tissues; every type is of one of them.
    pub tissues: usize,
    /// Number of programmes that each tissue has of its own, and of those that all share.
    pub programmes: usize,
}

impl TissueSimulateOptions {
    /// Cells of so many tissues, in which types alone differ.
    pub const fn new(cells: SimulateOptions, tissues: usize) -> Self {
        Self { cells, tissues, programmes: 0 }
    }
}

/// Simulated cells of several tissues as a [`CellSource`]; types, batches and counts are those of [`Simulation`].
///
/// A programme is a set of genes, a sixteenth of them, that rise together where it is active, each by a factor of its
/// own: in four of ten cells, at random, as strongly as the cell draws. Each tissue has programmes of its own, and all
/// share as many others; so what is learned of how genes vary in one tissue is in part of use in another.
///
/// `obs` has `tissue`, too: that of type 1, 2, … is tissue 1, 2, …, and so round.
///
/// ```
/// use scgpt_data::CellSource as _;
/// use scgpt_eval::simulate::{SimulateOptions, TissueSimulateOptions, TissueSimulation};
///
/// let mut cells = SimulateOptions::new(100, 60);
/// cells.types = 4;
/// let mut options = TissueSimulateOptions::new(cells, 2);
/// options.programmes = 3;
/// let source = TissueSimulation::new(&options, None)?;
/// assert!(source.obs()?.column("tissue").is_some());
/// # Ok::<(), scgpt_data::Error>(())
/// ```
#[derive(Debug)]
pub struct TissueSimulation {
    cells: Simulation,
    options: TissueSimulateOptions,
    /// Genes with their loadings, for each programme: the shared ones, then those of every tissue.
    programmes: Vec<Vec<(usize, f64)>>,
}

impl TissueSimulation {
    /// Plans a simulation; genes have the names `symbols` or, with `None`, `GENE00001`….
    ///
    /// # Errors
    /// As [`Simulation::new`]; also if there is no tissue, or there are fewer types than tissues.
    pub fn new(options: &TissueSimulateOptions, symbols: Option<Vec<String>>) -> Result<Self> {
        let options = *options;
        let (types, tissues) = (options.cells.types, options.tissues);
        if tissues == 0 {
            return Err(Setting("tissues").zero().into());
        }
        if types < tissues {
            let problem =
                format!("is {types}, expected at least one for each of {tissues} tissues");
            return Err(Setting("types").wrong(problem).into());
        }
        let cells = Simulation::new(&options.cells, symbols)?;
        let programme = |number: usize| {
            let key = cells.key(about::PROGRAMME, number);
            let is_in = |gene: &usize| key.uniform(2 * *gene as u64) < GENES;
            let loading = |gene: usize| (gene, 0.3 + 0.7 * key.uniform(2 * gene as u64 + 1));
            (0..options.cells.genes).filter(is_in).map(loading).collect()
        };
        let programmes = (0..options.programmes * (1 + tissues)).map(programme).collect();
        Ok(Self { cells, options, programmes })
    }

    /// The number of the tissue of a cell.
    pub fn tissue(&self, cell: usize) -> usize {
        self.cells.truth(cell).0 % self.options.tissues
    }

    /// The programmes that may be active in a cell, and how strongly each is, from 0 to 1.
    fn activities(&self, cell: usize) -> impl Iterator<Item = (usize, f64)> {
        let n = self.options.programmes;
        let own = n * (1 + self.tissue(cell));
        let key = self.cells.key(about::ACTIVITY, cell);
        (0..n).chain(own..own + n).map(move |programme| {
            let draw = |of: u64| key.uniform(2 * programme as u64 + of);
            (programme, if draw(0) < ACTIVE { draw(1) } else { 0.0 })
        })
    }

    fn cell(&self, cell: usize) -> (Vec<u32>, Vec<f32>) {
        let mut means: Vec<f64> = self.cells.means(cell).collect();
        let all: f64 = means.iter().sum();
        for (programme, activity) in self.activities(cell).filter(|(_, activity)| *activity > 0.0) {
            for &(gene, loading) in &self.programmes[programme] {
                means[gene] *= (EFFECT * activity * loading).exp();
            }
        }
        // A cell has the depth that it had.
        let scale = all / means.iter().sum::<f64>();
        counts(self.cells.key(about::COUNTS, cell), means.into_iter().map(|mean| mean * scale))
    }
}

impl CellSource for TissueSimulation {
    scgpt_data::forward!(cells: var);
    scgpt_data::absent!(read_obsm, read_lists, unread);

    fn summary(&self) -> &Summary {
        self.cells.summary()
    }

    fn obs(&self) -> Result<Frame> {
        let mut obs = self.cells.obs()?;
        let codes = (0..obs.len()).map(|cell| u32::try_from(self.tissue(cell)).ok());
        let column = Column::Categorical {
            codes: codes.collect(),
            categories: (1..=self.options.tissues).map(|n| format!("tissue_{n}")).collect(),
            ordered: false,
        };
        obs.columns.push(("tissue".into(), column));
        Ok(obs)
    }

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr> {
        made(self.cells.summary(), layer, rows, |cell| self.cell(cell))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simulation() -> TissueSimulation {
        let mut cells = SimulateOptions::new(1500, 200);
        (cells.types, cells.seed) = (4, 3);
        let options = TissueSimulateOptions { cells, tissues: 2, programmes: 3 };
        TissueSimulation::new(&options, None).unwrap()
    }

    #[test]
    fn every_type_is_of_one_tissue() {
        let simulation = simulation();
        let obs = simulation.obs().unwrap();
        let [tissues, types] =
            ["tissue", "cell_type"].map(|name| obs.column(name).unwrap().labels());
        let mut pairs: Vec<_> = types.into_iter().zip(tissues).collect();
        pairs.sort();
        pairs.dedup();
        assert_eq!(pairs.len(), 4);
    }

    #[test]
    fn genes_of_a_programme_rise_together_in_its_tissue_alone() {
        let mut simulation = simulation();
        let all = simulation.read(&Layer::X, 0..1500).unwrap();
        // The first programme that the second tissue has of its own.
        let programme = 3 * (1 + 1);
        let genes: Vec<usize> = simulation.programmes[programme].iter().map(|it| it.0).collect();
        assert!((4..30).contains(&genes.len()), "{}", genes.len());
        let share = |cell: usize| {
            let row = all.row(cell);
            let total: f32 = row.values.iter().sum();
            let own = row.indices.iter().zip(row.values);
            let own = own.filter(|(gene, _)| genes.contains(&(**gene as usize)));
            f64::from(own.map(|(_, value)| value).sum::<f32>() / total)
        };
        let mean = |cells: &[usize]| {
            cells.iter().map(|&cell| share(cell)).sum::<f64>() / cells.len() as f64
        };
        let active = |cell: &usize| {
            simulation.activities(*cell).any(|(at, activity)| at == programme && activity > 0.5)
        };
        let of_tissue = |tissue: usize| -> Vec<usize> {
            (0..1500).filter(|&cell| simulation.tissue(cell) == tissue).collect()
        };
        let second = of_tissue(1);
        let (on, off): (Vec<usize>, Vec<usize>) = second.iter().partition(|cell| active(cell));
        assert!(on.len() > 50 && mean(&on) > 1.5 * mean(&off), "{} {}", mean(&on), mean(&off));
        assert!(of_tissue(0).iter().all(|cell| !active(cell)));
    }

    #[test]
    fn a_cell_is_the_same_in_any_block_and_nonsense_is_refused() {
        let mut simulation = simulation();
        let all = simulation.read(&Layer::X, 0..40).unwrap();
        let some = simulation.read(&Layer::X, 12..15).unwrap();
        assert!((0..3).all(|cell| all.row(12 + cell) == some.row(cell)));
        let refused = |tissues: usize| {
            let options = TissueSimulateOptions { tissues, ..simulation.options };
            TissueSimulation::new(&options, None).unwrap_err().to_string()
        };
        assert!(refused(0).contains("`tissues`") && refused(5).contains("`types`"));
    }
}
