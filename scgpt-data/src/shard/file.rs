//! [`ShardFile`]: one shard, mapped into memory and checked.
//!
//! An Arrow IPC file is a list of record batches with a footer that says where they begin. They are
//! not compressed, so a cell is a slice of the map, and memory holds what the system chooses to
//! keep of the file. Offsets are checked when a shard is opened, tokens and values cell by cell
//! when they are read: to look at all of them at once would read the whole folder before the first
//! step.

use std::{fs::File, path::Path, sync::Arc};

use arrow_array::{
    Array, Float32Array, Int32Array, Int64Array, ListArray, RecordBatch, UInt32Array,
};
use arrow_buffer::{ArrowNativeType, Buffer, OffsetBuffer, ScalarBuffer};
use arrow_ipc::{
    convert::try_fb_to_schema,
    reader::{FileDecoder, read_footer_length},
    root_as_footer,
};
use arrow_schema::ArrowError;
use bytes::Bytes;
use memmap2::Mmap;

use super::{
    manifest::{LabelColumn, ShardEntry},
    schema,
};
use crate::{
    csr::CsrRow,
    error::{Error, Result},
    guard::guarded,
    regular,
};

const REMEDY: &str =
    "copy the folder again from where it was made, or make it again with `scgpt convert`";

/// A shard that is mapped into memory.
#[derive(Debug)]
pub(super) struct ShardFile {
    pub(super) map: Arc<Mmap>,
    pub(super) chunks: Vec<Chunk>,
}

/// A record batch of a shard: views into the map.
#[derive(Debug)]
pub(super) struct Chunk {
    ids: ScalarBuffer<i64>,
    offsets: OffsetBuffer<i32>,
    genes: ScalarBuffer<u32>,
    values: ScalarBuffer<f32>,
    labels: Vec<ScalarBuffer<i32>>,
}

/// The map as the owner of Arrow's buffers, which therefore need no copy.
struct Mapped(Arc<Mmap>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl ShardFile {
    /// Maps a shard and checks its length, footer, schema, offsets and number of cells and tokens;
    /// gene tokens and values are not read.
    pub(super) fn open(
        path: &Path,
        entry: &ShardEntry,
        labels: &[LabelColumn],
        vocab_sha256: &str,
    ) -> Result<Self> {
        let broken =
            |place: &str, problem: String| Error::invalid(path, place, problem).with_hint(REMEDY);
        let file = regular::open(path).map_err(|error| {
            broken("shard", format!("listed in the manifest, but cannot be opened: {error}"))
        })?;
        let bytes = file.metadata().map_err(|error| Error::open(path, error))?.len();
        if bytes != entry.bytes {
            let kind = if bytes < entry.bytes { "truncated" } else { "overlong" };
            return Err(broken(
                "shard",
                format!("{kind} shard: {bytes} bytes, manifest says {}", entry.bytes),
            ));
        }
        let map = Arc::new(map(&file).map_err(|error| Error::open(path, error))?);
        let buffer = Buffer::from(Bytes::from_owner(Mapped(map.clone())));
        let batches = guarded(|| batches(&buffer, labels, vocab_sha256))
            .map_err(|problem| broken("footer", problem.to_string()))?;
        let chunks: Vec<Chunk> = batches
            .iter()
            .map(Chunk::new)
            .collect::<Result<_, _>>()
            .map_err(|problem| broken("record batch", problem))?;
        for (what, said, found) in [
            ("cells", entry.cells, chunks.iter().map(Chunk::len).sum::<usize>()),
            ("tokens", entry.tokens, chunks.iter().map(|chunk| chunk.genes.len()).sum()),
        ] {
            if said != found as u64 {
                return Err(broken(what, format!("{found} {what}, manifest says {said}")));
            }
        }
        Ok(Self { map, chunks })
    }
}

/// Maps a shard for reading.
#[allow(unsafe_code, reason = "mapping a file is unsafe by nature")]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the map is only read. As with every map, another process that shortens the file
    // meanwhile ends this one; finished shards are never written to again.
    unsafe { Mmap::map(file) }
}

/// Gives the pages of a map back to the system; what is read again comes from the page cache.
#[cfg(unix)]
#[allow(unsafe_code, reason = "memmap2 cannot know that this map is of a file, and never written")]
pub(super) fn release(map: &Mmap) {
    // SAFETY: dropping pages of a read-only shared map of a file changes no byte that can be read:
    // the next access maps the same page of the file again. A failure leaves the pages mapped.
    let _ = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
}

/// Other systems trim the working set themselves.
#[cfg(not(unix))]
pub(super) fn release(_: &Mmap) {}

/// Decodes the record batches without copying.
fn batches(
    buffer: &Buffer,
    labels: &[LabelColumn],
    vocab_sha256: &str,
) -> Result<Vec<RecordBatch>, String> {
    let said = |error: ArrowError| error.to_string();
    let tail = buffer.len().checked_sub(10).ok_or("too short for an Arrow file")?;
    let trailer = buffer[tail..].try_into().map_err(|_| "no trailer")?;
    let length = read_footer_length(trailer).map_err(said)?;
    let begin = tail.checked_sub(length).ok_or("its footer is longer than the file")?;
    let footer = root_as_footer(&buffer[begin..tail]).map_err(|error| error.to_string())?;
    let schema = footer.schema().ok_or("its footer has no schema")?;
    let schema = try_fb_to_schema(schema).map_err(said)?;
    schema::check(&schema, labels, vocab_sha256)?;
    // Copies of misaligned data would fill the memory.
    let decoder = FileDecoder::new(Arc::new(schema), footer.version()).with_require_alignment(true);
    let blocks = footer.recordBatches().ok_or("its footer lists no record batches")?;
    blocks
        .iter()
        .map(|block| {
            let outside = "a record batch lies outside of the file";
            let number = |n: i64| usize::try_from(n).map_err(|_| outside);
            let offset = number(block.offset())?;
            let length = number(block.metaDataLength().into())?
                .checked_add(number(block.bodyLength())?)
                .ok_or(outside)?;
            if offset.checked_add(length).is_none_or(|end| end > begin) {
                return Err(outside.to_owned());
            }
            let data = buffer.slice_with_length(offset, length);
            decoder.read_record_batch(block, &data).map_err(said)?.ok_or_else(|| outside.to_owned())
        })
        .collect()
}

impl Chunk {
    /// Takes the columns of a record batch apart.
    ///
    /// # Errors
    /// If a column has another type than the schema says or holds nulls, or the offsets of the
    /// lists do not fit.
    fn new(batch: &RecordBatch) -> Result<Self, String> {
        let wrong = || "a column has another type than the schema says".to_owned();
        if batch.columns().iter().any(|column| column.null_count() > 0) {
            return Err("missing values".into());
        }
        let column = |index: usize| batch.columns().get(index).ok_or_else(wrong);
        let list = |index| column(index)?.as_any().downcast_ref::<ListArray>().ok_or_else(wrong);
        let (genes, values) = (list(1)?, list(2)?);
        if genes.offsets() != values.offsets() {
            return Err("genes and expressions differ in length".into());
        }
        let offsets = genes.offsets().clone();
        let ids = column(0)?.as_any().downcast_ref::<Int64Array>().ok_or_else(wrong)?;
        let genes = genes.values().as_any().downcast_ref::<UInt32Array>().ok_or_else(wrong)?;
        let values = values.values().as_any().downcast_ref::<Float32Array>().ok_or_else(wrong)?;
        if genes.null_count() + values.null_count() > 0
            || offsets.inner().first() != Some(&0)
            || offsets.inner().last().map(|last| last.as_usize()) != Some(genes.len())
            || genes.len() != values.len()
        {
            return Err("offsets do not match genes and expressions".into());
        }
        let labels = batch.columns()[3..]
            .iter()
            .map(|column| {
                let codes = column.as_any().downcast_ref::<Int32Array>();
                codes.map(|codes| codes.values().clone()).ok_or_else(wrong)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            ids: ids.values().clone(),
            offsets,
            genes: genes.values().clone(),
            values: values.values().clone(),
            labels,
        })
    }

    /// Number of cells.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The number of a cell among all cells of all sources.
    pub(super) fn id(&self, row: usize) -> i64 {
        self.ids[row]
    }

    /// The code of a cell in a label column, −1 if the label is missing.
    pub(super) fn code(&self, column: usize, row: usize) -> i32 {
        self.labels[column][row]
    }

    /// A cell; offsets ascend within bounds, as decoding has checked.
    pub(super) fn row(&self, row: usize) -> CsrRow<'_> {
        let range = self.offsets[row].as_usize()..self.offsets[row + 1].as_usize();
        CsrRow { indices: &self.genes[range.clone()], values: &self.values[range] }
    }
}
