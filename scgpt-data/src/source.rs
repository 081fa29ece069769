//! [`Source`]: a file or folder of cells in any format, found by content.

use std::{collections::BTreeMap, io::Read as _, ops::Range, path::Path};

#[cfg(any(feature = "h5ad", feature = "zarr"))]
use crate::anndata::{
    AnnData,
    store::{Node, Store},
};
#[cfg(any(feature = "h5ad", feature = "zarr"))]
use crate::container::Container;
#[cfg(feature = "h5ad")]
use crate::loom::Loom;
#[cfg(feature = "scbank")]
use crate::scbank::ScBank;
#[cfg(feature = "tenx")]
use crate::tenx::{self, TenX};
use crate::{
    address::is_url,
    annotated::{AnnotatedCells, JoinedTable},
    cell_source::CellSource,
    csr::Csr,
    error::{Error, Result},
    foreign,
    frame::{Column, Frame},
    regular,
    subset::{CellSubset, ChosenCells},
    summary::{Layer, Summary},
};

/// An input of any format that this build reads.
///
/// ```no_run
/// use scgpt_data::{CellSource as _, Layer, Source};
///
/// let mut cells = Source::open("pbmc.h5ad")?;
/// let (n_cells, n_genes) = cells.summary().shape(&Layer::X)?;
/// let first = cells.read(&Layer::X, 0..n_cells.min(100))?;
/// println!("{n_cells} cells, {n_genes} genes, {} values in the first", first.n_stored());
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Source {
    /// An h5ad file or an AnnData-zarr store.
    #[cfg(any(feature = "h5ad", feature = "zarr"))]
    AnnData(AnnData),
    /// A 10x `.h5` file or `matrix.mtx` folder.
    #[cfg(feature = "tenx")]
    TenX(TenX),
    /// A scBank folder of the reference implementation.
    #[cfg(feature = "scbank")]
    ScBank(ScBank),
    /// A loom file.
    #[cfg(feature = "h5ad")]
    Loom(Loom),
    /// Some of the cells of any of them.
    Chosen(Box<CellSubset<Source>>),
    /// The cells of any of them, with further annotations.
    Annotated(Box<AnnotatedCells<Source>>),
}

impl Source {
    /// Opens a file or folder of cells. The format is found by content: h5ad, AnnData-zarr (folder
    /// or zip), 10x `.h5`, 10x `matrix.mtx(.gz)` (its folder, or the file itself), loom, or a scBank
    /// folder. Of AnnData-zarr folders the path may be a URL (`https://`, `s3://`; feature `cloud`).
    ///
    /// # Errors
    /// [`Error::Open`] if the path does not exist or is of no known format, [`Error::Unsupported`]
    /// if it is of one that is known and not read, or that this build was made without;
    /// [`Error::Read`] or [`Error::Invalid`] if the file is damaged or lacks what its format
    /// requires.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if is_url(path) {
            return Self::open_url(path);
        }
        let metadata = std::fs::metadata(path).map_err(|cause| Error::open(path, cause))?;
        if metadata.is_dir() {
            return if is_zarr(path) {
                Self::open_zarr(path)
            } else if is_scbank(path) {
                Self::open_scbank(path)
            } else {
                Self::open_tenx_folder(path)
            };
        }
        let mut first = Vec::new();
        regular::open(path)
            .and_then(|file| file.take(1024).read_to_end(&mut first))
            .map_err(|cause| Error::open(path, cause))?;
        if let Some(error) = foreign::of_file(path, &first)? {
            return Err(error);
        }
        match first.as_slice() {
            [b'P', b'K', 3 | 5, 4 | 6, ..] => Self::open_zarr(path),
            [0x1f, 0x8b, ..] => Self::open_matrix_market(path),
            _ if first.starts_with(b"%%MatrixMarket") => Self::open_matrix_market(path),
            _ => Self::open_h5(path),
        }
    }

    /// Opens a file of predicted expression: like [`open`](Self::open), but the matrices of AnnData
    /// may hold negative numbers, as models without an activation predict them.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_predicted(path: impl AsRef<Path>) -> Result<Self> {
        let mut cells = Self::open(path)?;
        cells.allow_negative();
        Ok(cells)
    }

    /// Lets matrices of AnnData hold negative numbers.
    pub(crate) fn allow_negative(&mut self) {
        #[cfg(any(feature = "h5ad", feature = "zarr"))]
        if let Self::AnnData(cells) = self {
            cells.allow_negative();
        }
        if let Some(within) = self.within() {
            within.allow_negative();
        }
    }

    /// Takes features of all types of a 10x file, which are genes alone otherwise.
    pub fn keep_all_features(&mut self) {
        #[cfg(feature = "tenx")]
        if let Self::TenX(cells) = self {
            cells.keep_all();
        }
        if let Some(within) = self.within() {
            within.keep_all_features();
        }
    }

    /// The source whose cells these are, if they were chosen or annotated.
    fn within(&mut self) -> Option<&mut Self> {
        match self {
            Self::Chosen(cells) => Some(cells.whole_mut()),
            Self::Annotated(cells) => Some(cells.bare_mut()),
            #[cfg(any(feature = "h5ad", feature = "zarr", feature = "scbank"))]
            _ => None,
        }
    }

    /// The cells with the columns of a table, by their names; see [`AnnotatedCells::join`].
    ///
    /// # Errors
    /// As there.
    pub fn annotated(self, path: &Path) -> Result<(Self, JoinedTable)> {
        let (cells, joined) = AnnotatedCells::join(self, path)?;
        Ok((Self::Annotated(Box::new(cells)), joined))
    }

    /// The cells as those of one sample among others; see [`AnnotatedCells::of_sample`].
    ///
    /// # Errors
    /// As there.
    pub fn of_sample(self, sample: &str) -> Result<Self> {
        Ok(Self::Annotated(Box::new(AnnotatedCells::of_sample(self, sample)?)))
    }

    /// What was opened, however its cells were chosen and annotated.
    pub fn opened(&self) -> &Self {
        match self {
            Self::Chosen(cells) => cells.whole().opened(),
            Self::Annotated(cells) => cells.bare().opened(),
            #[cfg(any(feature = "h5ad", feature = "zarr", feature = "scbank"))]
            opened => opened,
        }
    }

    /// The columns that a table added to `obs`, see [`annotated`](Self::annotated), with a value a cell.
    pub fn joined(&self) -> Vec<(String, Column)> {
        match self {
            Self::Annotated(cells) => cells.columns().to_vec(),
            Self::Chosen(cells) => {
                let of_all = cells.whole().joined().into_iter();
                of_all.map(|(name, column)| (name, column.pick(cells.cells()))).collect()
            }
            #[cfg(any(feature = "h5ad", feature = "zarr", feature = "scbank"))]
            _ => Vec::new(),
        }
    }

    /// The cells that were chosen, as a file that holds only these: their numbers count from 0.
    ///
    /// # Panics
    /// If there is no such cell.
    #[must_use]
    pub fn only(self, chosen: ChosenCells) -> Self {
        Self::Chosen(Box::new(CellSubset::chosen(self, chosen)))
    }

    /// The consecutive cells `rows`, as a file that holds only these; see [`CellSubset::part`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// If there are no such rows.
    pub fn part(self, rows: Range<usize>, layer: &Layer) -> Result<Self> {
        Ok(Self::Chosen(Box::new(CellSubset::part(self, rows, layer)?)))
    }

    /// Whether a file or folder looks like cells of one of the formats, by its first bytes or the
    /// names in it; [`open`](Self::open) says whether it is.
    pub fn recognises(path: impl AsRef<Path>) -> bool {
        let path = path.as_ref();
        if is_url(path) {
            return true;
        }
        if path.is_dir() {
            #[cfg(feature = "tenx")]
            if TenX::recognises(path) {
                return true;
            }
            return is_zarr(path) || is_scbank(path);
        }
        let mut first = Vec::new();
        let read = regular::open(path).and_then(|file| file.take(14).read_to_end(&mut first));
        match first.as_slice() {
            _ if read.is_err() => false,
            // A checkpoint is a zip, too.
            [b'P', b'K', ..] => is_zipped_zarr(path),
            [0x1f, 0x8b, ..] | [0x89, b'H', b'D', b'F', ..] => true,
            first => first.starts_with(b"%%MatrixMarket"),
        }
    }

    /// Opens a zarr folder, or a zip of one.
    fn open_zarr(path: &Path) -> Result<Self> {
        #[cfg(feature = "zarr")]
        {
            let store = Container::Zarr.open(path)?;
            one_modality(store.as_ref())?;
            AnnData::open(store).map(Self::AnnData)
        }
        #[cfg(not(feature = "zarr"))]
        Err(Error::left_out(path, "an AnnData-zarr store", "zarr"))
    }

    /// Opens the zarr folder at a URL.
    fn open_url(path: &Path) -> Result<Self> {
        #[cfg(feature = "cloud")]
        return Self::open_zarr(path);
        #[cfg(not(feature = "cloud"))]
        Err(Error::unsupported(
            path,
            "a URL: scgpt was built without feature `cloud`",
            "build it with feature `cloud`, or download the folder first",
        ))
    }

    /// Opens a scBank folder.
    fn open_scbank(path: &Path) -> Result<Self> {
        #[cfg(feature = "scbank")]
        return ScBank::open(path).map(Self::ScBank);
        #[cfg(not(feature = "scbank"))]
        Err(Error::left_out(path, "a scBank folder", "scbank"))
    }

    /// Opens any other folder, as the output of Cell Ranger.
    fn open_tenx_folder(path: &Path) -> Result<Self> {
        #[cfg(feature = "tenx")]
        return TenX::open_folder(path).map(Self::TenX);
        #[cfg(not(feature = "tenx"))]
        Err(Error::left_out(path, "a folder, but neither zarr nor scBank; if it is of 10x", "tenx"))
    }

    /// Opens a `matrix.mtx`, plain or gzipped.
    fn open_matrix_market(path: &Path) -> Result<Self> {
        #[cfg(feature = "tenx")]
        return TenX::open_matrix(path).map(Self::TenX);
        #[cfg(not(feature = "tenx"))]
        Err(Error::left_out(path, "a matrix of 10x", "tenx"))
    }

    #[cfg(not(feature = "h5ad"))]
    fn open_h5(path: &Path) -> Result<Self> {
        Err(Error::left_out(path, "an HDF5 file", "h5ad"))
    }

    #[cfg(feature = "h5ad")]
    fn open_h5(path: &Path) -> Result<Self> {
        use crate::h5::H5Store;

        let store = H5Store::open(path)?;
        let members = store.children("")?;
        one_modality(&store)?;
        if AnnData::recognises(&members) {
            return AnnData::open(Container::with_lent(Box::new(store))?).map(Self::AnnData);
        }
        #[cfg(feature = "tenx")]
        if let Some((format, groups)) = tenx::h5::recognise(&store, &members)? {
            return TenX::open_h5(&store, format, &groups).map(Self::TenX);
        }
        if Loom::recognises(&members) {
            return Loom::open(&store).map(Self::Loom);
        }
        if let Some(error) = foreign::of_hdf5(path, &members) {
            return Err(error);
        }
        #[cfg(not(feature = "tenx"))]
        if members.iter().any(|member| member == "matrix") {
            return Err(Error::left_out(path, "a file of 10x", "tenx"));
        }
        Err(Error::open(
            path,
            format!(
                "HDF5, but neither AnnData (`X`, `obs`, `var`) nor 10x (`matrix`) nor loom (`row_attrs`); it holds {members:?}"
            ),
        ))
    }

    /// The source of whatever format it is.
    fn cells(&self) -> &dyn CellSource {
        match *self {
            #[cfg(any(feature = "h5ad", feature = "zarr"))]
            Self::AnnData(ref cells) => cells,
            #[cfg(feature = "tenx")]
            Self::TenX(ref cells) => cells,
            #[cfg(feature = "scbank")]
            Self::ScBank(ref cells) => cells,
            #[cfg(feature = "h5ad")]
            Self::Loom(ref cells) => cells,
            Self::Chosen(ref cells) => cells.as_ref(),
            Self::Annotated(ref cells) => cells.as_ref(),
        }
    }

    /// The source of whatever format it is, to be read.
    fn cells_mut(&mut self) -> &mut dyn CellSource {
        match *self {
            #[cfg(any(feature = "h5ad", feature = "zarr"))]
            Self::AnnData(ref mut cells) => cells,
            #[cfg(feature = "tenx")]
            Self::TenX(ref mut cells) => cells,
            #[cfg(feature = "scbank")]
            Self::ScBank(ref mut cells) => cells,
            #[cfg(feature = "h5ad")]
            Self::Loom(ref mut cells) => cells,
            Self::Chosen(ref mut cells) => cells.as_mut(),
            Self::Annotated(ref mut cells) => cells.as_mut(),
        }
    }
}

/// Refuses MuData, which has a matrix for every modality.
#[cfg(any(feature = "h5ad", feature = "zarr"))]
fn one_modality(store: &dyn Store) -> Result<()> {
    const MODALITIES: &str = "mod";
    if !matches!(store.node(MODALITIES)?, Some(Node::Group)) {
        return Ok(());
    }
    let mods = store.children(MODALITIES)?.join(", ");
    let problem = format!("MuData of several modalities ({mods}), one was expected");
    Err(Error::invalid(store.path(), MODALITIES, problem).with_hint(
        "give one modality, in Python mdata.mod[\"rna\"], or a file of it by .write_h5ad(path); `scgpt integrate` takes all",
    ))
}

fn is_zarr(folder: &Path) -> bool {
    ["zarr.json", ".zgroup"].iter().any(|name| folder.join(name).exists())
}

fn is_scbank(folder: &Path) -> bool {
    ["manifest.json", "gene_vocab.json"].iter().all(|name| folder.join(name).is_file())
}

fn is_zipped_zarr(path: &Path) -> bool {
    #[cfg(feature = "zarr")]
    return std::fs::File::open(path).is_ok_and(|file| {
        zip::ZipArchive::new(file).is_ok_and(|archive| {
            let is_member = |name: &str| name.ends_with("zarr.json") || name.ends_with(".zgroup");
            archive.file_names().flatten().any(|name| is_member(&name))
        })
    });
    #[cfg(not(feature = "zarr"))]
    {
        let _ = path;
        false
    }
}

impl CellSource for Source {
    fn summary(&self) -> &Summary {
        self.cells().summary()
    }

    fn obs(&self) -> Result<Frame> {
        self.cells().obs()
    }

    fn var(&self, layer: &Layer) -> Result<Frame> {
        self.cells().var(layer)
    }

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr> {
        self.cells_mut().read(layer, rows)
    }

    fn read_obsm(&mut self, name: &str, rows: Range<usize>) -> Result<(Vec<f32>, usize)> {
        self.cells_mut().read_obsm(name, rows)
    }

    fn read_lists(&self, name: &str) -> Result<BTreeMap<String, Vec<String>>> {
        self.cells().read_lists(name)
    }

    fn unread(&self) -> Result<Vec<String>> {
        self.cells().unread()
    }
}

#[cfg(not(feature = "zarr"))]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_build_was_made_without_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".zgroup"), "{}").unwrap();
        let error = Source::open(folder.path()).unwrap_err();
        let expected = "scgpt was built without feature `zarr`";
        assert!(error.to_string().contains(expected), "{error}");
    }
}
