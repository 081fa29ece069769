//! [`Sink`]: one shard under construction, hashed while it is written.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    sync::Arc,
};

use arrow_array::{
    ArrayRef, Float32Array, Int32Array, Int64Array, ListArray, RecordBatch, UInt32Array,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};
use sha2::{Digest, Sha256};

use super::{
    manifest::ShardEntry,
    pack::{Cell, Packed},
    schema::{FIXED, item},
};
use crate::hex::hex;

/// How the names of shards begin and end, around their number.
const BEGIN: &str = "shard-";
const END: &str = ".arrow";

/// Whether a file has a name as shards have.
pub(super) fn is_shard(name: &str) -> bool {
    let number = name.strip_prefix(BEGIN).and_then(|name| name.strip_suffix(END));
    number.is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit()))
}

/// A shard that is written batch by batch.
pub(super) struct Sink {
    file: String,
    schema: SchemaRef,
    writer: FileWriter<BufWriter<Hashed>>,
    pending: Packed,
    cells: u64,
    tokens: u64,
}

impl Sink {
    /// Begins shard `number` in `folder`.
    ///
    /// # Errors
    /// If its file exists or cannot be made.
    pub(super) fn create(folder: &Path, number: usize, schema: Schema) -> io::Result<Self> {
        let file = format!("{BEGIN}{number:05}{END}");
        let to =
            Hashed { file: File::create_new(folder.join(&file))?, hash: Sha256::new(), bytes: 0 };
        // Large pieces pass through, the small ones of the framing are gathered.
        let writer = FileWriter::try_new(BufWriter::new(to), &schema).map_err(plain)?;
        let pending = Packed::new(schema.fields().len() - FIXED.len());
        Ok(Self { file, schema: Arc::new(schema), writer, pending, cells: 0, tokens: 0 })
    }

    /// Number of cells so far.
    pub(super) fn cells(&self) -> u64 {
        self.cells
    }

    /// Appends a cell; `code` gives its code in a label column.
    pub(super) fn push(
        &mut self,
        id: u64,
        cell: &Cell,
        code: impl Fn(usize) -> i32,
    ) -> io::Result<()> {
        self.pending.push(id, cell, code);
        self.cells += 1;
        self.tokens += cell.len() as u64;
        if self.pending.is_full() { self.flush() } else { Ok(()) }
    }

    /// Writes the cells that were gathered.
    fn flush(&mut self) -> io::Result<()> {
        let next = Packed::new(self.pending.labels.len());
        let batch = std::mem::replace(&mut self.pending, next);
        let record = record(self.schema.clone(), batch).map_err(plain)?;
        self.writer.write(&record).map_err(plain)
    }

    /// Completes the file, so that it outlives a loss of power.
    pub(super) fn finish(mut self) -> io::Result<ShardEntry> {
        if !self.pending.ids.is_empty() {
            self.flush()?;
        }
        // Writes the footer; into_inner flushes.
        let hashed = self.writer.into_inner().map_err(plain)?.into_inner()?;
        hashed.file.sync_all()?;
        Ok(ShardEntry {
            file: self.file,
            cells: self.cells,
            tokens: self.tokens,
            bytes: hashed.bytes,
            sha256: hex(&hashed.hash.finalize()),
        })
    }
}

/// The record batch of the cells in `batch`, in the columns of the schema.
fn record(schema: SchemaRef, batch: Packed) -> Result<RecordBatch, ArrowError> {
    let offsets = OffsetBuffer::new(ScalarBuffer::from(batch.offsets));
    let list = |data_type: DataType, values: ArrayRef| {
        ListArray::try_new(item(data_type), offsets.clone(), values, None)
            .map(|list| Arc::new(list) as ArrayRef)
    };
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(batch.ids)),
        list(DataType::UInt32, Arc::new(UInt32Array::from(batch.genes)))?,
        list(DataType::Float32, Arc::new(Float32Array::from(batch.values)))?,
    ];
    columns.extend(
        batch.labels.into_iter().map(|codes| Arc::new(Int32Array::from(codes)) as ArrayRef),
    );
    RecordBatch::try_new(schema, columns)
}

/// The cause of an error that arrow only wraps, or the error itself.
fn plain(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        error => io::Error::other(error),
    }
}

/// A file whose bytes are hashed and counted on their way.
struct Hashed {
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hash.update(&bytes[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
