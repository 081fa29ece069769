//! [`Source`]: the formats there are, found by content.

use std::{collections::BTreeMap, fs::File, io::Read, ops::Range, path::Path};

use crate::{
    anndata::{AnnData, store::Store},
    cell_source::CellSource,
    csr::Csr,
    error::{Error, Result},
    foreign,
    frame::Frame,
    h5::H5Store,
    loom::Loom,
    regular,
    scbank::ScBank,
    summary::{Layer, Summary},
    tenx::{self, TenX},
    zarr::ZarrStore,
};

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
