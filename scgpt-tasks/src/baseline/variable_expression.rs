//! [`VariableExpression`]: cells by the logarithms of their most variable genes.

use scgpt_data::{
    CellSource, Csr, CsrRow, InputState, Layer, VariableConfig, VariableFlavour, log1p,
    normalise_total, variable_genes,
};

use super::BaselineOptions;
use crate::{
    embed::input_state,
    error::{Error, Result},
    observe::{Observer, Watched},
    pca::SparseCell,
};

/// Cells read at once.
const BLOCK: usize = 4096;
/// Sum to which counts are normalised.
const TOTAL: f64 = 1e4;

/// The most variable genes of some cells; gives these and other cells of the same genes by them.
#[derive(Clone, Debug)]
pub(super) struct VariableExpression {
    layer: Layer,
    state: InputState,
    /// Columns, ascending.
    genes: Vec<usize>,
    /// The number of each column among `genes`.
    numbers: Vec<Option<u32>>,
}

impl VariableExpression {
    /// The most variable genes of the cells of `source`.
    pub(super) fn choose(
        source: &mut dyn CellSource,
        options: &BaselineOptions,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let (_, n_genes) = source.summary().shape(&options.layer)?;
        if options.n_genes == 0 {
            return Err(Error::Option("n_genes is 0, expected at least 1".into()));
        }
        let state = input_state(source, &options.layer)?;
        if state == InputState::Scaled {
            return Err(Error::Option(
                "some values are negative, so variable genes cannot be found; choose a layer with counts"
                    .into(),
            ));
        }
        let flavour = options.flavour.unwrap_or(if state == InputState::Counts {
            VariableFlavour::SeuratV3
        } else {
            VariableFlavour::CellRanger
        });
        let normalise =
            (state != InputState::Log1p && flavour != VariableFlavour::SeuratV3).then_some(TOTAL);
        let config = VariableConfig { normalise, ..VariableConfig::new(options.n_genes, flavour) };
        observer.begin("selecting variable genes", 0);
        let watched = &mut Watched { source, observer };
        let mut genes = variable_genes(watched, &options.layer, None, &config)?.selected;
        genes.sort_unstable();
        let mut numbers = vec![None; n_genes];
        for (number, &gene) in (0..).zip(&genes) {
            numbers[gene] = Some(number);
        }
        Ok(Self { layer: options.layer.clone(), state, genes, numbers })
    }

    /// Columns of the genes, ascending.
    pub(super) fn genes(&self) -> &[usize] {
        &self.genes
    }

    /// What the values were before.
    pub(super) fn input_state(&self) -> InputState {
        self.state
    }

    /// Visits all cells of `source` in blocks: normalised to 10 000 and logged, unless they were.
    pub(super) fn each(
        &self,
        source: &mut dyn CellSource,
        stage: &str,
        observer: &dyn Observer,
        visit: &mut dyn FnMut(Vec<SparseCell>),
    ) -> Result<()> {
        let n_cells = source.summary().n_cells;
        observer.begin(stage, n_cells);
        let mut watched = Watched { source, observer };
        for first in (0..n_cells).step_by(BLOCK) {
            let mut block = watched.read(&self.layer, first..n_cells.min(first + BLOCK))?;
            if self.state != InputState::Log1p {
                normalise_total(&mut block, TOTAL);
                log1p(&mut block);
            }
            visit(self.chosen(&block));
        }
        Ok(())
    }

    /// Of every cell the chosen genes, by their number among the chosen.
    fn chosen(&self, block: &Csr) -> Vec<SparseCell> {
        let cell = |row: CsrRow<'_>| {
            let pairs = row.indices.iter().zip(row.values);
            let chosen = |(&gene, &x)| self.numbers[gene as usize].map(|number| (number, x));
            pairs.filter_map(chosen).unzip()
        };
        block.rows().map(cell).collect()
    }
}
