//! Importances of genes in extremely randomised trees that predict each gene from all others.
//!
//! Cuts are drawn, not searched for: of √p genes, one threshold each, the best is taken. That is
//! nearly as good as a random forest (Geurts et al. 2006) and needs no sorted values. Targets are
//! computed in parallel; all take time with genes^1.5 · cells · depth · trees.

use rayon::prelude::*;
use scgpt_data::{Keyed, Observer, Purpose, Result};

use super::GeneProfiles;

/// Trees for each gene.
const TREES: u64 = 50;
/// Nodes with fewer cells, and deeper ones, are leaves.
const FEWEST: usize = 10;
const DEEPEST: usize = 8;

/// Importances of standardised genes, `[sources, targets]`: the share of a target's variance that
/// the cuts at a source explain, averaged over the trees.
///
/// # Errors
/// If the observer cancels, which is asked for each target.
pub(super) fn importances(
    standardised: &GeneProfiles,
    seed: u64,
    observer: &dyn Observer,
) -> Result<Vec<f32>> {
    let n = standardised.n_genes;
    let of_target = |target| {
        observer.check_cancelled()?;
        of_target(standardised, target, seed, observer)
    };
    let by_target: Vec<Vec<f32>> = (0..n).into_par_iter().map(of_target).collect::<Result<_>>()?;
    Ok((0..n * n).map(|place| by_target[place % n][place / n]).collect())
}

/// The importance of every gene for one target; zeros if the target does not vary.
#[allow(clippy::cast_possible_truncation, reason = "computed wide, stored narrow")]
fn of_target(
    profiles: &GeneProfiles,
    target: usize,
    seed: u64,
    observer: &dyn Observer,
) -> Result<Vec<f32>> {
    let mut gains = vec![0.0_f64; profiles.n_genes];
    if profiles.n_genes > 1 && profiles.row(target).iter().any(|&y| y != 0.0) {
        let mut cells: Vec<u32> = (0..).take(profiles.n_cells).collect();
        for tree in 0..TREES {
            observer.check_cancelled()?;
            let key = Keyed::new(seed, Purpose::Forest, tree, target as u64);
            Growing { profiles, target, key, drawn: 0, gains: &mut gains }.grow(&mut cells, 0);
        }
    }
    Ok(gains.into_iter().map(|gain| (gain / TREES as f64) as f32).collect())
}

/// A tree while it grows. The tree is never kept, only what its cuts gain.
struct Growing<'a> {
    profiles: &'a GeneProfiles,
    target: usize,
    key: Keyed,
    /// Random numbers used so far.
    drawn: u64,
    gains: &'a mut [f64],
}

/// A way to part the cells of a node.
struct Cut {
    gene: usize,
    threshold: f32,
    gain: f64,
}

impl Growing<'_> {
    /// Grows the part of a tree below a node that has those cells, which are put in order by its cuts.
    fn grow(&mut self, cells: &mut [u32], depth: usize) {
        if depth == DEEPEST || cells.len() < FEWEST {
            return;
        }
        let Some(cut) = self.best_cut(cells) else { return };
        self.gains[cut.gene] += cut.gain;
        let row = self.profiles.row(cut.gene);
        let mut n_low = 0;
        for place in 0..cells.len() {
            if row[cells[place] as usize] <= cut.threshold {
                cells.swap(place, n_low);
                n_low += 1;
            }
        }
        let (low, high) = cells.split_at_mut(n_low);
        self.grow(low, depth + 1);
        self.grow(high, depth + 1);
    }

    /// The best of one random threshold for each of √p random genes.
    fn best_cut(&mut self, cells: &[u32]) -> Option<Cut> {
        let y = self.profiles.row(self.target);
        let all: f64 = cells.iter().map(|&cell| f64::from(y[cell as usize])).sum();
        let mut best: Option<Cut> = None;
        for _ in 0..self.profiles.n_genes.isqrt() {
            let gene = self.any_gene();
            let share = self.draw();
            let row = self.profiles.row(gene);
            let (least, most) = cells.iter().fold((f32::MAX, f32::MIN), |(least, most), &cell| {
                let x = row[cell as usize];
                (least.min(x), most.max(x))
            });
            #[allow(clippy::cast_possible_truncation, reason = "a value between two of f32")]
            let threshold = (f64::from(least) + share * f64::from(most - least)) as f32;
            // Also where there is no cell at all.
            if threshold >= most {
                continue;
            }
            let (mut n_low, mut low) = (0_u32, 0.0_f64);
            for &cell in cells {
                let is_low = row[cell as usize] <= threshold;
                n_low += u32::from(is_low);
                low += if is_low { f64::from(y[cell as usize]) } else { 0.0 };
            }
            let (n_low, n) = (f64::from(n_low), cells.len() as f64);
            let apart = low / n_low - (all - low) / (n - n_low);
            let gain = n_low * (n - n_low) / n * apart * apart;
            if best.as_ref().is_none_or(|best| gain > best.gain) {
                best = Some(Cut { gene, threshold, gain });
            }
        }
        best
    }

    /// Any gene but the target.
    fn any_gene(&mut self) -> usize {
        let others = self.profiles.n_genes - 1;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number below that of genes"
        )]
        let gene = (self.draw() * others as f64) as usize;
        gene.min(others - 1) + usize::from(gene.min(others - 1) >= self.target)
    }

    /// The next random number, 0 to 1.
    fn draw(&mut self) -> f64 {
        self.drawn += 1;
        self.key.uniform(self.drawn)
    }
}
