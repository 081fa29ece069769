//! [`VariableExpression`]: cells by the logarithms of their most variable genes.

use scgpt_data::{
    CellSource, Csr, CsrRow, InputState, Layer, LoggedCells, Observer, Result, Setting,
    VariableConfig, VariableFlavour, Watched, flavour_of, unscaled, variable_genes,
};
use scgpt_stats::SparseCell;

use super::BaselineOptions;

/// The most variable genes of some cells; it reads any cells of the same source layout by these
/// genes.
#[derive(Clone, Debug)]
pub(super) struct VariableExpression {
    cells: LoggedCells,
    /// Columns of the genes, ascending.
    genes: Vec<usize>,
    /// The number of each column among `genes`.
    numbers: Vec<Option<u32>>,
}

impl VariableExpression {
    /// Takes all genes of the cells of `source`.
    pub(super) fn all(source: &mut dyn CellSource, layer: &Layer) -> Result<Self> {
        let (_, n_genes) = source.summary().shape(layer)?;
        let cells = LoggedCells::new(layer, unscaled(source, layer)?);
        Ok(Self::of((0..n_genes).collect(), n_genes, cells))
    }

    /// Chooses the most variable genes of the cells of `source`; with `batches`, those most
    /// variable within most batches.
    pub(super) fn choose(
        source: &mut dyn CellSource,
        options: &BaselineOptions,
        batches: Option<&[usize]>,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let (_, n_genes) = source.summary().shape(&options.layer)?;
        if options.n_genes == 0 {
            return Err(Setting("n_genes").zero().into());
        }
        let cells = LoggedCells::new(&options.layer, unscaled(source, &options.layer)?);
        let flavour = options.flavour.unwrap_or(flavour_of(cells.scale.from.state));
        let normalise = (flavour != VariableFlavour::SeuratV3).then_some(cells.scale);
        let config = VariableConfig { normalise, ..VariableConfig::new(options.n_genes, flavour) };
        observer.begin("selecting variable genes", 0);
        let watched = &mut Watched { source, observer };
        #[allow(clippy::cast_possible_truncation, reason = "no more batches than cells")]
        let batches: Option<Vec<u32>> =
            batches.map(|batches| batches.iter().map(|&batch| batch as u32).collect());
        let found = variable_genes(watched, &options.layer, batches.as_deref(), &config)?;
        let mut genes = found.selected;
        genes.sort_unstable();
        Ok(Self::of(genes, n_genes, cells))
    }

    fn of(genes: Vec<usize>, n_genes: usize, cells: LoggedCells) -> Self {
        let mut numbers = vec![None; n_genes];
        for (number, &gene) in (0..).zip(&genes) {
            numbers[gene] = Some(number);
        }
        Self { cells, genes, numbers }
    }

    /// Columns of the genes, ascending.
    pub(super) fn genes(&self) -> &[usize] {
        &self.genes
    }

    /// What the values were as they were read.
    pub(super) fn input_state(&self) -> InputState {
        self.cells.scale.from.state
    }

    /// Calls `visit` with all cells of `source` in blocks, normalised to 10 000 and logged unless
    /// they are already.
    pub(super) fn each(
        &self,
        source: &mut dyn CellSource,
        stage: &str,
        observer: &dyn Observer,
        visit: &mut dyn FnMut(Vec<SparseCell>),
    ) -> Result<()> {
        self.cells.each(source, stage, observer, &mut |_, block| visit(self.chosen(block)))
    }

    /// The chosen genes of every cell, each by its number among the chosen.
    fn chosen(&self, block: &Csr) -> Vec<SparseCell> {
        let cell = |row: CsrRow<'_>| {
            let pairs = row.indices.iter().zip(row.values);
            let chosen = |(&gene, &x)| self.numbers[gene as usize].map(|number| (number, x));
            pairs.filter_map(chosen).unzip()
        };
        block.rows().map(cell).collect()
    }
}
