//! [`GeneSubset`]: some genes of a source, as a source.

use std::ops::Range;

use crate::{
    cell_source::CellSource,
    csr::{Csr, CsrRow},
    error::{Error, Result},
    frame::Frame,
    summary::{Layer, Summary},
};

/// Chosen genes of one matrix of another source, in its order.
///
/// ```
/// use scgpt_data::{CellSource as _, Csr, Frame, GeneSubset, Layer, MemoryCells};
///
/// let matrix = Csr::of_rows(2, [(vec![0], vec![3.0]), (vec![1], vec![5.0])])?;
/// let (obs, var) = (Frame::of_names(["a", "b"]), Frame::of_names(["CD3D", "CD4"]));
/// let mut all = MemoryCells::of(matrix, obs, var)?;
///
/// let mut second = GeneSubset::new(&mut all, &Layer::X, vec![1])?;
/// assert_eq!(second.read(&Layer::X, 0..2)?.values(), [5.0]);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[allow(missing_debug_implementations, reason = "the source cannot be printed")]
pub struct GeneSubset<'a> {
    source: &'a mut dyn CellSource,
    genes: Vec<usize>,
    /// The number of each column among the chosen.
    numbers: Vec<Option<u32>>,
    summary: Summary,
}

impl<'a> GeneSubset<'a> {
    /// A view of the columns `genes` of `layer`, in ascending order; it offers no other matrix.
    ///
    /// # Errors
    /// If there is no such matrix.
    ///
    /// # Panics
    /// If the genes do not ascend, or there is no such gene.
    pub fn new(source: &'a mut dyn CellSource, layer: &Layer, genes: Vec<usize>) -> Result<Self> {
        let (_, n_genes) = source.summary().shape(layer)?;
        assert!(genes.is_sorted_by(|a, b| a < b), "genes ascend");
        assert!(genes.last().is_none_or(|&last| last < n_genes), "one of {n_genes} genes");
        let mut numbers = vec![None; n_genes];
        for (number, &gene) in (0..).zip(&genes) {
            numbers[gene] = Some(number);
        }
        // Other genes may be other values.
        let mut summary = Summary { values: None, ..source.summary().clone() };
        summary.matrices.retain(|matrix| matrix.layer == *layer);
        for matrix in &mut summary.matrices {
            matrix.n_genes = genes.len();
        }
        Ok(Self { source, genes, numbers, summary })
    }
}

impl CellSource for GeneSubset<'_> {
    crate::forward!(source: obs, read_obsm, read_lists, unread);

    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn var(&self, layer: &Layer) -> Result<Frame> {
        self.summary.shape(layer)?;
        Ok(self.source.var(layer)?.pick(&self.genes))
    }

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr> {
        self.summary.shape(layer)?;
        let block = self.source.read(layer, rows)?;
        let chosen = |row: CsrRow<'_>| {
            let pairs = row.indices.iter().zip(row.values);
            pairs.filter_map(|(&gene, &x)| Some((self.numbers[gene as usize]?, x))).unzip()
        };
        Csr::of_rows(self.genes.len(), block.rows().map(chosen))
            .map_err(|problem| Error::invalid(&self.summary.path, layer.to_string(), problem))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "copied")]

    use super::*;
    use crate::{Column, MemoryCells};

    #[test]
    fn genes_keep_their_names_and_values() {
        let rows = [(vec![0, 1], vec![1.0, 2.0]), (vec![1, 2], vec![3.0, 4.0])];
        let matrix = Csr::of_rows(3, rows).unwrap();
        let column = Column::Integer(vec![Some(1), Some(2), Some(3)]);
        let var = Frame { columns: vec![("n".into(), column)], ..Frame::of_names(["A", "B", "C"]) };
        let two = MemoryCells::of(matrix.clone(), Frame::of_names(["a", "b"]), var).unwrap();
        let mut two = two.with_layer(Layer::Raw, matrix).unwrap();
        let mut subset = GeneSubset::new(&mut two, &Layer::X, vec![0, 2]).unwrap();
        let var = subset.var(&Layer::X).unwrap();
        assert_eq!(var.index, ["A", "C"]);
        assert_eq!(var.column("n"), Some(&Column::Integer(vec![Some(1), Some(3)])));
        let block = subset.read(&Layer::X, 0..2).unwrap();
        assert_eq!(
            (block.n_genes(), block.indices(), block.values()),
            (2, &[0, 1][..], &[1.0, 4.0][..])
        );
        assert!(subset.read(&Layer::Raw, 0..2).is_err());
        assert!(GeneSubset::new(&mut two, &Layer::Named("counts".into()), vec![0]).is_err());
    }
}
