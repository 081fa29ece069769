//! [`BoundedSource`]: the bytes of an HDF5 file, whose structures cannot be walked without end.
//!
//! The library follows addresses wherever they lead, and a damaged byte can send it through levels
//! that are not there, or through the same nodes again and again. It is stopped here, below it,
//! where all its reads of structures pass: the error then comes out of the call that began the
//! walk. Reads of values pass uncounted: they are bounded by the shape, which
//! [`Extent`](crate::anndata::extent::Extent) has checked.

use std::{
    fs,
    path::Path,
    sync::{Mutex, PoisonError},
};

use hdf5_pure::{FormatError, ReadSeekSource, Source};

use crate::guard::current_call;

/// Levels of a B-tree of version 2, at most. Real ones have up to four; the library descends by one
/// frame of the stack a level, as many as the file claims.
const MOST_LEVELS: u16 = 16;
/// What one call may read of a file's structures, in its lengths and beside them. Trees whose nodes
/// share their children are small in the file and endless to walk.
const LENGTHS: u64 = 4;
const BESIDE: u64 = 16 << 20;
/// How the header of such a tree begins, and where its levels are.
const TREE: &[u8] = b"BTHD";
const LEVELS: usize = 12;

/// An HDF5 file that is read on demand.
pub(super) struct BoundedSource {
    file: ReadSeekSource<fs::File>,
    /// What the present call has read; the next begins at nothing.
    read: Mutex<Walk>,
}

/// What a call has read of the structures.
#[derive(Default)]
struct Walk {
    /// The number of the call, see [`current_call`].
    call: u64,
    bytes: u64,
}

impl BoundedSource {
    /// Opens the file at `path`, of which nothing is read yet.
    ///
    /// # Errors
    /// If the file is not there or cannot be read.
    pub(super) fn open(path: &Path) -> Result<Self, hdf5_pure::Error> {
        let file = ReadSeekSource::new(fs::File::open(path)?)?;
        Ok(Self { file, read: Mutex::default() })
    }
}

impl Source for BoundedSource {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), FormatError> {
        self.file.read_at(offset, buffer)
    }

    fn read_metadata_at(&self, offset: u64, len: usize) -> Result<Vec<u8>, FormatError> {
        let bytes = self.file.read_exact_at(offset, len)?;
        if bytes.starts_with(TREE)
            && let Some(&[low, high]) = bytes.get(LEVELS..LEVELS + 2)
            && u16::from_le_bytes([low, high]) > MOST_LEVELS
        {
            return Err(FormatError::NestingDepthExceeded);
        }
        let mut walk = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if walk.call != current_call() {
            *walk = Walk { call: current_call(), bytes: 0 };
        }
        walk.bytes += bytes.len() as u64;
        if walk.bytes > BESIDE + LENGTHS.saturating_mul(self.len()) {
            return Err(FormatError::Source("its structures are entangled".into()));
        }
        Ok(bytes)
    }
}
