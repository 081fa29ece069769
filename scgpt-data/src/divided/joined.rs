//! [`Parts`]: the files of all parts of a run, and what they found together.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    complete::{check_complete, differing},
    file::PartFile,
    manifest::{DividedRun, PartManifest},
    merge::{OfPart, merge},
};
use crate::{
    error::{Error, Result},
    frame::{Column, Frame},
    names::some_of,
    observer::Observer,
    part_number::PartNumber,
    row_spool::RowSpool,
    write::Additions,
};

/// All parts of a run, each once, in order.
#[allow(missing_debug_implementations, reason = "readers cannot be printed")]
pub struct Parts(Vec<PartFile>);

/// What all parts found together.
#[derive(Debug)]
pub struct JoinedCells {
    /// The names of the cells; there are no columns.
    pub obs: Frame,
    /// New columns of `obs` and matrices of `obsm`.
    pub additions: Additions,
    /// What is said of the cells together, and its name in `uns`.
    pub record: (String, Value),
}

impl Parts {
    /// The files that are named: each by itself, those in a folder, or those whose names begin like that of their
    /// output.
    ///
    /// # Errors
    /// If there are none, or a folder has those of several outputs.
    pub fn find(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for path in named {
            if path.is_file() {
                found.push(path.clone());
                continue;
            }
            let (folder, wanted) = if path.is_dir() {
                (path.clone(), None)
            } else {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                (path.parent().map(Path::to_owned).unwrap_or_default(), name)
            };
            let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
            let mut files: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let file = entry.file_name().to_string_lossy().into_owned();
                let Some((name, _)) = PartNumber::of_file_name(&file) else { continue };
                if wanted.as_ref().is_none_or(|wanted| wanted == name) {
                    files.entry(name.to_owned()).or_default().push(folder.join(&file));
                }
            }
            let names: Vec<String> = files.keys().cloned().collect();
            let mut files: Vec<PathBuf> = match files.len() {
                0 => {
                    let problem = format!("`{}`: no part of a run is there", path.display());
                    let remedy = "name files of parts, such as cells.part-0001-of-0016.parquet, their folder, or the beginning of \
                                  their names";
                    return Err(Error::unsuited(problem, remedy));
                }
                1 => files.into_values().flatten().collect(),
                _ => {
                    let problem = format!(
                        "`{}` has parts of several outputs: {}",
                        path.display(),
                        some_of(&names)
                    );
                    let remedy =
                        format!("name one of them, such as {}", folder.join(&names[0]).display());
                    return Err(Error::unsuited(problem, remedy));
                }
            };
            files.sort();
            found.extend(files);
        }
        Ok(found)
    }

    /// Opens files, and checks that they are all parts of one run, each once.
    ///
    /// # Errors
    /// If one is damaged, there twice or of another run, or some are missing: the message says which.
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        let mut files =
            paths.iter().map(|path| PartFile::open(path)).collect::<Result<Vec<_>>>()?;
        let Some((first, others)) = files.split_first() else {
            return Err(Error::Option("there are no parts".into()));
        };
        for other in others {
            first.check_same_run(other)?;
        }
        files.sort_by_key(|file| file.manifest().part);
        let manifest = files[0].manifest();
        let there: Vec<(PartNumber, &Path)> =
            files.iter().map(|file| (file.manifest().part, file.path())).collect();
        check_complete(&there, &manifest.line)?;
        Ok(Self(files))
    }

    /// What they have in common.
    pub fn run(&self) -> &DividedRun {
        &self.0[0].manifest().run
    }

    /// What the first of them says of itself.
    pub fn first(&self) -> &PartManifest {
        self.0[0].manifest()
    }

    /// Warnings of parts; those that not all of them have begin with which part it is.
    pub fn warnings(&self) -> Vec<String> {
        let with_cells: Vec<&PartManifest> = self.with_cells().map(PartFile::manifest).collect();
        let mut warnings = Vec::new();
        for manifest in &with_cells {
            for warning in &manifest.warnings {
                let is_all = with_cells.iter().all(|other| other.warnings.contains(warning));
                let said = if is_all {
                    warning.clone()
                } else {
                    format!("part {}: {warning}", manifest.part)
                };
                if !warnings.contains(&said) {
                    warnings.push(said);
                }
            }
        }
        warnings
    }

    fn with_cells(&self) -> impl Iterator<Item = &PartFile> {
        self.0.iter().filter(|file| file.manifest().cells > 0)
    }

    /// Reads all of them. Matrices wait in temporary files in `scratch`; memory holds names and columns.
    ///
    /// # Errors
    /// If one is damaged, or says what cannot be said of the same cells as others do; [`Error::Cancelled`] if the
    /// observer says so.
    pub fn read(&self, scratch: Option<&Path>, observer: &dyn Observer) -> Result<JoinedCells> {
        let record = self.record()?;
        let content = self.with_cells().map(|file| &file.manifest().content).next();
        let content = content.ok_or_else(|| Error::Option("no part has cells".into()))?;
        let spool = |(_, width): &(String, usize)| RowSpool::new_in(scratch, *width);
        let mut spools = content.matrices.iter().map(spool).collect::<Result<Vec<_>>>()?;
        let mut columns: Vec<Vec<Column>> = vec![Vec::new(); content.columns.len()];
        let mut names = Vec::with_capacity(self.run().cells.n_cells);
        observer.begin("joining", self.run().cells.n_cells);
        for file in self.with_cells() {
            let its = &file.manifest().content;
            let named = |it: &super::manifest::PartColumn| it.name.clone();
            if its.matrices != content.matrices
                || !its.columns.iter().map(named).eq(content.columns.iter().map(named))
            {
                return Err(file.foreign("it has other columns than the first part".into()));
            }
            file.read(&mut |rows| {
                observer.check_cancelled()?;
                observer.advance(rows.names.len());
                names.extend(rows.names.labels().into_iter().map(Option::unwrap_or_default));
                for (all, column) in columns.iter_mut().zip(rows.columns) {
                    all.push(column);
                }
                for (spool, values) in spools.iter_mut().zip(&rows.matrices) {
                    spool.push(values)?;
                }
                Ok(())
            })?;
        }
        let mut obs = Vec::new();
        for (at, blocks) in columns.into_iter().enumerate() {
            let name = content.columns[at].name.clone();
            let column = joined(blocks).and_then(|column| self.in_categories(at, column));
            let column = column.map_err(|problem| {
                Error::unsuited(
                    format!("column `{name}` of the parts: {problem}"),
                    "make all parts by one run of one version",
                )
            })?;
            obs.push((name, column));
        }
        let obsm = content.matrices.iter().map(|(name, _)| name.clone()).zip(spools).collect();
        let additions = Additions { obsm, obs, ..Additions::default() };
        let index_name = content.index.clone();
        Ok(JoinedCells {
            obs: Frame { index_name, index: names, columns: Vec::new() },
            additions,
            record,
        })
    }

    /// What is said of all cells together.
    fn record(&self) -> Result<(String, Value)> {
        let of = |file: &PartFile| {
            let PartManifest { part, cells, record, .. } = file.manifest().clone();
            record.map(|record| (part, cells, record))
        };
        let records: Vec<_> = self.with_cells().filter_map(of).collect();
        let Some((.., first)) = records.first() else {
            return Err(Error::Option("no part says what it found".into()));
        };
        let parts: Vec<OfPart<'_>> = records
            .iter()
            .map(|(part, cells, record)| OfPart {
                part: *part,
                cells: *cells,
                record: &record.record,
            })
            .collect();
        let merged = merge(&parts, &first.merge).map_err(|problem| {
            Error::unsuited(
                format!("the parts do not belong together: {problem}"),
                "make all of them in the same way, and in numbers that all processors have",
            )
        })?;
        Ok((first.name.clone(), merged))
    }

    /// A column of texts with the categories that it would have in a run over all cells: those that all parts have
    /// anyway, or those that cells have, in the order of the alphabet.
    fn in_categories(&self, at: usize, column: Column) -> Result<Column, String> {
        let of = |file: &PartFile| file.manifest().content.columns.get(at)?.categories.clone();
        let found: Vec<Option<(Vec<String>, bool)>> = self.with_cells().map(of).collect();
        let Some((first, ordered)) = found.first().cloned().flatten() else { return Ok(column) };
        let categories =
            if found.iter().all(|other| other.as_ref() == Some(&(first.clone(), ordered))) {
                first
            } else {
                let mut all = BTreeSet::new();
                for other in found {
                    match other {
                        Some((categories, false)) if !ordered && categories.is_sorted() => {
                            all.extend(categories);
                        }
                        _ => return Err("categories that differ".into()),
                    }
                }
                all.into_iter().collect()
            };
        let numbers: HashMap<&String, u32> = categories.iter().zip(0..).collect();
        let code = |label: Option<String>| match label {
            Some(label) => numbers.get(&label).copied().map(Some).ok_or(label),
            None => Ok(None),
        };
        let codes = column.labels().into_iter().map(code).collect::<Result<_, _>>();
        let codes = codes.map_err(|label| format!("`{label}` is none of its categories"))?;
        Ok(Column::Categorical { codes, categories, ordered })
    }
}

impl PartFile {
    /// Checks that another file is of the same run.
    fn check_same_run(&self, other: &Self) -> Result<()> {
        let [one, its] = [self, other].map(|file| {
            let PartManifest { part, run, .. } = file.manifest();
            json!({"parts": part.of(), "run": run})
        });
        let Some(said) = differing(&one, &its) else { return Ok(()) };
        let problem = format!("it is of another run than `{}`: {said}", self.path().display());
        Err(other.foreign(problem))
    }

    fn foreign(&self, problem: String) -> Error {
        Error::invalid(self.path(), "part", problem)
            .with_hint("leave it out, or make it again as the others were")
    }
}

/// Blocks of a column as one.
fn joined(blocks: Vec<Column>) -> Result<Column, String> {
    let mut blocks = blocks.into_iter();
    let Some(mut all) = blocks.next() else { return Err("no rows".into()) };
    for block in blocks {
        match (&mut all, block) {
            (Column::Text(all), Column::Text(more)) => all.extend(more),
            (Column::Float(all), Column::Float(more)) => all.extend(more),
            (Column::Integer(all), Column::Integer(more)) => all.extend(more),
            (Column::Boolean(all), Column::Boolean(more)) => all.extend(more),
            (all, more) => return Err(format!("{} and {}", all.kind(), more.kind())),
        }
    }
    Ok(all)
}
