//! [`CoExpression`]: correlations of genes over cells, the rival of every network.

use scgpt_data::{CellSource, CsrRow};

use super::pairs::Pairs;
use crate::{
    error::Result,
    logged::LoggedCells,
    observe::Observer,
    pca::{Products, SparseCell},
};

/// Pearson correlations of the logarithms of genes, over all cells and over two halves.
#[derive(Clone, Debug, PartialEq)]
pub struct CoExpression {
    /// Of all cells.
    pub all: Pairs,
    /// Of either half.
    pub halves: [Pairs; 2],
    /// The mean of each gene over all cells.
    pub means: Vec<f64>,
}

impl CoExpression {
    /// Of the genes in these `columns`; `is_second` tells the half of every cell. Reads the cells
    /// once; memory is the square of the number of genes. A gene that does not vary correlates with
    /// none (0).
    pub(crate) fn new(
        source: &mut dyn CellSource,
        cells: &LoggedCells,
        columns: &[usize],
        is_second: &[bool],
        observer: &dyn Observer,
    ) -> Result<Self> {
        let (_, n_genes) = source.summary().shape(&cells.layer)?;
        // Products need ascending numbers: those of the columns in order, `places` back to ours.
        let mut order: Vec<usize> = (0..columns.len()).collect();
        order.sort_unstable_by_key(|&gene| columns[gene]);
        let mut numbers = vec![None; n_genes];
        let mut places = vec![0; columns.len()];
        for (number, &gene) in (0_u32..).zip(&order) {
            numbers[columns[gene]] = Some(number);
            places[gene] = number as usize;
        }
        let chosen = |row: CsrRow<'_>| -> SparseCell {
            let pairs = row.indices.iter().zip(row.values);
            pairs.filter_map(|(&gene, &x)| Some((numbers[gene as usize]?, x))).unzip()
        };
        let mut products = [Products::new(columns.len()), Products::new(columns.len())];
        cells.each(source, "correlating genes", observer, &mut |first, block| {
            let mut halves = [Vec::new(), Vec::new()];
            for (cell, row) in (first..).zip(block.rows()) {
                halves[usize::from(is_second[cell])].push(chosen(row));
            }
            products.iter_mut().zip(&halves).for_each(|(half, cells)| half.add(cells));
        })?;
        let pairs = |products: &Products| {
            let n = columns.len();
            let spread: Vec<f64> =
                (0..n).map(|i| products.covariance(i, i).max(0.0).sqrt()).collect();
            Pairs::new(n, |a, b| {
                let (i, j) = (places[a].min(places[b]), places[a].max(places[b]));
                let both = spread[i] * spread[j];
                #[allow(clippy::cast_possible_truncation, reason = "-1 to 1")]
                let r = (products.covariance(i, j) / both.max(f64::MIN_POSITIVE)) as f32;
                // What does not vary has a spread of rounding.
                if spread[i].min(spread[j]) > 1e-9 { r.clamp(-1.0, 1.0) } else { 0.0 }
            })
        };
        let all = products[0].and(&products[1]);
        let means = places.iter().map(|&place| all.mean(place)).collect();
        Ok(Self { all: pairs(&all), halves: products.each_ref().map(pairs), means })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Silent;
    use crate::simulate::{SimulateOptions, Simulation};
    use scgpt_data::{InputState, Layer};

    #[test]
    fn correlations_are_those_of_the_logged_values() {
        let options = SimulateOptions { cells: 90, genes: 40, types: 3, batches: 1, seed: 2 };
        let mut source = Simulation::new(&options, None).unwrap();
        let cells = LoggedCells { layer: Layer::X, state: InputState::Counts };
        let mut dense = vec![Vec::new(); 40];
        cells
            .each(&mut source, "", &Silent, &mut |_, block| {
                for row in block.rows() {
                    for gene in &mut dense {
                        gene.push(0.0);
                    }
                    for (&gene, &x) in row.indices.iter().zip(row.values) {
                        *dense[gene as usize].last_mut().unwrap() = f64::from(x);
                    }
                }
            })
            .unwrap();
        let columns = [7, 3, 30, 12];
        let is_second: Vec<bool> = (0..90).map(|cell| cell % 3 == 0).collect();
        let found = CoExpression::new(&mut source, &cells, &columns, &is_second, &Silent).unwrap();
        for (a, b, r) in found.all.iter() {
            let expected = crate::metrics::pearson(&dense[columns[a]], &dense[columns[b]]);
            assert!((f64::from(r) - expected).abs() < 1e-5, "{a} {b}: {r} {expected}");
        }
        let of_half =
            |gene: usize| -> Vec<f64> { dense[gene].iter().copied().step_by(3).collect() };
        let expected = crate::metrics::pearson(&of_half(3), &of_half(12));
        assert!((f64::from(found.halves[1].get(1, 3)) - expected).abs() < 1e-5);
        let mean = dense[30].iter().sum::<f64>() / 90.0;
        assert!((found.means[2] - mean).abs() < 1e-9);
    }
}
