//! [`Packed`]: cells as the columns of a shard, made from rows of a matrix.

use rayon::prelude::*;

use crate::{csr::Csr, keyed::mix, vocab::Alignment};

/// Rows that one thread takes at a time.
const ROWS: usize = 32;

/// Cells on their way into a shard.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    pub(super) ids: Vec<i64>,
    /// Begins with 0; one more than there are cells.
    pub(super) offsets: Vec<i32>,
    pub(super) genes: Vec<u32>,
    pub(super) values: Vec<f32>,
    /// The codes of each label column.
    pub(super) labels: Vec<Vec<i32>>,
}

impl Packed {
    pub(super) fn new(n_labels: usize) -> Self {
        Self {
            ids: Vec::new(),
            offsets: vec![0],
            genes: Vec::new(),
            values: Vec::new(),
            labels: vec![Vec::new(); n_labels],
        }
    }

    /// Appends a cell; `codes` gives its code in a label column.
    #[expect(clippy::expect_used, reason = "`is_full` keeps batches far below 2³¹ tokens")]
    pub(super) fn push(&mut self, id: u64, cell: &Cell, codes: impl Fn(usize) -> i32) {
        self.ids.push(id.cast_signed());
        self.genes.extend(cell.iter().map(|&(gene, _)| gene));
        self.values.extend(cell.iter().map(|&(_, value)| value));
        self.offsets.push(i32::try_from(self.genes.len()).expect("a small batch"));
        for (column, labels) in self.labels.iter_mut().enumerate() {
            labels.push(codes(column));
        }
    }

    /// Whether the batch is large enough to be written.
    pub(super) fn is_full(&self) -> bool {
        self.ids.len() >= BATCH_CELLS || self.genes.len() >= BATCH_TOKENS
    }
}

/// A batch of a file: large enough that framing costs nothing, small enough to be gathered in
/// memory.
const BATCH_CELLS: usize = 2048;
const BATCH_TOKENS: usize = 1 << 22;

/// Gene tokens, ascending, with their values, none zero.
pub(super) type Cell = Vec<(u32, f32)>;

/// A number that stands for what a cell expresses: two of ten million different cells have the same with a
/// probability of 3 in a million.
pub(super) fn content(cell: impl Iterator<Item = (u32, f32)>) -> u64 {
    cell.fold(0, |hash, (gene, value)| {
        mix(hash ^ (u64::from(gene) << 32 | u64::from(value.to_bits())))
    })
}

/// The known genes of every cell of a block whose columns are `alignment.tokens`, on all threads
/// of the current rayon pool.
pub(super) fn cells(block: &Csr, alignment: &Alignment) -> Vec<Cell> {
    (0..block.n_cells())
        .into_par_iter()
        .with_min_len(ROWS)
        .map(|row| {
            let row = block.row(row);
            let entries = row.indices.iter().zip(row.values).filter(|&(_, &value)| value != 0.0);
            let mut cell: Cell = entries
                .filter_map(|(&column, &value)| Some((alignment.tokens[column as usize]?.0, value)))
                .collect();
            cell.sort_unstable_by_key(|&(gene, _)| gene);
            cell
        })
        .collect()
}
