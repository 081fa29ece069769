//! Which columns of an edge list are source, target and weight: by the names that tools give them.

use std::path::Path;

use scgpt_data::{Column, Result, Table};

/// Names in lower case, letters and digits only; the likeliest first.
const SOURCE: [&str; 12] = [
    "source",
    "tf",
    "regulator",
    "regulatorygene",
    "transcriptionfactor",
    "gene1",
    "genea",
    "from",
    "node1",
    "protein1",
    "sourcegenesymbol",
    "source0",
];
const TARGET: [&str; 11] = [
    "target",
    "targetgene",
    "gene2",
    "geneb",
    "to",
    "node2",
    "protein2",
    "targetgenes",
    "targetgenesymbol",
    "target0",
    "gene",
];
const WEIGHT: [&str; 14] = [
    "weight",
    "importance",
    "strength",
    "edgeweight",
    "score",
    "mor",
    "combinedscore",
    "coefmean",
    "coef",
    "coefficient",
    "similarity",
    "correlation",
    "value",
    "confidence",
];

/// Places of the columns; an edge list may have no weights.
pub(super) struct Columns {
    pub(super) source: usize,
    pub(super) target: usize,
    pub(super) weight: Option<usize>,
}

impl Columns {
    /// Finds the columns of a table read from `path`. A weight without a known name is the only column of
    /// numbers that is left.
    ///
    /// # Errors
    /// If no column is named as source or target, or several could be the weight.
    pub(super) fn find(path: &Path, table: &Table) -> Result<Self> {
        let plain: Vec<String> = table.names().map(plain).collect();
        let named = |names: &[&str]| {
            names.iter().find_map(|name| plain.iter().position(|column| column == name))
        };
        let invalid = |problem: String| {
            let hint = "name the columns of an edge list source, target and weight";
            scgpt_data::Error::invalid(path, "columns", problem).with_hint(hint)
        };
        let (Some(source), Some(target)) = (named(&SOURCE), named(&TARGET)) else {
            let names: Vec<String> = table.names().map(|name| format!("`{name}`")).collect();
            let there_are = names.join(", ");
            return Err(invalid(format!("no source and target of edges (there are {there_are})")));
        };
        let is_number = |place: &usize| {
            let (name, column) = &table.columns[*place];
            // pandas writes the number of a row into a column without a name.
            *place != source && *place != target && !name.is_empty() && number(column, 0).is_some()
        };
        let numbers: Vec<usize> = (0..plain.len()).filter(is_number).collect();
        let weight = match (named(&WEIGHT), numbers.as_slice()) {
            (Some(weight), _) => Some(weight),
            (None, []) => None,
            (None, [weight]) => Some(*weight),
            (None, several) => {
                let name = |&place: &usize| format!("`{}`", table.columns[place].0);
                let names = several.iter().map(name).collect::<Vec<_>>().join(", ");
                return Err(invalid(format!("which one is the weight, of {names}?")));
            }
        };
        Ok(Self { source, target, weight })
    }
}

/// The letters and digits of a name in lower case, so that `Regulatory.Gene` and `regulatory_gene`
/// are the same.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// A value that is a finite number.
#[allow(clippy::cast_precision_loss, reason = "weights of other tools are no larger")]
pub(super) fn number(column: &Column, row: usize) -> Option<f64> {
    match column {
        Column::Float(values) => *values.get(row)?,
        Column::Integer(values) => values.get(row)?.map(|value| value as f64),
        _ => None,
    }
    .filter(|value| value.is_finite())
}
