//! [`Selection`]: the cells and the genes that networks are of, chosen before any cell is looked at.

use scgpt_data::{Alignment, CellSource, CellSubset, GeneVocab, Observer, Setting};
use scgpt_eval::network::TrueEdges;
use scgpt_stats::halves;

use super::{
    AttentionOptions,
    cells::{GenePanel, Groups},
};
use crate::error::Result;

/// Groups of cells, their genes, and what is known to be true of these.
pub(super) struct Selection {
    pub(super) groups: Groups,
    /// The chosen cells, ascending, each with its group (0 or 1).
    pub(super) cells: Vec<(usize, usize)>,
    /// For every cell of the source a number made of its name, by which random choices are keyed.
    pub(super) of_names: Vec<u64>,
    /// Whether each cell of the source is in the second half of the cells, by its name.
    pub(super) is_second: Vec<bool>,
    pub(super) panel: GenePanel,
    pub(super) truth: Option<TrueEdges>,
}

impl Selection {
    /// Chooses cells and genes as the options say, of those genes that the vocabulary knows.
    ///
    /// # Errors
    /// As [`Groups::choose`] and [`GenePanel::choose`]; if the truth has no gene in common with the panel.
    pub(super) fn of(
        source: &mut dyn CellSource,
        vocab: &GeneVocab,
        alignment: &Alignment,
        options: &AttentionOptions<'_>,
        observer: &dyn Observer,
    ) -> Result<Self> {
        if options.max_cells == 0 {
            return Err(Setting("max_cells").zero().into());
        }
        let obs = source.obs()?;
        let groups = Groups::choose(&obs, options)?;
        let of_names = obs.cell_keys();
        let is_second = halves(&of_names, options.seed);
        let mut cells: Vec<(usize, usize)> = (0..2)
            .flat_map(|group| groups.cells[group].iter().map(move |&cell| (cell, group)))
            .collect();
        cells.sort_unstable();
        let mut chosen = CellSubset::new(source, numbers(&cells));
        observer.begin("choosing genes", 0);
        let panel = GenePanel::choose(&mut chosen, vocab, alignment, options)?;
        let truth = options.truth.map(|truth| TrueEdges::among(truth, &panel.names)).transpose()?;
        Ok(Self { groups, cells, of_names, is_second, panel, truth })
    }

    /// Numbers of the chosen cells.
    pub(super) fn numbers(&self) -> Vec<usize> {
        numbers(&self.cells)
    }
}

fn numbers(cells: &[(usize, usize)]) -> Vec<usize> {
    cells.iter().map(|(cell, _)| *cell).collect()
}
