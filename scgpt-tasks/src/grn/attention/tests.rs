//! Parity with the reference, and what must hold of any model and any cells.

use burn::prelude::Device;
use scgpt_data::{GeneVocab, Silent};
use scgpt_eval::{
    network::{Edge, EdgeKind},
    simulate::{PerturbSimulateOptions, PerturbSimulation},
};
use scgpt_fixtures::{Case, Tensors, assert_close, cases};
use scgpt_model::{Preprocess, ScgptConfig, Strictness, Weights};
use scgpt_stats::{halves, largest};

use super::*;

fn attention_cases() -> Vec<Case> {
    cases(|case| case.is("attention_grn"))
}

/// Mean over some cells of ranks as shares, rows queries, as the reference has them.
#[allow(clippy::cast_possible_truncation, reason = "shares are small")]
fn mean(ranks: &[Vec<u32>], h: usize, m: usize) -> Vec<f32> {
    let scale = 1.0 / (h * m * ranks.len()) as f64;
    let at = |at: usize| ranks.iter().map(|cell| f64::from(cell[at % m * m + at / m])).sum::<f64>();
    (0..m * m).map(|place| (at(place) * scale) as f32).collect()
}

fn of_condition<T: Clone>(cells: &[T], conditions: &[i64], condition: i64) -> Vec<T> {
    let of = cells.iter().zip(conditions).filter(|(_, other)| **other == condition);
    of.map(|(cell, _)| cell.clone()).collect()
}

#[test]
fn golden_ranks_means_and_targets() {
    for case in attention_cases() {
        let (inputs, expected) =
            (case.tensors("inputs.safetensors"), case.tensors("expected.safetensors"));
        let [b, h, m, _]: [usize; 4] = expected.shape("last_scores_unscaled").try_into().unwrap();
        let scores = expected.f32("last_scores_unscaled");
        let cells: Vec<Vec<u32>> =
            scores.chunks(h * m * m).map(|scores| rank_sums(scores, m)).collect();
        assert_eq!(cells.len(), b);
        for (head, ranks) in expected.f64("rank_cell0").chunks(m * m).enumerate() {
            let ours = rank_sums(&scores[head * m * m..(head + 1) * m * m], m);
            assert_close("ranks", &mean(&[ours], 1, m), ranks, [0.0, 1e-7]);
        }
        for (cell, averaged) in expected.f64("averaged").chunks(m * m).enumerate() {
            assert_close("averaged", &mean(&cells[cell..=cell], h, m), averaged, [0.0, 1e-6]);
        }
        let conditions = inputs.i64("condition");
        let means: Vec<Vec<f32>> = ["ctrl", "TF+ctrl"]
            .iter()
            .zip(0..)
            .map(|(name, condition)| {
                let cells = of_condition(&cells, &conditions, condition);
                let ours = mean(&cells, h, m);
                assert_close(
                    name,
                    &ours,
                    expected.f64(&format!("mean_all_cells.{name}")),
                    [0.0, 1e-6],
                );
                // What differs: the reference leaves the first cell out of the sum.
                let n = cells.len() as f32;
                let without: Vec<f32> =
                    mean(&cells[1..], h, m).iter().map(|x| x * (n - 1.0) / n).collect();
                assert_close(
                    name,
                    &without,
                    expected.f64(&format!("mean_upstream.{name}")),
                    [0.0, 1e-6],
                );
                ours
            })
            .collect();
        check_targets(&case, &means, m);
    }
}

/// The strongest targets of the factor: its column.
fn check_targets(case: &Case, means: &[Vec<f32>], m: usize) {
    let factor = usize::try_from(case.json["factor_position"].as_u64().unwrap()).unwrap();
    let k = usize::try_from(case.json["top_k"].as_u64().unwrap()).unwrap();
    for setting in NetworkSetting::ALL {
        let weights = setting.of(&means[1], &means[0]);
        let column: Vec<f32> = weights.iter().skip(factor).step_by(m).copied().collect();
        let top = &case.json["top"][format!("all_cells.{}", setting.name(Contrast::Groups))];
        let places: Vec<u64> = largest(&column, k).into_iter().map(|place| place as u64).collect();
        let mut found = places.clone();
        let mut expected: Vec<u64> =
            top["index"].as_array().unwrap().iter().map(|x| x.as_u64().unwrap()).collect();
        assert!(top["gap_at_cut"].as_f64().unwrap() > 1e-6, "the set is unique");
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{}", setting.name(Contrast::Groups));
        let scores: Vec<f64> =
            top["score"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
        let ours: Vec<f32> = largest(&column, k).into_iter().map(|place| column[place]).collect();
        assert_close("scores", &ours, &scores, [0.0, 1e-6]);
    }
}

/// From tokens, by the network of the case.
#[test]
fn golden_means_of_the_network() {
    for case in attention_cases() {
        let (inputs, expected) =
            (case.tensors("inputs.safetensors"), case.tensors("expected.safetensors"));
        let embedder = embedder(&case);
        let [b, m]: [usize; 2] = inputs.shape("gene_ids").try_into().unwrap();
        let h = embedder.config().n_heads;
        let scores = scores(&embedder, &inputs, b, m);
        let cells: Vec<Vec<u32>> =
            scores.chunks(h * m * m).map(|scores| rank_sums(scores, m)).collect();
        let tolerance = &case.json["tolerance"]["mean_from_params"];
        let [most, mean_most] = ["max_abs", "mean_abs"].map(|key| tolerance[key].as_f64().unwrap());
        for (name, condition) in [("ctrl", 0), ("TF+ctrl", 1)] {
            let ours = mean(&of_condition(&cells, &inputs.i64("condition"), condition), h, m);
            let theirs = expected.f64(&format!("mean_all_cells.{name}"));
            let apart: Vec<f64> =
                ours.iter().zip(theirs).map(|(a, b)| (f64::from(*a) - b).abs()).collect();
            assert!(apart.iter().all(|&x| x <= most), "{name}");
            assert!(apart.iter().sum::<f64>() / apart.len() as f64 <= mean_most, "{name}");
        }
    }
}

fn embedder(case: &Case) -> Embedder {
    let number = |key: &str| usize::try_from(case.json["config"][key].as_u64().unwrap()).unwrap();
    let pad = case.json["vocab"]["<pad>"].as_u64().map(|pad| usize::try_from(pad).unwrap());
    let config = ScgptConfig {
        d_model: number("d_model"),
        n_heads: number("nhead"),
        d_ff: number("d_hid"),
        n_layers: number("nlayers"),
        dropout: 0.0,
        gepc: None,
        unknown_flag: false,
        n_classes: number("n_cls"),
        n_class_layers: number("nlayers_cls"),
        pad_token: pad,
        ..ScgptConfig::new(number("ntoken"))
    };
    let weights = Weights::open(&case.path.join("params.safetensors")).unwrap();
    let (model, _) = weights.load(&config, &Device::flex(), Strictness::Strict).unwrap();
    let mut names: Vec<(u64, String)> = case.json["vocab"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, token)| (token.as_u64().unwrap(), name.clone()))
        .collect();
    names.sort();
    let vocab = GeneVocab::from_names(names.into_iter().map(|(_, name)| name)).unwrap();
    let preprocess = Preprocess { max_length: 1200, cls_value: 0.0 };
    Embedder::new(model, config, preprocess, vocab).unwrap()
}

fn scores(embedder: &Embedder, inputs: &Tensors, b: usize, m: usize) -> Vec<f32> {
    let genes: Vec<i32> =
        inputs.i64("gene_ids").iter().map(|&gene| i32::try_from(gene).unwrap()).collect();
    let rows = TokenBatchView {
        n_tokens: m,
        genes: &genes,
        values: &inputs.f32("values"),
        lengths: &vec![m; b],
        domain: 0,
    };
    let last = embedder.config().n_layers - 1;
    embedder.encoder().attention_scores(rows, last).unwrap()
}

const SIMULATED: PerturbSimulateOptions = {
    let mut options = PerturbSimulateOptions::new(60, 40, 3);
    options.seed = 5;
    options
};

/// A network that has learned nothing, of the genes of the simulation.
fn untrained() -> Embedder {
    let names = (1..=40).map(|gene| format!("GENE{gene:05}"));
    let vocab = GeneVocab::from_names(names).unwrap();
    let config = ScgptConfig {
        d_model: 16,
        n_heads: 2,
        d_ff: 16,
        n_layers: 2,
        ..ScgptConfig::new(vocab.len())
    };
    let model = config.init(&Device::flex()).unwrap();
    Embedder::new(model, config, Preprocess { max_length: 1200, cls_value: 0.0 }, vocab).unwrap()
}

/// Cells of one condition and controls, with few genes and permutations.
fn two_groups() -> AttentionOptions<'static> {
    AttentionOptions {
        condition_key: Some("condition"),
        control: Some("ctrl"),
        n_variable: 30,
        permutations: 4,
        seed: 1,
        ..AttentionOptions::default()
    }
}

#[test]
fn no_result_depends_on_the_batch_and_everything_is_reported() {
    let embedder = untrained();
    let mut source = PerturbSimulation::new(&SIMULATED, None).unwrap();
    let truth = source.network();
    let genes = ["GENE00001".to_owned()];
    let options = AttentionOptions { truth: Some(&truth), genes: &genes, ..two_groups() };
    let networks = embedder.attention_networks(&mut source, &options, &Silent).unwrap();
    let other = AttentionOptions { batch_size: 7, ..options };
    let other = embedder.attention_networks(&mut source, &other, &Silent).unwrap();
    assert_eq!(networks.weights, other.weights);
    assert_eq!(networks.null, other.null);
    assert_eq!(networks.report.rows, other.report.rows);

    let report = &networks.report;
    assert!(networks.genes().contains(&genes[0]), "asked for, whether variable or not");
    assert!(report.genes == 30 || report.genes == 31, "{}", report.genes);
    // Attention and four baselines in three settings, and gene embeddings.
    assert_eq!(report.rows.len(), 16);
    assert!(report.rows.iter().all(|row| row.truth.is_some()));
    // A half of the few control cells may be too small: attention is of one cell, correlation of two.
    let obs = source.obs().unwrap();
    let labels = obs.column("condition").unwrap().labels();
    let halves = halves(&obs.cell_keys(), options.seed);
    let controls = labels.iter().zip(&halves).filter(|(name, _)| name.as_deref() == Some("ctrl"));
    let (first, second): (Vec<bool>, Vec<bool>) = controls.map(|it| *it.1).partition(|&it| !it);
    let smaller = first.len().min(second.len());
    let is_told = |row: &super::NetworkRow| {
        let least = if row.method == "attention" { 1 } else { 2 };
        row.setting.is_some_and(|it| it != NetworkSetting::Control || smaller >= least)
    };
    assert!(report.rows.iter().all(|row| row.consistency.is_some() == is_told(row)));
    let [list] = report.targets.as_slice() else { panic!("one gene was asked for") };
    assert!(list.targets.iter().all(|target| target.gene != genes[0] && target.p.is_some()));
    assert_eq!(list.targets.len(), report.genes - 1);
    assert!(!report.verdict().is_empty());
    let html = networks.page("cells").to_html();
    assert!(html.contains("Targets of GENE00001") && html.contains("tree ensemble"));
}

#[test]
fn edges_go_from_keys_to_queries() {
    let embedder = untrained();
    let mut source = PerturbSimulation::new(&SIMULATED, None).unwrap();
    let genes = ["GENE00002".to_owned()];
    let options = AttentionOptions { genes: &genes, baselines: false, ..two_groups() };
    let networks = embedder.attention_networks(&mut source, &options, &Silent).unwrap();
    let network = networks.network(NetworkSetting::Difference, 0);
    let n = networks.genes().len();
    assert_eq!(network.edges().len(), n * (n - 1));
    assert!(network.edges().is_sorted_by(|a, b| a.weight.abs() >= b.weight.abs()));
    let list = &networks.report.targets[0];
    for edge in network.edges().iter().filter(|edge| network.genes()[edge.source] == genes[0]) {
        let target = list.targets.iter().find(|t| t.gene == network.genes()[edge.target]).unwrap();
        assert!((target.weights[NetworkSetting::Difference as usize] - edge.weight).abs() < 1e-7);
    }
    assert_eq!(networks.network(NetworkSetting::Control, 10).edges().len(), 10);
    assert!(network.column("fdr").is_some());
}

#[test]
fn a_single_group_is_compared_with_its_shuffled_values() {
    let embedder = untrained();
    let mut source = PerturbSimulation::new(&SIMULATED, None).unwrap();
    let options = AttentionOptions { condition_key: None, control: None, ..two_groups() };
    let networks = embedder.attention_networks(&mut source, &options, &Silent).unwrap();
    let report = &networks.report;
    assert!(report.is_single && report.significant.is_some());
    assert_eq!(report.groups[0].cells, 60);
    // Attention in three settings, baselines in one, and gene embeddings.
    assert_eq!(report.rows.len(), 3 + 4 + 1);
    assert!(networks.page("cells").to_html().contains("Strongest edges"));
}

#[test]
fn what_cannot_work_is_refused() {
    let embedder = untrained();
    let mut source = PerturbSimulation::new(&SIMULATED, None).unwrap();
    let mut refused = |options: AttentionOptions<'_>| {
        embedder.attention_networks(&mut source, &options, &Silent).unwrap_err().to_string()
    };
    let layer = AttentionOptions { layer: Some(2), ..two_groups() };
    assert!(refused(layer).contains("2 layers, numbered from 0 to 1"));
    let genes = ["GENE0001".to_owned()];
    let message = refused(AttentionOptions { genes: &genes, ..two_groups() });
    assert!(message.contains("similar names: GENE00010"), "{message}");
    let other = GeneNetwork::new(
        vec!["X".into(), "Y".into()],
        vec![Edge { source: 0, target: 1, weight: 1.0 }],
        EdgeKind::Directed,
    );
    let message = refused(AttentionOptions { truth: Some(&other), ..two_groups() });
    assert!(message.contains("no gene in common"), "{message}");
    assert!(refused(AttentionOptions { n_variable: 1, ..two_groups() }).contains("too few"));
    assert!(refused(AttentionOptions { max_cells: 0, ..two_groups() }).contains("`max_cells`"));
}
