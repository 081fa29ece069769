//! `scgpt perturb`, and `scgpt evaluate perturb`: whole runs, and what is refused.

use std::{collections::BTreeSet, fs, path::Path, process::Stdio, thread::sleep, time::Duration};

use hdf5_pure::{AttrValue, File, FileBuilder};
use serde_json::Value;

use crate::{
    chunks::turn_round,
    run::{Place, model, tiny},
};

/// Settings of a network that is made in no time.
fn settings() -> String {
    tiny(
        "batch_size = 8\ngenes_per_step = 40\ngenes_per_pass = 40\npool = 8\npairs = 2",
        "n_layers = 2",
        "epochs = 3",
    )
}

/// A folder with a simulated screen of eight genes and six pairs, the same prepared, and settings.
fn place() -> Place {
    let place = Place::new();
    place.done(&[
        "simulate",
        "-o",
        "raw.h5ad",
        "--cells",
        "600",
        "--genes",
        "80",
        "--perturb",
        "8",
        "--doubles",
        "6",
    ]);
    place.done(&["perturb", "prepare", "raw.h5ad", "-o", "screen.h5ad"]);
    fs::write(place.path("tiny.toml"), settings()).unwrap();
    place
}

fn train<'a>(output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = ["perturb", "train", "screen.h5ad", "--config", "tiny.toml", "-o", output];
    [&args[..], more].concat()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn names(value: &Value) -> BTreeSet<String> {
    value.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn matrix(path: &Path) -> Vec<f32> {
    let file = File::open_streaming(path).unwrap();
    file.dataset("X")
        .and_then(|x| x.read_f32())
        .or_else(|_| file.dataset("X/data").and_then(|x| x.read_f32()))
        .unwrap()
}

/// A dense h5ad of cells with conditions.
struct Screen<'a> {
    conditions: Vec<&'a str>,
    genes: Vec<&'a str>,
    values: Vec<f32>,
}

impl Screen<'_> {
    /// Logarithms of four genes in three controls and three cells of each of two conditions.
    fn logs() -> Self {
        let conditions = ["ctrl", "A+ctrl", "B+ctrl"];
        let conditions = conditions.iter().flat_map(|name| [*name; 3]).collect();
        let values = (0_u8..36).map(|place| f32::from(place % 7) * 0.31).collect();
        Self { conditions, genes: vec!["A", "B", "C", "D"], values }
    }

    fn write(&self, path: &Path) {
        let mut file = FileBuilder::new();
        let (n, g) = (self.conditions.len() as u64, self.genes.len() as u64);
        file.create_dataset("X").with_f32_data(&self.values).with_shape(&[n, g]);
        let cells: Vec<String> = (0..n).map(|cell| format!("cell{cell}")).collect();
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        for (name, index, column) in
            [("obs", &cells, Some(&self.conditions)), ("var", &self.genes, None)]
        {
            let mut table = file.create_group(name);
            table.set_attr("encoding-type", AttrValue::String("dataframe".into()));
            table.set_attr("_index", AttrValue::String("_index".into()));
            let columns = column.map_or(Vec::new(), |_| vec!["condition".to_owned()]);
            table.set_attr("column-order", AttrValue::StringArray(columns));
            table.create_dataset("_index").with_vlen_strings(index);
            if let Some(column) = column {
                table.create_dataset("condition").with_vlen_strings(column);
            }
            file.add_group(table.finish());
        }
        file.write(path).unwrap();
    }
}

#[test]
fn a_screen_is_learned_predicted_searched_and_judged() {
    let place = place();
    let report = json(&place.done(&train("net", &["--json"])).stdout);
    let split = &report["split"];
    let all: Vec<BTreeSet<String>> =
        ["train", "val", "test"].map(|part| names(&split[part])).to_vec();
    assert_eq!(all.iter().map(BTreeSet::len).sum::<usize>(), 14, "{split}");
    assert!(!all[2].is_empty());
    let methods = report["evaluation"]["methods"].as_array().unwrap();
    let methods: Vec<&str> = methods.iter().map(|it| it["name"].as_str().unwrap()).collect();
    let expected = ["scGPT", "no change", "training mean", "matching mean", "additive", "linear"];
    assert_eq!(methods, expected);
    for name in ["README.md", "perturbation.json", "report.html", "split.json", "controls.h5ad"] {
        assert!(place.path("net").join(name).is_file(), "{name}");
    }
    assert!(!place.path("net/training/cells").exists(), "what is of no use is removed");

    // The same split again, and its conditions predicted.
    let saved = fs::read_to_string(place.path("net/split.json")).unwrap();
    place.done(&train("again", &["--split-file", "net/split.json", "--no-baselines"]));
    assert_eq!(saved, fs::read_to_string(place.path("again/split.json")).unwrap());
    let tested = all[2].iter().map(|name| name.replace("+ctrl", "").replace('+', ","));
    let tested: Vec<String> = tested.collect();
    let mut predict = vec!["perturb", "predict", "-m", "net", "--cells", "4", "-o", "said.h5ad"];
    for genes in &tested {
        predict.extend(["--genes", genes]);
    }
    let said = json(&place.done(&[&predict[..], &["--json"]].concat()).stdout);
    assert_eq!(said["responses"].as_array().unwrap().len(), tested.len());
    assert_eq!(matrix(&place.path("said.h5ad")).len(), tested.len() * 4 * 80);
    let evaluate = [
        "evaluate",
        "perturb",
        "said.h5ad",
        "--truth",
        "screen.h5ad",
        "--split-file",
        "net/split.json",
        "-o",
        "judged.html",
        "--json",
    ];
    let judged = json(&place.done(&evaluate).stdout);
    // The run judged as many cells of each condition, from the same controls.
    for score in ["pearson_delta", "mse_non_dropout", "centroid_accuracy"] {
        let of = |report: &Value| report["methods"][0]["scores"][score]["mean"].as_f64().unwrap();
        let (here, there) = (of(&judged), of(&report["evaluation"]));
        assert!((here - there).abs() < 1e-4, "{score}: {here} {there}");
    }
    assert!(fs::read_to_string(place.path("judged.html")).unwrap().contains("additive"));

    // The state of a condition is searched among all singles and pairs.
    let reverse = [
        "perturb",
        "reverse",
        "screen.h5ad",
        "-m",
        "net",
        "--candidates",
        "all",
        "--pairs",
        "--cells",
        "4",
        "-k",
        "3",
        "-o",
        "found.json",
        "--json",
    ];
    let mut found = json(&place.done(&reverse).stdout);
    assert_eq!(found["candidates"], 36);
    assert_eq!(found["groups"].as_array().unwrap().len(), 14);
    for method in found["methods"].as_array().unwrap() {
        let hits: Vec<f64> = serde_json::from_value(method["hits"].clone()).unwrap();
        let partial: Vec<f64> = serde_json::from_value(method["partial_hits"].clone()).unwrap();
        assert!(hits.len() == 3 && hits.is_sorted() && partial.is_sorted());
        assert!(hits.iter().zip(&partial).all(|(hit, partial)| hit <= partial));
    }
    assert!(place.path("found.html").is_file());
    // Candidates that were predicted before are searched as they are.
    let every = ["--candidates", "all", "--pairs", "--cells", "4", "-o", "all.h5ad"];
    place.done(&[&["perturb", "predict", "-m", "net"], &every[..]].concat());
    let again = [&reverse[..5], &["--predicted", "all.h5ad", "-k", "3"]].concat();
    let again = place.done(&[&again[..], &["-o", "again.json", "--json"]].concat());
    assert_eq!(found.as_object_mut().unwrap().remove("precision"), Some("exact".into()));
    assert_eq!(found, json(&again.stdout));

    // Controls of another file: as of training if they are all its controls.
    let with = |controls: &[&str], output| {
        let args = ["perturb", "predict", "-m", "net", "--genes", &tested[0], "-o", output];
        place.done(&[&args[..], controls].concat());
        matrix(&place.path(output))
    };
    let own = with(&[], "own.h5ad");
    let same = with(&["--controls", "net/controls.h5ad"], "same.h5ad");
    assert!(own == same);
    turn_round(&place.path("net/controls.h5ad"), &place.path("turned.h5ad"));
    assert!(own == with(&["--controls", "turned.h5ad"], "of_turned.h5ad"), "their order");
    let chosen = ["--controls", "screen.h5ad", "--condition-key", "condition"];
    let chosen = with(&chosen, "chosen.h5ad");
    assert!(chosen.iter().all(|x| x.is_finite()));
    assert!(chosen == with(&["--controls", "screen.h5ad"], "default.h5ad"), "controls alone");
    let wanted = ["--controls", "screen.h5ad", "--where", "condition = 'ctrl'"];
    assert!(chosen == with(&wanted, "where.h5ad"), "those of the condition");

    // Of all candidates those that were not trained on are judged.
    let evaluate = ["evaluate", "perturb", "all.h5ad", "--truth", "screen.h5ad"];
    let split = ["--split-file", "net/split.json", "--json"];
    let judged = json(&place.done(&[&evaluate[..], &split[..]].concat()).stdout);
    assert_eq!(names(&judged["conditions"]), all[2]);

    refuse_wrong_questions(&place, &tested[0]);
}

fn refuse_wrong_questions(place: &Place, gene: &str) {
    let predict = |more: &[&str], parts: &[&str]| {
        let args = ["perturb", "predict", "-m", "net", "-o", "x.h5ad"];
        place.refused(&[&args[..], more].concat(), parts);
    };
    predict(&["--genes", "GENE0001"], &["`GENE0001`", "similar names", "GENE00010"]);
    predict(&["--genes", ","], &["names no gene"]);
    predict(
        &["--genes", gene, "--where", "batch = 'a'"],
        &["--where is about the cells of --controls"],
    );
    predict(&["--genes", gene, "--cells", "0"], &["--cells is 0"]);
    fs::write(place.path("none.txt"), "\n \n").unwrap();
    predict(&["--candidates", "none.txt"], &["none.txt", "names no gene"]);
    predict(&["--candidates", "absent.txt"], &["absent.txt"]);
    let other = ["--genes", gene, "--controls"];
    predict(&[&other[..], &["raw.h5ad"]].concat(), &["raw.h5ad", "counts", "log1p"]);
    let onto = ["perturb", "predict", "-m", "net", "--genes", gene, "--controls", "screen.h5ad"];
    place.refused(&[&onto[..], &["-o", "screen.h5ad", "--force"]].concat(), &["is the input"]);
    Screen::logs().write(&place.path("panel.h5ad"));
    predict(
        &[&other[..], &["panel.h5ad"]].concat(),
        &["panel.h5ad", "lacks 80 of the 80", "panel"],
    );
    let none = ["screen.h5ad", "--condition-key", "batch"];
    predict(&[&other[..], &none].concat(), &["`batch`"]);
    let reverse = |input: &str, parts: &[&str]| {
        place.refused(&["perturb", "reverse", input, "-m", "net", "-o", "x.json"], parts);
    };
    reverse("panel.h5ad", &["panel.h5ad", "lacks 80 of the 80"]);
    reverse("raw.h5ad", &["counts", "log1p"]);
    let evaluate = |input: &str, truth: &str, parts: &[&str]| {
        place.refused(&["evaluate", "perturb", input, "--truth", truth], parts);
    };
    evaluate("said.h5ad", "raw.h5ad", &["raw.h5ad", "counts"]);
    evaluate("raw.h5ad", "screen.h5ad", &["raw.h5ad", "counts"]);
    evaluate("panel.h5ad", "screen.h5ad", &["no perturbed condition in common"]);
    place.refused(
        &["perturb", "predict", "-m", &model(), "--genes", gene, "-o", "x.h5ad"],
        &["expected an artefact of `scgpt perturb train`"],
    );
    place.refused(
        &["perturb", "train", "screen.h5ad", "-m", &model(), "-o", "x"],
        &["0 of 80 genes", "vocabulary", "hint: "],
    );
}

#[test]
fn a_killed_run_goes_on_to_the_same_artefact() {
    let place = place();
    place.done(&train("whole", &["--no-baselines"]));
    let args = train("killed", &["--no-baselines", "--checkpoint-every", "2"]);
    let mut child =
        place.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let log = place.path("killed/training/log.jsonl");
    let lines = || fs::read_to_string(&log).unwrap_or_default().lines().count();
    while lines() < 5 && child.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    if !place.path("killed/perturbation.json").exists() {
        let resume = ["perturb", "train", "screen.h5ad", "-o", "killed", "--resume"];
        place.done(&[&resume[..], &["--no-baselines"]].concat());
    }
    for name in ["model.safetensors", "perturbation.json", "split.json"] {
        let [whole, killed] =
            ["whole", "killed"].map(|run| fs::read(place.path(run).join(name)).unwrap());
        assert!(whole == killed, "{name}");
    }
}

#[test]
fn screens_that_cannot_be_learned_are_refused() {
    let place = Place::new();
    fs::write(place.path("tiny.toml"), settings()).unwrap();
    let refuse = |spoil: &dyn Fn(&mut Screen<'_>), parts: &[&str]| {
        let mut screen = Screen::logs();
        spoil(&mut screen);
        screen.write(&place.path("screen.h5ad"));
        let message = place.refused(&train("x", &["--split", "no-split"]), parts);
        assert!(
            ["expected", "--condition-key", "--control"]
                .iter()
                .any(|remedy| message.contains(remedy)),
            "{message}"
        );
    };
    let no_controls = |screen: &mut Screen<'_>| screen.conditions[..3].fill("A+ctrl");
    refuse(&no_controls, &["`condition`", "control"]);
    let no_conditions = |screen: &mut Screen<'_>| screen.conditions.fill("ctrl");
    refuse(&no_conditions, &["`condition`", "perturbed"]);
    let counts = |screen: &mut Screen<'_>| {
        for value in &mut screen.values {
            *value = (*value * 10.0).round();
        }
    };
    refuse(&counts, &["counts", "log1p", "perturb prepare"]);
    let scaled = |screen: &mut Screen<'_>| screen.values[5] = -1.5;
    refuse(&scaled, &["negative"]);
}

#[test]
fn conditions_that_cannot_be_learned_are_left_out_and_named() {
    let place = Place::new();
    fs::write(place.path("tiny.toml"), settings()).unwrap();
    let mut screen = Screen::logs();
    // One cell of B; X is not measured; two columns are named C.
    screen.conditions[7] = "X+ctrl";
    screen.conditions[8] = "X+ctrl";
    screen.genes[3] = "C";
    screen.write(&place.path("screen.h5ad"));
    let ended = place.done(&train("net", &["--split", "no-split", "--json"]));
    assert!(ended.stderr.contains("too few cells"), "{}", ended.stderr);
    assert!(ended.stderr.contains("B+ctrl"), "{}", ended.stderr);
    assert!(ended.stderr.contains("1 perturbed genes are not measured"), "{}", ended.stderr);
    assert!(ended.stderr.contains("name of an earlier one"), "{}", ended.stderr);
    let report = json(&ended.stdout);
    assert_eq!(
        names(&report["split"]["train"]),
        BTreeSet::from(["A+ctrl", "X+ctrl"].map(String::from))
    );
    assert_eq!(report["genes"]["matched"], 3);
}

#[test]
fn the_layout_of_gears_is_written() {
    let place = place();
    let file = File::open_streaming(place.path("screen.h5ad")).unwrap();
    for list in ["rank_genes_groups_cov_all", "top_non_dropout_de_20", "top_non_zero_de_20"] {
        let lists = file.group(&format!("uns/{list}")).unwrap().datasets().unwrap();
        assert_eq!(lists.len(), 14, "{list}");
    }
    // Prepared again, nothing changes: logarithms are not taken twice.
    place.done(&["perturb", "prepare", "screen.h5ad", "-o", "twice.h5ad"]);
    assert!(matrix(&place.path("screen.h5ad")) == matrix(&place.path("twice.h5ad")));
}
