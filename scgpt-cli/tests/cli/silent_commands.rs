//! No command is silent about cells of which nothing can be said, or about columns that contradict
//! each other: every one that reads cells is in a list, or says why it need not be.

use std::{
    collections::BTreeSet,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use scgpt_data::{Additions, CellSource, Column, Csr, Existing, Frame, Layer, Source, export};
use serde_json::Value;

use crate::run::{Place, model, tiny};

/// Cells that lose their counts.
const EMPTY: usize = 3;

/// A file of whose cells some have no counts, with columns that contradict each other.
struct Spoilt {
    source: Source,
    empty: BTreeSet<usize>,
}

impl CellSource for Spoilt {
    scgpt_data::forward!(source: summary, var, read_obsm, read_lists, unread);

    fn obs(&self) -> scgpt_data::Result<Frame> {
        let mut obs = self.source.obs()?;
        let text = |name: &dyn Fn(usize) -> String| {
            Column::categorical(&(0..obs.len()).map(name).collect::<Vec<_>>())
        };
        let kinds = text(&|cell| format!("kind {}", cell % 2));
        let ids = text(&|cell| format!("CL:{}", cell / 2 % 2));
        obs.columns.push(("kind".into(), kinds));
        obs.columns.push(("kind_ontology_term_id".into(), ids));
        Ok(obs)
    }

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> scgpt_data::Result<Csr> {
        let block = self.source.read(layer, rows.clone())?;
        let (mut indptr, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
        for (cell, row) in rows.zip(block.rows()) {
            if !self.empty.contains(&cell) {
                indices.extend_from_slice(row.indices);
                values.extend_from_slice(row.values);
            }
            indptr.push(indices.len());
        }
        Ok(Csr::new(block.n_genes(), indptr, indices, values).unwrap())
    }
}

/// Spoils a file: the first cells with `label` in `column` lose their counts.
fn spoil(from: &Path, to: &Path, column: &str, label: &str) {
    let source = Source::open(from).unwrap();
    let labels = source.obs().unwrap().column(column).unwrap().labels();
    let is_it = |cell: &usize| labels[*cell].as_deref() == Some(label);
    let empty = (0..labels.len()).filter(is_it).take(EMPTY).collect();
    export(&mut Spoilt { source, empty }, &Layer::X, to, &Additions::default(), Existing::Refuse)
        .unwrap();
}

/// A place with what the commands of [`RUNS`] need.
pub(crate) fn place() -> Place {
    let place = Place::new();
    let simulate = |output: &str, more: &[&str]| place.simulate(output, more);
    simulate("whole.h5ad", &["--cells", "60", "--types", "2", "--batches", "2"]);
    simulate("whole_raw.h5ad", &["--cells", "160", "--perturb", "4"]);
    simulate("others.h5ad", &["--cells", "60", "--seed", "5"]);
    let study = "data = 'corpus'\nmeasures = ['gep', 'nmi']\n[targets.cells]\nfile = 'cells.h5ad'\nlabel = 'kind'\n\
                 [pretrain]\nmax_length = 40\n";
    let settings = tiny("batch_size = 16", "n_layers = 1", "epochs = 1\nmax_steps = 1");
    let settings = settings.replace("[network]", "[pretrain.network]");
    let settings = settings.replace("[training]", "[pretrain.training]");
    fs::write(place.path("study.toml"), study.to_owned() + &settings).unwrap();
    fs::write(
        place.path("tiny.toml"),
        tiny("batch_size = 16", "n_layers = 1", "epochs = 1\nmax_steps = 1"),
    )
    .unwrap();
    let types = Source::open(place.path("whole.h5ad")).unwrap().obs().unwrap();
    let some_type = types.column("cell_type").unwrap().labels()[0].clone().unwrap();
    spoil(&place.path("whole.h5ad"), &place.path("cells.h5ad"), "cell_type", &some_type);
    spoil(&place.path("whole_raw.h5ad"), &place.path("raw.h5ad"), "condition", "ctrl");
    let model = model();
    for line in [
        "perturb prepare raw.h5ad -o screen.h5ad",
        "annotate train cells.h5ad --label cell_type --config tiny.toml --no-baselines -o types",
        "integrate cells.h5ad --batch-key batch --config tiny.toml --no-baselines -o integrated.h5ad",
        "integrate cells.h5ad --batch-key batch --method pca -o components.h5ad",
        "perturb train screen.h5ad --config tiny.toml --no-baselines -o responses",
        "embed cells.h5ad -m MODEL -o embedded.h5ad",
        "embed cells.h5ad -m MODEL --part 1/1 -o whole",
        "map index cells.h5ad --labels cell_type -m MODEL -o atlas",
        "convert cells.h5ad --obs kind,kind_ontology_term_id -o shards",
        "convert others.h5ad -o corpus",
    ] {
        let line = line.replace("MODEL", &model);
        place.done(&line.split(' ').collect::<Vec<_>>());
    }
    place
}

/// What a command has to tell.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Tells {
    /// That three cells have no counts, and that columns contradict each other.
    Both,
    /// Of the cells; it uses no such columns.
    Cells,
    /// Of the columns; it reads no expression.
    Columns,
}

use Tells::{Both, Cells, Columns};

/// Commands that read cells, as they are run.
pub(crate) const RUNS: [(&str, Tells); 36] = [
    ("annotate train cells.h5ad --label kind --config tiny.toml --no-baselines -o out", Both),
    ("annotate predict cells.h5ad -m types -o out.h5ad", Cells),
    ("annotate predict cells.h5ad -m types --part 1/1 -o out", Cells),
    ("annotate explain cells.h5ad -m types -o out.csv", Cells),
    ("cells cells.h5ad -o out.h5ad", Cells),
    ("convert cells.h5ad --obs kind -o out", Both),
    ("convert cells.h5ad --obs kind --part 1/1 -o out", Both),
    ("corpus build cells.h5ad --obs kind -o out", Both),
    ("embed cells.h5ad --color kind -m MODEL -o out.h5ad", Both),
    ("embed cells.h5ad -m MODEL --part 1/1 -o out", Cells),
    ("embed cells.h5ad --genes -m MODEL -o out.csv", Cells),
    (
        "evaluate integration embedded.h5ad --embedding X_scGPT --batch-key batch --label kind -o out.html",
        Both,
    ),
    ("evaluate labels cells.h5ad --truth kind --prediction cell_type -o out.html", Columns),
    ("evaluate perturb screen.h5ad --truth screen.h5ad --cell-type-key kind -o out.html", Both),
    ("generate cells.h5ad -m MODEL --hide 0.3 -o out.h5ad", Cells),
    ("grn attention cells.h5ad -m MODEL --permutations 0 -o out", Cells),
    (
        "grn attention cells.h5ad -m MODEL --permutations 0 --condition kind_ontology_term_id --group CL:1 -o out",
        Columns,
    ),
    ("grn embedding --data cells.h5ad --per kind --contextual --threshold 0 -m MODEL -o out", Both),
    ("grn embedding --data cells.h5ad --per kind --threshold 0 -m MODEL -o out", Both),
    (
        "grn embedding --data cells.h5ad --fine-tune --epochs 1 --batch-key batch --no-baselines --threshold 0 \
         -m MODEL -o out",
        Cells,
    ),
    ("grn attention cells.h5ad --method pearson -o out", Cells),
    ("grn embedding --data cells.h5ad --per kind --method pearson -o out", Both),
    ("inspect cells.h5ad", Cells),
    (
        "integrate cells.h5ad --batch-key batch --label kind --config tiny.toml --no-baselines -o out.h5ad",
        Both,
    ),
    ("integrate cells.h5ad -m integrated.model -o out.h5ad", Cells),
    ("integrate cells.h5ad --batch-key batch --label kind --method pca -o out.h5ad", Both),
    ("integrate cells.h5ad -m components.model -o out.h5ad", Cells),
    ("map index cells.h5ad --labels kind -m MODEL -o out", Both),
    ("map query cells.h5ad --index atlas -o out.h5ad", Cells),
    ("map query cells.h5ad --index atlas --part 1/1 -o out", Cells),
    ("perturb prepare raw.h5ad --cell-type-key kind -o out.h5ad", Both),
    (
        "perturb train screen.h5ad --cell-type-key kind --config tiny.toml --no-baselines -o out",
        Both,
    ),
    (
        "perturb predict -m responses --controls screen.h5ad --candidates all --cells 4 -o out.h5ad",
        Cells,
    ),
    ("perturb reverse screen.h5ad -m responses --group-key kind --cells 4 -o out.json", Both),
    ("pretrain --data shards --class-column kind --config tiny.toml -o out", Columns),
    ("study run study.toml -o out", Both),
];

/// Commands that read no cells of anybody.
pub(crate) const READ_NONE: [(&str, &str); 12] = [
    ("completions", "prints a script"),
    ("corpus show", "reads shards"),
    ("demo", "simulates its cells, and runs commands of the other list"),
    ("evaluate grn", "reads edge lists"),
    ("join", "reads names of cells, and tells what was told of each part"),
    ("man", "prints a page"),
    ("models list", "reads no cells"),
    ("models pull", "reads no cells"),
    ("models where", "reads no cells"),
    ("simulate", "makes cells"),
    ("study plan", "reads shards, which tell when they are made"),
    ("study report", "reads results"),
];

/// All commands without subcommands, by the help.
fn commands(place: &Place, before: &[&str]) -> Vec<String> {
    let help = place.done(&[before, &["--help"]].concat()).stdout;
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return vec![before.join(" ")] };
    let names = list.lines().take_while(|line| !line.is_empty()).filter_map(|line| {
        // Further lines of what a command says of itself stand further to the right.
        let name = line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?;
        name.split(' ').next().filter(|name| *name != "help")
    });
    names.flat_map(|name| commands(place, &[before, &[name]].concat())).collect()
}

#[test]
fn every_command_is_in_a_list() {
    let all: BTreeSet<String> = commands(&Place::new(), &[]).into_iter().collect();
    assert!(all.len() > 20, "{all:?}");
    let is_run =
        |command: &str| RUNS.iter().any(|(line, _)| line.starts_with(&format!("{command} ")));
    for command in &all {
        let reads_none = READ_NONE.iter().any(|(name, _)| name == command);
        assert!(
            is_run(command) != reads_none,
            "`scgpt {command}`: does it read cells? Then it tells which have no counts, and is run here"
        );
    }
}

/// Files in a folder and the folders in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    if !folder.is_dir() {
        return vec![folder.into()];
    }
    fs::read_dir(folder).unwrap().flat_map(|entry| files(&entry.unwrap().path())).collect()
}

#[test]
fn every_command_tells_of_cells_without_counts_and_of_contradictions() {
    let place = place();
    let before = place.content();
    for (line, tells) in RUNS {
        let line = line.replace("MODEL", &model());
        let args: Vec<&str> = line.split(' ').collect();
        let ended = place.done(&[&args[..], &["--json"]].concat());
        let told: Value = serde_json::from_str(&ended.stdout).unwrap();
        let told = told["warnings"].as_array().unwrap_or_else(|| panic!("{line}: no warnings"));
        let told: Vec<&str> = told.iter().map(|it| it.as_str().unwrap()).collect();
        let of_cells = |it: &&&str| {
            let whys = [
                "express no known gene: ",
                "express none of the genes compared by: ",
                "have no counts: ",
            ];
            it.contains("3 cells ") && whys.iter().any(|why| it.contains(why))
                || it.contains("3 of the first 60 cells have no counts: ")
        };
        let of_columns =
            |it: &&&str| it.contains("go with several in column `kind_ontology_term_id`");
        let mut expected = Vec::new();
        if tells != Columns {
            expected.push(told.iter().find(of_cells));
        }
        if tells != Cells {
            expected.push(told.iter().find(of_columns));
        }
        let new: Vec<PathBuf> = place.content().difference(&before).cloned().collect();
        let new: Vec<PathBuf> = new.iter().flat_map(|path| files(path)).collect();
        let pages: Vec<String> = new
            .iter()
            .filter(|path| path.extension().is_some_and(|it| it == "html"))
            .map(|path| fs::read_to_string(path).unwrap())
            .collect();
        let on = |page: &String, warning: &str| {
            page.contains(&format!("<li>{}</li>", warning.replace('"', "&quot;")))
        };
        // What is said to people, programs and readers of a page are told, too.
        for said in ended.stderr.lines().filter_map(|line| line.strip_prefix("warning: ")) {
            assert!(told.contains(&said), "{line}: `{said}` is not among {told:?}");
            let is_shown = pages.is_empty() || pages.iter().any(|page| on(page, said));
            assert!(is_shown, "{line}: `{said}` is on no page");
        }
        for warning in expected {
            let warning = warning.unwrap_or_else(|| panic!("{line}: {told:?}"));
            let line_of = format!("warning: {warning}");
            assert_eq!(ended.stderr.matches(&line_of).count(), 1, "{line}: {}", ended.stderr);
            for page in &pages {
                assert!(on(page, warning), "{line}: not on the page");
            }
        }
        for path in place.content().difference(&before) {
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        }
    }
}

#[test]
fn sound_cells_raise_no_warning() {
    let place = Place::new();
    place.done(&["simulate", "-o", "cells.h5ad", "--cells", "40", "--types", "2"]);
    let ended = place.done(&["inspect", "cells.h5ad", "--json"]);
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(told["warnings"], serde_json::json!([]));
    assert!(ended.stderr.is_empty(), "{}", ended.stderr);
}

#[test]
fn cells_without_genes_are_not_called_cells_without_counts() {
    let place = Place::new();
    let folder = place.path("antibodies");
    fs::create_dir(&folder).unwrap();
    let matrix = "%%MatrixMarket matrix coordinate integer general\n2 3 2\n1 1 4\n2 3 5\n";
    fs::write(folder.join("matrix.mtx"), matrix).unwrap();
    fs::write(folder.join("barcodes.tsv"), "a\nb\nc\n").unwrap();
    let features = "CD3\tCD3\tAntibody Capture\nCD4\tCD4\tAntibody Capture\n";
    fs::write(folder.join("features.tsv"), features).unwrap();
    let ended = place.done(&["inspect", "antibodies"]);
    assert_eq!(ended.stderr.trim(), "warning: `X` has no genes: there is nothing to embed");
}
