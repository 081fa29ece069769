//! [`Artefact::annotate`]: predicts classes of cells, with what is known of their certainty.

use std::path::PathBuf;

use scgpt_data::{CellSource, CellTokens, GeneNames, Layer, Observer, RowSpool, Setting};
use scgpt_eval::join_labels;
use serde::Serialize;

use super::{
    COVERAGE, KNOWN_SHARE,
    artefact::Artefact,
    calibration::{Evidence, Judgement, UnknownScore},
    classifier::Classifier,
    method::Method,
    recalibrate::ALL_GENES,
    scored::score,
};
use crate::{
    embed::{EmbedOptions, EmbedReport, Embedded},
    error::Result,
    stream::{Sink, Stream, Tell},
};

/// Rows of a spool that are read at a time.
pub(super) const ROWS: usize = 1024;

/// How cells are annotated.
///
/// ```
/// use scgpt_tasks::annotate::{PredictOptions, UnknownScore};
///
/// // Sets that hold the class more often, and are larger for it.
/// let mut options = PredictOptions::default();
/// options.coverage = 0.99;
/// assert_eq!(options.unknown_score, UnknownScore::default());
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PredictOptions {
    /// Number of cells computed at once: affects speed and memory, never results.
    pub batch_size: usize,
    /// Where the genes' names are, and how many of them have to be known.
    #[serde(flatten)]
    pub gene_names: GeneNames,
    /// The matrix that is read.
    #[serde(skip)]
    pub layer: Layer,
    /// Share of the cells of each class whose set of plausible classes should contain it.
    pub coverage: f64,
    /// Share of the cells of known classes that should not be called unknown.
    pub known_share: f64,
    /// The score by which cells are found to be unlike all classes.
    pub unknown_score: UnknownScore,
    /// Whether the probabilities of all classes are kept.
    pub probabilities: bool,
    /// Folder of temporary files; `None` is the system's.
    #[serde(skip)]
    pub temporary: Option<PathBuf>,
}

impl Default for PredictOptions {
    fn default() -> Self {
        Self {
            batch_size: 8,
            gene_names: GeneNames::BEST,
            layer: Layer::X,
            coverage: COVERAGE,
            known_share: KNOWN_SHARE,
            unknown_score: UnknownScore::default(),
            probabilities: false,
            temporary: None,
        }
    }
}

/// Annotated cells, in the order of the source.
#[derive(Debug)]
#[non_exhaustive]
pub struct Annotated {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// The answer for each cell, in the order of the source.
    pub cells: Vec<AnnotatedCell>,
    /// Cell embeddings of unit length, `[n, d]`; of a simple method, principal components of its genes.
    pub embeddings: RowSpool,
    /// Probabilities of the classes, `[n, y]`, if asked for.
    pub probabilities: Option<RowSpool>,
    /// If the cells lack genes that the artefact was trained on: the share of its held-out cells
    /// whose class it still finds without these genes. Confidence and limits are then those of such
    /// cells.
    pub held_out_accuracy: Option<f64>,
    /// What happened while the cells were read and embedded.
    pub report: EmbedReport,
}

/// The answer for one cell.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AnnotatedCell {
    /// The likeliest class; `None` for a cell that expresses no known gene.
    pub class: Option<u32>,
    /// The probability of that class; 0 without a class.
    pub confidence: f32,
    /// Plausible classes, ascending.
    pub set: Vec<u32>,
    /// How unlike all classes the cell is, by the [`UnknownScore`] that was asked for; comparable
    /// only among cells of one run.
    pub strangeness: f32,
    /// Whether the cell is stranger than all but a few cells of known classes.
    pub is_unknown: bool,
}

impl AnnotatedCell {
    /// The judgement of a cell without the probabilities of all classes.
    fn of(judged: &Judgement) -> Self {
        Self {
            class: Some(judged.class),
            confidence: judged.confidence(),
            set: judged.set.clone(),
            strangeness: judged.strangeness,
            is_unknown: judged.is_unknown,
        }
    }

    /// The answer without a class, for a cell that expresses no known gene: nothing can be said of
    /// it.
    fn without_class(self) -> Self {
        Self { class: None, confidence: 0.0, set: Vec::new(), is_unknown: true, ..self }
    }
}

impl Annotated {
    /// The name of a cell's class; `None` for a cell that expresses no known gene.
    pub fn prediction(&self, cell: usize) -> Option<&str> {
        Some(&self.classes[self.cells[cell].class? as usize])
    }

    /// Names of a cell's plausible classes, as [`join_labels`] joins them.
    pub fn set(&self, cell: usize) -> String {
        let names = self.cells[cell].set.iter().map(|&class| self.classes[class as usize].as_str());
        join_labels(names)
    }

    /// Share of the cells that are unknown, unlike all classes.
    pub fn unknown_share(&self) -> f64 {
        let unknown = self.cells.iter().filter(|cell| cell.is_unknown).count();
        unknown as f64 / self.cells.len().max(1) as f64
    }
}

impl Artefact {
    /// How cells are read and become tokens.
    pub(super) fn embed_options(&self, options: &PredictOptions) -> EmbedOptions {
        let record = &self.record;
        EmbedOptions {
            batch_size: options.batch_size,
            max_length: Some(record.max_length),
            tie_mode: record.tie_mode,
            seed: record.seed,
            gene_names: options.gene_names.clone(),
            layer: options.layer.clone(),
            temporary: options.temporary.clone(),
            ..EmbedOptions::default()
        }
    }

    /// Annotates all cells of `source`, streaming. A result depends on the cell and the artefact
    /// alone.
    ///
    /// # Errors
    /// If the source cannot be read or too few of its genes are known; if an option cannot work;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn annotate(
        &self,
        source: &mut dyn CellSource,
        options: &PredictOptions,
        observer: &dyn Observer,
    ) -> Result<Annotated> {
        let mut mistakes = Vec::new();
        if options.batch_size == 0 {
            mistakes.push(Setting("batch_size").zero());
        }
        for (name, share) in [("coverage", options.coverage), ("known_share", options.known_share)]
        {
            if !(share > 0.0 && share < 1.0) {
                mistakes.push(Setting(name).no_share(share));
            }
        }
        let record = &self.record;
        if record.method == Method::Neighbours && options.unknown_score == UnknownScore::Energy {
            let problem = "is `energy`, but votes of neighbours have none: every cell has as many";
            mistakes.push(Setting("unknown_score").wrong(problem));
        }
        scgpt_data::Error::settings(mistakes)?;
        let embed = self.embed_options(options);
        let trained = self.profiles.trained(self.classifier.vocab().len());
        let genes = self.classifier.source_genes(source, &embed, &trained)?;
        let lacks = (genes.known.matched as f64) < ALL_GENES * genes.known.of_model as f64;
        let recalibrated =
            if lacks { self.recalibrated(&genes.alignment, &embed, observer)? } else { None };
        let calibration = recalibrated.as_ref().map_or(&record.calibration, |it| &it.calibration);
        let profiles = self.profiles.within(&genes.alignment);
        let strangeness = |cell: &CellTokens| profiles.strangeness(cell);
        let tell: Option<Tell<'_>> = match options.unknown_score {
            UnknownScore::Expression => Some(&strangeness),
            _ => None,
        };
        let (k, d) = (record.classes.len(), self.classifier.width());
        let spool = |width| RowSpool::new_in(options.temporary.as_deref(), width);
        let mut scored = spool(k + d)?;
        let Embedded { empty, report, told } = match &self.classifier {
            Classifier::Network(embedder) => {
                let encoder = embedder.encoder();
                let mut write = |first: usize, rows: &[f32]| {
                    Ok(scored.write_rows(first, &score(encoder, rows))?)
                };
                let sink = Sink { rows: &mut write, tell };
                let stream = Stream { trained: Some(&trained), ..Stream::default() };
                embedder.stream(source, genes, &embed, stream, sink, observer)?
            }
            Classifier::Simple(simple) => {
                let mut write = |first: usize, rows: &[f32]| Ok(scored.write_rows(first, rows)?);
                let sink = Sink { rows: &mut write, tell };
                simple.stream(source, genes, &embed, sink, observer)?
            }
        };

        let limits =
            calibration.limits(options.coverage, options.known_share, options.unknown_score);
        let mut embeddings = spool(d)?;
        let mut probabilities = if options.probabilities { Some(spool(k)?) } else { None };
        let mut cells = Vec::with_capacity(scored.n_rows());
        let (n, mut rows) = (scored.n_rows(), Vec::new());
        for first in (0..n).step_by(ROWS) {
            scored.read_rows(first, ROWS.min(n - first), &mut rows)?;
            for (cell, row) in rows.chunks_exact(k + d).enumerate() {
                let (logits, embedding) = row.split_at(k);
                let expression = told.get(first + cell).copied().unwrap_or_default();
                let seen = Evidence { logits, embedding, expression };
                let mut judged = calibration.judge(&limits, &seen);
                let said = AnnotatedCell::of(&judged);
                let is_empty = empty.binary_search(&(first + cell)).is_ok();
                if is_empty {
                    judged.probabilities.fill(0.0);
                }
                cells.push(if is_empty { said.without_class() } else { said });
                embeddings.write_rows(first + cell, embedding)?;
                if let Some(spool) = &mut probabilities {
                    spool.write_rows(first + cell, &judged.probabilities)?;
                }
            }
        }
        Ok(Annotated {
            classes: record.classes.clone(),
            cells,
            embeddings,
            probabilities,
            held_out_accuracy: recalibrated.map(|it| it.accuracy),
            report,
        })
    }
}
