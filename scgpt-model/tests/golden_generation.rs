//! Generation by rounds: parity with the fixtures, and what holds of every rule.
#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "a test fails by panicking")]

mod reference;

use burn::prelude::*;
use scgpt_fixtures::{Case, assert_close, cases};
use scgpt_model::{Confidence, Generated, Generation, Promoted, Prompt, Scgpt, ScgptConfig};

/// SplitMix64's finaliser of both numbers.
fn noise(key: u64, index: u64) -> u64 {
    let mut z = (key ^ index.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn generate(
    model: &Scgpt,
    config: &ScgptConfig,
    prompts: &[Prompt],
    options: &Generation,
) -> Vec<Generated> {
    model.generate(prompts, options, config, &noise, &Device::flex(), &mut |_| {}).unwrap()
}

#[test]
fn golden_generation_rounds() {
    for case in cases(|case| case.json["kind"] == "generation_rounds") {
        check(&case);
    }
}

fn check(case: &Case) {
    let device = reference::device();
    let (model, config) = reference::model(case, "params.safetensors", &device);
    let inputs = case.tensors("inputs.safetensors");
    let expected = case.tensors("expected.safetensors");
    let [b, t]: [usize; 2] = inputs.shape("genes").try_into().unwrap();
    let (genes, values, state) = (inputs.i64("genes"), inputs.f32("values"), inputs.i64("state"));
    let at = |cell: usize, wanted: i64| -> Vec<usize> {
        (0..t).filter(|position| state[cell * t + position] == wanted).collect()
    };
    let prompts: Vec<Prompt> = (0..b)
        .map(|cell| {
            let of = |position: &usize| i32::try_from(genes[cell * t + position]).unwrap();
            Prompt {
                genes: at(cell, 1).iter().map(of).collect(),
                values: at(cell, 1).iter().map(|position| values[cell * t + position]).collect(),
                unknown: at(cell, 0).iter().map(of).collect(),
                cell: inputs.has("cell_emb").then(|| {
                    let d = config.d_model;
                    inputs.f32("cell_emb")[cell * d..(cell + 1) * d].to_vec()
                }),
                key: cell as u64,
            }
        })
        .collect();
    let rounds = usize::try_from(case.json["rounds"].as_u64().unwrap()).unwrap();
    let options =
        Generation { rounds, confidence: Confidence::LargestValue, promoted: Promoted::Raw };
    let (expected_predictions, promoted) = (expected.f64("preds"), expected.bool("promoted"));
    let tolerance = ["rtol", "atol"].map(|key| case.json["tolerance"][key].as_f64().unwrap());
    let mut watch = |round: scgpt_model::Round<'_>| {
        let positions = at(round.cell, 0);
        let row = (round.round * b + round.cell) * t;
        let asked: Vec<f64> =
            round.asked.iter().map(|&asked| expected_predictions[row + positions[asked]]).collect();
        let what = format!("{} round {} cell {}", case.name, round.round, round.cell);
        assert_close(&what, round.predictions, &asked, tolerance);
        let moved: Vec<usize> = round.moved.iter().map(|&moved| positions[moved]).collect();
        let theirs: Vec<usize> = (0..t).filter(|position| promoted[row + position]).collect();
        assert_eq!(moved, theirs, "{what}");
    };
    let generated =
        model.generate(&prompts, &options, &config, &noise, &device, &mut watch).unwrap();
    let (final_values, round_of) = (expected.f64("final_values"), expected.i64("round_of"));
    for (cell, generated) in generated.iter().enumerate() {
        let positions = at(cell, 0);
        let values: Vec<f64> =
            positions.iter().map(|position| final_values[cell * t + position]).collect();
        assert_close(&format!("{} values", case.name), &generated.values, &values, tolerance);
        let rounds: Vec<i64> =
            generated.rounds.iter().map(|&round| i64::try_from(round).unwrap()).collect();
        let theirs: Vec<i64> =
            positions.iter().map(|position| round_of[cell * t + position]).collect();
        let first = theirs.iter().min().copied().unwrap_or(0);
        assert_eq!(rounds, theirs.iter().map(|round| round - first).collect::<Vec<_>>());
    }
}

fn small() -> (Scgpt, ScgptConfig) {
    let config = ScgptConfig {
        d_model: 32,
        n_heads: 4,
        d_ff: 32,
        n_layers: 2,
        dropout: 0.1,
        pad_token: Some(60),
        ..ScgptConfig::new(64)
    };
    let device = Device::flex();
    device.seed(11);
    let model = config.init(&device).unwrap();
    model.draw();
    (model, config)
}

fn prompt(known: i32, unknown: i32, key: u64) -> Prompt {
    Prompt {
        genes: std::iter::once(61).chain(0..known).collect(),
        values: std::iter::once(-2.0).chain((0..known).map(|gene| (gene % 50) as f32)).collect(),
        unknown: (known..known + unknown).collect(),
        cell: None,
        key,
    }
}

const RULES: [Confidence; 4] = [
    Confidence::DropoutVariance { samples: 3 },
    Confidence::Agreement,
    Confidence::Random,
    Confidence::LargestValue,
];

#[test]
fn every_gene_becomes_known_once_and_in_equal_parts() {
    let (model, config) = small();
    for confidence in RULES {
        for (rounds, unknown) in [(1, 7), (3, 7), (4, 16), (9, 4), (2, 0)] {
            let options = Generation { rounds, confidence, promoted: Promoted::Bin };
            let generated = &generate(&model, &config, &[prompt(20, unknown, 5)], &options)[0];
            let unknown = usize::try_from(unknown).unwrap();
            assert_eq!(generated.values.len(), unknown);
            let quota = unknown.div_ceil(rounds).max(1);
            for round in 0..rounds {
                let n = generated.rounds.iter().filter(|&&of| of == round).count();
                assert!(n <= quota, "{confidence:?}: {n} genes in round {round}, quota {quota}");
            }
            assert!(generated.rounds.iter().all(|&round| round < rounds));
            assert!(generated.values.iter().all(|value| value.is_finite()));
        }
    }
}

#[test]
fn a_cell_does_not_depend_on_its_batch() {
    let (model, config) = small();
    for confidence in RULES {
        let options = Generation { rounds: 3, confidence, promoted: Promoted::Bin };
        let prompts = [prompt(20, 9, 1), prompt(10, 25, 2), prompt(30, 1, 3)];
        let together = generate(&model, &config, &prompts, &options);
        for (prompt, together) in prompts.iter().zip(&together) {
            let alone = generate(&model, &config, std::slice::from_ref(prompt), &options);
            assert_eq!(alone[0], *together, "{confidence:?}");
        }
    }
}

#[test]
fn the_control_is_by_lot_and_the_others_are_not() {
    let (model, config) = small();
    let rounds_of = |confidence, key| {
        let options = Generation { rounds: 4, confidence, promoted: Promoted::Bin };
        generate(&model, &config, &[prompt(20, 20, key)], &options)[0].rounds.clone()
    };
    assert_ne!(rounds_of(Confidence::Random, 1), rounds_of(Confidence::Random, 2));
    assert_eq!(rounds_of(Confidence::Random, 1), rounds_of(Confidence::Random, 1));
    assert_eq!(rounds_of(Confidence::Agreement, 1), rounds_of(Confidence::Agreement, 2));
}

#[test]
fn networks_that_cannot_generate_say_so() {
    let (model, config) = small();
    let device = Device::flex();
    let fail = |model: &Scgpt, options: Generation| {
        let prompts = [prompt(3, 3, 0)];
        let error = model.generate(&prompts, &options, &config, &noise, &device, &mut |_| {});
        error.unwrap_err().to_string()
    };
    let options = Generation::default();
    assert!(fail(&model, Generation { rounds: 0, ..options }).contains("`rounds`"));
    let mut no_flag = model.clone();
    no_flag.unknown_flag = None;
    assert!(fail(&no_flag, options).contains("embedding of unknown genes"));
    let mut no_gepc = model;
    no_gepc.gepc = None;
    let agreement = Generation { confidence: Confidence::Agreement, ..options };
    assert!(fail(&no_gepc, agreement).contains("GEPC"));
}

#[test]
fn odd_prompts_are_named_and_none_are_no_cells() {
    let (model, config) = small();
    let options = Generation::default();
    assert_eq!(generate(&model, &config, &[], &options), []);
    let fail = |odd: Prompt| {
        let prompts = [prompt(3, 3, 0), odd];
        let device = Device::flex();
        let error = model.generate(&prompts, &options, &config, &noise, &device, &mut |_| {});
        error.unwrap_err().to_string()
    };
    assert!(fail(Prompt::default()).contains("prompt 1 is empty"));
    let too_long = Prompt { values: vec![0.0; 5], ..prompt(3, 3, 0) };
    assert!(fail(too_long).contains("4 gene tokens but 5 values"));
    let with_cell = Prompt { cell: Some(vec![0.0; 32]), ..prompt(3, 3, 0) };
    assert!(fail(with_cell).contains("prompts 0 and 1"));
}
