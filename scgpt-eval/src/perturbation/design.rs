//! [`Design`]: which perturbation each cell had.

use std::collections::{BTreeMap, BTreeSet};

use scgpt_data::{Advice, CellSource, Column, Error, Frame, Result, Setting, narrow, obs_column};

use super::condition::{CONTROL, Condition};
use crate::labels::Labels;

/// Where conditions are, and how they are written.
///
/// ```
/// use scgpt_eval::perturbation::DesignOptions;
///
/// // Guides in the column `guide`, such as `KLF1;GATA1`, and `NT` where nothing is perturbed.
/// let mut options = DesignOptions::default();
/// options.condition_key = "guide";
/// options.control = "NT";
/// options.separator = ";";
/// assert_eq!(options.cell_type_key, None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DesignOptions<'a> {
    /// Column of `obs` with the conditions.
    pub condition_key: &'a str,
    /// Name of the control besides `ctrl`.
    pub control: &'a str,
    /// What stands between the genes of a condition.
    pub separator: &'a str,
    /// Column of `obs` with cell types, each compared with controls of its own.
    pub cell_type_key: Option<&'a str>,
}

impl Default for DesignOptions<'_> {
    /// The layout of GEARS, cell types not told apart.
    fn default() -> Self {
        Self { condition_key: "condition", control: CONTROL, separator: "+", cell_type_key: None }
    }
}

impl DesignOptions<'_> {
    /// Reads a condition.
    fn parse(&self, name: &str) -> Result<Condition> {
        Condition::parse(name, self.separator, self.control).map_err(|error| {
            Error::Option(format!("column `{}` of `obs`: {error}", self.condition_key))
        })
    }
}

/// Cells of one type in one condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConditionGroup {
    /// Its cell type, a place in [`Design::cell_types`].
    pub cell_type: u32,
    /// Its condition, a place in [`Design::conditions`].
    pub condition: u32,
}

/// The groups of a perturbation experiment, each the cells of one type in one condition.
///
/// ```
/// use scgpt_data::{CellSource as _, Layer};
/// use scgpt_eval::perturbation::{Design, DesignOptions};
/// use scgpt_eval::simulate::{PerturbSimulateOptions, PerturbSimulation};
///
/// let source = PerturbSimulation::new(&PerturbSimulateOptions::new(300, 60, 5), None)?;
/// let design = Design::of(&source, &DesignOptions::default(), 5)?;
/// assert_eq!(design.perturbed().count(), 5);
/// assert!(design.condition(design.control(1)).is_control());
/// # Ok::<(), scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Design {
    /// Cell types; a single one without a name if they are not told apart.
    pub cell_types: Vec<String>,
    /// Conditions, the control first.
    pub conditions: Vec<Condition>,
    /// Groups that have cells; those of a cell type begin with its control.
    pub groups: Vec<ConditionGroup>,
    /// The group of each cell; `None` for cells of groups that were left out.
    pub codes: Vec<Option<u32>>,
    /// Number of cells of each group.
    pub counts: Vec<usize>,
    /// Groups left out because they have too few cells, or their cell type has no control.
    pub dropped: Vec<String>,
}

impl Design {
    /// Reads the design from the `obs` of a source; see [`Self::read`].
    ///
    /// # Errors
    /// As [`Self::read`], with the name of the file.
    pub fn of(
        source: &dyn CellSource,
        options: &DesignOptions<'_>,
        min_cells: usize,
    ) -> Result<Self> {
        Self::read(&source.obs()?, options, min_cells)
            .map_err(Error::in_file(&source.summary().path))
    }

    /// Reads the design from `obs`, leaving out groups of fewer than `min_cells` cells.
    ///
    /// # Errors
    /// If a column is missing, there is no control cell, or nothing is perturbed.
    pub fn read(obs: &Frame, options: &DesignOptions<'_>, min_cells: usize) -> Result<Self> {
        let names = obs_column(obs, options.condition_key)?.labels();
        let types = match options.cell_type_key {
            Some(key) => Labels::read(obs, key)?,
            None => Labels { classes: vec![String::new()], codes: vec![Some(0); names.len()] },
        };
        let mut parsed: BTreeMap<&str, Condition> = BTreeMap::new();
        for name in names.iter().flatten().filter(|name| !name.is_empty()) {
            if !parsed.contains_key(name.as_str()) {
                let condition = options.parse(name)?;
                parsed.insert(name, condition);
            }
        }
        let mut conditions: Vec<Condition> = parsed.values().cloned().collect();
        conditions.push(Condition::default());
        conditions.sort();
        conditions.dedup();
        let code = |condition: &Condition| {
            // All are in the list.
            narrow(conditions.partition_point(|other| other < condition))
        };
        let by_name: BTreeMap<&str, u32> =
            parsed.iter().map(|(&name, condition)| (name, code(condition))).collect();
        let group = |(name, cell_type): (&Option<String>, &Option<u32>)| {
            let condition = *by_name.get(name.as_deref()?)?;
            Some(ConditionGroup { cell_type: (*cell_type)?, condition })
        };
        let of_cell: Vec<Option<ConditionGroup>> =
            names.iter().zip(&types.codes).map(group).collect();
        Self::of_groups(types.classes, conditions, &of_cell, min_cells).map_err(
            |(problem, remedy)| {
                let problem = format!("column `{}` of `obs` {problem}", options.condition_key);
                Error::unsuited(problem, remedy)
            },
        )
    }

    /// The group in `truth` of each predicted cell; `None` for controls and for conditions that the
    /// truth does not have, whose names come second. If the truth tells cell types apart, the
    /// predictions need a column of them, too.
    pub(super) fn read_predicted(
        source: &dyn CellSource,
        options: &DesignOptions<'_>,
        truth: &Self,
    ) -> Result<(Vec<Option<u32>>, Vec<String>)> {
        let obs = source.obs()?;
        let labels = |key| {
            obs_column(&obs, key)
                .map(Column::labels)
                .map_err(Error::in_file(&source.summary().path))
        };
        let names = labels(options.condition_key)?;
        let types = match options.cell_type_key {
            Some(key) => labels(key)?,
            None => vec![Some(String::new()); names.len()],
        };
        let mut groups: BTreeMap<(String, String), u32> = BTreeMap::new();
        for (number, group) in (0..).zip(0..truth.groups.len()) {
            let cell_type = &truth.cell_types[truth.groups[group].cell_type as usize];
            groups.insert((cell_type.clone(), truth.condition(group).to_string()), number);
        }
        let mut codes = Vec::with_capacity(names.len());
        let mut without_truth = BTreeSet::new();
        for (name, cell_type) in names.into_iter().zip(types) {
            // A cell without a condition, or without a type where types are told apart, is of no group.
            let (Some(name), Some(cell_type)) = (name, cell_type) else {
                codes.push(None);
                continue;
            };
            let condition = options.parse(&name).map_err(Error::in_file(&source.summary().path))?;
            let named = (cell_type, condition.to_string());
            let group = groups.get(&named).copied().filter(|_| !condition.is_control());
            if group.is_none() && !condition.is_control() {
                without_truth.insert(match named {
                    (cell_type, name) if cell_type.is_empty() => name,
                    (cell_type, name) => format!("{cell_type}_{name}"),
                });
            }
            codes.push(group);
        }
        Ok((codes, without_truth.into_iter().collect()))
    }

    fn of_groups(
        cell_types: Vec<String>,
        conditions: Vec<Condition>,
        of_cell: &[Option<ConditionGroup>],
        min_cells: usize,
    ) -> std::result::Result<Self, (String, Advice)> {
        let mut counts: BTreeMap<ConditionGroup, usize> = BTreeMap::new();
        for group in of_cell.iter().flatten() {
            *counts.entry(*group).or_default() += 1;
        }
        let has_control = |group: &ConditionGroup| {
            counts.contains_key(&ConditionGroup { condition: 0, ..*group })
        };
        if !counts.keys().any(|group| group.condition == 0) {
            let examples: Vec<String> =
                conditions.iter().skip(1).take(3).map(ToString::to_string).collect();
            let has = match examples.as_slice() {
                [] => String::new(),
                // Nobody perturbs by 0.692.
                some if some.iter().all(|it| it.contains('.') && it.parse::<f64>().is_ok()) => {
                    " (it has numbers: is it the column of conditions?)".to_owned()
                }
                some => format!(" (it has {}…)", some.join(", ")),
            };
            return Err((
                format!("has no control cell, which every response is measured against{has}"),
                Advice::from(format!("controls are called `{CONTROL}`, or as said by "))
                    + Setting("control"),
            ));
        }
        let is_kept =
            |(group, n): &(&ConditionGroup, &usize)| **n >= min_cells && has_control(group);
        let groups: Vec<ConditionGroup> =
            counts.iter().filter(is_kept).map(|(group, _)| *group).collect();
        if groups.iter().all(|group| group.condition == 0) {
            return Err((
                format!("has no perturbed condition with at least {min_cells} cells"),
                Advice::from("name the column of conditions by ") + Setting("condition_key"),
            ));
        }
        let mut design = Self {
            codes: of_cell
                .iter()
                .map(|group| groups.binary_search(&(*group)?).ok())
                .map(|place| place.and_then(|place| u32::try_from(place).ok()))
                .collect(),
            counts: groups.iter().map(|group| counts[group]).collect(),
            dropped: Vec::new(),
            cell_types,
            conditions,
            groups,
        };
        let dropped = counts.iter().filter(|entry| !is_kept(entry));
        design.dropped = dropped.map(|(group, _)| design.name(*group)).collect();
        Ok(design)
    }

    /// The condition of a group.
    pub fn condition(&self, group: usize) -> &Condition {
        &self.conditions[self.groups[group].condition as usize]
    }

    /// The group of the controls with the same cell type as a group.
    pub fn control(&self, group: usize) -> usize {
        let ConditionGroup { cell_type, .. } = self.groups[group];
        self.groups.partition_point(|other| other.cell_type < cell_type)
    }

    /// The groups that are not controls.
    pub fn perturbed(&self) -> impl Iterator<Item = usize> {
        (0..self.groups.len()).filter(|&group| self.groups[group].condition != 0)
    }

    /// `condition`, or `type_condition` where types are told apart.
    pub fn group_name(&self, group: usize) -> String {
        self.name(self.groups[group])
    }

    /// The conditions that have cells, without the control.
    pub fn perturbed_conditions(&self) -> Vec<Condition> {
        let mut codes: Vec<u32> =
            self.perturbed().map(|group| self.groups[group].condition).collect();
        codes.sort_unstable();
        codes.dedup();
        codes.into_iter().map(|code| self.conditions[code as usize].clone()).collect()
    }

    /// Keeps the groups for which `keep` is true, one entry a group; cells of the others have none.
    pub fn retain(&mut self, keep: &[bool]) {
        let mut number = 0;
        let mut place = |&is_kept: &bool| {
            let place = number;
            number += u32::from(is_kept);
            is_kept.then_some(place)
        };
        let places: Vec<Option<u32>> = keep.iter().map(&mut place).collect();
        for code in &mut self.codes {
            *code = code.and_then(|group| places[group as usize]);
        }
        let mut kept = keep.iter();
        self.groups.retain(|_| kept.next() == Some(&true));
        let mut kept = keep.iter();
        self.counts.retain(|_| kept.next() == Some(&true));
    }

    fn name(&self, group: ConditionGroup) -> String {
        let condition = &self.conditions[group.condition as usize];
        match self.cell_types[group.cell_type as usize].as_str() {
            "" => condition.to_string(),
            cell_type => format!("{cell_type}_{condition}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn obs(conditions: &[&str], types: &[&str]) -> Frame {
        let text = |values: &[&str]| {
            Column::Text(values.iter().map(|value| Some((*value).to_owned())).collect())
        };
        Frame {
            index_name: "_index".into(),
            index: (0..conditions.len()).map(|cell| cell.to_string()).collect(),
            columns: vec![("condition".into(), text(conditions)), ("type".into(), text(types))],
        }
    }

    const CONDITIONS: [&str; 8] =
        ["ctrl", "A+ctrl", "ctrl+A", "B+A", "ctrl", "A+B", "C+ctrl", "A+ctrl"];
    const TYPES: [&str; 8] = ["t", "t", "t", "t", "t", "t", "t", "u"];

    #[test]
    fn spellings_of_a_condition_are_one_group() {
        let design = Design::read(&obs(&CONDITIONS, &TYPES), &DesignOptions::default(), 2).unwrap();
        let names: Vec<String> = (0..3).map(|group| design.group_name(group)).collect();
        assert_eq!(names, ["ctrl", "A+ctrl", "A+B"]);
        assert_eq!(design.counts, [2, 3, 2]);
        assert_eq!(design.dropped, ["C+ctrl"]);
        assert_eq!(design.codes[3], Some(2));
        assert_eq!(design.codes[6], None);
        assert_eq!(design.perturbed().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn types_have_controls_of_their_own() {
        let options = DesignOptions { cell_type_key: Some("type"), ..DesignOptions::default() };
        let design = Design::read(&obs(&CONDITIONS, &TYPES), &options, 1).unwrap();
        assert_eq!(design.group_name(1), "t_A+ctrl");
        assert_eq!((0..4).map(|group| design.control(group)).collect::<Vec<_>>(), [0; 4]);
        assert_eq!(design.dropped, ["u_A+ctrl"], "no control of that type");
    }

    #[test]
    fn what_is_missing_is_named() {
        let read = |conditions: &[&str]| {
            let options = DesignOptions::default();
            let types = vec!["t"; conditions.len()];
            Design::read(&obs(conditions, &types), &options, 2).unwrap_err().to_string()
        };
        assert!(read(&["A", "A", "B"]).contains("no control cell"));
        assert!(read(&["ctrl", "ctrl"]).contains("no perturbed condition"));
        assert!(read(&["ctrl", "ctrl", "A"]).contains("at least 2 cells"));
        let options = DesignOptions { condition_key: "guide", ..DesignOptions::default() };
        assert!(Design::read(&obs(&["ctrl"], &["t"]), &options, 1).is_err());
    }
}
