//! Case `metrics`: agreement of labellings.

use scgpt_fixtures::{Case, cases};
use scgpt_tasks::{adjusted_rand_index, normalised_mutual_information};

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
