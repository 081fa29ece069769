//! `scgpt grn embedding`: whole runs, and what is refused.

use std::fs;

use hdf5_pure::File;
use serde_json::Value;

use crate::run::{Place, model, tiny};

/// A folder with simulated cells of three types whose genes the model knows.
fn place() -> Place {
    let place = Place::new();
    let vocab = format!("{}/vocab.json", model());
    let simulate = ["simulate", "-o", "cells.h5ad", "--cells", "90", "--genes", "200"];
    place.done(&[&simulate[..], &["--types", "3", "--vocab", &vocab]].concat());
    place
}

/// Arguments of a run on those cells, and further ones.
fn network<'a>(output: &'a str, model: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = ["grn", "embedding", "--model", model, "--data", "cells.h5ad", "-o", output];
    let args = [&args[..], &["--hvg", "80", "--threshold", "0.1", "--resolution", "3"]].concat();
    [&args[..], more].concat()
}

fn read(place: &Place, name: &str) -> String {
    fs::read_to_string(place.path(name)).unwrap()
}

fn genes(place: &Place, programmes: &str, number: &str) -> Vec<String> {
    let text = read(place, programmes);
    let rows = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    rows.filter(|row| row[0] == number).map(|row| row[1].to_owned()).collect()
}

#[test]
fn networks_programmes_sets_and_scores_are_written() {
    let (place, model) = (place(), model());
    place.done(&network("first", &model, &["--no-cells"]));
    let planted = genes(&place, "first/programmes.csv", "1");
    assert!(planted.len() >= 5, "{planted:?}");
    let others = genes(&place, "first/programmes.csv", "2");
    let sets = format!(
        "PLANTED_SET\thttp://x\t{}\nother\t\t{}\n",
        planted.join("\t"),
        [&others[..2], &["NOWHERE".to_owned()]].concat().join("\t")
    );
    fs::write(place.path("sets.gmt"), sets).unwrap();
    let more = ["--gmt", "sets.gmt", "--gene", &planted[0], "--similar", "4", "--json"];
    let ended = place.done(&network("out", &model, &more));
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["genes"], 80);
    let edges = read(&place, "out/edges.csv");
    assert!(edges.starts_with("source,target,weight,p,fdr\n"), "{edges}");
    assert_eq!(
        edges.lines().count() - 1,
        usize::try_from(report["edges"].as_u64().unwrap()).unwrap()
    );
    assert!(read(&place, "out/network.graphml").contains("edgedefault=\"undirected\""));
    assert_eq!(read(&place, "out/similar.csv").lines().count(), 5);
    let enriched = read(&place, "out/enrichment.csv");
    let planted_row = enriched.lines().find(|line| line.starts_with("1,sets,PLANTED_SET")).unwrap();
    assert!(planted_row.contains("inf"), "all genes of the set: {planted_row}");
    let scores = read(&place, "out/programme_scores.csv");
    assert!(scores.starts_with("cell_type,programme_1,"), "{scores}");
    assert_eq!(scores.lines().count(), 4);
    let page = read(&place, "out/report.html");
    assert!(page.contains("planted set") && page.contains("partial correlation"), "{page}");
    let methods = report["pathways"].as_array().unwrap().iter();
    let methods: Vec<&str> = methods.map(|it| it["method"].as_str().unwrap()).collect();
    assert_eq!((methods.len(), methods[1]), (6, "Pearson correlation"));
    for baseline in ["pearson", "spearman", "partial", "trees"] {
        let edges = read(&place, &format!("out/baselines/{baseline}.csv"));
        assert!(edges.starts_with("source,target,weight\n"), "{baseline}");
        let n = edges.lines().count() - 1;
        assert!(n > 80 && n <= 80 * 79, "{baseline}: {n}");
    }
    assert!(report["replicates"][0]["consistency"]["spearman"].is_number());

    let file = File::open(place.path("out/cells.h5ad")).unwrap();
    let vectors = file.dataset("varm/scGPT_gene_emb").unwrap();
    assert_eq!(vectors.shape().unwrap()[0], 200);
    assert!(vectors.read_f32().unwrap().iter().all(|x| x.is_finite()));
    let active = file.dataset("obsm/scGPT_programmes").unwrap();
    assert_eq!(active.shape().unwrap()[0], 90);
    let active = active.read_f32().unwrap();
    assert!(active.iter().all(|x| (0.0..=1.0).contains(x)));

    // The options in force repeat the run, and nothing is overwritten.
    let again = ["grn", "embedding", "--model", &model, "--data", "cells.h5ad", "-o", "again"];
    place.done(&[&again[..], &["--config", "out/report.config.toml", "--no-cells"]].concat());
    assert_eq!(read(&place, "again/edges.csv"), edges);
    place.refused(&network("out", &model, &more), &["exists", "--force"]);
}

#[test]
fn context_depends_on_cells_but_not_on_batches() {
    let (place, model) = (place(), model());
    let context = ["--contextual", "--per", "cell_type", "--no-cells"];
    place.done(&network(
        "one",
        &model,
        &[&context[..], &["--batch-size", "1", "--threads", "1"]].concat(),
    ));
    place.done(&network("many", &model, &[&context[..], &["--batch-size", "16"]].concat()));
    place.done(&network("table", &model, &["--no-cells"]));
    for name in ["edges.csv", "programmes.csv", "edges_by_type.csv"] {
        assert_eq!(
            read(&place, &format!("one/{name}")),
            read(&place, &format!("many/{name}")),
            "{name}"
        );
    }
    assert_ne!(read(&place, "one/edges.csv"), read(&place, "table/edges.csv"));
    // Without what they share, vectors in context are no longer all alike.
    place.done(&network("raw", &model, &[&context[..], &["--cosine", "raw"]].concat()));
    let edges = |run: &str| {
        let report = read(&place, &format!("{run}/report.json"));
        let report: Value = serde_json::from_str(&report).unwrap();
        (report["centred"].as_bool().unwrap(), report["similarities"][2].as_f64().unwrap())
    };
    let ((is_centred, median), (is_raw, common)) = (edges("one"), edges("raw"));
    assert!(is_centred && !is_raw && median.abs() < 0.2 && median < common, "{median} {common}");
    assert!(!edges("table").0);
    let types = read(&place, "one/edges_by_type.csv");
    assert!(types.starts_with("type,source,target,weight\n") && types.lines().count() > 3);
    let report: Value = serde_json::from_str(&read(&place, "one/report.json")).unwrap();
    assert_eq!(report["replicates"][0]["method"], "gene vectors in context");
    assert!(report["replicates"][0]["consistency"]["jaccard"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_model_alone_has_a_network() {
    let (place, model) = (place(), model());
    place.done(&network("out", &model, &["--no-cells"]));
    let names = genes(&place, "out/programmes.csv", "1").join("\n");
    fs::write(place.path("genes.txt"), &names).unwrap();
    let alone = ["grn", "embedding", "--model", &model, "--genes", "genes.txt", "-o", "alone"];
    place.done(&[&alone[..], &["--threshold", "-1"]].concat());
    let n = names.lines().count();
    assert_eq!(read(&place, "alone/edges.csv").lines().count(), 1 + n * (n - 1) / 2);
    assert!(!place.path("alone/cells.h5ad").exists());
}

#[test]
fn vectors_of_genes_are_a_table() {
    let (place, model) = (place(), model());
    place.done(&["embed", "--genes", "--model", &model, "-o", "table.csv"]);
    let table = read(&place, "table.csv");
    assert!(table.starts_with("gene,e0,e1,") && !table.contains("<cls>"), "{table}");
    place.done(&network("net", &model, &["--no-cells", "--no-baselines"]));
    let vectors = ["embed", "cells.h5ad", "--genes", "--model", &model, "-o"];
    place.done(&[&vectors[..], &["one.csv", "--batch-size", "1"]].concat());
    place.done(&[&vectors[..], &["many.csv", "--batch-size", "16"]].concat());
    let context = read(&place, "one.csv");
    assert_eq!(context, read(&place, "many.csv"));
    assert!(context.starts_with("gene,cells,e0,e1,"), "{context}");
    assert!(context.lines().count() > 100 && context.lines().count() <= 201);
    place.refused(&[&vectors[..], &["one.csv"]].concat(), &["exists", "--force"]);
    place.refused(&[&vectors[..], &["one.h5ad"]].concat(), &[".csv"]);
    assert_eq!(place.run(&["embed", "--model", &model, "-o", "x.h5ad"]).code, 2, "no cells");
}

#[test]
fn vectors_are_fine_tuned_first() {
    let (place, model) = (place(), model());
    let more = ["--fine-tune", "--batch-key", "batch", "--epochs", "1", "--no-baselines"];
    place.done(&network("out", &model, &[&more[..], &["--contextual", "--no-cells"]].concat()));
    place.done(&network("zero", &model, &["--no-cells", "--no-baselines"]));
    assert!(place.path("out.model/report.html").exists());
    assert!(!place.path("out/baselines").exists());
    // The artefact is a model like any other: no longer the one it began as.
    place.done(&network("again", "out.model", &["--no-cells", "--no-baselines"]));
    assert_ne!(read(&place, "again/edges.csv"), read(&place, "zero/edges.csv"));
    place.refused(&network("out", &model, &more), &["exists", "--force"]);
}

#[test]
fn nonsense_is_refused() {
    let (place, model) = (place(), model());
    place.done(&network("out", &model, &["--no-cells"]));
    let gene = &genes(&place, "out/programmes.csv", "1")[0].clone();
    let misspelt = format!("{gene}Z");
    let refused = |more: &[&str], parts: &[&str]| {
        let args = ["grn", "embedding", "--model", &model, "--data", "cells.h5ad", "-o", "no"];
        place.refused(&[&args[..], more].concat(), parts)
    };
    refused(&["--genes", &misspelt], &[&misspelt, "not in the vocabulary", "similar names:", gene]);
    refused(&["--gene", &misspelt], &[&misspelt, "not in the vocabulary", gene]);
    let list = genes(&place, "out/programmes.csv", "1")[1..].join(",");
    let other = ["--genes", &list, "--threshold", "0", "--gene", gene];
    refused(&other, &[gene, "is not among the"]);
    place.done(&network(
        "few",
        &model,
        &["--no-cells", "--hvg", "10", "--threshold", "-1", "--gene", gene],
    ));
    assert!(read(&place, "few/similar.csv").contains(gene.as_str()));
    let message = refused(&["--threshold", "0.999"], &["the largest is", "--threshold"]);
    let threshold = message.split("--threshold ").nth(1).unwrap().split(' ').next().unwrap();
    let promised = message.split(" gives ").nth(1).unwrap().split(' ').next().unwrap();
    place.done(&network("yes", &model, &["--no-cells"]));
    let args = ["grn", "embedding", "--model", &model, "--data", "cells.h5ad", "-o", "kept"];
    place.done(&[&args[..], &["--no-cells", "--threshold", threshold]].concat());
    assert_eq!((read(&place, "kept/edges.csv").lines().count() - 1).to_string(), promised);

    fs::write(place.path("bad.gmt"), "set\tno genes\n").unwrap();
    refused(&["--gmt", "bad.gmt"], &["bad.gmt", "line 1", "tabs"]);
    fs::write(place.path("mouse.gmt"), "set\t\tCd3d\tCd3e\n").unwrap();
    refused(&["--gmt", "mouse.gmt", "--threshold", "0"], &["no gene in common", "`Cd3d`"]);
    refused(&["--contextual", "--per", "cell_kind"], &["cell_kind", "cell_type"]);
    refused(&["--genes", "A B"], &["not in the vocabulary"]);
    refused(&["--threshold", "7"], &["--threshold is 7"]);
    refused(&["--neighbours", "1"], &["--neighbours"]);
}

#[test]
fn what_a_network_began_with_stands_beside_what_it_became() {
    let place = place();
    place.done(&["convert", "cells.h5ad", "-o", "shards"]);
    fs::write(place.path("tiny.toml"), tiny("batch_size = 16", "n_layers = 1", "")).unwrap();
    let pretrain = ["pretrain", "--data", "shards", "--config", "tiny.toml", "--max-steps", "3"];
    place.done(&[&pretrain[..], &["-o", "run"]].concat());
    let more = ["--no-cells", "--no-baselines", "--json"];
    let known = place.done(&network("known", "run/model", &more)).stdout;
    let start = &serde_json::from_str::<Value>(&known).unwrap()["start"];
    assert!(start["edges"].as_u64().unwrap() > 0, "{start}");
    // Three steps change little.
    assert!(start["kept"]["jaccard"].as_f64().unwrap() > 0.5, "{start}");
    assert!(read(&place, "known/report.html").contains("pairs beyond chance"));
    let edges = read(&place, "known/baselines/gene_embeddings_before_training.csv");
    assert!(edges.starts_with("source,target,weight\n") && edges.lines().count() > 80);
    place.done(&network("known", "run/model", &["--no-cells", "--no-baselines", "--force"]));
    let attention = ["grn", "attention", "cells.h5ad", "--model", "run/model", "--hvg", "20"];
    let attention = [&attention[..], &["--permutations", "2", "-o", "attention"]].concat();
    let said = place.done(&attention).stdout;
    // Without known regulations there is nothing to say of it here, but the page has it.
    assert!(said.contains("halves agree") && !said.contains("before training"), "{said}");
    assert!(read(&place, "attention/report.html").contains("before training (cosine)"));
    place.path("attention/baselines/gene_embeddings_before_training.csv").metadata().unwrap();

    // A checkpoint that was made elsewhere has no such record.
    let unknown = place.done(&network("unknown", &model(), &more[..2])).stdout;
    assert!(unknown.contains("before training  not known: "), "{unknown}");
    assert!(
        read(&place, "unknown/report.html").contains("What was there before training is not known")
    );
    let report: Value = serde_json::from_str(&read(&place, "unknown/report.json")).unwrap();
    assert!(report.get("start").is_none());
}
