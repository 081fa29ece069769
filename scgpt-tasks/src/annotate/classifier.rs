//! [`Classifier`]: what in an artefact tells cells: a network, or a simple method.

use std::{path::Path, time::Instant};

use rayon::prelude::*;
use scgpt_data::{
    Binner, CellSource, CsrRow, GeneToken, GeneVocab, Observer, ReadBlocks as _, TokenConfig,
    Tokenizer, Watched, narrow, unscaled,
};
use scgpt_eval::baseline::ClassMethod;
use scgpt_model::InferencePrecision;

use super::{method::Method, scored::Scored};
use crate::{
    artefact::{VOCABULARY, read_part},
    embed::{EmbedOptions, EmbedReport, Embedded, Embedder, SourceGenes, Timings, TokenCounts},
    error::{Error, Result},
    known_genes::KnownGenes,
    stream::Sink,
};

/// The file of an artefact with a simple method.
pub(super) const METHOD: &str = "method.json";

/// Cells that are read at a time.
const BLOCK: usize = 1024;

/// What tells cells.
#[derive(Debug)]
pub(super) enum Classifier {
    Network(Box<Embedder>),
    Simple(Box<SimpleClassifier>),
}

/// A simple method, and the genes that it knows.
#[derive(Debug)]
pub(super) struct SimpleClassifier {
    method: ClassMethod,
    vocab: GeneVocab,
    /// Number of value bins by which profiles know cells.
    n_bins: u16,
}

impl Classifier {
    pub(super) fn vocab(&self) -> &GeneVocab {
        match self {
            Self::Network(embedder) => embedder.vocab(),
            Self::Simple(simple) => &simple.vocab,
        }
    }

    /// Width of what places a cell: an embedding, or principal components.
    pub(super) fn width(&self) -> usize {
        match self {
            Self::Network(embedder) => embedder.encoder().d_model(),
            Self::Simple(simple) => simple.method.space().width(),
        }
    }

    pub(super) fn with_precision(self, precision: InferencePrecision) -> Self {
        match self {
            Self::Network(embedder) => Self::Network(Box::new(embedder.with_precision(precision))),
            simple @ Self::Simple(_) => simple,
        }
    }

    /// How cells become tokens, at most so many.
    pub(super) fn token_config(
        &self,
        options: &EmbedOptions,
        max_length: usize,
    ) -> Result<TokenConfig> {
        match self {
            Self::Network(embedder) => embedder.token_config(options, max_length),
            Self::Simple(simple) => simple.token_config(options, max_length),
        }
    }

    /// The genes of a source, once they are found to be enough of those that were `trained` on.
    pub(super) fn source_genes(
        &self,
        source: &dyn CellSource,
        options: &EmbedOptions,
        trained: &[bool],
    ) -> Result<SourceGenes> {
        let simple = match self {
            Self::Network(embedder) => {
                return embedder.source_genes(source, options, Some(trained));
            }
            Self::Simple(simple) => simple,
        };
        source.summary().shape(&options.layer)?;
        let alignment = simple.vocab.align(&source.var(&options.layer)?, &options.gene_names)?;
        // It sees all genes of a cell at once.
        let known = KnownGenes::new(&alignment, Some(trained), usize::MAX);
        known.check(&options.gene_names)?;
        Ok(SourceGenes { alignment, known })
    }
}

impl SimpleClassifier {
    /// Reads the method of an artefact, whose record says which it is, and how many classes it tells.
    pub(super) fn open(
        folder: &Path,
        method: Method,
        n_bins: Option<u16>,
        n_classes: usize,
    ) -> Result<Self> {
        let path = folder.join(METHOD);
        let vocab = GeneVocab::from_json(folder.join(VOCABULARY))?;
        let read: ClassMethod = read_part(&path)?;
        let wrong = |problem: String| Error::Artefact { path: path.clone(), problem };
        read.check(vocab.len(), n_classes).map_err(wrong)?;
        if Some(read.method()) != method.simple() {
            let problem =
                format!("it is {}, but the record says {}", read.method().name(), method.name());
            return Err(wrong(problem));
        }
        let missing = || wrong("the record does not say the number of value bins".into());
        Ok(Self { method: read, vocab, n_bins: n_bins.ok_or_else(missing)? })
    }

    /// The method, as it was fitted.
    pub(super) fn method(&self) -> &ClassMethod {
        &self.method
    }

    fn token_config(&self, options: &EmbedOptions, max_length: usize) -> Result<TokenConfig> {
        Ok(TokenConfig {
            binner: Some(Binner::new(self.n_bins, options.tie_mode)?),
            include_zero_genes: false,
            cls_value: Some(0.0),
            max_length,
            sampling: options.sampling,
            seed: options.seed,
        })
    }

    /// Class scores and positions of cells given as tokens, without the genes that were not measured.
    pub(super) fn scored<'r>(
        &self,
        is_measured: &[bool],
        cells: impl Iterator<Item = CsrRow<'r>>,
        observer: &dyn Observer,
    ) -> Result<Scored> {
        let token =
            |(token, &is_measured): (usize, &bool)| is_measured.then(|| GeneToken(narrow(token)));
        let tokens: Vec<Option<GeneToken>> = is_measured.iter().enumerate().map(token).collect();
        let space = self.method.space();
        let known = space.reader(&tokens, space.values()).cells(cells)?;
        Scored::of_method(&self.method, &known.cells, observer)
    }

    /// Class scores and positions of all cells of a source, which has these genes, to `sink`.
    pub(super) fn stream(
        &self,
        source: &mut dyn CellSource,
        SourceGenes { alignment, known }: SourceGenes,
        options: &EmbedOptions,
        Sink { rows: sink, tell }: Sink<'_>,
        observer: &dyn Observer,
    ) -> Result<Embedded> {
        let (begin, layer) = (Instant::now(), &options.layer);
        let (n_cells, n_genes) = source.summary().shape(layer)?;
        let values = unscaled(source, layer)?;
        let reader = self.method.space().reader(&alignment.tokens, values);
        let config = self.token_config(options, usize::MAX)?;
        let tokenizer = Tokenizer::new(&self.vocab, &alignment, config)?;
        let max_length = self.vocab.len();
        let (mut tokens, mut timings) = (TokenCounts::new(max_length), Timings::default());
        let (mut empty, mut told) = (Vec::new(), Vec::new());
        observer.begin("telling types", n_cells);
        for block in (Watched { source, observer }).blocks(layer, BLOCK) {
            let (cells, block) = block?;
            let known = reader.cells(block.rows())?;
            sink(cells.start, &Scored::of_method(&self.method, &known.cells, observer)?.rows)?;
            if let Some(tell) = tell {
                told.par_extend(tokenizer.block(&block).par_iter().map(tell));
            }
            for (cell, &n) in cells.zip(&known.n_expressed) {
                tokens.add(n + 1, n, n == 0);
                if n == 0 {
                    empty.push(cell);
                }
            }
        }
        timings.total = begin.elapsed().as_secs_f64();
        let report = EmbedReport {
            version: env!("CARGO_PKG_VERSION").into(),
            n_cells,
            n_genes,
            width: self.method.space().width(),
            genes: alignment.summary(),
            known_genes: known,
            input_state: values.state,
            variable: None,
            tokens,
            max_length,
            precision: InferencePrecision::Exact,
            cells_per_second: n_cells as f64 / timings.total,
            timings,
            options: options.clone(),
            model: None,
        };
        Ok(Embedded { empty, report, told })
    }
}
