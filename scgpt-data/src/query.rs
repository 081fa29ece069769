//! [`CellQuery`]: which cells a condition in SQL chooses, by their annotations.
//!
//! The condition is parsed and computed by polars, for which the columns that it names, and no others,
//! become a data frame. Categoricals become text there, so that every function of text takes them.
//! A missing value is NULL, and so is NaN, which polars would take for the largest of all numbers: what
//! is compared with either is neither true nor false, and the cell is not chosen.

use std::{
    collections::{BTreeSet, HashSet},
    fmt,
    str::FromStr,
};

use polars::prelude::{
    BooleanChunked, Column as Series, DataFrame, Expr, Float64Chunked, FunctionExpr, Int64Chunked,
    IntoLazy as _, IntoSeries as _, LiteralValue, NewChunkedArray as _, Operator, PlSmallStr,
    StringChunked,
};
use serde::{Serialize, Serializer};

use crate::{
    cell_source::CellSource,
    error::{Error, Result},
    frame::{Column, Frame, obs_column},
    guard::guarded,
    names::similar_names,
    subset::ChosenCells,
    summary::CellChoice,
};

/// A condition on the annotations of cells: an expression of SQL that is true of some of them.
///
/// Names are those of columns of `obs`, in double quotes if they are no plain words (`"cell type"`);
/// `index` is the name of the cell, unless a column is called so. Text is in single quotes.
///
/// ```
/// use scgpt_data::{CellQuery, Column, Frame};
///
/// let mut obs = Frame::of_names(["a", "b", "c"]);
/// let tissue = [Some("blood".to_owned()), None, Some("lung".to_owned())];
/// obs.columns.push(("tissue".into(), Column::with_gaps(&tissue)));
/// obs.columns.push(("genes".into(), Column::Integer(vec![Some(900), Some(800), None])));
///
/// let query: CellQuery = "tissue = 'blood' AND genes > 500".parse()?;
/// assert_eq!(query.cells(&obs)?, [0]);
/// let query: CellQuery = "tissue <> 'blood' OR genes IS NULL".parse()?;
/// assert_eq!(query.cells(&obs)?, [2]);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone)]
pub struct CellQuery {
    text: String,
    condition: Expr,
}

impl CellQuery {
    /// The cells of `source` for which the condition is true; there may be none.
    ///
    /// # Errors
    /// As for [`cells`](Self::cells).
    pub fn choose(&self, source: &dyn CellSource) -> Result<ChosenCells> {
        self.among(&source.obs()?).map_err(Error::in_file(&source.summary().path))
    }

    /// The rows of a table for which the condition is true; there may be none.
    pub(crate) fn among(&self, obs: &Frame) -> Result<ChosenCells> {
        let cells = self.cells(obs)?;
        let absent = self.absent(obs);
        let condition = self.text.clone();
        let choice = CellChoice { condition, kept: cells.len(), of: obs.len() };
        Ok(ChosenCells { choice, cells, absent })
    }

    /// The names of columns in the condition.
    pub fn names(&self) -> Vec<String> {
        let names: BTreeSet<PlSmallStr> =
            self.condition.clone().meta().root_names().into_iter().collect();
        names.into_iter().map(|name| name.to_string()).collect()
    }

    /// The rows of `obs` for which the condition is true, ascending; none for which it is NULL.
    ///
    /// # Errors
    /// If it names a column that is not there (the message has similar ones), compares what cannot be
    /// compared, or is neither true nor false of a cell.
    pub fn cells(&self, obs: &Frame) -> Result<Vec<usize>> {
        let names = self.names();
        let (mut columns, mut kinds) = (Vec::new(), Vec::new());
        for name in &names {
            columns.push(match obs.column(name) {
                None if is_index(name, obs) => {
                    text(name, obs.index.iter().map(|name| Some(name.as_str())))
                }
                None => return Err(self.unknown(name, obs)),
                Some(column) => {
                    kinds.push(format!("`{name}` is {}", column.kind()));
                    series(name, column)
                }
            });
        }
        let kinds =
            if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
        let problem = |what: &dyn fmt::Display| {
            Error::Option(format!(
                "where {}: {what}{kinds}; text is in single quotes, numbers in none",
                self.text
            ))
        };
        let chosen = guarded(|| {
            DataFrame::new(obs.len(), columns)?
                .lazy()
                .select([self.condition.clone().alias("chosen")])
                .collect()
        })
        .map_err(|error| problem(&error))?;
        let chosen = &chosen.columns()[0];
        let is_chosen = chosen.bool().map_err(|_| {
            problem(&format_args!("a condition is true or false, this is {}", chosen.dtype()))
        })?;
        // What depends on no column has one value for all cells.
        if is_chosen.len() == 1 && obs.len() != 1 {
            let all = is_chosen.get(0) == Some(true);
            return Ok(if all { (0..obs.len()).collect() } else { Vec::new() });
        }
        Ok(is_chosen
            .iter()
            .zip(0..)
            .filter(|(is, _)| *is == Some(true))
            .map(|(_, row)| row)
            .collect())
    }

    /// A sentence for each text that a column of `obs` is compared with and has nowhere.
    fn absent(&self, obs: &Frame) -> Vec<String> {
        let mut absent = BTreeSet::new();
        for (name, value) in compared(&self.condition) {
            let Some(values) = obs.column(&name).and_then(distinct) else { continue };
            if !values.contains(value.as_str()) {
                let hint = similar_names(&value, values.iter().copied()).hint();
                absent.insert(format!("no cell has `{name}` = '{value}'{hint}"));
            }
        }
        absent.into_iter().collect()
    }

    /// The error for a name that is no column. It may be a text without its quotes.
    fn unknown(&self, name: &str, obs: &Frame) -> Error {
        let error = match obs_column(obs, name) {
            Err(Error::Option(problem)) => problem,
            _ => String::new(),
        };
        let is_value = obs
            .columns
            .iter()
            .find(|(_, column)| distinct(column).is_some_and(|it| it.contains(name)));
        let hint = is_value.map_or_else(String::new, |(column, _)| {
            format!("; text is in single quotes: {column} = '{name}'")
        });
        Error::Option(format!("where {}: {error}{hint}", self.text))
    }
}

/// Whether a name that is no column stands for the index.
fn is_index(name: &str, obs: &Frame) -> bool {
    name == "index" || name == obs.index_name
}

/// The texts of a column, each once; `None` if it is not of texts.
fn distinct(column: &Column) -> Option<HashSet<&str>> {
    match column {
        Column::Text(values) => Some(values.iter().flatten().map(String::as_str).collect()),
        Column::Categorical { codes, categories, .. } => {
            // Categories outlive their cells.
            let codes: HashSet<u32> = codes.iter().flatten().copied().collect();
            let category = |code: u32| categories.get(code as usize).map(String::as_str);
            Some(codes.into_iter().filter_map(category).collect())
        }
        _ => None,
    }
}

/// Columns and the texts that they are compared with, by `=`, `<>` or `IN`.
fn compared(condition: &Expr) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for expression in condition {
        let (column, values) = match expression {
            Expr::BinaryExpr { left, op: Operator::Eq | Operator::NotEq, right } => {
                match (left.as_ref(), right.as_ref()) {
                    (Expr::Column(name), value) | (value, Expr::Column(name)) => (name, value),
                    _ => continue,
                }
            }
            Expr::Function { input, function: FunctionExpr::Boolean(_) } => {
                match input.as_slice() {
                    [Expr::Column(name), values] => (name, values),
                    _ => continue,
                }
            }
            _ => continue,
        };
        for value in values {
            let Expr::Literal(value) = value else { continue };
            let texts: Vec<String> = match value {
                LiteralValue::Series(list) => match list.str() {
                    Ok(list) => list.iter().flatten().map(String::from).collect(),
                    Err(_) => Vec::new(),
                },
                value => value.extract_str().map(String::from).into_iter().collect(),
            };
            pairs.extend(texts.into_iter().map(|text| (column.to_string(), text)));
        }
    }
    pairs
}

/// A column as polars has it.
fn series(name: &str, column: &Column) -> Series {
    let name = || PlSmallStr::from_str(name);
    match column {
        Column::Text(values) => text(&name(), values.iter().map(Option::as_deref)),
        Column::Categorical { codes, categories, .. } => {
            let label = |code: &Option<u32>| categories.get((*code)? as usize).map(String::as_str);
            text(&name(), codes.iter().map(label))
        }
        Column::Float(values) => {
            let values = values.iter().map(|value| value.filter(|value| !value.is_nan()));
            Float64Chunked::from_iter_options(name(), values).into_series().into()
        }
        Column::Integer(values) => {
            Int64Chunked::from_iter_options(name(), values.iter().copied()).into_series().into()
        }
        Column::Boolean(values) => {
            BooleanChunked::from_iter_options(name(), values.iter().copied()).into_series().into()
        }
    }
}

fn text<'a>(name: &str, values: impl Iterator<Item = Option<&'a str>>) -> Series {
    StringChunked::from_iter_options(PlSmallStr::from_str(name), values).into_series().into()
}

impl FromStr for CellQuery {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let condition = guarded(|| polars::sql::sql_expr(text)).map_err(|error| {
            let example = "expected a condition in SQL, such as tissue = 'blood' AND n_genes > 500";
            Error::Option(format!("{error}; {example}"))
        })?;
        Ok(Self { text: text.trim().to_owned(), condition })
    }
}

impl fmt::Display for CellQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for CellQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CellQuery").field(&self.text).finish()
    }
}

impl Serialize for CellQuery {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[&str]) -> Vec<Option<String>> {
        let some = |value: &&str| Some((*value).to_owned()).filter(|value| !value.is_empty());
        values.iter().map(some).collect()
    }

    fn obs() -> Frame {
        let mut obs = Frame::of_names(["c0", "c1", "c2", "c3", "c4", "c5"]);
        let tissue = texts(&["blood", "lung", "", "blood", "bone marrow", "lung"]);
        obs.columns = vec![
            ("tissue".into(), Column::with_gaps(&tissue)),
            ("cell type".into(), Column::Text(texts(&["T", "B", "T", "", "NK", "it's"]))),
            (
                "primary".into(),
                Column::Boolean(
                    [1, 0, 2, 1, 1, 0].map(|is| [Some(false), Some(true), None][is]).to_vec(),
                ),
            ),
            (
                "genes".into(),
                Column::Integer([9, 8, 7, 6, 5, 0].map(|n| (n > 0).then_some(n)).to_vec()),
            ),
            (
                "share".into(),
                Column::Float(
                    [Some(0.5), Some(f64::NAN), None, Some(-1.0), Some(0.0), Some(f64::INFINITY)]
                        .to_vec(),
                ),
            ),
            (
                "date".into(),
                Column::Text(texts(&[
                    "2020-01-31",
                    "2021-06-01",
                    "",
                    "2019-12-31",
                    "2020-02-01",
                    "2022-01-01",
                ])),
            ),
        ];
        obs
    }

    fn cells(condition: &str) -> Vec<usize> {
        condition.parse::<CellQuery>().unwrap().cells(&obs()).unwrap()
    }

    fn refused(condition: &str) -> String {
        match condition.parse::<CellQuery>() {
            Ok(query) => query.cells(&obs()).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn columns_of_any_kind_and_missing_values_as_sql_has_them() {
        for (condition, expected) in [
            ("tissue = 'blood'", &[0, 3][..]),
            ("tissue <> 'blood'", &[1, 4, 5]),
            ("NOT (tissue = 'blood')", &[1, 4, 5]),
            ("tissue IS NULL", &[2]),
            ("tissue IS NOT NULL AND primary", &[0, 3, 4]),
            ("tissue IN ('lung', 'bone marrow')", &[1, 4, 5]),
            ("tissue NOT IN ('lung', 'bone marrow')", &[0, 3]),
            ("tissue LIKE 'b%' AND tissue NOT LIKE '%marrow'", &[0, 3]),
            ("tissue = 'blood' OR primary", &[0, 3, 4]),
            ("\"cell type\" = 'it''s'", &[5]),
            ("UPPER(tissue) = 'LUNG'", &[1, 5]),
            ("primary", &[0, 3, 4]),
            ("NOT primary", &[1, 5]),
            ("primary = false", &[1, 5]),
            ("primary IS NULL", &[2]),
            ("genes BETWEEN 6 AND 8", &[1, 2, 3]),
            ("genes % 2 = 1 AND genes > 5", &[0, 2]),
            ("genes IS NULL OR genes < 6", &[4, 5]),
            ("share > 0", &[0, 5]),
            ("share <= 0", &[3, 4]),
            ("share IS NULL", &[1, 2]),
            ("share <> 0.5", &[3, 4, 5]),
            ("date >= '2020-01-01' AND date < '2021-01-01'", &[0, 4]),
            ("index IN ('c1', 'c9')", &[1]),
            ("_index = 'c2'", &[2]),
            ("1 = 1", &[0, 1, 2, 3, 4, 5]),
            ("tissue = 'heart'", &[]),
        ] {
            assert_eq!(cells(condition), expected, "{condition}");
        }
    }

    #[test]
    fn what_is_no_condition_says_why() {
        for (condition, parts) in [
            (
                "tisue = 'blood'",
                &["where tisue", "`tisue` not found in `obs`", "similar names: tissue"][..],
            ),
            (
                "tissue = blood",
                &["`blood` not found", "text is in single quotes: tissue = 'blood'"],
            ),
            ("tissue = \"blood\"", &["text is in single quotes: tissue = 'blood'"]),
            ("tissue", &["true or false", "`tissue` is categorical"]),
            ("genes > 'many'", &["`genes` is integer"]),
            ("tissue = ", &["expected a condition in SQL"]),
            ("", &["expected a condition in SQL"]),
            ("genes IN (SELECT genes FROM self)", &[]),
        ] {
            let message = refused(condition);
            for part in parts {
                assert!(message.contains(part), "{condition}: {message}");
            }
        }
        let deep = format!("{}1 = 1{}", "(".repeat(100_000), ")".repeat(100_000));
        refused(&deep);
    }

    #[test]
    fn texts_that_no_cell_has_are_named_with_similar_ones() {
        let absent = |condition: &str| condition.parse::<CellQuery>().unwrap().absent(&obs());
        let lungs = "no cell has `tissue` = 'lungs'; similar names: lung".to_owned();
        assert_eq!(absent("tissue = 'lungs' OR primary").concat(), lungs);
        assert_eq!(absent("tissue IN ('lungs', 'blood') AND 'lungs' <> tissue"), [lungs]);
        assert!(absent("tissue = 'lung' AND date > '2020' AND genes = 3").is_empty());
        // A category that is left of cells that are gone is as good as none.
        let mut obs = obs().pick(&[0, 1, 2, 3]);
        obs.index_name = "cell".into();
        let query: CellQuery = "tissue = 'bone marrow'".parse().unwrap();
        assert_eq!(query.absent(&obs), ["no cell has `tissue` = 'bone marrow'"]);
        assert_eq!("cell = 'c3'".parse::<CellQuery>().unwrap().cells(&obs).unwrap(), [3]);
    }

    /// `cargo test --release -p scgpt-data ten_million -- --ignored --nocapture`
    #[test]
    #[ignore = "takes seconds and 2 GB"]
    #[allow(clippy::print_stderr, reason = "a measurement")]
    fn ten_million_cells() {
        let n = 10_000_000;
        let categories = ["blood", "lung", "bone marrow", "heart"].map(String::from).to_vec();
        let codes = (0..n).map(|cell| Some(cell % 4)).collect();
        let mut obs = Frame { index: vec![String::new(); n as usize], ..Frame::default() };
        obs.columns = vec![
            ("tissue".into(), Column::Categorical { codes, categories, ordered: false }),
            ("primary".into(), Column::Boolean((0..n).map(|cell| Some(cell % 3 != 0)).collect())),
            (
                "genes".into(),
                Column::Integer((0..n).map(|cell| Some(i64::from(cell % 5000))).collect()),
            ),
        ];
        for condition in [
            "tissue = 'blood'",
            "tissue IN ('blood', 'lung') AND primary AND genes > 500",
            "tissue LIKE 'b%'",
        ] {
            let query: CellQuery = condition.parse().unwrap();
            let begin = std::time::Instant::now();
            let cells = query.cells(&obs).unwrap();
            let seconds = begin.elapsed().as_secs_f64();
            eprintln!("{condition}: {} cells in {seconds:.2} s", cells.len());
        }
    }
}
