//! `--part` and `scgpt join`: parts done apart and joined are what is done at once, slot by slot.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use scgpt_data::{Additions, Existing, ShardFolder, Table, save_copy};
use serde_json::Value;

use crate::run::{Place, model, tiny};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Everything in a file of cells, as the files of a zarr folder have it: values with their types, attributes.
fn slots(path: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, at: &str, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{at}/{}", path.file_name().unwrap().to_string_lossy());
            if path.is_dir() {
                walk(&path, &name, found);
            } else {
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.zarr");
    save_copy(path, &copy, &Additions::default(), Existing::Refuse).unwrap();
    let mut found = BTreeMap::new();
    walk(&copy, "", &mut found);
    found
}

/// Checks that two files of cells hold the same, but for how they came about.
fn assert_same(one: &Path, other: &Path, record: &str) {
    let (mut one, mut other) = (slots(one), slots(other));
    for of_run in ["command", "output"].map(|field| format!("/uns/{record}/{field}/")) {
        one.retain(|name, _| !name.starts_with(&of_run));
        other.retain(|name, _| !name.starts_with(&of_run));
    }
    let names = |slots: &BTreeMap<String, Vec<u8>>| slots.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&one), names(&other));
    assert!(names(&one).iter().any(|name| name.starts_with(&format!("/uns/{record}/"))));
    for (name, bytes) in &one {
        assert!(*bytes == other[name], "{name} differs");
    }
}

/// Does a command in three parts, and joins them.
fn in_parts(place: &Place, command: &[&str], cells: &str, joined: &str) {
    // A name in .zarr would be that of an output.
    let folder = format!("parts-of-{}", joined.replace('.', "-"));
    fs::create_dir(place.path(&folder)).unwrap();
    for part in ["2/3", "1/3", "3/3"] {
        place.done(&[command, &["--part", part, "-o", &folder]].concat());
    }
    assert_eq!(fs::read_dir(place.path(&folder)).unwrap().count(), 3, "nothing beside the parts");
    place.done(&["join", &folder, "--into", cells, "-o", joined]);
}

fn config(place: &Place, name: &str) -> toml::Table {
    fs::read_to_string(place.path(name)).unwrap().parse().unwrap()
}

#[test]
fn embedded_parts_are_the_whole() {
    let (place, model) = (Place::new(), model());
    let few = ["--cells", "60", "--types", "2", "--batches", "2"];
    let some = ["--where", "cell_type = 'type_1'"];
    for (cells, ending) in [("cells.h5ad", "h5ad"), ("cells.zarr", "zarr")] {
        place.simulate(cells, &few);
        // Cells have more genes than tokens, so that it matters which are drawn.
        let embed = ["embed", cells, "-m", &model, "--max-length", "5", "--seed", "3"];
        for (name, more) in [("all", &[][..]), ("some", &some[..])] {
            let embed = [&embed[..], more].concat();
            let named = |way| format!("{name}-{ending}-{way}.{ending}");
            let [whole, joined] = ["whole", "joined"].map(named);
            let ended = place.done(&[&embed[..], &["-o", &whole, "--json"]].concat());
            assert!(parsed(&ended.stdout)["tokens"]["n_shortened"].as_u64() > Some(10));
            in_parts(&place, &embed, cells, &joined);
            assert_same(&place.path(&whole), &place.path(&joined), "scgpt");
            let [whole, joined] = [whole, joined].map(|name| {
                let stem = if ending == "h5ad" { name.trim_end_matches(".h5ad") } else { &name };
                config(&place, &format!("{stem}.config.toml"))
            });
            assert_eq!(whole, joined);
        }
    }
    // A table needs no cells, and the beginning of their names is enough for parts.
    let parts = "parts-of-some-h5ad-joined-h5ad/cells";
    let embed = ["embed", "cells.h5ad", "-m", &model, "--max-length", "5", "--seed", "3"];
    for table in ["csv", "parquet"] {
        let [whole, joined] = ["whole", "joined"].map(|name| format!("{name}-{table}.{table}"));
        place.done(&[&embed[..], &some, &["-o", &whole]].concat());
        place.done(&["join", parts, "-o", &joined]);
        let [whole, joined] = [whole, joined].map(|name| Table::read(&place.path(&name)).unwrap());
        assert!(whole == joined && whole.len() > 20, "{table}");
    }
    place.refused(&["join", parts, "-o", "x.h5ad"], &["they are not named", "--into"]);
}

#[test]
fn annotated_and_mapped_parts_are_the_whole() {
    let place = Place::new();
    let cells = ["--cells", "90", "--genes", "80", "--types", "3", "--batches", "2"];
    place.done(&[&["simulate", "-o", "cells.h5ad"], &cells[..]].concat());
    let settings = tiny("batch_size = 16\nmax_length = 30", "n_layers = 1", "epochs = 1");
    fs::write(place.path("tiny.toml"), settings).unwrap();
    let train =
        ["annotate", "train", "cells.h5ad", "--label", "cell_type", "--config", "tiny.toml"];
    for method in ["network", "logistic"] {
        place.done(&[&train[..], &["--no-baselines", "--method", method, "-o", method]].concat());
        let predict = [
            "annotate",
            "predict",
            "cells.h5ad",
            "-m",
            method,
            "--probabilities",
            "--coverage",
            "0.99",
        ];
        let [whole, joined] = ["whole", "joined"].map(|way| format!("{method}-{way}.h5ad"));
        place.done(&[&predict[..], &["-o", &whole]].concat());
        in_parts(&place, &predict, "cells.h5ad", &joined);
        assert_same(&place.path(&whole), &place.path(&joined), "scgpt_annotation");
    }
    place.done(&["convert", "cells.h5ad", "-o", "shards"]);
    place.done(&[
        "pretrain",
        "--data",
        "shards",
        "--config",
        "tiny.toml",
        "--max-steps",
        "1",
        "-o",
        "run",
    ]);
    let labels = ["--labels", "cell_type", "-m", "run/model", "-o", "atlas"];
    place.done(&[&["map", "index", "cells.h5ad"], &labels[..]].concat());
    let query = ["map", "query", "cells.h5ad", "--index", "atlas", "-k", "5", "--neighbours"];
    place.done(&[&query[..], &["-o", "mapped.h5ad"]].concat());
    in_parts(&place, &query, "cells.h5ad", "joined.h5ad");
    assert_same(&place.path("mapped.h5ad"), &place.path("joined.h5ad"), "scgpt_map");
}

#[test]
fn what_a_part_cannot_have_is_refused() {
    let (place, model) = (Place::new(), model());
    place.simulate("cells.h5ad", &["--cells", "20"]);
    let embed = ["embed", "cells.h5ad", "-m", &model, "-o", "x", "--part"];
    for wrong in ["0/3", "4/3", "a/b", "2", "1/0", ""] {
        let ended = place.run(&[&embed[..], &[wrong]].concat());
        assert_eq!(ended.code, 2, "{wrong}");
        assert!(ended.stderr.contains("such as 2/3"), "{}", ended.stderr);
    }
    let embed = [&embed[..], &["1/2"]].concat();
    for (option, remedy) in [
        (&["--umap"][..], "scgpt cells JOINED"),
        (&["--leiden"], "scgpt cells JOINED"),
        (&["--color", "cell_type"], "scgpt cells JOINED"),
        (&["--hvg", "20"], "choose the genes of all cells beforehand"),
        (&["--genes"], "--genes is of all cells"),
    ] {
        place.refused(&[&embed[..], option].concat(), &[option[0], remedy]);
    }
    let predict = ["annotate", "predict", "cells.h5ad", "-m", "t", "-o", "x", "--part", "1/2"];
    place.refused(&[&predict[..], &["--majority-voting"]].concat(), &["all cells at once"]);
    place.refused(&[&predict[..], &["--explain", "3"]].concat(), &["scgpt annotate explain"]);
    let nowhere = ["embed", "cells.h5ad", "-m", &model, "-o", "nowhere/", "--part", "1/2"];
    place.refused(&nowhere, &["nowhere", "check that the folder exists"]);
}

#[test]
fn parts_that_are_there_are_kept_and_others_are_refused() {
    let (place, model) = (Place::new(), model());
    place.simulate("cells.h5ad", &["--cells", "40", "--types", "2"]);
    place.simulate("other.h5ad", &["--cells", "41", "--types", "2"]);
    let embed = ["embed", "cells.h5ad", "-m", &model, "-o", "x.h5ad", "--part"];
    let part = |part: &str, more: &[&str]| {
        parsed(&place.done(&[&embed[..], &[part, "--json"], more].concat()).stdout)
    };
    let first = part("1/2", &[]);
    assert_eq!(first["part"]["cells"], 20);
    assert_eq!(first["part"]["was_there"], false);
    assert_eq!(first["output"], "x.part-0001-of-0002.parquet");
    let path = place.path("x.part-0001-of-0002.parquet");
    let written = || fs::metadata(&path).unwrap().modified().unwrap();
    let time = written();
    // A job that is asked for again costs nothing, whatever it has for speed.
    let again = part("1/2", &["--batch-size", "3", "--threads", "1"]);
    assert_eq!(again["part"]["was_there"], true);
    assert_eq!(written(), time);
    let first = [&embed[..], &["1/2"]].concat();
    place.refused(
        &[&first[..], &["--seed", "1"]].concat(),
        &["`options.seed` was 0, is 1", "--force"],
    );
    part("1/2", &["--force"]);
    assert_ne!(written(), time);
    let join = ["join", "x", "-o", "out.h5ad", "--into", "cells.h5ad"];
    let line = format!("scgpt embed cells.h5ad -m {model} -o x.h5ad --part 2/2 --json");
    place.refused(&join, &["part 2 of 2 is missing", &line]);
    part("2/2", &["--seed", "1"]);
    place.refused(&join, &["another run", "`options.seed` is 1, there 0"]);
    part("2/2", &["--force"]);
    let other = ["join", "x", "-o", "out.h5ad", "--into", "other.h5ad"];
    place.refused(&other, &["other.h5ad", "41 cells, those of the parts are 40"]);
    place.done(&join);
    place.refused(&join, &["out.h5ad", "--force"]);

    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    place.refused(&first, &["exists", "damaged", "--force"]);
    let join = [&join[..], &["--force"]].concat();
    place.refused(&join, &["damaged", "make the part again"]);
    place.refused(&["join", "cells.h5ad", "-o", "y.csv"], &["cells.h5ad", "damaged"]);
}

/// What is in a folder, by name.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    files.map(|path| (name(&path), fs::read(&path).unwrap())).collect()
}

#[test]
fn converted_parts_are_the_whole() {
    let place = Place::new();
    place.simulate("cells.h5ad", &["--cells", "60", "--types", "3", "--batches", "2"]);
    for (name, more) in [
        ("all", &["--obs", "cell_type,batch", "--shard-cells", "17"][..]),
        ("few", &["--where", "index < 'cell_000006' OR index = 'cell_000031'"]),
    ] {
        let convert = [&["convert", "cells.h5ad"], more].concat();
        let whole = format!("{name}-whole");
        place.done(&[&convert[..], &["-o", &whole]].concat());
        for part in ["3/4", "1/4", "4/4", "2/4"] {
            place.done(&[&convert[..], &["-o", name, "--part", part]].concat());
        }
        let joined = format!("{name}-joined");
        let ended = place.done(&["join", name, "-o", &joined]);
        assert!(ended.stdout.contains("4 of `scgpt convert`"), "{}", ended.stdout);
        let [whole, joined] = [whole, joined].map(|it| content(&place.path(&it)));
        assert!(whole == joined, "{name}: {:?} {:?}", whole.keys(), joined.keys());
    }
    // A part is a folder of shards itself, and one that is there is kept.
    let convert = ["convert", "cells.h5ad", "--obs", "cell_type,batch", "--shard-cells"];
    let part = ["-o", "all", "--part", "2/4"];
    let again = place.done(&[&convert[..], &["17"], &part].concat());
    assert!(again.stdout.contains("2/4: cells 16 to 30 of 60"), "{}", again.stdout);
    assert!(again.stdout.contains("it was there, of the same run"), "{}", again.stdout);
    let shards = ShardFolder::open(place.path("all.part-0002-of-0004")).unwrap();
    assert_eq!((shards.n_cells(), shards.id(0).unwrap()), (15, 15));
    place.refused(
        &[&convert[..], &["18"], &part].concat(),
        &["another run", "`shard_cells` was 17, is 18", "--force"],
    );
    // What cannot be joined, is said.
    let join = ["join", "all", "-o", "x"];
    place.refused(&[&join[..], &["--into", "cells.h5ad"]].concat(), &["--into"]);
    place.refused(&["join", "all-whole", "-o", "x"], &["no part", "parts of a conversion"]);
    let last = place.path("all.part-0004-of-0004");
    fs::rename(&last, place.path("aside")).unwrap();
    place.refused(&join, &["part 4 of 4 is missing", "scgpt convert cells.h5ad", "--part 4/4"]);
    place.refused(&["join", "all", "aside", "all.part-0001-of-0004", "-o", "x"], &["there twice"]);
    place.done(&["convert", "cells.h5ad", "--shard-cells", "17", "-o", "all", "--part", "4/4"]);
    place.refused(&join, &["another run", "labels"]);
    // What is no token shards, of several files, or no cells.
    let two = "index IN ('cell_000007', 'cell_000031')";
    let none = ["convert", "cells.h5ad", "--where", two, "-o", "x", "--part", "1/3"];
    place.refused(&none, &["--part 1/3 has no cells, as there are 2"]);
    let several = ["convert", "cells.h5ad", "cells.h5ad", "-o", "x", "--part", "1/2"];
    place.refused(&several, &["--part 1/2", "one file"]);
    let file = ["convert", "cells.h5ad", "-o", "x.h5ad", "--part", "1/2"];
    place.refused(&file, &["--part 1/2", "x.h5ad"]);
    place.refused(&["convert", &model(), "-o", "x", "--part", "1/2"], &["--part"]);
}

#[test]
fn more_parts_than_cells_are_joined() {
    let (place, model) = (Place::new(), model());
    place.simulate("cells.h5ad", &["--cells", "40", "--types", "2"]);
    // Two cells, by a column that a table brings.
    fs::write(place.path("t.csv"), "cell,tissue\ncell_000031,a\ncell_000007,a\ncell_000002,b\n")
        .unwrap();
    let two = ["--obs-from", "t.csv", "--where", "tissue = 'a'"];
    let embed = [&["embed", "cells.h5ad", "-m", &model], &two[..]].concat();
    place.done(&[&embed[..], &["-o", "whole.h5ad"]].concat());
    let part = ["--part", "1/3", "-o", "x"];
    let ended = place.done(&[&embed[..], &part].concat());
    assert!(ended.stdout.contains("1/3: no cells, there are 2 in all"), "{}", ended.stdout);
    in_parts(&place, &embed, "cells.h5ad", "joined.h5ad");
    assert_same(&place.path("whole.h5ad"), &place.path("joined.h5ad"), "scgpt");
}

#[test]
fn a_part_that_is_killed_leaves_none() {
    let (place, model) = (Place::new(), model());
    place.simulate("cells.h5ad", &["--cells", "200"]);
    let embed = ["embed", "cells.h5ad", "-m", &model, "-o", "x", "--part", "2/2"];
    let path = place.path("x.part-0002-of-0002.parquet");
    let begun = Instant::now();
    place.done(&embed);
    let (took, whole) = (begun.elapsed(), fs::read(&path).unwrap());
    for share in 1..8_u32 {
        drop(fs::remove_file(&path));
        let mut program = place.command(&embed);
        let mut program = program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep((took * share / 8).max(Duration::from_millis(1)));
        drop(program.kill());
        program.wait().unwrap();
        assert!(!path.exists() || fs::read(&path).unwrap() == whole);
    }
    place.done(&embed);
    assert_eq!(fs::read(&path).unwrap(), whole);
    assert_eq!(place.content().len(), 2, "cells and the part: {:?}", place.content());
}
