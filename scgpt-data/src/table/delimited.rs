//! Separated text, quoted as RFC 4180 has it; a quote that does not end is an error with its line.
//!
//! The type of a column is that of all its fields: whole numbers, else numbers, else text. Names
//! such as `MARCH1` and `1-Mar` thus stay what they are, and a column of numbers with one word in
//! it is text. A number is written with digits. Words for none (`NaN`, `NA`) and for infinity mean
//! what they say only beside numbers: alone they are text, such as the names of genes.

use std::{
    fmt::{Display, LowerExp},
    fs::File,
    io::{self, Read as _},
    path::Path,
    str::FromStr,
};

use csv::{ReaderBuilder, StringRecord, Writer, WriterBuilder};

use super::{Table, values::Values};
use crate::{
    error::{Error, Result},
    frame::Column,
};

/// Separators, the likeliest first.
const SEPARATORS: [u8; 4] = [b'\t', b',', b';', b' '];
/// A record that is put behind the text: a quote that does not end swallows it.
const END: &str = "\n\0end";

/// Reads a table from its text; `path` is for messages. Lines that begin with `#` before the first
/// row are passed over, and that row names the columns.
///
/// # Errors
/// If the table is empty, a row has not as many fields as there are columns, or a quote does not
/// end; the message names the line.
pub(super) fn read(path: &Path, text: &str) -> Result<Table> {
    let mut text = text;
    let mut skipped = 0;
    while text.starts_with(['#', '\n']) || text.starts_with("\r\n") {
        text = text.split_once('\n').map_or("", |(_, rest)| rest);
        skipped += 1;
    }
    let head = text.lines().next().unwrap_or_default();
    if head.trim().is_empty() {
        return Err(Error::invalid(path, "line 1", "the table is empty"));
    }
    let separator = SEPARATORS.into_iter().find(|c| head.as_bytes().contains(c)).unwrap_or(b',');
    let mut reader = ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes().chain(END.as_bytes()));
    let mut columns: Vec<(String, Vec<String>)> = Vec::new();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| Error::read(path, "text", error))? {
        let line = format!("line {}", skipped + record.position().map_or(1, csv::Position::line));
        match record.iter().next_back() {
            Some(field) if record.len() == 1 && field == END.trim_start() => break,
            Some(field) if field.ends_with(END) => {
                return Err(Error::invalid(path, line, "a quote that does not end"));
            }
            _ => {}
        }
        if columns.is_empty() {
            columns.extend(record.iter().map(|name| (name.to_owned(), Vec::new())));
            continue;
        }
        if record.len() != columns.len() {
            let problem = format!("{} fields, but {} columns", record.len(), columns.len());
            return Err(Error::invalid(path, line, problem));
        }
        columns.iter_mut().zip(&record).for_each(|((_, column), field)| column.push(field.into()));
    }
    Ok(Table { columns: columns.into_iter().map(|(name, column)| (name, typed(column))).collect() })
}

/// What pandas and R write into a column of numbers where there is none, in lower case.
const MISSING: [&str; 5] = ["", "nan", "-nan", "na", "<na>"];

/// The narrowest type that holds all fields.
fn typed(fields: Vec<String>) -> Column {
    fn all<T: FromStr>(fields: &[String]) -> Option<Vec<Option<T>>> {
        let value = |field: &String| {
            let is_missing = MISSING.iter().any(|word| field.eq_ignore_ascii_case(word));
            if is_missing { Some(None) } else { field.parse().ok().map(Some) }
        };
        fields.iter().map(value).collect()
    }
    let has_digits = |field: &String| field.bytes().any(|byte| byte.is_ascii_digit());
    if fields.iter().any(has_digits) {
        if let Some(values) = all(&fields) {
            return Column::Integer(values);
        }
        if let Some(values) = all(&fields) {
            return Column::Float(values);
        }
    }
    Column::Text(fields.into_iter().map(|field| Some(field).filter(|f| !f.is_empty())).collect())
}

/// Begins a table with a row of names.
pub(super) fn begin(names: &[String], separator: u8, file: File) -> io::Result<Writer<File>> {
    let mut to =
        WriterBuilder::new().delimiter(separator).buffer_capacity(1 << 16).from_writer(file);
    to.write_record(names)?;
    Ok(to)
}

/// Writes `rows` rows. A missing value is an empty field.
pub(super) fn push(to: &mut Writer<File>, block: &[Values<'_>], rows: usize) -> io::Result<()> {
    for row in 0..rows {
        to.write_record(block.iter().map(|values| match values {
            Values::Column(column) => field(column, row),
            Values::Single(values) => number(values[row]),
        }))?;
    }
    Ok(())
}

/// Waits until the table is on the disk.
pub(super) fn end(to: Writer<File>) -> io::Result<()> {
    to.into_inner().map_err(csv::IntoInnerError::into_error)?.sync_all()
}

/// A value as text; numbers as short as they can be without becoming others.
fn field(column: &Column, row: usize) -> String {
    match column {
        Column::Text(values) => values[row].clone().unwrap_or_default(),
        Column::Categorical { codes, categories, .. } => {
            let category = |code: u32| categories.get(code as usize).cloned();
            codes[row].and_then(category).unwrap_or_default()
        }
        Column::Float(values) => values[row].map_or_else(String::new, number),
        Column::Integer(values) => values[row].map_or_else(String::new, |value| value.to_string()),
        Column::Boolean(values) => values[row].map_or_else(String::new, |value| value.to_string()),
    }
}

/// A number of 32 or 64 bits.
fn number<T: Copy + Into<f64> + Display + LowerExp>(value: T) -> String {
    let size = value.into().abs();
    let is_plain = size == 0.0 || (1e-4..1e15).contains(&size);
    if is_plain { value.to_string() } else { format!("{value:e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(fields: &[&str]) -> Column {
        typed(fields.iter().map(|&field| field.to_owned()).collect())
    }

    #[test]
    fn words_for_no_number_are_text_unless_they_stand_beside_numbers() {
        let text = |fields: &[&str]| {
            let some = |field: &&str| Some((*field).to_owned()).filter(|field| !field.is_empty());
            Column::Text(fields.iter().map(some).collect())
        };
        for words in [
            &["nan", "inf", "infinity", ""][..],
            &["NaN", "NaN"],
            &["", ""],
            &["-inf", "NA"],
            &["nan", "1-Mar"],
            &["1", "none"],
        ] {
            assert_eq!(column(words), text(words), "{words:?}");
        }
        let of = |numbers: &[Option<f64>]| Column::Float(numbers.to_vec());
        let (some, gap) = (Some(0.5), None);
        assert_eq!(column(&["0.5", "NaN", "nan", "NA", ""]), of(&[some, gap, gap, gap, gap]));
        assert_eq!(column(&["0.5", "-inf"]), of(&[some, Some(f64::NEG_INFINITY)]));
        assert_eq!(column(&["3", "NA", "<NA>"]), Column::Integer(vec![Some(3), None, None]));
    }
}
