//! The examples of the `README.md` of the repository, in order, in one folder, as they are written: with files of their
//! names and a checkpoint `scGPT_human`, all of them small.

use std::{fs, path::Path};

use scgpt_data::{Additions, CellSource as _, Column, Existing, RowSpool, Source, save_copy};
use scgpt_fixtures::Toy;

use super::run;

/// Commands that are not run here.
const NOT_RUN: [(&str, &str); 1] = [("scgpt demo", "`tests/cli` runs a small one")];
/// Trainings end at once.
const SHORT: [(&str, &str); 2] = [("SCGPT_MAX_STEPS", "2"), ("SCGPT_PERMUTATIONS", "2")];
/// Genes of all files: those of the examples and others.
const GENES: usize = 60;

/// The commands of a page, in order, each once.
fn commands(page: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    for line in page.lines() {
        let line = line.strip_prefix("$ ").unwrap_or(line);
        let line = line.split("  #").next().unwrap_or_default().trim();
        let is_new = !commands.iter().any(|other| other == line);
        if line.starts_with("scgpt ") && is_new && NOT_RUN.iter().all(|(not, _)| *not != line) {
            commands.push(line.to_owned());
        }
    }
    commands
}

/// A copy of cells with columns, and an embedding of another tool.
fn with(folder: &Path, [from, to]: [&str; 2], column: &dyn Fn(&Source) -> Vec<(String, Column)>) {
    let source = Source::open(folder.join(from)).unwrap();
    let mut other = RowSpool::new(2).unwrap();
    let n = u16::try_from(source.summary().n_cells).unwrap();
    for cell in 0..n {
        other.push(&[f32::from(cell % 7), f32::from(cell % 3)]).unwrap();
    }
    let additions = Additions {
        obs: column(&source),
        obsm: vec![("X_scVI".into(), other)],
        ..Additions::default()
    };
    save_copy(&folder.join(from), &folder.join(to), &additions, Existing::Refuse).unwrap();
}

/// The files that the page speaks of.
fn prepare(folder: &Path) {
    let done = |line: &str| {
        let (code, printed) = run(line, folder, &[]);
        assert_eq!(code, 0, "{line}: {printed}");
    };
    let names = ["KLF1", "FOSB", "STAT1"].map(String::from).into_iter();
    let names = names.chain((3..GENES).map(|gene| format!("GENE{gene}")));
    let vocab: Vec<String> = names.zip(0..).map(|(name, at)| format!("\"{name}\": {at}")).collect();
    fs::write(folder.join("vocab.json"), format!("{{{}}}", vocab.join(", "))).unwrap();
    fs::write(
        folder.join("tiny.toml"),
        "batch_size = 16\nmax_length = 40\n[network]\nn_heads = 2\nd_model = 16\nd_ff = 16\nn_layers = 2\n\
         [training]\nepochs = 1\nmax_steps = 2\n",
    )
    .unwrap();
    let simulate = "scgpt simulate --genes 60 --vocab vocab.json";
    done(&format!("{simulate} -o plain.h5ad --cells 90 --types 3 --batches 2"));
    done(&format!("{simulate} -o perturbed.h5ad --cells 300 --perturb 6"));
    done(&format!(
        "{simulate} -o mosaic.h5mu --cells 60 --batches 4 --modalities rna,protein,atac --proteins 6 --peaks 80 --mosaic"
    ));
    done(&format!("{simulate} -o others.h5ad --cells 40 --types 3 --batches 2 --seed 5"));
    done("scgpt convert plain.h5ad --vocab vocab.json -o made");
    done("scgpt pretrain --data made --config tiny.toml -o learned");
    fs::rename(folder.join("learned/model"), folder.join("scGPT_human")).unwrap();
    for lane in ["lane1.h5", "lane2.h5"] {
        Toy::known().write_10x(&folder.join(lane));
    }
    let alternating = |source: &Source, labels: [&str; 2]| {
        let labels = (0..source.summary().n_cells).map(|cell| labels[cell % 2].to_owned());
        Column::categorical(&labels.collect::<Vec<_>>())
    };
    with(folder, ["plain.h5ad", "cells.h5ad"], &|source| {
        vec![
            ("tissue".into(), alternating(source, ["blood", "lung"])),
            ("stim".into(), alternating(source, ["ctrl", "stim"])),
        ]
    });
    for name in ["pbmc", "reference", "query", "a", "b"] {
        fs::copy(folder.join("cells.h5ad"), folder.join(name).with_extension("h5ad")).unwrap();
    }
    with(folder, ["perturbed.h5ad", "screen.h5ad"], &|source| {
        let conditions = source.obs().unwrap().column("condition").unwrap().labels();
        let guide = |label: Option<String>| match label.unwrap_or_default().as_str() {
            "ctrl" => "non-targeting".to_owned(),
            other => other.trim_end_matches("+ctrl").to_owned(),
        };
        let guides: Vec<String> = conditions.into_iter().map(guide).collect();
        vec![("guide".into(), Column::categorical(&guides))]
    });
    done(
        "scgpt perturb prepare screen.h5ad --condition-key guide --control non-targeting -o disease.h5ad",
    );
    let sets = "ONE\tnone\tKLF1\tFOSB\tGENE3\tGENE4\tGENE5\nTWO\tnone\tSTAT1\tGENE6\tGENE7\tGENE8\tGENE9\n";
    fs::write(folder.join("reactome.gmt"), sets).unwrap();
    fs::write(
        folder.join("study.toml"),
        "data = 'shards'\nmeasures = ['gep']\n[targets.cells]\nfile = 'others.h5ad'\nlabel = 'cell_type'\n\
         [pretrain]\nbatch_size = 16\nmax_length = 40\n[pretrain.network]\nn_heads = 2\nd_model = 16\nd_ff = 16\n\
         n_layers = 1\n[pretrain.training]\nepochs = 1\nmax_steps = 1\n",
    )
    .unwrap();
}

#[test]
fn the_examples_of_the_first_page_run_in_order() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let page = fs::read_to_string(page).unwrap();
    for (line, why) in NOT_RUN {
        assert!(page.contains(line), "`{line}` is not on the page: {why}");
    }
    let commands = commands(&page);
    assert!(commands.len() > 20, "{commands:?}");
    let place = tempfile::tempdir().unwrap();
    prepare(place.path());
    let wrong: Vec<String> = commands
        .iter()
        .filter_map(|line| {
            let (code, printed) = run(line, place.path(), &SHORT);
            (code != 0).then(|| format!("`{line}` ended with {code}:\n{printed}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
