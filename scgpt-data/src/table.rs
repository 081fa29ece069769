//! [`Table`]: named columns without an index, as comma- or tab-separated text or parquet.

#[cfg(feature = "parquet")]
mod columnar;
mod delimited;
mod values;
mod writer;

use std::{borrow::Cow, io::Read as _, path::Path};

#[cfg(feature = "parquet")]
pub(crate) use self::columnar::{column_type, read_column, write_column};
pub(crate) use self::{values::Values, writer::TableWriter};
use crate::{
    error::{Error, Result},
    frame::Column,
    inflate,
    output::Existing,
    regular,
};

/// Columns of equal length, each with its name.
///
/// ```no_run
/// use std::path::Path;
///
/// use scgpt_data::{Column, Existing, Table};
///
/// let genes = Column::Text(vec![Some("CD4".into()), Some("CD8A".into())]);
/// let table = Table {
///     columns: vec![("gene".into(), genes), ("rank".into(), Column::Integer(vec![Some(1), Some(2)]))],
/// };
/// table.write(Path::new("genes.csv"), Existing::Refuse)?;
/// assert_eq!(Table::read(Path::new("genes.csv"))?, table);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The columns and their names, in the order of the file.
    pub columns: Vec<(String, Column)>,
}

impl Table {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, |(_, column)| column.len())
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The column of that name, if there is one.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|(other, _)| other == name).map(|(_, column)| column)
    }

    /// Column names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// Reads a table; parquet and gzip are found by content, the separator (tab, comma, semicolon
    /// or space) in the first line, which names the columns. Lines before it that begin with `#`
    /// are comments.
    ///
    /// In text a column of whole numbers becomes integers, one of numbers floats, and an empty
    /// field a missing value, as `NaN` and `NA` are beside numbers; a column without a digit is text.
    /// Of parquet only flat columns are read.
    ///
    /// # Errors
    /// If the file cannot be read, a row has more or fewer fields than the first, or a compressed
    /// table is out of proportion to its file.
    pub fn read(path: &Path) -> Result<Self> {
        let open = || regular::open(path).map_err(|error| Error::open(path, error));
        let mut head = Vec::new();
        open()?.take(4).read_to_end(&mut head).map_err(|error| Error::open(path, error))?;
        if head == b"PAR1" {
            #[cfg(feature = "parquet")]
            return columnar::read(path, open()?);
            #[cfg(not(feature = "parquet"))]
            return Err(Error::left_out(path, "a parquet table", "parquet"));
        }
        delimited::read(path, &inflate::text(path)?)
    }

    /// Writes the table: a name in `.parquet` makes it parquet, one in `.tsv` or `.txt`
    /// tab-separated, any other comma-separated text. The file appears whole or not at all.
    ///
    /// # Errors
    /// [`Error::Exists`] if it exists and `existing` refuses it, [`Error::Write`] if it cannot be
    /// written, [`Error::Option`] if columns differ in length.
    pub fn write(&self, path: &Path, existing: Existing) -> Result<()> {
        let names = self.names().map(str::to_owned).collect();
        let block: Vec<Values<'_>> =
            self.columns.iter().map(|(_, it)| Values::Column(Cow::Borrowed(it))).collect();
        let mut writer = TableWriter::create(path, existing, names, &block)?;
        writer.push(&block)?;
        writer.finish()?.publish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let text = |values: &[&str]| {
            let some = |value: &&str| Some((*value).to_owned()).filter(|value| !value.is_empty());
            Column::Text(values.iter().map(some).collect())
        };
        Table {
            columns: vec![
                ("gene".into(), text(&["A", "B,\"C\"", ""])),
                ("weight".into(), Column::Float(vec![Some(0.1), None, Some(-2e-300)])),
                ("n".into(), Column::Integer(vec![Some(3), Some(-1), None])),
            ],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let written = ["a.csv", "a.tsv", "a.parquet"];
        for name in &written[..if cfg!(feature = "parquet") { 3 } else { 2 }] {
            let path = folder.path().join(name);
            table().write(&path, Existing::Refuse).unwrap();
            assert_eq!(Table::read(&path).unwrap(), table(), "{name}");
            assert!(matches!(table().write(&path, Existing::Refuse), Err(Error::Exists { .. })));
            table().write(&path, Existing::Replace).unwrap();
        }
    }

    #[test]
    #[cfg(feature = "parquet")]
    fn a_table_without_rows_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let empty = Table { columns: vec![("x".into(), Column::Text(Vec::new()))] };
        let path = folder.path().join("empty.parquet");
        empty.write(&path, Existing::Refuse).unwrap();
        assert_eq!(Table::read(&path).unwrap(), empty);
    }

    #[test]
    fn separators_are_found_and_uneven_rows_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.txt");
        for (text, first) in [
            ("# by some tool\nTF\ttarget\nA B\tC\n", "A B"),
            ("TF;target\r\n\"A;B\";C\r\n\r\n", "A;B"),
            ("TF target\nA C", "A"),
            ("TF,target\n\"A\n\"\"B\"\"\",C\n", "A\n\"B\""),
        ] {
            std::fs::write(&path, text).unwrap();
            let table = Table::read(&path).unwrap();
            assert_eq!(table.names().collect::<Vec<_>>(), ["TF", "target"], "{text}");
            let labels = [first, "C"].map(|label| vec![Some(label.to_owned())]);
            assert_eq!([0, 1].map(|i| table.columns[i].1.labels()), labels, "{text}");
        }
        for (text, expected) in [
            ("a,b\n1,2\n3\n", "line 3"),
            ("a,b\n1,2,3\n", "3 fields"),
            ("", "empty"),
            ("a,b\n\"1,2\n", "quote"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Table::read(&path).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        std::fs::write(&path, b"PAR1 and no more").unwrap();
        assert!(Table::read(&path).is_err());
    }
}
