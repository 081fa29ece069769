//! [`AnnotatedCells`]: cells of a source with further columns of `obs`, from a table by the names of
//! cells, or with the name of their sample.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
};

use crate::{
    cell_source::CellSource,
    error::{Error, Result},
    frame::{Column, Frame, join},
    names::some_of,
    narrow::narrow,
    table::Table,
};

/// Column of `obs` with the sample of every cell, see [`AnnotatedCells::of_sample`].
pub const SAMPLE: &str = "sample";
/// Names that a message shows of either side.
const SHOWN: usize = 3;

/// A source whose `obs` has the columns of a table, or one with the sample, too.
#[derive(Debug)]
pub struct AnnotatedCells<S> {
    source: S,
    obs: Frame,
    /// Number of columns that are new; they come last.
    n_new: usize,
}

/// What a table had to say of the cells of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedTable {
    /// The file of the table.
    pub path: PathBuf,
    /// Its column with the names of cells.
    pub by: String,
    /// Its other columns, which join `obs`.
    pub columns: Vec<String>,
    /// Number of cells that are in the table.
    pub found: usize,
    /// Number of all cells.
    pub of: usize,
}

impl<S: CellSource> AnnotatedCells<S> {
    /// Joins the table at `path` (text or parquet, see [`Table::read`]) with the cells of `source`: by the
    /// column that names most of them. A cell that is not in the table has missing values.
    ///
    /// # Errors
    /// If the table cannot be read, names no cell or one twice, or has a column that `obs` has, too.
    pub fn join(source: S, path: &Path) -> Result<(Self, JoinedTable)> {
        let (obs, joined) = join_table(source.obs()?, path)?;
        Ok((Self { source, obs, n_new: joined.columns.len() }, joined))
    }

    /// The cells as those of one sample among others: their names end in `-` and that of the sample, as with
    /// `index_unique="-"` of anndata's `concat`, and a column `sample` has it, in place of one of that name.
    ///
    /// # Errors
    /// If `obs` is missing or broken.
    pub fn of_sample(source: S, sample: &str) -> Result<Self> {
        let mut obs = source.obs()?;
        for name in &mut obs.index {
            name.push('-');
            name.push_str(sample);
        }
        obs.columns.retain(|(name, _)| name != SAMPLE);
        let names = vec![sample.to_owned(); obs.len()];
        obs.columns.push((SAMPLE.into(), Column::categorical(&names)));
        Ok(Self { source, obs, n_new: 1 })
    }

    /// The source without what is new.
    pub fn bare(&self) -> &S {
        &self.source
    }

    /// As [`bare`](Self::bare), to be changed; not in its number of cells.
    pub(crate) fn bare_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// The new columns, with a value a cell.
    pub fn columns(&self) -> &[(String, Column)] {
        &self.obs.columns[self.obs.columns.len() - self.n_new..]
    }
}

/// Adds the columns of the table at `path` to `obs`; see [`AnnotatedCells::join`].
pub(crate) fn join_table(obs: Frame, path: &Path) -> Result<(Frame, JoinedTable)> {
    let Table { mut columns } = Table::read(path)?;
    let places: HashMap<&str, usize> = obs.index.iter().map(String::as_str).zip(0..).collect();
    let names_of = |column: &Column| {
        let is_cell = |name: &String| places.contains_key(name.as_str());
        match column {
            Column::Text(_) | Column::Integer(_) => {
                column.labels().iter().flatten().filter(|name| is_cell(name)).count()
            }
            _ => 0,
        }
    };
    let found: Vec<usize> = columns.iter().map(|(_, column)| names_of(column)).collect();
    // Of equals, the first.
    let by = (0..columns.len()).rev().max_by_key(|&column| found[column]).unwrap_or_default();
    if found.get(by).is_none_or(|&found| found == 0) {
        let first = |names: &[String]| some_of(&names[..names.len().min(SHOWN)]);
        let theirs: Vec<String> = columns.first().map_or_else(Vec::new, |(_, column)| {
            column.labels().into_iter().flatten().take(SHOWN).collect()
        });
        let problem = format!(
            "no column names cells of the input, such as {}; its first has {}",
            first(&obs.index),
            first(&theirs)
        );
        return Err(Error::invalid(path, "table", problem)
            .with_hint("one column has to have the names of the cells, those of obs_names"));
    }
    let (by, names) = columns.remove(by);
    if let Some((twice, _)) = columns.iter().find(|(name, _)| obs.column(name).is_some()) {
        return Err(Error::invalid(path, twice, "`obs` has a column of that name")
            .with_hint("rename the column, or leave it out"));
    }
    let mut rows: HashMap<String, u32> = HashMap::new();
    for (row, name) in names.labels().into_iter().enumerate() {
        let Some(name) = name else { continue };
        if let Some(before) = rows.insert(name.clone(), narrow(row)) {
            let problem = format!("`{name}` is in rows {} and {}", before + 1, row + 1);
            return Err(Error::invalid(path, &by, problem).with_hint("leave a row for each cell"));
        }
    }
    let of_cells: Vec<Option<u32>> = obs.index.iter().map(|name| rows.get(name).copied()).collect();
    let joined = JoinedTable {
        path: path.into(),
        by,
        columns: columns.iter().map(|(name, _)| name.clone()).collect(),
        found: of_cells.iter().flatten().count(),
        of: obs.len(),
    };
    let table = Frame { columns, ..Frame::default() };
    let Frame { index_name, index, columns } = obs;
    let new = join::join(&[(table, of_cells)], index);
    let columns = columns.into_iter().chain(new.columns).collect();
    Ok((Frame { index_name, index: new.index, columns }, joined))
}

impl<S: CellSource> CellSource for AnnotatedCells<S> {
    crate::forward!(source: summary, var, read, read_obsm, read_lists, unread);

    fn obs(&self) -> Result<Frame> {
        Ok(self.obs.clone())
    }
}

impl fmt::Display for JoinedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, by, columns, found, of } = self;
        let columns = some_of(columns);
        write!(
            f,
            "{found} of {of} cells are in `{}`, by its column `{by}`: {columns} join obs",
            path.display()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{csr::Csr, memory_cells::MemoryCells};

    fn cells() -> MemoryCells<'static> {
        let rows = (0..3).map(|_| (vec![0], vec![1.0]));
        let mut obs = Frame::of_names(["a", "b", "c"]);
        obs.columns.push(("n".into(), Column::Integer(vec![Some(1), Some(2), Some(3)])));
        MemoryCells::of(Csr::of_rows(1, rows).unwrap(), obs, Frame::of_names(["CD4"])).unwrap()
    }

    #[test]
    fn columns_of_a_table_join_by_the_names_of_cells() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, "tissue,cell,age\nlung,c,40\nblood,x,3\nblood,a,\n").unwrap();
        let (annotated, joined) = AnnotatedCells::join(cells(), &path).unwrap();
        assert_eq!((joined.by.as_str(), joined.found, joined.of), ("cell", 2, 3));
        let said = joined.to_string();
        assert!(
            said.starts_with("2 of 3 cells are in") && said.ends_with("`tissue`, `age` join obs"),
            "{said}"
        );
        let obs = annotated.obs().unwrap();
        assert_eq!(obs.names().collect::<Vec<_>>(), ["n", "tissue", "age"]);
        let tissue = obs.column("tissue").unwrap().labels();
        assert_eq!(tissue, [Some("blood".into()), None, Some("lung".into())]);
        assert_eq!(obs.column("age"), Some(&Column::Integer(vec![None, None, Some(40)])));
        assert_eq!(annotated.columns().len(), 2);
    }

    #[test]
    fn cells_of_a_sample_have_its_name() {
        let first = AnnotatedCells::of_sample(cells(), "lane1").unwrap();
        let obs = AnnotatedCells::of_sample(first, "b").unwrap().obs().unwrap();
        assert_eq!(obs.index[2], "c-lane1-b");
        assert_eq!(obs.names().collect::<Vec<_>>(), ["n", SAMPLE]);
        assert_eq!(obs.column(SAMPLE).unwrap().labels()[0].as_deref(), Some("b"));
    }

    #[test]
    fn what_cannot_be_joined_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        for (text, part) in [
            (
                "cell,x\nq,1\n",
                "no column names cells of the input, such as `a`, `b`, `c`; its first has `q`",
            ),
            ("cell,x\na,1\na,2\n", "`a` is in rows 1 and 2"),
            ("cell,n\na,1\n", "`obs` has a column of that name"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = AnnotatedCells::join(cells(), &path).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
