//! [`IntegrateArtefact`]: everything that embedding new cells of known batches needs.
//!
//! Its folder is a model directory with a record: names of batches in the order of the network, and
//! the genes that cells are compared by. New cells are grouped by batch, which normalisation by
//! batch needs, and returned in their own order.

use std::path::{Path, PathBuf};

use burn::prelude::Device;
use scgpt_data::{
    Advice, CellSource, GeneNames, GeneSubset, GeneToken, Layer, Modalities, Observer, RNA,
    Setting, TieMode,
};
use scgpt_model::Strictness;
use serde::{Deserialize, Serialize};

use super::{batches, panel::is_in};
use crate::{
    artefact::{ArtefactKind, OpenArtefact},
    embed::{EmbedOptions, Embedder, Embedding, SourceGenes},
    error::{Error, Result},
    folder_kind::{FolderKind, INTEGRATION},
    stream::{Stream, TokenPanel},
};

/// How the artefact is written.
pub(super) const KIND: ArtefactKind = ArtefactKind {
    record: INTEGRATION,
    format: 1,
    kind: FolderKind::Integration,
    made_by: "scgpt integrate",
};

/// Least share of the panel's genes that new cells must have.
const LEAST_SHARE: f64 = 0.5;

/// What an artefact knows beyond its model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IntegrateRecord {
    /// The column of `obs` with the batches; empty if the cells were one batch.
    pub batch_key: String,
    /// Names of the batches, in the order of the network.
    pub batches: Vec<String>,
    /// Number of cells of each batch that it was trained on.
    pub counts: Vec<usize>,
    /// Names of the genes by which cells are compared.
    pub genes: Vec<String>,
    /// Whether genes of value zero are tokens too.
    pub include_zeros: bool,
    /// What happens to values on a bin edge.
    pub tie_mode: TieMode,
    /// Seed of the choice among bins.
    pub seed: u64,
    /// Modalities of the tokens, if there are several.
    #[serde(default)]
    pub modalities: Option<Modalities>,
}

/// An artefact, ready to embed.
///
/// ```no_run
/// use std::path::Path;
///
/// use burn::prelude::Device;
/// use scgpt_data::{Silent, Source};
/// use scgpt_tasks::integrate::{IntegrateArtefact, IntegratedOptions};
///
/// let artefact = IntegrateArtefact::open(Path::new("lung.model"), &Device::default())?;
/// println!("batches {}, {} genes", artefact.record().batches.join(", "), artefact.record().genes.len());
/// let mut cells = Source::open(Path::new("more.h5ad"))?;
/// let embedding = artefact.embed(&mut cells, &IntegratedOptions::default(), &Silent)?;
/// assert_eq!(embedding.rows.n_rows(), embedding.report.n_cells);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct IntegrateArtefact {
    embedder: Embedder,
    record: IntegrateRecord,
    panel: Vec<GeneToken>,
}

/// How new cells are embedded.
///
/// ```
/// use scgpt_tasks::integrate::IntegratedOptions;
///
/// // Batches are in another column than those of the training.
/// let mut options = IntegratedOptions::default();
/// options.batch_key = Some("sample".into());
/// assert_eq!(options.batch_size, 8);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IntegratedOptions {
    /// Column of `obs` with the batches; `None` takes the name of that of the training.
    pub batch_key: Option<String>,
    /// Number of cells computed at once: affects speed and memory, never results.
    pub batch_size: usize,
    /// Where the genes' names are, and how many of them have to be known.
    pub gene_names: GeneNames,
    /// Modalities of the columns, for an artefact of several modalities.
    pub modalities: Option<Modalities>,
    /// The matrix that is read.
    pub layer: Layer,
    /// Folder of temporary files; `None` is the system's.
    pub temporary: Option<PathBuf>,
}

impl Default for IntegratedOptions {
    /// The column of batches of the training, 8 cells at once, the best column of gene names, `X`.
    fn default() -> Self {
        Self {
            batch_key: None,
            batch_size: 8,
            gene_names: GeneNames::BEST,
            modalities: None,
            layer: Layer::X,
            temporary: None,
        }
    }
}

impl IntegrateArtefact {
    /// Whether a folder holds such an artefact, as far as its record tells.
    pub fn is_at(folder: &Path) -> bool {
        KIND.is_at(folder)
    }

    /// Opens a directory made by [`Integration`](super::Integration).
    ///
    /// # Errors
    /// If a file is missing or was changed, the format is of another version, or the parts do not
    /// belong together.
    pub fn open(folder: &Path, device: &Device) -> Result<Self> {
        let OpenArtefact { record, model, sha256 } = KIND.open::<IntegrateRecord>(folder)?;
        let embedder = Embedder::of_folder(&model, KIND.kind, device, Strictness::Strict)?;
        let embedder = embedder.with_hash(sha256);
        let n_domains = embedder.config().n_domains;
        // A network that tells no batches apart has no number of them.
        if n_domains != 0 {
            KIND.check_number(folder, "batches", [record.batches.len(), n_domains])?;
        }
        let vocab = embedder.vocab();
        let token = |name: &String| {
            let missing = || format!("gene `{name}` is not in `vocab.json`");
            vocab.token(name).ok_or_else(|| KIND.mismatch(folder, missing()))
        };
        let panel = record.genes.iter().map(token).collect::<Result<_>>()?;
        Ok(Self { embedder, record, panel })
    }

    /// The record: what the artefact knows beyond its model.
    pub fn record(&self) -> &IntegrateRecord {
        &self.record
    }

    /// Embeds all cells of `source`, streaming, each in its batch. A row depends on the cell and
    /// the artefact alone.
    ///
    /// # Errors
    /// If the source cannot be read or has too few of the genes; if a cell has no batch, or one
    /// that is not known; [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn embed(
        &self,
        source: &mut dyn CellSource,
        options: &IntegratedOptions,
        observer: &dyn Observer,
    ) -> Result<Embedding> {
        if options.batch_size == 0 {
            return Err(Setting("batch_size").zero().into());
        }
        let record = &self.record;
        let key = options.batch_key.as_deref().unwrap_or(&record.batch_key);
        let obs = source.obs()?;
        let found =
            if key.is_empty() { batches::one(obs.len()) } else { batches::read(&obs, key)? };
        let domains = batches::numbers(&found, &record.batches, key)?;
        let embed = EmbedOptions {
            batch_size: options.batch_size,
            tie_mode: record.tie_mode,
            seed: record.seed,
            // Whether enough of them are there is seen to below.
            gene_names: GeneNames {
                all_features: options.gene_names.all_features || record.modalities.is_some(),
                min_genes: Some(0.0),
                ..options.gene_names.clone()
            },
            layer: options.layer.clone(),
            temporary: options.temporary.clone(),
            ..EmbedOptions::default()
        };
        let is_in = is_in(self.embedder.vocab(), &self.panel);
        let panel = TokenPanel { is_in: &is_in, with_zeros: record.include_zeros };
        let stream = Stream {
            panel: Some(panel),
            domains: Some(&domains),
            modalities: record.modalities.as_ref(),
            trained: Some(&is_in),
        };
        if let Some(known) = &record.modalities {
            let columns = self.features(source, known, options)?;
            let mut features = GeneSubset::new(source, &options.layer, columns)?;
            return self.embedder.spooled(&mut features, &embed, stream, observer);
        }
        let genes = self.genes(source, options, &is_in)?;
        self.embedder.spool(source, genes, &embed, stream, observer)
    }

    /// The columns with the features of the artefact. Every modality that the data has must have
    /// enough of them.
    fn features(
        &self,
        source: &dyn CellSource,
        known: &Modalities,
        options: &IntegratedOptions,
    ) -> Result<Vec<usize>> {
        let var = source.var(&options.layer)?;
        let column = options.gene_names.column.as_deref().and_then(|name| var.column(name));
        let names = match column {
            Some(column) => column.labels().into_iter().map(Option::unwrap_or_default).collect(),
            None => var.index,
        };
        // Without word of modalities, all are genes.
        let modality = |column: usize| match &options.modalities {
            Some(modalities) => Some(modalities.names()[modalities.of(column)?].as_str()),
            None => Some(RNA),
        };
        let token = |column: usize| {
            let token = self.embedder.vocab().token(&names[column])?.0 as usize;
            let name = known.names()[known.of(token)?].as_str();
            (modality(column) == Some(name)).then_some(name)
        };
        let columns: Vec<usize> = (0..names.len()).filter(|&at| token(at).is_some()).collect();
        for (number, name) in known.names().iter().enumerate() {
            let all = known.features(number).count();
            let found = columns.iter().filter(|&&at| token(at) == Some(name)).count();
            let is_measured = (0..names.len()).any(|at| modality(at) == Some(name));
            let least = options.gene_names.min_genes.unwrap_or(LEAST_SHARE);
            if is_measured && (found as f64) < least * all as f64 {
                return Err(Error::option(format!(
                    "the data has {found} of the {all} features of {name} that the cells were integrated by, too few to \
                     compare them: train with these cells, too"
                )));
            }
        }
        if columns.is_empty() {
            return Err(Error::unsuited(
                format!("the data has none of the modalities {}", known.names().join(", ")),
                Advice::from("name them by ") + Setting("modality_key") + " or as MODALITY=FILE",
            ));
        }
        Ok(columns)
    }

    /// The genes of a source, which has enough of those by which cells are compared.
    ///
    /// # Errors
    /// If it has a smaller share than `min_genes` of the options or, if that is not set, than half.
    fn genes(
        &self,
        source: &dyn CellSource,
        options: &IntegratedOptions,
        is_in: &[bool],
    ) -> Result<SourceGenes> {
        let var = source.var(&options.layer)?;
        let alignment = self.embedder.vocab().align(&var, &options.gene_names)?;
        let known = self.embedder.known_genes(&alignment, Some(is_in));
        let (n, all) = (known.matched, self.panel.len());
        let least = options.gene_names.min_genes.unwrap_or(LEAST_SHARE);
        if n == 0 || (n as f64) < least * all as f64 {
            return Err(Error::option(format!(
                "the data has {n} of the {all} genes that the cells were integrated by, too few to compare them: train \
                 with these cells, too"
            )));
        }
        Ok(SourceGenes { alignment, known })
    }
}
