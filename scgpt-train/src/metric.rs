//! [`Metric`]: a number that a validation finds.

use serde::{Deserialize, Deserializer, Serialize};

/// A number that a validation finds, with its name.
///
/// ```
/// use scgpt_train::Metric;
///
/// assert!(Metric::loss("squared_error", 0.2).is_better_than(0.3));
/// assert!(!Metric::score("accuracy", 0.8).is_better_than(0.9));
/// // A network without a value is never the best.
/// assert!(!Metric::score("accuracy", f64::NAN).is_better_than(0.0));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The name under which it is logged.
    pub name: String,
    /// Its value.
    #[serde(deserialize_with = "or_nan")]
    pub value: f64,
    /// Whether a smaller value is better.
    pub lower_is_better: bool,
    /// The standard error of the value, if it is known: a network that is better by less is not better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
}

impl Metric {
    /// The name that stands for the first metric of a validation, whatever it is called.
    pub const LOSS: &'static str = "loss";
    /// The name of the share of cells that are found again by a random half of their counts. It
    /// needs no labels, and a network has it before it has learned anything.
    pub const THINNING: &'static str = "thinning";
    /// The name of the share of other cells that lie nearer to one modality of a cell than another modality
    /// of it does. A network has it before it has learned anything, too.
    pub const FOSCTTM: &'static str = "foscttm";

    /// A metric of which a smaller value is better.
    pub fn loss(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value, lower_is_better: true, standard_error: None }
    }

    /// A metric of which a larger value is better.
    pub fn score(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value, lower_is_better: false, standard_error: None }
    }

    /// A share of `n` cells, of which a larger one is better.
    ///
    /// ```
    /// use scgpt_train::Metric;
    ///
    /// let half = Metric::share("thinning", 0.5, 100);
    /// assert_eq!(half.standard_error, Some(0.05));
    /// ```
    pub fn share(name: impl Into<String>, value: f64, n: usize) -> Self {
        let standard_error = Some((value * (1.0 - value) / n.max(1) as f64).sqrt());
        Self { standard_error, ..Self::score(name, value) }
    }

    /// A share of `n` cells, of which a smaller one is better.
    pub fn lower_share(name: impl Into<String>, value: f64, n: usize) -> Self {
        Self { lower_is_better: true, ..Self::share(name, value, n) }
    }

    /// Whether a metric of that name tells of a network before it has learned anything, so that by it the
    /// network before the first step may be the result.
    pub fn tells_of_start(name: &str) -> bool {
        [Self::THINNING, Self::FOSCTTM].contains(&name)
    }

    /// Whether this value is better than `other`; never if it is NaN.
    pub fn is_better_than(&self, other: f64) -> bool {
        if self.lower_is_better { self.value < other } else { self.value > other }
    }

    /// Whether it is better than that of another network by more than the other's standard error, if that is
    /// known; never if it is not finite. Of networks that cannot be told apart, the earlier one stays so.
    pub fn surpasses(&self, other: &Self) -> bool {
        let error = other.standard_error.unwrap_or(0.0);
        let beyond = if other.lower_is_better { other.value - error } else { other.value + error };
        self.value.is_finite() && self.is_better_than(beyond)
    }
}

/// Reads a number that JSON has as null, as it is written if it is not finite, as NaN.
pub(crate) fn or_nan<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_better_by_chance_is_not_better() {
        let start = Metric::share(Metric::THINNING, 0.5, 100);
        let after = |share| Metric::share(Metric::THINNING, share, 100);
        assert!(after(0.56).surpasses(&start));
        for share in [0.54, 0.5, 0.4, f64::NAN] {
            assert!(!after(share).surpasses(&start), "{share}");
        }
        // By a loss every difference counts, and the first of equals stays.
        let loss = |value| Metric::loss("gep", value);
        assert!(loss(2.999).surpasses(&loss(3.0)) && !loss(3.0).surpasses(&loss(3.0)));
        assert!(!serde_json::to_string(&loss(3.0)).unwrap().contains("standard_error"));
    }
}
