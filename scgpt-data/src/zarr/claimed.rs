//! [`Claimed`]: the sizes that the metadata of an array claim.

use serde_json::Value;

/// The size of what is decoded at a time, as metadata claims it.
pub(super) struct Claimed {
    /// Lengths of a chunk along each axis, or of an inner chunk where shards are read in parts;
    /// `None` for a grid that is not known.
    pub(super) chunk: Option<Vec<u64>>,
    /// Inner chunks of a shard, which its index lists; 0 without shards.
    pub(super) parts: u64,
}

impl Claimed {
    /// Reads the claims of a metadata document, of version 2 or 3.
    pub(super) fn of(metadata: &Value) -> Self {
        let outer = outer(metadata);
        let codecs = metadata["codecs"].as_array();
        let mut codecs = codecs.into_iter().flatten();
        let sharding = codecs.find(|codec| codec["name"] == "sharding_indexed");
        let inner = sharding.and_then(|codec| lengths(&codec["configuration"]["chunk_shape"]));
        // A shard that is compressed as a whole is decompressed as a whole.
        let is_whole = codecs.next().is_some();
        let parts = match (&outer, &inner) {
            (Some(outer), Some(inner)) => outer
                .iter()
                .zip(inner)
                .fold(1_u64, |all, (outer, inner)| all.saturating_mul(outer / (*inner).max(1))),
            _ => 0,
        };
        Self { chunk: inner.filter(|_| !is_whole).or(outer), parts }
    }
    /// Number of elements of an array.
    #[cfg(feature = "cloud")]
    pub(super) fn elements(metadata: &Value) -> Option<u64> {
        Some(lengths(&metadata["shape"])?.iter().fold(1, |all, &n| all.saturating_mul(n)))
    }

    /// Number of chunks, or of shards, along each axis.
    #[cfg(feature = "cloud")]
    pub(super) fn grid(metadata: &Value) -> Option<Vec<u64>> {
        let (shape, chunk) = (lengths(&metadata["shape"])?, outer(metadata)?);
        Some(shape.iter().zip(&chunk).map(|(all, chunk)| all.div_ceil((*chunk).max(1))).collect())
    }

    /// The file of a chunk, by its number in a grid, row by row.
    #[cfg(feature = "cloud")]
    pub(super) fn chunk_key(metadata: &Value, grid: &[u64], mut number: u64) -> String {
        let mut places = vec![String::new(); grid.len()];
        for (place, n) in places.iter_mut().zip(grid).rev() {
            *place = (number % (*n).max(1)).to_string();
            number /= (*n).max(1);
        }
        let encoding = &metadata["chunk_key_encoding"];
        let is_plain = metadata["zarr_format"] != 3 || encoding["name"] == "v2";
        let between = metadata["dimension_separator"].as_str();
        let between = between.or_else(|| encoding["configuration"]["separator"].as_str());
        let between = between.unwrap_or(if is_plain { "." } else { "/" });
        let first = (!is_plain).then(|| "c".to_owned());
        if is_plain && places.is_empty() {
            return "0".into();
        }
        first.into_iter().chain(places).collect::<Vec<_>>().join(between)
    }
}

/// Lengths along axes.
fn lengths(value: &Value) -> Option<Vec<u64>> {
    value.as_array()?.iter().map(Value::as_u64).collect()
}

/// Lengths of a chunk, or of a shard, along each axis.
fn outer(metadata: &Value) -> Option<Vec<u64>> {
    lengths(&metadata["chunks"])
        .or_else(|| lengths(&metadata["chunk_grid"]["configuration"]["chunk_shape"]))
}

#[cfg(all(test, feature = "cloud"))]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn files_of_chunks_are_named_as_each_version_does() {
        let v3 = |encoding: Value| {
            json!({"zarr_format": 3, "shape": [10, 7], "chunk_key_encoding": encoding,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 7]}}})
        };
        let slashes = v3(json!({"name": "default", "configuration": {"separator": "/"}}));
        assert_eq!(Claimed::grid(&slashes).unwrap(), [3, 1]);
        assert_eq!(Claimed::elements(&slashes), Some(70));
        assert_eq!(Claimed::chunk_key(&slashes, &[3, 1], 2), "c/2/0");
        assert_eq!(Claimed::chunk_key(&v3(json!({"name": "v2"})), &[3, 1], 1), "1.0");
        let v2 =
            json!({"zarr_format": 2, "shape": [10], "chunks": [4], "dimension_separator": "/"});
        assert_eq!(Claimed::chunk_key(&v2, &[3], 2), "2");
        let v2 = json!({"zarr_format": 2, "shape": [10, 10], "chunks": [4, 5]});
        assert_eq!(Claimed::chunk_key(&v2, &[3, 2], 5), "2.1");
        assert_eq!(Claimed::chunk_key(&json!({"zarr_format": 3}), &[], 0), "c");
    }
}
