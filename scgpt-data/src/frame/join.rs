//! [`join`]: the annotations of several sources as one table.

use super::{Column, Frame};

/// The annotations of a source, and for each cell of the whole its row there.
pub(crate) type Table = (Frame, Vec<Option<u32>>);

/// The values of a column of that kind.
macro_rules! of {
    ($kind:ident, $column:expr) => {
        if let Column::$kind(values) = $column { Some(values) } else { None }
    };
}
/// Joins the columns of all sources, in the order in which they are met; where several have a value
/// for a cell, the first counts.
pub(crate) fn join(tables: &[Table], cells: Vec<String>) -> Frame {
    let mut names: Vec<&str> = Vec::new();
    for name in tables.iter().flat_map(|(table, _)| table.names()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let n = cells.len();
    let columns = names.into_iter().map(|name| {
        let parts: Vec<(&Column, &[Option<u32>])> = tables
            .iter()
            .filter_map(|(table, rows)| Some((table.column(name)?, rows.as_slice())))
            .collect();
        (name.to_owned(), merge(&parts, n))
    });
    Frame { index_name: "_index".into(), columns: columns.collect(), index: cells }
}

fn merge(parts: &[(&Column, &[Option<u32>])], n: usize) -> Column {
    if let [(column, rows)] = parts
        && rows.len() == column.len()
        && rows.iter().zip(0..).all(|(row, place)| *row == Some(place))
    {
        return (*column).clone();
    }
    let numbers = || {
        None.or_else(|| of_kind(parts, n, |column| of!(Float, column)).map(Column::Float))
            .or_else(|| of_kind(parts, n, |column| of!(Integer, column)).map(Column::Integer))
            .or_else(|| of_kind(parts, n, |column| of!(Boolean, column)).map(Column::Boolean))
    };
    numbers().unwrap_or_else(|| {
        let labels: Vec<Column> =
            parts.iter().map(|(column, _)| Column::Text(column.labels())).collect();
        let parts: Vec<_> =
            labels.iter().zip(parts).map(|(column, (_, rows))| (column, *rows)).collect();
        let labels = of_kind(&parts, n, |column| of!(Text, column));
        Column::with_gaps(&labels.unwrap_or_default())
    })
}

/// The merged values of columns that are all of one kind.
fn of_kind<T: Clone>(
    parts: &[(&Column, &[Option<u32>])],
    n: usize,
    values: impl Fn(&Column) -> Option<&Vec<Option<T>>>,
) -> Option<Vec<Option<T>>> {
    let mut merged = vec![None; n];
    for (column, rows) in parts {
        let values = values(column)?;
        for (value, row) in merged.iter_mut().zip(*rows) {
            if value.is_none() {
                *value = row.and_then(|row| values[row as usize].clone());
            }
        }
    }
    Some(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_of_a_cell_counts_and_gaps_stay() {
        let table = |name: &str, column: Column| Frame {
            columns: vec![(name.into(), column)],
            ..Frame::default()
        };
        let batch = |labels: [&str; 2]| Column::categorical(&labels.map(String::from));
        let tables = [
            (table("batch", batch(["x", "y"])), vec![Some(0), None, Some(1), None]),
            (table("batch", batch(["z", "x"])), vec![Some(1), Some(0), Some(0), None]),
            (table("depth", Column::Float(vec![Some(2.5)])), vec![None, None, None, Some(0)]),
        ];
        let cells = ["a", "b", "c", "d"].map(String::from).to_vec();
        let obs = join(&tables, cells);
        let labels = obs.column("batch").unwrap().labels();
        assert_eq!(labels, [Some("x"), Some("z"), Some("y"), None].map(|l| l.map(String::from)));
        assert_eq!(obs.column("depth"), Some(&Column::Float(vec![None, None, None, Some(2.5)])));
    }
}
