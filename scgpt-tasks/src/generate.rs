//! Which values do unknown genes have?
//!
//! A generatively pre-trained network predicts genes of a cell from those that are known of it, or from
//! its embedding alone, in rounds: what it is surest of becomes known and helps to predict the rest.
//! Values are *bins*: ranks of a cell's expressed genes among each other, from 1 to the number of bins.
//!
//! A cell goes this way: it is binned; the genes that are asked for are taken out of its tokens and
//! become the prompt's unknown genes; the network predicts all of them in each round, and those it
//! is surest of become known; predictions are compared with the truth where the cell expresses the
//! gene. The cells are read twice, first for the means of genes, as an answer says nothing without
//! them beside it. The mean that a cell's answer is compared with leaves that cell out.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use burn::prelude::Device;
//! use scgpt_data::{Silent, Source};
//! use scgpt_model::Strictness;
//! use scgpt_tasks::generate::{Ask, GenerateOptions, Generator};
//!
//! let device = Device::default();
//! let generator = Generator::open(Path::new("whole-human"), &device, Strictness::Strict)?;
//! // A quarter of what each cell expresses is hidden, so that the answers are known.
//! let mut options = GenerateOptions::new(Ask::Hidden(0.25));
//! options.generation.rounds = 3;
//! options.batch_size = 32;
//! let mut cells = Source::open(Path::new("pbmc.h5ad"))?;
//! let generated = generator.generate(&mut cells, &options, &device, &Silent)?;
//! let error = generated.report.network.map(|scores| scores.squared_error);
//! println!("mean squared error {error:?}, in squared value bins");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod page;
mod prompts;
mod report;
mod score;

use std::path::{Path, PathBuf};

use burn::prelude::Device;
use scgpt_data::{
    Alignment, Binner, CellSource, CellTokens, Column, GeneNames, GeneToken, GeneVocab, Keyed,
    Layer, Observer, Purpose, RowSpool, Setting, TieMode, TokenConfig, Tokenizer, buckets,
    similar_names, unscaled,
};
use scgpt_model::{
    Generated, Generation, InferencePrecision, LoadReport, Preprocess, Prompt, Scgpt, ScgptConfig,
    Strictness,
};
use serde::{Deserialize, Serialize};

pub use self::report::{GenerateReport, RoundReport, Scores};
use self::{
    prompts::Prompts,
    score::{RoundSums, Score},
};
use crate::{
    embed::check_vocabulary,
    error::{Error, Result},
    known_genes::KnownGenes,
    mean_expression::MeanExpression,
    usage::Usage,
};

/// Cells read at a time, among which batches of similar length are formed.
const WINDOW: usize = 512;

/// What is asked of each cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ask {
    /// This share of the genes that it expresses, which are hidden: a test with known answers.
    Hidden(f64),
    /// These genes, given all others that it expresses (gene prompt).
    Genes(Vec<String>),
    /// These genes, given its embedding alone (cell prompt).
    Cells {
        /// Names of the genes.
        genes: Vec<String>,
        /// Name of the embedding in `obsm`; `None` takes the network's own.
        embedding: Option<String>,
    },
}

/// What is generated, and how.
///
/// ```
/// use scgpt_tasks::generate::{Ask, GenerateOptions};
///
/// // Two genes of every cell, from all others that it expresses.
/// let mut options = GenerateOptions::new(Ask::Genes(vec!["CD3D".into(), "MS4A1".into()]));
/// options.seed = 7;
/// assert_eq!(options.batch_size, 8);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GenerateOptions {
    /// What is asked of each cell.
    pub ask: Ask,
    /// The number of rounds, and which genes become known in each.
    pub generation: Generation,
    /// Number of cells computed at once: affects speed and memory, never results.
    pub batch_size: usize,
    /// Most tokens per cell, `<cls>` included; `None` takes the model's own number.
    pub max_length: Option<usize>,
    /// Seed of every random choice.
    pub seed: u64,
    /// Where the genes' names are, and how many of them have to be known.
    #[serde(flatten)]
    pub gene_names: GeneNames,
    /// The matrix that is read.
    #[serde(skip)]
    pub layer: Layer,
    /// Folder of the temporary file that collects the results; `None` is the system's.
    #[serde(skip)]
    pub temporary: Option<PathBuf>,
}

impl GenerateOptions {
    /// Generates what is asked as [`Generation`] does by default, 8 cells at once, from `X`, with
    /// the best column of gene names.
    pub fn new(ask: Ask) -> Self {
        Self {
            ask,
            generation: Generation::default(),
            batch_size: 8,
            max_length: None,
            seed: 0,
            gene_names: GeneNames::BEST,
            layer: Layer::X,
            temporary: None,
        }
    }
}

/// The generated values of all cells, and how good they are.
#[derive(Debug)]
pub struct GeneratedCells {
    /// Names of the genes of [`Ask::Genes`] or [`Ask::Cells`] that the model knows, in order.
    pub genes: Vec<String>,
    /// Their predicted value bins, one row a cell, `[cells, genes]`; `None` for [`Ask::Hidden`].
    pub rows: Option<RowSpool>,
    /// Mean squared error of each cell, in squared value bins; NaN where no answer is known.
    pub errors: Column,
    /// What was asked, and how far the answers are from the truth.
    pub report: GenerateReport,
}

/// A generatively pre-trained model: see the [example of the module](self).
#[derive(Debug)]
pub struct Generator {
    model: Scgpt,
    config: ScgptConfig,
    preprocess: Preprocess,
    vocab: GeneVocab,
    loaded: LoadReport,
    precision: InferencePrecision,
}

impl Generator {
    /// Opens a model directory.
    ///
    /// # Errors
    /// If a file is missing, unsafe or inconsistent, or the model was not trained to generate.
    pub fn open(folder: &Path, device: &Device, strictness: Strictness) -> Result<Self> {
        let folder = Usage::Generate.open(folder)?;
        let vocab = GeneVocab::from_json(folder.vocab_path())?;
        let config = folder.config().clone();
        check_vocabulary(&vocab, &config)?;
        let (model, loaded) = folder.load(device, strictness)?;
        let preprocess = *folder.preprocess();
        let precision = InferencePrecision::Exact;
        Ok(Self { model, config, preprocess, vocab, loaded, precision })
    }

    /// The same, but cells are computed in that precision where there is a faster way to do so.
    #[must_use]
    pub fn with_precision(self, precision: InferencePrecision) -> Self {
        Self { model: self.model.computing_in(precision.format()), precision, ..self }
    }

    /// What became of every tensor of the checkpoint.
    pub fn loaded(&self) -> &LoadReport {
        &self.loaded
    }

    /// Generates what is asked of every cell of `source`, streaming.
    ///
    /// A cell's result depends on what it expresses and the options, not on the batch or its place.
    ///
    /// # Errors
    /// If the source cannot be read, too few of its genes are known, none of the genes asked for
    /// is, or an option cannot work; [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn generate(
        &self,
        source: &mut dyn CellSource,
        options: &GenerateOptions,
        device: &Device,
        observer: &dyn Observer,
    ) -> Result<GeneratedCells> {
        if options.batch_size == 0 {
            return Err(Setting("batch_size").zero().into());
        }
        let (n_cells, _) = source.summary().shape(&options.layer)?;
        unscaled(source, &options.layer)?;
        let max_length = options.max_length.unwrap_or(self.preprocess.max_length);
        let var = source.var(&options.layer)?;
        let alignment = self.vocab.align(&var, &options.gene_names)?;
        let known = KnownGenes::new(&alignment, None, self.preprocess.max_length);
        known.check(&options.gene_names)?;
        let (genes, missing) = self.genes(&options.ask, max_length)?;
        let job = Job {
            generator: self,
            options,
            device,
            observer,
            tokenizer: self.tokenizer(&alignment, options, max_length)?,
            prompts: Prompts::new(&options.ask, &genes, options.seed, max_length),
            n_cells,
        };
        let mean = job.means(source)?;
        let mut results = Results::new(&options.ask, genes.len(), options)?;
        job.run(source, &mean, &mut results)?;
        let mut report = results.score.report(
            options,
            n_cells,
            alignment.summary(),
            results.n_empty,
            missing,
            &results.rounds,
        );
        report.precision = self.precision.on(device);
        let names = genes.iter().filter_map(|&gene| self.vocab.name(gene)).map(String::from);
        Ok(GeneratedCells {
            genes: names.collect(),
            rows: results.rows,
            errors: Column::Float(results.errors.into_iter().map(Some).collect()),
            report,
        })
    }

    /// The tokens of the genes asked for, and the names that have none.
    fn genes(&self, ask: &Ask, max_length: usize) -> Result<(Vec<GeneToken>, Vec<String>)> {
        let (Ask::Genes(names) | Ask::Cells { genes: names, .. }) = ask else {
            return Ok((Vec::new(), Vec::new()));
        };
        let (mut genes, mut missing) = (Vec::new(), Vec::new());
        for name in names {
            match self.vocab.token(name) {
                Some(gene) if !genes.contains(&gene) => genes.push(gene),
                Some(_) => {}
                None => missing.push(name.clone()),
            }
        }
        if genes.is_empty() {
            let first = names.first().map_or("", String::as_str);
            let hint = similar_names(first, self.vocab.names()).hint();
            return Err(Error::option(format!(
                "none of the {} genes to generate is in the model's vocabulary{hint}",
                names.len()
            )));
        }
        if genes.len() >= max_length {
            let n = genes.len();
            let problem = format!(
                "is {max_length}, but {n} genes to generate and `<cls>` need more: name fewer genes, or raise it"
            );
            return Err(Setting("max_length").wrong(problem).into());
        }
        Ok((genes, missing))
    }

    /// The tokenizer, which bins cells and makes tokens of them.
    fn tokenizer(
        &self,
        alignment: &Alignment,
        options: &GenerateOptions,
        max_length: usize,
    ) -> Result<Tokenizer> {
        let n_bins = self.config.value_bins();
        // Genes to generate take their room from the known ones only when they are hidden; else the
        // prompts make room themselves.
        let config = TokenConfig {
            binner: Some(Binner::new(n_bins, TieMode::Upper)?),
            cls_value: Some(self.preprocess.cls_value),
            max_length: if matches!(options.ask, Ask::Hidden(_)) { max_length } else { usize::MAX },
            seed: options.seed,
            ..TokenConfig::default()
        };
        Ok(Tokenizer::new(&self.vocab, alignment, config)?)
    }
}

/// Everything that is fixed for all cells.
struct Job<'a> {
    generator: &'a Generator,
    options: &'a GenerateOptions,
    device: &'a Device,
    observer: &'a dyn Observer,
    tokenizer: Tokenizer,
    prompts: Prompts<'a>,
    n_cells: usize,
}

/// What is collected over all cells.
struct Results {
    rows: Option<RowSpool>,
    errors: Vec<f64>,
    score: Score,
    rounds: Vec<RoundSums>,
    /// Number of cells that express no known gene.
    n_empty: usize,
}

impl Results {
    /// Results of no cells yet, with a table of rows only if every cell is asked for the same
    /// genes.
    fn new(ask: &Ask, n_genes: usize, options: &GenerateOptions) -> Result<Self> {
        let rows = match (ask, &options.temporary) {
            (Ask::Hidden(_), _) => None,
            (_, Some(folder)) => Some(RowSpool::new_in(Some(folder), n_genes)?),
            (_, None) => Some(RowSpool::new(n_genes)?),
        };
        Ok(Self {
            rows,
            errors: Vec::new(),
            score: Score::default(),
            rounds: vec![RoundSums::default(); options.generation.rounds],
            n_empty: 0,
        })
    }
}

impl Job<'_> {
    /// The cells of a window, as tokens.
    fn window(&self, source: &mut dyn CellSource, first: usize) -> Result<Vec<CellTokens>> {
        self.observer.check_cancelled()?;
        let end = self.n_cells.min(first + WINDOW);
        Ok(self.tokenizer.block(&source.read(&self.options.layer, first..end)?))
    }

    /// The mean of every gene over the cells in which its value is known.
    fn means(&self, source: &mut dyn CellSource) -> Result<MeanExpression> {
        self.observer.begin("averaging", self.n_cells);
        let mut mean = MeanExpression::new(self.generator.vocab.len());
        for first in (0..self.n_cells).step_by(WINDOW) {
            let cells = self.window(source, first)?;
            for cell in &cells {
                mean.add(&self.prompts.known_to_baseline(cell), 1);
            }
            self.observer.advance(cells.len());
        }
        Ok(mean)
    }

    /// Asks all cells, window by window.
    fn run(
        &self,
        source: &mut dyn CellSource,
        mean: &MeanExpression,
        results: &mut Results,
    ) -> Result<()> {
        self.observer.begin("generating", self.n_cells);
        for first in (0..self.n_cells).step_by(WINDOW) {
            let cells = self.window(source, first)?;
            results.n_empty += cells.iter().filter(|cell| cell.n_available == 0).count();
            let embeddings = self.embeddings(source, &cells, first)?;
            let asked: Vec<(Prompt, Vec<Option<f32>>)> = cells
                .iter()
                .enumerate()
                .map(|(index, cell)| {
                    let embedding = embeddings.as_ref().map(|rows| rows[index].clone());
                    self.prompts.make(cell, embedding)
                })
                .collect();
            let lengths: Vec<usize> =
                asked.iter().map(|(prompt, _)| prompt.genes.len() + prompt.unknown.len()).collect();
            let mut generated = vec![Generated::default(); cells.len()];
            for bucket in buckets(&lengths, self.options.batch_size) {
                self.observer.check_cancelled()?;
                self.bucket(&bucket, &asked, &mut generated, &mut results.rounds)?;
                self.observer.advance(bucket.len());
            }
            collect(first, &asked, &generated, mean, results)?;
        }
        Ok(())
    }

    /// Generates the cells of a bucket. The noise is keyed by what a cell expresses, so a cell's answer
    /// does not depend on those that are computed with it.
    fn bucket(
        &self,
        bucket: &[usize],
        asked: &[(Prompt, Vec<Option<f32>>)],
        generated: &mut [Generated],
        rounds: &mut [RoundSums],
    ) -> Result<()> {
        let prompts: Vec<Prompt> = bucket.iter().map(|&cell| asked[cell].0.clone()).collect();
        let seed = self.options.seed;
        let noise =
            |cell: u64, index: u64| Keyed::new(seed, Purpose::Generate, 0, cell).bits(index);
        let Generator { model, config, .. } = self.generator;
        let options = &self.options.generation;
        let found =
            model.generate(&prompts, options, config, &noise, self.device, &mut |round| {
                rounds[round.round].add(&round, &asked[bucket[round.cell]].1);
            })?;
        for (&cell, found) in bucket.iter().zip(found) {
            generated[cell] = found;
        }
        Ok(())
    }

    /// The cell embeddings of a window, for cell prompts: those of the file, brought to the length that
    /// the network expects, or the network's own.
    fn embeddings(
        &self,
        source: &mut dyn CellSource,
        cells: &[CellTokens],
        first: usize,
    ) -> Result<Option<Vec<Vec<f32>>>> {
        let Ask::Cells { embedding, .. } = &self.options.ask else { return Ok(None) };
        let Generator { model, config, vocab, .. } = self.generator;
        let rows = match embedding {
            Some(name) => {
                let (rows, width) = source.read_obsm(name, first..first + cells.len())?;
                if width != config.d_model {
                    return Err(Error::option(format!(
                        "`obsm[\"{name}\"]` is {width} wide, but the model's embeddings are {}",
                        config.d_model
                    )));
                }
                prompts::scaled(rows, width, model)
            }
            None => {
                prompts::encode(model, config, vocab, cells, self.options.batch_size, self.device)
            }
        };
        Ok(Some(rows.chunks(config.d_model).map(<[f32]>::to_vec).collect()))
    }
}

/// Scores a window of cells, and stores their rows. Bins are not negative, so neither are stored values;
/// scores are of the predictions as they are.
fn collect(
    first: usize,
    asked: &[(Prompt, Vec<Option<f32>>)],
    generated: &[Generated],
    mean: &MeanExpression,
    results: &mut Results,
) -> Result<()> {
    let is_listed = results.rows.is_some();
    let mut table = Vec::new();
    for ((prompt, truth), generated) in asked.iter().zip(generated) {
        results.errors.push(results.score.add(prompt, truth, generated, mean, is_listed));
        table.extend(generated.values.iter().map(|value| value.max(0.0)));
    }
    if let Some(rows) = &mut results.rows {
        rows.write_rows(first, &table)?;
    }
    Ok(())
}
