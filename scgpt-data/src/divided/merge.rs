//! [`Merge`]: how what parts say of their cells becomes what is said of all cells.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::part_number::PartNumber;

/// How the values of a field of the records of parts become one. A field without a rule has to be the same in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Merge {
    /// Counts, or lists of counts, are added up.
    Sum,
    /// The least count.
    Least,
    /// The largest count.
    Most,
    /// A share of the cells.
    Share,
    /// That of the first part: it means nothing that others differ.
    First,
}

/// What a part says of its cells.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfPart<'a> {
    pub(super) part: PartNumber,
    pub(super) cells: usize,
    pub(super) record: &'a Value,
}

impl<'a> OfPart<'a> {
    /// What it says in a field of its record.
    fn member(&self, name: &str) -> Option<Self> {
        let record: &'a Value = self.record;
        Some(Self { record: record.as_object()?.get(name)?, ..*self })
    }
}

/// What is said of the cells of all parts, by `rules` for fields such as `tokens.total`.
///
/// # Errors
/// A sentence that names a field that differs, and two parts that differ in it; or one that does not fit its rule.
pub(super) fn merge(
    parts: &[OfPart<'_>],
    rules: &BTreeMap<String, Merge>,
) -> Result<Value, String> {
    merge_at("", parts, rules)
}

fn merge_at(
    field: &str,
    parts: &[OfPart<'_>],
    rules: &BTreeMap<String, Merge>,
) -> Result<Value, String> {
    let Some((first, others)) = parts.split_first() else { return Ok(Value::Null) };
    if let Some(rule) = rules.get(field) {
        let wrong = || format!("`{field}` of part {} is not what can be merged", first.part);
        return rule.apply(parts).ok_or_else(wrong);
    }
    if let Value::Object(members) = first.record {
        let mut merged = Map::new();
        for name in members.keys() {
            let at = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
            let within: Vec<_> = parts.iter().filter_map(|part| part.member(name)).collect();
            if within.len() < parts.len() {
                return Err(format!("`{at}` is in part {} and not in all others", first.part));
            }
            merged.insert(name.clone(), merge_at(&at, &within, rules)?);
        }
        return Ok(Value::Object(merged));
    }
    match others.iter().find(|other| other.record != first.record) {
        Some(other) => Err(format!(
            "`{field}` is {} in part {}, {} in part {}",
            first.record, first.part, other.record, other.part
        )),
        None => Ok(first.record.clone()),
    }
}

impl Merge {
    /// The value of all parts; `None` if theirs are of another kind.
    fn apply(self, parts: &[OfPart<'_>]) -> Option<Value> {
        let records: Vec<&Value> = parts.iter().map(|part| part.record).collect();
        let counts = || records.iter().map(|record| record.as_u64()).collect::<Option<Vec<u64>>>();
        Some(match self {
            Self::First => (*records.first()?).clone(),
            Self::Sum => sum(&records)?,
            Self::Least => counts()?.into_iter().min()?.into(),
            Self::Most => counts()?.into_iter().max()?.into(),
            Self::Share => share(parts)?.into(),
        })
    }
}

/// The sum of counts, or of each place of lists of them.
fn sum(records: &[&Value]) -> Option<Value> {
    let Value::Array(first) = records.first()? else {
        let add = |sum: u64, record: &&Value| sum.checked_add(record.as_u64()?);
        return records.iter().try_fold(0, add).map(Value::from);
    };
    let lists: Option<Vec<&Vec<Value>>> = records.iter().map(|record| record.as_array()).collect();
    let lists = lists.filter(|lists| lists.iter().all(|list| list.len() == first.len()))?;
    let at = |place: usize| sum(&lists.iter().map(|list| &list[place]).collect::<Vec<_>>());
    (0..first.len()).map(at).collect::<Option<Vec<_>>>().map(Value::Array)
}

/// A share of all cells, by the numbers of cells that are so in each part: it is that of a run over all of them to the
/// last bit.
fn share(parts: &[OfPart<'_>]) -> Option<f64> {
    let (mut are_so, mut all) = (0.0, 0);
    for part in parts {
        are_so += (part.record.as_f64()? * part.cells as f64).round();
        all += part.cells;
    }
    Some(are_so / all.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(one: &Value, other: &Value) -> Result<Value, String> {
        let part = |number| PartNumber::new(number, 2).unwrap();
        let parts = [
            OfPart { part: part(1), cells: 3, record: one },
            OfPart { part: part(2), cells: 4, record: other },
        ];
        let rules = [
            ("cells", Merge::Sum),
            ("tokens.classes", Merge::Sum),
            ("tokens.min", Merge::Least),
            ("tokens.max", Merge::Most),
            ("unknown", Merge::Share),
            ("path", Merge::First),
        ];
        merge(&parts, &rules.map(|(field, rule)| (field.to_owned(), rule)).into())
    }

    #[test]
    fn what_is_said_of_parts_is_said_of_all() {
        let of = |cells, classes: &[u64], min, max, unknown: f64, path: &str| {
            json!({"cells": cells, "tokens": {"classes": classes, "min": min, "max": max}, "unknown": unknown,
                   "path": path, "seed": 7})
        };
        let (one, other) = (of(3, &[1, 2], 5, 9, 1.0 / 3.0, "a"), of(4, &[4, 0], 3, 8, 0.75, "b"));
        assert_eq!(merged(&one, &other).unwrap(), of(7, &[5, 2], 3, 9, 4.0 / 7.0, "a"));
    }

    #[test]
    fn what_differs_is_named() {
        let one = json!({"precision": "f32", "x": {"y": 1}});
        let other = json!({"precision": "bf16", "x": {"y": 1}});
        let said = merged(&one, &other).unwrap_err();
        assert_eq!(said, "`precision` is \"f32\" in part 1/2, \"bf16\" in part 2/2");
        let said = merged(&one, &json!({"precision": "f32", "x": {}})).unwrap_err();
        assert_eq!(said, "`x.y` is in part 1/2 and not in all others");
        let said = merged(&json!({"cells": -1}), &json!({"cells": 1})).unwrap_err();
        assert_eq!(said, "`cells` of part 1/2 is not what can be merged");
        let short = json!({"tokens": {"classes": [1]}});
        assert!(merged(&json!({"tokens": {"classes": [1, 2]}}), &short).is_err());
    }
}
