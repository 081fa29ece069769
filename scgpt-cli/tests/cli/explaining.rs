//! `scgpt annotate explain`: the genes of planted types, as they were when this was written, and what they add.

use std::fs;

use scgpt_data::{Column, Table};
use serde_json::Value;

use crate::run::{Place, tiny};

/// Genes of each type and what they add to its score, by logistic regression.
const LOGISTIC: [(&str, &str, f64); 6] = [
    ("type_1", "GENE00004", 5.780),
    ("type_1", "GENE00125", 3.974),
    ("type_2", "GENE00009", 2.775),
    ("type_2", "GENE00129", 2.399),
    ("type_3", "GENE00019", 5.443),
    ("type_3", "GENE00135", 2.747),
];
/// The same by a small network.
const NETWORK: [(&str, &str, f64); 6] = [
    ("type_1", "GENE00004", 11.15),
    ("type_1", "GENE00125", 7.696),
    ("type_2", "GENE00009", 8.280),
    ("type_2", "GENE00129", 8.053),
    ("type_3", "GENE00019", 8.926),
    ("type_3", "GENE00135", 5.996),
];

/// What the genes of a table add, by type and gene.
fn added(table: &Table) -> Vec<(String, String, f64)> {
    let texts = |name: &str| table.column(name).unwrap().labels();
    let Some(Column::Float(added)) = table.column("added") else {
        panic!("{:?}", table.names().collect::<Vec<_>>())
    };
    let rows = texts("type").into_iter().zip(texts("gene")).zip(added);
    rows.map(|((name, gene), added)| (name.unwrap(), gene.unwrap(), added.unwrap())).collect()
}

#[test]
fn golden_genes_of_planted_types() {
    let place = Place::new();
    let simulate = ["simulate", "-o", "cells.h5ad", "--cells", "240", "--genes", "150"];
    place.done(&[&simulate[..], &["--types", "3"]].concat());
    let settings = tiny("batch_size = 16\nmax_length = 100", "n_layers = 2", "epochs = 4");
    fs::write(place.path("tiny.toml"), settings).unwrap();
    // Trained networks depend a little on the processor.
    for (method, expected, share) in [("logistic", LOGISTIC, 0.01), ("network", NETWORK, 0.2)] {
        let train = ["annotate", "train", "cells.h5ad", "--label", "cell_type", "--no-baselines"];
        place.done(
            &[&train[..], &["--config", "tiny.toml", "--method", method, "-o", method]].concat(),
        );
        let table = format!("{method}.csv");
        let explain = ["annotate", "explain", "cells.h5ad", "-m", method, "--genes", "4"];
        place.done(&[&explain[..], &["-o", &table]].concat());
        let found = added(&Table::read(&place.path(&table)).unwrap());
        assert_eq!(found.len(), 12);
        for (name, gene, golden) in expected {
            let of = found.iter().find(|it| it.0 == name && it.1 == gene);
            let Some((.., added)) = of else { panic!("{method}: {name} {gene}: {found:?}") };
            assert!((added - golden).abs() < share * golden, "{method}: {name} {gene}: {added}");
        }
        // The prediction says the same beside its types.
        let predict = ["annotate", "predict", "cells.h5ad", "-m", method, "--explain", "4"];
        let said = place.done(&[&predict[..], &["--json", "--no-report", "-o", "x.csv"]].concat());
        let said: Value = serde_json::from_str(&said.stdout).unwrap();
        let first = &said["explanation"]["types"][0]["genes"][0];
        assert_eq!(first["gene"].as_str(), Some(found[0].1.as_str()));
        assert!((first["added"].as_f64().unwrap() - found[0].2).abs() < 1e-6 * found[0].2);
        for name in ["x.csv", "x.csv.config.toml"] {
            fs::remove_file(place.path(name)).unwrap();
        }
    }
}
