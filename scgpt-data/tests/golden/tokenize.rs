//! Cases `tokenize*`: tokens, padding, masks and splits, with every random choice the first one.

use scgpt_data::{
    BinScratch, Binner, CellTokens, Collator, ConditionToken, Csr, Frame, GeneNames, GeneToken,
    GeneVocab, Hide, Mask, Sampling, SpecialToken, TieMode, TokenConfig, Tokenizer, split,
};
use scgpt_fixtures::{Case, Tensors, cases};
use serde_json::Value;

use crate::rows;

#[test]
fn golden_tokenize() {
    for case in cases(|case| case.is("tokenize")) {
        let tensors = case.tensors("tensors.safetensors");
        let vocab = vocab(&case.json["vocab"]);
        for run in runs(&case, "runs") {
            tokenize(&case, &tensors, &vocab, run);
        }
        for run in runs(&case, "collator") {
            collate(&tensors, &vocab, run);
        }
        for run in runs(&case, "split_collator") {
            both(&tensors, &vocab, run);
        }
        masks(&case, &tensors);
        vocabulary(&case);
    }
}

fn runs<'a>(case: &'a Case, kind: &str) -> &'a [Value] {
    case.json[kind].as_array().expect("a list of runs")
}

fn number(run: &Value, key: &str) -> usize {
    usize::try_from(run[key].as_u64().expect(key)).unwrap()
}

#[allow(clippy::cast_possible_truncation, reason = "a small number of the case")]
fn float(run: &Value, key: &str) -> f32 {
    run[key].as_f64().expect(key) as f32
}

fn flag(run: &Value, key: &str) -> bool {
    run[key].as_bool().expect(key)
}

/// The vocabulary of a JSON object, through a file.
fn vocab(object: &Value) -> GeneVocab {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), object.to_string()).unwrap();
    GeneVocab::from_json(file.path()).unwrap()
}

fn index(value: i64) -> u32 {
    u32::try_from(value).unwrap()
}

fn assert_tensor(tensors: &Tensors, name: &str, actual: &[i32]) {
    let expected: Vec<i32> =
        tensors.i64(name).into_iter().map(|x| i32::try_from(x).unwrap()).collect();
    assert_eq!(actual, expected, "{name}");
}

fn tokenize(case: &Case, tensors: &Tensors, vocab: &GeneVocab, run: &Value) {
    let key = run["key"].as_str().unwrap();
    let data = rows(tensors, "data");
    let n_genes = data[0].len();
    let indices = data.iter().flat_map(|_| (0..).take(n_genes)).collect();
    let indptr = (0..=data.len()).map(|row| row * n_genes).collect();
    let block = Csr::new(n_genes, indptr, indices, data.concat()).unwrap();

    let name = |id| vocab.name(GeneToken(index(id))).unwrap().to_owned();
    let var = Frame {
        index: tensors.i64("gene_ids").into_iter().map(name).collect(),
        ..Frame::default()
    };
    let config = TokenConfig {
        binner: None,
        include_zero_genes: flag(run, "include_zero_gene"),
        cls_value: flag(run, "append_cls").then_some(0.0),
        max_length: number(run, "max_len"),
        sampling: Sampling::Head,
        ..TokenConfig::default()
    };
    let mut tokenizer =
        Tokenizer::new(vocab, &vocab.align(&var, &GeneNames::BEST).unwrap(), config).unwrap();
    let mut collator = Collator::new(vocab, float(run, "pad_value"));
    let has_conditions = flag(run, "mod_types");
    if has_conditions {
        let special =
            |name: &str| ConditionToken(index(case.json["vocab_mod"][name].as_i64().unwrap()));
        let columns = tensors.i64("mod_type").into_iter().map(|x| ConditionToken(index(x)));
        tokenizer = tokenizer.with_conditions(columns.collect(), special("<cls>")).unwrap();
        collator.pad_condition = special("<pad>");
    }
    let batch = collator.collate(tokenizer.block(&block).iter().enumerate());
    assert_eq!([batch.n_cells, batch.n_tokens], tensors.shape(&format!("{key}.genes")));
    assert_tensor(tensors, &format!("{key}.genes"), &batch.genes);
    assert_eq!(batch.values, tensors.f32(&format!("{key}.values")), "{key}.values");
    assert_eq!(batch.conditions.is_some(), has_conditions);
    if let Some(conditions) = batch.conditions {
        assert_tensor(tensors, &format!("{key}.mod_types"), &conditions);
    }
}

/// The items of the collator runs, values binned behind the first `keep` if asked for: the reference
/// draws among tied bins, but its development branch, which splits, takes the upper one.
fn items(tensors: &Tensors, keep: usize, tie_mode: Option<TieMode>) -> Vec<CellTokens> {
    (0..100)
        .map(|item| format!("collate.in{item}"))
        .filter(|item| tensors.has(&format!("{item}.genes")))
        .map(|item| {
            let genes = tensors.i64(&format!("{item}.genes"));
            let mut values = tensors.f32(&format!("{item}.expressions"));
            if let Some(tie_mode) = tie_mode {
                let binner = Binner::new(51, tie_mode).unwrap();
                binner.bin(&mut values[keep..], |_| 0.0, &mut BinScratch::default());
            }
            CellTokens {
                genes: genes.into_iter().map(|gene| GeneToken(index(gene))).collect(),
                values,
                ..CellTokens::default()
            }
        })
        .collect()
}

fn collate(tensors: &Tensors, vocab: &GeneVocab, run: &Value) {
    let key = run["key"].as_str().unwrap();
    let keep = number(run, "keep_first_n_tokens");
    let tie_mode = flag(run, "do_binning").then_some(TieMode::Midpoint);
    let mut items = items(tensors, keep, tie_mode);
    for item in &mut items {
        item.shorten(number(run, "max_length"), keep, |_| 0);
    }
    let collator = Collator::new(vocab, float(run, "pad_value"));
    let batch = collator.collate(items.iter().enumerate());
    assert_tensor(tensors, &format!("{key}.gene"), &batch.genes);
    assert_eq!(batch.values, tensors.f32(&format!("{key}.expr")), "{key}.expr");

    let probability = run["mlm_probability"].as_f64().unwrap();
    let mask =
        Mask { hide: Hide::Each(probability), keep_first: keep, pad_value: collator.pad_value };
    let width = batch.n_tokens;
    let [mut masked, mut probabilities] = [batch.values.clone(), vec![0.0; batch.values.len()]];
    for (row, values) in batch.values.chunks(width).enumerate() {
        // The draws of the case select the flat positions divisible by 3.
        let draw =
            |position: usize| f64::from(u8::from(!(row * width + position).is_multiple_of(3)));
        for (position, is_masked) in mask.is_masked(values, draw).into_iter().enumerate() {
            let flat = row * width + position;
            if is_masked {
                masked[flat] = float(run, "mask_value");
            }
            if mask.is_eligible(position, values[position]) {
                probabilities[flat] = float(run, "mlm_probability");
            }
        }
    }
    assert_eq!(masked, tensors.f32(&format!("{key}.masked_expr")), "{key}.masked_expr");
    let expected = tensors.f32(&format!("{key}.mask_probability"));
    assert_eq!(probabilities, expected, "{key}.mask_probability");
}

fn both(tensors: &Tensors, vocab: &GeneVocab, run: &Value) {
    let key = run["key"].as_str().unwrap();
    let parts: Vec<[CellTokens; 2]> = items(tensors, 1, Some(TieMode::Upper))
        .iter()
        .map(|item| {
            let unknown = run["gen_probability"].as_f64().unwrap();
            split(item, unknown, 1, number(run, "max_length"), |_| 0)
        })
        .collect();
    let collator = Collator::new(vocab, -2.0);
    for (part, genes, values, length) in [
        (0, "pcpt_gene", "pcpt_expr", "pcpt_length"),
        (1, "gen_gene", "gen_expr_target", "gen_length"),
    ] {
        let batch = collator.collate(parts.iter().map(|parts| &parts[part]).enumerate());
        assert_eq!(batch.n_tokens, number(run, length), "{key}: {length}");
        assert_tensor(tensors, &format!("{key}.{genes}"), &batch.genes);
        assert_eq!(batch.values, tensors.f32(&format!("{key}.{values}")), "{key}.{values}");
    }
}

/// `random_mask_value` with the first positions chosen.
fn masks(case: &Case, tensors: &Tensors) {
    let values = rows(tensors, "mask.values");
    let first = |rows: &[Vec<f32>], ratio, pad_value| -> Vec<f32> {
        let mask = Mask { hide: Hide::Share(ratio), keep_first: 0, pad_value };
        let hide = |row: &Vec<f32>| {
            let is_masked = mask.is_masked(row, |position| position as f64 / 1e3);
            let hidden =
                row.iter().zip(is_masked).map(|(&x, masked)| if masked { -1.0 } else { x });
            hidden.collect::<Vec<f32>>()
        };
        rows.iter().flat_map(hide).collect()
    };
    for (ratio, statistics) in case.json["masking"].as_object().unwrap() {
        let hidden = first(&values, ratio.parse().unwrap(), -2.0);
        assert_eq!(hidden, tensors.f32(&format!("mask.first_{ratio}")), "ratio {ratio}");
        let mask = Mask { hide: Hide::Share(0.0), keep_first: 0, pad_value: -2.0 };
        for (row, expected) in values.iter().zip(statistics["eligible_per_row"].as_array().unwrap())
        {
            let n = (0..row.len()).filter(|&position| mask.is_eligible(position, row[position]));
            assert_eq!(Some(n.count() as u64), expected.as_u64());
        }
    }
    let no_marker = |row: &Vec<f32>| row.iter().map(|x| x.max(0.0)).collect();
    let padded_with_0: Vec<Vec<f32>> = values.iter().map(no_marker).collect();
    let hidden = first(&padded_with_0, 0.4, 0.0);
    assert_eq!(hidden, tensors.f32("mask.pad0_first_0.4"), "padding with 0");
}

fn vocabulary(case: &Case) {
    let expected = &case.json["vocabulary"]["from_dict_then_append"];
    let made = vocab(&expected["input"]);
    assert_eq!(Value::from(made.names().collect::<Vec<_>>()), expected["tokens"]);
    for (name, token) in expected["lookups"].as_object().unwrap() {
        assert_eq!(made.token(name).map(|token| u64::from(token.0)), token.as_u64());
    }
    assert_eq!(made.special(SpecialToken::Eoc), GeneToken(5));
    assert_eq!(made.token("no such gene"), None);
    // Two tokens with one index are an error too: the reference shifts other tokens instead.
    for (kind, error) in case.json["vocabulary_errors"].as_object().unwrap() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), error["input"].to_string()).unwrap();
        assert!(GeneVocab::from_json(file.path()).is_err(), "{kind}");
    }
}

/// The vocabularies among the broken files, each with what its message must name.
#[test]
fn golden_bad_vocabularies() {
    for case in cases(|case| case.is("checkpoint_bad")) {
        let files = case.json["files"].as_object().unwrap().keys();
        for file in files.filter(|file| file.starts_with("vocab_")) {
            let path = case.path.join(file);
            let result = GeneVocab::from_json(&path);
            let named = match file.as_str() {
                "vocab_no_pad.json" => {
                    let names: Vec<String> = result.unwrap().names().map(String::from).collect();
                    assert_eq!(names, ["A", "B", "<pad>", "<cls>", "<eoc>"]);
                    continue;
                }
                "vocab_duplicate_index.json" => "`B` and `C`",
                "vocab_gap.json" => "`<pad>` has the index 5",
                "vocab_negative.json" => "`A` has the index -1",
                "vocab_not_object.json" => "expected an object",
                "vocab_truncated.json" => "EOF",
                _ => "",
            };
            let error = result.expect_err(file);
            let message = error.to_string();
            assert!(message.contains(named) && message.contains(file.as_str()), "{message}");
            assert!(error.hint().is_some());
        }
    }
}
