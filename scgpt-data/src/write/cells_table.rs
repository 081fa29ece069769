//! [`make_cells_table`]: what was found of cells, as a table.

use std::{borrow::Cow, ops::Range, path::Path};

use super::Additions;
use crate::{
    error::Result,
    frame::{Column, Frame},
    output::{Existing, Place, check_apart},
    row_spool::RowSpool,
    table::{TableWriter, Values},
};

/// Values of a block of rows, about.
const VALUES: usize = 1 << 21;

/// Writes a table with a row for each cell of `obs`: its name, the new columns, and every column of the new
/// matrices by its number, such as `X_scGPT_0`. A name in `.parquet` makes it parquet, one in `.tsv`
/// tab-separated, any other comma-separated text. What has no row a cell is left out.
///
/// Memory holds a block of rows.
///
/// # Errors
/// [`Error::Exists`](crate::Error::Exists) if `output` exists and `existing` refuses it,
/// [`Error::Protected`](crate::Error::Protected) if it is the `input`, and if it cannot be written. After an error
/// nothing of the output is left behind.
pub fn make_cells_table(
    obs: &Frame,
    additions: &Additions,
    input: &Path,
    output: &Path,
    existing: Existing,
) -> Result<Place> {
    check_apart(output, [input])?;
    additions.check(obs.len(), additions.varm.first().map_or(0, |(_, rows)| rows.n_rows()))?;
    let columns = additions.obs.iter().map(|(name, _)| name.clone());
    let spools = additions.obsm.iter().flat_map(|(name, rows)| {
        let names = additions.obsm_columns.get(name).filter(|it| it.len() == rows.n_columns());
        (0..rows.n_columns()).map(move |column| match names {
            Some(names) => format!("{name}_{}", names[column]),
            None => format!("{name}_{column}"),
        })
    });
    let names: Vec<String> =
        std::iter::once(obs.name_column().to_owned()).chain(columns).chain(spools).collect();
    let rows = (VALUES / names.len()).max(1);
    let begin = block(obs, additions, 0..obs.len().min(rows))?;
    let mut writer = TableWriter::create(output, existing, names, &begin)?;
    writer.push(&begin)?;
    for first in (rows..obs.len()).step_by(rows) {
        writer.push(&block(obs, additions, first..obs.len().min(first + rows))?)?;
    }
    writer.finish()
}

/// Some rows of the table.
fn block(obs: &Frame, additions: &Additions, rows: Range<usize>) -> Result<Vec<Values<'static>>> {
    let column = |column| Values::Column(Cow::Owned(column));
    let names = obs.index[rows.clone()].iter().cloned().map(Some);
    let mut block = vec![column(Column::Text(names.collect()))];
    let chosen: Vec<usize> = rows.clone().collect();
    block.extend(additions.obs.iter().map(|(_, whole)| column(whole.pick(&chosen))));
    for (_, spool) in &additions.obsm {
        block.extend(columns(spool, &rows)?.into_iter().map(Values::Single));
    }
    Ok(block)
}

/// Some rows of a matrix, column by column.
fn columns(spool: &RowSpool, rows: &Range<usize>) -> Result<Vec<Vec<f32>>> {
    let mut values = Vec::new();
    spool.read_rows(rows.start, rows.len(), &mut values)?;
    let width = spool.n_columns();
    let column = |at: usize| values.iter().skip(at).step_by(width).copied().collect();
    Ok((0..width).map(column).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, table::Table};

    #[test]
    fn a_table_has_a_row_a_cell_and_numbers_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let obs = Frame::of_names(["a", "b,c"]);
        let mut rows = RowSpool::new(2).unwrap();
        rows.push(&[0.1, -2.0, 1e-7, 3.5]).unwrap();
        let types = Column::with_gaps(&[Some("T cell".into()), None]);
        let additions = Additions {
            obsm: vec![("X_own".into(), rows)],
            obs: vec![("type".into(), types)],
            ..Additions::default()
        };
        let input = folder.path().join("cells.h5ad");
        let write = |output: &Path, existing| {
            make_cells_table(&obs, &additions, &input, output, existing)?.publish()
        };
        let csv = folder.path().join("cells.csv");
        write(&csv, Existing::Refuse).unwrap();
        let text = std::fs::read_to_string(&csv).unwrap();
        assert_eq!(text, "cell,type,X_own_0,X_own_1\na,T cell,0.1,-2\n\"b,c\",,1e-7,3.5\n");
        assert!(matches!(write(&csv, Existing::Refuse), Err(Error::Exists { .. })));
        write(&csv, Existing::Replace).unwrap();
        if cfg!(feature = "parquet") {
            let parquet = folder.path().join("cells.parquet");
            write(&parquet, Existing::Refuse).unwrap();
            let read = Table::read(&parquet).unwrap();
            assert_eq!(read.names().collect::<Vec<_>>(), ["cell", "type", "X_own_0", "X_own_1"]);
            let small = Column::Float(vec![Some(f64::from(0.1_f32)), Some(f64::from(1e-7_f32))]);
            assert_eq!(read.column("X_own_0").unwrap(), &small);
        }
        let named = Additions {
            obsm_columns: [("X_own".to_owned(), vec!["B cell".to_owned(), "T".into()])].into(),
            ..additions
        };
        make_cells_table(&obs, &named, &input, &csv, Existing::Replace).unwrap().publish().unwrap();
        let text = std::fs::read_to_string(&csv).unwrap();
        assert!(text.starts_with("cell,type,X_own_B cell,X_own_T\n"), "{text}");
        let more = Frame::of_names(["a", "b", "c"]);
        assert!(make_cells_table(&more, &named, &input, &csv, Existing::Replace).is_err());
    }
}
