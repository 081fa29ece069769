//! The way of the cells: read and tokenise on one side of a bounded channel, compute on the other.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Instant,
};

use scgpt_data::{CellSource, CellTokens, Collator, RowSpool, Tokenizer, buckets};
use scgpt_model::{CellEncoder, TokenRows};

use super::{EmbedOptions, Timings, TokenCounts};
use crate::{
    error::{Error, Result},
    observe::Observer,
};

/// Cells read at once, among which batches of similar length are formed.
const WINDOW: usize = 1024;

/// Windows that may wait for the network.
const WAITING: usize = 2;

/// What is fixed for all cells.
pub(super) struct Stream<'a> {
    pub encoder: &'a CellEncoder,
    pub tokenizer: &'a Tokenizer,
    pub collator: Collator,
    pub options: &'a EmbedOptions,
}

/// What is known once all cells went through.
pub(super) struct Streamed {
    pub rows: RowSpool,
    pub tokens: TokenCounts,
    pub timings: Timings,
}

/// Consecutive cells on their way to the network.
struct Window {
    first: usize,
    cells: Vec<CellTokens>,
    reading: f64,
    tokenising: f64,
}

impl Stream<'_> {
    pub(super) fn run(
        &self,
        source: &mut dyn CellSource,
        observer: &dyn Observer,
    ) -> Result<Streamed> {
        let begin = Instant::now();
        observer.begin("embedding", source.summary().n_cells);
        let (sender, receiver) = sync_channel(WAITING);
        // If computing fails, it drops the receiver, and the reader stops at its next window.
        let mut streamed = thread::scope(|scope| {
            scope.spawn(move || self.read(source, &sender));
            self.compute(receiver, observer)
        })?;
        streamed.timings.total = begin.elapsed().as_secs_f64();
        Ok(streamed)
    }

    fn read(&self, source: &mut dyn CellSource, sender: &SyncSender<Result<Window>>) {
        let n_cells = source.summary().n_cells;
        for first in (0..n_cells).step_by(WINDOW) {
            let window = self.window(source, first, n_cells.min(first + WINDOW));
            let is_last = window.is_err();
            if sender.send(window).is_err() || is_last {
                return;
            }
        }
    }

    fn window(&self, source: &mut dyn CellSource, first: usize, end: usize) -> Result<Window> {
        let begin = Instant::now();
        let block = source.read(&self.options.layer, first..end)?;
        let reading = begin.elapsed().as_secs_f64();
        let cells = self.tokenizer.block(&block, first);
        Ok(Window { first, cells, reading, tokenising: begin.elapsed().as_secs_f64() - reading })
    }

    fn compute(
        &self,
        windows: Receiver<Result<Window>>,
        observer: &dyn Observer,
    ) -> Result<Streamed> {
        let d = self.encoder.d_model();
        let mut rows = match &self.options.temporary {
            Some(folder) => RowSpool::new_in(folder, d)?,
            None => RowSpool::new(d)?,
        };
        let mut tokens = TokenCounts::new(self.tokenizer.config().max_length);
        let mut timings = Timings::default();
        let mut embedded = Vec::new();
        for window in windows {
            let window = window?;
            timings.reading += window.reading;
            timings.tokenising += window.tokenising;
            embedded.resize(window.cells.len() * d, 0.0);
            let lengths: Vec<usize> = window.cells.iter().map(CellTokens::len).collect();
            for bucket in buckets(&lengths, self.options.batch_size) {
                if observer.is_cancelled() {
                    return Err(Error::Cancelled);
                }
                let begin = Instant::now();
                let batch =
                    self.collator.collate(bucket.iter().map(|&cell| (cell, &window.cells[cell])));
                let computed = self.encoder.embed(TokenRows {
                    n_tokens: batch.n_tokens,
                    genes: &batch.genes,
                    values: &batch.values,
                    lengths: &batch.lengths,
                });
                for (&cell, row) in bucket.iter().zip(computed.chunks_exact(d)) {
                    unit_length(row, &mut embedded[cell * d..(cell + 1) * d]);
                }
                timings.computing += begin.elapsed().as_secs_f64();
                observer.advance(bucket.len());
            }
            for cell in &window.cells {
                tokens.add(cell.len(), cell.n_available);
            }
            rows.write_rows(window.first, &embedded)?;
        }
        Ok(Streamed { rows, tokens, timings })
    }
}

/// Writes `row` scaled to length 1.
fn unit_length(row: &[f32], out: &mut [f32]) {
    let length =
        row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    for (out, &x) in out.iter_mut().zip(row) {
        #[allow(clippy::cast_possible_truncation, reason = "embeddings are f32")]
        let scaled = (f64::from(x) / length) as f32;
        *out = scaled;
    }
}
