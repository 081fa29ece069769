//! [`make_part`]: chosen cells of an AnnData file, with all that the file has of them, as a new one.
//!
//! ```text
//! X, layers, raw       their rows of the chosen cells, as compressed rows of f32
//! obs, obsm            their rows
//! obsp                 left out: what lies between two cells was made of all of them
//! anything else        as it is
//! ```

use std::path::Path;

use super::{
    Additions, CopyReport, anndata,
    convert::{convert_but, reason},
    element::{Dtype, Sink},
    export::{matrix, note_choice},
    write_spool,
};
use crate::{
    anndata::{
        frame,
        store::{Node, Store},
    },
    cell_source::CellSource,
    container::Container,
    error::{Error, Result},
    output::{Existing, Place, check_apart},
    row_spool::RowSpool,
    source::Source,
    subset::CellSubset,
    summary::Layer,
};

/// What is of cells, or has a part of its own here.
const OF_CELLS: [&str; 10] =
    ["X", "layers", "mod", "obs", "obsm", "obsmap", "obsp", "raw", "raw.X", "raw.var"];
/// Rows of `obsm` that are read at a time.
const ROWS: usize = 4096;

/// Writes the chosen cells of an AnnData file to `output`, with `additions` that have one row a chosen
/// cell; to be published by the caller. What cannot be carried over is left out and reported.
///
/// # Errors
/// As [`save_copy`](super::save_copy).
pub fn make_part(
    cells: &mut CellSubset<Source>,
    output: &Path,
    additions: &Additions,
    existing: Existing,
) -> Result<(Place, CopyReport)> {
    let input = cells.summary().path.clone();
    check_apart(output, [input.as_path()])?;
    let place = Container::named(output).place(output, existing)?;
    let store = Container::of(&input)?.open(&input)?;
    store.check()?;
    additions.check(cells.summary().n_cells, cells.var(&Layer::X)?.len())?;
    let mut report = CopyReport::default();
    let mut sink = Container::named(output).create(&place, output)?;
    write(cells, store.as_ref(), sink.as_mut(), (&place, output), &mut report.skipped)?;
    additions.write(sink.as_mut())?;
    sink.finish()?;
    drop(sink);
    Ok((place, report))
}

/// Writes what `store` has of the chosen cells, which are its own, into `sink`. What is of several modalities
/// is left to the caller.
pub(super) fn write(
    cells: &mut CellSubset<Source>,
    store: &dyn Store,
    sink: &mut dyn Sink,
    (place, output): (&Place, &Path),
    skipped: &mut Vec<String>,
) -> Result<()> {
    // What is carried over is not judged.
    cells.whole_mut().allow_negative();
    convert_but(&OF_CELLS, store, sink, skipped)?;
    for group in ["layers", "obsm", "obsp", "uns", "varm", "varp"] {
        sink.group(group, &anndata::dict())?;
    }
    let of_obs = |column: &String| column.starts_with("obs/");
    skipped.extend(cells.unread()?.into_iter().filter(of_obs));
    skipped.extend(store.unlisted());
    anndata::frame(sink, "obs", &cells.obs()?)?;
    matrices(cells, sink, (place, output), skipped)?;
    for element in cells.summary().elements.clone() {
        if element.starts_with("obsm/") {
            if let Err(error) = rows(cells, store, sink, &element) {
                if matches!(error, Error::Write { .. }) || error.is_transfer() {
                    return Err(error);
                }
                sink.remove(&element)?;
                skipped.push(format!("{element}: {}", reason(&error)));
            }
        } else if element.starts_with("obsp/") {
            skipped.push(format!("{element}: made of all cells, of which some were chosen"));
        }
    }
    note_choice(cells, sink, "uns")
}

/// Writes the rows of all matrices; one that cannot be read is left out.
fn matrices(
    cells: &mut CellSubset<Source>,
    sink: &mut dyn Sink,
    (place, output): (&Place, &Path),
    skipped: &mut Vec<String>,
) -> Result<()> {
    for of in cells.summary().matrices.clone() {
        let to = match &of.layer {
            Layer::X => "X".to_owned(),
            Layer::Raw => "raw/X".to_owned(),
            Layer::Named(name) => format!("layers/{}", anndata::member(name)),
        };
        if of.layer == Layer::Raw {
            sink.group("raw", &anndata::encoding("raw", "0.1.0"))?;
            anndata::frame(sink, "raw/var", &cells.var(&Layer::Raw)?)?;
            sink.group("raw/varm", &anndata::dict())?;
        }
        let spool =
            tempfile::tempfile_in(place.scratch()).map_err(|error| Error::write(output, error))?;
        match matrix(cells, &of.layer, sink, spool, (&to, of.n_genes)) {
            Err(error) if matches!(error, Error::Write { .. }) || error.is_transfer() => {
                return Err(error);
            }
            Err(error) => {
                let left = if of.layer == Layer::Raw { "raw" } else { &to };
                sink.remove(left)?;
                skipped.push(format!("{left}: {}", reason(&error)));
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Writes the rows of an element of `obsm`: of an array as they are, of a table as those of `obs`, of a sparse
/// matrix with their zeros.
fn rows(
    cells: &mut CellSubset<Source>,
    store: &dyn Store,
    sink: &mut dyn Sink,
    place: &str,
) -> Result<()> {
    let array = match store.node(place)? {
        Some(Node::Array(array)) => array,
        _ if store.attributes(place)?.get("encoding-type") == Some(&"dataframe".into()) => {
            let table = frame::read(store, place)?.pick(cells.cells());
            return anndata::frame(sink, place, &table);
        }
        _ => {
            let name = place.trim_start_matches("obsm/");
            let (values, width) = cells.read_obsm(name, 0..cells.cells().len())?;
            let mut spool = RowSpool::new(width)?;
            spool.push(&values)?;
            return write_spool(sink, place, &spool);
        }
    };
    let Some(dtype) = Dtype::named(array.dtype().name()) else {
        return Err(array.not_numbers());
    };
    let mut shape: Vec<u64> = array.shape().iter().map(|&n| n as u64).collect();
    shape[0] = cells.cells().len() as u64;
    let size = dtype.size() * array.shape()[1..].iter().product::<usize>();
    sink.begin(place, dtype, &shape, &anndata::dense())?;
    for block in cells.cells().chunk_by(|a, b| a / ROWS == b / ROWS) {
        let first = block[0];
        match array.raw(first..block[block.len() - 1] + 1) {
            Ok(bytes) => {
                let row = |cell: &usize| &bytes[(cell - first) * size..(cell - first + 1) * size];
                sink.push(&block.iter().flat_map(row).copied().collect::<Vec<u8>>())?;
            }
            Err(error) => {
                sink.end()?;
                return Err(error);
            }
        }
    }
    sink.end()
}

#[cfg(all(test, feature = "h5ad", feature = "zarr"))]
mod tests {
    use super::*;
    use crate::{frame::Frame, subset::ChosenCells, summary::CellChoice};

    #[test]
    fn a_part_has_all_that_the_file_has_of_its_cells() {
        let folder = tempfile::tempdir().unwrap();
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/field_cases");
        let cells = vec![1, 3, 4];
        for (input, name) in
            [("rich.h5ad", "a.h5ad"), ("rich.h5ad", "b.zarr"), ("rich_v3.zarr.zip", "c.h5ad")]
        {
            let input = fixtures.join(input);
            let choice = CellChoice { condition: "id > 1".into(), kept: 3, of: 6 };
            let chosen = ChosenCells { choice, cells: cells.clone(), absent: Vec::new() };
            let Source::Chosen(mut subset) = Source::open(&input).unwrap().only(chosen) else {
                panic!("no choice")
            };
            let output = folder.path().join(name);
            let mut embedding = RowSpool::new(1).unwrap();
            embedding.push(&[7.0, 8.0, 9.0]).unwrap();
            let additions =
                Additions { obsm: vec![("X_new".into(), embedding)], ..Additions::default() };
            let (place, report) =
                make_part(&mut subset, &output, &additions, Existing::Refuse).unwrap();
            place.publish().unwrap();
            let pairs = "obsp/con: made of all cells, of which some were chosen";
            assert_eq!(report.skipped, [pairs], "{name}");

            let (mut whole, mut part) =
                (Source::open(&input).unwrap(), Source::open(&output).unwrap());
            whole.allow_negative();
            part.allow_negative();
            let labels = |obs: Frame| {
                obs.columns.into_iter().map(|(name, it)| (name, it.labels())).collect::<Vec<_>>()
            };
            assert_eq!(labels(part.obs().unwrap()), labels(whole.obs().unwrap().pick(&cells)));
            let matrices = whole.summary().matrices.clone();
            assert_eq!(matrices.len(), part.summary().matrices.len());
            for matrix in matrices {
                let mut all = CellSubset::new(&mut whole, cells.clone());
                assert_eq!(
                    part.read(&matrix.layer, 0..3).unwrap(),
                    all.read(&matrix.layer, 0..3).unwrap()
                );
                assert_eq!(part.var(&matrix.layer).unwrap(), whole.var(&matrix.layer).unwrap());
            }
            assert_eq!(part.read_obsm("X_new", 1..3).unwrap(), (vec![8.0, 9.0], 1));
            assert_eq!(
                part.read_obsm("sp", 0..3).unwrap().0[..],
                CellSubset::new(&mut whole, cells.clone()).read_obsm("sp", 0..3).unwrap().0[..]
            );
            let [all, few] =
                [&input, &output].map(|path| Container::of(path).unwrap().open(path).unwrap());
            let (Some(Node::Array(all)), Some(Node::Array(few))) =
                (all.node("obsm/d3").unwrap(), few.node("obsm/d3").unwrap())
            else {
                panic!("no arrays");
            };
            assert_eq!((few.shape(), few.dtype()), ([3, 2, 2].as_slice(), all.dtype()));
            assert_eq!(few.raw(1..3).unwrap(), all.raw(3..5).unwrap());
            let mut elements = whole.summary().elements.clone();
            elements.retain(|element| element != "obsp/con");
            elements.extend(["obsm/X_new".into(), "uns/scgpt_where".into()]);
            elements.sort();
            let mut there = part.summary().elements.clone();
            there.sort();
            assert_eq!(there, elements, "{name}");
        }
    }
}
