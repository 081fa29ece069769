//! [`CellModalities`]: what each cell was measured in, and whether that links all modalities.

use scgpt_data::{Advice, Measured, Modalities, Setting, unlinked};
use scgpt_eval::Labels;

use crate::error::{Error, Result};

/// Whether cells of several modalities were measured in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// Each cell was measured in every modality, up to a few that may lack one by chance.
    Paired,
    /// Many cells lack a modality, as where data sets of different assays are joined.
    Mosaic,
}

/// What the columns of a source measure, and what each of its cells was measured in.
///
/// ```
/// use scgpt_data::{Measured, Modalities};
/// use scgpt_tasks::integrate::{CellModalities, Pairing};
///
/// // A gene and a peak, and two cells of which the second has no peaks.
/// let modalities = Modalities::new(&[Some("RNA"), Some("ATAC")])?;
/// let mut of_genes = Measured::default();
/// of_genes.insert(0);
/// let mut of_both = of_genes;
/// of_both.insert(1);
/// let cells = CellModalities { modalities, measured: vec![of_both, of_genes] };
/// assert_eq!(cells.pairing(), Pairing::Mosaic);
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
        if lacking * 20 > self.measured.len() { Pairing::Mosaic } else { Pairing::Paired }
    }

    /// Checks that cells or batches link all modalities to each other.
    pub(super) fn check(&self, batches: Option<&Labels>) -> Result<()> {
        let codes = batches.map(|batches| batches.codes.iter().flatten().copied().collect());
        let codes: Option<Vec<u32>> = codes;
        let names = self.modalities.names();
        let Some(alone) = unlinked(names.len(), &self.measured, codes.as_deref()) else {
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
                "add cells that were measured in both, check that the inputs name the same cells alike, or name \
                 another column by ",
            ) + Setting("batch_key"),
        ))
    }

    /// Numbers of the cells that were measured in a modality, ascending.
    pub(super) fn cells(&self, modality: usize) -> Vec<usize> {
        let of = self.measured.iter().enumerate();
        of.filter(|(_, measured)| measured.contains(modality)).map(|(cell, _)| cell).collect()
    }
}
