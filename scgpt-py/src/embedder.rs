//! [`Embedder`]: a model that is opened once and embeds batch after batch, for engines that run on many machines.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Result, anyhow};
use clap::ValueEnum;
use numpy::{PyArray1, PyArray2, PyArrayMethods as _, PyReadonlyArray1};
use pyo3::{exceptions::PyValueError, prelude::*};
use scgpt_data::{Collator, Frame, Layer, MemoryCells, Observer as _, ReadBlocks as _, TokenBatch};
use scgpt_model::{InferencePrecision, Strictness};
use scgpt_tasks::embed::{self, EmbedOptions};

use crate::listening::{Listening, apart, listening};

/// Cells tokenised at a time.
const BLOCK: usize = 1024;

/// A model, and how it embeds.
#[pyclass(frozen, weakref, module = "scgpt_rs._native")]
pub(crate) struct Embedder {
    embedder: embed::Embedder,
    options: EmbedOptions,
}

/// The arrays of a `scipy.sparse.csr_matrix`. A number of a gene that was below 0 is one beyond the last, which is found
/// when it is read.
type Rows<'py> =
    (PyReadonlyArray1<'py, i64>, PyReadonlyArray1<'py, u32>, PyReadonlyArray1<'py, f32>);

/// Tokens of cells `[n, t]` with the number of those of each cell that are no padding `[n]`.
type Tokens<'py> =
    (Bound<'py, PyArray2<i32>>, Bound<'py, PyArray2<f32>>, Bound<'py, PyArray1<u64>>);

#[pymethods]
impl Embedder {
    #[new]
    #[pyo3(signature = (model, *, device, precision, max_length, batch_size, sampling, tie_mode, seed))]
    #[expect(clippy::too_many_arguments, reason = "they are options by their names")]
    fn new(
        py: Python<'_>,
        model: PathBuf,
        device: &str,
        precision: &str,
        max_length: Option<usize>,
        batch_size: usize,
        sampling: &str,
        tie_mode: &str,
        seed: u64,
    ) -> PyResult<Self> {
        let precision: InferencePrecision = choice("precision", precision)?;
        let mut options = EmbedOptions::default();
        options.max_length = max_length;
        options.batch_size = batch_size;
        options.sampling = choice("sampling", sampling)?;
        options.tie_mode = choice("tie_mode", tie_mode)?;
        options.seed = seed;
        let device = device.to_owned();
        apart(py, move || {
            let device = scgpt_cli::open_device(&device)?;
            let embedder = embed::Embedder::open(&model, &device, Strictness::Strict);
            let embedder = embedder?.with_precision(precision);
            Ok(Self { embedder, options })
        })
    }

    /// Numbers of an embedding.
    #[getter]
    fn width(&self) -> usize {
        self.embedder.config().d_model
    }

    /// SHA-256 of the weights.
    #[getter]
    fn hash(&self) -> Option<&str> {
        self.embedder.hash()
    }

    /// The embeddings `[n, d]` of cells, whose columns have the names `genes`.
    fn embed<'py>(
        &self,
        py: Python<'py>,
        genes: Vec<String>,
        rows: Rows<'py>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let (n, width) = (rows.0.len()?.saturating_sub(1), self.width());
        if n == 0 {
            return PyArray1::from_vec(py, Vec::new()).reshape([0, width]);
        }
        let embedded = with_cells(py, &genes, &rows, |cells, listening| {
            let mut embedded = Vec::with_capacity(n * width);
            let each = &mut |_: usize, rows: &[f32]| {
                embedded.extend_from_slice(rows);
                Ok(())
            };
            let options = &self.options;
            self.embedder.embed_each(cells, options, each, listening)?;
            Ok(embedded)
        })?;
        PyArray1::from_vec(py, embedded).reshape([n, width])
    }

    /// The tokens of cells, as the network sees them: genes `[n, t]`, values `[n, t]` and how many are no padding `[n]`.
    fn tokenize<'py>(
        &self,
        py: Python<'py>,
        genes: Vec<String>,
        rows: Rows<'py>,
    ) -> PyResult<Tokens<'py>> {
        let TokenBatch { n_cells, n_tokens, genes, values, lengths, .. } =
            with_cells(py, &genes, &rows, |cells, listening| self.tokens(cells, listening))?;
        let lengths = lengths.into_iter().map(|length| length as u64).collect();
        Ok((
            PyArray1::from_vec(py, genes).reshape([n_cells, n_tokens])?,
            PyArray1::from_vec(py, values).reshape([n_cells, n_tokens])?,
            PyArray1::from_vec(py, lengths),
        ))
    }

    /// Names of all tokens, by their numbers.
    fn vocabulary(&self) -> Vec<String> {
        self.embedder.vocab().names().map(String::from).collect()
    }
}

impl Embedder {
    fn tokens(&self, cells: &mut MemoryCells<'_>, listening: &Listening) -> Result<TokenBatch> {
        let alignment = self.embedder.align(cells, &self.options)?;
        let tokenizer = self.embedder.tokenizer(&alignment, &self.options)?;
        let mut tokens = Vec::new();
        for block in cells.blocks(&Layer::X, BLOCK) {
            listening.check_cancelled()?;
            tokens.extend(tokenizer.block(&block?.1));
        }
        let collator = Collator::new(self.embedder.vocab(), self.embedder.config().pad_value);
        Ok(collator.collate(tokens.iter().enumerate()))
    }
}

/// Works on cells whose matrix is borrowed from numpy, while the interpreter does something else.
fn with_cells<T: Send>(
    py: Python<'_>,
    genes: &[String],
    (indptr, indices, values): &Rows<'_>,
    work: impl FnOnce(&mut MemoryCells<'_>, &Listening) -> Result<T> + Send,
) -> PyResult<T> {
    let (indptr, indices, values) = (indptr.as_slice()?, indices.as_slice()?, values.as_slice()?);
    listening(py, |listening| {
        let offset =
            |&offset: &i64| usize::try_from(offset).map_err(|_| anyhow!("an offset below 0"));
        let indptr: Vec<usize> = indptr.iter().map(offset).collect::<Result<_>>()?;
        let names: Vec<Arc<str>> =
            (0..indptr.len().saturating_sub(1)).map(|cell| cell.to_string().into()).collect();
        let obs = Frame::of_names(names.iter().map(AsRef::as_ref));
        let var = Frame::of_names(genes.iter().map(String::as_str));
        let cells = MemoryCells::new(&indptr, indices, values, &obs, &var);
        work(&mut cells?, listening)
    })
}

/// One of the values of an option.
pub(crate) fn choice<T: ValueEnum>(name: &str, given: &str) -> PyResult<T> {
    T::from_str(given, false).map_err(|_| {
        let known = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let known: Vec<_> = known.map(|value| value.get_name().to_owned()).collect();
        PyValueError::new_err(format!("{name} is `{given}`, expected one of {}", known.join(", ")))
    })
}
