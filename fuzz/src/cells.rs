//! What the readers of cells and tables do with an input: all that they offer, on every matrix.
//! Whether it is an error does not matter; that it ends does, without panic and within bounds.

use std::{fs, path::Path};

use scgpt_data::{
    Additions, CellSource, Existing, GeneVocab, Layer, MultimodalCells, MultimodalInput,
    MultimodalOptions, Parts, ShardFolder, Silent, Source, Table, export, save_copy,
};
use serde_json::Value;

use crate::pack;

/// Rows that are read at once.
const BLOCK: usize = 16;
/// Cells of an input that is written anew.
const MOST_EXPORTED: usize = 2000;
/// Columns of a table that is written anew.
const MOST_WRITTEN: usize = 100;

/// Gives `bytes` to one of the targets.
///
/// # Panics
/// If there is no such target, or there is a fault in a reader.
pub(crate) fn run(target: &str, bytes: &[u8]) {
    let place = tempfile::tempdir().expect("a folder for temporary files");
    let folder = place.path();
    let write = |name: &str| {
        let path = folder.join(name);
        fs::write(&path, bytes).expect("room for temporary files");
        path
    };
    match target {
        "h5ad" => {
            let path = write("cells.h5ad");
            cells(&path);
            multimodal(&path);
            copies(&path);
        }
        "zarr" => {
            // A zip with its checks of sums is one file; a folder lets every part be changed.
            let path = if bytes.starts_with(b"PK") {
                write("cells.zarr.zip")
            } else {
                let path = folder.join("cells.zarr");
                pack::unpack(bytes, &path);
                path
            };
            cells(&path);
            copies(&path);
        }
        "mtx" => {
            pack::unpack(bytes, folder);
            cells(folder);
        }
        "tables" => {
            let path = write("table.csv");
            tables(&path);
            parts(&path);
        }
        "shards" => {
            pack::unpack(bytes, folder);
            shards(folder);
        }
        _ => panic!("no target `{target}`"),
    }
}

/// What inspecting, embedding and exporting read.
fn cells(path: &Path) {
    let Ok(mut source) = Source::open(path) else { return };
    let summary = source.summary().clone();
    let _ = source.obs();
    let n = summary.n_cells;
    for matrix in &summary.matrices {
        let _ = source.var(&matrix.layer);
        for begin in [0, n / 2, n.saturating_sub(BLOCK)] {
            let _ = source.read(&matrix.layer, begin..n.min(begin + BLOCK));
        }
    }
    for element in &summary.elements {
        if let Some(name) = element.strip_prefix("obsm/") {
            let _ = source.read_obsm(name, 0..n.min(BLOCK));
        }
        if let Some(name) = element.strip_prefix("uns/") {
            let _ = source.read_lists(name);
        }
    }
    if n <= MOST_EXPORTED {
        let output = path.with_file_name("exported.h5ad");
        let _ = export(&mut source, &Layer::X, &output, &Additions::default(), Existing::Replace);
    }
}

/// As one of several modalities.
fn multimodal(path: &Path) {
    let input = MultimodalInput { path: path.into(), modality: None, sample: None };
    let Ok(mut cells) = MultimodalCells::open(&[input], &MultimodalOptions::default()) else {
        return;
    };
    let n = cells.summary().n_cells.min(BLOCK);
    let _ = cells.read(&Layer::X, 0..n);
}

/// Into both containers.
fn copies(path: &Path) {
    for name in ["copy.h5ad", "copy.zarr"] {
        let _ =
            save_copy(path, &path.with_file_name(name), &Additions::default(), Existing::Replace);
    }
}

fn tables(path: &Path) {
    let Ok(table) = Table::read(path) else { return };
    if table.columns.len() > MOST_WRITTEN {
        return;
    }
    for name in ["written.tsv", "written.parquet"] {
        let written = path.with_file_name(name);
        if table.write(&written, Existing::Replace).is_ok() {
            let _ = Table::read(&written);
        }
    }
}

/// What was found of a part of cells, as the only one.
fn parts(path: &Path) {
    if let Ok(parts) = Parts::open(&[path.to_owned()]) {
        let _ = parts.read(path.parent(), &Silent);
    }
}

fn shards(folder: &Path) {
    let vocab = pack::sha256(&folder.join("vocab.json"));
    pack::mend(&folder.join("manifest.json"), |manifest| {
        if let Some(entry) = manifest.get_mut("vocab") {
            pack::replace(entry, "sha256", vocab.as_str());
        }
        let shards = manifest.get_mut("shards").and_then(Value::as_array_mut);
        for shard in shards.into_iter().flatten() {
            let name = shard.get("file").and_then(Value::as_str);
            let Some(path) = name.and_then(|name| pack::inside(folder, name)) else { continue };
            pack::replace(shard, "sha256", pack::sha256(&path));
            pack::replace(shard, "bytes", fs::metadata(path).map_or(0, |file| file.len()));
        }
    });
    let _ = GeneVocab::from_json(folder.join("vocab.json"));
    let Ok(shards) = ShardFolder::open(folder) else { return };
    let columns: Vec<_> = shards.manifest().labels.iter().map(|label| &label.column).collect();
    for cell in 0..shards.n_cells().min(MOST_EXPORTED) {
        let _ = shards.cell(cell).map(|row| row.values.iter().sum::<f32>());
        let _ = shards.id(cell);
        for column in &columns {
            let _ = shards.labels(column).and_then(|labels| labels.code(cell));
        }
    }
    let _ = shards.verify(|_| true);
}
