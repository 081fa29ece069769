//! [`Columns`]: the features that a completed cell has values of, and cells as rows over them.

use std::collections::HashMap;

use scgpt_data::{CellTokens, ConditionToken, GeneToken, Modalities, narrow};

use crate::integrate::cross_modal::part;

/// The features by which cells are integrated, one column each.
pub(super) struct Columns<'a> {
    /// The token of every column.
    pub(super) tokens: &'a [GeneToken],
    /// The modalities of the columns.
    pub(super) modalities: &'a Modalities,
    places: HashMap<GeneToken, usize>,
}

impl<'a> Columns<'a> {
    pub(super) fn new(tokens: &'a [GeneToken], modalities: &'a Modalities) -> Self {
        let places = tokens.iter().copied().zip(0..).collect();
        Self { tokens, modalities, places }
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The columns of a modality, ascending.
    pub(super) fn of(&self, modality: usize) -> Vec<usize> {
        self.modalities.features(modality).collect()
    }

    /// The columns and values of a cell; those without a column are left out.
    pub(super) fn entries(&self, cell: &CellTokens) -> impl Iterator<Item = (usize, f32)> {
        let of = cell.genes.iter().zip(&cell.values);
        of.filter_map(|(gene, &value)| Some((*self.places.get(gene)?, value)))
    }

    /// Puts the values of a cell into its row.
    pub(super) fn fill(&self, row: &mut [f32], cell: &CellTokens) {
        self.entries(cell).for_each(|(column, value)| row[column] = value);
    }

    /// The values of a cell, `[columns]`; zeros where it has none.
    pub(super) fn row(&self, cell: &CellTokens) -> Vec<f32> {
        let mut row = vec![0.0; self.len()];
        self.fill(&mut row, cell);
        row
    }

    /// The values of a cell in a modality, `[features]`.
    pub(super) fn values(&self, cell: &CellTokens, modality: usize) -> Vec<f32> {
        let row = self.row(cell);
        self.of(modality).into_iter().map(|column| row[column]).collect()
    }

    /// The tokens of a cell that are of a modality or, as `<cls>`, of none.
    pub(super) fn only(&self, cell: &CellTokens, modality: usize) -> CellTokens {
        let n = narrow(self.modalities.names().len());
        let modality = ConditionToken(narrow(modality));
        part(cell, |condition| condition == modality || condition.0 >= n)
    }
}

/// The tokens of a cell without those of a modality.
pub(super) fn without(cell: &CellTokens, modality: usize) -> CellTokens {
    part(cell, |condition| condition.0 as usize != modality)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_divided_by_modality_and_laid_out_by_columns() {
        let tokens = [GeneToken(7), GeneToken(3), GeneToken(5)];
        let modalities = Modalities::new(&[Some("A"), Some("B"), Some("A")]).unwrap();
        let columns = Columns::new(&tokens, &modalities);
        // `<cls>` first, then a feature of B and one of A.
        let cell = CellTokens {
            genes: [9, 3, 5].map(GeneToken).to_vec(),
            values: vec![0.0, 2.0, 4.0],
            conditions: Some([3, 1, 0].map(ConditionToken).to_vec()),
            n_available: 2,
        };
        assert_eq!(columns.row(&cell), [0.0, 2.0, 4.0]);
        assert_eq!(columns.of(0), [0, 2]);
        assert_eq!(without(&cell, 0).genes, [9, 3].map(GeneToken));
        assert_eq!(columns.only(&cell, 0).genes, [9, 5].map(GeneToken));
        assert_eq!(columns.only(&cell, 0).conditions.unwrap(), [3, 0].map(ConditionToken));
    }
}
