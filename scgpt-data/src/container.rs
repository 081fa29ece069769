//! [`Container`]: what AnnData is kept in, HDF5 or zarr.

use std::{fs::File, io::Read as _, path::Path};

#[cfg(feature = "h5ad")]
use crate::h5::H5Store;
#[cfg(feature = "zarr")]
use crate::zarr::ZarrStore;
use crate::{
    address::is_url,
    anndata::store::Store,
    error::{Error, Result},
    lent::with_lent,
};

/// A container of AnnData elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Hdf5,
    Zarr,
    /// A zarr folder in a zip.
    Zip,
}

impl Container {
    /// The container of the file or folder at `path`, by its content.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        if path.is_dir() || is_url(path) {
            return Ok(Self::Zarr);
        }
        let mut head = [0; 4];
        File::open(path)
            .and_then(|mut file| file.read_exact(&mut head))
            .map_err(|error| Error::open(path, error))?;
        Ok(if head == *b"PK\x03\x04" { Self::Zip } else { Self::Hdf5 })
    }

    /// The container that the name of an output asks for: zarr if it ends in `.zarr`, else HDF5.
    pub(crate) fn named(path: &Path) -> Self {
        if path.extension().is_some_and(|extension| extension == "zarr") {
            Self::Zarr
        } else {
            Self::Hdf5
        }
    }

    /// Opens what is at `path`, with what is lent to it.
    pub(crate) fn open(self, path: &Path) -> Result<Box<dyn Store>> {
        match self {
            #[cfg(feature = "h5ad")]
            Self::Hdf5 => Self::with_lent(Box::new(H5Store::open(path)?)),
            #[cfg(feature = "zarr")]
            Self::Zarr | Self::Zip => Self::with_lent(Box::new(ZarrStore::open(path)?)),
            #[cfg(not(all(feature = "h5ad", feature = "zarr")))]
            other => Err(other.left_out(path)),
        }
    }

    /// What was opened, with what is lent to it.
    pub(crate) fn with_lent(store: Box<dyn Store>) -> Result<Box<dyn Store>> {
        with_lent(store, |path| Self::of(path)?.open(path))
    }

    /// The error for a container that this build was made without.
    #[cfg(not(all(feature = "h5ad", feature = "zarr")))]
    pub(crate) fn left_out(self, path: &Path) -> Error {
        match self {
            Self::Hdf5 => Error::left_out(path, "an HDF5 file", "h5ad"),
            _ => Error::left_out(path, "an AnnData-zarr store", "zarr"),
        }
    }
}
