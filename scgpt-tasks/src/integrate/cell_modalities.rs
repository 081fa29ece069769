//! [`CellModalities`]: what each cell was measured in, and whether that links all modalities.

use scgpt_data::{ATAC, Advice, Measured, Modalities, RNA, Setting, unlinked};
use scgpt_eval::Labels;

use crate::error::{Error, Result};

/// Whether cells of several modalities were measured in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// Each cell was measured in every modality, up to a few that may lack one by chance.
    Paired,
    /// Many cells lack a modality, as where data sets of different assays are joined, but enough were measured
    /// in several to tell how these belong together.
    Mosaic,
    /// Many cells lack a modality, and hardly any was measured in all that belong together.
    Apart,
    /// The same, but a table of links says which features of one modality belong to which of another.
    Linked,
}

impl Pairing {
    /// The same cells, with a table of links.
    #[must_use]
    pub fn with_links(self) -> Self {
        if self == Self::Apart { Self::Linked } else { self }
    }
}

/// Fewer cells that were measured in two modalities do not tell how these belong together.
pub(super) const LINKS: usize = 200;

/// What the columns of a source measure, and what each of its cells was measured in.
///
/// ```
/// use scgpt_data::{Measured, Modalities};
/// use scgpt_tasks::integrate::{CellModalities, Pairing};
///
/// // A gene and a peak, and two cells of which the second has no peaks: too few to tell how they belong together.
/// let modalities = Modalities::new(&[Some("RNA"), Some("ATAC")])?;
/// let mut of_genes = Measured::default();
/// of_genes.insert(0);
/// let mut of_both = of_genes;
/// of_both.insert(1);
/// let cells = CellModalities { modalities, measured: vec![of_both, of_genes] };
/// assert_eq!(cells.pairing(), Pairing::Apart);
///
/// # Ok::<(), scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CellModalities {
    /// The modality of each column of the matrix.
    pub modalities: Modalities,
    /// The modalities that each cell was measured in, in the order of the source.
    pub measured: Vec<Measured>,
}

impl CellModalities {
    /// Whether the cells are a mosaic: more than a twentieth of them lack a modality. A cell of
    /// paired data may have no value of one by chance.
    pub fn pairing(&self) -> Pairing {
        let all = self.modalities.names().len();
        let lacking = self.measured.iter().filter(|measured| measured.len() < all).count();
        if lacking * 20 <= self.measured.len() {
            return Pairing::Paired;
        }
        let leading = self.leading_of_mosaic();
        let is_linked = |modality: usize| {
            let both = |cell: &&Measured| cell.contains(leading) && cell.contains(modality);
            self.measured.iter().filter(both).count() >= LINKS
        };
        if (0..all).all(is_linked) { Pairing::Mosaic } else { Pairing::Apart }
    }

    /// Checks that all modalities are linked to each other: by cells, by batches, or because they are `linked` anyway.
    pub(super) fn check(&self, batches: Option<&Labels>, linked: Measured) -> Result<()> {
        let codes = batches.map(|batches| batches.codes.iter().flatten().copied().collect());
        let codes: Option<Vec<u32>> = codes;
        let names = self.modalities.names();
        // As if there were one cell more, of no batch.
        let measured: Vec<Measured> = self.measured.iter().copied().chain([linked]).collect();
        let Some(alone) = unlinked(names.len(), &measured, codes.as_deref()) else {
            return Ok(());
        };
        let others: Vec<&str> =
            names.iter().enumerate().filter(|of| of.0 != alone).map(|of| of.1.as_str()).collect();
        let problem = format!(
            "no cell and no batch was measured in {} and in any of {}: nothing tells how they belong together",
            names[alone],
            others.join(", ")
        );
        Err(Error::unsuited(
            problem,
            Advice::from(
                "add cells that were measured in both, check that the inputs name the same cells alike, name another \
                 column by ",
            ) + Setting("batch_key")
                + ", or say which features belong to which genes by "
                + Setting("links"),
        ))
    }

    /// Numbers of the modalities that tell cells apart best, by which the others are looked at: of paired
    /// cells all but open chromatin, which is shallow; in a mosaic gene expression, or else the modality of
    /// most cells.
    pub(super) fn leading(&self) -> Vec<usize> {
        let names = self.modalities.names();
        let deep: Vec<usize> = (0..names.len()).filter(|&it| names[it] != ATAC).collect();
        if self.pairing() == Pairing::Paired && !deep.is_empty() {
            return deep;
        }
        vec![self.leading_of_mosaic()]
    }

    fn leading_of_mosaic(&self) -> usize {
        let all = 0..self.modalities.names().len();
        let most = || all.max_by_key(|&it| self.cells(it).len()).unwrap_or(0);
        self.modalities.position(RNA).unwrap_or_else(most)
    }

    /// Numbers of the cells that were measured in a modality, ascending.
    pub(super) fn cells(&self, modality: usize) -> Vec<usize> {
        let of = self.measured.iter().enumerate();
        of.filter(|(_, measured)| measured.contains(modality)).map(|(cell, _)| cell).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many cells of each group as are given, and the modalities each was measured in.
    fn cells(names: &[&str], groups: &[(usize, &[usize])]) -> CellModalities {
        let of: Vec<Option<&str>> = names.iter().copied().map(Some).collect();
        let modalities = Modalities::new(&of).unwrap();
        let measured = groups.iter().flat_map(|(n, of)| {
            let mut cell = Measured::default();
            of.iter().for_each(|name| cell.insert(*name));
            std::iter::repeat_n(cell, *n)
        });
        CellModalities { modalities, measured: measured.collect() }
    }

    #[test]
    fn what_cells_share_says_how_they_pair_and_which_modality_leads() {
        // ATAC is modality 0, RNA modality 1.
        let of = |groups: &[(usize, &[usize])]| cells(&[ATAC, RNA], groups);
        let paired = of(&[(95, &[0, 1]), (5, &[1])]);
        assert_eq!((paired.pairing(), paired.leading()), (Pairing::Paired, vec![1]));
        let mosaic = of(&[(LINKS, &[0, 1]), (LINKS, &[0]), (LINKS, &[1])]);
        assert_eq!((mosaic.pairing(), mosaic.leading()), (Pairing::Mosaic, vec![1]));
        let apart = of(&[(LINKS - 1, &[0, 1]), (LINKS, &[0]), (LINKS, &[1])]);
        assert_eq!(apart.pairing(), Pairing::Apart);
        // Of cells that have nothing in common, a table may say how they belong together.
        let disjoint = of(&[(5, &[0]), (5, &[1])]);
        let mut both = Measured::default();
        both.insert(0);
        both.insert(1);
        assert!(disjoint.check(None, Measured::default()).is_err());
        disjoint.check(None, both).unwrap();
        assert_eq!(disjoint.pairing().with_links(), Pairing::Linked);
        assert_eq!(paired.pairing().with_links(), Pairing::Paired);
        // Proteins tell cells apart as genes do; without genes, what most cells have leads a mosaic.
        let proteins = cells(&[ATAC, "Protein", RNA], &[(9, &[0, 1, 2])]);
        assert_eq!(proteins.leading(), [1, 2]);
        let without_genes = cells(&[ATAC, "Protein"], &[(9, &[0]), (200, &[0, 1])]);
        assert_eq!(without_genes.leading(), [1]);
        let many = cells(&[ATAC, "Protein"], &[(90, &[0]), (200, &[0, 1])]);
        assert_eq!((many.pairing(), many.leading()), (Pairing::Mosaic, vec![0]));
    }
}
