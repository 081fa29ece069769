//! [`CellSource`]: what every input format offers, and [`Source`], the formats there are.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    ops::Range,
    path::{Path, PathBuf},
};

use crate::{
    anndata::{AnnData, store::Store},
    csr::Csr,
    error::{Error, Result},
    foreign,
    frame::Frame,
    h5::H5Store,
    loom::Loom,
    regular,
    scbank::ScBank,
    setting::{Advice, Setting},
    tenx::{self, TenX},
    zarr::ZarrStore,
};

/// A matrix of expression values inside a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layer {
    /// The main matrix, `X`.
    #[default]
    X,
    /// `layers[name]`.
    Named(String),
    /// `raw.X`, with the genes of `raw.var`.
    Raw,
}

/// What a file holds, found without reading a matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The file or folder.
    pub path: PathBuf,
    /// Format in words: `h5ad`, `AnnData-zarr v3`, `10x h5 (v3)`, `10x mtx`…
    pub format: String,
    /// Number of cells.
    pub n_cells: usize,
    /// The matrices.
    pub matrices: Vec<MatrixSummary>,
    /// Names of further elements (`obsm/X_pca`, `uns/neighbors`…).
    pub elements: Vec<String>,
}

/// One matrix of a [`Summary`].
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSummary {
    /// Where it is.
    pub layer: Layer,
    /// Number of genes.
    pub n_genes: usize,
    /// Stored entries (cells × genes for a dense matrix).
    pub n_stored: u64,
    /// Encoding in words: `csr`, `csc`, `dense`.
    pub encoding: &'static str,
    /// Element type: `float32`, `int64`…
    pub dtype: String,
}

/// A file of cells that can be streamed in blocks of rows.
///
/// No implementation holds a whole matrix: memory is bounded by the block asked for plus what the
/// storage needs to decode one chunk.
pub trait CellSource: Send {
    /// What the file holds.
    fn summary(&self) -> &Summary;

    /// Annotations of the cells.
    ///
    /// # Errors
    /// If the table is missing or broken.
    fn obs(&self) -> Result<Frame>;

    /// Annotations of the genes of `layer`.
    ///
    /// # Errors
    /// If the table is missing or broken.
    fn var(&self, layer: &Layer) -> Result<Frame>;

    /// Cells `rows` of `layer`, in order.
    ///
    /// # Errors
    /// If the matrix is missing, or its offsets or indices are not valid.
    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr>;

    /// Cells `rows` of `obsm[name]`, row-major, and its width.
    ///
    /// # Errors
    /// If there is no such matrix, or it is broken or not finite.
    fn read_obsm(&mut self, name: &str, rows: Range<usize>) -> Result<(Vec<f32>, usize)> {
        let _ = rows;
        Err(self.summary().missing_obsm(name))
    }

    /// The lists of names of the dictionary `uns[name]`, by key; none if there is no such dictionary.
    /// Members that are no lists of names are left out.
    ///
    /// # Errors
    /// If it is broken.
    fn read_lists(&self, name: &str) -> Result<BTreeMap<String, Vec<String>>> {
        let _ = name;
        Ok(BTreeMap::new())
    }

    /// Columns of `obs` and `var` that [`obs`](Self::obs) and [`var`](Self::var) leave out, as they
    /// are of no kind that is known, each with what it is.
    ///
    /// # Errors
    /// If a table is missing or broken.
    fn unread(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

impl std::fmt::Display for Layer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::X => formatter.write_str("X"),
            Self::Named(name) => write!(formatter, "layers/{name}"),
            Self::Raw => formatter.write_str("raw/X"),
        }
    }
}

impl Summary {
    /// Cells and genes of `layer`, a matrix that can be worked on.
    ///
    /// # Errors
    /// If there is no such matrix (the message lists those there are), no cell, or no gene.
    pub fn shape(&self, layer: &Layer) -> Result<(usize, usize)> {
        let found = self.matrices.iter().find(|matrix| matrix.layer == *layer);
        let n_genes = found.ok_or_else(|| self.missing(layer))?.n_genes;
        let empty = |what: &str| {
            Error::invalid(
                &self.path,
                layer.to_string(),
                format!("no {what}: {} × {n_genes}", self.n_cells),
            )
            .with_hint(
                "check the filters that made this file: at least one cell and one gene are needed",
            )
        };
        match (self.n_cells, n_genes) {
            (0, _) => Err(empty("cells")),
            (_, 0) if found.is_some_and(|matrix| matrix.n_stored > 0) => Err(self.no_genes(layer)),
            (_, 0) => Err(empty("genes")),
            shape => Ok(shape),
        }
    }

    /// The error for features none of which is a gene.
    fn no_genes(&self, layer: &Layer) -> Error {
        let problem = format!("no genes: it has {}", self.elements.join(", "));
        Error::invalid(&self.path, layer.to_string(), problem).with_hint(
            "use the file or folder of the run that has features of type `Gene Expression`; to integrate proteins with genes, give both to `scgpt integrate`",
        )
    }

    /// The error for an embedding that is not there.
    pub(crate) fn missing_obsm(&self, name: &str) -> Error {
        let there: Vec<&str> =
            self.elements.iter().filter_map(|element| element.strip_prefix("obsm/")).collect();
        let has = if there.is_empty() { "nothing".into() } else { there.join(", ") };
        Error::invalid(&self.path, format!("obsm/{name}"), format!("not found (obsm has {has})"))
            .with_hint("name one of those there are, or embed the cells first: scgpt embed")
    }

    /// The error for a matrix that is not there.
    pub(crate) fn missing(&self, layer: &Layer) -> Error {
        let there: Vec<String> =
            self.matrices.iter().map(|matrix| format!("`{}`", matrix.layer)).collect();
        let (problem, hint) = if there.is_empty() {
            (
                "no such matrix; the file holds no matrix at all".to_owned(),
                Advice::from("use a file with counts in X"),
            )
        } else {
            let there = there.join(", ");
            (
                format!("no such matrix; the file has {there}"),
                Advice::from("choose one of these by ") + Setting("layer") + " (`raw` is raw/X)",
            )
        };
        Error::invalid(&self.path, layer.to_string(), problem).with_hint(hint)
    }

    /// That `rows` are rows of `layer`.
    pub(crate) fn check_rows(&self, layer: &Layer, rows: &Range<usize>) -> Result<()> {
        if rows.start > rows.end || rows.end > self.n_cells {
            return Err(Error::Option(format!(
                "cells {}..{} of `{layer}` were asked for, there are {}",
                rows.start, rows.end, self.n_cells
            )));
        }
        Ok(())
    }
}

/// An input of any format.
#[derive(Debug)]
#[non_exhaustive]
pub enum Source {
    /// An h5ad file or an AnnData-zarr store.
    AnnData(AnnData),
    /// A 10x `.h5` file or `matrix.mtx` folder.
    TenX(TenX),
    /// A scBank folder of the reference implementation.
    ScBank(ScBank),
    /// A loom file.
    Loom(Loom),
}

impl Source {
    /// Opens a file or folder of cells. The format is found by content: h5ad, AnnData-zarr (folder
    /// or zip), 10x `.h5`, 10x `matrix.mtx(.gz)` (its folder, or the file itself), loom, or a scBank
    /// folder.
    ///
    /// # Errors
    /// [`Error::Open`] if the path does not exist or is of no known format, [`Error::Unsupported`]
    /// if it is of one that is known and not read; [`Error::Read`] or
    /// [`Error::Invalid`] if the file is damaged or lacks what its format requires.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let metadata = std::fs::metadata(path).map_err(|cause| Error::open(path, cause))?;
        if metadata.is_dir() {
            if ["zarr.json", ".zgroup"].iter().any(|name| path.join(name).exists()) {
                return AnnData::open(Box::new(ZarrStore::open(path)?)).map(Self::AnnData);
            }
            if ScBank::recognises(path) {
                return ScBank::open(path).map(Self::ScBank);
            }
            return TenX::open_folder(path).map(Self::TenX);
        }
        let mut first = Vec::new();
        regular::open(path)
            .and_then(|file| file.take(1024).read_to_end(&mut first))
            .map_err(|cause| Error::open(path, cause))?;
        if let Some(error) = foreign::of_file(path, &first)? {
            return Err(error);
        }
        match first.as_slice() {
            [b'P', b'K', 3 | 5, 4 | 6, ..] => {
                AnnData::open(Box::new(ZarrStore::open(path)?)).map(Self::AnnData)
            }
            [0x1f, 0x8b, ..] => TenX::open_matrix(path).map(Self::TenX),
            _ if first.starts_with(b"%%MatrixMarket") => TenX::open_matrix(path).map(Self::TenX),
            _ => Self::open_h5(path),
        }
    }

    /// Opens a file of predicted expression: like [`open`](Self::open), but the matrices of AnnData
    /// may hold negative numbers, as models without an activation predict them.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_predicted(path: impl AsRef<Path>) -> Result<Self> {
        let mut source = Self::open(path)?;
        if let Self::AnnData(cells) = &mut source {
            cells.allow_negative();
        }
        Ok(source)
    }

    /// Takes features of all types of a 10x file, which are genes alone otherwise.
    pub fn keep_all_features(&mut self) {
        if let Self::TenX(cells) = self {
            cells.keep_all();
        }
    }

    /// Whether a file or folder looks like cells of one of the formats, by its first bytes or the
    /// names in it; [`open`](Self::open) says whether it is.
    pub fn recognises(path: impl AsRef<Path>) -> bool {
        let path = path.as_ref();
        if path.is_dir() {
            let is_zarr = ["zarr.json", ".zgroup"].iter().any(|name| path.join(name).exists());
            return is_zarr || ScBank::recognises(path) || TenX::recognises(path);
        }
        let mut first = Vec::new();
        let read = regular::open(path).and_then(|file| file.take(14).read_to_end(&mut first));
        match first.as_slice() {
            _ if read.is_err() => false,
            // A checkpoint is a zip, too.
            [b'P', b'K', ..] => File::open(path).is_ok_and(|file| {
                let archive = zip::ZipArchive::new(file);
                archive.is_ok_and(|archive| {
                    let is_member =
                        |name: &str| name.ends_with("zarr.json") || name.ends_with(".zgroup");
                    archive.file_names().flatten().any(|name| is_member(&name))
                })
            }),
            [0x1f, 0x8b, ..] | [0x89, b'H', b'D', b'F', ..] => true,
            first => first.starts_with(b"%%MatrixMarket"),
        }
    }

    fn open_h5(path: &Path) -> Result<Self> {
        let store = H5Store::open(path)?;
        let members = store.children("")?;
        if members.iter().any(|member| member == "mod") {
            let mods = store.children("mod")?.join(", ");
            let problem = format!("MuData of several modalities ({mods}), one was expected");
            return Err(Error::invalid(path, "mod", problem).with_hint(
                "`scgpt integrate` takes the whole file; for one modality, in Python mdata.mod[\"rna\"].write_h5ad(path)",
            ));
        }
        if AnnData::recognises(&members) {
            return AnnData::open(Box::new(store)).map(Self::AnnData);
        }
        if let Some((format, groups)) = tenx::h5::recognise(&store, &members)? {
            return TenX::open_h5(&store, format, &groups).map(Self::TenX);
        }
        if Loom::recognises(&members) {
            return Loom::open(&store).map(Self::Loom);
        }
        if let Some(error) = foreign::of_hdf5(path, &members) {
            return Err(error);
        }
        Err(Error::open(
            path,
            format!(
                "HDF5, but neither AnnData (`X`, `obs`, `var`) nor 10x (`matrix`) nor loom (`row_attrs`); it holds {members:?}"
            ),
        ))
    }
}

macro_rules! delegate {
    ($source:expr, $inner:ident => $call:expr) => {
        match $source {
            Source::AnnData($inner) => $call,
            Source::TenX($inner) => $call,
            Source::ScBank($inner) => $call,
            Source::Loom($inner) => $call,
        }
    };
}

impl CellSource for Source {
    fn summary(&self) -> &Summary {
        delegate!(self, source => source.summary())
    }

    fn obs(&self) -> Result<Frame> {
        delegate!(self, source => source.obs())
    }

    fn var(&self, layer: &Layer) -> Result<Frame> {
        delegate!(self, source => source.var(layer))
    }

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr> {
        delegate!(self, source => source.read(layer, rows))
    }

    fn read_obsm(&mut self, name: &str, rows: Range<usize>) -> Result<(Vec<f32>, usize)> {
        delegate!(self, source => source.read_obsm(name, rows))
    }

    fn read_lists(&self, name: &str) -> Result<BTreeMap<String, Vec<String>>> {
        delegate!(self, source => source.read_lists(name))
    }

    fn unread(&self) -> Result<Vec<String>> {
        delegate!(self, source => source.unread())
    }
}
