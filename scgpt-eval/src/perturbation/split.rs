//! [`Split`]: which conditions are trained on, and which are kept to judge by.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use scgpt_data::{Error, Keyed, Purpose, Result, number_of};
use serde::{Deserialize, Serialize};

use super::condition::{CONTROL, Condition};

/// How conditions are divided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum SplitMode {
    /// Unseen genes, and doubles by how many of their genes are seen.
    ///
    /// Three quarters of the perturbed genes are seen. Singles of the others are tested
    /// (`unseen_single`), and doubles by how many of their genes are seen (`combo_seen0`, `1`, and a
    /// quarter of those with two).
    #[default]
    Simulation,
    /// As in `simulation`, but with singles alone.
    #[cfg_attr(feature = "clap", value(alias = "simulation-single"))]
    SimulationSingle,
    /// Singles of unseen genes.
    ///
    /// No double that has one of these genes is trained on.
    Single,
    /// Doubles of two unseen genes.
    #[cfg_attr(feature = "clap", value(alias = "combo-seen0"))]
    ComboSeen0,
    /// Doubles with one unseen gene.
    #[cfg_attr(feature = "clap", value(alias = "combo-seen1"))]
    ComboSeen1,
    /// Doubles of two seen genes.
    #[cfg_attr(feature = "clap", value(alias = "combo-seen2"))]
    ComboSeen2,
    /// Nothing is tested: a tenth of the conditions selects the network.
    ///
    /// All others are trained on.
    #[cfg_attr(feature = "clap", value(alias = "no-test"))]
    NoTest,
    /// Nothing is tested or selects the network: all conditions are trained on.
    #[cfg_attr(feature = "clap", value(alias = "no-split"))]
    NoSplit,
}

/// Conditions to train on, to choose the best network by, and to judge it by. The control belongs
/// to none: it is the start of every prediction.
///
/// # Reference
/// GEARS `DataSplitter`. Differs: choices are keyed by gene and condition, so that they do not
/// depend on what else is in the data; validation is a tenth of the conditions whatever the mode.
///
/// ```
/// use scgpt_eval::perturbation::{Split, SplitMode, singles_and_pairs};
///
/// let genes: Vec<String> = (0..8).map(|gene| format!("GENE{gene}")).collect();
/// let conditions = singles_and_pairs(&genes)?;
/// let split = Split::new(&conditions, SplitMode::Simulation, 1)?;
/// assert!(split.test.iter().all(|name| !split.train.contains(name)));
/// assert!(split.test_subgroup.contains_key("unseen_single"));
/// # Ok::<(), scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Names of the conditions that are trained on.
    pub train: Vec<String>,
    /// Names of the conditions by which the best network is chosen.
    #[serde(rename = "val")]
    pub validation: Vec<String>,
    /// Names of the conditions by which the result is judged; they serve nothing else.
    pub test: Vec<String>,
    /// The tested conditions by how much of each is seen in training, one of the names above.
    #[serde(default)]
    pub test_subgroup: BTreeMap<String, Vec<String>>,
}

/// Share of the genes, and of the doubles of seen genes, that a simulation split trains on.
const SEEN: f64 = 0.75;
/// Share of the conditions left for training that is trained on, the others validating.
const TRAINED: f64 = 0.9;
/// What a choice is made among: a part of its key.
const OF_GENES: u64 = 0;
const OF_CONDITIONS: u64 = 1;
const OF_VALIDATION: u64 = 2;

impl Split {
    /// Divides `conditions` by `mode`; controls are passed over.
    ///
    /// # Errors
    /// If nothing is left to train on, or to judge by where the mode asks for it.
    pub fn new(conditions: &[Condition], mode: SplitMode, seed: u64) -> Result<Self> {
        let mut all: Vec<&Condition> = conditions.iter().filter(|c| !c.is_control()).collect();
        all.sort();
        all.dedup();
        if mode == SplitMode::SimulationSingle {
            all.retain(|condition| condition.genes().len() == 1);
        }
        let (train, test) = match mode {
            SplitMode::NoTest | SplitMode::NoSplit => (all, Vec::new()),
            _ => divide(&all, mode, seed),
        };
        if mode != SplitMode::NoTest && mode != SplitMode::NoSplit && test.is_empty() {
            return Err(Error::Option(format!(
                "{} would leave none to judge by: choose another split",
                number_of(train.len(), "condition")
            )));
        }
        let (train, validation) = if mode == SplitMode::NoSplit {
            (train, Vec::new())
        } else {
            // Where doubles of seen genes are asked for, all singles stay in training.
            let is_double = |c: &&&Condition| c.genes().len() > 1 || mode != SplitMode::ComboSeen2;
            let names: Vec<String> =
                train.iter().filter(is_double).map(ToString::to_string).collect();
            let n = least_one((1.0 - TRAINED) * names.len() as f64, names.len());
            let chosen = choose(&names, n, seed, OF_VALIDATION);
            train.into_iter().partition(|condition| !chosen.contains(&condition.to_string()))
        };
        if train.is_empty() {
            return Err(Error::Option(
                "no perturbed condition is left to train on: choose another split".into(),
            ));
        }
        Ok(Self::of([train, validation, test]))
    }

    /// The split in these parts: trained on, validating, tested.
    pub(super) fn of(parts: [Vec<&Condition>; 3]) -> Self {
        let [train, validation, test] = &parts;
        let seen = genes_of(train.iter().chain(validation).copied());
        let mut test_subgroup: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for condition in test {
            let group = subgroup(condition, &seen);
            test_subgroup.entry(group).or_default().push(condition.to_string());
        }
        let names = |of: Vec<&Condition>| of.into_iter().map(ToString::to_string).collect();
        let [train, validation, test] = parts.map(names);
        Self { train, validation, test, test_subgroup }
    }

    /// The same split of those of its conditions that are among `conditions`.
    ///
    /// # Errors
    /// If none of them is trained on.
    pub fn among(&self, conditions: &[Condition]) -> Result<Self> {
        let among = |names: &[String]| {
            conditions.iter().filter(|condition| names.contains(&condition.to_string())).collect()
        };
        let split = Self::of([&self.train, &self.validation, &self.test].map(|part| among(part)));
        if split.train.is_empty() {
            return Err(Error::Option("the split trains on no condition of the data".into()));
        }
        Ok(split)
    }

    /// Whether a condition is in any part.
    pub fn has(&self, condition: &str) -> bool {
        [&self.train, &self.validation, &self.test]
            .iter()
            .any(|part| part.iter().any(|name| name == condition))
    }

    /// Reads a split that was saved as JSON, by this program or by GEARS, whose file need not have
    /// subgroups.
    ///
    /// # Errors
    /// If the file is no split, or a condition is in two parts of it.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = |problem: String| {
            Error::Option(format!("`{}` is no split of conditions: {problem}", path.display()))
        };
        let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let split: Self =
            serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
        let conditions = |names: &Vec<String>| -> Result<Vec<Condition>> {
            let conditions = names.iter().map(|name| Condition::parse(name, "+", CONTROL));
            let mut conditions: Vec<Condition> = conditions.collect::<Result<_>>()?;
            conditions.retain(|condition| !condition.is_control());
            Ok(conditions)
        };
        let parts =
            [conditions(&split.train)?, conditions(&split.validation)?, conditions(&split.test)?];
        let split = Self::of(parts.each_ref().map(|part| part.iter().collect()));
        let mut met = BTreeSet::new();
        for name in split.train.iter().chain(&split.validation).chain(&split.test) {
            if !met.insert(name) {
                return Err(failed(format!("condition `{name}` is in it twice")));
            }
        }
        Ok(split)
    }

    /// The subgroup of a tested condition, if it has one.
    pub fn subgroup(&self, condition: &str) -> Option<&str> {
        let of = |(_, names): &(&String, &Vec<String>)| names.iter().any(|name| name == condition);
        self.test_subgroup.iter().find(of).map(|(group, _)| group.as_str())
    }
}

/// What is trained on or validates, and what is tested.
fn divide<'a>(
    all: &[&'a Condition],
    mode: SplitMode,
    seed: u64,
) -> (Vec<&'a Condition>, Vec<&'a Condition>) {
    let is_of_doubles = matches!(mode, SplitMode::ComboSeen0 | SplitMode::ComboSeen1);
    let chosen_from = all.iter().filter(|condition| !is_of_doubles || condition.genes().len() > 1);
    let genes: Vec<String> = genes_of(chosen_from.copied()).into_iter().map(String::from).collect();
    let n = least_one((1.0 - SEEN) * genes.len() as f64, genes.len());
    let unseen = match mode {
        // All genes are seen, in other conditions.
        SplitMode::ComboSeen2 => BTreeSet::new(),
        _ => choose(&genes, n, seed, OF_GENES),
    };
    let n_unseen =
        |condition: &Condition| condition.genes().iter().filter(|g| unseen.contains(*g)).count();
    // Of doubles of seen genes a part is tested.
    let seen_doubles: Vec<String> = all
        .iter()
        .filter(|condition| condition.genes().len() > 1 && n_unseen(condition) == 0)
        .map(ToString::to_string)
        .collect();
    let tested = match mode {
        SplitMode::Simulation | SplitMode::ComboSeen2 => {
            let n = least_one((1.0 - SEEN) * seen_doubles.len() as f64, seen_doubles.len());
            choose(&seen_doubles, n, seed, OF_CONDITIONS)
        }
        _ => BTreeSet::new(),
    };
    let is_tested = |condition: &Condition| {
        let n = condition.genes().len();
        match mode {
            SplitMode::Single => n == 1 && n_unseen(condition) == 1,
            SplitMode::ComboSeen0 => n > 1 && n_unseen(condition) == n,
            SplitMode::ComboSeen1 => n > 1 && n_unseen(condition) == n - 1,
            _ => n_unseen(condition) > 0 || tested.contains(&condition.to_string()),
        }
    };
    let test: Vec<&Condition> = all.iter().copied().filter(|c| is_tested(c)).collect();
    // What has a gene that shall be unseen is neither trained on nor, in some modes, tested.
    let train = all.iter().copied().filter(|c| n_unseen(c) == 0 && !is_tested(c)).collect();
    (train, test)
}

/// The name of the subgroup that says how much of a condition is seen.
fn subgroup(condition: &Condition, seen: &BTreeSet<&str>) -> String {
    let genes = condition.genes();
    let n = genes.iter().filter(|gene| seen.contains(gene.as_str())).count();
    match (genes.len(), n) {
        (1, 0) => "unseen_single".into(),
        (1, _) => "seen_single".into(),
        _ => format!("combo_seen{n}"),
    }
}

fn genes_of<'a>(conditions: impl Iterator<Item = &'a Condition>) -> BTreeSet<&'a str> {
    conditions.flat_map(Condition::genes).map(String::as_str).collect()
}

/// The number nearest to `share`, but at least one and less than all `of` them.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
fn least_one(share: f64, of: usize) -> usize {
    (share.round() as usize).max(1).min(of.saturating_sub(1))
}

/// `n` of the `names`, each drawn by its own name, so that others do not matter.
fn choose(names: &[String], n: usize, seed: u64, about: u64) -> BTreeSet<String> {
    let mut drawn: Vec<(u64, &String)> = names
        .iter()
        .map(|name| {
            // The name's bytes, chained through the generator.
            let mix = |key: u64, byte: u8| {
                Keyed::new(key, Purpose::HoldOut, about, u64::from(byte)).bits(0)
            };
            (name.bytes().fold(seed, mix), name)
        })
        .collect();
    drawn.sort_unstable();
    drawn.into_iter().take(n).map(|(_, name)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Twelve singles and all pairs of the first eight genes.
    fn conditions() -> Vec<Condition> {
        let gene = |i: usize| format!("G{i:02}");
        let mut all = vec![Condition::default()];
        all.extend((0..12).map(|i| Condition::new([gene(i)])));
        for i in 0..8 {
            all.extend((i + 1..8).map(|j| Condition::new([gene(i), gene(j)])));
        }
        all
    }

    fn genes<'a>(names: impl IntoIterator<Item = &'a String>) -> BTreeSet<String> {
        let parse = |name: &String| Condition::parse(name, "+", "ctrl").unwrap();
        names.into_iter().flat_map(|name| parse(name).genes().to_vec()).collect()
    }

    #[test]
    fn simulation_names_what_is_unseen() {
        let split = Split::new(&conditions(), SplitMode::Simulation, 1).unwrap();
        let seen = genes(split.train.iter().chain(&split.validation));
        assert_eq!(seen.len(), 9);
        for (group, names) in &split.test_subgroup {
            for name in names {
                let of = Condition::parse(name, "+", "ctrl").unwrap();
                let n = of.genes().iter().filter(|gene| seen.contains(*gene)).count();
                let expected = match of.genes().len() {
                    1 => "unseen_single".to_owned(),
                    _ => format!("combo_seen{n}"),
                };
                assert_eq!(*group, expected, "{name}");
                assert!(group != "unseen_single" || n == 0);
                assert_eq!(split.subgroup(name), Some(group.as_str()));
            }
        }
        let n = split.train.len() + split.validation.len() + split.test.len();
        assert_eq!(n, 12 + 28, "every condition is in one part");
        assert_eq!(split.test_subgroup["unseen_single"].len(), 3);
    }

    #[test]
    fn every_mode_keeps_its_promise() {
        let all = conditions();
        let of = |mode| Split::new(&all, mode, 3).unwrap();
        for (mode, n_seen) in
            [(SplitMode::ComboSeen0, 0), (SplitMode::ComboSeen1, 1), (SplitMode::ComboSeen2, 2)]
        {
            let split = of(mode);
            let groups: Vec<&String> = split.test_subgroup.keys().collect();
            assert_eq!(groups, [&format!("combo_seen{n_seen}")]);
        }
        let single = of(SplitMode::Single);
        let trained = genes(single.train.iter().chain(&single.validation));
        assert!(genes(&single.test).is_disjoint(&trained));
        assert!(of(SplitMode::NoTest).test.is_empty());
        let none = of(SplitMode::NoSplit);
        assert_eq!((none.train.len(), none.validation.len()), (40, 0));
    }

    #[test]
    fn the_seed_decides_and_others_do_not_matter() {
        let all = conditions();
        let of = |seed| Split::new(&all, SplitMode::SimulationSingle, seed).unwrap();
        assert_eq!(of(5), of(5));
        assert_ne!(of(5).test, of(6).test);
        let reversed: Vec<Condition> = all.iter().rev().cloned().collect();
        assert_eq!(of(5), Split::new(&reversed, SplitMode::SimulationSingle, 5).unwrap());
    }

    #[test]
    fn a_split_is_saved_and_read() {
        let split = Split::new(&conditions(), SplitMode::Simulation, 1).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("split.json");
        std::fs::write(&path, serde_json::to_vec(&split).unwrap()).unwrap();
        assert_eq!(Split::read(&path).unwrap(), split);
        let parts = json!({ "train": split.train, "val": split.validation, "test": split.test });
        std::fs::write(&path, parts.to_string()).unwrap();
        assert_eq!(Split::read(&path).unwrap(), split, "the subgroups follow from the parts");
        std::fs::write(&path, r#"{"train":["A+ctrl","ctrl"],"val":["ctrl+A"],"test":[]}"#).unwrap();
        assert!(Split::read(&path).unwrap_err().to_string().contains("`A+ctrl` is in it twice"));
    }

    #[test]
    fn too_little_to_split_is_an_error() {
        let one = [Condition::default(), Condition::new(["A"])];
        assert!(Split::new(&one, SplitMode::Simulation, 0).is_err());
        assert!(Split::new(&one, SplitMode::NoSplit, 0).is_ok());
        assert!(Split::new(&one[..1], SplitMode::NoSplit, 0).is_err());
    }
}
