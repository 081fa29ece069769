//! [`HeldOut`]: the cells of a target, as tokens of the corpus and in their file.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, UNIX_EPOCH},
};

use scgpt_data::{
    CellQuery, CellSource, CellSubset, Existing, Observer, OutputKind, Place, ShardFolder,
    ShardOptions, ShardWriter, Source, Watched,
};
use scgpt_eval::{
    Labels,
    baseline::{BaselineOptions, hvg_pca},
    doubts,
    study::Measure,
};
use scgpt_stats::{first_halves, unit_rows};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    TargetConfig,
    embedding::{LabelledRows, of_embedding},
    record::json,
};
use crate::{
    error::{Error, Result},
    training::source_cells,
};

/// Files of a target: what it was made of, and its tokens.
const TARGET: &str = "target.json";
const CELLS: &str = "cells";
/// Seed of the halves of which one is mapped to the other: the same for all runs.
const HALVES: u64 = 0;
/// How long one process waits for another that makes the same target.
const PATIENCE: u32 = 600;

/// The folder of a target.
const KIND: OutputKind = OutputKind {
    name: "a target of `scgpt study run`",
    is_one: |folder| folder.join(TARGET).is_file(),
    holds: |entry| entry.file_name().is_some_and(|name| name == TARGET || name == CELLS),
};

/// The cells of a target.
#[derive(Debug)]
pub(super) struct HeldOut {
    name: String,
    pub(super) config: TargetConfig,
    /// The cells as tokens.
    pub(super) shards: ShardFolder,
    /// For each of them its number in the file.
    ids: Vec<usize>,
    record: TargetRecord,
}

/// What a target was made of, and what is known of it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct TargetRecord {
    /// All that has to be the same for the target to be of use.
    origin: Value,
    /// Cells that express no gene of the corpus.
    without_genes: u64,
    /// Cells that express exactly what a cell of the corpus does, or another one of the target.
    duplicates: u64,
    /// What is probably a mistake in labels.
    doubts: Vec<String>,
    /// What a simple method reaches.
    baselines: BTreeMap<Measure, f64>,
}

impl HeldOut {
    /// Opens a target, and makes it if it is not there, or if file, settings or corpus are other ones than those that
    /// it was made of.
    ///
    /// # Errors
    /// If the file is of no use, or nothing can be written.
    pub(super) fn open(
        folder: &Path,
        name: &str,
        config: &TargetConfig,
        corpus: &ShardFolder,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let origin = origin(config, corpus)?;
        let made = || read(folder).filter(|record| record.origin == origin);
        let mut waited = 0;
        let record = loop {
            if let Some(record) = made() {
                break record;
            }
            match Place::deep_folder(folder, Existing::Replace, KIND) {
                // Another process, or machine, is making it.
                Err(scgpt_data::Error::Busy { .. }) if waited < PATIENCE => {
                    observer.check_cancelled()?;
                    thread::sleep(Duration::from_secs(1));
                    waited += 1;
                }
                Err(error) => return Err(error.into()),
                // Another process has made it in between.
                Ok(_) if made().is_some() => {}
                Ok(place) => {
                    make(&place, name, config, corpus, &origin, observer)?;
                    place.publish()?;
                }
            }
        };
        let shards = ShardFolder::open(folder.join(CELLS))?;
        let ids = source_cells(&shards)?;
        Ok(Self { name: name.into(), config: config.clone(), shards, ids, record })
    }

    pub(super) fn baselines(&self) -> &BTreeMap<Measure, f64> {
        &self.record.baselines
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What has to be known before measures are believed.
    pub(super) fn remarks(&self) -> Vec<String> {
        let TargetRecord { without_genes, duplicates, doubts, .. } = &self.record;
        let mut remarks = Vec::new();
        let of = self.config.file.display();
        if *without_genes > 0 {
            remarks.push(format!(
                "`{of}`: {without_genes} cells express no known gene: they are left out"
            ));
        }
        if *duplicates > 0 {
            remarks.push(format!(
                "`{of}`: {duplicates} cells express exactly what a cell of the corpus does, or another one of the \
                 file: they are left out"
            ));
        }
        remarks.extend(doubts.iter().cloned());
        remarks
    }

    /// What has to be the same for a measure to be the same.
    pub(super) fn content(&self) -> &Value {
        &self.record.origin
    }

    /// The cells in their file.
    pub(super) fn source(&self) -> Result<CellSubset<Source>> {
        Ok(CellSubset::new(opened(&self.config)?, self.ids.clone()))
    }

    /// The labels of the cells, and which are the reference.
    pub(super) fn labels(&self) -> Result<Option<(Labels, Vec<bool>)>> {
        labels(&self.source()?, &self.config)
    }
}

/// The source of a target, with the cells that its condition chooses.
fn opened(config: &TargetConfig) -> Result<Source> {
    let source = Source::open(&config.file)?;
    let Some(condition) = &config.condition else { return Ok(source) };
    let chosen = condition.parse::<CellQuery>()?.choose(&source)?;
    let chosen = chosen.some_of(&config.file)?;
    Ok(source.only(chosen))
}

/// What a target is made of: its settings, the file by size and time, and the corpus by its tokens.
fn origin(config: &TargetConfig, corpus: &ShardFolder) -> Result<Value> {
    let metadata =
        fs::metadata(&config.file).map_err(|error| scgpt_data::Error::open(&config.file, error))?;
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let manifest = corpus.manifest();
    let shards: Vec<&str> = manifest.shards.iter().map(|it| it.sha256.as_str()).collect();
    // What is measured does not change the cells.
    let target = TargetConfig { measures: None, ..config.clone() };
    Ok(json!({
        "target": target,
        "bytes": metadata.len(),
        "modified": modified.map(|time| time.as_secs()),
        "vocabulary": manifest.vocab.sha256,
        "corpus": shards,
    }))
}

fn read(folder: &Path) -> Option<TargetRecord> {
    serde_json::from_slice(&fs::read(folder.join(TARGET)).ok()?).ok()
}

/// Makes the tokens of a target, without cells of the corpus, and what simple methods reach.
fn make(
    place: &Place,
    name: &str,
    config: &TargetConfig,
    corpus: &ShardFolder,
    origin: &Value,
    observer: &dyn Observer,
) -> Result<()> {
    let failed = |path: &Path, error| Error::from(scgpt_data::Error::write(path, error));
    let built = place.path();
    fs::create_dir(&built).map_err(|error| failed(&built, error))?;
    let mut source = opened(config)?;
    let doubts = match &config.label {
        Some(label) => doubts(&source.obs()?, &[label], None),
        None => Vec::new(),
    };
    // Labels that are not there are said before tokens are made.
    labels(&source, config)?;
    observer.begin(&format!("reading target {name}"), source.summary().n_cells);
    let mut options = ShardOptions::default();
    (options.layer, options.gene_names, options.unique) =
        (config.layer(), config.gene_names(), true);
    let mut writer = ShardWriter::create(built.join(CELLS), corpus.vocab(), options)?;
    writer.leave_out(corpus)?;
    let entry = writer.add_source(&mut Watched { source: &mut source, observer })?;
    if entry.duplicates + entry.skipped_cells == entry.cells {
        return Err(Error::unsuited(
            format!(
                "target `{name}`: none of the {} cells of `{}` is held out: all express what a cell of the corpus \
                 does, or no gene of it",
                entry.cells,
                config.file.display()
            ),
            "build the corpus without these cells, by a condition",
        ));
    }
    writer.finish()?;
    let ids = source_cells(&ShardFolder::open(built.join(CELLS))?)?;
    let mut kept = CellSubset::new(source, ids);
    let record = TargetRecord {
        origin: origin.clone(),
        without_genes: entry.skipped_cells,
        duplicates: entry.duplicates,
        doubts,
        baselines: baselines(&mut kept, config, place.scratch(), observer)?,
    };
    let path: PathBuf = built.join(TARGET);
    fs::write(&path, json(&record)?).map_err(|error| failed(&path, error))
}

/// Labels, and which cells are the reference; `None` without a column.
fn labels(source: &dyn CellSource, config: &TargetConfig) -> Result<Option<(Labels, Vec<bool>)>> {
    let Some(label) = &config.label else { return Ok(None) };
    let in_file = scgpt_data::Error::in_file(&config.file);
    let obs = source.obs()?;
    let labels = Labels::read(&obs, label).map_err(&in_file)?;
    if labels.classes.len() < 2 {
        let problem = format!("column `{label}` of `obs` has one label, expected several");
        return Err(in_file(scgpt_data::Error::Option(problem)).into());
    }
    let Some(reference) = &config.reference else {
        let is_reference = first_halves(&labels.codes, &obs.cell_keys(), HALVES);
        return Ok(Some((labels, is_reference)));
    };
    let chosen = reference.parse::<CellQuery>()?.choose(source)?.some_of(&config.file)?;
    let mut is_reference = vec![false; obs.len()];
    chosen.cells.iter().for_each(|&cell| is_reference[cell] = true);
    if chosen.cells.len() == obs.len() {
        let problem = format!("all {} cells are the reference ({reference})", obs.len());
        return Err(in_file(scgpt_data::Error::Option(problem)).into());
    }
    Ok(Some((labels, is_reference)))
}

/// What principal components of variable genes reach, for the measures of embeddings.
fn baselines(
    source: &mut dyn CellSource,
    config: &TargetConfig,
    scratch: &Path,
    observer: &dyn Observer,
) -> Result<BTreeMap<Measure, f64>> {
    let Some((labels, is_reference)) = labels(source, config)? else { return Ok(BTreeMap::new()) };
    let mut options = BaselineOptions::default();
    options.layer = config.layer();
    options.n_components = 30;
    let components = hvg_pca(source, &options, observer)?;
    let d = components.n_components;
    let rows = unit_rows(&components.rows, d);
    let rows = LabelledRows { rows: &rows, d, labels: &labels, is_reference: &is_reference };
    of_embedding(&rows, &Measure::ALL, scratch, observer)
}
