//! Files of other kinds, with links, and with claims they cannot meet: each is read, or refused at
//! once by name, within 6 GB of addresses.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use scgpt_data::{Additions, CellSource as _, Csr, Existing, Layer, Source, save_copy};
use scgpt_fixtures::repository;
use serde_json::Value;

use crate::run::{Ended, Place, ended, model};

/// Addresses a run may ask for, in kilobytes.
const MOST_MEMORY: &str = "6000000";
/// What is refused is refused before anyone wonders.
const AT_ONCE: Duration = Duration::from_secs(20);

fn case(name: &str) -> String {
    repository().join("field_cases").join(name).display().to_string()
}

/// Runs within bounds of memory and time.
fn bounded(place: &Place, args: &[&str]) -> Ended {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -v $0; exec \"$@\"", MOST_MEMORY, env!("CARGO_BIN_EXE_scgpt")])
        .args(args)
        .current_dir(place.path(""))
        .stdin(Stdio::null());
    let begun = Instant::now();
    let ended = ended(&mut command);
    assert!(begun.elapsed() < AT_ONCE, "scgpt {args:?} took {:?}", begun.elapsed());
    ended
}

/// What must be refused, naming `parts`; nothing is left behind.
fn refused(place: &Place, args: &[&str], parts: &[&str]) {
    let before = place.content();
    let Ended { code, stderr, .. } = bounded(place, args);
    assert_eq!(code, 1, "scgpt {args:?}: {stderr}");
    assert!(!stderr.contains("panicked") && stderr.contains("hint: "), "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "`{part}` is not in: {stderr}");
    }
    assert_eq!(before, place.content(), "something was left behind");
}

fn done(place: &Place, args: &[&str]) -> Ended {
    let ended = bounded(place, args);
    assert_eq!(ended.code, 0, "scgpt {args:?}: {}", ended.stderr);
    ended
}

fn rows(path: &str, layer: &Layer) -> Csr {
    let mut source = Source::open(path).unwrap();
    let n = source.summary().n_cells;
    source.read(layer, 0..n).unwrap()
}

#[test]
fn soft_links_are_followed_and_others_refused_by_name() {
    let place = Place::new();
    let soft = case("36_soft.h5ad");
    let linked = rows(&soft, &Layer::Named("counts".into()));
    assert_eq!(linked, rows(&soft, &Layer::X));
    assert_eq!(linked, rows(&case("36_target.h5ad"), &Layer::X));
    let text = done(&place, &["inspect", &soft]).stdout;
    assert!(text.contains("layers/counts: 60 genes"), "{text}");
    // A copy in another container has the values, not the link.
    let shards = ["convert", &soft, "--layer", "counts", "-o", "shards"];
    done(&place, &shards);
    let parts = ["`X`", "link out of the file", "36_target.h5ad"];
    refused(&place, &["inspect", &case("36_external.h5ad")], &parts);
}

#[test]
fn groups_that_contain_themselves_are_an_error_at_once() {
    let place = Place::new();
    let cycle = case("hard_cycle.h5ad");
    done(&place, &["inspect", &cycle]);
    let begun = Instant::now();
    let output = place.path("out.zarr");
    let error =
        save_copy(Path::new(&cycle), &output, &Additions::default(), Existing::Refuse).unwrap_err();
    assert!(begun.elapsed() < AT_ONCE);
    assert!(error.to_string().contains("`uns/loop`: a group that contains itself"), "{error}");
    assert!(place.content().is_empty(), "something was left behind");

    // Two groups that lead to each other by soft links, and a link that leads nowhere.
    let cycle = case("soft_cycle.h5ad");
    let text = done(&place, &["inspect", &cycle]).stdout;
    assert!(text.contains("uns/a") && !text.contains("nowhere"), "{text}");
    let error =
        save_copy(Path::new(&cycle), &output, &Additions::default(), Existing::Refuse).unwrap_err();
    assert!(error.to_string().contains("contains itself"), "{error}");
    // Copied as it is, a circle does no harm.
    let output = place.path("out.h5ad");
    save_copy(Path::new(&cycle), &output, &Additions::default(), Existing::Refuse).unwrap();
}

#[test]
fn what_is_not_read_is_named_with_its_remedy() {
    let place = Place::new();
    let inspect = |name: &str, parts: &[&str]| refused(&place, &["inspect", name], parts);
    inspect(&case("42_cells.h5ad.gz"), &["gzipped HDF5", "gunzip 42_cells.h5ad.gz"]);
    inspect(&case("43_latin1"), &["features.tsv", "line 60", "UTF-8", "iconv -f LATIN1"]);
    let embed = |name: &str, parts: &[&str]| {
        refused(&place, &["embed", name, "-m", &model(), "-o", "out.h5ad"], parts);
    };
    embed(&case("43_libver_latest.h5ad"), &["HDF5", "newest", "write_h5ad"]);
    embed(
        &case("43_antibody_only"),
        &["no genes", "features of type `Antibody Capture`", "Gene Expression"],
    );
    let text = done(&place, &["inspect", &case("43_antibody_only")]).stdout;
    assert!(text.contains("Antibody Capture") && !text.contains("116400"), "{text}");
    assert!(text.contains("var       no rows, gene_ids"), "{text}");

    // Cells × genes, as other tools write matrices.
    let turned = place.path("turned");
    fs::create_dir(&turned).unwrap();
    let size = "%%MatrixMarket matrix coordinate integer general\n";
    fs::write(turned.join("matrix.mtx"), format!("{size}2 3 1\n1 1 5\n")).unwrap();
    fs::write(turned.join("barcodes.tsv"), "a\nb\n").unwrap();
    fs::write(turned.join("features.tsv"), "1\tA\n2\tB\n3\tC\n").unwrap();
    inspect("turned", &["2 cells × 3 genes", "mmwrite"]);
}

#[test]
fn loom_is_read_as_h5ad_is() {
    let place = Place::new();
    let (loom, h5ad) = (case("cells.loom"), case("36_target.h5ad"));
    let entries = |cells: &Csr| -> Vec<(usize, u32, u32)> {
        let row = |(cell, row): (usize, scgpt_data::CsrRow<'_>)| {
            row.indices
                .iter()
                .zip(row.values)
                .filter(|(_, value)| **value != 0.0)
                .map(|(&gene, value)| (cell, gene, value.to_bits()))
                .collect::<Vec<_>>()
        };
        cells.rows().enumerate().flat_map(row).collect()
    };
    let (read, truth) = (rows(&loom, &Layer::X), rows(&h5ad, &Layer::X));
    assert_eq!(entries(&read), entries(&truth));
    let double = rows(&loom, &Layer::Named("double".into()));
    let sum = |cells: &Csr| cells.values().iter().map(|&x| f64::from(x)).sum::<f64>();
    assert!((sum(&double) - 2.0 * sum(&truth)).abs() < 1e-6);
    let (mut loom, h5ad) = (Source::open(loom).unwrap(), Source::open(h5ad).unwrap());
    assert_eq!(loom.obs().unwrap().index, h5ad.obs().unwrap().index);
    assert_eq!(loom.var(&Layer::X).unwrap().index, h5ad.var(&Layer::X).unwrap().index);
    let batch = loom.obs().unwrap().column("batch").unwrap().labels();
    assert_eq!(batch, h5ad.obs().unwrap().column("batch").unwrap().labels());
    // The first three genes, as the file was made.
    let (wide, width) = loom.read_obsm("X_pca", 4..5).unwrap();
    let dense: Vec<f32> = (0..3)
        .map(|gene| {
            let row = truth.row(4);
            row.indices.iter().position(|&g| g == gene).map_or(0.0, |at| row.values[at])
        })
        .collect();
    assert_eq!((wide, width), (dense, 3));

    let json = done(&place, &["inspect", &case("cells.loom"), "--json"]).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["format"], &json["cells"]), (&"loom".into(), &30.into()));
    done(&place, &["convert", &case("cells.loom"), "-o", "shards"]);
}

#[test]
fn claims_that_no_file_can_meet_are_refused_before_anything_is_allocated() {
    let place = Place::new();
    for name in ["dense_huge_claim.h5ad", "z3_shape_big.zarr"] {
        refused(&place, &["inspect", &case(name)], &["`X`", "claims 30 × ", "can hold"]);
    }
    // Chunks, and widths of text, that claim as much.
    for (key, claim) in [
        ("chunk_shape\": [30, 50]", "chunk_shape\": [30, 500000000000]"),
        ("shape\": [30, 1099511627776]", "shape\": [1099511627776, 50]"),
    ] {
        let copy = place.path("claim.zarr");
        copy_folder(Path::new(&case("z3_shape_big.zarr")), &copy);
        let metadata = copy.join("X/zarr.json");
        let text = fs::read_to_string(&metadata).unwrap();
        let text = text.replace(key, claim).replace("1099511627776]", "50]");
        fs::write(&metadata, text).unwrap();
        let Ended { code, stderr, stdout, .. } = bounded(&place, &["inspect", "claim.zarr"]);
        assert!(code == 1 && stderr.contains("claims"), "{code}: {stdout}{stderr}");
        fs::remove_dir_all(&copy).unwrap();
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::write(&to, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

#[test]
fn names_and_links_do_not_lead_out_of_an_input() {
    let place = Place::new();
    refused(&place, &["inspect", &case("zip_abs.zarr.zip")], &["the zip names an entry `/"]);

    let hostile = place.path("links.zarr");
    copy_folder(Path::new(&case("z3_shape_big.zarr")), &hostile);
    let metadata = fs::read_to_string(hostile.join("X/zarr.json")).unwrap();
    fs::write(hostile.join("X/zarr.json"), metadata.replace("1099511627776", "50")).unwrap();
    done(&place, &["inspect", "links.zarr"]);
    let copied = |parts: &[&str]| {
        refused(&place, &["inspect", "links.zarr"], parts);
        // Also where nothing of the array is read.
        for output in ["out.zarr", "out.h5ad"] {
            let output = place.path(output);
            let error =
                save_copy(&hostile, &output, &Additions::default(), Existing::Refuse).unwrap_err();
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let cause = cause.unwrap_or_default();
            assert!(parts.iter().all(|part| cause.contains(part)), "{error}: {cause}");
            assert!(!output.exists());
        }
    };
    let chunk = hostile.join("X/c/extra");
    symlink("/etc/hostname", &chunk).unwrap();
    copied(&["X/c/extra", "link out of the folder", "/etc/hostname"]);
    fs::remove_file(&chunk).unwrap();
    symlink("..", &chunk).unwrap();
    copied(&["X/c/extra", "contains it"]);
    fs::remove_file(&chunk).unwrap();
    assert!(Command::new("mkfifo").arg(&chunk).status().unwrap().success());
    copied(&["X/c/extra", "pipe"]);
}

#[test]
fn pipes_and_devices_are_refused_at_once() {
    let place = Place::new();
    assert!(Command::new("mkfifo").arg(place.path("pipe.h5ad")).status().unwrap().success());
    for input in ["pipe.h5ad", "/dev/zero"] {
        refused(&place, &["inspect", input], &[input, "pipe, socket or device"]);
        let args = ["embed", input, "-m", &model(), "-o", "out.h5ad"];
        refused(&place, &args, &[input, "pipe, socket or device"]);
    }
    let mkfifo = Command::new("mkfifo").arg(place.path("features.tsv")).status();
    assert!(mkfifo.unwrap().success());
    let size = "%%MatrixMarket matrix coordinate integer general\n1 1 1\n1 1 5\n";
    fs::write(place.path("matrix.mtx"), size).unwrap();
    fs::write(place.path("barcodes.tsv"), "a\n").unwrap();
    refused(&place, &["inspect", "matrix.mtx"], &["features.tsv", "pipe, socket or device"]);
}

#[test]
fn an_index_is_checked_when_it_is_opened() {
    let place = Place::new();
    let (cells, model) = (case("index_cells.h5ad"), case("index_model"));
    let query = |index: &str, parts: &[&str]| {
        let args =
            ["map", "query", &cells, "--index", index, "--model", &model, "-o", "mapped.h5ad"];
        refused(&place, &args, parts);
    };
    query(&case("mu1_136_index"), &["lists-0.i8", "lists cell 202", "0 to 199"]);

    // The numbers of a sound one, one after the other.
    let index = ["map", "index", &cells, "--model", &model, "--labels", "cell_type"];
    for (name, more) in [("exact", &[][..]), ("lists", &["--approximate"])] {
        done(&place, &[&index[..], &["-o", name], more].concat());
    }
    let spoil = |index: &str, file: &str, spoil: &dyn Fn(&mut Vec<u8>), parts: &[&str]| {
        let path = place.path(index).join(file);
        let whole = fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        spoil(&mut bytes);
        assert_ne!(bytes, whole, "{file} was not spoiled");
        fs::write(&path, bytes).unwrap();
        query(index, &[&[file][..], parts].concat());
        fs::write(&path, whole).unwrap();
    };
    let text = |from: &'static str, to: &'static str| {
        move |bytes: &mut Vec<u8>| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            *bytes = text.replacen(from, to, 1).into_bytes();
        }
    };
    spoil("exact", "labels.u32", &|bytes| bytes[1] = 9, &["cell 0 has the label", "cell_type"]);
    spoil("exact", "labels.u32", &|bytes| bytes.truncate(8), &["cut short"]);
    spoil("exact", "vectors-0.f32", &|bytes| bytes[2..4].fill(0xff), &["embedding of cell 0"]);
    spoil("exact", "index.json", &text("\"n_cells\": ", "\"n_cells\": 1"), &["`segments`"]);
    spoil("exact", "index.json", &text("\"width\": ", "\"width\": 9"), &["bytes"]);
    spoil("exact", "index.json", &text("vectors-0", "../vectors-0"), &["no name of a file"]);
    spoil("lists", "lists-0.i8", &|bytes| bytes[8] = 0xff, &["do not rise"]);
    spoil("lists", "centres.f32", &|bytes| bytes[2..4].fill(0xff), &["centre"]);
    spoil("lists", "index.json", &text("\"n_lists\": ", "\"n_lists\": 9"), &["bytes"]);
}

#[test]
fn shards_are_checked_when_they_are_read() {
    let place = Place::new();
    let shards = case("mu1_654_shards");
    let small = ["--batch-size", "4", "--max-length", "32", "--max-steps", "1", "-o", "run"];
    let args = [&["pretrain", "--data", &shards][..], &small].concat();
    let Ended { code, stderr, .. } = bounded(&place, &args);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("shard-00001.arrow") && stderr.contains("cell 124"), "{stderr}");
}

#[test]
fn modalities_of_a_file_are_listed() {
    let place = Place::new();
    let file = case("h5_1_512_m.h5mu");
    let text = done(&place, &["inspect", &file]).stdout;
    for part in ["(MuData)", "rna matrices", "prot matrices", "prot and rna: 30 cells"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let json = done(&place, &["inspect", &file, "--json"]).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["in_common"][0]["cells"], 30);
    assert_eq!(json["modalities"][1]["name"], "rna");
    assert!(json["modalities"][1]["matrices"][0]["state"].is_string());
}
