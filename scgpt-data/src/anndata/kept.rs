//! [`Kept`]: how much of a file is kept in memory at once, in sum.
//!
//! Each array's claim is held against what is stored; many claims that are possible one by one may
//! not be so together.

use crate::{
    anndata::{
        extent::REMEDY,
        store::{Store, join},
    },
    error::{Error, Result},
};

/// Bytes in memory that may be kept of any file, and for each byte of a larger one. Columns that
/// repeat themselves are stored in a hundredth of their size, and a file holds more than those.
const ANY: u64 = 512 << 20;
const DENSEST: u64 = 400;

/// The columns or lists of one place that are in memory together.
pub(crate) struct Kept<'a> {
    store: &'a dyn Store,
    place: &'a str,
    bytes: u64,
}

impl<'a> Kept<'a> {
    /// Begins to count what is kept of `place`.
    pub(crate) fn of(store: &'a dyn Store, place: &'a str) -> Self {
        Self { store, place, bytes: 0 }
    }

    /// Counts `bytes` more, of the member `name`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if all together are more than the file can mean.
    pub(crate) fn add(&mut self, name: &str, bytes: usize) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.bytes <= ANY || self.bytes / DENSEST <= self.store.stored() {
            return Ok(());
        }
        let (place, stored) = (join(self.place, name), self.store.stored());
        let problem = format!(
            "with it `{}` takes {} MB in memory, more than the {stored} bytes that are stored can mean",
            self.place,
            self.bytes >> 20
        );
        Err(Error::invalid(self.store.path(), place, problem).with_hint(REMEDY))
    }
}

#[cfg(test)]
#[cfg(feature = "zarr")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        anndata::frame,
        zarr::{ZarrStore, by_hand},
    };

    #[test]
    fn columns_are_held_against_the_file_in_sum() {
        let folder = tempfile::tempdir().unwrap();
        let group = json!({"zarr_format": 2});
        // Every column is possible by itself, and nothing of it is stored.
        let array = json!({
            "zarr_format": 2, "shape": [250_000], "chunks": [250_000], "dtype": "|i1",
            "fill_value": 0, "order": "C", "filters": null, "compressor": null,
        });
        let names: Vec<String> = (0..150).map(|number| format!("column {number}")).collect();
        by_hand(folder.path(), "", ".zgroup", &group);
        by_hand(folder.path(), "obs", ".zgroup", &group);
        by_hand(folder.path(), "obs/index", ".zarray", &array);
        for name in &names {
            by_hand(folder.path(), &join("obs", name), ".zarray", &array);
        }
        let read = |names: &[String]| {
            let attributes = json!({"_index": "index", "column-order": names});
            by_hand(folder.path(), "obs", ".zattrs", &attributes);
            frame::read(&ZarrStore::open(folder.path()).unwrap(), "obs")
        };
        assert_eq!(read(&names[..20]).unwrap().columns.len(), 20);
        let error = read(&names).unwrap_err();
        assert!(error.to_string().contains("with it `obs` takes 51"), "{error}");
        assert!(error.hint().is_some());
    }
}
