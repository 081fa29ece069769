//! [`AnnData`]: the AnnData layout, read the same way from h5ad files and from zarr.
//!
//! ```text
//! X                 a dense array [cells, genes], or a group of a compressed sparse matrix:
//!   data            the stored values
//!   indices         the gene (by rows, csr) or the cell (by columns, csc) of each of them
//!   indptr          where every row or column begins, and the end of the last
//! layers/NAME       further matrices of the same shape
//! raw/X, raw/var    the matrix before genes were selected; `raw.X`, `raw.var` before version 0.7
//! obs, var          a table of the cells and one of the genes, see [`frame`]
//! obsm/NAME         one row a cell: embeddings, proteins of CITE-seq; an array or a table
//! varm, obsp, varp  the same for genes, and pairwise; named in the summary, not read
//! uns/NAME          whatever else there is; only lists of texts are read
//! ```
//!
//! Attributes `encoding-type`, `encoding-version` and `shape` say what a group is; files before
//! version 0.7 say it by `h5sparse_format` and `h5sparse_shape`. A file is opened by its shapes
//! alone. A matrix by rows is read where it is asked for; one by columns is turned into rows by
//! [`RowSort`](crate::rowsort::RowSort), in one pass over it, when it is read first. What is not
//! needed, such as an element of `uns` in an encoding of another tool, is no obstacle to the rest.

pub(crate) mod chunk;
mod dtype;
pub(crate) mod extent;
pub(crate) mod frame;
mod kept;
pub(crate) mod matrix;
pub(crate) mod number;
pub(crate) mod records;
pub(crate) mod store;

use std::{collections::BTreeMap, ops::Range};

use crate::{
    anndata::{
        kept::Kept,
        matrix::Matrix,
        store::{Dtype, Node, Store, join, members},
    },
    cell_source::CellSource,
    check,
    csr::Csr,
    error::{Error, Result},
    frame::Frame,
    summary::{Layer, MatrixSummary, Summary},
};

/// Groups whose members are listed in the summary.
const ELEMENTS: [&str; 5] = ["obsm", "obsp", "varm", "varp", "uns"];

/// An h5ad file or an AnnData-zarr store, current or of any earlier version.
pub struct AnnData {
    store: Box<dyn Store>,
    summary: Summary,
    matrices: Vec<(Layer, Matrix)>,
    /// Smallest value a matrix may hold.
    least: f32,
}

impl std::fmt::Debug for AnnData {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("AnnData").field(&self.summary).finish()
    }
}

impl AnnData {
    /// Whether the root of `store` looks like AnnData.
    pub(crate) fn recognises(members: &[String]) -> bool {
        let has = |name: &str| members.iter().any(|member| member == name);
        has("obs") && has("var") || has("X") && (has("obs") || has("var"))
    }

    /// Opens the matrices; nothing but their shapes is read.
    pub(crate) fn open(store: Box<dyn Store>) -> Result<Self> {
        let mut places = vec![(Layer::X, "X".to_owned())];
        if let Some(Node::Group) = store.node("layers")? {
            for name in store.children("layers")? {
                let place = join("layers", &name);
                places.push((Layer::Named(name), place));
            }
        }
        // Before version 0.7 the group had a dot in its name.
        places.extend(["raw/X", "raw.X"].map(|place| (Layer::Raw, place.to_owned())));
        let (mut matrices, mut elements) = (Vec::new(), Vec::new());
        for (layer, place) in places {
            match Matrix::open(store.as_ref(), &place) {
                Ok(Some(matrix)) => matrices.push((layer, matrix)),
                Ok(None) => {}
                Err(cause) if layer == Layer::X || cause.is_transfer() => return Err(cause),
                // No obstacle to work on the other matrices.
                Err(_) => elements.push(format!("{place} (not a matrix that can be read)")),
            }
        }
        let n_obs = frame::len(store.as_ref(), "obs")?;
        let n_cells = matrices.first().map_or(n_obs.unwrap_or(0), |(_, matrix)| matrix.n_cells);
        if let Some(rows) = n_obs
            && rows != n_cells
        {
            let problem = format!("{rows} rows, but the matrix has {n_cells}");
            return Err(Error::invalid(store.path(), "obs", problem));
        }
        if let Some((_, other)) = matrices.iter().find(|(_, matrix)| matrix.n_cells != n_cells) {
            let problem = format!("{} cells, but `obs` has {n_cells}", other.n_cells);
            return Err(Error::invalid(store.path(), &other.place, problem));
        }
        for group in ELEMENTS {
            // What these hold is not needed, and no obstacle to what is.
            match members(store.as_ref(), group) {
                Ok(members) => elements.extend(members.iter().map(|name| join(group, name))),
                Err(cause) if cause.is_transfer() => return Err(cause),
                Err(_) => elements.push(format!("{group} (cannot be listed)")),
            }
        }
        let summary = Summary {
            path: store.path().into(),
            format: store.format(),
            n_cells,
            matrices: matrices
                .iter()
                .map(|(layer, matrix)| MatrixSummary {
                    layer: layer.clone(),
                    n_genes: matrix.n_genes,
                    n_stored: matrix.n_stored(),
                    encoding: matrix.encoding(),
                    dtype: matrix.dtype().to_owned(),
                })
                .collect(),
            elements,
            chosen: None,
            values: None,
        };
        Ok(Self { store, summary, matrices, least: 0.0 })
    }

    /// Lets matrices hold negative numbers.
    pub(crate) fn allow_negative(&mut self) {
        self.least = f32::MIN;
    }

    /// Names of the columns of `obsm[name]`, which has `width` of them: those of a table, or those
    /// of a list of texts in `uns` that is as long, preferably one named after the matrix. `None`
    /// if nothing names them.
    pub(crate) fn obsm_names(&self, name: &str, width: usize) -> Result<Option<Vec<String>>> {
        let place = join("obsm", name);
        if self.is_table(&place)? {
            let table = frame::read(self.store.as_ref(), &place)?;
            return Ok(Some(table.names().map(String::from).collect()));
        }
        let mut lists = members(self.store.as_ref(), "uns")?;
        let word = name.split('_').next().unwrap_or(name);
        lists.sort_by_key(|list| (!list.starts_with(name), !list.starts_with(word)));
        for list in lists {
            if let Some(Node::Array(array)) = self.store.node(&join("uns", &list))?
                && *array.dtype() == Dtype::Text
                && array.shape() == [width]
            {
                return Ok(Some(array.texts()?));
            }
        }
        Ok(None)
    }

    /// Whether the group at `place` is a table.
    fn is_table(&self, place: &str) -> Result<bool> {
        Ok(matches!(self.store.node(place)?, Some(Node::Group))
            && self.store.attributes(place)?.get("encoding-type") == Some(&"dataframe".into()))
    }

    /// Reads the table at `place`.
    ///
    /// # Errors
    /// If it is missing or broken, or has not the given number of rows.
    fn table(&self, place: &str, rows: Option<usize>) -> Result<Frame> {
        let frame = frame::read(self.store.as_ref(), place)?;
        match rows {
            Some(rows) if rows != frame.len() => Err(Error::invalid(
                self.store.path(),
                place,
                format!("{} rows, but the matrix has {rows}", frame.len()),
            )),
            _ => Ok(frame),
        }
    }
}

/// Rows written out with their zeros, `width` values each, row-major.
fn dense((indptr, indices, values): check::Rows, width: usize) -> Vec<f32> {
    let mut rows = vec![0.0; indptr.len().saturating_sub(1) * width];
    for (row, ends) in rows.chunks_mut(width.max(1)).zip(indptr.windows(2)) {
        for at in ends[0]..ends[1] {
            if let Some(value) = row.get_mut(indices[at] as usize) {
                *value = values[at];
            }
        }
    }
    rows
}

impl CellSource for AnnData {
    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn obs(&self) -> Result<Frame> {
        self.table("obs", Some(self.summary.n_cells))
    }

    fn var(&self, layer: &Layer) -> Result<Frame> {
        let matrix =
            self.matrices.iter().find(|(other, _)| other == layer).map(|(_, matrix)| matrix);
        let place = match (layer, matrix) {
            (Layer::Raw, Some(matrix)) if matrix.place == "raw.X" => "raw.var",
            (Layer::Raw, Some(_)) => "raw/var",
            // How anndata writes that there is none: `raw` is there, and nothing.
            (Layer::Raw, None) => return Err(self.summary.missing(layer)),
            _ => "var",
        };
        self.table(place, matrix.map(|matrix| matrix.n_genes))
    }

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> Result<Csr> {
        self.summary.check_rows(layer, &rows)?;
        let path = self.store.path();
        let Some((_, matrix)) = self.matrices.iter_mut().find(|(other, _)| other == layer) else {
            return Err(self.summary.missing(layer));
        };
        let parts = matrix.read(path, &rows)?;
        let (place, n_genes) = (matrix.place.clone(), matrix.n_genes);
        check::block(path, &place, &rows, (n_genes, self.least), parts, |gene| {
            self.var(layer).ok()?.index.get(gene).cloned()
        })
    }

    fn read_obsm(&mut self, name: &str, rows: Range<usize>) -> Result<(Vec<f32>, usize)> {
        let place = join("obsm", name);
        if self.is_table(&place)? {
            return self.table(&place, Some(self.summary.n_cells))?.numbers(rows).map_err(
                |problem| {
                    Error::invalid(self.store.path(), &place, problem)
                        .with_hint("store the matrix as an array, or remove the columns of text")
                },
            );
        }
        let Some(mut matrix) = Matrix::open(self.store.as_ref(), &place)? else {
            return Err(self.summary.missing_obsm(name));
        };
        let path = self.store.path();
        if rows.end > matrix.n_cells {
            let problem = format!("{} rows, {} were asked for", matrix.n_cells, rows.end);
            return Err(Error::invalid(path, &place, problem));
        }
        let width = matrix.n_genes;
        let values = dense(matrix.read(path, &rows)?, width);
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let cell = rows.start + at / width.max(1);
            let problem = format!("value {} of cell {cell}, expected numbers", values[at]);
            let hint = "remove the cell, or make the embedding anew";
            return Err(Error::invalid(path, &place, problem).with_hint(hint));
        }
        Ok((values, width))
    }

    fn unread(&self) -> Result<Vec<String>> {
        let mut left = frame::unread(self.store.as_ref(), "obs")?;
        left.extend(frame::unread(self.store.as_ref(), "var")?);
        left.extend(self.store.unlisted());
        Ok(left)
    }

    fn read_lists(&self, name: &str) -> Result<BTreeMap<String, Vec<String>>> {
        let place = join("uns", name);
        let mut lists = BTreeMap::new();
        // Each key with its place: those of a dictionary, or a list of its own.
        let members: Vec<(String, String)> = match self.store.node(&place)? {
            Some(Node::Group) => {
                let keys = self.store.children(&place)?.into_iter();
                keys.map(|key| (join(&place, &key), key)).collect()
            }
            Some(Node::Array(_)) => vec![(place.clone(), name.to_owned())],
            _ => return Ok(lists),
        };
        let mut kept = Kept::of(self.store.as_ref(), &place);
        for (place, key) in members {
            if let Some(Node::Array(array)) = self.store.node(&place)?
                && *array.dtype() == Dtype::Text
            {
                let texts = array.texts()?;
                kept.add(&key, frame::text_bytes(texts.iter().map(String::as_str)))?;
                lists.insert(key, texts);
            }
        }
        Ok(lists)
    }
}
