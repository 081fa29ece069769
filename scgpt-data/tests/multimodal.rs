//! Cells measured in several modalities: joined from MuData and from files, and written back.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use hdf5_pure::File;
use proptest::prelude::*;
use scgpt_data::{
    Additions, CellSource, CellSubset, Column, Csr, Existing, Frame, Layer, Measured, MemoryCells,
    ModalitySource, MultimodalCells, MultimodalInput, MultimodalOptions, PROTEIN, RNA, Result,
    RowSpool, Source, export, export_mudata, save_copy,
};
use serde_json::json;

/// Cells that are held in memory.
#[derive(Clone)]
struct Planted {
    obs: Frame,
    var: Frame,
    matrix: Csr,
}

impl Planted {
    fn new(cells: &[&str], features: &[&str], rows: &[&[f32]]) -> Self {
        let rows = rows
            .iter()
            .map(|row| (0..).zip(row.iter().copied()).filter(|&(_, value)| value != 0.0).unzip());
        Self {
            obs: Frame::of_names(cells.iter().copied()),
            var: Frame::of_names(features.iter().copied()),
            matrix: Csr::of_rows(features.len(), rows).unwrap(),
        }
    }

    fn source(self) -> MemoryCells<'static> {
        MemoryCells::of(self.matrix, self.obs, self.var).unwrap()
    }

    fn with_obs(mut self, name: &str, labels: &[&str]) -> Self {
        let labels: Vec<String> = labels.iter().map(|&label| label.into()).collect();
        self.obs.columns.push((name.into(), Column::categorical(&labels)));
        self
    }

    fn with_var(mut self, name: &str, labels: &[&str]) -> Self {
        let labels = labels.iter().map(|&label| Some(label.into())).collect();
        self.var.columns.push((name.into(), Column::Text(labels)));
        self
    }

    /// As h5ad in a folder.
    fn write(self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        export(&mut self.source(), &Layer::X, &path, &Additions::default(), Existing::Refuse)
            .unwrap();
        path
    }
}

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny.h5mu")
}

fn input(path: &Path, modality: Option<&str>) -> MultimodalInput {
    MultimodalInput { path: path.into(), modality: modality.map(String::from), sample: None }
}

fn open(inputs: &[MultimodalInput]) -> Result<MultimodalCells> {
    MultimodalCells::open(inputs, &MultimodalOptions::default())
}

/// All values, dense.
fn dense(cells: &mut dyn CellSource) -> Vec<Vec<f32>> {
    let n = cells.summary().n_cells;
    let block = cells.read(&Layer::X, 0..n).unwrap();
    let row = |cell: usize| {
        let mut row = vec![0.0; block.n_genes()];
        let of = block.row(cell);
        for (&at, &value) in of.indices.iter().zip(of.values) {
            row[at as usize] = value;
        }
        row
    };
    (0..n).map(row).collect()
}

fn measured(modalities: &[usize]) -> Measured {
    let mut measured = Measured::default();
    for &modality in modalities {
        measured.insert(modality);
    }
    measured
}

#[test]
fn a_mudata_file_made_by_python_is_one_source() {
    let mut cells = open(&[input(&tiny(), None)]).unwrap();
    assert_eq!(cells.modalities().names(), [PROTEIN, RNA]);
    let obs = cells.obs().unwrap();
    assert_eq!(obs.index, (0..6).map(|cell| format!("cell_{cell}")).collect::<Vec<_>>());
    let var = cells.var(&Layer::X).unwrap();
    assert_eq!(var.index, ["p_CD3", "p_CD4", "G1", "G2", "G3", "G4"]);
    // Made such that a value tells its cell and feature.
    for (cell, row) in dense(&mut cells).into_iter().enumerate() {
        let value = |feature: usize, is_measured: bool| {
            let is_there = is_measured && (cell + feature).is_multiple_of(2);
            if is_there { (10 * cell + feature + 1) as f32 } else { 0.0 }
        };
        let proteins = (0..2).map(|feature| value(feature, [0, 1, 4, 5].contains(&cell)));
        let genes = (0..4).map(|feature| value(feature, cell < 4));
        assert_eq!(row, proteins.chain(genes).collect::<Vec<_>>(), "cell {cell}");
    }
    let [both, rna, protein] = [measured(&[0, 1]), measured(&[1]), measured(&[0])];
    assert_eq!(cells.measured(&Layer::X).unwrap(), [both, both, rna, rna, protein, protein]);
    // The annotations of the members, each where it says something.
    let labels = |name: &str| obs.column(name).unwrap().labels();
    assert_eq!(labels("batch").concat_all(), "xxxyyy");
    assert_eq!(labels("cell_type")[3..5], [Some("b".into()), None]);
    let types = var.column("feature_types").unwrap().labels();
    assert_eq!(types[1..3], [Some(PROTEIN.into()), Some(RNA.into())]);
    // A feature without an entry in a column of names goes by its own.
    assert_eq!(
        var.column("gene_ids").unwrap().labels()[1..3],
        [Some("p_CD4".into()), Some("E1".into())]
    );
}

trait ConcatAll {
    fn concat_all(self) -> String;
}

impl ConcatAll for Vec<Option<String>> {
    fn concat_all(self) -> String {
        self.into_iter().flatten().collect()
    }
}

#[test]
fn a_copy_of_mudata_is_mudata_with_an_embedding_of_all_cells() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = RowSpool::new(2).unwrap();
    rows.push(&(0_u8..12).map(f32::from).collect::<Vec<_>>()).unwrap();
    let additions = Additions {
        obsm: vec![("X_scGPT".into(), rows)],
        uns: vec![("scgpt".into(), json!({"seed": 3}))],
        ..Additions::default()
    };
    let output = folder.path().join("out.h5mu");
    let report = save_copy(&tiny(), &output, &additions, Existing::Refuse).unwrap();
    assert!(report.skipped.is_empty(), "{report:?}");
    assert!(std::fs::read(&output).unwrap().starts_with(b"MuData (format-version="));
    let file = File::open_streaming(&output).unwrap();
    let embedding = file.dataset("obsm/X_scGPT").unwrap().read_f32().unwrap();
    assert!((embedding[11] - 11.0).abs() < 1e-6);
    drop(file);
    let [mut before, mut after] = [tiny(), output].map(|path| open(&[input(&path, None)]).unwrap());
    assert_eq!(dense(&mut before), dense(&mut after));
    assert_eq!(before.obs().unwrap(), after.obs().unwrap());
}

#[test]
fn what_is_written_as_mudata_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.h5mu");
    let rna =
        Planted::new(&["a", "b", "c"], &["G1", "G2"], &[&[1.0, 0.0], &[2.0, 3.0], &[0.0, 4.0]]);
    let mut all = Planted::new(&["a", "b", "c"], &["p1"], &[&[5.0], &[6.0], &[7.0]]).source();
    let mut protein = CellSubset::new(&mut all, vec![0, 2]);
    let obs = rna.clone().with_obs("batch", &["x", "y", "x"]).obs;
    let mut rna = rna.source();
    let mut members: [(&str, &mut dyn CellSource); 2] = [("rna", &mut rna), ("prot", &mut protein)];
    export_mudata(&obs, &mut members, &output, Existing::Refuse).unwrap();
    let mut cells = open(&[input(&output, None)]).unwrap();
    assert_eq!(dense(&mut cells), [vec![5.0, 1.0, 0.0], vec![0.0, 2.0, 3.0], vec![7.0, 0.0, 4.0]]);
    assert_eq!(cells.measured(&Layer::X).unwrap()[1], measured(&[1]));
    assert_eq!(cells.obs().unwrap().column("batch"), obs.column("batch"));
}

#[test]
fn files_are_joined_by_the_names_of_cells_and_features() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let batch =
        |names: &[&str], features: &[&str], rows: &[&[f32]]| Planted::new(names, features, rows);
    let first =
        batch(&["a", "b"], &["G1", "G2"], &[&[1.0, 2.0], &[0.0, 3.0]]).write(folder, "one.h5ad");
    let second = batch(&["c"], &["G2", "G3"], &[&[4.0, 5.0]]).write(folder, "two.h5ad");
    let proteins = batch(&["c", "a"], &["p1"], &[&[8.0], &[9.0]]).write(folder, "prot.h5ad");
    let inputs = [input(&first, None), input(&second, None), input(&proteins, Some("adt"))];
    let mut cells = open(&inputs).unwrap();
    assert_eq!(cells.var(&Layer::X).unwrap().index, ["G1", "G2", "G3", "p1"]);
    assert_eq!(
        dense(&mut cells),
        [vec![1.0, 2.0, 0.0, 9.0], vec![0.0, 3.0, 0.0, 0.0], vec![0.0, 4.0, 5.0, 8.0]]
    );
    let obs = cells.obs().unwrap();
    assert_eq!(obs.index, ["a", "b", "c"]);
    assert_eq!(obs.column("input").unwrap().labels().concat_all(), "oneonetwo");
    assert_eq!(
        cells.measured(&Layer::X).unwrap(),
        [measured(&[0, 1]), measured(&[1]), measured(&[0, 1])]
    );
}

#[test]
fn feature_types_tell_modalities_and_some_can_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let planted = Planted::new(
        &["a", "b"],
        &["G1", "CD3", "chr1:1-9"],
        &[&[1.0, 2.0, 3.0], &[4.0, 0.0, 0.0]],
    );
    let path = planted
        .with_var("feature_types", &["Gene Expression", "Antibody Capture", "Peaks"])
        .write(folder.path(), "all.h5ad");
    let mut cells = open(&[input(&path, None)]).unwrap();
    assert_eq!(cells.modalities().names(), ["ATAC", PROTEIN, RNA]);
    assert_eq!(cells.measured(&Layer::X).unwrap(), [measured(&[0, 1, 2]), measured(&[2])]);
    let mut options = MultimodalOptions::default();
    options.keep = vec!["rna".into(), "protein".into()];
    options.prefixes = BTreeMap::from([("adt".to_owned(), "p_".to_owned())]);
    let mut cells = MultimodalCells::open(&[input(&path, None)], &options).unwrap();
    let var = cells.var(&Layer::X).unwrap();
    assert_eq!(var.index, ["G1", "p_CD3"]);
    // What the file calls them, they are called on.
    let labels = var.column("feature_types").unwrap().labels();
    assert_eq!(labels, ["Gene Expression", "Antibody Capture"].map(|it| Some(it.into())));
    assert_eq!(dense(&mut cells), [vec![1.0, 2.0], vec![4.0, 0.0]]);
    options.keep = vec!["ATAC2".into()];
    let error = MultimodalCells::open(&[input(&path, None)], &options).err().unwrap();
    assert!(error.to_string().contains("ATAC, Protein, RNA"), "{error}");
}

#[test]
fn proteins_in_obsm_are_a_modality() {
    let folder = tempfile::tempdir().unwrap();
    let mut cells = Planted::new(&["a", "b"], &["G1"], &[&[1.0], &[2.0]]).source();
    let path = |name: &str| folder.path().join(name);
    let write = |cells: &mut dyn CellSource, values: [f32; 4], name: &str| {
        let mut rows = RowSpool::new(2).unwrap();
        rows.push(&values).unwrap();
        let additions = Additions {
            obsm: vec![("protein_expression".into(), rows)],
            uns: vec![
                ("protein_names".into(), json!(["CD3", "CD4"])),
                ("other".into(), json!(["x", "y"])),
            ],
            ..Additions::default()
        };
        export(cells, &Layer::X, &path(name), &additions, Existing::Refuse).unwrap();
    };
    write(&mut cells, [7.0, 0.0, 8.0, 9.0], "counts.h5ad");
    write(&mut cells, [7.0, 0.0, -0.5, 9.0], "clr.h5ad");
    let mut options = MultimodalOptions::default();
    options.obsm = Some((PROTEIN.into(), "protein_expression".into()));
    let open = |name: &str| MultimodalCells::open(&[input(&path(name), None)], &options);
    let mut found = open("counts.h5ad").unwrap();
    assert_eq!(found.var(&Layer::X).unwrap().index, ["G1", "CD3", "CD4"]);
    assert_eq!(dense(&mut found), [vec![1.0, 7.0, 0.0], vec![2.0, 8.0, 9.0]]);
    let error = open("clr.h5ad").unwrap().read(&Layer::X, 0..2).unwrap_err();
    assert!(error.to_string().contains("value -0.5 of `CD3` in cell 1"), "{error}");
    assert!(error.hint().unwrap().contains("CLR"), "{error:?}");
}

#[test]
fn cells_of_samples_are_told_apart_and_genes_of_one_name_are_not_mixed() {
    let folder = tempfile::tempdir().unwrap();
    let lane = |name: &str, rows: &[&[f32]]| {
        Planted::new(&["AAA-1", "AAC-1"], &["TBCE", "LYZ", "TBCE"], rows).write(folder.path(), name)
    };
    let paths = [
        lane("one.h5ad", &[&[1.0, 2.0, 3.0], &[0.0, 0.0, 4.0]]),
        lane("two.h5ad", &[&[5.0, 6.0, 7.0], &[8.0, 0.0, 0.0]]),
    ];
    let of = |samples: [Option<&str>; 2]| {
        let inputs = paths.iter().zip(samples);
        let inputs = inputs.map(|(path, sample)| MultimodalInput {
            sample: sample.map(String::from),
            ..input(path, None)
        });
        open(&inputs.collect::<Vec<_>>())
    };
    let error = of([None, None]).err().unwrap();
    assert!(error.to_string().contains("cells `AAA-1`, `AAC-1` are in"), "{error}");
    assert!(error.hint().unwrap().contains("`sample`"), "{error:?}");
    let mut cells = of([Some("a"), Some("b")]).unwrap();
    let obs = cells.obs().unwrap();
    assert_eq!(obs.index, ["AAA-1-a", "AAC-1-a", "AAA-1-b", "AAC-1-b"]);
    assert_eq!(obs.names().collect::<Vec<_>>(), ["sample"]);
    assert_eq!(obs.column("sample").unwrap().labels().concat_all(), "aabb");
    // The second gene of a name is the second in the other file, too.
    assert_eq!(cells.var(&Layer::X).unwrap().index, ["TBCE", "LYZ", "TBCE"]);
    let expected =
        [vec![1.0, 2.0, 3.0], vec![0.0, 0.0, 4.0], vec![5.0, 6.0, 7.0], vec![8.0, 0.0, 0.0]];
    assert_eq!(dense(&mut cells), expected);
    let mudata = MultimodalInput { sample: Some("a".into()), ..input(&tiny(), None) };
    assert!(open(&[mudata]).err().unwrap().to_string().contains("stands for itself"));
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rna = Planted::new(&["a", "b"], &["CD4", "LYZ"], &[&[1.0, 2.0], &[0.0, 3.0]]);
    let adt = Planted::new(&["a", "b"], &["CD4"], &[&[1.0], &[-3.0]]);
    let twice = Planted::new(&["a", "a"], &["CD8"], &[&[1.0], &[3.0]]).write(folder, "twice.h5ad");
    let rna = rna.write(folder, "rna.h5ad");
    let [protein, again] = ["adt.h5ad", "again.h5ad"].map(|name| adt.clone().write(folder, name));
    let refused = |inputs: &[MultimodalInput], parts: &[&str]| {
        let error = open(inputs).err().unwrap();
        let message = format!("{error} {}", error.hint().unwrap_or_default());
        for part in parts {
            assert!(message.contains(part), "`{part}`: {message}");
        }
    };
    let protein = input(&protein, Some("Protein"));
    refused(
        &[input(&rna, None), protein.clone()],
        &["`CD4` is named in two modalities, RNA and Protein", "`prefix` Protein=p_"],
    );
    refused(&[protein.clone(), input(&again, Some("ADT"))], &["cells `a`, `b`", "`CD4`", "unique"]);
    refused(&[input(&rna, None), input(&twice, Some("Protein"))], &["`a` occurs twice"]);
    refused(&[input(&rna, None), input(&tiny(), None)], &["MuData"]);
    let mut options = MultimodalOptions::default();
    options.modality_key = Some("kind".into());
    let error = MultimodalCells::open(&[input(&rna, None)], &options).err().unwrap();
    assert!(error.to_string().contains("var/kind"), "{error}");
    let mut negative = open(&[protein]).unwrap();
    let error = negative.read(&Layer::X, 0..2).unwrap_err();
    assert!(error.to_string().contains("negative value -3 in cell 1"), "{error}");
    assert!(error.hint().unwrap().contains("raw counts"), "{error:?}");
    let error = Source::open(tiny()).unwrap_err();
    assert!(error.to_string().contains("prot, rna"), "{error}");
}

#[test]
fn cells_and_their_places_must_match() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.h5mu");
    // The places of the cells of `prot` are the file's only `1, 2, 3, 4` of 64-bit zeros between.
    let bytes = std::fs::read(tiny()).unwrap();
    for (from, to, expected) in [
        ([4_u32, 2, 0, 0, 1, 3], [4_u32, 2, 0, 0, 9, 3], "place 9 of cell `cell_4`"),
        ([4, 2, 0, 0, 1, 3], [2, 4, 0, 0, 1, 3], "cells of other names: `cell_0`, `cell_1`"),
        ([4, 2, 0, 0, 1, 3], [4, 4, 0, 0, 1, 3], "that of two cells"),
    ] {
        let widths = [1, 2, 4, 8];
        let at = widths.into_iter().find_map(|width| {
            let encode = |places: [u32; 6]| -> Vec<u8> {
                let of = places.into_iter().map(u64::from);
                of.flat_map(|place| place.to_le_bytes().into_iter().take(width)).collect()
            };
            let pattern = encode(from);
            let at = bytes.windows(pattern.len()).position(|window| window == pattern)?;
            Some((at, encode(to)))
        });
        let (at, replacement) = at.unwrap();
        let mut broken = bytes.clone();
        broken[at..at + replacement.len()].copy_from_slice(&replacement);
        std::fs::write(&path, broken).unwrap();
        let error = open(&[input(&path, None)]).err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However cells are spread over sources, and whatever is read at a time, each has its values.
    #[test]
    fn a_join_is_the_same_in_any_block(
        present in prop::collection::vec(prop::collection::vec(any::<bool>(), 9), 3),
        first in 0_usize..9,
    ) {
        let names: Vec<String> = (0..9).map(|cell| format!("c{cell}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let features = [["a1", "a2"], ["b1", "b2"], ["c1", "c2"]];
        let value = |cell: usize, source: usize, feature: usize| {
            (100 * source + 10 * cell + feature + 1) as f32
        };
        let sources = present.iter().enumerate().map(|(source, cells)| {
            let rows: Vec<[f32; 2]> = (0..9).map(|cell| [0, 1].map(|f| value(cell, source, f))).collect();
            let rows: Vec<&[f32]> = rows.iter().map(<[f32; 2]>::as_slice).collect();
            ModalitySource {
                modality: ["A", "B", "C"][source].into(),
                source: Box::new(Planted::new(&names, &features[source], &rows).source()),
                cells: Some((0..9).filter(|&cell| cells[cell]).collect()),
            }
        });
        let mut joined = MultimodalCells::of(sources.collect(), None).unwrap();
        let n = joined.summary().n_cells;
        let first = first.min(n);
        let block = joined.read(&Layer::X, first..n).unwrap();
        let obs = joined.obs().unwrap();
        for (row, name) in obs.index[first..].iter().enumerate() {
            let cell: usize = name[1..].parse().unwrap();
            let expected: Vec<f32> = (0..3)
                .filter(|&source| present[source][cell])
                .flat_map(|source| [0, 1].map(|feature| value(cell, source, feature)))
                .collect();
            prop_assert_eq!(block.row(row).values, expected);
        }
    }
}
