//! Sizes beyond all reason are refused before they become sizes of buffers.

use std::ops::RangeInclusive;

use scgpt_data::{Setting, SettingProblem};

/// Cells computed at once.
pub(crate) const BATCH: RangeInclusive<usize> = 1..=65_536;
/// Genes, or tokens of a cell.
pub(crate) const TOKENS: usize = 1 << 20;

/// What is wrong with a number outside its limits.
pub(crate) fn outside(
    field: &'static str,
    value: usize,
    limits: &RangeInclusive<usize>,
) -> Option<SettingProblem> {
    let problem = if value < *limits.start() {
        format!("is {value}, expected at least {}", limits.start())
    } else if value > *limits.end() {
        format!("is {value}, expected at most {}", limits.end())
    } else {
        return None;
    };
    Some(Setting(field).wrong(problem))
}
