//! [`make_part_file`] and [`PartFile`]: the file of a part, written and read.

use std::{
    fs::File,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use parquet::{
    basic::{Compression, LogicalType, Repetition, Type as Physical},
    column::reader::ColumnReader,
    data_type::FloatType,
    file::{
        metadata::KeyValue,
        properties::WriterProperties,
        reader::{FileReader, SerializedFileReader},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::{ColumnPath, Type},
};

use sha2::{Digest as _, Sha256};

use super::{
    arrow::{ARROW, ELEMENT, schema},
    manifest::{PartColumn, PartContent, PartManifest},
    rows::{Rows, RowsHash},
};
use crate::{
    error::{self, Error, Result},
    frame::{Column, Frame},
    guard::guarded,
    hex::hex,
    output::{Existing, Place, check_apart},
    pages, regular,
    table::{column_type, read_column, write_column},
    write::Additions,
};

/// The keys of the metadata with the manifest, and with its SHA-256.
const KEY: &str = "scgpt.part";
const SEAL: &str = "scgpt.part.sha256";
/// Values of a block of rows, about.
const VALUES: usize = 1 << 21;
/// The level of the group between a list and its values.
const LIST: &str = "list";

/// Writes what was found of the cells `obs` of a part, to be published by the caller: names of cells, new columns of
/// `obs` and new matrices of `obsm`. What is said of the cells together is in the record of the manifest.
///
/// Memory holds a block of rows.
///
/// # Errors
/// [`Error::Exists`] if `output` exists and `existing` refuses it, [`Error::Protected`] if it is the `input`,
/// [`Error::Option`] if there is not a row a cell of the part, [`Error::Write`] if it cannot be written.
pub fn make_part_file(
    mut manifest: PartManifest,
    (obs, additions): (&Frame, &Additions),
    input: &Path,
    output: &Path,
    existing: Existing,
) -> Result<Place> {
    check_apart(output, [input])?;
    additions.check(manifest.cells, 0)?;
    if obs.len() != manifest.cells {
        let problem = format!("{} names for the {} cells of a part", obs.len(), manifest.cells);
        return Err(Error::Option(problem));
    }
    let place = Place::new(output, existing)?;
    let failed = |error: error::Source| Error::write(output, error);
    let file = File::create_new(place.path()).map_err(|error| failed(error.into()))?;
    let categories = |column: &Column| match column {
        Column::Categorical { categories, ordered, .. } => Some((categories.clone(), *ordered)),
        _ => None,
    };
    let columns = additions
        .obs
        .iter()
        .map(|(name, column)| PartColumn { name: name.clone(), categories: categories(column) });
    let matrices = additions.obsm.iter().map(|(name, rows)| (name.clone(), rows.n_columns()));
    let mut content = PartContent {
        index: obs.index_name.clone(),
        columns: columns.collect(),
        matrices: matrices.collect(),
        sha256: String::new(),
    };
    let width: usize = content.matrices.iter().map(|(_, width)| width).sum();
    let step = (VALUES / (1 + content.columns.len() + width)).max(1);
    let empty = Rows::of(obs, additions, 0..0)?;
    let mut writer = begin(file, &empty, (obs.name_column(), &content)).map_err(failed)?;
    let mut hash = RowsHash::default();
    for first in (0..manifest.cells).step_by(step) {
        let rows = Rows::of(obs, additions, first..manifest.cells.min(first + step))?;
        hash.add(&rows);
        push(&mut writer, &rows, &content.matrices).map_err(failed)?;
    }
    content.sha256 = hash.finish();
    manifest.content = content;
    let text = serde_json::to_string(&manifest).map_err(|error| failed(error.into()))?;
    writer.append_key_value_metadata(KeyValue::new(SEAL.to_owned(), seal(&text)));
    writer.append_key_value_metadata(KeyValue::new(KEY.to_owned(), text));
    writer.close().map_err(|error| failed(error.into()))?;
    Ok(place)
}

/// SHA-256 of a manifest.
fn seal(manifest: &str) -> String {
    hex(&Sha256::digest(manifest))
}

/// A file without rows yet, with columns of the kinds of `empty`.
fn begin(
    file: File,
    empty: &Rows,
    (index, content): (&str, &PartContent),
) -> Result<SerializedFileWriter<File>, error::Source> {
    let names = std::iter::once(index).chain(content.columns.iter().map(|it| it.name.as_str()));
    let mut fields = Vec::new();
    for (name, values) in names.clone().zip(empty.values()) {
        fields.push(column_type(name, &values)?);
    }
    for (name, _) in &content.matrices {
        fields.push(Arc::new(list_type(name)?));
    }
    let described =
        schema(names.zip(std::iter::once(&empty.names).chain(&empty.columns)), &content.matrices);
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_key_value_metadata(Some(vec![KeyValue::new(ARROW.to_owned(), described)]));
    for (name, _) in &content.matrices {
        // No two of them are alike.
        let path = ColumnPath::from(vec![name.clone(), LIST.into(), ELEMENT.into()]);
        properties = properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_compression(path, Compression::UNCOMPRESSED);
    }
    let schema = Type::group_type_builder("table").with_fields(fields).build()?;
    Ok(SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties.build()))?)
}

/// A column of lists of numbers, none of them missing.
fn list_type(name: &str) -> Result<Type, error::Source> {
    let element = Type::primitive_type_builder(ELEMENT, Physical::FLOAT)
        .with_repetition(Repetition::REQUIRED)
        .build()?;
    let list = Type::group_type_builder(LIST)
        .with_repetition(Repetition::REPEATED)
        .with_fields(vec![Arc::new(element)])
        .build()?;
    Ok(Type::group_type_builder(name)
        .with_repetition(Repetition::REQUIRED)
        .with_logical_type(Some(LogicalType::List))
        .with_fields(vec![Arc::new(list)])
        .build()?)
}

/// Writes rows as a row group.
fn push(
    writer: &mut SerializedFileWriter<File>,
    rows: &Rows,
    matrices: &[(String, usize)],
) -> Result<(), error::Source> {
    let mut group = writer.next_row_group()?;
    for values in rows.values() {
        write_column(&mut group, &values)?;
    }
    for (values, (_, width)) in rows.matrices.iter().zip(matrices) {
        write_lists(&mut group, values, *width)?;
    }
    group.close()?;
    Ok(())
}

/// Writes lists of `width` numbers: the first value of each begins a row.
fn write_lists(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[f32],
    width: usize,
) -> Result<(), error::Source> {
    let mut to = group.next_column()?.ok_or("a column more than the schema has")?;
    let there = vec![1; values.len()];
    let repeated: Vec<i16> = (0..values.len()).map(|at| i16::from(at % width != 0)).collect();
    to.typed::<FloatType>().write_batch(values, Some(&there), Some(&repeated))?;
    to.close()?;
    Ok(())
}

/// The file of a part, to be read.
#[allow(missing_debug_implementations, reason = "the reader cannot be printed")]
pub struct PartFile {
    path: PathBuf,
    manifest: PartManifest,
    reader: SerializedFileReader<File>,
}

impl PartFile {
    /// Opens a file and checks what it says of itself; the rows are checked when they are read.
    ///
    /// # Errors
    /// If it is no part, or damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let damaged = |problem: String| Self::damaged(path, &problem);
        let file = regular::open(path).map_err(|error| Error::open(path, error))?;
        let reader = guarded(|| SerializedFileReader::new(file))
            .map_err(|error| damaged(format!("no parquet, or cut short: {error}")))?;
        pages::check(path, reader.metadata())?;
        let metadata = reader.metadata().file_metadata();
        let value = |key: &str| {
            let mut all = metadata.key_value_metadata().into_iter().flatten();
            all.find(|it| it.key == key).and_then(|it| it.value.as_deref())
        };
        let text = value(KEY).ok_or_else(|| {
            Error::invalid(path, "metadata", "a table, but no part of a run")
                .with_hint("name files of parts, such as cells.part-0001-of-0016.parquet")
        })?;
        if value(SEAL) != Some(&seal(text)) {
            return Err(damaged(format!("metadata `{KEY}` are not those that were written")));
        }
        let manifest: PartManifest = serde_json::from_str(text)
            .map_err(|error| damaged(format!("metadata `{KEY}`: {error}")))?;
        let rows = manifest.part.rows(manifest.run.cells.n_cells);
        if (manifest.first..manifest.first.saturating_add(manifest.cells)) != rows
            || usize::try_from(metadata.num_rows()) != Ok(manifest.cells)
        {
            return Err(damaged(format!(
                "{} rows, but part {} of {} cells has {}",
                metadata.num_rows(),
                manifest.part,
                manifest.run.cells.n_cells,
                rows.len()
            )));
        }
        let PartContent { columns, matrices, .. } = &manifest.content;
        let names = columns.iter().map(|it| it.name.as_str());
        let names = names.chain(matrices.iter().map(|(name, _)| name.as_str()));
        let fields = metadata.schema().get_fields().iter().map(|field| field.name());
        if matrices.iter().any(|(_, width)| *width == 0) || !fields.skip(1).eq(names) {
            return Err(damaged("other columns than its metadata name".into()));
        }
        Ok(Self { path: path.into(), manifest, reader })
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &PartManifest {
        &self.manifest
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An error of this file, which is as if it were not there.
    fn damaged(path: &Path, problem: &str) -> Error {
        Error::invalid(path, "part", format!("damaged: {problem}"))
            .with_hint("remove the file, and make the part again")
    }

    /// Checks that all rows are those that were written.
    ///
    /// # Errors
    /// If they are not.
    pub fn verify(&self) -> Result<()> {
        self.read(&mut |_| Ok(()))
    }

    /// Calls `each` with all rows in order, block by block.
    ///
    /// # Errors
    /// If they are not those that were written; what `each` was given is worth nothing then.
    pub(super) fn read(&self, each: &mut dyn FnMut(Rows) -> Result<()>) -> Result<()> {
        let mut hash = RowsHash::default();
        for group in 0..self.reader.num_row_groups() {
            let rows = guarded(|| self.rows(group..group + 1));
            let rows = rows.map_err(|error| Self::damaged(&self.path, &error.to_string()))?;
            hash.add(&rows);
            each(rows)?;
        }
        let content = &self.manifest.content;
        if hash.finish() != content.sha256 {
            let problem = "its rows are not those that were written (their SHA-256 differs)";
            return Err(Self::damaged(&self.path, problem));
        }
        Ok(())
    }

    /// The rows of a row group.
    fn rows(&self, group: Range<usize>) -> Result<Rows, error::Source> {
        let PartContent { columns, matrices, .. } = &self.manifest.content;
        let column = |index: usize| read_column(&self.reader, group.clone(), index);
        let matrix = |(at, (_, width)): (usize, &(String, usize))| {
            self.lists(group.start, 1 + columns.len() + at, *width)
        };
        Ok(Rows {
            names: column(0)?,
            columns: (1..=columns.len()).map(column).collect::<Result<_, _>>()?,
            matrices: matrices.iter().enumerate().map(matrix).collect::<Result<_, _>>()?,
        })
    }

    /// The values of column `index` of a row group, whose lists are all of that width.
    fn lists(&self, group: usize, index: usize, width: usize) -> Result<Vec<f32>, error::Source> {
        let group = self.reader.get_row_group(group)?;
        let n = usize::try_from(group.metadata().num_rows())?;
        let ColumnReader::FloatColumnReader(mut reader) = group.get_column_reader(index)? else {
            return Err("a list that is not of numbers".into());
        };
        let (mut there, mut repeated, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let mut read = 0;
        while read < n {
            let (more, ..) = reader.read_records(
                n - read,
                Some(&mut there),
                Some(&mut repeated),
                &mut values,
            )?;
            if more == 0 {
                return Err(format!("the row group ends after {read} of {n} rows").into());
            }
            read += more;
        }
        let begins = |(at, level): (usize, &i16)| (*level == 0) == at.is_multiple_of(width);
        if Some(values.len()) != n.checked_mul(width) || !repeated.iter().enumerate().all(begins) {
            return Err(format!("lists that are not of {width} numbers").into());
        }
        Ok(values)
    }
}
