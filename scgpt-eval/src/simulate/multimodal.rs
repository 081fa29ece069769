//! [`MultimodalSimulation`]: the same simulated cells in several modalities.

use scgpt_data::{
    ATAC, CellSource as _, Frame, ModalitySource, MultimodalCells, PROTEIN, RNA, Result, Setting,
};

use super::{GENES, Profile, SimulateOptions, Simulation};

/// Antibody counts: hardly a zero, and a background beneath every protein.
const PROTEINS: Profile = Profile {
    depth: 25.0,
    feature_spread: 1.0,
    batch_spread: 0.25,
    markers: 0.25,
    marker_effect: 1.0,
    stream: 1,
};

/// Fragments in peaks: most open in few cells, hardly ever twice.
const PEAKS: Profile = Profile {
    depth: 0.04,
    feature_spread: 1.0,
    batch_spread: 0.3,
    markers: 0.06,
    marker_effect: 1.5,
    stream: 2,
};

/// Which modalities of the same cells to simulate.
///
/// ```
/// use scgpt_eval::simulate::{MultimodalSimulateOptions, SimulateOptions};
///
/// let mut options = MultimodalSimulateOptions::new(SimulateOptions::new(500, 200));
/// options.proteins = 30;
/// assert!(options.rna && options.peaks == 0);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MultimodalSimulateOptions {
    /// Numbers of cells, genes, types and batches.
    pub cells: SimulateOptions,
    /// Number of proteins; 0 for none.
    pub proteins: usize,
    /// Number of peaks; 0 for none.
    pub peaks: usize,
    /// Whether gene expression is measured at all.
    pub rna: bool,
    /// Whether each batch has a subset of the modalities: the first all of them, each further one
    /// all but one in turn.
    pub mosaic: bool,
}

impl MultimodalSimulateOptions {
    /// Gene expression alone, measured in every cell.
    pub const fn new(cells: SimulateOptions) -> Self {
        Self { cells, proteins: 0, peaks: 0, rna: true, mosaic: false }
    }
}

/// Simulated cells measured in several modalities; types and batches are those of [`Simulation`],
/// and types raise proteins and open peaks as they raise genes.
///
/// Proteins are named `p_001`…, peaks like regions of the genome.
///
/// ```
/// use scgpt_data::CellSource as _;
/// use scgpt_eval::simulate::{MultimodalSimulateOptions, MultimodalSimulation, SimulateOptions};
///
/// let mut cells = SimulateOptions::new(80, 60);
/// (cells.types, cells.batches) = (2, 3);
/// let mut options = MultimodalSimulateOptions::new(cells);
/// options.proteins = 12;
/// let simulation = MultimodalSimulation::new(&options, None)?;
/// assert_eq!(simulation.modalities().len(), 2);
/// assert_eq!(simulation.cells()?.summary().n_cells, 80);
/// # Ok::<(), scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MultimodalSimulation {
    options: MultimodalSimulateOptions,
    symbols: Option<Vec<String>>,
    modalities: Vec<&'static str>,
}

impl MultimodalSimulation {
    /// Plans a simulation; genes have the names `symbols` or, with `None`, `GENE00001`….
    ///
    /// # Errors
    /// As [`Simulation::new`]; also if there is no modality, or only one for a mosaic.
    pub fn new(options: &MultimodalSimulateOptions, symbols: Option<Vec<String>>) -> Result<Self> {
        let present =
            [(RNA, options.rna), (PROTEIN, options.proteins > 0), (ATAC, options.peaks > 0)];
        let modalities: Vec<_> = present.iter().filter(|of| of.1).map(|of| of.0).collect();
        let least = if options.mosaic { 2 } else { 1 };
        if modalities.len() < least {
            let n = modalities.len();
            let problem = format!("names {n}, expected at least {least} of rna, protein and atac");
            return Err(Setting("modalities").wrong(problem).into());
        }
        let simulation = Self { options: options.clone(), symbols, modalities };
        for number in 0..simulation.modalities.len() {
            simulation.modality(number)?;
        }
        Ok(simulation)
    }

    /// Names of the modalities; the place of a name is the number of its modality.
    pub fn modalities(&self) -> &[&'static str] {
        &self.modalities
    }

    /// Whether the cells of a batch are measured in a modality.
    pub fn is_measured(&self, batch: usize, modality: usize) -> bool {
        let n = self.modalities.len();
        !self.options.mosaic || batch == 0 || (n - 1) - (batch - 1) % n != modality
    }

    /// All cells in one modality, whether measured or not.
    ///
    /// # Errors
    /// As [`Simulation::new`].
    pub fn modality(&self, modality: usize) -> Result<Simulation> {
        let options = self.options.cells;
        match self.modalities[modality] {
            PROTEIN => {
                let names = (1..=self.options.proteins).map(|number| format!("p_{number:03}"));
                let options = SimulateOptions { genes: self.options.proteins, ..options };
                Simulation::of(PROTEINS, &options, Some(names.collect()))
            }
            ATAC => {
                let name = |number: usize| {
                    let start = 10_000 * (number / 22 + 1);
                    format!("chr{}:{start}-{}", number % 22 + 1, start + 500)
                };
                let options = SimulateOptions { genes: self.options.peaks, ..options };
                Simulation::of(PEAKS, &options, Some((0..self.options.peaks).map(name).collect()))
            }
            _ => Simulation::of(GENES, &options, self.symbols.clone()),
        }
    }

    /// Numbers of the cells measured in a modality, ascending.
    ///
    /// # Errors
    /// As [`Simulation::new`].
    pub fn measured(&self, modality: usize) -> Result<Vec<usize>> {
        let simulation = self.modality(modality)?;
        let is_measured = |&cell: &usize| self.is_measured(simulation.truth(cell).1, modality);
        Ok((0..self.options.cells.cells).filter(is_measured).collect())
    }

    /// Annotations of all cells: `cell_type` and `batch`.
    ///
    /// # Errors
    /// As [`Simulation::new`].
    pub fn obs(&self) -> Result<Frame> {
        self.modality(0)?.obs()
    }

    /// All cells with all features, as measured: in a mosaic some batches lack a modality.
    ///
    /// # Errors
    /// As [`Simulation::new`].
    pub fn cells(&self) -> Result<MultimodalCells> {
        self.joined(|modality| self.measured(modality).map(Some))
    }

    /// The same cells as they are in truth: every modality of every cell.
    ///
    /// # Errors
    /// As [`Simulation::new`].
    pub fn complete_cells(&self) -> Result<MultimodalCells> {
        self.joined(|_| Ok(None))
    }

    /// All modalities side by side, each with the cells that `measured` gives; `None` stands for
    /// all of them.
    fn joined(
        &self,
        measured: impl Fn(usize) -> Result<Option<Vec<usize>>>,
    ) -> Result<MultimodalCells> {
        let source = |modality: usize| -> Result<ModalitySource> {
            Ok(ModalitySource {
                modality: self.modalities[modality].into(),
                source: Box::new(self.modality(modality)?),
                cells: measured(modality)?,
            })
        };
        let sources = (0..self.modalities.len()).map(source).collect::<Result<_>>()?;
        MultimodalCells::of(sources, Some(self.obs()?))
    }
}

#[cfg(test)]
mod tests {
    use scgpt_data::Layer;

    use super::*;

    fn mosaic() -> MultimodalSimulateOptions {
        let cells = SimulateOptions { cells: 80, genes: 60, types: 2, batches: 4, seed: 3 };
        MultimodalSimulateOptions { cells, proteins: 12, peaks: 500, rna: true, mosaic: true }
    }

    #[test]
    fn each_batch_of_a_mosaic_has_modalities_of_its_own() {
        let simulation = MultimodalSimulation::new(&mosaic(), None).unwrap();
        let of = |batch| [0, 1, 2].map(|modality| simulation.is_measured(batch, modality));
        assert_eq!(
            [0, 1, 2, 3].map(of),
            [[true, true, true], [true, true, false], [true, false, true], [false, true, true],]
        );
        let mut cells = simulation.cells().unwrap();
        let measured = cells.measured(&Layer::X).unwrap();
        let names = cells.modalities().names().to_vec();
        let gene = simulation.modality(0).unwrap();
        assert_eq!(cells.obs().unwrap(), simulation.obs().unwrap());
        for (cell, measured) in measured.into_iter().enumerate() {
            let batch = gene.truth(cell).1;
            for (number, modality) in simulation.modalities().iter().enumerate() {
                let place = names.iter().position(|other| other == modality).unwrap();
                assert_eq!(measured.contains(place), simulation.is_measured(batch, number));
            }
        }
    }

    #[test]
    fn measured_values_are_the_true_ones() {
        let simulation = MultimodalSimulation::new(&mosaic(), None).unwrap();
        let (mut measured, mut truth) =
            (simulation.cells().unwrap(), simulation.complete_cells().unwrap());
        let all = truth.read(&Layer::X, 0..80).unwrap();
        let some = measured.read(&Layer::X, 0..80).unwrap();
        let mut n_missing = 0;
        for (found, expected) in some.rows().zip(all.rows()) {
            n_missing += expected.indices.len() - found.indices.len();
            for (feature, value) in found.indices.iter().zip(found.values) {
                let place = expected.indices.binary_search(feature).unwrap();
                assert!((expected.values[place] - value).abs() < 1e-9);
            }
        }
        assert!(n_missing > 0);
        // Modalities do not echo each other.
        let [genes, peaks] = [0, 2].map(|modality| {
            let mut simulation = simulation.modality(modality).unwrap();
            simulation.read(&Layer::X, 0..1).unwrap().n_stored()
        });
        assert_ne!(genes, peaks);
    }

    #[test]
    fn a_mosaic_of_one_modality_is_refused() {
        let options = MultimodalSimulateOptions { proteins: 0, peaks: 0, ..mosaic() };
        let error = MultimodalSimulation::new(&options, None).unwrap_err();
        assert!(error.to_string().contains("`modalities`"), "{error}");
    }
}
