//! Cells and shards at URLs are those of the folders they come from.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test fails by panicking, and its numbers are small"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use scgpt_data::{
    Additions, CellSource, Column, Csr, Error, Existing, Frame, GeneVocab, Layer, MemoryCells,
    ShardCache, ShardFolder, ShardOptions, Source, export, save_copy, write_shards,
};
use scgpt_fixtures::{Fault, Server, Toy};
use serde_json::{Value, json};

const CELLS: usize = 600;
const GENES: usize = 40;

/// Cells of all kinds of columns, one of which has a name that no address has as it is.
fn cells() -> MemoryCells<'static> {
    let rows = (0..CELLS).map(|cell| {
        let genes =
            (0..GENES as u32).filter(move |gene| (cell as u32 * 7 + gene * 3).is_multiple_of(5));
        let genes: Vec<u32> = genes.collect();
        let values = genes.iter().map(|gene| (cell as f32) + *gene as f32 + 1.0).collect();
        (genes, values)
    });
    let mut obs = Frame::of_names((0..CELLS).map(|cell| format!("c{cell}")).collect::<Vec<_>>());
    let kinds = (0..CELLS).map(|cell| Some(u32::from(cell % 3 == 0))).collect();
    let categories = vec!["B cell".into(), "T cell".into()];
    obs.columns = vec![
        ("kind of cell".into(), Column::Categorical { codes: kinds, categories, ordered: false }),
        ("n".into(), Column::Integer((0..CELLS as i64).map(Some).collect())),
        ("größe".into(), Column::Float((0..CELLS).map(|cell| Some(cell as f64)).collect())),
    ];
    let var = Frame::of_names((0..GENES).map(|gene| format!("G{gene}")).collect::<Vec<_>>());
    MemoryCells::of(Csr::of_rows(GENES, rows).unwrap(), obs, var).unwrap()
}

fn same(one: &mut Source, other: &mut Source) {
    assert_eq!(one.obs().unwrap(), other.obs().unwrap());
    assert_eq!(one.var(&Layer::X).unwrap(), other.var(&Layer::X).unwrap());
    assert_eq!(one.summary().matrices, other.summary().matrices);
    let n = one.summary().n_cells;
    for first in (0..n).step_by(256) {
        let rows = first..n.min(first + 256);
        let (a, b) =
            (one.read(&Layer::X, rows.clone()).unwrap(), other.read(&Layer::X, rows).unwrap());
        assert_eq!((a.indptr(), a.indices()), (b.indptr(), b.indices()));
        let bits = |csr: &Csr| csr.values().iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&a), bits(&b));
    }
}

/// Adds to a store what `zarr.consolidate_metadata` does.
fn consolidate(store: &Path) {
    fn documents(folder: &Path, place: &str, found: &mut serde_json::Map<String, Value>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if entry.path().is_dir() {
                documents(&entry.path(), &format!("{place}{name}/"), found);
            } else if let ".zgroup" | ".zarray" | ".zattrs" | "zarr.json" = name.as_str() {
                let text = fs::read(entry.path()).unwrap();
                found.insert(format!("{place}{name}"), serde_json::from_slice(&text).unwrap());
            }
        }
    }
    let mut found = serde_json::Map::new();
    documents(store, "", &mut found);
    if store.join("zarr.json").exists() {
        let mut root = found.remove("zarr.json").unwrap();
        let nodes: serde_json::Map<String, Value> = found
            .into_iter()
            .map(|(key, value)| (key.strip_suffix("/zarr.json").unwrap().to_owned(), value))
            .collect();
        root["consolidated_metadata"] = json!({ "kind": "inline", "metadata": nodes });
        fs::write(store.join("zarr.json"), root.to_string()).unwrap();
    } else {
        let all = json!({ "zarr_consolidated_format": 1, "metadata": found });
        fs::write(store.join(".zmetadata"), all.to_string()).unwrap();
    }
}

fn exported(folder: &Path) -> PathBuf {
    let path = folder.join("cells.zarr");
    export(&mut cells(), &Layer::X, &path, &Additions::default(), Existing::Refuse).unwrap();
    path
}

/// Cuts the one chunk of an uncompressed array of version 3 into chunks of `n` elements.
fn cut(array: &Path, n: usize, size: usize) {
    let document = array.join("zarr.json");
    let mut metadata: Value = serde_json::from_slice(&fs::read(&document).unwrap()).unwrap();
    metadata["chunk_grid"]["configuration"]["chunk_shape"] = json!([n]);
    fs::write(&document, metadata.to_string()).unwrap();
    let mut bytes = fs::read(array.join("c/0")).unwrap();
    bytes.resize(bytes.len().next_multiple_of(n * size), 0);
    for (number, chunk) in bytes.chunks(n * size).enumerate() {
        fs::write(array.join(format!("c/{number}")), chunk).unwrap();
    }
}

#[test]
fn chunks_come_several_at_a_time_and_never_more_than_the_bound() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("toy.zarr");
    let n = 3000;
    let mut toy = Toy { shape: [300, 4], ..Toy::default() };
    toy.indptr = (0..=300).map(|cell| cell * 10).collect();
    toy.shape[1] = 10;
    toy.genes = vec!["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    toy.indices = (0..n).map(|at| at % 10).collect();
    toy.data = (0..n).map(|at| at as f32 + 1.0).collect();
    toy.cells = (0..300).map(|cell| &*format!("c{cell}").leak()).collect();
    toy.write_zarr(&store, 3);
    cut(&store.join("X/data"), 100, 4);
    cut(&store.join("X/indices"), 100, 4);
    let server = Server::new(folder.path());
    let mut there = Source::open(server.url("toy.zarr")).unwrap();
    server.asked();
    server.answer(|_, _| Fault::Late(15));
    same(&mut Source::open(&store).unwrap(), &mut there);
    let asked = server.asked();
    let chunks = asked.iter().filter(|asked| asked.path.contains("X/data/c/")).count();
    // The one that two windows share is kept.
    assert_eq!(chunks, 30, "{asked:?}");
    let most = server.most_at_once();
    assert!((4..=8).contains(&most), "{most} requests at a time");
}

#[test]
fn cells_of_a_web_server_are_those_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = exported(folder.path());
    let server = Server::new(folder.path());
    let mut there = Source::open(server.url("cells.zarr")).unwrap();
    same(&mut Source::open(&store).unwrap(), &mut there);
    let n_single = server.asked().len();
    consolidate(&store);
    let mut there = Source::open(server.url("cells.zarr/")).unwrap();
    same(&mut Source::open(&store).unwrap(), &mut there);
    // Documents come at once.
    let n = server.asked().len();
    assert!(n < n_single / 2, "{n} and {n_single} requests");
    // A copy is made of what is read.
    for name in ["copy.h5ad", "copy.zarr"] {
        let copy = folder.path().join(name);
        let report =
            save_copy(&server.url("cells.zarr"), &copy, &Additions::default(), Existing::Refuse);
        assert_eq!(report.unwrap().skipped, Vec::<String>::new());
        same(&mut Source::open(&store).unwrap(), &mut Source::open(&copy).unwrap());
    }
}

#[test]
fn both_versions_are_read_without_a_list_of_names() {
    for version in [2, 3] {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("toy.zarr");
        Toy::default().write_zarr(&store, version);
        let server = Server::new(folder.path());
        let mut there = Source::open(server.url("toy.zarr")).unwrap();
        assert_eq!(there.summary().format, format!("AnnData-zarr v{version}"));
        same(&mut Source::open(&store).unwrap(), &mut there);
        // S3 that may not be listed refuses what is not there.
        let root = store.clone();
        server.answer(move |asked, _| {
            let path = root.parent().unwrap().join(asked.path.trim_start_matches('/'));
            if path.is_file() { Fault::None } else { Fault::Status(403) }
        });
        same(
            &mut Source::open(&store).unwrap(),
            &mut Source::open(server.url("toy.zarr")).unwrap(),
        );
        // Chunks that are refused are no zeros.
        server.answer(|asked, _| {
            if asked.path.contains("X/data/")
                && !asked.path.ends_with("zarr.json")
                && !asked.path.contains("/.z")
            {
                Fault::Status(403)
            } else {
                Fault::None
            }
        });
        let mut there = Source::open(server.url("toy.zarr")).unwrap();
        let error = there.read(&Layer::X, 0..3).unwrap_err();
        let said = format!("{error:?} {}", error.hint().unwrap());
        assert!(said.contains("403") && said.contains("everyone may read"), "{said}");
    }
}

#[test]
fn shards_of_an_array_are_read_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("toy.zarr");
    Toy::default().write_zarr(&store, 3);
    // Values in one shard of three inner chunks of two, and an index behind them.
    let document = store.join("X/data/zarr.json");
    let mut metadata: Value = serde_json::from_slice(&fs::read(&document).unwrap()).unwrap();
    let plain = json!([{ "name": "bytes", "configuration": { "endian": "little" } }]);
    metadata["chunk_grid"]["configuration"]["chunk_shape"] = json!([6]);
    metadata["codecs"] = json!([{ "name": "sharding_indexed", "configuration": {
        "chunk_shape": [2], "codecs": plain, "index_codecs": plain, "index_location": "end" } }]);
    fs::write(&document, metadata.to_string()).unwrap();
    let mut shard: Vec<u8> =
        [2.0_f32, 5.0, 1.0, 7.0, 3.0, 0.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    for (offset, length) in [(0_u64, 8_u64), (8, 8), (16, 8)] {
        shard.extend(offset.to_le_bytes());
        shard.extend(length.to_le_bytes());
    }
    fs::write(store.join("X/data/c/0"), shard).unwrap();
    let server = Server::new(folder.path());
    let mut there = Source::open(server.url("toy.zarr")).unwrap();
    same(&mut Source::open(&store).unwrap(), &mut there);
    let parts = server.asked().into_iter().filter(|asked| asked.path.ends_with("X/data/c/0"));
    let mut parts: Vec<_> = parts.map(|asked| asked.range.unwrap()).collect();
    parts.sort();
    assert_eq!(parts, ["bytes=-48", "bytes=0-7", "bytes=16-19", "bytes=8-15"]);
    // An index that leads behind the file.
    let mut shard = fs::read(store.join("X/data/c/0")).unwrap();
    shard[24 + 32] = 200;
    fs::write(store.join("X/data/c/0"), shard).unwrap();
    let mut there = Source::open(server.url("toy.zarr")).unwrap();
    there.read(&Layer::X, 0..3).unwrap_err();
    server.answer(|asked, _| if asked.range.is_some() { Fault::Whole } else { Fault::None });
    let mut there = Source::open(server.url("toy.zarr")).unwrap();
    let error = there.read(&Layer::X, 0..3).unwrap_err();
    assert!(error.hint().unwrap().contains("HTTP ranges"), "{error:?}");
}

#[test]
fn a_server_that_breaks_off_once_gives_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let store = exported(folder.path());
    let server = Server::new(folder.path());
    server.answer(|asked, before| {
        let is_chunk = asked.path.contains("/X/") && !asked.path.contains("/.z");
        if is_chunk && before == 0 && asked.range.is_none() { Fault::Broken } else { Fault::None }
    });
    same(&mut Source::open(&store).unwrap(), &mut Source::open(server.url("cells.zarr")).unwrap());
    assert!(server.asked().iter().any(|asked| asked.range.is_some()));
}

#[test]
fn what_is_no_store_says_what_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = exported(folder.path());
    let server = Server::new(folder.path());
    let said = |path: &str| {
        let error = Source::open(server.url(path)).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        format!("{error}: {cause} ({})", error.hint().unwrap())
    };
    let nothing = said("other.zarr");
    for part in ["other.zarr/zarr.json", "other.zarr/.zgroup", "404", "name the folder"] {
        assert!(nothing.contains(part), "{nothing}");
    }
    assert!(said("cells.h5ad").contains("download it first"));
    server.answer(|_, _| Fault::Status(403));
    assert!(said("cells.zarr").contains("403"));
    server.answer(|_, _| Fault::None);
    // Names of consolidated metadata lead nowhere else.
    let evil =
        json!({ "metadata": { "../../secret/.zarray": {}, ".zgroup": { "zarr_format": 2 } } });
    fs::write(store.join(".zmetadata"), evil.to_string()).unwrap();
    if store.join(".zgroup").exists() {
        assert!(said("cells.zarr").contains("no place in a zarr hierarchy"));
    }
    // Few bytes that claim many are refused, as in a folder.
    let toy = folder.path().join("toy.zarr");
    Toy::default().write_zarr(&toy, 3);
    for (place, n) in [("X/data", 1_u64 << 40), ("X/indices", 1 << 40)] {
        let document = toy.join(place).join("zarr.json");
        let mut metadata: Value = serde_json::from_slice(&fs::read(&document).unwrap()).unwrap();
        metadata["shape"] = json!([n]);
        fs::write(&document, metadata.to_string()).unwrap();
    }
    let error = Source::open(server.url("toy.zarr")).unwrap_err();
    assert!(error.to_string().contains("more than the"), "{error}");
}

#[test]
fn shards_are_fetched_once_and_held_against_their_hashes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let names = (0..GENES).map(|gene| format!("G{gene}"));
    let vocab =
        GeneVocab::from_names(["<pad>".to_owned(), "<cls>".to_owned()].into_iter().chain(names));
    fs::create_dir(at("web")).unwrap();
    let mut options = ShardOptions::default();
    options.shard_cells = 250;
    write_shards([&mut cells() as _], &vocab.unwrap(), at("web/shards"), options).unwrap();
    let server = Server::new(&at("web"));
    let url = server.url("shards");
    let cache = ShardCache { folder: at("cache"), most: 10 << 20 };
    let fetched = cache.fetch(&url, |_, _| true).unwrap();
    assert_eq!(fetched.fetched, fetched.bytes);
    let (here, there) =
        (ShardFolder::open(&fetched.folder).unwrap(), ShardFolder::open(at("web/shards")).unwrap());
    assert_eq!(here.manifest(), there.manifest());
    for cell in [0, 299, 599] {
        let (a, b) = (here.cell(cell).unwrap(), there.cell(cell).unwrap());
        assert_eq!((a.indices, a.values), (b.indices, b.values));
    }
    let asked = server.asked();
    assert_eq!(asked.iter().filter(|asked| asked.path.contains("/shard-")).count(), 3);
    // The manifest alone tells that nothing is missing.
    assert_eq!(cache.fetch(&url, |_, _| true).unwrap().fetched, 0);
    assert_eq!(server.asked().len(), 1);
    // What was stopped is gone on with.
    let other = ShardCache { folder: at("other"), most: 10 << 20 };
    let stopped = other.fetch(&url, |done, all| done < all / 2).unwrap_err();
    assert!(matches!(stopped, Error::Cancelled), "{stopped}");
    let fetched = other.fetch(&url, |_, _| true).unwrap();
    assert!(ShardFolder::open(&fetched.folder).is_ok());
    // A shard that was altered, a cache that is too small, and nothing at all.
    let small = ShardCache { folder: at("small"), most: 100 };
    let error = small.fetch(&url, |_, _| true).unwrap_err();
    assert!(error.hint().unwrap().contains("SCGPT_CACHE_GB"), "{error}");
    let shard = at("web/shards/shard-00001.arrow");
    let mut bytes = fs::read(&shard).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&shard, bytes).unwrap();
    let third = ShardCache { folder: at("third"), most: 10 << 20 };
    let error = third.fetch(&url, |_, _| true).unwrap_err();
    assert!(error.to_string().contains("SHA-256"), "{error}");
    let error = third.fetch(&server.url("none"), |_, _| true).unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
    // Those that were not used for longest make room.
    let full = ShardCache { folder: at("cache"), most: fetched.bytes + 10 };
    fs::write(
        &shard,
        fs::read(at("cache").join(fetched.folder.file_name().unwrap()).join("shard-00001.arrow"))
            .unwrap(),
    )
    .unwrap();
    let manifest = at("web/shards/manifest.json");
    let text = fs::read_to_string(&manifest)
        .unwrap()
        .replace("\"shard_cells\": 250", "\"shard_cells\": 251");
    fs::write(&manifest, text).unwrap();
    let newer = full.fetch(&url, |_, _| true).unwrap();
    assert!(
        newer.folder.exists() && !at("cache").join(fetched.folder.file_name().unwrap()).exists()
    );
}
