//! Case `grn`: similarity of gene vectors, neighbours, and enrichment.

use std::collections::BTreeSet;

use scgpt_data::Silent;
use scgpt_eval::network::{Background, GenePairs, GeneSet, GeneSets, enrich};
use scgpt_fixtures::{Case, cases};
use scgpt_stats::{Neighbours, unit_rows};
use serde_json::Value;

fn grn_cases() -> Vec<Case> {
    // `attention_grn` is another case.
    cases(|case| case.name == "grn" || case.json["kind"] == "grn")
}

#[test]
fn golden_similarities_and_the_network_at_a_threshold() {
    for case in grn_cases() {
        let tensors = case.tensors("tensors.safetensors");
        let (vectors, cosines) = (tensors.f32("gene_embeddings"), tensors.f32("cosine"));
        let [n, d] = tensors.shape("gene_embeddings")[..] else { panic!("[n, d]") };
        let pairs = GenePairs::cosines(&vectors, d, &Silent).unwrap();
        let tolerance = case.json["tolerance"]["cosine"]["atol"].as_f64().unwrap();
        for (i, j, cosine) in pairs.iter() {
            let expected = cosines[i * n + j];
            assert!(
                f64::from((cosine - expected).abs()) <= tolerance,
                "{i} {j}: {cosine} {expected}"
            );
        }
        let threshold = case.json["threshold"].as_f64().unwrap();
        let ends = tensors.i64("threshold_edges");
        let expected: BTreeSet<(i64, i64)> = ends
            .chunks_exact(2)
            .map(|e| (e[0].min(e[1]), e[0].max(e[1])))
            .filter(|e| e.0 != e.1)
            .collect();
        let found: BTreeSet<(i64, i64)> = pairs
            .iter()
            .filter(|&(.., cosine)| f64::from(cosine) >= threshold)
            .map(|(i, j, _)| (i64::try_from(i).unwrap(), i64::try_from(j).unwrap()))
            .collect();
        assert_eq!(found, expected);

        let names: Vec<&str> = case.json["genes"].as_array().unwrap().iter().map(text).collect();
        let query = names.iter().position(|&name| name == text(&case.json["query"])).unwrap();
        let similar = case.json["similar_to_query"].as_array().unwrap();
        let found = pairs.strongest(query, similar.len() - 1);
        for (pair, (gene, cosine)) in similar[1..].iter().zip(found) {
            assert_eq!(names[gene], text(&pair[0]));
            assert!((f64::from(cosine) - pair[1].as_f64().unwrap()).abs() <= tolerance);
        }
    }
}

#[test]
fn golden_neighbours_of_genes() {
    for case in grn_cases() {
        let tensors = case.tensors("tensors.safetensors");
        let vectors = tensors.f32("gene_embeddings");
        let d = tensors.shape("gene_embeddings")[1];
        let k = usize::try_from(case.json["k"].as_u64().unwrap()).unwrap();
        for (name, rows) in [("knn_l2", vectors.clone()), ("knn_cosine", unit_rows(&vectors, d))] {
            let found: Vec<i64> = Neighbours::new(&rows, d, k, &Silent)
                .unwrap()
                .cells()
                .flatten()
                .map(|&(_, gene)| i64::try_from(gene).unwrap())
                .collect();
            assert_eq!(found, tensors.i64(name), "{name}");
        }
    }
}

#[test]
fn golden_enrichment() {
    for case in grn_cases() {
        let golden = &case.json["enrichment"];
        let genes = |list: &Value| -> Vec<String> {
            list.as_array().unwrap().iter().map(Value::to_string).collect()
        };
        let set =
            |(name, list): (&String, &Value)| GeneSet { name: name.clone(), genes: genes(list) };
        let sets: Vec<GeneSet> = golden["sets"].as_object().unwrap().iter().map(set).collect();
        let library = GeneSets { library: "golden".into(), sets };
        let universe = golden["universe"].as_u64().unwrap();
        let program = [genes(&golden["program"])];
        let tolerance = case.json["tolerance"]["p"]["rtol"].as_f64().unwrap();
        for background in [
            Background::Genes((0..universe).map(|gene| gene.to_string()).collect()),
            Background::Number(usize::try_from(universe).unwrap()),
        ] {
            let found = enrich(&program, &library, &background, &Silent).unwrap();
            let mut met = 0;
            for result in golden["results"].as_array().unwrap() {
                let overlap = result["overlap"].as_u64().unwrap();
                let Some(it) = found.iter().find(|it| it.set == text(&result["set"])) else {
                    assert_eq!(overlap, 0, "{result}");
                    continue;
                };
                met += 1;
                assert_eq!(it.genes.len() as u64, overlap);
                assert_eq!(it.size as u64, result["size"].as_u64().unwrap());
                for (name, value) in [("p", it.p), ("fdr_bh", it.q), ("bonferroni", it.bonferroni)]
                {
                    let expected = result[name].as_f64().unwrap();
                    let error = (value - expected).abs() / expected;
                    assert!(error <= tolerance, "{} {name}: {value} {expected}", it.set);
                }
            }
            assert_eq!(met, found.len());
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
