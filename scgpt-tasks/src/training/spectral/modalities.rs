//! Co-expression over several modalities, in one space.

use std::collections::BTreeMap;

use scgpt_data::{Modalities, Observer};
use scgpt_stats::{Correlations, Principal, SparseCell};

use super::{BLOCK, CoExpression, bins, sample, subspace};
use crate::{error::Result, training::TrainingCells};

/// What the links of a feature count for, in cells that were measured in both modalities: where fewer were, a table
/// of links says more of the feature than they do.
const LINKED: f64 = 250.0;

/// A feature that is known to belong to a gene; both are tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Link {
    pub(crate) feature: usize,
    pub(crate) gene: usize,
    /// How much the gene counts among those of the feature; above 0.
    pub(crate) weight: f64,
}

/// What several modalities are put into one space by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneSpace<'a> {
    /// Modalities of the tokens.
    pub(crate) modalities: &'a Modalities,
    /// Numbers of those that the directions are of.
    pub(crate) leading: &'a [usize],
    /// Whether many cells lack a modality.
    pub(crate) are_apart: bool,
    /// What is known of features beforehand.
    pub(crate) links: &'a [Link],
}

impl CoExpression {
    /// The co-expression of features of several modalities, along at most `n` directions: those of most
    /// variance of the `leading` modalities, over the cells that have all of these. A feature's loadings are
    /// its correlations with where such cells lie, over those among them that have its modality, too.
    ///
    /// Where single cells are shallow, a modality that tells less of them would turn the directions towards its
    /// noise; so it only follows. If `are_apart`, many cells lack a modality, and directions count by how much
    /// varies along them once more: a cell of few values is lost along the lesser ones. The vectors of each
    /// modality are centred: cells begin to lie over each other, whatever they were measured in.
    ///
    /// A feature with links is drawn towards its genes, the more the fewer cells tell of it.
    ///
    /// # Errors
    /// If the shards are broken;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Reference
    /// None: it draws all vectors.
    pub(crate) fn of_modalities(
        cells: &TrainingCells<'_>,
        numbers: &[usize],
        space: OneSpace<'_>,
        n: usize,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let OneSpace { modalities, leading, are_apart, links } = space;
        let numbers = sample(cells, numbers);
        let is_led = |token| modalities.of(token).is_some_and(|of| leading.contains(&of));
        let led: Vec<bool> = (0..cells.network.vocab_size).map(is_led).collect();
        let n = n.min(led.iter().filter(|led| **led).count());
        let of_leading = |block: Vec<SparseCell>| -> Vec<SparseCell> {
            let has_all = |cell: &SparseCell| leading.iter().all(|&it| has(cell, modalities, it));
            block.into_iter().filter(has_all).collect()
        };
        let only_led =
            |block| of_leading(block).iter().map(|cell| only(cell, &led)).collect::<Vec<_>>();
        let (subspace, _) = subspace(cells, &numbers, n, only_led, observer)?;
        let principal = subspace.principal(n, observer)?;
        let mut sums = Sums::new(modalities, cells.network.vocab_size, n);
        for block in numbers.chunks(BLOCK) {
            observer.check_cancelled()?;
            let block = bins(cells, block)?;
            sums.count(&block);
            let block = of_leading(block);
            sums.correlate(&block, &places(&principal, &block, &led));
        }
        let cells_of: Vec<usize> = sums.correlations.iter().map(Correlations::n_cells).collect();
        let mut found = sums.co_expression(cells.seed);
        found.draw(links, |feature| modalities.of(feature).map_or(0, |of| cells_of[of]));
        if are_apart {
            found.weigh(&led);
        }
        Ok(found)
    }

    /// Draws the loadings of features towards the mean of the genes that they are linked to, as if that had been
    /// seen in [`LINKED`] further cells beside the `n_cells` of each.
    fn draw(&mut self, links: &[Link], n_cells: impl Fn(usize) -> usize) {
        let n = self.n;
        let mut genes: BTreeMap<usize, (f64, Vec<f64>)> = BTreeMap::new();
        for &Link { feature, gene, weight } in links {
            let (total, sum) = genes.entry(feature).or_insert_with(|| (0.0, vec![0.0; n]));
            *total += weight;
            let row = &self.loadings[gene * n..(gene + 1) * n];
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * x);
        }
        for (feature, (total, sum)) in genes {
            let seen = n_cells(feature) as f64;
            let row = &mut self.loadings[feature * n..(feature + 1) * n];
            let of_genes = sum.iter().map(|x| x / total);
            row.iter_mut().zip(of_genes).for_each(|(x, gene)| {
                *x = (seen * *x + LINKED * gene) / (seen + LINKED);
            });
        }
    }

    /// Multiplies loadings by the standard deviation of the cells in each direction, as the loadings of
    /// `leading` tokens tell it.
    fn weigh(&mut self, leading: &[bool]) {
        let mut squares = vec![0.0; self.n];
        let rows = self.loadings.chunks(self.n.max(1)).zip(leading).filter(|(_, led)| **led);
        rows.for_each(|(row, _)| squares.iter_mut().zip(row).for_each(|(sum, x)| *sum += x * x));
        for row in self.loadings.chunks_mut(self.n.max(1)) {
            row.iter_mut().zip(&squares).for_each(|(x, square)| *x *= square.sqrt());
        }
    }
}

/// Whether a cell has a value of a modality.
fn has((tokens, _): &SparseCell, modalities: &Modalities, modality: usize) -> bool {
    tokens.iter().any(|&token| modalities.of(token as usize) == Some(modality))
}

/// A cell's values of those tokens alone.
fn only((tokens, values): &SparseCell, of: &[bool]) -> SparseCell {
    let pairs = tokens.iter().zip(values).filter(|(token, _)| of[**token as usize]);
    pairs.map(|(&token, &value)| (token, value)).unzip()
}

/// Where cells lie by their leading values, `[cells, n]`.
fn places(principal: &Principal, cells: &[SparseCell], led: &[bool]) -> Vec<f64> {
    let place = |cell: &SparseCell| {
        let (tokens, values) = only(cell, led);
        principal.project(&tokens, &values)
    };
    cells.iter().flat_map(place).map(f64::from).collect()
}

/// What one pass over the cells tells of the features of each modality.
struct Sums<'a> {
    modalities: &'a Modalities,
    n: usize,
    /// For each token, the number of cells that have it, and the sum of its shares of the values of its
    /// modality in these.
    counts: Vec<usize>,
    shares: Vec<f64>,
    /// For each modality, with the places of the cells that have it.
    correlations: Vec<Correlations>,
}

impl<'a> Sums<'a> {
    fn new(modalities: &'a Modalities, vocabulary: usize, n: usize) -> Self {
        let of = |_: &String| Correlations::new(vocabulary, n);
        let correlations = modalities.names().iter().map(of).collect();
        let (counts, shares) = (vec![0; vocabulary], vec![0.0; vocabulary]);
        Self { modalities, n, counts, shares, correlations }
    }

    /// Adds cells to the numbers of those that have each feature, and to the shares of the features.
    fn count(&mut self, cells: &[SparseCell]) {
        for (tokens, values) in cells {
            let mut totals = vec![0.0; self.correlations.len()];
            let of = |token: u32| self.modalities.of(token as usize);
            for (&token, &value) in tokens.iter().zip(values) {
                self.counts[token as usize] += 1;
                if let Some(modality) = of(token) {
                    totals[modality] += f64::from(value);
                }
            }
            for (&token, &value) in tokens.iter().zip(values) {
                if let Some(modality) = of(token) {
                    self.shares[token as usize] += f64::from(value) / totals[modality];
                }
            }
        }
    }

    /// Adds cells and where they lie to the correlations of the modalities that they have.
    fn correlate(&mut self, cells: &[SparseCell], places: &[f64]) {
        for (modality, correlations) in self.correlations.iter_mut().enumerate() {
            let is_of = |token| self.modalities.of(token) == Some(modality);
            let of: Vec<bool> = (0..self.counts.len()).map(is_of).collect();
            let having = cells.iter().zip(places.chunks(self.n.max(1)));
            let having = having.filter(|(cell, _)| has(cell, self.modalities, modality));
            let (cells, places): (Vec<_>, Vec<_>) =
                having.map(|(cell, place)| (only(cell, &of), place)).unzip();
            correlations.add(&cells, &places.concat());
        }
    }

    fn co_expression(self, seed: u64) -> CoExpression {
        let Self { modalities, n, counts, shares, correlations } = self;
        let mut loadings = vec![0.0; counts.len() * n];
        let mut centred = Vec::new();
        for (modality, correlations) in correlations.iter().enumerate() {
            let rows = correlations.rows();
            let total: f64 = modalities.features(modality).map(|token| shares[token]).sum();
            for token in modalities.features(modality) {
                let at = token * n..(token + 1) * n;
                loadings[at.clone()].copy_from_slice(&rows[at]);
            }
            let share = |token: usize| (token, shares[token] / total.max(f64::MIN_POSITIVE));
            centred.push(modalities.features(modality).map(share).collect());
        }
        CoExpression { loadings, n, counts, seed, centred }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linked_feature_is_drawn_to_its_genes_the_more_the_fewer_cells_tell_of_it() {
        // Tokens 0 and 1 are genes; 2, 3 and 4 are peaks along the second direction, of which 4 has no links.
        let loadings = [[1.0, 0.0], [0.6, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]].concat();
        let link = |feature, gene, weight| Link { feature, gene, weight };
        let links = [link(2, 0, 2.0), link(3, 0, 3.0), link(3, 1, 1.0)];
        let drawn = |n_cells: usize| {
            let (counts, centred) = (vec![1; 5], Vec::new());
            let mut found =
                CoExpression { loadings: loadings.clone(), n: 2, counts, seed: 0, centred };
            found.draw(&links, |_| n_cells);
            found.loadings
        };
        let near = |a: &[f64], b: [f64; 2]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        let half = drawn(250);
        assert!(near(&half[4..6], [0.5, 0.5]) && near(&half[6..8], [0.45, 0.5]), "{half:?}");
        assert!(near(&half[8..10], [0.0, 1.0]) && near(&half[..2], [1.0, 0.0]), "{half:?}");
        assert!(near(&drawn(750)[4..6], [0.25, 0.75]));
        // Nothing but the table tells where a peak is that no cell has beside genes.
        assert!(near(&drawn(0)[6..8], [0.9, 0.0]));
    }
}
