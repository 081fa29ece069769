//! How well two labellings of the same cells agree: plain codes in, numbers out.

mod agreement;

pub use self::agreement::{adjusted_rand_index, label_codes, normalised_mutual_information};
