//! [`PerturbArtefact`]: everything that predicting responses needs, in one directory.
//!
//! It is a model directory whose network has flags of perturbation, with a record, control cells that predictions
//! start from (`controls.h5ad`), and the mean profiles of what was trained on (`profiles.h5ad`), which searches
//! compare with. All values are logarithms of counts that were normalised to one sum.

use std::path::Path;

use burn::prelude::Device;
use scgpt_data::{
    CellSource, Column, Frame, GeneVocab, InputState, InputValues, Layer, LogScale, RowSpool,
    Setting, Source, SpecialToken, SpooledCells, median_total, similar_names,
};
use scgpt_eval::perturbation::{CONTROL, Condition, Split};
use scgpt_model::{GepStyle, InferencePrecision, Scgpt, ScgptConfig, Strictness};
use scgpt_stats::sampled;
use serde::{Deserialize, Serialize};

use super::{
    files::{CELL_TYPE, CONDITION, numbered, own_column, places, read_placed},
    method::JudgedMethod,
    panel::{PerturbedGenes, ResponsePanel},
    predict::{Controls, GivenControls, Predictor},
    profiles::{TrainingProfile, read_profiles},
};
use crate::{
    artefact::{ArtefactKind, OpenArtefact},
    error::{Error, Result},
    folder_kind::{FolderKind, PERTURBATION},
};

/// How the artefact is written.
pub(super) const KIND: ArtefactKind = ArtefactKind {
    record: PERTURBATION,
    format: 1,
    kind: FolderKind::Perturbation,
    made_by: "scgpt perturb train",
};
/// Control cells that predictions start from.
pub(super) const CONTROLS: &str = "controls.h5ad";
/// Most control cells of each cell type that an artefact keeps.
pub(super) const CONTROL_CELLS: usize = 500;
/// Mean expression of the conditions trained on.
pub(super) const PROFILES: &str = "profiles.h5ad";
/// Sums of cells that were normalised alike differ by less than this factor over the same genes.
const MOST_APART: f64 = 3.0;

/// What an artefact knows beyond its model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PerturbRecord {
    /// Names of the genes whose response it predicts, in order.
    pub genes: Vec<String>,
    /// Cell types that are told apart; a single one without a name if they are not told apart.
    pub cell_types: Vec<String>,
    /// Number of controls whose mean a predicted cell starts from.
    pub pool: usize,
    /// Number of genes that are predicted together; 0 for all.
    pub genes_per_pass: usize,
    /// Seed of the choice of controls.
    pub seed: u64,
    /// The sum that all cells of training had before the logarithm; `None` if they had different
    /// ones, as when some genes are missing.
    #[serde(default)]
    pub total: Option<f64>,
    /// The conditions it was trained on, validated by, and judged by.
    pub split: Split,
    /// How good the network and simple methods were on the conditions it was judged by; `None` in artefacts of
    /// earlier versions.
    #[serde(default)]
    pub judged: Option<Vec<JudgedMethod>>,
}

/// An artefact, ready to predict.
///
/// ```no_run
/// use std::path::Path;
///
/// use burn::prelude::Device;
/// use scgpt_tasks::perturb::PerturbArtefact;
///
/// let mut artefact = PerturbArtefact::open(Path::new("screen.model"), &Device::default())?;
/// // Predictions start from cells of another file, those that it calls controls.
/// let mut donor = scgpt_data::Source::open("donor.h5ad")?;
/// let given = artefact.set_controls(&mut donor, Some("condition"))?;
/// println!("{} control cells express no gene of the artefact", given.without_genes);
/// # Ok::<(), scgpt_tasks::Error>(())
/// ```
#[derive(Debug)]
pub struct PerturbArtefact {
    pub(super) record: PerturbRecord,
    pub(super) vocab: GeneVocab,
    pub(super) panel: ResponsePanel,
    model: Scgpt,
    network: ScgptConfig,
    controls: Vec<Controls>,
    profiles: Vec<TrainingProfile>,
    /// Whether the controls are those of another source than the training's.
    pub(super) has_given_controls: bool,
    pub(super) precision: InferencePrecision,
}

impl PerturbArtefact {
    /// Whether a folder holds such an artefact, as far as its record tells.
    pub fn is_at(folder: &Path) -> bool {
        KIND.is_at(folder)
    }

    /// Opens a directory made by [`Perturbation`](super::Perturbation).
    ///
    /// # Errors
    /// If a file is missing or was changed, the format is of another version, or the parts do not
    /// belong together.
    pub fn open(folder: &Path, device: &Device) -> Result<Self> {
        let OpenArtefact { record, model, .. } = KIND.open::<PerturbRecord>(folder)?;
        let network = model.config().clone();
        if network.n_perturbation_flags < 2 || network.gep == GepStyle::Direct {
            let problem = "the network beside it has no perturbation flags".into();
            return Err(KIND.mismatch(folder, problem));
        }
        let vocab = GeneVocab::from_json(model.vocab_path())?;
        let panel = ResponsePanel::of_names(&vocab, &record.genes)?;
        let (model, _) = model.load(device, Strictness::Strict)?;
        let controls = read_controls(&folder.join(CONTROLS), &record)?;
        let profiles = read_profiles(&folder.join(PROFILES), &record.genes, &record.cell_types)?;
        let precision = InferencePrecision::Exact;
        let has_given_controls = false;
        Ok(Self {
            record,
            vocab,
            panel,
            model,
            network,
            controls,
            profiles,
            has_given_controls,
            precision,
        })
    }

    /// The same, but cells are computed in that precision where there is a faster way to do so.
    #[must_use]
    pub fn with_precision(self, precision: InferencePrecision) -> Self {
        Self { model: self.model.computing_in(precision.format()), precision, ..self }
    }

    /// The record: what the artefact knows beyond its model.
    pub fn record(&self) -> &PerturbRecord {
        &self.record
    }

    /// The profiles of a cell type: of the conditions it was trained on, and of the controls.
    pub fn profiles(&self, cell_type: usize) -> Vec<&TrainingProfile> {
        self.profiles.iter().filter(|profile| profile.cell_type == cell_type).collect()
    }

    /// Mean expression of the controls of a cell type, `[g]`.
    ///
    /// # Panics
    /// If there is no such cell type; opening an artefact checks that each has controls.
    #[expect(clippy::expect_used, reason = "checked when the artefact is opened")]
    pub fn control(&self, cell_type: usize) -> Vec<f64> {
        let of = |profile: &&TrainingProfile| {
            profile.cell_type == cell_type && profile.condition.is_control()
        };
        self.profiles.iter().find(of).expect("controls of every cell type").mean.clone()
    }

    /// The number of a cell type; without a name, of the only one there is.
    ///
    /// # Errors
    /// If there is no such cell type, or several to choose from.
    pub fn cell_type(&self, name: Option<&str>) -> Result<usize> {
        let types = &self.record.cell_types;
        let choose = |hint: &str| {
            Setting("cell_type").wrong(format!("is one of: {}{hint}", types.join(", "))).into()
        };
        match name {
            None if types.len() == 1 => Ok(0),
            None => Err(choose("")),
            Some(name) => types.iter().position(|other| other == name).ok_or_else(|| {
                choose(&similar_names(name, types.iter().map(String::as_str)).hint())
            }),
        }
    }

    /// Starts predictions from control cells of another source instead of those of training: those
    /// that the column `condition_key` calls controls, or all cells if no column is named and there
    /// is none with the usual name. If there are many, some are drawn by their names, so that the
    /// order of the file does not matter.
    ///
    /// Cells that were normalised to another sum than those of training are brought to it, if both are
    /// known.
    ///
    /// # Errors
    /// If it has no control cell, holds anything but logarithms, lacks genes that the artefact
    /// predicts, or cells have far more or less of them than in training.
    pub fn set_controls(
        &mut self,
        source: &mut dyn CellSource,
        condition_key: Option<&str>,
    ) -> Result<GivenControls> {
        let path = &source.summary().path.clone();
        let scale = self.scale(super::check_values(source, &Layer::X)?);
        let mut cells: Vec<usize> = (0..source.summary().n_cells).collect();
        let obs = source.obs()?;
        let is_there = obs.column(CONDITION).is_some();
        if let Some(key) = condition_key.or(is_there.then_some(CONDITION)) {
            let labels = scgpt_data::obs_column(&obs, key)?.labels();
            let is_control = |name: &str| {
                Condition::parse(name, "+", CONTROL).is_ok_and(|name| name.is_control())
            };
            cells.retain(|&cell| labels[cell].as_deref().is_some_and(is_control));
        }
        let numbers = obs.cell_keys();
        let cells = sampled(cells, &numbers, CONTROL_CELLS, 0);
        let controls = read_cells(source, path, &self.record.genes, cells, scale.as_ref())?;
        self.check_sums(&controls.values, path)?;
        let without_genes = n_empty(&controls.values, controls.n_genes);
        self.controls = vec![controls; self.controls.len()];
        self.has_given_controls = true;
        let rescaled_from = scale.and_then(|scale| scale.from.total);
        Ok(GivenControls { rescaled_from, without_genes })
    }

    /// How logarithms of cells with the sum `found` become those of training; `None` if the sums
    /// are equal, or one of them is not known.
    pub(super) fn scale(&self, found: Option<f64>) -> Option<LogScale> {
        let from = InputValues { state: InputState::Log1p, total: Some(found?) };
        Some(LogScale { from, total: self.record.total? }).filter(|scale| !scale.is_done())
    }

    /// Checks that cells `[n, g]` express the genes about as much as the controls of training.
    ///
    /// # Errors
    /// If they do not, so that they must have been normalised to another sum.
    pub(super) fn check_sums(&self, cells: &[f32], path: &Path) -> Result<()> {
        let g = self.panel.len();
        let of_training: Vec<f64> =
            self.controls.iter().flat_map(|controls| sums(&controls.values, g)).collect();
        let [found, expected] = [sums(cells, g).collect(), of_training].map(median_total);
        if (1.0 / MOST_APART..=MOST_APART).contains(&(found / expected)) {
            return Ok(());
        }
        let problem = format!(
            "cells of `{}` sum to {found:.0} over the genes of the artefact before the logarithm, those it was trained \
             on to {expected:.0}: they were normalised to another total",
            path.display()
        );
        Err(Error::unsuited(problem, "make both files with `scgpt perturb prepare`"))
    }

    /// What the network is told of a condition.
    ///
    /// # Errors
    /// If a gene is not in the vocabulary; similar names are suggested.
    pub(super) fn targets(&self, condition: &Condition) -> Result<PerturbedGenes> {
        self.panel.targets(condition, &self.vocab)
    }

    /// The network that predicts whole profiles, with that many genes together or, with `None`, as
    /// many as in training.
    pub(super) fn predictor(&self, genes_per_pass: Option<usize>) -> Predictor<'_> {
        Predictor {
            model: &self.model,
            network: &self.network,
            panel: &self.panel,
            pad: self.vocab.special(SpecialToken::Pad),
            pool: self.record.pool,
            genes_per_pass: genes_per_pass.unwrap_or(self.record.genes_per_pass),
            seed: self.record.seed,
        }
    }

    /// The cells that predictions of a cell type start from.
    pub(super) fn controls(&self, cell_type: usize) -> &Controls {
        &self.controls[cell_type]
    }
}

/// Control cells of every cell type as a file.
pub(super) fn controls_source(
    genes: &[String],
    cell_types: &[String],
    controls: &[&Controls],
) -> Result<SpooledCells> {
    let mut rows = RowSpool::new(genes.len())?;
    let mut of_cell = Vec::new();
    for (name, controls) in cell_types.iter().zip(controls) {
        rows.push(&controls.values)?;
        of_cell.extend(std::iter::repeat_n(name.clone(), controls.len()));
    }
    let columns = vec![
        (CONDITION.into(), Column::categorical(&vec![CONTROL.into(); of_cell.len()])),
        (CELL_TYPE.into(), Column::categorical(&of_cell)),
    ];
    Ok(SpooledCells::new(numbered("control", of_cell.len(), columns), Frame::of_names(genes), rows))
}

/// Reads the control cells that an artefact keeps, of each of its cell types.
fn read_controls(path: &Path, record: &PerturbRecord) -> Result<Vec<Controls>> {
    let mut source = Source::open(path)?;
    let names = own_column(&source.obs()?, CELL_TYPE, path)?.labels();
    let groups = record.cell_types.iter().map(|cell_type| {
        let is_of = |cell: &usize| names[*cell].as_ref().is_none_or(|name| name == cell_type);
        (0..names.len()).filter(is_of).collect()
    });
    groups.map(|cells| read_cells(&mut source, path, &record.genes, cells, None)).collect()
}

/// For each of the cells `[n, g]`, the sum of its values before the logarithm.
fn sums(cells: &[f32], g: usize) -> impl Iterator<Item = f64> + '_ {
    cells.chunks(g).map(|row| row.iter().map(|&x| f64::from(x).exp_m1()).sum())
}

/// Number of the cells `[n, g]` that express none of the genes.
pub(super) fn n_empty(cells: &[f32], g: usize) -> usize {
    cells.chunks(g.max(1)).filter(|row| row.iter().all(|&x| x == 0.0)).count()
}

/// Reads some cells of a file that has all `genes`, in any order.
fn read_cells(
    source: &mut dyn CellSource,
    path: &Path,
    genes: &[String],
    cells: Vec<usize>,
    scale: Option<&LogScale>,
) -> Result<Controls> {
    if cells.is_empty() {
        return Err(Error::option(format!(
            "`{}` has no control cell to start from, expected `{}` among its conditions",
            path.display(),
            CONTROL
        )));
    }
    let place = places(source, genes, &Layer::X, path)?;
    let values = read_placed(source, &Layer::X, scale, cells, &place, genes.len())?;
    Ok(Controls::new(&values, genes.len()))
}
