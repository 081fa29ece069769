//! Training scGPT: named objectives, one backward pass, exact resume.

mod log;

pub use crate::log::{EventFile, JsonLines};
