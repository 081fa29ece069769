//! [`ScBank`]: cells as the reference implementation keeps them for pre-training.
//!
//! ```text
//! NAME.scb/
//!   manifest.json             `on_disk_format`, parquet or json, and `main_data`, the table's key
//!   gene_vocab.json           {"gene": token, …}
//!   KEY.datatable.parquet     one row a cell: `id`, `genes` (tokens), `expressions`
//!   KEY.datatable.json        or the same, one object a line
//! ```
//!
//! A table holds what a cell expresses and nothing about the cell, hence `obs` has no columns.
//! Tokens are those of `gene_vocab.json` beside the table and not those of a model: genes are
//! matched by name as in any other file.

mod json_lines;
mod parquet;

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use self::{json_lines::JsonLines, parquet::Parquet};
use crate::{
    cell_source::CellSource,
    check,
    csr::Csr,
    error::{Error, Result},
    frame::Frame,
    regular,
    summary::{Layer, MatrixSummary, Summary},
    vocab::{GeneToken, GeneVocab},
};

const MANIFEST: &str = "manifest.json";
const VOCABULARY: &str = "gene_vocab.json";
const REMEDY: &str = "a scBank folder holds manifest.json, gene_vocab.json and <table>.datatable.parquet (or .json); save it again with scgpt.scbank.DataBank";

/// A scBank folder (`<name>.scb/`), one matrix [`Layer::X`]. `var` is indexed by the tokens of
/// `gene_vocab.json`, `obs` by the number of the cell.
///
/// # Reference
/// `scgpt/scbank/databank.py`, `DataBank`. Differs: genes of a cell are sorted, of a token that
/// occurs twice the first is kept, and special tokens, which some folders hold in front of every
/// cell, are left out.
pub struct ScBank {
    summary: Summary,
    vocab: GeneVocab,
    /// The file with the cells.
    table: PathBuf,
    rows: Box<dyn Rows>,
}

impl fmt::Debug for ScBank {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ScBank").field(&self.summary).finish()
    }
}

/// A table with one row of genes and expressions a cell.
trait Rows: Send {
    /// Number of cells.
    fn n_cells(&self) -> usize;

    /// Number of entries, if it is known without reading them.
    fn n_stored(&self) -> u64;

    /// Element type of the expressions.
    fn dtype(&self) -> &'static str;

    /// Cells `rows`; neither genes nor expressions are checked.
    fn read(&mut self, rows: &Range<usize>) -> Result<Lists>;
}

/// Some cells as they are in the table.
#[derive(Debug, Default)]
struct Lists {
    /// End of every cell in `genes` and `expressions`.
    ends: Vec<usize>,
    genes: Vec<i64>,
    expressions: Vec<f32>,
}

#[derive(Deserialize)]
struct Manifest {
    on_disk_format: String,
    main_data: String,
}

impl ScBank {
    /// Opens a scBank folder.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST);
        let text = regular::read(&path).map_err(|error| Error::open(&path, error))?;
        let wrong = |problem: String| Error::invalid(&path, "manifest", problem).with_hint(REMEDY);
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        let format = manifest.on_disk_format.as_str();
        let table = folder.join(format!("{}.datatable.{format}", manifest.main_data));
        if !matches!(format, "parquet" | "json") {
            return Err(wrong(format!(
                "on_disk_format is `{format}`, expected `parquet` or `json`"
            )));
        }
        if !table.is_file() {
            return Err(wrong(format!("its main table `{}` is not there", table.display())));
        }
        let vocab = GeneVocab::from_json(folder.join(VOCABULARY))?;
        let rows: Box<dyn Rows> = match format {
            "parquet" => Box::new(Parquet::open(&table)?),
            _ => Box::new(JsonLines::open(&table)?),
        };
        let summary = Summary {
            path: folder.into(),
            format: format!("scBank ({format})"),
            n_cells: rows.n_cells(),
            matrices: vec![MatrixSummary {
                layer: Layer::X,
                n_genes: vocab.len(),
                n_stored: rows.n_stored(),
                encoding: "csr",
                dtype: rows.dtype().into(),
            }],
            elements: Vec::new(),
            chosen: None,
            values: None,
        };
        Ok(Self { summary, vocab, table, rows })
    }

    /// Genes as columns, without special tokens.
    fn columns(&self, lists: Lists, rows: &Range<usize>) -> Result<check::Rows> {
        let mut indptr = Vec::with_capacity(lists.ends.len() + 1);
        indptr.push(0);
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        let mut cell: Vec<(u32, f32)> = Vec::new();
        let mut begin = 0;
        for (number, end) in rows.clone().zip(lists.ends) {
            cell.clear();
            for (&gene, &value) in
                lists.genes[begin..end].iter().zip(&lists.expressions[begin..end])
            {
                let token =
                    u32::try_from(gene).ok().filter(|&token| (token as usize) < self.vocab.len());
                let token = token.ok_or_else(|| {
                    let n = self.vocab.len();
                    let problem =
                        format!("gene {gene}, but {VOCABULARY} has the {n} tokens 0 to {}", n - 1);
                    Error::invalid(&self.table, format!("genes of cell {number}"), problem)
                        .with_hint("use the gene_vocab.json that was saved with this table")
                })?;
                if !self.vocab.is_special(GeneToken(token)) {
                    cell.push((token, value));
                }
            }
            // Stable, so that the first of equal genes stays first.
            cell.sort_by_key(|&(gene, _)| gene);
            cell.dedup_by_key(|&mut (gene, _)| gene);
            columns.extend(cell.iter().map(|&(gene, _)| gene));
            values.extend(cell.iter().map(|&(_, value)| value));
            indptr.push(columns.len());
            begin = end;
        }
        Ok((indptr, columns, values))
    }
}

impl CellSource for ScBank {
    crate::absent!(read_obsm, read_lists, unread);

    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn obs(&self) -> Result<Frame> {
        Ok(Frame {
            index_name: "id".into(),
            index: (0..self.summary.n_cells).map(|cell| cell.to_string()).collect(),
            columns: Vec::new(),
        })
    }

    fn var(&self, layer: &Layer) -> Result<Frame> {
        match layer {
            Layer::X => Ok(Frame {
                index_name: "gene".into(),
                index: self.vocab.names().map(String::from).collect(),
                columns: Vec::new(),
            }),
            _ => Err(self.summary.missing(layer)),
        }
    }

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr> {
        if *layer != Layer::X {
            return Err(self.summary.missing(layer));
        }
        self.summary.check_rows(layer, &rows)?;
        let lists = self.rows.read(&rows)?;
        let parts = self.columns(lists, &rows)?;
        check::block(&self.table, "expressions", &rows, (self.vocab.len(), 0.0), parts, |gene| {
            let token = u32::try_from(gene).ok().map(GeneToken)?;
            self.vocab.name(token).map(String::from)
        })
    }
}

/// The error for a cell whose genes and expressions differ in number.
fn uneven(table: &Path, cell: usize, genes: usize, expressions: usize) -> Error {
    let problem = format!("{genes} genes, but {expressions} expressions");
    Error::invalid(table, format!("cell {cell}"), problem).with_hint(REMEDY)
}
