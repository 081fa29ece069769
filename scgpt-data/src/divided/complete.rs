//! Whether all parts of a run are there, and of the same.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

use crate::{
    differences::each_difference,
    error::{Error, Result},
    part_number::PartNumber,
};

/// Checks that each part of a run is there once. They are sorted; `line` is the command line that makes one, with `I/N`
/// for the part.
///
/// # Errors
/// If one is there twice, or some are missing: the message says which, and how they are made.
///
/// # Panics
/// If there are none.
pub(crate) fn check_complete(there: &[(PartNumber, &Path)], line: &str) -> Result<()> {
    if let Some(two) = there.windows(2).find(|two| two[0].0 == two[1].0) {
        let [(part, one), (_, other)] = [two[0], two[1]];
        let problem =
            format!("part {part} is there twice: `{}` and `{}`", one.display(), other.display());
        return Err(Error::unsuited(problem, "name each part once"));
    }
    let of = there[0].0.of();
    let there: BTreeSet<usize> = there.iter().map(|(part, _)| part.number()).collect();
    let missing: Vec<usize> = (1..=of).filter(|number| !there.contains(number)).collect();
    let Some(next) = missing.first().and_then(|&number| PartNumber::new(number, of)) else {
        return Ok(());
    };
    let so_on = if missing.len() == 1 { "" } else { ", and so on" };
    let remedy = format!("run `{}`{so_on}", line.replacen("I/N", &next.to_string(), 1));
    Err(Error::unsuited(missing_of(&missing, of), remedy))
}

/// Where what is said of the run of one part differs from what is said of that of another; `None` if it does not.
pub(crate) fn differing(one: &Value, its: &Value) -> Option<String> {
    let mut said = Vec::new();
    each_difference(one, its, &mut |field, one, its| {
        let field = field.trim_start_matches("run.");
        said.push(format!("`{field}` is {its}, there {one}"));
    });
    (!said.is_empty()).then(|| said.join("; "))
}

/// Which parts are missing.
fn missing_of(missing: &[usize], of: usize) -> String {
    const SHOWN: usize = 20;
    let first: Vec<String> = missing.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = match missing.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (parts, are) = if missing.len() == 1 { ("part", "is") } else { ("parts", "are") };
    format!("{parts} {}{more} of {of} {are} missing", first.join(", "))
}
