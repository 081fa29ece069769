//! [`DomainBatches`]: batches whose cells are of one domain each.

use std::sync::Arc;

use super::order::EpochOrder;
use crate::narrow;

/// Batches of cells that share a domain, such as an experimental batch, whose statistics are its
/// own. In every epoch each cell comes once: the cells of a domain are shuffled and dealt to as few
/// batches as hold them, and the batches of all domains come in a [`DomainOrder`].
///
/// A batch is a function of (seed, epoch, index), so training resumes anywhere.
///
/// # Reference
/// `scgpt/data_sampler.py`, `SubsetsBatchSampler`. Differs: the batches of a domain have equal
/// sizes, or sizes that differ by one, instead of a last one of what is left over.
///
/// ```
/// use scgpt_data::{DomainBatches, DomainOrder};
///
/// let batches = DomainBatches::new(vec![vec![0, 1, 2], vec![3, 4]], 2, 42, DomainOrder::Mixed);
/// let mut cells: Vec<usize> =
///     (0..batches.len()).filter_map(|at| batches.batch(0, at)).flat_map(|(_, cells)| cells).collect();
/// cells.sort_unstable();
/// assert_eq!(cells, [0, 1, 2, 3, 4]);
/// ```
#[derive(Clone, Debug)]
pub struct DomainBatches {
    domains: Vec<Arc<[u32]>>,
    /// The number of the first batch of each domain, and at the end the number of all batches.
    firsts: Vec<usize>,
    /// Numbers of the batches.
    numbers: Arc<[u32]>,
    seed: u64,
    order: DomainOrder,
}

/// In which order the batches of several domains come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DomainOrder {
    /// Shuffled together, anew in every epoch.
    Mixed,
    /// All batches of one domain, then all of the next, as in the reference.
    InTurn,
}

impl DomainBatches {
    /// Batches of at most `size` cells; `domains` has the numbers of the cells of each domain.
    pub fn new(domains: Vec<Vec<u32>>, size: usize, seed: u64, order: DomainOrder) -> Self {
        let mut firsts = vec![0];
        for cells in &domains {
            let first = firsts.last().copied().unwrap_or_default();
            firsts.push(first + cells.len().div_ceil(size.max(1)));
        }
        let n = firsts.last().copied().unwrap_or_default();
        Self {
            domains: domains.into_iter().map(Into::into).collect(),
            firsts,
            numbers: (0..narrow(n)).collect(),
            seed,
            order,
        }
    }

    /// Number of batches of an epoch.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there are no cells.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The number of the domain and the cells of batch `index` of an epoch; `None` at the end of
    /// the epoch.
    pub fn batch(&self, epoch: u64, index: usize) -> Option<(usize, Vec<usize>)> {
        let number = match self.order {
            DomainOrder::Mixed => {
                EpochOrder::new(self.numbers.clone(), self.seed, epoch).cell(index)?
            }
            DomainOrder::InTurn => self.numbers.get(index).map(|&number| number as usize)?,
        };
        let domain = self.firsts.partition_point(|&first| first <= number) - 1;
        let (first, end) = (self.firsts[domain], self.firsts[domain + 1]);
        let cells = &self.domains[domain];
        let place = |batch: usize| (batch * cells.len()).div_ceil(end - first);
        let (begin, end) = (place(number - first), place(number - first + 1));
        // Domains of one size have orders of their own.
        let seed = self.seed.wrapping_add(1 + domain as u64);
        let order = EpochOrder::new(cells.clone(), seed, epoch);
        Some((domain, (begin..end).filter_map(|position| order.cell(position)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Consecutive cells in domains of those sizes.
    fn domains(sizes: &[u32]) -> Vec<Vec<u32>> {
        let mut first = 0;
        let of = |&size: &u32| {
            first += size;
            (first - size..first).collect()
        };
        sizes.iter().map(of).collect()
    }

    proptest! {
        #[test]
        fn every_cell_comes_once_in_a_batch_of_its_domain(
            sizes in prop::collection::vec(0..60_u32, 1..5),
            size in 1..20_usize,
            seed: u64,
            epoch in 0..3_u64,
            order in prop::sample::select(vec![DomainOrder::Mixed, DomainOrder::InTurn]),
        ) {
            let all = domains(&sizes);
            let batches = DomainBatches::new(all.clone(), size, seed, order);
            let least: usize = sizes.iter().map(|&n| (n as usize).div_ceil(size)).sum();
            prop_assert_eq!(batches.len(), least);
            let mut seen = vec![Vec::new(); sizes.len()];
            for index in 0..batches.len() {
                let (domain, cells) = batches.batch(epoch, index).unwrap();
                prop_assert!((1..=size).contains(&cells.len()));
                seen[domain].extend(cells.iter().map(|&cell| u32::try_from(cell).unwrap()));
            }
            for cells in &mut seen {
                cells.sort_unstable();
            }
            prop_assert_eq!(seen, all);
            prop_assert_eq!(batches.batch(epoch, batches.len()), None);
        }
    }

    #[test]
    fn domains_alternate_unless_told_otherwise() {
        let of = |order: DomainOrder, epoch: u64| -> Vec<usize> {
            let batches = DomainBatches::new(domains(&[40, 40]), 4, 1, order);
            (0..20).map(|index| batches.batch(epoch, index).unwrap().0).collect()
        };
        let changes = |order: &[usize]| order.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(changes(&of(DomainOrder::InTurn, 0)), 1);
        assert!(changes(&of(DomainOrder::Mixed, 0)) > 5);
        assert_ne!(of(DomainOrder::Mixed, 0), of(DomainOrder::Mixed, 1));
    }

    #[test]
    fn batches_of_a_domain_are_of_about_one_size() {
        let batches = DomainBatches::new(domains(&[5, 5, 7]), 3, 0, DomainOrder::InTurn);
        let sizes: Vec<usize> =
            (0..batches.len()).map(|index| batches.batch(0, index).unwrap().1.len()).collect();
        assert_eq!(sizes, [3, 2, 3, 2, 3, 2, 2]);
    }
}
