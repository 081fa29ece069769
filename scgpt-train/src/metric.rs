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
}

impl Metric {
    /// The name that stands for the first metric of a validation, whatever it is called.
    pub const LOSS: &'static str = "loss";
    /// The name of the share of cells that are found again by a random half of their counts. It
    /// needs no labels, and a network has it before it has learned anything.
    pub const THINNING: &'static str = "thinning";

    /// A metric of which a smaller value is better.
    pub fn loss(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value, lower_is_better: true }
    }

    /// A metric of which a larger value is better.
    pub fn score(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value, lower_is_better: false }
    }

    /// Whether this value is better than `other`; never if it is NaN.
    pub fn is_better_than(&self, other: f64) -> bool {
        if self.lower_is_better { self.value < other } else { self.value > other }
    }
}

/// Reads a number that JSON has as null, as it is written if it is not finite, as NaN.
pub(crate) fn or_nan<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}
