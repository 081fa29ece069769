//! [`Parquet`]: a scBank table as a parquet file, read column by column.
//!
//! The columns `genes` and `expressions` are lists, whose values parquet stores one after another
//! with levels beside them: the repetition level is 0 where a list begins, and the definition level
//! says whether there is an item at all. A row group may hold a whole table, so reading keeps its
//! place: cells that are asked for in order are decoded once, others skip from the start of their
//! row group.

use std::{
    fs::File,
    ops::Range,
    path::{Path, PathBuf},
};

use parquet::{
    basic::Type,
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::DataType,
    file::reader::{FileReader, SerializedFileReader},
    schema::types::ColumnDescriptor,
};

use super::{Lists, REMEDY, Rows, uneven};
use crate::{
    error::{self, Error, Result},
    guard::guarded,
    pages, regular,
};

/// The table.
pub(super) struct Parquet {
    path: PathBuf,
    reader: SerializedFileReader<File>,
    /// First row of every row group, and the number of rows at the end.
    starts: Vec<usize>,
    genes: Leaf,
    expressions: Leaf,
    /// Where the last read ended: tables are read in order, and a row group may be large.
    cursor: Option<Cursor>,
}

/// A column of lists.
#[derive(Clone, Copy, Debug)]
struct Leaf {
    /// Number of its column in the file.
    index: usize,
    /// Definition level of an item that is there.
    max_definition: i16,
    /// Whether items may be missing.
    has_optional_items: bool,
    /// Type of the items.
    physical: Type,
}

/// Readers of the two columns that stand before the same row.
struct Cursor {
    row: usize,
    genes: ColumnReader,
    expressions: ColumnReader,
}

/// Items of some lists, and where each ends.
type Items<T> = (Vec<usize>, Vec<T>);

impl Parquet {
    /// Opens the table at `path`; of its cells nothing is read yet.
    ///
    /// # Errors
    /// If it is no parquet file, lacks one of the two columns of lists, or its pages claim more
    /// than the file can hold.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = regular::open(path).map_err(|error| Error::open(path, error))?;
        let reader = guarded(|| SerializedFileReader::new(file))
            .map_err(|error| Error::read(path, "footer", error))?;
        pages::check(path, reader.metadata())?;
        let leaf = |name, types: [Type; 2]| {
            leaf(&reader, name, types)
                .map_err(|problem| Error::invalid(path, name, problem).with_hint(REMEDY))
        };
        let genes = leaf("genes", [Type::INT64, Type::INT32])?;
        let expressions = leaf("expressions", [Type::FLOAT, Type::DOUBLE])?;
        let mut starts = vec![0_usize];
        for group in reader.metadata().row_groups() {
            let rows = usize::try_from(group.num_rows()).ok();
            let end = rows.zip(starts.last()).and_then(|(rows, start)| start.checked_add(rows));
            starts.push(end.ok_or_else(|| {
                let problem = format!("a row group of {} rows", group.num_rows());
                Error::invalid(path, "footer", problem).with_hint(REMEDY)
            })?);
        }
        Ok(Self { path: path.into(), reader, starts, genes, expressions, cursor: None })
    }

    /// Readers that stand before `row`.
    fn seek(&mut self, row: usize) -> Result<Cursor, error::Source> {
        if let Some(cursor) = self.cursor.take()
            && cursor.row == row
        {
            return Ok(cursor);
        }
        let group = self.starts.partition_point(|&start| start <= row) - 1;
        let skip = row - self.starts[group];
        guarded(|| {
            let group = self.reader.get_row_group(group)?;
            let mut genes = group.get_column_reader(self.genes.index)?;
            let mut expressions = group.get_column_reader(self.expressions.index)?;
            skip_lists(&mut genes, skip)?;
            skip_lists(&mut expressions, skip)?;
            Ok::<_, error::Source>(Cursor { row, genes, expressions })
        })
    }

    /// Rows that begin at `row`, at most `n`, of one row group.
    fn part(&mut self, row: usize, n: usize) -> Result<[Items<f64>; 2], error::Source> {
        let mut cursor = self.seek(row)?;
        let group = self.starts.partition_point(|&start| start <= row);
        let n = n.min(self.starts[group] - row);
        let parts = guarded(|| {
            let genes = numbers(&mut cursor.genes, self.genes, n)?;
            let expressions = numbers(&mut cursor.expressions, self.expressions, n)?;
            Ok::<_, error::Source>([genes, expressions])
        })?;
        cursor.row += n;
        if cursor.row < self.starts[group] {
            self.cursor = Some(cursor);
        }
        Ok(parts)
    }
}

impl Rows for Parquet {
    fn n_cells(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    fn n_stored(&self) -> u64 {
        let groups = self.reader.metadata().row_groups().iter();
        groups.map(|group| group.column(self.genes.index).num_values().unsigned_abs()).sum()
    }

    fn dtype(&self) -> &'static str {
        if self.expressions.physical == Type::DOUBLE { "float64" } else { "float32" }
    }

    fn read(&mut self, rows: &Range<usize>) -> Result<Lists> {
        let mut lists = Lists::default();
        let mut row = rows.start;
        while row < rows.end {
            let [genes, expressions] = self.part(row, rows.end - row).map_err(|problem| {
                Error::read(&self.path, format!("cells {row}..{}", rows.end), problem)
            })?;
            let mut uneven_at = genes.0.iter().zip(&expressions.0);
            if let Some(at) = uneven_at.position(|(a, b)| a != b) {
                let length = |ends: &[usize]| ends[at] - at.checked_sub(1).map_or(0, |at| ends[at]);
                let [genes, expressions] = [length(&genes.0), length(&expressions.0)];
                return Err(uneven(&self.path, row + at, genes, expressions));
            }
            let begin = lists.genes.len();
            lists.ends.extend(genes.0.iter().map(|end| begin + end));
            #[allow(clippy::cast_possible_truncation, reason = "whole numbers, and values are f32")]
            {
                lists.genes.extend(genes.1.iter().map(|&gene| gene as i64));
                lists.expressions.extend(expressions.1.iter().map(|&value| value as f32));
            }
            row += genes.0.len();
        }
        Ok(lists)
    }
}

/// The column of lists of that name, whose items are of one of two types.
fn leaf(reader: &SerializedFileReader<File>, name: &str, types: [Type; 2]) -> Result<Leaf, String> {
    let columns = reader.metadata().file_metadata().schema_descr().columns();
    let is_named =
        |column: &ColumnDescriptor| column.path().parts().first().is_some_and(|part| part == name);
    let Some(index) = columns.iter().position(|column| is_named(column)) else {
        let names: Vec<String> = columns.iter().map(|column| column.path().string()).collect();
        return Err(format!("no such column (there are: {})", names.join(", ")));
    };
    let column = &columns[index];
    let physical = column.physical_type();
    if column.max_rep_level() != 1 || !types.contains(&physical) {
        return Err(format!(
            "expected a list of {} or {}, found {}",
            types[0],
            types[1],
            column.path()
        ));
    }
    Ok(Leaf {
        index,
        max_definition: column.max_def_level(),
        has_optional_items: column.self_type().is_optional(),
        physical,
    })
}

/// Leaves a reader `n` lists further on.
fn skip_lists(reader: &mut ColumnReader, n: usize) -> Result<(), error::Source> {
    let skipped = match reader {
        ColumnReader::Int32ColumnReader(reader) => reader.skip_records(n),
        ColumnReader::Int64ColumnReader(reader) => reader.skip_records(n),
        ColumnReader::FloatColumnReader(reader) => reader.skip_records(n),
        ColumnReader::DoubleColumnReader(reader) => reader.skip_records(n),
        _ => Ok(0),
    }?;
    if skipped == n { Ok(()) } else { Err(ended(skipped, n)) }
}

/// `n` lists as numbers; f64 holds every i32, f32 and gene token exactly.
fn numbers(reader: &mut ColumnReader, leaf: Leaf, n: usize) -> Result<Items<f64>, error::Source> {
    #[allow(clippy::cast_precision_loss, reason = "tokens are far below 2⁵³")]
    match reader {
        ColumnReader::Int32ColumnReader(reader) => lists(reader, leaf, n, f64::from),
        ColumnReader::Int64ColumnReader(reader) => lists(reader, leaf, n, |item| item as f64),
        ColumnReader::FloatColumnReader(reader) => lists(reader, leaf, n, f64::from),
        ColumnReader::DoubleColumnReader(reader) => lists(reader, leaf, n, |item| item),
        _ => Err("a column of another type".into()),
    }
}

/// The items of the next `n` lists as numbers, and where each list ends.
///
/// # Errors
/// If the row group ends before, an item is missing (null), or the levels contradict each other.
fn lists<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    leaf: Leaf,
    n: usize,
    number: impl Fn(T::T) -> f64,
) -> Result<Items<f64>, error::Source> {
    let (mut definitions, mut repetitions, mut items) = (Vec::new(), Vec::new(), Vec::new());
    let mut records = 0;
    while records < n {
        let (definition, repetition) = (Some(&mut definitions), Some(&mut repetitions));
        let (more, ..) = reader.read_records(n - records, definition, repetition, &mut items)?;
        if more == 0 {
            return Err(ended(records, n));
        }
        records += more;
    }
    // A level of 0 begins a list; an item is there if all that could be missing is.
    let mut ends = Vec::with_capacity(n);
    let mut end = 0;
    for (position, &repetition) in repetitions.iter().enumerate() {
        if repetition == 0 && position > 0 {
            ends.push(end);
        }
        let definition = definitions.get(position).copied().unwrap_or(leaf.max_definition);
        if definition == leaf.max_definition {
            end += 1;
        } else if leaf.has_optional_items && definition + 1 == leaf.max_definition {
            return Err("an item of a list is missing (null)".into());
        }
    }
    ends.push(end);
    if ends.len() != n || end != items.len() {
        return Err("the levels of the lists contradict each other".into());
    }
    Ok((ends, items.into_iter().map(number).collect()))
}

/// The error for a row group that ends too early.
fn ended(found: usize, n: usize) -> error::Source {
    format!("the row group ends after {found} of {n} lists").into()
}
