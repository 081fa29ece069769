//! `scgpt corpus`, and what `pretrain` draws from one.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::run::{Place, cells, model, tiny};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A corpus of the cells of a fixture, twice, and of simulated cells.
fn place() -> Place {
    let (place, cells, model) = (Place::new(), cells(), model());
    place.simulate("other.h5ad", &["--cells", "40", "--types", "2"]);
    fs::copy(&cells, place.path("again.h5ad")).unwrap();
    let build = [
        "corpus",
        "build",
        &cells,
        "other.h5ad",
        "again.h5ad",
        "-m",
        &model,
        "--obs",
        "cell_type,batch,n_genes",
        "-o",
        "corpus",
        "--json",
    ];
    let manifest = parsed(&place.done(&build).stdout);
    assert_eq!(manifest["n_cells"], 104);
    let of = |source: usize, name: &str| manifest["sources"][source][name].as_u64();
    assert_eq!(
        [of(0, "duplicates"), of(1, "duplicates"), of(2, "duplicates")],
        [None, None, Some(64)]
    );
    assert_eq!(manifest["labels"][2]["kind"], "integer");
    place
}

#[test]
fn studies_become_a_corpus_that_is_shown_and_drawn_from() {
    let place = place();
    let show = ["corpus", "show", "corpus", "--by", "batch", "--json"];
    let shown = parsed(&place.done(&show).stdout);
    let groups = shown["groups"].as_array().unwrap();
    let total: u64 = groups.iter().map(|group| group["cells"].as_u64().unwrap()).sum();
    assert_eq!((shown["cells"].as_u64(), total), (Some(104), 104));
    let condition = "batch = 'batch0' AND n_genes > 1100";
    let some = parsed(
        &place.done(&[&show[..], &["--where", condition, "-o", "page.html"]].concat()).stdout,
    );
    let n = some["cells"].as_u64().unwrap();
    assert!(n > 5 && n < 22, "{n}");
    let page = fs::read_to_string(place.path("page.html")).unwrap();
    assert!(page.contains(&format!("{n} of 104 cells where batch")), "{page}");

    let settings = "batch_size = 4\nmax_length = 40\nvalidation_share = 0.2";
    fs::write(place.path("tiny.toml"), tiny(settings, "n_layers = 1", "epochs = 1")).unwrap();
    let train = ["pretrain", "--data", "corpus", "--config", "tiny.toml"];
    let classes = [&train[..], &["--class-column", "n_genes", "-o", "classes"]].concat();
    place.refused(&classes, &["of the shards has no label in `n_genes`"]);
    // Cells that are not read need no label.
    place.done(&[&classes[..], &["--where", "n_genes IS NOT NULL"]].concat());
    let near = [&train[..], &["--shuffle-window"]].concat();
    place.done(&[&near[..], &["64", "-o", "near"]].concat());
    let settings = fs::read_to_string(place.path("near/config.toml")).unwrap();
    assert!(settings.contains("shuffle_window = 64"), "{settings}");
    let parts = ["--shuffle-window is 3, expected at least 4", "does not go with --balance"];
    place.refused(&[&near[..], &["3", "--balance", "batch", "-o", "wrong"]].concat(), &parts);
    let train = [&train[..], &["--balance", "cell_type"]].concat();
    let more = ["--where", condition, "-o", "run", "--json"];
    let report = parsed(&place.done(&[&train[..], &more].concat()).stdout);
    assert_eq!(report["chosen"][0]["kept"], n);
    let data = &report["data"];
    assert!(data["training_cells"].as_u64().unwrap() < n, "{data}");
    let settings = fs::read_to_string(place.path("run/config.toml")).unwrap();
    for line in ["where = \"batch = 'batch0' AND n_genes > 1100\"", "balance = \"cell_type\""] {
        assert!(settings.contains(line), "{settings}");
    }
}

#[test]
fn what_a_corpus_does_not_have_is_refused() {
    let place = place();
    let show = |more: &[&str], parts: &[&str]| {
        place.refused(&[&["corpus", "show", "corpus"], more].concat(), parts);
    };
    show(
        &["--by", "tissue"],
        &["`tissue`", "no such label column (there are: cell_type, batch, n_genes)"],
    );
    show(&["--where", "btch = 'x'"], &["similar names: batch", "scgpt convert"]);
    show(&["--where", "batch = 'x'"], &["none of 104 cells where batch = 'x'"]);
    let verified = place.done(&["corpus", "show", "corpus", "--verify"]).stdout;
    assert!(verified.contains("as written"), "{verified}");
    let is_shard = |path: &PathBuf| path.extension().is_some_and(|it| it == "arrow");
    let files = fs::read_dir(place.path("corpus")).unwrap().map(|entry| entry.unwrap().path());
    let shard = files.into_iter().find(is_shard).unwrap();
    let whole = fs::read(&shard).unwrap();
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    fs::write(&shard, altered).unwrap();
    show(&["--verify"], &["altered", ".arrow"]);
    fs::write(&shard, whole).unwrap();
    let model = model();
    place.refused(
        &[
            "corpus",
            "build",
            "other.h5ad",
            "-m",
            &model,
            "-o",
            "x",
            "--obs",
            "tissue",
            "--min-genes",
            "0",
        ],
        &["no input has a column tissue"],
    );
    place.refused(
        &["pretrain", "--data", "corpus", "-o", "run", "--balance", "tissue"],
        &["`tissue`"],
    );
}
