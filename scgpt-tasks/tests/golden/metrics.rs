//! Case `metrics`: agreement of labellings.

use scgpt_data::Silent;
use scgpt_fixtures::{Case, cases};
use scgpt_stats::{
    Graph, adjusted_rand_index, batch_mixing, graph_connectivity, label_separation,
    normalised_mutual_information, silhouettes,
};

#[test]
fn golden_agreement_of_clusters_and_labels() {
    for case in cases(|case| case.is("metrics")) {
        let (clusters, labels) = (codes(&case, "clusters"), codes(&case, "labels"));
        check(&case, "nmi", normalised_mutual_information(&labels, &clusters));
        check(&case, "ari", adjusted_rand_index(&labels, &clusters));
    }
}

#[test]
fn golden_agreement_of_degenerate_labellings() {
    for case in cases(|case| case.is("metrics")) {
        let labels = codes(&case, "labels");
        let one = vec![0; labels.len()];
        let each: Vec<usize> = (0..labels.len()).collect();
        for (name, a, b) in [
            ("single_cluster", &labels, &one),
            ("identical", &labels, &labels),
            ("both_constant", &one, &one),
            ("all_singletons", &each, &each),
        ] {
            check(&case, &format!("edge_cases/nmi_{name}"), normalised_mutual_information(a, b));
            check(&case, &format!("edge_cases/ari_{name}"), adjusted_rand_index(a, b));
        }
    }
}

#[test]
fn golden_separation_and_mixing() {
    for case in cases(|case| case.is("metrics")) {
        let tensors = case.tensors("tensors.safetensors");
        let rows = tensors.f32("embedding");
        let d = tensors.shape("embedding")[1];
        let [labels, batches, clusters] =
            ["labels", "batches", "clusters"].map(|name| codes(&case, name));
        let found = silhouettes(&rows, d, &labels, &Silent).unwrap();
        for (found, expected) in found.iter().zip(tensors.f64("silhouette_samples")) {
            assert!((found - expected).abs() < 1e-5, "{found}, expected {expected}");
        }
        let near = |name: &str, found: f64| {
            let expected = case.json["integration"][name].as_f64().unwrap();
            assert!((found - expected).abs() < 1e-5, "{name}: {found}, expected {expected}");
        };
        near("asw_label", label_separation(&rows, d, &labels, &Silent).unwrap());
        near("asw_batch", batch_mixing(&rows, d, &labels, &batches, &Silent).unwrap().unwrap());
        let edges = codes(&case, "graph_edges");
        let edges = edges.chunks(2).map(|edge| (edge[0], edge[1], 1.0));
        let graph = Graph::from_edges(labels.len(), edges);
        near("graph_connectivity", graph_connectivity(&graph, &labels));
        near("graph_connectivity_of_clusters", graph_connectivity(&graph, &clusters));
    }
}

fn codes(case: &Case, name: &str) -> Vec<usize> {
    let codes = case.tensors("tensors.safetensors").i64(name);
    codes.into_iter().map(|code| usize::try_from(code).unwrap()).collect()
}

/// Compares with the number of that name below `integration`.
fn check(case: &Case, name: &str, actual: f64) {
    let expected = case.json.pointer(&format!("/integration/{name}")).unwrap().as_f64().unwrap();
    let tolerance = case.json["tolerance"]["clustering"]["atol"].as_f64().unwrap();
    assert!(
        (actual - expected).abs() <= tolerance,
        "{} {name}: {actual}, expected {expected}",
        case.name
    );
}
