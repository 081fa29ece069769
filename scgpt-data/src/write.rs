//! Writing: copies of an input with additions, and new files.
//!
//! ```text
//! save_copy       a copy of the input; into it, what is new        (the same container)
//!                 or: every element anew, block by block           (another container)
//! make_part       chosen cells of an input, and all it has of them (a new container)
//! make_mudata_part  the same of MuData
//! export          any source: obs, var, X in rows                  (a new container)
//! make_slots      names of cells and additions alone              (a new container)
//! make_cells_table  the same                                      (a table)
//! ```
//!
//! Whatever the way, the file or folder is built in a [`Place`] and appears by a rename. [`Sink`]
//! is what all of them write into, and has two implementations, of HDF5 and of zarr. What AnnData
//! means by a table or a categorical is in `anndata`, above the sink: the encodings are the same in
//! both.

mod anndata;
#[cfg(feature = "mudata")]
mod beneath;
mod cells_table;
mod convert;
mod copy;
mod element;
mod export;
#[cfg(feature = "h5ad")]
mod h5;
#[cfg(feature = "mudata")]
mod mudata;
mod part;
mod slots;
mod table;
#[cfg(all(test, feature = "h5ad", feature = "zarr"))]
mod tests;
#[cfg(feature = "zarr")]
mod zarr;

#[cfg(feature = "h5ad")]
use std::fs::{self, File};
use std::{collections::BTreeMap, io, path::Path};

use serde_json::{Value, json};

use self::element::{Dtype, Sink};
#[cfg(feature = "h5ad")]
use self::h5::H5Sink;
#[cfg(feature = "mudata")]
pub use self::mudata::make_mudata_part;
#[cfg(feature = "zarr")]
use self::zarr::ZarrSink;
pub use self::{
    cells_table::make_cells_table,
    export::{export, export_mudata, make_export},
    part::make_part,
    slots::make_slots,
};
#[cfg(feature = "zarr")]
use crate::address::is_url;
use crate::{
    anndata::{
        frame,
        store::{Node, join},
    },
    container::Container,
    csr::Csr,
    error::{Error, Result},
    frame::Column,
    lent::is_lent,
    output::{Existing, OutputKind, Place, check_apart},
    row_spool::RowSpool,
};

/// What an output has beyond the cells it was made from. A name that exists is replaced.
///
/// A slash in a name becomes `_`: it separates the parts of a path.
///
/// ```no_run
/// use std::path::Path;
///
/// use scgpt_data::{Additions, Existing, RowSpool, save_copy};
///
/// let mut embedding = RowSpool::new(2)?;
/// embedding.push(&[0.1, 0.2])?;
/// let additions = Additions { obsm: vec![("X_own".into(), embedding)], ..Additions::default() };
/// save_copy(Path::new("one_cell.h5ad"), Path::new("embedded.h5ad"), &additions, Existing::Refuse)?;
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Additions {
    /// Matrices with one row a cell.
    pub obsm: Vec<(String, RowSpool)>,
    /// Names of the columns of matrices of `obsm`, by theirs, where they have some: a table has them, and `obsm` of a file
    /// has none.
    pub obsm_columns: BTreeMap<String, Vec<String>>,
    /// Matrices of cells against cells.
    pub obsp: Vec<(String, Csr)>,
    /// Columns with one entry a cell.
    pub obs: Vec<(String, Column)>,
    /// Matrices with one row a gene of `X`.
    pub varm: Vec<(String, RowSpool)>,
    /// Unstructured values. Objects become dictionaries, lists of one kind become arrays.
    pub uns: Vec<(String, Value)>,
}

/// What a copy could not carry over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyReport {
    /// Paths of elements that the output lacks, each with the reason.
    pub skipped: Vec<String>,
}

/// Rows of a spool that are written at a time.
const ROWS: usize = 1024;

impl Additions {
    /// Paths of all elements, such as `obsm/X_scGPT`, as they are written.
    pub fn slots(&self) -> Vec<String> {
        let of = |group: &'static str, name: &str| join(group, &anndata::member(name));
        let obs = self.obs.iter().map(|(name, _)| of("obs", name));
        let obsm = self.obsm.iter().map(|(name, _)| of("obsm", name));
        let obsp = self.obsp.iter().map(|(name, _)| of("obsp", name));
        let varm = self.varm.iter().map(|(name, _)| of("varm", name));
        let uns = self.uns.iter().map(|(name, _)| of("uns", name));
        obs.chain(obsm).chain(obsp).chain(varm).chain(uns).collect()
    }

    /// Checks that everything has one row a cell, or one a gene.
    ///
    /// # Errors
    /// [`Error::Option`] that names the first that has another number of rows.
    pub(crate) fn check(&self, n_cells: usize, n_genes: usize) -> Result<()> {
        let obsm = self.obsm.iter().map(|(name, rows)| ("obsm", name, rows.n_rows()));
        let obs = self.obs.iter().map(|(name, column)| ("obs", name, column.len()));
        let varm = self.varm.iter().map(|(name, rows)| ("varm", name, rows.n_rows()));
        let wrong = |n: usize| move |&(.., rows): &(&str, &String, usize)| rows != n;
        let obsp = self.obsp.iter().flat_map(|(name, pairs)| {
            [pairs.n_cells(), pairs.n_genes()].map(|rows| ("obsp", name, rows))
        });
        let of_cells =
            obsm.chain(obsp).chain(obs).find(wrong(n_cells)).map(|it| (it, n_cells, "cells"));
        let of_genes = varm.into_iter().find(wrong(n_genes)).map(|it| (it, n_genes, "genes"));
        match of_cells.or(of_genes) {
            Some(((group, name, rows), n, things)) => Err(Error::Option(format!(
                "the new `{group}/{name}` has {rows} rows, but there are {n} {things}"
            ))),
            None => Ok(()),
        }
    }

    /// Writes the additions into `sink`, whose groups may exist.
    ///
    /// Names in `obs` come last in the order of columns, unless they were there. Whatever has one
    /// of these names already is replaced, with everything in it.
    fn write(&self, sink: &mut dyn Sink) -> Result<()> {
        if !self.obsm.is_empty() {
            sink.group("obsm", &anndata::dict())?;
        }
        for (name, spool) in &self.obsm {
            write_spool(sink, &format!("obsm/{}", anndata::member(name)), spool)?;
        }
        if !self.obsp.is_empty() {
            sink.group("obsp", &anndata::dict())?;
        }
        for (name, pairs) in &self.obsp {
            anndata::csr(sink, &format!("obsp/{}", anndata::member(name)), pairs)?;
        }
        if !self.obs.is_empty() {
            self.write_obs(sink)?;
        }
        if !self.varm.is_empty() {
            sink.group("varm", &anndata::dict())?;
        }
        for (name, spool) in &self.varm {
            write_spool(sink, &format!("varm/{}", anndata::member(name)), spool)?;
        }
        if !self.uns.is_empty() {
            sink.group("uns", &anndata::dict())?;
        }
        for (name, value) in &self.uns {
            anndata::json(sink, &format!("uns/{}", anndata::member(name)), value)?;
        }
        Ok(())
    }

    /// Writes new columns, and names them in `column-order`: AnnData does not read a column that is
    /// not there.
    fn write_obs(&self, sink: &mut dyn Sink) -> Result<()> {
        let mut order = match sink.attrs("obs")?.remove("column-order") {
            Some(Value::Array(names)) => names,
            _ => Vec::new(),
        };
        for (name, column) in &self.obs {
            let name = anndata::member(name);
            anndata::column(sink, &format!("obs/{name}"), column)?;
            if !order.contains(&json!(name)) {
                order.push(json!(name));
            }
        }
        sink.set_attr("obs", "column-order", &Value::Array(order))
    }
}

/// A matrix of `f32` in blocks of [`ROWS`] rows, so that memory does not depend on its size.
fn write_spool(sink: &mut dyn Sink, path: &str, spool: &RowSpool) -> Result<()> {
    let (rows, columns) = (spool.n_rows(), spool.n_columns());
    let shape = [rows as u64, columns as u64];
    sink.begin(path, Dtype::F32, &shape, &anndata::dense())?;
    let mut bytes = Vec::new();
    for first in (0..rows).step_by(ROWS) {
        let n = ROWS.min(rows - first);
        spool.read_bytes(first, n, &mut bytes)?;
        sink.push(&bytes)?;
    }
    sink.end()
}

/// Copies `input` (h5ad, AnnData-zarr folder or zip, or the folder at a URL) to `output` with `additions`;
/// everything else is carried over.
///
/// An output that ends in `.zarr` is a zarr folder, any other an h5ad file. Within one container
/// the copy is exact and what is new is appended, so that memory does not depend on the size of the
/// input; tables of the first AnnData versions that get something new take today's form. Between
/// containers (a new zarr folder has version 2), and for the few HDF5 files that cannot grow, every
/// element is written anew in blocks and HDF5 arrays become uncompressed; what has no counterpart,
/// or cannot be read, is left out and reported, and nothing refers to it.
///
/// # Errors
/// [`Error::Exists`] if `output` exists and `existing` refuses it, [`Error::Protected`] if it is the
/// input, holds it or lies in it, [`Error::Open`] if the input cannot be read, [`Error::Write`] if the output cannot be
/// written. After an error nothing of the output is left behind; the input is never touched.
pub fn save_copy(
    input: &Path,
    output: &Path,
    additions: &Additions,
    existing: Existing,
) -> Result<CopyReport> {
    let (place, report) = make_copy(input, output, additions, existing)?;
    place.publish()?;
    Ok(report)
}

/// As [`save_copy`], but for the last step: the copy lies in a [`Place`], to be published by the
/// caller.
///
/// # Errors
/// As [`save_copy`].
pub fn make_copy(
    input: &Path,
    output: &Path,
    additions: &Additions,
    existing: Existing,
) -> Result<(Place, CopyReport)> {
    check_apart(output, [input])?;
    let place = Container::named(output).place(output, existing)?;
    let container = Container::of(input)?;
    let store = container.open(input)?;
    let is_hdf5 = container == Container::Hdf5;
    if !is_hdf5 {
        store.check()?;
    }
    let Some(n_cells) = frame::len(store.as_ref(), "obs")? else {
        return Err(Error::invalid(input, "obs", "the table of cells is missing"));
    };
    additions.check(n_cells, frame::len(store.as_ref(), "var")?.unwrap_or(0))?;

    let mut report = CopyReport::default();
    let skipped = &mut report.skipped;
    let mut sink = if let Some(mut sink) = extend(input, output, &place)? {
        let of_genes = (!additions.varm.is_empty()).then_some("varm");
        // Categories of `obs` and `var` are in one place, so they take today's form together.
        for table in ["obs", "var", "obsm"].into_iter().chain(of_genes) {
            table::split(store.as_ref(), table, sink.as_mut(), skipped)?;
        }
        if !additions.obs.is_empty() && matches!(store.node("obs")?, Some(Node::Group)) {
            let mut attrs = store.attributes("obs")?;
            let before = attrs.clone();
            convert::complete(store.as_ref(), "obs", &mut attrs)?;
            for (name, value) in attrs.iter().filter(|(name, _)| !before.contains_key(*name)) {
                sink.set_attr("obs", name, value)?;
            }
        }
        sink
    } else {
        let mut sink = Container::named(output).create(&place, output)?;
        if is_hdf5 {
            store.check()?;
        }
        convert::convert(store.as_ref(), sink.as_mut(), skipped)?;
        skipped.extend(store.unlisted());
        sink
    };
    additions.write(sink.as_mut())?;
    sink.finish()?;
    drop(sink);
    Ok((place, report))
}

/// A copy of `input` at `place` that can be extended; `None` if its elements have to be written
/// anew, into another container, because the file cannot grow, from a URL, whose files cannot all
/// be listed, or because its matrices are lent, and not in the file.
///
/// For HDF5 it is found out by trying: a file that [`H5Sink`] cannot extend is not damaged, and its
/// copy goes again. A zip is unpacked, since nothing can be added to one in place.
fn extend(input: &Path, output: &Path, place: &Place) -> Result<Option<Box<dyn Sink>>> {
    let failed = |error: io::Error| Error::write(output, error);
    let copy = place.path();
    if is_lent(input) {
        return Ok(None);
    }
    match (Container::of(input)?, Container::named(output)) {
        #[cfg(feature = "h5ad")]
        (Container::Hdf5, Container::Hdf5) => {
            copy::copy(input, &copy).map_err(failed)?;
            match H5Sink::extend(&copy, output) {
                Ok(sink) => Ok(Some(Box::new(sink))),
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    fs::remove_file(&copy).map_err(failed)?;
                    Ok(None)
                }
                Err(error) => Err(failed(error)),
            }
        }
        #[cfg(feature = "zarr")]
        (from @ (Container::Zarr | Container::Zip), Container::Zarr) if !is_url(input) => {
            let is_zip = from == Container::Zip;
            let copied = if is_zip { copy::unzip(input, &copy) } else { copy::copy(input, &copy) };
            copied.map_err(failed)?;
            Ok(Some(Box::new(ZarrSink::extend(&copy, output)?)))
        }
        _ => Ok(None),
    }
}

impl Container {
    /// The place where such a container is made.
    fn place(self, output: &Path, existing: Existing) -> Result<Place> {
        match self {
            Self::Hdf5 => Place::new(output, existing),
            _ => Place::folder(output, existing, OutputKind::ZARR),
        }
    }

    /// A new, empty container at `place`.
    fn create(self, place: &Place, output: &Path) -> Result<Box<dyn Sink>> {
        match self {
            #[cfg(feature = "h5ad")]
            Self::Hdf5 => {
                let file =
                    File::create_new(place.path()).map_err(|error| Error::write(output, error))?;
                Ok(Box::new(H5Sink::create(file, output)?))
            }
            #[cfg(feature = "zarr")]
            Self::Zarr | Self::Zip => Ok(Box::new(ZarrSink::create(&place.path(), output)?)),
            #[cfg(not(all(feature = "h5ad", feature = "zarr")))]
            other => Err(other.left_out(output)),
        }
    }
}
