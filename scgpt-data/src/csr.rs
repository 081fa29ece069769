//! [`Csr`]: a validated compressed-sparse-row block of expression values, cells × genes.

use std::ops::Range;

/// Compressed sparse rows: cell `i` owns `indptr[i]..indptr[i + 1]` of `indices` and `values`.
///
/// Within a row the gene indices are strictly increasing, so every (cell, gene) occurs at most
/// once. Stored zeros are allowed and mean zero.
///
/// ```
/// use scgpt_data::Csr;
///
/// let block = Csr::new(3, vec![0, 2, 2], vec![0, 2], vec![4.0, 1.0])?;
/// assert_eq!((block.n_cells(), block.n_genes(), block.n_stored()), (2, 3, 2));
/// assert_eq!(block.row(0).indices, [0, 2]);
/// # Ok::<_, String>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Csr {
    n_genes: usize,
    indptr: Vec<usize>,
    indices: Vec<u32>,
    values: Vec<f32>,
}

/// One cell of a [`Csr`]: parallel gene indices and values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CsrRow<'a> {
    /// Gene (column) indices, strictly increasing.
    pub indices: &'a [u32],
    /// Expression values, parallel to `indices`.
    pub values: &'a [f32],
}

impl Csr {
    /// Builds a block from its parts, `n_cells + 1` offsets and parallel gene indices and values;
    /// rows with unsorted indices are sorted.
    ///
    /// # Errors
    /// A sentence naming the first violation: offsets that decrease or do not match the data,
    /// an index of `n_genes` or more, or a gene that occurs twice in a cell.
    pub fn new(
        n_genes: usize,
        indptr: Vec<usize>,
        indices: Vec<u32>,
        values: Vec<f32>,
    ) -> Result<Self, String> {
        match Self::adding_up(n_genes, indptr, indices, values)? {
            (_, Some((cell, gene))) => Err(format!("row {cell} holds column {gene} twice")),
            (csr, None) => Ok(csr),
        }
    }

    /// As [`new`](Self::new), but the values of a gene that occurs several times in a cell are
    /// added up, as SciPy does. The first such cell and gene are returned beside the block.
    ///
    /// # Errors
    /// As for [`new`](Self::new), but for genes that occur twice.
    pub(crate) fn adding_up(
        n_genes: usize,
        mut indptr: Vec<usize>,
        mut indices: Vec<u32>,
        mut values: Vec<f32>,
    ) -> Result<(Self, Option<(usize, u32)>), String> {
        if indptr.first() != Some(&0) {
            return Err("indptr must begin with 0".into());
        }
        if indices.len() != values.len() || indptr.last() != Some(&indices.len()) {
            return Err(format!(
                "indptr ends at {}, but there are {} indices and {} values",
                indptr.last().copied().unwrap_or(0),
                indices.len(),
                values.len()
            ));
        }
        let mut twice = None;
        for (cell, ends) in indptr.windows(2).enumerate() {
            let [begin, end] = [ends[0], ends[1]];
            if begin > end {
                return Err(format!("indptr decreases at row {cell} ({begin} > {end})"));
            }
            let genes = &mut indices[begin..end];
            if !genes.windows(2).all(|pair| pair[0] < pair[1]) {
                let mut pairs: Vec<(u32, f32)> =
                    genes.iter().copied().zip(values[begin..end].iter().copied()).collect();
                pairs.sort_by_key(|pair| pair.0);
                if let Some(same) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                    twice.get_or_insert((cell, same[0].0));
                }
                for (position, (gene, value)) in pairs.into_iter().enumerate() {
                    genes[position] = gene;
                    values[begin + position] = value;
                }
            }
            if let Some(&last) = genes.last()
                && last as usize >= n_genes
            {
                return Err(format!(
                    "row {cell} holds column {last}, but there are only {n_genes} columns"
                ));
            }
        }
        if twice.is_some() {
            merge(&mut indptr, &mut indices, &mut values);
        }
        Ok((Self { n_genes, indptr, indices, values }, twice))
    }

    /// Builds a block from its rows, each a list of gene indices and one of their values.
    ///
    /// # Errors
    /// What [`new`](Self::new) reports.
    pub fn of_rows(
        n_genes: usize,
        rows: impl IntoIterator<Item = (Vec<u32>, Vec<f32>)>,
    ) -> std::result::Result<Self, String> {
        let (mut indptr, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
        for (genes, of_row) in rows {
            indices.extend(genes);
            values.extend(of_row);
            indptr.push(indices.len());
        }
        Self::new(n_genes, indptr, indices, values)
    }

    /// Number of cells.
    pub fn n_cells(&self) -> usize {
        self.indptr.len().saturating_sub(1)
    }

    /// Number of genes (columns).
    pub fn n_genes(&self) -> usize {
        self.n_genes
    }

    /// Number of stored entries.
    pub fn n_stored(&self) -> usize {
        self.values.len()
    }

    /// Row offsets, `n_cells + 1` of them.
    pub fn indptr(&self) -> &[usize] {
        &self.indptr
    }

    /// Gene indices of all rows.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// Values of all rows.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Takes the block apart: row offsets, gene indices and values.
    pub fn into_parts(self) -> (Vec<usize>, Vec<u32>, Vec<f32>) {
        (self.indptr, self.indices, self.values)
    }

    /// One cell: its gene indices and values.
    ///
    /// # Panics
    /// If `cell` is not below [`n_cells`](Self::n_cells).
    pub fn row(&self, cell: usize) -> CsrRow<'_> {
        let Range { start, end } = self.indptr[cell]..self.indptr[cell + 1];
        CsrRow { indices: &self.indices[start..end], values: &self.values[start..end] }
    }

    /// The values of one cell, to change in place.
    ///
    /// # Panics
    /// If `cell` is not below [`n_cells`](Self::n_cells).
    pub fn row_values_mut(&mut self, cell: usize) -> &mut [f32] {
        &mut self.values[self.indptr[cell]..self.indptr[cell + 1]]
    }

    /// All cells in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = CsrRow<'_>> {
        (0..self.n_cells()).map(|cell| self.row(cell))
    }
}

/// Adds up neighbours with the same gene in each row.
fn merge(indptr: &mut [usize], indices: &mut Vec<u32>, values: &mut Vec<f32>) {
    let (mut kept, mut begin) = (0, 0);
    for end in indptr.iter_mut().skip(1) {
        let first = kept;
        for at in begin..*end {
            if kept > first && indices[kept - 1] == indices[at] {
                values[kept - 1] += values[at];
            } else {
                indices[kept] = indices[at];
                values[kept] = values[at];
                kept += 1;
            }
        }
        (begin, *end) = (*end, kept);
    }
    indices.truncate(kept);
    values.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_views_and_unsorted_rows_are_sorted() {
        let csr = Csr::new(4, vec![0, 2, 2, 3], vec![3, 1, 0], vec![5.0, 2.0, 7.0]).unwrap();
        assert_eq!(csr.n_cells(), 3);
        assert_eq!(csr.row(0), CsrRow { indices: &[1, 3], values: &[2.0, 5.0] });
        assert_eq!(csr.row(1).values, &[] as &[f32]);
    }

    #[test]
    fn values_of_one_gene_are_added_up() {
        let indices = vec![2, 0, 2, 1, 3, 3, 3];
        let values = vec![1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 3.0];
        let (csr, twice) = Csr::adding_up(4, vec![0, 3, 3, 7], indices, values).unwrap();
        assert_eq!(twice, Some((0, 2)));
        assert_eq!(csr.indptr(), [0, 2, 2, 4]);
        assert_eq!(csr.row(0), CsrRow { indices: &[0, 2], values: &[2.0, 5.0] });
        assert_eq!(csr.row(2), CsrRow { indices: &[1, 3], values: &[8.0, 6.0] });
        let (same, twice) = Csr::adding_up(4, vec![0, 1], vec![3], vec![1.0]).unwrap();
        assert_eq!((same.values(), twice), ([1.0].as_slice(), None));
    }

    #[test]
    fn broken_parts_are_named() {
        let error = |indptr: Vec<usize>, indices: Vec<u32>| {
            let values = vec![1.0; indices.len()];
            Csr::new(2, indptr, indices, values).unwrap_err()
        };
        assert!(error(vec![0, 2, 1, 2], vec![0, 1]).contains("decreases at row 1"));
        assert!(error(vec![0, 1], vec![2]).contains("only 2 columns"));
        assert!(error(vec![0, 2], vec![1, 1]).contains("column 1 twice"));
        assert!(error(vec![0, 3], vec![1]).contains("ends at 3"));
        assert!(error(vec![1, 1], vec![]).contains("begin with 0"));
    }
}
