//! [`Weights`]: sums by number.

/// Sums of weights by number; to empty them costs only as much as they hold.
pub(super) struct Weights {
    sums: Vec<f64>,
    is_touched: Vec<bool>,
    touched: Vec<usize>,
}

impl Weights {
    pub(super) fn new(n: usize) -> Self {
        Self { sums: vec![0.0; n], is_touched: vec![false; n], touched: Vec::new() }
    }

    pub(super) fn collect(&mut self, weights: impl Iterator<Item = (usize, f64)>) {
        for number in self.touched.drain(..) {
            self.sums[number] = 0.0;
            self.is_touched[number] = false;
        }
        for (number, weight) in weights {
            self.sums[number] += weight;
            if !std::mem::replace(&mut self.is_touched[number], true) {
                self.touched.push(number);
            }
        }
    }

    pub(super) fn touched(&self) -> &[usize] {
        &self.touched
    }

    pub(super) fn of(&self, number: usize) -> f64 {
        self.sums[number]
    }
}
