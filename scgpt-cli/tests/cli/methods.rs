//! Simple methods in place of the network: what `--method` writes, what it says, and what is refused.

use std::{fs, path::Path};

use scgpt_data::{CellSource as _, Layer, Source};
use serde_json::Value;

use crate::run::{Place, model, tiny};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A screen of eight genes and six pairs, and in `net` what a tiny network learned of it.
fn screen() -> Place {
    let place = Place::new();
    let cells = ["--cells", "600", "--genes", "80", "--perturb", "8", "--doubles", "6"];
    place.done(&[&["simulate", "-o", "raw.h5ad"], &cells[..]].concat());
    place.done(&["perturb", "prepare", "raw.h5ad", "-o", "screen.h5ad"]);
    let task = "batch_size = 8\ngenes_per_step = 40\ngenes_per_pass = 40\npool = 8\npairs = 2";
    fs::write(place.path("tiny.toml"), tiny(task, "n_layers = 1", "epochs = 1")).unwrap();
    place
}

/// The cells of a file, `[n, g]`.
fn matrix(path: &Path) -> Vec<f32> {
    let mut source = Source::open_predicted(path).unwrap();
    let n = source.summary().n_cells;
    let block = source.read(&Layer::X, 0..n).unwrap();
    let mut rows = vec![0.0; n * block.n_genes()];
    for (row, cell) in rows.chunks_mut(block.n_genes()).zip(block.rows()) {
        for (&gene, &x) in cell.indices.iter().zip(cell.values) {
            row[gene as usize] = x;
        }
    }
    rows
}

#[test]
fn responses_are_predicted_by_simple_methods_or_the_best_of_all() {
    let place = screen();
    let train = ["perturb", "train", "screen.h5ad", "--config", "tiny.toml", "-o", "net"];
    let trained = place.done(&train);
    // A network of one pass is worse than what is simple, and the last line says what to do.
    let last = trained.stdout.lines().last().unwrap();
    let command = last.strip_prefix("better").unwrap_or_else(|| panic!("{}", trained.stdout));
    let words: Vec<&str> = command.split_whitespace().collect();
    assert_eq!(words[..5], ["scgpt", "perturb", "predict", "--model", "net"], "{command}");
    let page = fs::read_to_string(place.path("net/report.html")).unwrap();
    assert!(page.contains(command.trim()), "on the page, too");
    assert_eq!(
        json(&fs::read_to_string(place.path("net/report.json")).unwrap())["better"],
        command.trim()
    );
    place.done(&words[1..]);
    assert!(place.path("predicted.h5ad").is_file());

    let report = json(&fs::read_to_string(place.path("net/report.json")).unwrap());
    let tested = report["split"]["test"].as_array().unwrap().iter();
    let tested = tested.map(|name| name.as_str().unwrap().replace("+ctrl", "").replace('+', ","));
    let tested: Vec<String> = tested.collect();
    let predict = |method: &str, output: &str| {
        let mut args = vec!["perturb", "predict", "-m", "net", "--cells", "4", "-o", output];
        args.extend(["--method", method, "--json"]);
        for genes in &tested {
            args.extend(["--genes", genes]);
        }
        json(&place.done(&args).stdout)
    };
    for method in ["additive", "linear", "matching_mean", "training_mean", "no_change"] {
        let output = format!("{method}.h5ad");
        let said = predict(method, &output);
        assert_eq!(said["method"]["method"], method);
        assert!(said["precision"].is_null());
        let cells = matrix(&place.path(&output));
        assert_eq!(cells.len(), tested.len() * 4 * 80);
        assert!(cells.iter().all(|x| x.is_finite()));
    }
    // The mean of all conditions is the same whatever is asked for, and cells differ as controls do.
    let cells = matrix(&place.path("training_mean.h5ad"));
    assert!(cells[..4 * 80] == cells[4 * 80..8 * 80] && cells[..80] != cells[80..160]);
    let best = predict("best", "best.h5ad");
    let chosen = best["method"]["method"].as_str().unwrap();
    assert!(best["method"]["because"].as_str().unwrap().contains("against"), "{best}");
    if chosen != "network" {
        assert!(matrix(&place.path("best.h5ad")) == matrix(&place.path(&format!("{chosen}.h5ad"))));
    }
    // Methods are as good as the report says, and better for what selected the network.
    let judge = ["evaluate", "perturb", "linear.h5ad", "--truth", "screen.h5ad"];
    let judge = [&judge[..], &["--split-file", "net/split.json", "--json"]].concat();
    let judged = json(&place.done(&judge).stdout);
    let score = |method: &Value| method["scores"]["pearson_delta"]["mean"].as_f64().unwrap();
    let expected = report["evaluation"]["methods"].as_array().unwrap().iter();
    let expected = expected.filter(|it| it["name"] == "linear").map(score).next().unwrap();
    assert!((score(&judged["methods"][0]) - expected).abs() < 0.15, "{judged}");
}

#[test]
fn the_best_method_needs_something_to_be_chosen_by() {
    let place = screen();
    let train = ["perturb", "train", "screen.h5ad", "--config", "tiny.toml", "-o", "net"];
    place.done(&[&train[..], &["--no-baselines"]].concat());
    let predict = ["perturb", "predict", "-m", "net", "--genes", "GENE00001", "-o", "x.h5ad"];
    let refused = place.refused(
        &[&predict[..], &["--method", "best"]].concat(),
        &["nothing to choose the best method by", "the network alone", "--method"],
    );
    assert!(refused.contains("hint:") || refused.contains("name a method"), "{refused}");
    // Without a word of how good methods were, as in artefacts of earlier versions.
    let path = place.path("net/perturbation.json");
    let mut record = json(&fs::read_to_string(&path).unwrap());
    record.as_object_mut().unwrap().retain(|key, _| key != "judged" && key != "seal");
    fs::write(&path, record.to_string()).unwrap();
    place.refused(&[&predict[..], &["--method", "best"]].concat(), &["earlier version"]);
    place.done(&[&predict[..], &["--method", "additive"]].concat());
}

/// Cells of two batches, further cells of these, and settings of a network of one pass.
fn batches() -> Place {
    let place = Place::new();
    for (name, seed) in [("cells.h5ad", "1"), ("more.h5ad", "1")] {
        let cells = if name == "more.h5ad" { "70" } else { "160" };
        let args = ["simulate", "-o", name, "--cells", cells, "--genes", "120", "--types", "3"];
        place.done(&[&args[..], &["--batches", "2", "--seed", seed]].concat());
    }
    // Drawn vectors that learn for one pass are no match for what is simple.
    let task = "batch_size = 16\nhvg = 60\nmax_length = 41\nstart = \"random\"";
    fs::write(place.path("tiny.toml"), tiny(task, "n_layers = 1", "epochs = 1")).unwrap();
    place
}

/// A matrix of `obsm`, and its number of columns.
fn obsm(path: &Path, key: &str) -> (Vec<f32>, usize) {
    let file = hdf5_pure::File::open_streaming(path).unwrap();
    let dataset = file.dataset(&format!("obsm/{key}")).unwrap();
    let shape = dataset.shape().unwrap();
    (dataset.read_f32().unwrap(), usize::try_from(shape[1]).unwrap())
}

const INTEGRATE: [&str; 6] =
    ["integrate", "cells.h5ad", "--batch-key", "batch", "--label", "cell_type"];

#[test]
fn cells_are_integrated_by_simple_methods_without_a_network() {
    let place = batches();
    for method in ["harmony", "combat", "pca"] {
        let (output, key) = (format!("{method}.h5ad"), format!("X_{method}"));
        let args = ["--method", method, "-o", &output, "--json"];
        let report = json(&place.done(&[&INTEGRATE[..], &args].concat()).stdout);
        let expected = [("harmony", "Harmony"), ("combat", "ComBat"), ("pca", "HVG + PCA")];
        let name = expected.iter().find(|it| it.0 == method).unwrap().1;
        assert_eq!(report["methods"][0]["name"], name);
        assert_eq!(report["methods"].as_array().unwrap().len(), 4);
        let (rows, width) = obsm(&place.path(&output), &key);
        assert_eq!((rows.len(), report["width"].as_u64()), (160 * width, Some(width as u64)));
        let folder = place.path(&format!("{method}.model"));
        for file in ["simple_integration.json", "report.json", "report.html"] {
            assert!(folder.join(file).is_file(), "{file}");
        }
        assert!(!folder.join("model.safetensors").exists(), "there is no network");
        // The same scores as `evaluate integration` gives to what was written.
        let page = format!("{method}.html");
        let evaluate = ["evaluate", "integration", &output, "--embedding", &key, "-o", &page];
        let evaluate = [&evaluate[..], &INTEGRATE[2..], &["--no-baselines", "--json"]].concat();
        let judged = json(&place.done(&evaluate).stdout);
        let of =
            |it: &Value| it["scores"][0]["avg_bio"].as_f64().or(it["scores"]["avg_bio"].as_f64());
        let (here, there) = (of(&report["methods"][0]).unwrap(), of(&judged["methods"][0]));
        assert!(there.is_none_or(|there| (here - there).abs() < 1e-6), "{judged}");
    }
    // Further cells have places among principal components, and nowhere else.
    let apply = |model: &str, output: &str| {
        ["integrate", "cells.h5ad", "--model", model, "-o", output].map(String::from)
    };
    let args = apply("pca.model", "again.h5ad");
    place.done(&args.each_ref().map(String::as_str));
    let [again, first] = ["again.h5ad", "pca.h5ad"].map(|it| obsm(&place.path(it), "X_pca").0);
    assert!(again.iter().zip(&first).all(|(a, b)| (a - b).abs() < 1e-4));
    place.done(&["integrate", "more.h5ad", "--model", "pca.model", "-o", "placed.h5ad"]);
    assert_eq!(obsm(&place.path("placed.h5ad"), "X_pca").0.len() * 160, first.len() * 70);
    for method in ["harmony", "combat"] {
        let args = apply(&format!("{method}.model"), "x.h5ad");
        let parts = ["no place for further cells", "`pca`", "--method"];
        place.refused(&args.each_ref().map(String::as_str), &parts);
    }
    place.refused(&["embed", "cells.h5ad", "-m", "pca.model", "-o", "x.h5ad"], &["simple method"]);
    let changed = place.path("pca.model/components.json");
    fs::write(&changed, fs::read_to_string(&changed).unwrap() + " ").unwrap();
    let args = apply("pca.model", "x.h5ad");
    place.refused(&args.each_ref().map(String::as_str), &["components.json", "was changed"]);
}

#[test]
fn the_best_integration_is_chosen_by_the_scores_of_the_report() {
    let place = batches();
    let run =
        |more: &[&str]| place.done(&[&INTEGRATE[..], &["--config", "tiny.toml"], more].concat());
    let report = json(&run(&["--method", "best", "-o", "best.h5ad", "--json"]).stdout);
    let overall = |method: &Value| method["scores"][0]["overall"].as_f64().unwrap();
    let methods = report["methods"].as_array().unwrap().iter();
    let methods = methods.filter(|it| it["name"] != "Unintegrated");
    let best = methods.max_by(|a, b| overall(a).total_cmp(&overall(b))).unwrap();
    let key = match best["name"].as_str().unwrap() {
        "Harmony" => "X_harmony",
        "ComBat" => "X_combat",
        "HVG + PCA" => "X_pca",
        _ => "X_scGPT",
    };
    assert_eq!(report["chosen"]["method"], key.replace("X_scGPT", "X_network")[2..]);
    assert!(report["chosen"]["because"].as_str().unwrap().contains("against"));
    assert_eq!(obsm(&place.path("best.h5ad"), "X_scGPT").1, 16);
    obsm(&place.path("best.h5ad"), key);
    // The network alone: the last line is the command that gives the better one, and it does.
    let said = run(&["-o", "out.h5ad"]).stdout;
    let last = said.lines().last().unwrap();
    let command = last.strip_prefix("better").unwrap_or_else(|| panic!("{said}")).trim();
    let page = fs::read_to_string(place.path("out.model/report.html")).unwrap();
    assert!(page.contains(command), "{command}");
    let words: Vec<&str> = command.split(' ').collect();
    assert!(words.contains(&"--method") && words.contains(&"--label"), "{command}");
    place.done(&words[1..]);
    let output = words[words.iter().position(|it| *it == "-o").unwrap() + 1];
    let method = words[words.iter().position(|it| *it == "--method").unwrap() + 1];
    assert_eq!(output, format!("out.{method}.h5ad"));
    obsm(&place.path(output), &format!("X_{method}"));
    // Best needs labels, and something to choose among.
    let best =
        ["integrate", "cells.h5ad", "--batch-key", "batch", "--method", "best", "-o", "x.h5ad"];
    place.refused(&best, &["best", "--label"]);
    let alone = [&best[..], &["--label", "cell_type", "--no-baselines"]].concat();
    place.refused(&alone, &["best", "--no-baselines"]);
}

/// An integration of two modalities.
fn of_two<'a>(method: &'a str, output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = ["integrate", "two.h5mu", "--label", "cell_type", "--method", method, "-o", output];
    [&args[..], more].concat()
}

#[test]
fn methods_that_are_not_for_the_cells_are_refused() {
    let place = batches();
    let refuse = |more: &[&str], parts: &[&str]| {
        place.refused(&[&INTEGRATE[..], &["-o", "x.h5ad"], more].concat(), parts)
    };
    refuse(&["--method", "lsi"], &["--method is `lsi`", "open chromatin", "`harmony`"]);
    refuse(&["--method", "pca", "--ablate"], &["--ablate", "`pca` trains none"]);
    refuse(&["--method", "harmony", "--resume"], &["--resume", "trains none"]);
    let several = ["--modalities", "rna,atac", "--peaks", "150", "--batches", "2"];
    let cells = ["simulate", "-o", "two.h5mu", "--cells", "120", "--genes", "60", "--types", "2"];
    place.done(&[&cells[..], &several].concat());
    let with_key = ["--batch-key", "batch"];
    place.refused(&of_two("combat", "x.h5mu", &with_key), &["one modality"]);
    place.refused(&of_two("harmony", "x.h5mu", &[]), &["--batch-key", "`pca`"]);
    for (method, key) in [("harmony", "X_harmony"), ("pca", "X_pca"), ("lsi", "X_lsi")] {
        let output = format!("{method}.h5mu");
        place.done(&of_two(method, &output, &with_key));
        assert!(obsm(&place.path(&output), key).1 > 1);
    }
    let of_both = ["integrate", "two.h5mu", "--model", "pca.model", "-o", "x.h5mu"];
    place.refused(&of_both, &["no place for further cells", "ATAC, RNA"]);
}

#[test]
fn the_best_beside_a_checkpoint_of_other_genes_knows_all_genes_of_the_cells() {
    let place = Place::new();
    let known = json(&fs::read_to_string(Path::new(&model()).join("vocab.json")).unwrap());
    let known = known.as_object().unwrap().keys().filter(|name| !name.starts_with('<'));
    let names = known.take(20).cloned().chain((0..60).map(|gene| format!("OTHER{gene}")));
    let vocab: serde_json::Map<String, Value> =
        names.zip(0..).map(|(name, at)| (name, Value::from(at))).collect();
    fs::write(place.path("vocab.json"), Value::from(vocab).to_string()).unwrap();
    let simulate = ["simulate", "-o", "cells.h5ad", "--cells", "150", "--genes", "80"];
    place.done(&[&simulate[..], &["--types", "4", "--vocab", "vocab.json"]].concat());
    let model = model();
    let train = ["annotate", "train", "cells.h5ad", "--label", "cell_type", "--model", &model];
    let best = ["--method", "best", "--max-steps", "1", "-o", "best", "--json"];
    let report = json(&place.done(&[&train[..], &best].concat()).stdout);
    // After one step a network that sees a quarter of the genes is not the best.
    assert_eq!(report["method"], "logistic", "{report}");
    let record = json(&fs::read_to_string(place.path("best/annotation.json")).unwrap());
    assert_eq!(record["method"], "logistic");
    let vocab = json(&fs::read_to_string(place.path("best/vocab.json")).unwrap());
    assert!(vocab.get("OTHER59").is_some(), "{vocab}");
    // Nothing of the network is left in the artefact, and it tells the cells by all of their genes.
    assert!(!place.path("best/model.safetensors").exists());
    let predict = ["annotate", "predict", "cells.h5ad", "-m", "best", "-o", "x.h5ad", "--json"];
    let said = json(&place.done(&predict).stdout);
    assert_eq!(said["input"]["genes"]["matched"], 80, "{said}");
    let judge = ["evaluate", "labels", "x.h5ad", "--truth", "cell_type", "--json"];
    let judged = place.done(&[&judge[..], &["--prediction", "scgpt_prediction"]].concat());
    let accuracy = json(&judged.stdout)["scores"]["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.9, "{}", judged.stdout);
    // A checkpoint that knows none of the genes is refused, whatever the method.
    place.done(&["simulate", "-o", "others.h5ad", "--cells", "60", "--genes", "50"]);
    let train = ["annotate", "train", "others.h5ad", "--label", "cell_type", "--model", &model];
    place.refused(
        &[&train[..], &["--method", "best", "-o", "none"]].concat(),
        &["only 0 of 50 genes are in the vocabulary", "--gene-column"],
    );
}
