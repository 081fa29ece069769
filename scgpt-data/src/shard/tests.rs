//! What a folder of shards keeps, and what it refuses.
#![allow(clippy::float_cmp, reason = "values come back exactly")]

use std::{fs, path::Path};

use proptest::{collection::btree_map, collection::vec, prelude::*};
use serde_json::Value;

use super::*;
use crate::{
    Alignment, CellKey, CellSource, Column, Csr, Existing, Frame, GeneNames, GeneToken, GeneVocab,
    Layer, MemoryCells, Sampling, TokenConfig, TokenScratch, Tokenizer,
};

/// Rows of `(gene, value)` as a source.
fn cells(genes: &[&str], rows: Vec<Vec<(u32, f32)>>) -> MemoryCells<'static> {
    let labels =
        (0..rows.len()).map(|cell| (cell % 3 > 0).then(|| format!("type {}", cell % 3))).collect();
    labelled(genes, rows, labels)
}

/// The same with those labels.
fn labelled(
    genes: &[&str],
    rows: Vec<Vec<(u32, f32)>>,
    labels: Vec<Option<String>>,
) -> MemoryCells<'static> {
    let obs = Frame {
        columns: vec![("cell_type".into(), Column::Text(labels))],
        ..Frame::of_names((0..rows.len()).map(|cell| cell.to_string()))
    };
    let rows = rows.into_iter().map(|row| row.into_iter().unzip());
    let matrix = Csr::of_rows(genes.len(), rows).unwrap();
    MemoryCells::of(matrix, obs, Frame::of_names(genes.iter().copied())).unwrap().named("memory")
}

/// Not in the order of the columns, and one of them missing.
const VOCAB: [&str; 6] = ["D", "<pad>", "B", "A", "Z", "<cls>"];
const GENES: [&str; 5] = ["A", "B", "?", "D", "Z"];

fn vocab() -> GeneVocab {
    GeneVocab::from_names(VOCAB).unwrap()
}

fn options(shard_cells: usize) -> ShardOptions {
    ShardOptions { shard_cells, labels: vec!["cell_type".into()], ..ShardOptions::default() }
}

/// Seven cells in shards of three; cell 2 has no known gene.
fn toy(folder: &Path) -> Manifest {
    let rows = vec![
        vec![(0, 1.0), (1, 2.0), (3, 3.0)],
        vec![(1, 4.0), (2, 9.0), (4, 0.0)],
        vec![(2, 5.0)],
        vec![(3, 7.0), (4, 8.0)],
        vec![(0, 1.0)],
        vec![(0, 2.0)],
        vec![(0, 3.0), (3, 1.0)],
    ];
    write_shards([&mut cells(&GENES, rows) as &mut dyn CellSource], &vocab(), folder, options(3))
        .unwrap()
}

fn message(folder: &Path) -> String {
    let error = ShardFolder::open(folder).unwrap_err();
    assert!(error.hint().is_some(), "{error}");
    error.to_string()
}

#[test]
fn cells_are_tokens_ascending_without_zeros_and_unknown_genes() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("shards");
    let manifest = toy(&folder);
    let sizes: Vec<(u64, u64)> = manifest.shards.iter().map(|s| (s.cells, s.tokens)).collect();
    assert_eq!(sizes, [(3, 6), (3, 4)]);
    let source = &manifest.sources[0];
    assert_eq!((source.cells, source.skipped_cells, source.known_genes), (7, 1, 4));

    let shards = ShardFolder::open(&folder).unwrap();
    assert_eq!((shards.n_cells(), shards.n_tokens()), (6, 10));
    assert_eq!(shards.manifest(), &manifest);
    let first = shards.cell(0).unwrap();
    assert_eq!((first.indices, first.values), (&[0, 2, 3][..], &[3.0, 2.0, 1.0][..]));
    assert_eq!(shards.cell(1).unwrap().indices, [2]);
    let ids: Vec<i64> = (0..6).map(|cell| shards.id(cell).unwrap()).collect();
    assert_eq!(ids, [0, 1, 3, 4, 5, 6]);
    let labels = shards.labels("cell_type").unwrap();
    assert_eq!(labels.categories(), ["type 1", "type 2"]);
    let codes: Vec<Option<usize>> = (0..6).map(|cell| labels.code(cell).unwrap()).collect();
    assert_eq!(codes, [None, Some(0), None, Some(0), Some(1), None]);
    assert!(shards.labels("batch").unwrap_err().to_string().contains("cell_type"));
    assert!(shards.cell(6).is_err() && shards.id(6).is_err() && labels.code(6).is_err());
    let mut bytes = 0;
    shards
        .verify(|n| {
            bytes += n;
            true
        })
        .unwrap();
    assert_eq!(bytes, manifest.shards.iter().map(|shard| shard.bytes).sum::<u64>());
    assert!(matches!(shards.verify(|_| false), Err(crate::Error::Cancelled)));
    let is_shared = |_: &(dyn Send + Sync)| ();
    is_shared(&shards);
}

#[test]
fn nothing_is_overwritten_but_shards_and_nothing_left_behind() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("shards");
    toy(&folder);
    let rows = vec![vec![(0, 1.0)]];
    let write = |genes: &[&str], existing, to: &Path| {
        let options = ShardOptions { existing, ..options(10) };
        write_shards(
            [&mut cells(genes, rows.clone()) as &mut dyn CellSource],
            &vocab(),
            to,
            options,
        )
    };
    assert!(matches!(write(&GENES, Existing::Refuse, &folder), Err(crate::Error::Exists { .. })));
    write(&GENES, Existing::Replace, &folder).unwrap();
    assert_eq!(ShardFolder::open(&folder).unwrap().n_cells(), 1);
    let other = place.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("thesis.txt"), "years").unwrap();
    let error = write(&GENES, Existing::Replace, &other).unwrap_err().to_string();
    assert!(error.contains("not written to: it is not a folder of token shards"), "{error}");
    // No gene is known; no cell has a known gene; a label is missing.
    let new = place.path().join("new");
    assert!(matches!(write(&["U"], Existing::Refuse, &new), Err(crate::Error::Coverage { .. })));
    assert!(
        write(&["U", "A"], Existing::Refuse, &new).unwrap_err().to_string().contains("no cells")
    );
    for labels in [["batch"], ["id"]] {
        let options = ShardOptions { labels: labels.map(String::from).into(), ..options(10) };
        let error = write_shards(
            [&mut cells(&GENES, rows.clone()) as &mut dyn CellSource],
            &vocab(),
            &new,
            options,
        );
        assert!(error.unwrap_err().to_string().contains(labels[0]));
    }
    let left: Vec<_> =
        fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn damage_is_named() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("shards");
    toy(&folder);
    let shard = folder.join("shard-00001.arrow");
    let whole = fs::read(&shard).unwrap();

    fs::write(&shard, &whole[..123]).unwrap();
    assert!(
        message(&folder)
            .contains(&format!("truncated shard: 123 bytes, manifest says {}", whole.len()))
    );
    fs::write(&shard, vec![7; whole.len()]).unwrap();
    assert!(message(&folder).contains("footer"));
    fs::remove_file(&shard).unwrap();
    assert!(message(&folder).contains("listed in the manifest, but cannot be opened"));
    fs::write(&shard, fs::read(folder.join("shard-00000.arrow")).unwrap()).unwrap();
    message(&folder);

    // Every byte in turn: refused, found by the hash, or found when a cell is read; never a panic.
    crate::silence_guarded_panics();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x81;
        fs::write(&shard, &bytes).unwrap();
        if let Ok(shards) = ShardFolder::open(&folder) {
            assert!(shards.verify(|_| true).unwrap_err().to_string().contains("altered"));
            for cell in 0..shards.n_cells() {
                drop(shards.cell(cell));
            }
        }
    }
    fs::write(&shard, &whole).unwrap();

    let vocab = folder.join("vocab.json");
    let text = fs::read_to_string(&vocab).unwrap();
    fs::write(&vocab, text.replace("\"Z\"", "\"Y\"")).unwrap();
    assert!(message(&folder).contains("the vocabulary was altered"));
    fs::write(&vocab, text).unwrap();

    let manifest = folder.join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let spoilt = |change: &dyn Fn(&mut Value)| {
        let mut json: Value = serde_json::from_str(&text).unwrap();
        change(&mut json);
        fs::write(&manifest, json.to_string()).unwrap();
        message(&folder)
    };
    assert!(spoilt(&|m| m["version"] = 2.into()).contains("format version 2"));
    assert!(spoilt(&|m| m["format"] = "soup".into()).contains("`soup`"));
    assert!(spoilt(&|m| m["n_cells"] = 9.into()).contains("n_cells is 9"));
    assert!(spoilt(&|m| m["shards"] = 3.into()).contains("invalid type"));
    assert!(spoilt(&|m| m["labels"][0]["column"] = "batch".into()).contains("columns are"));
    assert!(spoilt(&|m| m["shards"][0]["file"] = "../x".into()).contains("no plain file name"));
    let said = spoilt(&|m| {
        for shard in [0, 1] {
            let n = m["shards"][shard]["cells"].as_u64().unwrap();
            m["shards"][shard]["cells"] = (n + 1 - 2 * shard as u64).into();
        }
    });
    assert!(said.contains("3 cells, manifest says"), "{said}");
    fs::remove_file(&manifest).unwrap();
    assert!(message(&folder).contains("no folder of token shards"));
}

#[test]
fn another_vocabulary_is_named_by_its_first_token() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("shards");
    toy(&folder);
    let shards = ShardFolder::open(&folder).unwrap();
    shards.check_vocab(&vocab()).unwrap();
    let other = GeneVocab::from_names(["D", "<pad>", "B", "X", "Z", "<cls>"]).unwrap();
    let error = shards.check_vocab(&other).unwrap_err();
    assert!(
        error.to_string().contains("`token 3`: `A` in the shards (7 tokens), but `X`"),
        "{error}"
    );
    let longer = GeneVocab::from_names([&VOCAB[..], &["<eoc>", "E"]].concat()).unwrap();
    let error = shards.check_vocab(&longer).unwrap_err();
    assert!(error.to_string().contains("`token 7`: missing in the shards"), "{error}");
}

#[test]
fn a_file_holds_cells_of_one_state_and_sources_share_categories() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("shards");
    let counts = vec![vec![(0, 1.0)]; 2];
    let other = labelled(&GENES, counts.clone(), vec![Some("new".into()), Some("type 1".into())]);
    let logged = cells(&GENES, vec![vec![(0, 0.5)]; 2]);
    let mut sources = [cells(&GENES, counts), other, logged];
    let sources = sources.iter_mut().map(|source| source as &mut dyn CellSource);
    let manifest = write_shards(sources, &vocab(), &folder, options(100)).unwrap();
    let cells: Vec<u64> = manifest.shards.iter().map(|shard| shard.cells).collect();
    assert_eq!(cells, [4, 2]);
    assert_eq!(manifest.sources[2].first_id, 4);
    let shards = ShardFolder::open(&folder).unwrap();
    let labels = shards.labels("cell_type").unwrap();
    assert_eq!(labels.categories(), ["type 1", "new"]);
    assert_eq!((labels.code(2).unwrap(), labels.code(3).unwrap()), (Some(1), Some(0)));
}

/// Cells of a few of thirty genes.
#[test]
fn cells_of_other_shards_are_left_out() {
    let place = tempfile::tempdir().unwrap();
    let learned = place.path().join("learned");
    toy(&learned);
    let learned = ShardFolder::open(&learned).unwrap();
    // The second is a cell of these but for a gene that is not known, the others are not.
    let rows = vec![vec![(0, 1.5)], vec![(0, 1.0), (2, 7.0)], vec![(0, 1.0), (1, 2.0)]];
    let unique = ShardOptions { unique: true, ..options(3) };
    let held_out = place.path().join("held_out");
    let mut writer = ShardWriter::create(&held_out, &vocab(), unique).unwrap();
    writer.leave_out(&learned).unwrap();
    let entry = writer.add_source(&mut cells(&GENES, rows)).unwrap();
    assert_eq!((entry.cells, entry.duplicates), (3, 1));
    assert_eq!(writer.finish().unwrap().n_cells, 2);
    let held_out = ShardFolder::open(&held_out).unwrap();
    assert_eq!([held_out.id(0).unwrap(), held_out.id(1).unwrap()], [0, 2]);
    let other = place.path().join("other");
    let mut writer = ShardWriter::create(&other, &vocab(), options(3)).unwrap();
    assert!(writer.leave_out(&learned).unwrap_err().to_string().contains("`unique`"));
}

fn rows() -> impl Strategy<Value = Vec<Vec<(u32, f32)>>> {
    let value =
        prop_oneof![1 => Just(0.0_f32), 5 => (1..500_u16).prop_map(f32::from), 2 => 0.1..9.0_f32];
    vec(btree_map(0..30_u32, value, 0..20), 1..60)
        .prop_map(|rows| rows.into_iter().map(|row| row.into_iter().collect()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn cells_in_are_cells_out(
        rows in rows(),
        order in Just((0..30).collect::<Vec<usize>>()).prop_shuffle(),
        known in 10..30_usize,
        shard_cells in 1..40_usize,
    ) {
        let names: Vec<String> = (0..30).map(|gene| format!("G{gene}")).collect();
        let genes: Vec<&str> = names.iter().map(String::as_str).collect();
        let vocab =
            GeneVocab::from_names(order[..known].iter().map(|&gene| names[gene].clone())).unwrap();
        let mut source = cells(&genes, rows.clone());
        let var = source.var(&Layer::X).unwrap();
        let alignment: Alignment = vocab.align(&var, &GeneNames::BEST).unwrap();
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("shards");
        let written =
            write_shards([&mut source as &mut dyn CellSource], &vocab, &folder, options(shard_cells));
        let expressed = rows.iter().map(|row| {
            row.iter().any(|&(gene, value)| value != 0.0 && alignment.tokens[gene as usize].is_some())
        });
        let expected: Vec<usize> =
            expressed.enumerate().filter(|(_, some)| *some).map(|(cell, _)| cell).collect();
        if expected.is_empty() {
            prop_assert!(written.is_err());
            return Ok(());
        }
        prop_assert!(written.unwrap().shards.iter().all(|shard| shard.cells <= shard_cells as u64));
        let shards = ShardFolder::open(&folder).unwrap();
        prop_assert_eq!(shards.n_cells(), expected.len());

        // The tokens of a cell are those made from the file, in another order.
        let config = TokenConfig { max_length: 9, sampling: Sampling::Keyed, ..TokenConfig::default() };
        let from_file = Tokenizer::new(&vocab, &alignment, config.clone()).unwrap();
        let from_shards = Tokenizer::of_tokens(&vocab, config).unwrap();
        let block = source.read(&Layer::X, 0..rows.len()).unwrap();
        let mut scratch = TokenScratch::default();
        for (index, &cell) in expected.iter().enumerate() {
            let id = shards.id(index).unwrap().unsigned_abs();
            prop_assert_eq!(id, cell as u64);
            let row = shards.cell(index).unwrap();
            let stored: Vec<(u32, f32)> =
                row.indices.iter().copied().zip(row.values.iter().copied()).collect();
            let mut known: Vec<(u32, f32)> = rows[cell].iter()
                .filter_map(|&(gene, value)| Some((alignment.tokens[gene as usize]?.0, value)))
                .filter(|&(_, value)| value != 0.0)
                .collect();
            known.sort_unstable_by_key(|&(gene, _)| gene);
            prop_assert_eq!(stored, known);
            let sorted = |tokens: crate::CellTokens| {
                let mut pairs: Vec<(GeneToken, f32)> = tokens.genes.into_iter().zip(tokens.values).collect();
                pairs.sort_unstable_by_key(|&(gene, _)| gene);
                pairs
            };
            for key in [CellKey::Number { cell: id, epoch: 0 }, CellKey::Content] {
                let a = sorted(from_shards.cell(row, key, &mut scratch));
                let b = sorted(from_file.cell(block.row(cell), key, &mut scratch));
                prop_assert_eq!(a, b);
            }
        }
    }
}
