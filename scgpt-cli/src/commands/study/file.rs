//! A file that says what a study varies and measures.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};
use scgpt_eval::study::{Measure, PlannedRun, StudyAxis, StudyOutline};
use scgpt_tasks::{
    Recipe,
    annotate::AnnotateConfig,
    pretrain::{Preset, PretrainConfig},
    study::{Study, StudyRun, TargetConfig},
};
use serde::Deserialize;
use toml::{Table, Value};

use super::axes::{Axis, placed};
use crate::settings::{as_written, fitted, overlay, underscored};

/// Most runs of a study: more are a mistake.
const MOST: usize = 10_000;

/// What a file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StudyFile {
    /// Folder of token shards.
    data: PathBuf,
    /// Settings of pre-training to start from.
    #[serde(default)]
    preset: Preset,
    /// What is measured on targets that do not say it themselves.
    #[serde(default)]
    measures: Option<Vec<Measure>>,
    /// What varies.
    #[serde(default)]
    axes: Table,
    /// Settings of pre-training that are the same for all runs.
    #[serde(default)]
    pretrain: Table,
    /// Settings of the fine-tuning by which annotation is measured.
    #[serde(default)]
    annotate: Table,
    /// Held-out cells.
    targets: BTreeMap<String, TargetConfig>,
}

/// Reads a study.
///
/// # Errors
/// Naming the file and the key, if it is not known or its value does not fit.
pub(super) fn read(path: &Path) -> Result<Study> {
    let file = as_written(path)?;
    study(file).with_context(|| format!("`{}`", path.display()))
}

fn study(file: Table) -> Result<Study> {
    let file: StudyFile = fitted(file, &Table::new()).map_err(|problem| anyhow!(problem))?;
    let StudyFile { data, preset, measures, axes, pretrain, annotate, mut targets } = file;
    for target in targets.values_mut() {
        let usual = |measures: &Vec<Measure>| {
            let has = |measure: &Measure| target.label.is_some() || !measure.needs_labels();
            measures.iter().copied().filter(has).collect()
        };
        target.measures = target.measures.take().or_else(|| measures.as_ref().map(usual));
    }
    let axes = Axis::all(axes)?;
    let n = axes.iter().try_fold(1_usize, |n, axis| n.checked_mul(axis.values.len()));
    if n.is_none_or(|n| n > MOST) {
        bail!("`axes`: their values make more than {MOST} runs");
    }
    let given = Table::try_from(preset.config())?;
    let mut common = given.clone();
    overlay(&mut common, placed(pretrain).context("`pretrain`")?);
    let base: PretrainConfig = settled(common.clone(), &given).context("`pretrain`")?;
    let annotate = underscored(annotate).context("`annotate`")?;
    let outline: Vec<StudyAxis> = axes.iter().map(Axis::outline).collect();
    let outline = StudyOutline::new(data.display().to_string(), outline);
    let hidden = targets.values().flat_map(TargetConfig::measures).any(Measure::is_error);
    let run = |plan: &PlannedRun| -> Result<StudyRun> {
        let mut all = common.clone();
        for (axis, choice) in axes.iter().zip(&plan.choices) {
            let values = axis.values.iter().filter(|value| value.name == *choice);
            values.for_each(|value| overlay(&mut all, value.settings.clone()));
        }
        let config = settled(all, &given).with_context(|| format!("run `{}`", plan.name))?;
        if hidden && config.network.n_bins != base.network.n_bins {
            bail!("`axes`: errors of networks with other value bins (n_bins) cannot be compared");
        }
        let annotate = fine_tuned(&annotate, &config).context("`annotate`")?;
        Ok(StudyRun { plan: plan.clone(), config, annotate })
    };
    let runs = outline.runs.iter().map(run).collect::<Result<_>>()?;
    Ok(Study { data, base, outline, runs, targets })
}

/// Settings of pre-training from a table, in which a condition without a word chooses all cells.
fn settled(mut table: Table, defaults: &Table) -> Result<PretrainConfig> {
    if table.get("where").and_then(Value::as_str).is_some_and(|text| text.trim().is_empty()) {
        table.remove("where");
    }
    let mut config: PretrainConfig = fitted(table, defaults).map_err(|problem| anyhow!(problem))?;
    config.network = Recipe::of(config.model.as_deref())?.settle(config.network);
    config.validate()?;
    Ok(config)
}

/// Settings of the fine-tuning of a run's network; they have its seed, unless they say otherwise.
fn fine_tuned(given: &Table, config: &PretrainConfig) -> Result<AnnotateConfig> {
    let recipe = AnnotateConfig::of(Recipe::FineTune(config.network));
    let defaults = Table::try_from(&recipe)?;
    let mut all = defaults.clone();
    let seed = BTreeMap::from([("seed", config.training.seed)]);
    overlay(&mut all, Table::try_from(BTreeMap::from([("training", seed)]))?);
    overlay(&mut all, given.clone());
    let config: AnnotateConfig = fitted(all, &defaults).map_err(|problem| anyhow!(problem))?;
    config.validate()?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "data = 'corpus'\nmeasures = ['gep', 'nmi']\n\
        [axes]\ncells = [100, 200]\nseed = [1, 2]\nwhere = { a = \"t = 'a'\", all = '' }\n\
        [pretrain]\nlr = 1e-4\nepochs = 3\n[pretrain.network]\nn_layers = 2\n\
        [targets.x]\nfile = 'x.h5ad'\nlabel = 'type'\n[targets.y]\nfile = 'y.h5ad'\n";

    fn of(toml: &str) -> Result<Study> {
        study(toml.parse().unwrap())
    }

    #[test]
    fn every_combination_is_a_run_with_its_settings() {
        let study = of(FILE).unwrap();
        assert_eq!(study.runs.len(), 8);
        let last = &study.runs[7];
        assert_eq!(last.plan.name, "seed=2,where=all,cells=200");
        assert_eq!((last.config.cells, last.config.training.seed), (Some(200), 2));
        assert_eq!((last.config.condition.as_deref(), last.config.training.epochs), (None, 3));
        assert_eq!((last.config.training.least_steps, last.config.network.n_layers), (None, 2));
        assert!((last.config.training.optimizer.lr - 1e-4).abs() < 1e-12);
        assert_eq!(study.runs[0].config.condition.as_deref(), Some("t = 'a'"));
        assert_eq!(last.annotate.training.seed, 2);
        assert_eq!(study.targets["x"].measures(), [Measure::Gep, Measure::Nmi]);
        assert_eq!(study.targets["y"].measures(), [Measure::Gep], "it has no labels");
        let alone = of("data = 'corpus'\n[targets.x]\nfile = 'x.h5ad'").unwrap();
        assert_eq!((alone.runs.len(), alone.runs[0].plan.name.as_str()), (1, "run"));
    }

    #[test]
    fn what_is_not_known_is_refused_with_near_names() {
        for (from, to, part) in [
            ("lr = 1e-4", "learning = 1", "`pretrain`: `learning` is no setting of pre-training"),
            ("n_layers = 2", "layers = 2", "`network.layers`: there is no such setting"),
            ("label = ", "labl = ", "`targets.x.labl`: there is no such setting"),
            ("label = ", "labl = ", "similar names: label"),
            ("'nmi'", "'nmy'", "`nmy` is not known"),
            ("'nmi'", "'nmy'", "similar names: nmi"),
            ("[axes]", "[axis]", "similar names: axes"),
            ("seed = [1, 2]", "seed = ['x']", "run `seed=x,where=a,cells=100`"),
            ("seed = [1, 2]", "n_bins = [11, 51]", "cannot be compared"),
            ("cells = [100, 200]", "batch_size = [0]", "`batch_size`"),
        ] {
            let toml = FILE.replace(from, to);
            let Err(error) = of(&toml) else { panic!("{to}") };
            assert!(format!("{error:#}").contains(part), "{to}: {error:#}");
        }
    }
}
