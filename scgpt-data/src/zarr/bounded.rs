//! [`Bounded`]: a storage that hands out nothing that lies, or grows, beyond its bounds.

use std::sync::{Arc, OnceLock};

use zarrs::storage::{
    Bytes, MaybeBytesIterator, ReadableStorageTraits, StorageError, StoreKey,
    byte_range::{ByteRange, ByteRangeIterator},
};

use super::frame::Frames;

/// The files of an array. A range that ends behind a file, or a compressed frame that would become
/// more than a chunk, is an error before anything is allocated for it.
pub(super) struct Bounded {
    pub(super) files: Arc<dyn ReadableStorageTraits>,
    pub(super) frames: Frames,
    /// Whether the size of a file is asked for before a part of it; a server says it with the part.
    pub(super) asks_sizes: bool,
    /// Most bytes of a decompressed chunk, once that is known.
    pub(super) most: Arc<OnceLock<u64>>,
}

impl ReadableStorageTraits for Bounded {
    fn get_partial_many<'a>(
        &'a self,
        key: &StoreKey,
        byte_ranges: ByteRangeIterator<'a>,
    ) -> Result<MaybeBytesIterator<'a>, StorageError> {
        let size = if self.asks_sizes {
            let Some(size) = self.files.size_key(key)? else {
                return Ok(None);
            };
            size
        } else {
            u64::MAX
        };
        let ranges: Vec<_> = byte_ranges.collect();
        let is_outside = |range: &ByteRange| match *range {
            ByteRange::FromStart(start, None) => start > size,
            ByteRange::FromStart(start, Some(length)) => {
                start.checked_add(length).is_none_or(|end| end > size)
            }
            ByteRange::Suffix(length) => length > size,
        };
        if ranges.iter().any(is_outside) {
            return Err(StorageError::Other(format!("a part of `{key}` lies behind its end")));
        }
        let Some(parts) = self.files.get_partial_many(key, Box::new(ranges.into_iter()))? else {
            return Ok(None);
        };
        let name = key.to_string();
        Ok(Some(Box::new(parts.map(move |part| -> Result<Bytes, StorageError> {
            let part = part?;
            let checked = self.frames.check(&part, self.most.get().copied().unwrap_or(0));
            checked.map_err(|problem| StorageError::Other(format!("`{name}`: {problem}")))?;
            Ok(part)
        }))))
    }

    fn size_key(&self, key: &StoreKey) -> Result<Option<u64>, StorageError> {
        self.files.size_key(key)
    }

    fn supports_get_partial(&self) -> bool {
        self.files.supports_get_partial()
    }
}
