//! [`StudyOutline`]: what was planned.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Measure;

/// What varies between the runs of a study, and on what they are measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StudyOutline {
    /// The corpus that is learned from.
    pub data: String,
    /// What varies.
    pub axes: Vec<StudyAxis>,
    /// All runs: every combination of the values of the axes.
    pub runs: Vec<PlannedRun>,
    /// Names of the held-out files.
    pub targets: Vec<String>,
    /// What simple methods reach on targets, without a network.
    pub baselines: BTreeMap<String, BTreeMap<Measure, f64>>,
}

/// Something that varies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StudyAxis {
    /// Its name.
    pub name: String,
    /// What it is in a report.
    pub role: AxisRole,
    /// Names of its values.
    pub values: Vec<String>,
}

/// What an axis is in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AxisRole {
    /// The number of cells to learn from: the horizontal axis of curves.
    Cells,
    /// The seed: its runs are repetitions.
    Seed,
    /// Which cells are learned from.
    Context,
    /// Anything else.
    Other,
}

/// A run, by the values of the axes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedRun {
    /// Its name, which is that of its folder.
    pub name: String,
    /// The name of its value on every axis.
    pub choices: Vec<String>,
}

impl StudyAxis {
    /// An axis with the names of its values.
    pub fn new<S: Into<String>>(
        name: impl Into<String>,
        role: AxisRole,
        values: impl IntoIterator<Item = S>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        Self { name: name.into(), role, values }
    }
}

impl StudyOutline {
    /// The runs are every combination of the values of the axes, the last axis varying fastest; nothing is measured yet.
    pub fn new(data: impl Into<String>, axes: Vec<StudyAxis>) -> Self {
        let mut choices: Vec<Vec<String>> = vec![Vec::new()];
        for axis in &axes {
            let longer = |so_far: &Vec<String>| {
                let with = |value: &String| so_far.iter().cloned().chain([value.clone()]).collect();
                axis.values.iter().map(with).collect::<Vec<_>>()
            };
            choices = choices.iter().flat_map(longer).collect();
        }
        let name = |choices: &[String]| {
            let named = axes.iter().zip(choices);
            let named: Vec<String> =
                named.map(|(axis, value)| format!("{}={value}", axis.name)).collect();
            if named.is_empty() { "run".into() } else { named.join(",") }
        };
        let runs = choices
            .into_iter()
            .map(|choices| PlannedRun { name: name(&choices), choices })
            .collect();
        Self { data: data.into(), axes, runs, targets: Vec::new(), baselines: BTreeMap::new() }
    }

    /// The runs that are the `part`th of `parts`, counted from 1, in their order.
    ///
    /// # Panics
    /// If there are no parts.
    pub fn part(&self, part: usize, parts: usize) -> impl Iterator<Item = &PlannedRun> {
        let of = move |at: usize| at % parts + 1 == part;
        self.runs.iter().enumerate().filter(move |(at, _)| of(*at)).map(|(_, run)| run)
    }

    /// The values of a run on the axes of some roles, for people.
    pub(super) fn said(&self, choices: &[String], roles: &[AxisRole]) -> String {
        let axes: Vec<(&StudyAxis, &String)> =
            self.axes.iter().zip(choices).filter(|(axis, _)| roles.contains(&axis.role)).collect();
        // Contexts have names of their own; a number does not say what it is of.
        let said = |(axis, value): &(&StudyAxis, &String)| match axis.role {
            AxisRole::Context => (*value).clone(),
            _ => format!("{} {value}", axis.name),
        };
        axes.iter().map(said).collect::<Vec<_>>().join(", ")
    }

    /// The place of the axis of a role; the first of several.
    pub(super) fn axis(&self, role: AxisRole) -> Option<usize> {
        self.axes.iter().position(|axis| axis.role == role)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn outline(sizes: &[usize]) -> StudyOutline {
        let axis = |(number, &n): (usize, &usize)| {
            let values = (0..n).map(|value| format!("v{value}"));
            StudyAxis::new(format!("axis{number}"), AxisRole::Other, values)
        };
        StudyOutline::new("corpus", sizes.iter().enumerate().map(axis).collect())
    }

    proptest! {
        #[test]
        fn parts_are_disjoint_and_complete(
            sizes in proptest::collection::vec(1..4_usize, 0..4),
            parts in 1..6_usize,
        ) {
            let outline = outline(&sizes);
            let n: usize = sizes.iter().product();
            let names: BTreeSet<&str> = outline.runs.iter().map(|run| run.name.as_str()).collect();
            prop_assert_eq!((outline.runs.len(), names.len()), (n, n));
            let mut seen = Vec::new();
            for part in 1..=parts {
                let of: Vec<&str> = outline.part(part, parts).map(|run| run.name.as_str()).collect();
                prop_assert!(of.len().abs_diff(n / parts) <= 1);
                seen.extend(of);
            }
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(names));
        }
    }

    #[test]
    fn runs_are_named_by_their_choices() {
        let outline = outline(&[2, 2]);
        assert_eq!(outline.runs[1].name, "axis0=v0,axis1=v1");
        assert_eq!(
            outline.said(&outline.runs[1].choices, &[AxisRole::Other]),
            "axis0 v0, axis1 v1"
        );
        assert_eq!(super::StudyOutline::new("corpus", Vec::new()).runs[0].name, "run");
    }
}
