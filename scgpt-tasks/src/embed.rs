//! Which vector stands for each cell, or for each gene?
//!
//! A pre-trained network embeds cells as it is (*zero-shot*): [`Embedder::open`] reads one from a model
//! directory, [`Embedder::new`] takes one from memory, here one that has learned nothing yet:
//!
//! ```no_run
//! use burn::prelude::Device;
//! use scgpt_data::{CellSource as _, GeneNames, GeneVocab, Layer, Silent};
//! use scgpt_eval::simulate::{SimulateOptions, Simulation};
//! use scgpt_model::{Preprocess, ScgptConfig};
//! use scgpt_tasks::embed::{EmbedOptions, Embedder};
//!
//! let mut cells = Simulation::new(&SimulateOptions::new(20, 100), None)?;
//! let vocab = GeneVocab::from_genes([&cells.var(&Layer::X)?], &GeneNames::BEST)?;
//! let config = ScgptConfig {
//!     n_layers: 1, n_heads: 2, d_model: 16, d_ff: 16, ..ScgptConfig::new(vocab.len())
//! };
//! let device = Device::flex();
//! device.seed(1);
//! let network = config.init(&device)?;
//! let preprocess = Preprocess { max_length: 64, cls_value: 0.0 };
//! let embedder = Embedder::new(network, config, preprocess, vocab)?;
//!
//! let mut options = EmbedOptions::default();
//! options.batch_size = 32;
//! let embedding = embedder.embed(&mut cells, &options, &Silent)?;
//! assert_eq!((embedding.rows.n_rows(), embedding.rows.n_columns()), (20, 16));
//!
//! let genes = embedder.gene_embedding(None, &options, &Silent)?;
//! assert_eq!(genes.vectors.len(), genes.genes.len() * 16);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A cell goes this way:
//!
//! 1. [`align`](Embedder::align) finds the column of `var` that names the genes, and the token of each
//!    gene that the model knows. Too few of them are an error: the rows would mean little.
//! 2. The kind of values is found. Negative ones, which scaling leaves, are refused: zero no longer means
//!    that a gene is not expressed.
//! 3. A [`tokenizer`](Embedder::tokenizer) bins the cell's own values and keeps as many genes as the
//!    model saw at once in training; the choice is keyed by what the cell expresses.
//! 4. Batches of similar length go through the [`encoder`](Embedder::encoder), on another thread than the
//!    one that reads.
//! 5. Each row is scaled to unit length and written in the order of the source.
//!
//! A cell's row therefore depends on the cell, the model and the options alone. A cell that
//! expresses no known gene still has a row, so that rows and cells stay aligned; it is listed as
//! empty.

mod genes;
mod options;
mod page;
mod report;
mod rows;
mod variable;

use std::{
    panic::resume_unwind,
    path::{Path, PathBuf},
    thread,
};

use burn::{module::Module as _, prelude::Device};
use scgpt_data::{
    Alignment, Binner, CellSource, CellTokens, Collator, GeneToken, GeneVocab, Observer, RowSpool,
    Setting, TokenConfig, Tokenizer, Watched, unscaled,
};
use scgpt_model::{
    CellEncoder, InferencePrecision, LoadReport, ModelDir, Preprocess, Scgpt, ScgptConfig,
    Strictness,
};
use scgpt_stats::unit_rows;

pub use self::{
    genes::GeneEmbedding,
    options::{EmbedOptions, VariableOptions},
    report::{EmbedReport, ModelReport, VariableReport},
    rows::{Embedded, Embedding},
};
pub(crate) use self::{
    genes::{CellGroups, GeneStates, vector_table},
    variable::select_variable,
};
pub use crate::stream::{Timings, TokenCounts};
use crate::{
    error::{Error, Result},
    folder_kind::FolderKind,
    known_genes::KnownGenes,
    start_vectors::START,
    stream::{CellReader, Rows, Sink, Stream, TokenPanel},
    usage::Usage,
};

/// Which genes of a source a model knows, and that they are enough.
pub(crate) struct SourceGenes {
    pub(crate) alignment: Alignment,
    pub(crate) known: KnownGenes,
}

/// A model, its vocabulary and what it expects of its input, ready to embed cells: see the [example of
/// the module](self).
#[derive(Debug)]
pub struct Embedder {
    encoder: CellEncoder,
    config: ScgptConfig,
    preprocess: Preprocess,
    vocab: GeneVocab,
    loaded: LoadReport,
    /// SHA-256 of the weights file, if there is one.
    sha256: Option<String>,
    /// The folder that it was opened from, and what that holds; `None` for a model from memory.
    folder: Option<(FolderKind, PathBuf)>,
}

impl Embedder {
    /// Opens a model directory.
    ///
    /// # Errors
    /// If a file is missing, unsafe or inconsistent, or weights, configuration and vocabulary do
    /// not belong together.
    pub fn open(folder: &Path, device: &Device, strictness: Strictness) -> Result<Self> {
        let (kind, model) = FolderKind::open(folder)?;
        // Hashing takes as long as loading, and nothing of it is needed for that.
        let (sha256, embedder) = thread::scope(|scope| {
            let hashing = scope.spawn(|| model.hash());
            let embedder = Self::of_folder(&model, kind, device, strictness);
            (hashing.join().unwrap_or_else(|panic| resume_unwind(panic)), embedder)
        });
        Ok(embedder?.with_hash(sha256?))
    }

    /// Takes a model directory that is open, of a folder of some kind.
    pub(crate) fn of_folder(
        model: &ModelDir,
        kind: FolderKind,
        device: &Device,
        strictness: Strictness,
    ) -> Result<Self> {
        let vocab = GeneVocab::from_json(model.vocab_path())?;
        check_vocabulary(&vocab, model.config())?;
        let (network, loaded) = model.load(device, strictness)?;
        let embedder = Self::new(network, model.config().clone(), *model.preprocess(), vocab)?;
        let folder = Some((kind, model.path().into()));
        Ok(Self { loaded, folder, ..embedder })
    }

    /// The same, whose weights file has that SHA-256.
    #[must_use]
    pub(crate) fn with_hash(self, sha256: String) -> Self {
        Self { sha256: Some(sha256), ..self }
    }

    /// Path at which there are gene vectors before training, if they are known; `None` for a model from
    /// memory.
    fn start_path(&self) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.1.join(START))
    }

    /// Takes a model that is already in memory.
    ///
    /// # Errors
    /// If the vocabulary has another size than the model's gene table.
    pub fn new(
        model: Scgpt,
        config: ScgptConfig,
        preprocess: Preprocess,
        vocab: GeneVocab,
    ) -> Result<Self> {
        check_vocabulary(&vocab, &config)?;
        let encoder = CellEncoder::new(model, &config);
        let loaded = LoadReport::default();
        Ok(Self { encoder, config, preprocess, vocab, loaded, sha256: None, folder: None })
    }

    /// The same with the network [`with_precision`](CellEncoder::with_precision).
    #[must_use]
    pub fn with_precision(self, precision: InferencePrecision) -> Self {
        Self { encoder: self.encoder.with_precision(precision), ..self }
    }

    /// The network without dropout, read once more from its folder.
    ///
    /// # Errors
    /// If it is from memory, or cannot be read.
    pub(crate) fn reopened(&self, device: &Device) -> Result<Scgpt> {
        let Some((_, folder)) = &self.folder else {
            return Err(Error::option(
                "the network is in no folder from which it can be read again",
            ));
        };
        let config = ScgptConfig { dropout: 0.0, ..self.config.clone() };
        let model = ModelDir::open(folder)?;
        Ok(model.weights().load(&config, device, Strictness::Strict)?.0.no_grad())
    }

    /// The vocabulary of the model.
    pub fn vocab(&self) -> &GeneVocab {
        &self.vocab
    }

    /// SHA-256 of the weights file, hexadecimal; `None` for a model from memory.
    pub fn hash(&self) -> Option<&str> {
        self.sha256.as_deref()
    }

    /// The configuration of the network.
    pub fn config(&self) -> &ScgptConfig {
        &self.config
    }

    /// What became of every tensor of the checkpoint; empty for a model from memory.
    pub fn loaded(&self) -> &LoadReport {
        &self.loaded
    }

    /// Checks that the network gets what it needs, and was made for that use.
    pub(crate) fn check(&self, usage: Usage) -> Result<()> {
        let folder = self.folder.as_ref().map(|(kind, path)| (*kind, path.as_path()));
        usage.check(folder, &self.config)
    }

    /// Embeds all cells of `source`, streaming: memory does not grow with their number.
    ///
    /// A cell's embedding depends on what it expresses and the options, never on its place, the
    /// batch, the number of threads or the other cells. A cell that expresses no known gene is `<cls>`
    /// alone; such cells are counted.
    ///
    /// # Errors
    /// If the network needs more than the cells, as those of other tasks do; if the source cannot be
    /// read, has no cells or negative values, or too few of its genes are known; if an option cannot
    /// work; [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Reference
    /// `tasks/cell_emb.py`, `embed_data`. Differs: ties are settled by [`TieMode`](scgpt_data::TieMode) instead of a
    /// global generator, sampling is keyed by what a cell expresses, cells without known genes do not fail.
    pub fn embed(
        &self,
        source: &mut dyn CellSource,
        options: &EmbedOptions,
        observer: &dyn Observer,
    ) -> Result<Embedding> {
        self.check(Usage::Embed)?;
        self.spooled(source, options, Stream::default(), observer)
    }

    /// As [`embed`](Self::embed), but no row is stored: `each` is called with the rows, `[n, d]`,
    /// of some consecutive cells and the number of the first. Cells come in the order of the
    /// source.
    ///
    /// # Errors
    /// As [`embed`](Self::embed), and whatever `each` fails with.
    pub fn embed_each(
        &self,
        source: &mut dyn CellSource,
        options: &EmbedOptions,
        each: &mut dyn FnMut(usize, &[f32]) -> Result<()>,
        observer: &dyn Observer,
    ) -> Result<Embedded> {
        self.check(Usage::Embed)?;
        let genes = self.source_genes(source, options, None)?;
        let d = self.encoder.d_model();
        let mut each = |first: usize, rows: &[f32]| each(first, &unit_rows(rows, d));
        let sink = Sink { rows: &mut each, tell: None };
        self.stream(source, genes, options, Stream::default(), sink, observer)
    }

    /// Embeds cells that are tokens already, `<cls>` first, such as those of a
    /// [`tokenizer`](Self::tokenizer): one row of unit length a cell, `[n, d]`.
    ///
    /// # Errors
    /// If the network needs more than the cells, a cell has no token or one that is not of the
    /// vocabulary, or `batch_size` is 0; [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn embed_tokens(
        &self,
        cells: &[CellTokens],
        batch_size: usize,
        observer: &dyn Observer,
    ) -> Result<Vec<f32>> {
        self.check(Usage::Embed)?;
        let rows = self.rows(batch_size)?;
        let is_known = |gene: &GeneToken| (gene.0 as usize) < self.vocab.len();
        let is_sound = |cell: &CellTokens| !cell.is_empty() && cell.genes.iter().all(is_known);
        if let Some(cell) = cells.iter().position(|cell| !is_sound(cell)) {
            return Err(Error::option(format!(
                "cell {cell} has no tokens, or some that are not among the {} of the vocabulary",
                self.vocab.len()
            )));
        }
        Ok(unit_rows(&rows.of(cells, None, observer)?, self.encoder.d_model()))
    }

    /// As [`embed`](Self::embed), for cells that are to be compared with other cells, which had
    /// `reference` of the model's genes.
    ///
    /// # Errors
    /// As [`embed`](Self::embed), and if the cells have too few genes compared with the others.
    pub fn embed_beside(
        &self,
        source: &mut dyn CellSource,
        options: &EmbedOptions,
        reference: Option<usize>,
        observer: &dyn Observer,
    ) -> Result<Embedding> {
        let Some(reference) = reference else { return self.embed(source, options, observer) };
        self.check(Usage::Embed)?;
        options.check()?;
        // The others are what counts, however few genes they had.
        let alignment = self.align(source, options)?;
        let known = self.known_genes(&alignment, None).beside(reference);
        known.check(&options.gene_names)?;
        let genes = SourceGenes { alignment, known };
        self.spool(source, genes, options, Stream::default(), observer)
    }

    /// The rows of a stream of cells, each of unit length, in a temporary file.
    pub(crate) fn spooled(
        &self,
        source: &mut dyn CellSource,
        options: &EmbedOptions,
        stream: Stream<'_>,
        observer: &dyn Observer,
    ) -> Result<Embedding> {
        let genes = self.source_genes(source, options, stream.trained)?;
        self.spool(source, genes, options, stream, observer)
    }

    /// As [`spooled`](Self::spooled), where the genes of the source are known.
    pub(crate) fn spool(
        &self,
        source: &mut dyn CellSource,
        genes: SourceGenes,
        options: &EmbedOptions,
        stream: Stream<'_>,
        observer: &dyn Observer,
    ) -> Result<Embedding> {
        let d = self.encoder.d_model();
        let mut rows = RowSpool::new_in(options.temporary.as_deref(), d)?;
        let mut write =
            |first: usize, computed: &[f32]| Ok(rows.write_rows(first, &unit_rows(computed, d))?);
        let sink = Sink { rows: &mut write, tell: None };
        let Embedded { empty, report, .. } =
            self.stream(source, genes, options, stream, sink, observer)?;
        Ok(Embedding { rows, empty, report })
    }

    /// Sends the cells of a source, which has these genes, through the network, and their embeddings, as they
    /// are, to `sink`.
    pub(crate) fn stream(
        &self,
        source: &mut dyn CellSource,
        genes: SourceGenes,
        options: &EmbedOptions,
        Stream { panel, domains, modalities, .. }: Stream<'_>,
        Sink { rows: sink, tell }: Sink<'_>,
        observer: &dyn Observer,
    ) -> Result<Embedded> {
        let (n_cells, n_genes) = source.summary().shape(&options.layer)?;
        let rows = self.rows(options.batch_size)?;
        let SourceGenes { mut alignment, known } = genes;
        let genes = alignment.summary();
        let values = unscaled(source, &options.layer)?;
        let variable = options.variable.as_ref().map(|variable| {
            observer.begin("selecting variable genes", 0);
            let source = &mut Watched { source: &mut *source, observer };
            select_variable(source, &options.layer, variable, &options.gene_names, &mut alignment)
        });
        let variable = variable.transpose()?;
        let mut tokenizer = self.panel_tokenizer(&alignment, options, panel)?;
        if let Some(modalities) = modalities {
            let tokens = alignment.tokens.iter();
            let of_columns = modalities.pick(tokens.map(|token| Some((*token)?.0 as usize)));
            tokenizer = tokenizer.with_modalities(&of_columns)?;
        }
        let max_length = tokenizer.config().max_length;
        let reader = CellReader { layer: &options.layer, tokenizer: &tokenizer, tell };
        let streamed = rows.stream(source, reader, domains, sink, observer)?;
        let report = EmbedReport {
            version: env!("CARGO_PKG_VERSION").into(),
            n_cells,
            n_genes,
            width: self.encoder.d_model(),
            genes,
            known_genes: known,
            input_state: values.state,
            variable,
            tokens: streamed.tokens,
            max_length,
            precision: self.encoder.precision(),
            cells_per_second: n_cells as f64 / streamed.timings.total,
            timings: streamed.timings,
            options: options.clone(),
            model: Some(ModelReport { sha256: self.sha256.clone(), config: self.config.clone() }),
        };
        Ok(Embedded { empty: streamed.empty, report, told: streamed.told })
    }

    /// The network prepared for inference: it takes the caller's own tokens, and gives the states
    /// of all of them, gene vectors and attention scores.
    pub fn encoder(&self) -> &CellEncoder {
        &self.encoder
    }

    /// The network, for cells that are given as tokens.
    ///
    /// # Errors
    /// If `batch_size` is 0.
    pub(crate) fn rows(&self, batch_size: usize) -> Result<Rows<'_>> {
        if batch_size == 0 {
            return Err(Setting("batch_size").zero().into());
        }
        let collator = Collator::new(&self.vocab, self.config.pad_value);
        Ok(Rows { encoder: &self.encoder, collator, batch_size })
    }

    /// Which genes of a source the model knows.
    ///
    /// # Errors
    /// If there is no such matrix, no cell or gene in it, or no such column of names, or too few genes are
    /// known.
    pub fn align(&self, source: &dyn CellSource, options: &EmbedOptions) -> Result<Alignment> {
        source.summary().shape(&options.layer)?;
        let var = source.var(&options.layer)?;
        Ok(self.vocab.align(&var, &options.gene_names)?)
    }

    /// The genes of a source, once they are found to be enough of those that the model was made for, or
    /// of those that it was `trained` on.
    pub(crate) fn source_genes(
        &self,
        source: &dyn CellSource,
        options: &EmbedOptions,
        trained: Option<&[bool]>,
    ) -> Result<SourceGenes> {
        options.check()?;
        let alignment = self.align(source, options)?;
        let known = self.known_genes(&alignment, trained);
        known.check(&options.gene_names)?;
        Ok(SourceGenes { alignment, known })
    }

    /// How many of the genes that the model was made for a source has. `trained` says which tokens
    /// it was trained on, if that is known.
    pub(crate) fn known_genes(&self, genes: &Alignment, trained: Option<&[bool]>) -> KnownGenes {
        KnownGenes::new(genes, trained, self.preprocess.max_length)
    }

    /// The tokenizer of cells with the genes of `alignment`.
    ///
    /// # Errors
    /// If an option cannot work.
    pub fn tokenizer(&self, alignment: &Alignment, options: &EmbedOptions) -> Result<Tokenizer> {
        self.panel_tokenizer(alignment, options, None)
    }

    /// As [`tokenizer`](Self::tokenizer), for those genes alone that are in a panel.
    fn panel_tokenizer(
        &self,
        alignment: &Alignment,
        options: &EmbedOptions,
        panel: Option<TokenPanel<'_>>,
    ) -> Result<Tokenizer> {
        let max_length = options.max_length.unwrap_or(self.preprocess.max_length);
        let config = TokenConfig {
            include_zero_genes: panel.is_some_and(|panel| panel.with_zeros),
            ..self.token_config(options, max_length)?
        };
        let tokenizer = Tokenizer::new(&self.vocab, alignment, config)?;
        Ok(match panel {
            Some(panel) => tokenizer.retain(|gene| panel.is_in[gene.0 as usize]),
            None => tokenizer,
        })
    }

    /// How cells become tokens: genes that they express, binned among themselves.
    ///
    /// # Errors
    /// If the model has too few value bins.
    pub(crate) fn token_config(
        &self,
        options: &EmbedOptions,
        max_length: usize,
    ) -> Result<TokenConfig> {
        Ok(TokenConfig {
            binner: Some(Binner::new(self.config.value_bins(), options.tie_mode)?),
            include_zero_genes: false,
            cls_value: Some(self.preprocess.cls_value),
            max_length,
            sampling: options.sampling,
            seed: options.seed,
        })
    }
}

/// Checks that the gene table has exactly one row a token.
pub(crate) fn check_vocabulary(vocab: &GeneVocab, config: &ScgptConfig) -> Result<()> {
    if vocab.len() == config.vocab_size {
        return Ok(());
    }
    Err(Error::Vocabulary { vocabulary: vocab.len(), table: config.vocab_size })
}
