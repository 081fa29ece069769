//! [`Frame`]: the annotations of cells (`obs`) or genes (`var`), a named index and typed columns.

pub(crate) mod join;

use std::ops::Range;

use crate::{
    error::{Error, Result},
    keyed::name_key,
    names::similar_names,
};

/// Bytes of a text in memory beside its letters, about.
pub(crate) const TEXT: usize = 48;

/// An `obs` or `var` table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// Name of the index, as the file has it (often `_index` or `index`).
    pub index_name: String,
    /// The index: cell barcodes of `obs`, gene names of `var`.
    pub index: Vec<String>,
    /// Columns in the order of the file.
    pub columns: Vec<(String, Column)>,
}

/// One column of a [`Frame`]. A missing value is `None` (code `None` for a categorical).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Column {
    /// Text.
    Text(Vec<Option<String>>),
    /// Text with few distinct values.
    Categorical {
        /// Index into `categories` of each row.
        codes: Vec<Option<u32>>,
        /// Distinct values in the order of the file.
        categories: Vec<String>,
        /// Whether the order of `categories` means something.
        ordered: bool,
    },
    /// Real numbers; NaN is kept as a value.
    Float(Vec<Option<f64>>),
    /// Whole numbers.
    Integer(Vec<Option<i64>>),
    /// Truth values.
    Boolean(Vec<Option<bool>>),
}

impl Frame {
    /// A table with a row for each of these names, and without columns.
    ///
    /// ```
    /// let var = scgpt_data::Frame::of_names(["CD3D", "CD4"]);
    /// assert_eq!((var.len(), var.columns.len()), (2, 0));
    /// ```
    pub fn of_names<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self {
            index_name: "_index".into(),
            index: names.into_iter().map(Into::into).collect(),
            columns: Vec::new(),
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The column of that name, if there is one.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|(other, _)| other == name).map(|(_, column)| column)
    }

    /// A table of the given `rows`, in that order.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn pick(&self, rows: &[usize]) -> Self {
        let columns = self.columns.iter();
        Self {
            index_name: self.index_name.clone(),
            index: rows.iter().map(|&row| self.index[row].clone()).collect(),
            columns: columns.map(|(name, column)| (name.clone(), column.pick(rows))).collect(),
        }
    }

    /// The given `rows` of a table of numbers, row-major, and the number of columns; a missing
    /// value is NaN.
    ///
    /// # Errors
    /// A sentence that names the column that holds no numbers.
    pub fn numbers(&self, rows: Range<usize>) -> Result<(Vec<f32>, usize), String> {
        let width = self.columns.len();
        let mut numbers = vec![f32::NAN; rows.len() * width];
        #[allow(clippy::cast_possible_truncation, reason = "the model computes in f32")]
        for (at, (name, column)) in self.columns.iter().enumerate() {
            for (row, place) in rows.clone().zip(numbers.chunks_mut(width)) {
                place[at] = match column {
                    Column::Float(values) => values[row].map_or(f32::NAN, |value| value as f32),
                    Column::Integer(values) => values[row].map_or(f32::NAN, |value| value as f32),
                    other => {
                        return Err(format!("column `{name}` is {}, not numbers", other.kind()));
                    }
                };
            }
        }
        Ok((numbers, width))
    }

    /// The number that stands for each cell in random choices, a function of its name, so that a choice
    /// depends neither on the order of the cells nor on which others there are. Cells that share a name
    /// are told apart by their order alone.
    pub fn cell_keys(&self) -> Vec<u64> {
        self.index.iter().map(|name| name_key(name)).collect()
    }

    /// What the index is called where it is a column of a table of cells.
    pub(crate) fn name_column(&self) -> &str {
        match self.index_name.as_str() {
            "" | "_index" | "index" => "cell",
            name => name,
        }
    }

    /// Column names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }
}

impl Column {
    /// Bytes in memory, about.
    pub(crate) fn bytes(&self) -> usize {
        let texts = |texts: &[String]| texts.iter().map(|text| TEXT + text.len()).sum::<usize>();
        match self {
            Self::Text(values) => {
                values.iter().map(|text| TEXT + text.as_ref().map_or(0, String::len)).sum()
            }
            Self::Categorical { codes, categories, .. } => {
                size_of_val(codes.as_slice()) + texts(categories)
            }
            Self::Float(values) => size_of_val(values.as_slice()),
            Self::Integer(values) => size_of_val(values.as_slice()),
            Self::Boolean(values) => size_of_val(values.as_slice()),
        }
    }

    /// The column as text, one label a row; missing values, NaN among them, are `None`.
    ///
    /// Numbers and truth values are spelled as Python spells them (`1.0`, `True`), whether they are
    /// a column or the categories of one: the same label is the same text in every file.
    pub fn labels(&self) -> Vec<Option<String>> {
        match self {
            Self::Text(values) => values.clone(),
            Self::Categorical { codes, categories, .. } => codes
                .iter()
                .map(|code| code.and_then(|code| categories.get(code as usize).cloned()))
                .collect(),
            Self::Float(values) => values.iter().map(|value| real_label((*value)?)).collect(),
            Self::Integer(values) => {
                values.iter().map(|value| value.map(|value| value.to_string())).collect()
            }
            Self::Boolean(values) => {
                let label = |value| if value { "True" } else { "False" };
                values.iter().map(|value| value.map(|value| label(value).to_owned())).collect()
            }
        }
    }

    /// A categorical of `labels`; categories are sorted, as pandas does.
    pub fn categorical(labels: &[String]) -> Self {
        let mut categories: Vec<String> = labels.to_vec();
        categories.sort_unstable();
        categories.dedup();
        let codes = labels
            .iter()
            .map(|label| {
                categories.binary_search(label).ok().and_then(|code| u32::try_from(code).ok())
            })
            .collect();
        Self::Categorical { codes, categories, ordered: false }
    }

    /// A categorical of `labels` of which some are missing.
    pub fn with_gaps(labels: &[Option<String>]) -> Self {
        let mut categories: Vec<String> = labels.iter().flatten().cloned().collect();
        categories.sort_unstable();
        categories.dedup();
        let code = |label: &String| u32::try_from(categories.binary_search(label).ok()?).ok();
        let codes = labels.iter().map(|label| code(label.as_ref()?)).collect();
        Self::Categorical { codes, categories, ordered: false }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Categorical { codes, .. } => codes.len(),
            Self::Float(values) => values.len(),
            Self::Integer(values) => values.len(),
            Self::Boolean(values) => values.len(),
        }
    }

    /// A column of the given `rows`, in that order.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn pick(&self, rows: &[usize]) -> Self {
        fn of<T: Clone>(values: &[T], rows: &[usize]) -> Vec<T> {
            rows.iter().map(|&row| values[row].clone()).collect()
        }
        match self {
            Self::Text(values) => Self::Text(of(values, rows)),
            Self::Categorical { codes, categories, ordered } => Self::Categorical {
                codes: of(codes, rows),
                categories: categories.clone(),
                ordered: *ordered,
            },
            Self::Float(values) => Self::Float(of(values, rows)),
            Self::Integer(values) => Self::Integer(of(values, rows)),
            Self::Boolean(values) => Self::Boolean(of(values, rows)),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What kind of column it is, in words for `inspect`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Categorical { .. } => "categorical",
            Self::Float(_) => "float",
            Self::Integer(_) => "integer",
            Self::Boolean(_) => "boolean",
        }
    }
}

/// A real number as Python spells it; `None` for NaN.
#[allow(
    clippy::cast_possible_truncation,
    clippy::float_cmp,
    reason = "what was f32 is recognised by that"
)]
fn real_label(value: f64) -> Option<String> {
    /// Every whole number up to this one is also an `f32`.
    const EXACT: f64 = 16_777_216.0;
    let single = value as f32;
    let is_single = f64::from(single) == value && value.abs() < EXACT;
    let text = if is_single { format!("{single:?}") } else { format!("{value:?}") };
    let spelled = match text.split_once('e') {
        Some((digits, power)) => match power.strip_prefix('-') {
            Some(power) => format!("{digits}e-{power:0>2}"),
            None => format!("{digits}e+{power:0>2}"),
        },
        None => text,
    };
    (!value.is_nan()).then_some(spelled)
}

/// Column `name` of `obs`.
///
/// # Errors
/// If there is none; the message lists those there are.
pub fn obs_column<'a>(obs: &'a Frame, name: &str) -> Result<&'a Column> {
    obs.column(name).ok_or_else(|| {
        let names: Vec<&str> = obs.names().collect();
        let hint = similar_names(name, obs.names()).hint();
        Error::Option(format!(
            "column `{name}` not found in `obs` (has {}){hint}",
            names.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_truth_are_spelled_as_python_does() {
        let real = [1.0, 0.1, -2.5, 1e16, 5e-5, 1_234_567_890.0, f64::NAN, f64::from(0.1_f32)];
        let labels = Column::Float(real.map(Some).to_vec()).labels();
        let labels: Vec<&str> =
            labels.iter().map(|it| it.as_deref().unwrap_or("missing")).collect();
        let python = ["1.0", "0.1", "-2.5", "1e+16", "5e-05", "1234567890.0", "missing", "0.1"];
        assert_eq!(labels, python);
        let truth = Column::Boolean(vec![Some(true), None, Some(false)]).labels();
        assert_eq!(truth, [Some("True".into()), None, Some("False".into())]);
    }

    #[test]
    fn categorical_labels_round_trip() {
        let labels = ["b", "a", "b"].map(String::from);
        let column = Column::categorical(&labels);
        assert_eq!(column.labels(), labels.map(Some));
        assert!(
            matches!(column, Column::Categorical { categories, .. } if categories == ["a", "b"])
        );
    }
}
