//! [`Evidence`]: what speaks for one way or another in which fractions came about.

use crate::csr::{Csr, CsrRow};

/// Cells that are looked at closely, at most, from all over the blocks seen.
const CELLS: usize = 512;
/// Ratios beyond this are passed over: rounding makes them as good as any other.
const MOST: f64 = 200.0;
/// Fewer ratios than this prove nothing.
const ENOUGH: usize = 50;
/// Sums that differ by less than this share are equal.
const EQUAL: f64 = 0.01;
/// Fewer cells than this may have equal sums by chance.
const FEW: usize = 3;

/// Of the numbers that were looked at, how many are whole.
#[derive(Clone, Copy, Debug, Default)]
struct Whole {
    tested: usize,
    whole: usize,
}

impl Whole {
    fn add(&mut self, number: f64) {
        // What equals the unit is whole by construction.
        if (number - 1.0).abs() > 0.01 && number <= MOST {
            self.tested += 1;
            let nearest = number.round().max(1.0);
            self.whole += usize::from((number - nearest).abs() <= 0.01);
        }
    }

    /// The share of whole ones; of random numbers it would be a fiftieth.
    fn share(self) -> f64 {
        if self.tested < ENOUGH { 0.0 } else { self.whole as f64 / self.tested as f64 }
    }
}

/// Sums of cells.
#[derive(Clone, Debug, Default)]
struct Totals(Vec<f64>);

impl Totals {
    /// The sum that all cells share, if there is one, and the share by which their sums still
    /// differ from it.
    fn common(&self) -> Option<(f64, f64)> {
        let [least, most] = [f64::min, f64::max].map(|of| self.0.iter().copied().reduce(of));
        let (least, most) = (least?, most?);
        let difference = 1.0 - least / most;
        let is_equal = self.0.len() >= FEW && difference <= EQUAL;
        is_equal.then_some((f64::midpoint(least, most), difference))
    }

    /// Standard deviation of their logarithms.
    fn spread(&self) -> f64 {
        let n = self.0.len().max(1) as f64;
        let mean = self.0.iter().map(|total| total.ln()).sum::<f64>() / n;
        (self.0.iter().map(|total| (total.ln() - mean).powi(2)).sum::<f64>() / n).sqrt()
    }
}

/// What is known of values that are neither negative nor whole.
///
/// Counts leave a trace in whatever is made of them cell by cell: divided by the smallest of the
/// cell, most often one count, they are whole again. And values that were normalised have equal sums,
/// if all genes are there.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    plain: Totals,
    /// Sums of `exp(x) − 1`.
    unlogged: Totals,
    /// How many of `exp(x) − 1` are whole.
    counts: Whole,
    /// How many values are whole multiples of the smallest of their cell.
    plain_ratios: Whole,
    /// The same, for `exp(x) − 1`.
    unlogged_ratios: Whole,
}

/// In which way fractions came about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Origin {
    /// Counts that are not whole.
    Fractional,
    /// Counts scaled to a common sum, which is known if all genes are there.
    Normalised(Option<f64>),
    /// Logarithms of normalised values.
    Log1p(Option<f64>),
    /// Logarithms of counts.
    LoggedCounts,
}

impl Evidence {
    /// Looks at some cells of a block.
    pub(super) fn add(&mut self, block: &Csr) {
        let room = CELLS.saturating_sub(self.plain.0.len());
        let step = block.n_cells().div_ceil(room.max(1)).max(1);
        for row in block.rows().step_by(step).take(room) {
            self.add_cell(row);
        }
    }

    fn add_cell(&mut self, row: CsrRow<'_>) {
        let values = || row.values.iter().filter(|&&x| x > 0.0).map(|&x| f64::from(x));
        let Some(smallest) = values().reduce(f64::min) else { return };
        let (mut plain, mut unlogged) = (0.0, 0.0);
        let unit = smallest.exp_m1();
        for value in values() {
            let before = value.exp_m1();
            plain += value;
            unlogged += before;
            // Here one is as good as any other whole number.
            self.counts.add(if (before - 1.0).abs() < 0.01 { 2.0 * before } else { before });
            self.plain_ratios.add(value / smallest);
            self.unlogged_ratios.add(before / unit);
        }
        self.plain.0.push(plain);
        self.unlogged.0.push(unlogged);
    }

    /// The origin that most speaks for, of values up to `max`; logarithms are at most
    /// `most_logged`.
    pub(super) fn origin(&self, max: f32, most_logged: f32) -> Origin {
        let is_sure = |whole: Whole| whole.share() >= 0.9;
        let may_be_logs = max <= most_logged;
        let unlogged = self.unlogged.common().filter(|_| may_be_logs);
        match (self.plain.common(), unlogged) {
            // Small fractions differ little from what they are before a logarithm.
            (Some((_, plain)), Some((total, unlogged))) if unlogged <= plain => {
                return Origin::Log1p(Some(total));
            }
            (Some((total, _)), _) => return Origin::Normalised(Some(total)),
            (None, Some((total, _))) => return Origin::Log1p(Some(total)),
            (None, None) if may_be_logs && is_sure(self.counts) => return Origin::LoggedCounts,
            (None, None) => {}
        }
        let [plain, unlogged] = [self.plain_ratios, self.unlogged_ratios];
        if may_be_logs && is_sure(unlogged) && unlogged.share() >= plain.share() {
            return Origin::Log1p(None);
        }
        if is_sure(plain) {
            return Origin::Normalised(None);
        }
        // Of counts taken for logarithms, a few large ones make sums that differ by orders of magnitude.
        let is_wild = self.plain.0.len() >= FEW
            && self.unlogged.spread() > 1.0
            && self.unlogged.spread() > 2.0 * self.plain.spread();
        if may_be_logs && !is_wild { Origin::Log1p(None) } else { Origin::Fractional }
    }
}
