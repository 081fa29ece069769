//! [`VariableExpression`]: cells by the logarithms of their most variable genes.

use scgpt_data::{
    CellSource, Csr, CsrRow, InputState, VariableConfig, VariableFlavour, variable_genes,
};

use super::BaselineOptions;
use crate::{
    embed::input_state,
    error::{Error, Result},
    logged::LoggedCells,
    observe::{Observer, Watched},
    pca::SparseCell,
};

/// Sum to which counts are normalised before genes are selected.
const TOTAL: f64 = 1e4;

/// The most variable genes of some cells; gives these and other cells of the same genes by them.
#[derive(Clone, Debug)]
pub(super) struct VariableExpression {
    cells: LoggedCells,
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
        let cells = LoggedCells { layer: options.layer.clone(), state };
        Ok(Self { cells, genes, numbers })
    }

    /// Columns of the genes, ascending.
    pub(super) fn genes(&self) -> &[usize] {
        &self.genes
    }

    /// What the values were before.
    pub(super) fn input_state(&self) -> InputState {
        self.cells.state
    }

    /// Visits all cells of `source` in blocks: normalised to 10 000 and logged, unless they were.
    pub(super) fn each(
        &self,
        source: &mut dyn CellSource,
        stage: &str,
        observer: &dyn Observer,
        visit: &mut dyn FnMut(Vec<SparseCell>),
    ) -> Result<()> {
        self.cells.each(source, stage, observer, &mut |_, block| visit(self.chosen(block)))
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
