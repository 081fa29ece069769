//! [`VariableExpression`]: cells by the logarithms of their most variable genes.

use scgpt_data::{
    CellSource, Csr, CsrRow, InputState, Layer, LoggedCells, Observer, Result, Setting,
    VariableConfig, Watched, flavour_of, unscaled, variable_genes,
};
use scgpt_stats::{Products, SparseCell};

use super::{BaselineOptions, HvgPca};

/// The most variable genes of some cells; it reads any cells of the same source layout by these
/// genes.
#[derive(Clone, Debug)]
pub(super) struct VariableExpression {
    cells: LoggedCells,
    /// Columns of the genes, ascending.
    genes: Vec<usize>,
    /// The number of each column among `genes`.
    numbers: Vec<Option<u32>>,
    /// What the logarithms of each gene are multiplied by, and what they are at most then; nothing unless
    /// they are [scaled](Self::scaled).
    scales: Option<Vec<(f64, f64)>>,
}

/// Standard deviations above the mean that a scaled value has at most.
const MOST_DEVIATIONS: f64 = 10.0;

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
        let normalise = flavour.wants_logarithms().then_some(cells.scale);
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
        Self { cells, genes, numbers, scales: None }
    }

    /// Genes of other cells, each in its column there; one that has none is not measured.
    pub(super) fn placed(columns: &[Option<usize>], n_columns: usize, cells: LoggedCells) -> Self {
        let mut numbers = vec![None; n_columns];
        for (number, column) in (0..).zip(columns) {
            if let Some(column) = *column {
                numbers[column] = Some(number);
            }
        }
        Self { cells, genes: columns.iter().copied().flatten().collect(), numbers, scales: None }
    }

    /// The same genes, each divided by its standard deviation over the cells of `source`, and cut off ten
    /// deviations above its mean.
    ///
    /// The mean itself is not taken away, so that zeros stay what they are: principal components are of
    /// centred values anyhow. Genes that never vary become zeros.
    ///
    /// # Reference
    /// `scanpy.pp.scale(max_value=10)`.
    pub(super) fn scaled(
        mut self,
        source: &mut dyn CellSource,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let n = source.summary().n_cells as f64;
        let (mut sums, mut squares) = (vec![0.0; self.genes.len()], vec![0.0; self.genes.len()]);
        self.each(source, "scaling genes", observer, &mut |cells| {
            for (&gene, &x) in cells.iter().flat_map(|(genes, values)| genes.iter().zip(values)) {
                sums[gene as usize] += f64::from(x);
                squares[gene as usize] += f64::from(x).powi(2);
            }
        })?;
        let scale = |(sum, square): (&f64, &f64)| {
            let mean = sum / n;
            let variance = (square - n * mean * mean) / (n - 1.0).max(1.0);
            // Below this, a variance is rounding.
            let is_constant = variance <= 1e-12 * square / n;
            let factor = if is_constant { 0.0 } else { variance.sqrt().recip() };
            (factor, mean * factor + MOST_DEVIATIONS)
        };
        self.scales = Some(sums.iter().zip(&squares).map(scale).collect());
        Ok(self)
    }

    /// Columns of the genes, ascending.
    pub(super) fn genes(&self) -> &[usize] {
        &self.genes
    }

    /// What the values were as they were read.
    pub(super) fn input_state(&self) -> InputState {
        self.cells.scale.from.state
    }

    /// Positions of the cells of `source` by up to `n` principal components of the genes.
    pub(super) fn principal(
        &self,
        source: &mut dyn CellSource,
        n: usize,
        observer: &dyn Observer,
    ) -> Result<HvgPca> {
        if n == 0 {
            return Err(Setting("n_components").zero().into());
        }
        let mut products = Products::new(self.genes.len());
        self.each(source, "finding principal components", observer, &mut |cells| {
            products.add(&cells);
        })?;
        let principal = products.principal(n, observer)?;
        let mut rows = Vec::with_capacity(source.summary().n_cells * principal.n());
        self.each(source, "projecting cells", observer, &mut |cells| {
            for (genes, values) in &cells {
                rows.extend(principal.project(genes, values));
            }
        })?;
        Ok(HvgPca {
            rows,
            n_components: principal.n(),
            shares: principal.shares().to_vec(),
            genes: self.genes.clone(),
            input_state: self.input_state(),
        })
    }

    /// Calls `visit` with all cells of `source` in blocks, normalised to 10 000 and logged unless
    /// they are already, and scaled if they are to be.
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
            let chosen = |(&gene, &x): (&u32, &f32)| {
                let number = self.numbers[gene as usize]?;
                let Some(scales) = &self.scales else { return Some((number, x)) };
                let (factor, most) = scales[number as usize];
                #[allow(clippy::cast_possible_truncation, reason = "as narrow as the values")]
                let scaled = (f64::from(x) * factor).min(most) as f32;
                Some((number, scaled))
            };
            pairs.filter_map(chosen).unzip()
        };
        block.rows().map(cell).collect()
    }
}

#[cfg(test)]
mod tests {
    use scgpt_data::{Frame, MemoryCells, Silent};

    use super::*;

    #[test]
    fn scaled_values_have_unit_variance_and_outliers_are_cut_off() {
        // A gene of a few values, one that a single cell of 400 has, and one that all cells have alike.
        let row = |cell: usize| {
            let rare = if cell == 0 { 9.0 } else { 0.0 };
            (vec![0, 1, 2], vec![[1.0, 2.0, 4.0][cell % 3], rare, 1.0])
        };
        let matrix = Csr::of_rows(3, (0..400).map(row)).unwrap();
        let obs = Frame::of_names((0..400).map(|cell| format!("cell{cell}")));
        let mut source = MemoryCells::of(matrix, obs, Frame::of_names(["A", "B", "C"])).unwrap();
        let mut all = VariableExpression::all(&mut source, &Layer::X).unwrap();
        // Values as they are, so that they can be computed by hand.
        all.cells.scale.from = InputState::Log1p.into();
        let scaled = all.scaled(&mut source, &Silent).unwrap();
        let mut values = vec![Vec::new(); 3];
        let visit = &mut |cells: Vec<SparseCell>| {
            for (genes, row) in cells {
                genes
                    .iter()
                    .zip(row)
                    .for_each(|(&gene, x)| values[gene as usize].push(f64::from(x)));
            }
        };
        scaled.each(&mut source, "", &Silent, visit).unwrap();
        let mean = values[0].iter().sum::<f64>() / 400.0;
        let variance = values[0].iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 399.0;
        assert!((variance - 1.0).abs() < 1e-6, "{variance}");
        // One of 400 is 20 deviations above the mean, of which ten and the mean remain: the deviation is 9/20, the
        // mean 9/400.
        assert!((values[1][0] - (10.0 + 20.0 / 400.0)).abs() < 1e-6, "{}", values[1][0]);
        assert!(values[2].iter().all(|x| x.abs() < 1e-12));
    }
}
