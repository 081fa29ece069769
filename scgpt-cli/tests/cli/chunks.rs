//! The same cell, the same row: parts of a file, and the file turned round, give the rows of the whole.

use std::{fs, ops::Range, path::Path};

use scgpt_data::{Additions, CellSource, CellSubset, Csr, Existing, Frame, Layer, Source, export};
use scgpt_fixtures::repository;

use crate::run::{Place, model, tiny};

/// Settings under which nearly every cell is sampled, and ties are drawn.
/// The cells of a file from the last to the first.
struct Reversed<'a>(&'a mut dyn CellSource);

impl Reversed<'_> {
    fn n(&self) -> usize {
        self.0.summary().n_cells
    }
}

impl CellSource for Reversed<'_> {
    scgpt_data::forward!(0: summary, var, read_lists, unread);
    scgpt_data::absent!(read_obsm);

    fn obs(&self) -> scgpt_data::Result<Frame> {
        let order: Vec<usize> = (0..self.n()).rev().collect();
        Ok(self.0.obs()?.pick(&order))
    }

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> scgpt_data::Result<Csr> {
        let n = self.n();
        let block = self.0.read(layer, n - rows.end..n - rows.start)?;
        let (mut indptr, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
        for row in (0..block.n_cells()).rev().map(|row| block.row(row)) {
            indices.extend_from_slice(row.indices);
            values.extend_from_slice(row.values);
            indptr.push(indices.len());
        }
        Ok(Csr::new(block.n_genes(), indptr, indices, values).unwrap())
    }
}

fn write(source: &mut dyn CellSource, path: &Path) {
    export(source, &Layer::X, path, &Additions::default(), Existing::Refuse).unwrap();
}

/// Writes the cells of a file from the last to the first.
pub(crate) fn turn_round(from: &Path, to: &Path) {
    write(&mut Reversed(&mut Source::open(from).unwrap()), to);
}

fn part(from: &Path, to: &Path, cells: Range<usize>) {
    let mut source = Source::open(from).unwrap();
    write(&mut CellSubset::new(&mut source, cells.collect()), to);
}

/// Every cell by its name: what `obs` says of it, and the bits of its rows in `obsm`.
fn rows(path: &Path, obsm: &[&str]) -> Vec<(String, Vec<Option<String>>, Vec<u32>)> {
    let mut source = Source::open(path).unwrap();
    let obs = source.obs().unwrap();
    let columns: Vec<Vec<Option<String>>> =
        obs.columns.iter().map(|(_, column)| column.labels()).collect();
    let mut rows: Vec<_> = obs
        .index
        .iter()
        .enumerate()
        .map(|(cell, name)| {
            let said = columns.iter().map(|column| column[cell].clone()).collect();
            (name.clone(), said, Vec::new())
        })
        .collect();
    for name in obsm {
        let (values, width) = source.read_obsm(name, 0..obs.len()).unwrap();
        for (row, values) in rows.iter_mut().zip(values.chunks(width)) {
            row.2.extend(values.iter().map(|value| value.to_bits()));
        }
    }
    rows.sort();
    rows
}

#[test]
fn a_cell_gets_the_same_row_wherever_it_stands() {
    let place = Place::new();
    fs::copy(repository().join("field_cases/case04_chunks.h5ad"), place.path("whole.h5ad"))
        .unwrap();
    let whole = place.path("whole.h5ad");
    // Parts of odd sizes, so that batches are others too.
    for (name, cells) in [("a.h5ad", 0..23), ("b.h5ad", 23..24), ("c.h5ad", 24..64)] {
        part(&whole, &place.path(name), cells);
    }
    turn_round(&whole, &place.path("turned.h5ad"));
    fs::write(
        place.path("tiny.toml"),
        tiny(
            "batch_size = 16\nmax_length = 100\ntie_mode = \"random\"",
            "n_layers = 1\ndropout = 0.1",
            "epochs = 2",
        ),
    )
    .unwrap();
    // Ties have no setting in pre-training.
    fs::write(
        place.path("pretrain.toml"),
        tiny("batch_size = 16\nmax_length = 100", "n_layers = 1\ndropout = 0.1", "epochs = 1"),
    )
    .unwrap();
    // By either name: the vocabulary has one of them.
    let panel = "HES4\nSSU72\nPARK7\nENSG00000000000\nENSG00000000002\nENSG00000000003\n";
    fs::write(place.path("panel.txt"), panel).unwrap();
    let model = model();
    let tiny = ["--config", "tiny.toml", "--no-baselines", "-o"];
    let train = ["annotate", "train", "whole.h5ad", "--label", "batch"];
    place.done(&[&train[..], &tiny, &["types"]].concat());
    let integrate = ["integrate", "whole.h5ad", "--batch-key", "batch"];
    place.done(&[&integrate[..], &tiny, &["joined.h5ad"]].concat());
    let index =
        ["map", "index", "whole.h5ad", "-m", &model, "--labels", "cell_type", "-o", "index"];
    place.done(&[&index[..], &["--max-length", "100"]].concat());
    place.done(&["convert", "whole.h5ad", "-o", "shards"]);
    place.done(&["pretrain", "--data", "shards", "--config", "pretrain.toml", "-o", "run"]);

    let sampled = ["--max-length", "100"];
    let drawn = ["--max-length", "100", "--tie-mode", "random"];
    let commands: [(&str, Vec<&str>, &[&str]); 6] = [
        ("embed", [&["embed", "-m", &model][..], &drawn].concat(), &["X_scGPT"]),
        ("annotate", vec!["annotate", "predict", "-m", "types"], &["X_scGPT"]),
        ("map", vec!["map", "query", "--index", "index", "-k", "3"], &[]),
        ("integrate", vec!["integrate", "-m", "joined.model"], &["X_scGPT"]),
        ("hidden", [&["generate", "-m", "run/model"][..], &sampled].concat(), &[]),
        (
            "genes",
            [&["generate", "-m", "run/model", "--genes", "panel.txt"][..], &sampled].concat(),
            &["X_scgpt_generated"],
        ),
    ];
    for (name, command, obsm) in commands {
        let of = |input: &str| {
            let output = format!("{name}-{input}");
            place.done(&[&command[..], &[input, "-o", &output]].concat());
            rows(&place.path(&output), obsm)
        };
        let expected = of("whole.h5ad");
        assert!(expected == of("turned.h5ad"), "{name}: the file turned round");
        let mut parts = ["a.h5ad", "b.h5ad", "c.h5ad"].map(of).concat();
        parts.sort();
        assert!(expected == parts, "{name}: the file in parts");
    }
}
