//! [`make_slots`]: what was found of cells, for a program that has the cells itself.

use std::path::Path;

use super::{Additions, anndata};
use crate::{
    cell_source::CellSource,
    container::Container,
    error::Result,
    frame::Frame,
    output::{Existing, Place, check_apart},
    summary::Layer,
};

/// Writes a small AnnData file without a matrix: the names of the cells of `source`, those of its genes if there is
/// something of them, and `additions`; to be published by the caller.
///
/// # Errors
/// As [`make_export`](super::make_export).
pub fn make_slots(
    source: &dyn CellSource,
    additions: &Additions,
    output: &Path,
    existing: Existing,
) -> Result<Place> {
    check_apart(output, [source.summary().path.as_path()])?;
    let obs = names(source.obs()?);
    let var = if additions.varm.is_empty() { Frame::default() } else { source.var(&Layer::X)? };
    additions.check(obs.len(), var.len())?;
    let place = Container::named(output).place(output, existing)?;
    let mut sink = Container::named(output).create(&place, output)?;
    for (name, value) in &anndata::encoding("anndata", "0.1.0") {
        sink.set_attr("", name, value)?;
    }
    anndata::frame(sink.as_mut(), "obs", &obs)?;
    anndata::frame(sink.as_mut(), "var", &names(var))?;
    additions.write(sink.as_mut())?;
    sink.finish()?;
    drop(sink);
    Ok(place)
}

/// A table without its columns.
fn names(table: Frame) -> Frame {
    Frame { columns: Vec::new(), ..table }
}

#[cfg(all(test, feature = "h5ad"))]
mod tests {
    use super::*;
    use crate::{Error, MemoryCells, RowSpool, Source, csr::Csr, frame::Column};

    #[test]
    fn slots_have_the_names_of_cells_and_what_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("slots.h5ad");
        let matrix = Csr::of_rows(2, [(vec![0], vec![3.0]), (vec![1], vec![5.0])]).unwrap();
        let mut obs = Frame::of_names(["a", "b"]);
        obs.columns.push(("old".into(), Column::categorical(&["x".to_owned(), "y".into()])));
        let cells = MemoryCells::of(matrix, obs, Frame::of_names(["CD3D", "CD4"])).unwrap();
        let rows = |values: &[f32]| {
            let mut rows = RowSpool::new(1).unwrap();
            rows.push(values).unwrap();
            rows
        };
        let mut additions = Additions {
            obsm: vec![("X_new".into(), rows(&[1.0, 2.0]))],
            obs: vec![("new".into(), Column::Integer(vec![Some(1), None]))],
            ..Additions::default()
        };
        let write = |additions: &Additions, existing| {
            make_slots(&cells, additions, &output, existing)?.publish()
        };
        write(&additions, Existing::Refuse).unwrap();
        let mut read = Source::open(&output).unwrap();
        let written = read.obs().unwrap();
        assert_eq!(written.index, ["a", "b"]);
        assert_eq!(written.names().collect::<Vec<_>>(), ["new"]);
        assert_eq!(read.read_obsm("X_new", 0..2).unwrap(), (vec![1.0, 2.0], 1));
        assert_eq!(read.summary().elements, ["obsm/X_new"]);
        assert!(read.summary().matrices.is_empty());
        assert!(matches!(write(&additions, Existing::Refuse), Err(Error::Exists { .. })));

        additions.varm.push(("genes".into(), rows(&[3.0, 4.0])));
        write(&additions, Existing::Replace).unwrap();
        let store = Container::Hdf5.open(&output).unwrap();
        let var = crate::anndata::frame::read(store.as_ref(), "var").unwrap();
        assert_eq!(var.index, ["CD3D", "CD4"]);
        additions.varm.push(("wrong".into(), rows(&[3.0])));
        assert!(write(&additions, Existing::Replace).is_err());
    }
}
