//! [`Extent`]: the size that an array claims, compared with what its file can hold.
//!
//! A few bytes can claim terabytes. Nothing is allocated for an array before it has passed this
//! check.

/// Densest storage of a whole matrix: deflate turns at most 1032 bytes into one. Zstandard and missing
/// chunks can be denser, but whole matrices of nothing else are no data.
const DENSEST: u64 = 2048;
/// Most bytes in memory for each byte of a file, in what is read at once. Real tables need about
/// 10.
const DENSEST_AT_ONCE: u64 = 100;
/// Bytes that any file may claim, however small it is: for a whole array, for what is read at once,
/// or for a chunk. A sparse matrix as one dense chunk is compressed without end, and may take half
/// of the gigabyte there is.
const ANY: u64 = 16 << 20;
const ANY_AT_ONCE: u64 = 4 << 20;
const ANY_CHUNK: u64 = 512 << 20;
/// Bytes of a text in memory beside its letters, and of a number of a column.
const TEXT: u64 = 48;
const NUMBER: u64 = 16;

/// What to do about an array that claims more than its file holds.
pub(crate) const REMEDY: &str = "the file is damaged, or was never filled; save it again from its source, or look at its shape and chunks in Python with h5py or zarr";

/// The size an array claims.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent<'a> {
    pub(crate) shape: &'a [u64],
    /// What is decoded at a time, where storage is in chunks.
    pub(crate) chunk: Option<&'a [u64]>,
    /// Bytes of an element in the file.
    pub(crate) element: u64,
    pub(crate) is_text: bool,
}

impl Extent<'_> {
    /// Refuses a claim that `stored` bytes, those of the whole file or folder, cannot meet. They
    /// are counted only if the claim is large.
    pub(crate) fn check(&self, stored: impl FnOnce() -> u64) -> Result<(), String> {
        let count = |lengths: &[u64]| lengths.iter().fold(1_u64, |all, &n| all.saturating_mul(n));
        let all = count(self.shape);
        if all == 0 && self.chunk.is_none() {
            return Ok(());
        }
        // Tables and text are read whole, matrices a row or more at a time.
        let at_once = match self.shape {
            _ if all == 0 => 0,
            _ if self.is_text => all.saturating_mul(self.element.saturating_add(TEXT)),
            [length] => length.saturating_mul(self.element.max(NUMBER)),
            shape => count(shape.get(1..).unwrap_or_default()).saturating_mul(self.element),
        };
        let all = all.saturating_mul(self.element);
        let chunk = self.chunk.map_or(0, |chunk| count(chunk).saturating_mul(self.element));
        if all <= ANY && at_once <= ANY_AT_ONCE && chunk <= ANY_CHUNK {
            return Ok(());
        }
        let stored = stored();
        let shape = |lengths: &[u64]| {
            lengths.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ")
        };
        if all > ANY && all / DENSEST > stored
            || at_once > ANY_AT_ONCE && at_once / DENSEST_AT_ONCE > stored
        {
            return Err(format!(
                "claims {} elements, more than the {stored} bytes that are stored can hold",
                shape(self.shape)
            ));
        }
        if chunk > ANY_CHUNK && chunk / DENSEST_AT_ONCE > stored {
            return Err(format!(
                "claims chunks of {} elements, {} MB in memory each, for {stored} bytes that are stored: smaller chunks are needed",
                shape(self.chunk.unwrap_or_default()),
                chunk >> 20,
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shape: &[u64], chunk: Option<&[u64]>, is_text: bool, stored: u64) -> bool {
        Extent { shape, chunk, element: 4, is_text }.check(|| stored).is_ok()
    }

    #[test]
    fn claims_are_held_against_what_is_stored() {
        // Small arrays may be anything; nothing is counted for them.
        let small = Extent { shape: &[30, 60], chunk: Some(&[30, 60]), element: 4, is_text: false };
        assert!(small.check(|| unreachable!("small claims cost nothing")).is_ok());
        // A million cells in 40 MB, by rows, by columns of text, and as one chunk.
        assert!(check(&[1_000_000, 2000], Some(&[64, 2000]), false, 40 << 20));
        assert!(check(&[1_000_000], None, true, 40 << 20));
        assert!(check(&[1 << 28], Some(&[1 << 28]), false, 400 << 20));
        // 40 000 cells of few counts as one dense chunk, which Zstandard makes 1.2 MB of.
        assert!(check(&[40_000, 2000], Some(&[40_000, 2000]), false, 1_200_000));
        for (shape, chunk, is_text) in [
            (&[30, 1 << 36][..], Some(&[1, 1 << 20][..]), false),
            (&[1 << 40], None, false),
            (&[1 << 20], None, true),
            (&[u64::MAX, u64::MAX], None, false),
            (&[1 << 20, 1 << 20], None, false),
            (&[3], Some(&[1 << 40]), false),
        ] {
            assert!(!check(shape, chunk, is_text, 100_000), "{shape:?} in {chunk:?}");
        }
    }
}
