//! [`CellSplit`] and [`EpochOrder`]: which cells are trained on, and in which order.

use std::{collections::BTreeMap, sync::Arc};

use super::permutation::{Permutation, Windows};
use crate::{
    error::{Error, Result},
    keyed::{Keyed, Purpose},
    setting::Setting,
};

/// Cells to train on and cells held out, the same in every epoch and run: whether a cell is held
/// out depends on the seed and its number only.
///
/// Memory: 4 bytes a cell.
///
/// ```
/// use scgpt_data::CellSplit;
///
/// let split = CellSplit::new(1000, 0.1, 42)?;
/// assert_eq!(split.training().len() + split.held_out().len(), 1000);
/// // A cell comes once in an epoch, and the order can be entered anywhere.
/// let order = split.order(3);
/// let rest: Vec<usize> = order.cells_from(order.len() - 2).collect();
/// assert_eq!(rest, [order.len() - 2, order.len() - 1].map(|at| order.cell(at).unwrap()));
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CellSplit {
    seed: u64,
    share: f64,
    training: Arc<[u32]>,
    held_out: Arc<[u32]>,
    /// The cells to train on by group, if groups are balanced.
    groups: Arc<[Arc<[u32]>]>,
}

impl CellSplit {
    /// Holds out each of the cells `0..n_cells` with probability `share`.
    ///
    /// # Errors
    /// If `share` is not in `[0, 1)`, or there are more than 2³² cells.
    pub fn new(n_cells: usize, share: f64, seed: u64) -> Result<Self> {
        Self::of(0..n_cells, share, seed)
    }

    /// As [`new`](Self::new), of some cells, by their ascending numbers. Which of them are held out does not depend
    /// on which others there are.
    ///
    /// # Errors
    /// As there.
    pub fn of(cells: impl IntoIterator<Item = usize>, share: f64, seed: u64) -> Result<Self> {
        if !(0.0..1.0).contains(&share) {
            let problem = format!("is {share}, expected at least 0 and below 1");
            return Err(Setting("validation_share").wrong(problem).into());
        }
        let (mut held_out, mut training) = (Vec::new(), Vec::new());
        for cell in cells {
            let number = u32::try_from(cell).map_err(|_| {
                Error::Option(format!("cell {cell}: at most {} can be ordered", u32::MAX))
            })?;
            let is_held_out = is_held_out(seed, share, number.into());
            if is_held_out { &mut held_out } else { &mut training }.push(number);
        }
        let groups = Arc::default();
        let (training, held_out) = (training.into(), held_out.into());
        Ok(Self { seed, share, training, held_out, groups })
    }

    /// The same cells, of which every group comes as often in an epoch: `group` is that of a cell. An epoch
    /// is as long as before; cells of small groups come several times in it, of large ones some do not come.
    #[must_use]
    pub fn balanced(mut self, group: impl Fn(usize) -> Option<usize>) -> Self {
        let mut groups: BTreeMap<Option<usize>, Vec<u32>> = BTreeMap::new();
        for &cell in self.training.iter() {
            groups.entry(group(cell as usize)).or_default().push(cell);
        }
        self.groups = groups.into_values().map(Arc::from).collect();
        self
    }

    /// The same cells to hold out, and `n` of those to train on, drawn by the seed: the cells of a smaller number
    /// are among those of a larger one.
    ///
    /// # Errors
    /// If there are fewer to train on.
    pub fn limited(mut self, n: usize) -> Result<Self> {
        let there = self.training.len();
        if n == 0 {
            return Err(Setting("cells").zero().into());
        }
        if n > there {
            let held_out = self.held_out.len();
            let problem =
                format!("is {n}, but {there} are there to train on ({held_out} held out)");
            return Err(Setting("cells").wrong(problem).into());
        }
        let draw =
            |cell: u32| Keyed::new(self.seed, Purpose::Sample, u64::MAX, cell.into()).bits(0);
        let mut drawn: Vec<(u64, u32)> =
            self.training.iter().map(|&cell| (draw(cell), cell)).collect();
        drawn.sort_unstable();
        drawn.truncate(n);
        let mut cells: Vec<u32> = drawn.into_iter().map(|(_, cell)| cell).collect();
        cells.sort_unstable();
        self.training = cells.into();
        Ok(self)
    }

    /// Whether a cell is held out.
    pub fn is_held_out(&self, cell: usize) -> bool {
        is_held_out(self.seed, self.share, cell as u64)
    }

    /// Cells to train on, ascending.
    pub fn training(&self) -> &[u32] {
        &self.training
    }

    /// Cells held out, ascending.
    pub fn held_out(&self) -> &[u32] {
        &self.held_out
    }

    /// The order of the cells to train on in an epoch.
    pub fn order(&self, epoch: u64) -> EpochOrder {
        let order = EpochOrder::new(self.training.clone(), self.seed, epoch);
        EpochOrder { groups: self.groups.clone(), ..order }
    }
}

fn is_held_out(seed: u64, share: f64, cell: u64) -> bool {
    Keyed::new(seed, Purpose::HoldOut, 0, cell).uniform(0) < share
}

/// The order of the cells in one epoch: a permutation keyed by (seed, epoch).
///
/// Any position can be asked for, so that training resumes in the middle of an epoch. Nothing is
/// stored but the cells themselves, which the epochs share.
#[derive(Clone, Debug)]
pub struct EpochOrder {
    cells: Arc<[u32]>,
    /// The same cells by group, if every group is to come as often as any other.
    groups: Arc<[Arc<[u32]>]>,
    /// Windows in which cells are shuffled, if not all are together.
    windows: Option<Windows>,
    key: Keyed,
    whole: Permutation,
}

impl EpochOrder {
    /// An order of `cells`, for example of [`CellSplit::training`].
    pub fn new(cells: impl Into<Arc<[u32]>>, seed: u64, epoch: u64) -> Self {
        let cells = cells.into();
        let key = Keyed::new(seed, Purpose::Order, epoch, 0);
        let whole = Permutation::new(cells.len(), key);
        Self { cells, groups: Arc::default(), windows: None, key, whole }
    }

    /// The same cells, of which about `window` are shuffled together: runs of 1024 neighbours, drawn anew in each
    /// epoch. So what is read at a time is no more than that, and nothing of it twice. Cells that are
    /// [balanced](CellSplit::balanced) come from everywhere nevertheless.
    #[must_use]
    pub fn windowed(self, window: usize) -> Self {
        let windows = Windows::new(self.len(), window, self.key.bits(u64::MAX));
        Self { windows: Some(windows), ..self }
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there are no cells.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The cell at a position; `None` at the end of the epoch.
    pub fn cell(&self, position: usize) -> Option<usize> {
        if position >= self.len() {
            return None;
        }
        let place = match &self.windows {
            Some(windows) => windows.at(position),
            None => self.whole.at(position),
        };
        match self.groups.len() {
            0 => self.cells.get(place).map(|&cell| cell as usize),
            n => self.of_group(place % n, place / n),
        }
    }

    /// The `n`th cell that a group gives: all of its cells, in an order of their own, then all of them in
    /// another one.
    fn of_group(&self, group: usize, n: usize) -> Option<usize> {
        let cells = &self.groups[group];
        let (round, place) = (n / cells.len(), n % cells.len());
        // Groups of one size have orders of their own.
        let seed = self.key.bits(1 + group as u64);
        EpochOrder::new(cells.clone(), seed, round as u64).cell(place)
    }

    /// The cells from a position to the end of the epoch.
    pub fn cells_from(&self, position: usize) -> impl Iterator<Item = usize> + '_ {
        (position..self.len()).filter_map(|position| self.cell(position))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_cell_comes_once(n in 0..700_u32, seed: u64, epoch in 0..5_u64) {
            let order = EpochOrder::new((0..n).collect::<Vec<_>>(), seed, epoch);
            let mut cells: Vec<usize> = order.cells_from(0).collect();
            cells.sort_unstable();
            prop_assert!(cells.into_iter().eq(0..n as usize));
            prop_assert_eq!(order.cell(n as usize), None);
        }
    }

    #[test]
    fn orders_resume_anywhere_and_differ_between_epochs() {
        let split = CellSplit::new(1000, 0.1, 5).unwrap();
        let order = split.order(2);
        let whole: Vec<usize> = order.cells_from(0).collect();
        assert!(order.cells_from(300).eq(whole[300..].iter().copied()));
        assert!(split.order(2).cells_from(0).eq(whole.iter().copied()));
        assert!(!split.order(3).cells_from(0).eq(whole.iter().copied()));
        // Neighbours of an order are far apart: 300 cells on average, of 900.
        let distance: usize = whole.windows(2).map(|pair| pair[0].abs_diff(pair[1])).sum();
        assert!((270..390).contains(&(distance / 899)), "{}", distance / 899);
    }

    #[test]
    fn chosen_cells_are_held_out_as_among_all() {
        let all = CellSplit::new(1000, 0.2, 3).unwrap();
        let some = CellSplit::of((0..1000).step_by(3), 0.2, 3).unwrap();
        assert!(some.held_out().iter().all(|&cell| all.is_held_out(cell as usize)));
        assert_eq!(some.held_out().len() + some.training().len(), 334);
        assert!(some.order(1).cells_from(0).all(|cell| cell % 3 == 0));
    }

    proptest! {
        #[test]
        fn fewer_cells_are_among_more(seed: u64, some in 1..300_usize, more in 0..300_usize) {
            let split = CellSplit::new(1000, 0.2, seed).unwrap();
            let [few, many] = [some, some + more].map(|n| split.clone().limited(n).unwrap());
            prop_assert_eq!(few.training().len(), some);
            prop_assert!(few.training().is_sorted());
            prop_assert!(few.training().iter().all(|cell| many.training().contains(cell)));
            prop_assert_eq!(few.held_out(), split.held_out());
        }
    }

    #[test]
    fn there_are_no_more_cells_than_there_are() {
        let split = || CellSplit::new(100, 0.2, 3).unwrap();
        let n = split().training().len();
        assert_eq!(split().limited(n).unwrap().training(), split().training());
        let message = split().limited(n + 1).unwrap_err().to_string();
        assert!(
            message.starts_with(&format!("`cells` is {}, but {n} are there", n + 1)),
            "{message}"
        );
        assert!(split().limited(0).is_err());
        let other = CellSplit::new(100, 0.2, 4).unwrap().limited(10).unwrap();
        assert_ne!(split().limited(10).unwrap().training(), other.training());
    }

    #[test]
    fn cells_of_a_window_are_near_each_other() {
        let whole = CellSplit::new(160_000, 0.1, 5).unwrap();
        let order = whole.order(1).windowed(16_000);
        let cells: Vec<usize> = order.cells_from(0).collect();
        let there = |window: &[usize]| {
            let mut runs: Vec<usize> = window.iter().map(|cell| cell / 1024).collect();
            runs.sort_unstable();
            runs.dedup();
            runs.len()
        };
        // 16 runs of 1024 cells to train on, with those held out between them; one has some of the last window's, too.
        let wide = cells.chunks(16 * 1024).filter(|window| there(window) > 16 * 3).count();
        assert!(wide <= 1, "{wide}");
        let anywhere: Vec<usize> = whole.order(1).cells_from(0).take(16 * 1024).collect();
        assert!(there(&anywhere) > 150, "of 157");
        let mut sorted = cells.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(whole.training().iter().map(|&cell| cell as usize)));
        assert!(order.cells_from(30_000).eq(cells[30_000..].iter().copied()));
    }

    #[test]
    fn groups_of_any_size_come_as_often() {
        // 30 cells of one group, 300 of another, 670 without any.
        let group = |cell: usize| (cell < 330).then_some(usize::from(cell >= 30));
        let split = CellSplit::new(1000, 0.0, 7).unwrap().balanced(group);
        let order = split.order(2);
        let cells: Vec<usize> = order.cells_from(0).collect();
        assert_eq!(cells.len(), 1000);
        assert!(order.cells_from(400).eq(cells[400..].iter().copied()), "it resumes anywhere");
        for of in [None, Some(0), Some(1)] {
            let drawn: Vec<usize> =
                cells.iter().copied().filter(|&cell| group(cell) == of).collect();
            assert!((333..=334).contains(&drawn.len()), "{of:?}: {}", drawn.len());
            let mut times = vec![0; 1000];
            for &cell in &drawn {
                times[cell] += 1;
            }
            let members = (0..1000).filter(|&cell| group(cell) == of).map(|cell| times[cell]);
            let (least, most) = (members.clone().min(), members.max());
            assert!(most.unwrap() - least.unwrap() <= 1, "{of:?}: {least:?} to {most:?}");
        }
        assert_ne!(cells, split.order(3).cells_from(0).collect::<Vec<_>>());
        // A small batch has all of them.
        let counts = cells.chunks(100).map(|some| some.iter().filter(|&&cell| cell < 30).count());
        assert!(counts.into_iter().all(|n| (10..60).contains(&n)));
    }

    #[test]
    fn places_are_uniform() {
        let n = 37_u32;
        let mut hits = [0_u32; 37];
        for epoch in 0..3700 {
            let order = EpochOrder::new((0..n).collect::<Vec<_>>(), 0, epoch);
            hits[order.cell(0).unwrap()] += 1;
        }
        // Five standard deviations about 100.
        assert!(hits.iter().all(|hits| (50..150).contains(hits)), "{hits:?}");
    }

    #[test]
    fn held_out_cells_are_a_share_that_never_changes() {
        let split = CellSplit::new(10_000, 0.05, 1).unwrap();
        assert_eq!(split.training().len() + split.held_out().len(), 10_000);
        // Five standard deviations about 500.
        assert!((391..609).contains(&split.held_out().len()), "{}", split.held_out().len());
        assert!(split.held_out().iter().all(|&cell| split.is_held_out(cell as usize)));
        assert!(split.order(7).cells_from(0).all(|cell| !split.is_held_out(cell)));
        let more = CellSplit::new(20_000, 0.05, 1).unwrap();
        assert!(more.held_out().starts_with(split.held_out()), "more cells change no decision");
        assert!(CellSplit::new(10, 0.0, 1).unwrap().held_out().is_empty());
        for share in [-0.1, 1.0, f64::NAN] {
            assert!(CellSplit::new(10, share, 1).is_err());
        }
    }
}
