//! Sizes beyond all reason are refused before they become sizes of buffers: a mistyped number should be
//! an error that names the setting, not a machine without memory.

use std::ops::RangeInclusive;

use scgpt_data::{Setting, SettingProblem};

/// Cells computed at once: at least one, and fewer than any device has room for.
pub(crate) const BATCH: RangeInclusive<usize> = 1..=65_536;
/// Genes, or tokens of a cell: more than any assay measures.
pub(crate) const TOKENS: usize = 1 << 20;

/// What is wrong with the `value` of a setting outside its limits; none if it is within them.
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
