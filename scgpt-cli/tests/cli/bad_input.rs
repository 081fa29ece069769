//! Input that cannot be embedded is refused, and nothing is left behind.

use scgpt_fixtures::Toy;
use std::{fs, process::Command};

use crate::run::{Place, cells, ended, model};

/// Embeds a spoiled toy, which must be refused with all `parts`.
fn spoiled(spoil: impl FnOnce(&mut Toy), parts: &[&str]) {
    let place = Place::new();
    let mut toy = Toy::known();
    spoil(&mut toy);
    toy.write_h5ad(&place.path("spoiled.h5ad"));
    let model = model();
    let args = ["embed", "spoiled.h5ad", "-m", &model, "-o", "out.h5ad", "--min-genes", "0"];
    let message = place.refused(&args, parts);
    assert!(message.contains("hint: "), "{message}");
}

#[test]
fn files_that_are_not_cells() {
    let place = Place::new();
    let model = model();
    let embed = |input, parts: &[&str]| {
        let message = place.refused(&["embed", input, "-m", &model, "-o", "out.h5ad"], parts);
        assert!(message.contains("hint: "), "{message}");
    };
    embed("absent.h5ad", &["`absent.h5ad`", "No such file"]);
    fs::write(place.path("text.h5ad"), "gene,cell\n").unwrap();
    embed("text.h5ad", &["`text.h5ad`"]);
    let whole = fs::read(cells()).unwrap();
    for quarter in 1..4 {
        fs::write(place.path("cut.h5ad"), &whole[..whole.len() * quarter / 4]).unwrap();
        embed("cut.h5ad", &["`cut.h5ad`"]);
    }
}

#[test]
fn matrices_that_are_broken() {
    spoiled(|toy| toy.has_x = false, &["spoiled.h5ad", "`X`", "no such matrix"]);
    spoiled(|toy| toy.data[3] = -1.5, &["negative value -1.5", "cell 2", "--layer raw"]);
    spoiled(|toy| toy.data[0] = f32::NAN, &["spoiled.h5ad", "NaN", "cell 0"]);
    spoiled(|toy| toy.data[0] = f32::INFINITY, &["spoiled.h5ad", "inf", "cell 0"]);
    spoiled(|toy| toy.indices[1] = 9, &["spoiled.h5ad", "X/indices", "9", "0..4"]);
    spoiled(|toy| toy.indptr[1] = 4, &["spoiled.h5ad", "indptr"]);
    spoiled(|toy| toy.indptr[3] = 8, &["spoiled.h5ad", "indptr"]);
    spoiled(|toy| toy.text = Some(vec!["a"; 5]), &["spoiled.h5ad", "`X`: holds text"]);
}

#[test]
fn nothing_to_embed() {
    let nothing = |toy: &mut Toy| {
        toy.indices.clear();
        toy.data.clear();
    };
    spoiled(
        |toy| {
            nothing(toy);
            (toy.shape, toy.indptr, toy.cells) = ([0, 4], vec![0], Vec::new());
        },
        &["spoiled.h5ad", "no cells"],
    );
    spoiled(
        |toy| {
            nothing(toy);
            (toy.shape, toy.indptr, toy.genes) = ([3, 0], vec![0; 4], Vec::new());
        },
        &["spoiled.h5ad", "no genes"],
    );
    spoiled(
        |toy| toy.genes = vec!["Xkr4", "Gm1992", "Rp1", "Sox17"],
        &["0 of 4 genes", "`Xkr4`", "--gene-column"],
    );
}

#[test]
fn empty_cells_and_duplicate_genes_are_counted() {
    let place = Place::new();
    let toy = Toy { genes: vec!["TNFRSF4", "SSU72", "SSU72", "RBP7"], ..Toy::known() };
    toy.write_h5ad(&place.path("toy.h5ad"));
    let model = model();
    let args = ["embed", "toy.h5ad", "-m", &model, "-o", "out.h5ad", "--json", "--min-genes", "0"];
    let ended = place.done(&args);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["tokens"]["n_empty"], 1);
    assert_eq!(report["genes"]["duplicates"], 1);
    assert!(ended.stderr.contains("1 cells express no known gene"), "{}", ended.stderr);
    assert!(ended.stderr.contains("SSU72"), "{}", ended.stderr);
}

#[test]
fn outputs_that_cannot_be() {
    let place = Place::new();
    fs::copy(cells(), place.path("cells.h5ad")).unwrap();
    fs::write(place.path("there.h5ad"), "precious").unwrap();
    let model = model();
    let embed = |output, parts: &[&str]| {
        place.refused(&["embed", "cells.h5ad", "-m", &model, "-o", output], parts);
    };
    embed("there.h5ad", &["`there.h5ad` exists", "--force"]);
    assert_eq!(fs::read_to_string(place.path("there.h5ad")).unwrap(), "precious");
    embed("out.txt", &["`out.txt`", ".h5ad or .zarr"]);
    for beside in ["out.report.html", "out.config.toml"] {
        fs::write(place.path(beside), "precious").unwrap();
        embed("out.h5ad", &[&format!("`{beside}` exists"), "--force"]);
        fs::remove_file(place.path(beside)).unwrap();
    }
    embed("no/such/folder/out.h5ad", &["no/such/folder"]);
    embed("there.h5ad/out.h5ad", &["there.h5ad"]);
    let before = fs::read(place.path("cells.h5ad")).unwrap();
    place.refused(
        &["embed", "cells.h5ad", "-m", &model, "-o", "cells.h5ad", "--force"],
        &["is the input"],
    );
    assert_eq!(before, fs::read(place.path("cells.h5ad")).unwrap());
}

#[test]
fn options_that_cannot_work() {
    let place = Place::new();
    let (cells, model) = (cells(), model());
    let embed = |option: &[&str], parts: &[&str]| {
        let common = ["embed", &cells, "-m", &model, "-o", "out.h5ad"];
        place.refused(&[&common, option].concat(), parts);
    };
    embed(&["--device", "tpu"], &["unknown device `tpu`", "cpu"]);
    embed(&["--device", "cpu:3"], &["unknown device `cpu:3`"]);
    embed(&["--batch-size", "0"], &["--batch-size is 0"]);
    embed(&["--threads", "0"], &["--threads is 0"]);
    embed(&["--max-length", "1"], &["no room for a gene"]);
    embed(&["--gene-column", "symbol"], &["`symbol`", "feature_name"]);
    embed(&["--layer", "spliced"], &["spliced", "`X`"]);
    embed(&["--color", "leiden"], &["`leiden`", "cell_type"]);
    embed(&["--hvg", "100", "--batch-key", "donor"], &["`donor`", "batch"]);
    fs::write(place.path("options.toml"), "max-lenght = 3\n").unwrap();
    embed(&["--config", "options.toml"], &["options.toml", "`max-lenght`"]);
}

/// A small file system that fills up; skipped where it cannot be mounted.
#[test]
fn a_full_disk() {
    let place = Place::new();
    let small = place.path("small");
    fs::create_dir(&small).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=100k", "tmpfs"])
        .arg(&small)
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        scgpt_fixtures::skipped("there is no right to mount a small file system");
        return;
    }
    let result =
        ended(&mut place.command(&["embed", &cells(), "-m", &model(), "-o", "small/out.h5ad"]));
    let left = fs::read_dir(&small).unwrap().count();
    assert!(Command::new("umount").arg(&small).status().unwrap().success());
    assert_eq!(result.code, 1, "{}", result.stderr);
    assert!(result.stderr.contains("space"), "{}", result.stderr);
    assert_eq!(left, 0);
}
