//! What values are: named, brought to where they are promised to be, or refused.

use std::{ops::Range, path::Path};

use scgpt_data::{
    Additions, CellSource, Column, Csr, Existing, Frame, InputState, InputValues, Layer, LogScale,
    RowSpool, Source, SpooledCells, export, log1p, normalise_total,
};
use serde_json::Value;

use crate::run::{Place, embedding, model, tiny};

/// What is done to the values of a block.
type Change<'a> = dyn Fn(&mut Csr) + Sync + 'a;

/// A file whose values are changed while it is read.
struct Changed<'a>(Source, &'a Change<'a>);

impl CellSource for Changed<'_> {
    scgpt_data::forward!(0: summary, obs, var, read_obsm, read_lists, unread);

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> scgpt_data::Result<Csr> {
        let mut block = self.0.read(layer, rows)?;
        (self.1)(&mut block);
        Ok(block)
    }
}

fn change(from: &Path, to: &Path, change: &(dyn Fn(&mut Csr) + Sync)) {
    let mut source = Changed(Source::open(from).unwrap(), change);
    export(&mut source, &Layer::X, to, &Additions::default(), Existing::Refuse).unwrap();
}

fn each(block: &mut Csr, change: impl Fn(f32) -> f32) {
    for cell in 0..block.n_cells() {
        block.row_values_mut(cell).iter_mut().for_each(|value| *value = change(*value));
    }
}

fn matrix(path: &Path) -> Vec<(u32, f32)> {
    // Predicted values may be negative.
    let mut source = Source::open_predicted(path).unwrap();
    let n = source.summary().n_cells;
    let block = source.read(&Layer::X, 0..n).unwrap();
    block.indices().iter().copied().zip(block.values().iter().copied()).collect()
}

/// A folder with one screen in every state there is.
fn place() -> Place {
    let place = Place::new();
    let vocab = format!("{}/vocab.json", model());
    let simulate = ["simulate", "-o", "counts.h5ad", "--cells", "200", "--genes", "100"];
    place.done(&[&simulate[..], &["--perturb", "4", "--vocab", &vocab]].concat());
    let counts = place.path("counts.h5ad");
    let scaled_to = |total: f64| move |block: &mut Csr| normalise_total(block, total);
    let logged = |total: f64| {
        move |block: &mut Csr| {
            normalise_total(block, total);
            log1p(block);
        }
    };
    let changes: [(&str, &Change<'_>); 6] = [
        ("cpm.h5ad", &scaled_to(1e6)),
        ("log_cpm.h5ad", &logged(1e6)),
        ("log.h5ad", &logged(1e4)),
        ("log_counts.h5ad", &|block| log1p(block)),
        ("corrected.h5ad", &|block| each(block, |x| x - 0.1 - 0.37 / (1.0 + x))),
        ("scaled.h5ad", &|block| each(block, |x| x - 1.5)),
    ];
    for (name, how) in changes {
        change(&counts, &place.path(name), how);
    }
    place
}

#[test]
fn values_are_named_and_brought_to_where_they_are_promised_to_be() {
    let place = place();
    for (name, state, total) in [
        ("counts", "counts", None),
        ("cpm", "normalised", Some(1e6)),
        ("log_cpm", "log1p", Some(1e6)),
        ("log", "log1p", Some(1e4)),
        ("log_counts", "log1p of counts", None),
        ("corrected", "fractional counts", None),
    ] {
        let file = format!("{name}.h5ad");
        let inspected = place.done(&["inspect", &file, "--json"]);
        let inspected: Value = serde_json::from_str(&inspected.stdout).unwrap();
        let matrix = &inspected["matrices"][0];
        assert_eq!(matrix["state"], state, "{name}");
        match (matrix["total"].as_f64(), total) {
            (Some(found), Some(total)) => assert!((found / total - 1.0).abs() < 1e-3, "{name}"),
            (found, total) => assert_eq!(found, total, "{name}"),
        }
    }

    // Whatever they were, prepared values are the logarithms of the same counts.
    let prepare = |name: &str| {
        let (input, output) = (format!("{name}.h5ad"), format!("{name}.prepared.h5ad"));
        let ended = place.done(&["perturb", "prepare", &input, "-o", &output]);
        (matrix(&place.path(&output)), ended.stderr + &ended.stdout)
    };
    let (expected, said) = prepare("counts");
    assert!(said.contains("were counts") && said.contains("10000"), "{said}");
    for (name, was) in [
        ("cpm", "were normalised, 1000000 in every cell"),
        ("log_cpm", "were log1p, 1000000 in every cell"),
        ("log", "were log1p, 10000 in every cell"),
        ("log_counts", "were log1p of counts"),
    ] {
        let (found, said) = prepare(name);
        assert!(said.contains(was), "{said}");
        assert_eq!(found.len(), expected.len(), "{name}");
        for (a, b) in found.iter().zip(&expected) {
            assert!(a.0 == b.0 && (a.1 - b.1).abs() < 1e-4, "{name}: {a:?}, expected {b:?}");
        }
    }
}

#[test]
fn scaled_values_are_refused_by_every_command_that_reads_expression() {
    let (place, model) = (place(), model());
    let with_model = ["scaled.h5ad", "-m", &model, "-o", "x.h5ad"];
    let label = ["scaled.h5ad", "--label", "condition", "-o", "x"];
    for command in [
        [&["embed"][..], &with_model].concat(),
        [&["map", "index", "--labels", "condition"][..], &with_model].concat(),
        [&["annotate", "train"][..], &label].concat(),
        [&["convert"][..], &["scaled.h5ad", "-o", "x"]].concat(),
        [&["perturb", "prepare"][..], &["scaled.h5ad", "-o", "x.h5ad"]].concat(),
        [&["grn", "attention"][..], &["scaled.h5ad", "-m", &model, "-o", "x"]].concat(),
    ] {
        place.refused(&command, &["`X`", "scaled.h5ad", "negative value", "--layer"]);
    }
}

#[test]
fn totals_of_controls_are_those_of_training() {
    let place = place();
    let settings = tiny("batch_size = 8\npool = 4\npairs = 1", "n_layers = 1", "epochs = 1");
    std::fs::write(place.path("tiny.toml"), settings).unwrap();
    let train = ["perturb", "train", "log.h5ad", "--config", "tiny.toml", "--split", "no-test"];
    place.done(&[&train[..], &["--no-baselines", "-o", "net"]].concat());
    let network = std::fs::read_to_string(place.path("counts.network.csv")).unwrap();
    let gene = network.lines().nth(1).unwrap().split(',').next().unwrap().to_owned();
    let predict = |controls: &str, output: &str| {
        let args = ["perturb", "predict", "-m", "net", "--genes", &gene, "-o", output];
        let ended = place.done(&[&args[..], &["--controls", controls, "--cells", "4"]].concat());
        (matrix(&place.path(output)), ended.stderr)
    };
    let (same, said) = predict("log.h5ad", "same.h5ad");
    assert!(!said.contains("rescaled"), "{said}");
    let (rescaled, said) = predict("log_cpm.h5ad", "rescaled.h5ad");
    assert!(said.contains("normalised to 1000000") && said.contains("rescaled"), "{said}");
    for (a, b) in same.iter().zip(&rescaled) {
        assert!((a.1 - b.1).abs() < 1e-3, "{a:?} {b:?}");
    }
    // Of some genes alone the sum is not known; that they were normalised to another shows all the same.
    let scale = LogScale { from: InputValues::from(InputState::Counts), total: 1e6 };
    change(&place.path("counts.h5ad"), &place.path("odd.h5ad"), &|block| {
        scale.apply(block);
        // Sums of cells differ, as if genes were missing.
        for cell in (0..block.n_cells()).step_by(2) {
            block.row_values_mut(cell).iter_mut().for_each(|x| *x += 0.3);
        }
    });
    let args = ["perturb", "predict", "-m", "net", "--genes", &gene, "-o", "x.h5ad"];
    let other = [&args[..], &["--controls", "odd.h5ad"]].concat();
    place.refused(&other, &["odd.h5ad", "another total", "perturb prepare"]);
}

/// Writes the cells of a file with so many antibodies more, which bind to every cell in other numbers.
fn with_antibodies(from: &Path, n: usize, to: &Path) {
    let mut source = Source::open(from).unwrap();
    let (obs, mut var) = (source.obs().unwrap(), source.var(&Layer::X).unwrap());
    let (cells, genes) = (obs.len(), var.len());
    let block = source.read(&Layer::X, 0..cells).unwrap();
    let mut rows = RowSpool::new(genes + n).unwrap();
    for (cell, row) in block.rows().enumerate() {
        let mut values = vec![0.0; genes + n];
        for (&gene, &value) in row.indices.iter().zip(row.values) {
            values[gene as usize] = value;
        }
        values[genes..].iter_mut().for_each(|value| *value = ((cell * 37) % 500) as f32);
        rows.push(&values).unwrap();
    }
    var.index.extend((0..n).map(|antibody| format!("antibody{antibody}")));
    let types =
        (0..genes + n).map(|at| if at < genes { "Gene Expression" } else { "Antibody Capture" });
    let types: Vec<String> = types.map(String::from).collect();
    let columns = vec![("feature_types".to_owned(), Column::categorical(&types))];
    let mut all = SpooledCells::new(obs, Frame { columns, ..var }, rows);
    export(&mut all, &Layer::X, to, &Additions::default(), Existing::Refuse).unwrap();
}

#[test]
fn features_that_are_no_genes_count_in_no_sum() {
    let (place, model) = (place(), model());
    for (name, n) in [("genes", 0), ("both", 6)] {
        with_antibodies(&place.path("counts.h5ad"), n, &place.path(&format!("{name}.h5ad")));
    }
    let [genes, both] = ["genes", "both"].map(|name| {
        let (input, prepared) = (format!("{name}.h5ad"), format!("{name}.prepared.h5ad"));
        let prepare = ["perturb", "prepare", &input, "--hvg", "40", "-o", &prepared];
        place.done(&prepare);
        let output = format!("{name}.embedded.h5ad");
        let embed = ["embed", &input, "-m", &model, "--min-genes", "0", "--no-report"];
        place.done(&[&embed[..], &["--hvg", "40", "-o", &output]].concat());
        (matrix(&place.path(&prepared)), embedding(&place.path(&output)))
    });
    assert!(genes.0 == both.0, "prepared");
    assert!(genes.1 == both.1, "embedded");
}
