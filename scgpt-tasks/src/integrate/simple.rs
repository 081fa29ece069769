//! [`SimpleIntegration`]: cells of several batches in one space without a network.
//!
//! The methods are those that a network is compared with, so that scores are the same. They take seconds: all of
//! them are run, and the one that was asked for is given.

use std::path::Path;

use scgpt_data::{
    ATAC, Advice, CellSource, EmptyCells, GeneNames, GeneVocab, Observer, RowSpool, Setting,
};
use scgpt_eval::{CellSpace, Labels, Neighbourhood, baseline::BaselineOptions};
use scgpt_report::Page;
use serde::Serialize;

use super::{
    CellModalities, IntegrateConfig, IntegrateOptions, batches,
    comparison::{Compared, simple_methods},
    method::IntegrateMethod,
    ranking::ranked,
    score::SpaceJudge,
    scored::IntegrationMethod,
    shown::{Annotated, Map, SCORES, compare},
    simple_artefact::{Projected, SimpleArtefact, SimpleRecord},
};
use crate::error::{Error, Result};

/// Cells of several batches, checked to be of use to a simple method.
///
/// ```no_run
/// use std::path::Path;
///
/// use scgpt_data::{Layer, Silent, Source};
/// use scgpt_tasks::{
///     LearnOptions, Recipe,
///     integrate::{IntegrateConfig, IntegrateMethod, IntegrateOptions, SimpleIntegration},
/// };
///
/// let mut cells = Source::open(Path::new("lung.h5ad"))?;
/// let method = IntegrateMethod::Harmony;
/// let config = IntegrateConfig { method, ..IntegrateConfig::of(Recipe::Scratch) };
/// let mut options = IntegrateOptions::new(LearnOptions::new(Path::new("lung.model"), &Layer::X));
/// options.batch_key = Some("donor");
/// let integrated = SimpleIntegration::prepare(&cells, &config, options)?.run(&mut cells, &Silent)?;
/// println!("{} rows for obsm", integrated.rows.n_rows());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SimpleIntegration<'a> {
    method: IntegrateMethod,
    seed: u64,
    options: IntegrateOptions<'a>,
    batches: Labels,
    labels: Option<Labels>,
}

/// The result of a simple method.
#[derive(Debug)]
pub struct SimplyIntegrated {
    /// How good it is, beside the others.
    pub report: SimpleReport,
    /// Where it puts the cells, a row each.
    pub rows: RowSpool,
    /// Where it puts further cells, if it can.
    projected: Option<Projected>,
}

/// How good a simple method is, beside the others.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct SimpleReport {
    /// The cells.
    pub data: SimpleData,
    /// The method that was asked for.
    pub method: IntegrateMethod,
    /// Number of coordinates that it gives to a cell.
    pub width: usize,
    /// Seed of its random choices.
    pub seed: u64,
    /// Number of most variable genes that methods are of.
    pub genes: usize,
    /// That method first, then the others on the same cells.
    pub methods: Vec<IntegrationMethod>,
    #[serde(skip)]
    map: Map,
}

/// The cells of a simple integration.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct SimpleData {
    /// Path of the file.
    pub path: String,
    /// Column of `obs` with the batches; empty if the cells were one batch.
    pub batch_key: String,
    /// Column of `obs` with the labels, if any.
    pub label: Option<String>,
    /// Names of the batches, and how many cells each has.
    pub batches: Vec<(String, usize)>,
    /// Names of the modalities, if there are several.
    pub modalities: Vec<String>,
    /// Number of cells that have no values: where they are put means nothing.
    pub without_values: usize,
}

impl<'a> SimpleIntegration<'a> {
    /// Checks that batches, labels and the method of the settings are sound and belong together.
    ///
    /// # Errors
    /// If there are not two batches of two cells, or a cell has none; if all labels are the same; if the method is
    /// not for such cells.
    pub fn prepare(
        source: &dyn CellSource,
        config: &IntegrateConfig,
        options: IntegrateOptions<'a>,
    ) -> Result<Self> {
        let method = config.method;
        let wrong = |problem: Advice| Err(Setting("method").wrong(problem).into());
        if !method.is_simple() {
            return wrong(format!("is `{}`, which trains a network", method.name()).into());
        }
        let obs = source.obs()?;
        let batches = batches::of(&obs, &options)?;
        let labels = batches::labels(&obs, options.label)?;
        let modalities = options.modalities.map(|cells| cells.modalities.names());
        let others = Advice::from(", take ");
        match (method, modalities) {
            (IntegrateMethod::Combat, Some(_)) => wrong(
                Advice::from("is `combat`, which is of one modality; of several")
                    + others
                    + "`harmony` or `pca`",
            ),
            (IntegrateMethod::Lsi, None) => wrong(
                Advice::from(
                    "is `lsi`, which is of open chromatin among several modalities; of one",
                ) + others
                    + "`pca`, `harmony` or `combat`",
            ),
            (IntegrateMethod::Lsi, Some(names)) if !names.iter().any(|name| name == ATAC) => wrong(
                Advice::from(format!(
                    "is `lsi`, which is of open chromatin ({ATAC}), but the cells were measured in {}",
                    names.join(", ")
                )) + others
                    + "`pca` or `harmony`",
            ),
            (IntegrateMethod::Harmony, _) if batches.classes.len() < 2 => wrong(
                Advice::from(
                    "is `harmony`, which removes batches, and there is one: name their column by ",
                ) + Setting("batch_key")
                    + others
                    + "`pca`",
            ),
            _ => Ok(Self { method, seed: config.training.seed, options, batches, labels }),
        }
    }

    /// Puts the cells into the space of the method, and scores it beside the others. The source is read about a dozen
    /// times; memory is that of [`scgpt_eval::baseline`].
    ///
    /// # Errors
    /// If the source cannot be read, or has no or negative values; if the method cannot be scored or shown of such
    /// cells; [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn run(
        self,
        source: &mut dyn CellSource,
        observer: &dyn Observer,
    ) -> Result<SimplyIntegrated> {
        let Self { method, seed, options, batches, labels } = &self;
        let mut own = BaselineOptions::default();
        own.layer = options.learn.layer.clone();
        let baselines = options.baselines.unwrap_or(&own);
        let codes = batches.codes.iter().flatten();
        let domains: Vec<usize> = codes.map(|&code| code as usize).collect();
        let judge = SpaceJudge::of_all(labels.as_ref(), &domains);
        let mut empty = EmptyCells::default();
        let mut sought = empty.among(source, options.learn.layer);
        let mut found =
            simple_methods(&mut sought, options, baselines, (&domains, *seed), &judge, observer)?;
        drop(sought);
        let mut scored: Vec<IntegrationMethod> = found.iter().map(|it| it.scored.clone()).collect();
        IntegrationMethod::compare(&mut scored);
        let place = found.iter().position(|it| it.scored.asked_by == Some(*method));
        let Some(place) = place else { return Err(self.not_made()) };
        let Compared { space, projection, .. } = found.swap_remove(place);
        let CellSpace::Rows { rows, width } = &space else { return Err(self.not_made()) };
        let chosen = scored.remove(place);
        let others = if options.baselines.is_some() { scored } else { Vec::new() };
        let projected = match projection {
            Some(projection) => {
                let var = source.var(options.learn.layer)?;
                let vocab = GeneVocab::from_genes([&var], options.learn.gene_names)?;
                let names = names_of(&vocab, &var, options.learn.gene_names, projection.columns())?;
                Some(Projected::new(names, projection))
            }
            None => None,
        };
        let shown = Annotated {
            options,
            batches,
            labels: labels.as_ref(),
            gene_names: options.learn.gene_names,
            seed: *seed,
        };
        let map = Map::of(&shown, source, rows, *width, observer)?;
        let mut spool = RowSpool::new(*width)?;
        spool.push(rows)?;
        let count = |batch: usize| domains.iter().filter(|&&domain| domain == batch).count();
        let modalities = options.modalities.map(|CellModalities { modalities, .. }| modalities);
        let report = SimpleReport {
            data: SimpleData {
                path: source.summary().path.display().to_string(),
                batch_key: options.batch_key.unwrap_or_default().into(),
                label: options.label.map(str::to_owned),
                batches: batches.classes.iter().cloned().zip((0..).map(count)).collect(),
                modalities: modalities.map(|it| it.names().to_vec()).unwrap_or_default(),
                without_values: empty.len(),
            },
            method: *method,
            width: *width,
            seed: *seed,
            genes: baselines.n_genes,
            methods: std::iter::once(chosen).chain(others).collect(),
            map,
        };
        Ok(SimplyIntegrated { report, rows: spool, projected })
    }

    /// The error for a method that is not among those of the cells.
    fn not_made(&self) -> Error {
        Error::unsuited(
            format!(
                "`{}` is not made of these cells: more than a twentieth of them lack what it is of",
                self.method.name()
            ),
            Advice::from("take `pca` or `harmony`, which are of all modalities, as ")
                + Setting("method"),
        )
    }
}

/// The name of the gene in each of some columns; `None` for one without a name of its own.
fn names_of(
    vocab: &GeneVocab,
    var: &scgpt_data::Frame,
    names: &GeneNames,
    columns: &[usize],
) -> Result<Vec<Option<String>>> {
    let alignment = vocab.align(var, names)?;
    let name = |&column: &usize| Some(vocab.own_name(alignment.tokens[column]?).to_owned());
    Ok(columns.iter().map(name).collect())
}

impl SimplyIntegrated {
    /// Writes into `folder` what further cells are put into the same space by, if the method can do so, and
    /// what else can be known of it if not.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let SimpleReport { data, method, .. } = &self.report;
        let record = SimpleRecord {
            method: *method,
            batch_key: data.batch_key.clone(),
            batches: data.batches.iter().map(|(name, _)| name.clone()).collect(),
            modalities: data.modalities.clone(),
        };
        SimpleArtefact::write(folder, &record, self.projected.as_ref())
    }
}

impl SimpleReport {
    /// The simple method that is better than the one asked for and can be had in its place.
    pub fn better(&self) -> Option<IntegrateMethod> {
        let ours = self.methods.first()?.mean(|scores| scores.overall)?;
        let others = ranked(&self.methods[1..]).into_iter().filter(|(_, score, _)| *score > ours);
        others.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(method, ..)| method)
    }

    /// A sentence on which of the methods is the best, if they have scores of labels and batches.
    pub fn verdict(&self) -> Option<String> {
        let (chosen, others) = self.methods.split_first()?;
        let overall = |method: &IntegrationMethod| method.mean(|scores| scores.overall);
        let ours = overall(chosen)?;
        let scored = others.iter().filter_map(|it| Some((overall(it)?, it.name.as_str())));
        let (theirs, name) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
        let said = if ours >= theirs { "at least as well as" } else { "less well than" };
        Some(format!(
            "{} integrates these cells {said} {name} (overall {ours:.3} against {theirs:.3}).",
            chosen.name
        ))
    }

    /// Has the map of the page be the UMAP that was found of the coordinates, if one was.
    pub fn place(&mut self, found: Option<&Neighbourhood>) {
        self.map.place(found);
    }

    /// The report as a page.
    pub fn page(&self) -> Page {
        let data = &self.data;
        let title = if data.batch_key.is_empty() {
            "Integration of modalities"
        } else {
            "Integration of batches"
        };
        let mut page = Page::new(title, &data.path);
        let cells: usize = data.batches.iter().map(|(_, cells)| cells).sum();
        let mut numbers =
            vec![("batches", data.batches.len().to_string()), ("cells", cells.to_string())];
        if let Some(ours) = self.methods.first() {
            for (name, of) in &SCORES[1..3] {
                numbers.extend(ours.mean(of).map(|score| (*name, format!("{score:.3}"))));
            }
        }
        page.numbers(&numbers);
        let name = self.methods.first().map_or("", |method| method.name.as_str());
        self.map.draw(&mut page, name);
        compare(&mut page, &self.methods, data.label.as_deref(), self.verdict());
        let rows: Vec<Vec<String>> = data
            .batches
            .iter()
            .map(|(name, cells)| vec![name.clone(), cells.to_string()])
            .collect();
        page.section("Cells").columns(&["batch", "cells"], &rows);
        let mut rows = vec![("method", name.to_owned()), ("network", "none was trained".into())];
        if !data.modalities.is_empty() {
            rows.push(("modalities", data.modalities.join(", ")));
        }
        rows.extend([
            ("variable genes", format!("{} at most", self.genes)),
            ("coordinates of a cell", self.width.to_string()),
            ("seed", self.seed.to_string()),
        ]);
        page.section("Settings").table(&rows);
        page
    }
}

#[cfg(test)]
mod tests {
    use scgpt_data::{Layer, Silent};
    use scgpt_eval::simulate::{SimulateOptions, Simulation};

    use super::*;
    use crate::training::{LearnOptions, Recipe};

    #[test]
    fn a_method_gives_the_rows_that_it_is_scored_by() {
        let mut simulated = SimulateOptions::new(150, 90);
        (simulated.types, simulated.batches, simulated.seed) = (3, 2, 4);
        let mut source = Simulation::new(&simulated, None).unwrap();
        let mut baselines = BaselineOptions::default();
        (baselines.n_genes, baselines.n_components) = (40, 6);
        let learn = LearnOptions::new(Path::new("unused"), &Layer::X);
        let options = IntegrateOptions {
            batch_key: Some("batch"),
            label: Some("cell_type"),
            baselines: Some(&baselines),
            ..IntegrateOptions::new(learn)
        };
        let config = |method| IntegrateConfig { method, ..IntegrateConfig::of(Recipe::Scratch) };
        for method in [IntegrateMethod::Pca, IntegrateMethod::Harmony, IntegrateMethod::Combat] {
            let prepared = SimpleIntegration::prepare(&source, &config(method), options).unwrap();
            let done = prepared.run(&mut source, &Silent).unwrap();
            let mut rows = Vec::new();
            done.rows.read_rows(0, 150, &mut rows).unwrap();
            assert_eq!((done.report.width, rows.len()), (6, 150 * 6));
            let labels = Labels::read(&source.obs().unwrap(), "cell_type").unwrap();
            let batches = Labels::read(&source.obs().unwrap(), "batch").unwrap();
            let domains: Vec<usize> =
                batches.codes.iter().flatten().map(|&it| it as usize).collect();
            let scores =
                SpaceJudge::of_all(Some(&labels), &domains).judge(&rows, 6, &Silent).unwrap();
            let first = &done.report.methods[0];
            assert_eq!(first.asked_by, Some(method));
            assert_eq!(first.scores[0].overall, scores.overall, "{}", first.name);
            assert_eq!(done.projected.is_some(), method == IntegrateMethod::Pca);
        }
        for method in [IntegrateMethod::Lsi, IntegrateMethod::Network, IntegrateMethod::Best] {
            let refused = SimpleIntegration::prepare(&source, &config(method), options);
            assert!(refused.unwrap_err().to_string().contains(method.name()));
        }
    }
}
