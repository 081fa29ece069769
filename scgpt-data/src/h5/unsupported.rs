//! [`unsupported`]: datasets that are whole, but of a kind that is not read.
//!
//! ```text
//! a virtual dataset                 its values are in other files
//! layout of version 5 and later     files of `libver="latest"` of HDF5's newest releases
//! a filter beyond KNOWN_FILTERS     blosc, zstd, lz4, …: plug-ins that Python loads
//! ```
//!
//! To call such a file damaged sends people to look for damage. Each gets the name of what it is,
//! and a remedy that fits it: a line of Python that saves the same cells anew.

use hdf5_pure::{Dataset, FormatError, Layout};

use crate::guard::guarded;

/// Filters the library applies: deflate, shuffle, fletcher32, n-bit, scale-offset, lzf.
const KNOWN_FILTERS: [u16; 6] = [1, 2, 3, 5, 6, 32000];

/// What to do about them.
pub(super) const WRITE_AGAIN: &str = "save it again in Python, which reads it: anndata.read_h5ad(\"old.h5ad\").write_h5ad(\"new.h5ad\", compression=\"gzip\")";
const DECOMPRESS: &str = "save it again in Python: import hdf5plugin, anndata; anndata.read_h5ad(\"old.h5ad\").write_h5ad(\"new.h5ad\", compression=\"gzip\")";
const COPY_AGAIN: &str = "save or copy the file again from its source";

/// Why the values of a dataset cannot be read, if they cannot.
///
/// What is wrong, and what to do about it. The dataset keeps its name, shape and type, and fails
/// only when its values are asked for: a layer in an unknown filter is no obstacle to the others.
pub(super) fn unsupported(dataset: &Dataset) -> Option<(String, &'static str)> {
    let layout = guarded(|| match dataset.layout() {
        Err(hdf5_pure::Error::Format(FormatError::InvalidLayoutVersion(version))) => {
            Ok(Err(version))
        }
        layout => layout.map(Ok),
    });
    match layout {
        Ok(Ok(Layout::Virtual)) => {
            let problem = "a virtual dataset, whose values are in other files or places";
            return Some((problem.into(), WRITE_AGAIN));
        }
        Ok(Err(version @ 5..)) => {
            let problem = format!(
                "stored in version {version} of HDF5's layout, of its newest releases (libver=\"latest\"), which is not supported yet"
            );
            return Some((problem, WRITE_AGAIN));
        }
        _ => {}
    }
    let filters = match guarded(|| Ok::<_, hdf5_pure::Error>(dataset.filters())) {
        Ok(filters) => filters,
        Err(error) => return Some((error.to_string(), COPY_AGAIN)),
    };
    let unknown = filters.iter().find(|id| !KNOWN_FILTERS.contains(id))?;
    let name = filter_name(*unknown);
    Some((format!("compressed with {name}, which is not supported"), DECOMPRESS))
}

/// Filters by the numbers under which they are registered at the HDF Group; others by number.
fn filter_name(id: u16) -> String {
    match id {
        4 => "szip".into(),
        32001 => "blosc".into(),
        32004 => "lz4".into(),
        32008 => "bitshuffle".into(),
        32013 => "zfp".into(),
        32015 => "zstd".into(),
        32026 => "blosc2".into(),
        _ => format!("HDF5 filter {id}"),
    }
}
