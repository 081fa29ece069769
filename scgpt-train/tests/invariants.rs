//! What must hold of any run.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use burn::prelude::*;
use proptest::{collection::vec, prelude::*};
use scgpt_model::{AttentionMask, ModelInput, Scgpt, ScgptConfig};
use scgpt_train::{Best, LossScale, Metric, NamedGradients, Progress, Schedule, State};
use serde_json::json;

const TOKENS: usize = 6;

fn schedule() -> impl Strategy<Value = Schedule> {
    prop_oneof![
        Just(Schedule::Constant),
        (0.01..=1.0_f64, 1..9_u64).prop_map(|(gamma, every)| Schedule::EpochStep { gamma, every }),
        (0.0..60.0_f64).prop_map(|warmup| Schedule::WarmupCosine { warmup }),
        (0.0..1.0_f64).prop_map(|warmup| Schedule::WarmupCosine { warmup }),
    ]
}

fn state() -> impl Strategy<Value = State> {
    let best = proptest::option::of((any::<u64>(), any::<f64>(), "[a-z_]{1,9}", any::<bool>()));
    let counts = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
    let scale = (1.0..1e9_f64, any::<u32>());
    (counts, best, scale, any::<bool>()).prop_map(
        |(counts, best, (scale, good_steps), is_unvalidated)| {
            let best =
                best.filter(|best| best.1.is_finite()).map(|(step, value, name, is_loss)| {
                    let of = if is_loss { Metric::loss } else { Metric::score };
                    Best { step, metric: of(name, value) }
                });
            let (step, epoch, index, stale) = counts;
            let scale = json!({ "scale": scale, "good_steps": good_steps });
            let loss_scale: LossScale = serde_json::from_value(scale).unwrap();
            State { step, epoch, index, best, stale, loss_scale, is_unvalidated }
        },
    )
}

fn network() -> Scgpt {
    let config =
        ScgptConfig { d_model: 8, n_heads: 2, d_ff: 8, n_layers: 1, ..ScgptConfig::new(20) };
    ScgptConfig { dropout: 0.0, ..config }.init(&Device::flex().autodiff()).unwrap()
}

/// The gradients of a sum over cells, each a list of genes.
fn gradients(model: &Scgpt, cells: &[Vec<i32>]) -> NamedGradients {
    let (n, device) = (cells.len(), Device::flex().autodiff());
    let genes: Vec<i32> = cells.concat();
    #[allow(clippy::cast_precision_loss, reason = "numbers of genes")]
    let values: Vec<f32> = genes.iter().map(|&gene| gene as f32 / 4.0).collect();
    let input = ModelInput::new(
        Tensor::from_data(TensorData::new(genes, [n, TOKENS]), &device),
        Tensor::from_data(TensorData::new(values, [n, TOKENS]), &device),
        AttentionMask::padding(vec![TOKENS; n], TOKENS),
    );
    // Not the sum of squares: that of what a norm has made is the same for all.
    let loss = model.encode(&input).hidden.powf_scalar(3.0).sum();
    NamedGradients::take(loss.backward(), model)
}

fn host(gradients: &NamedGradients) -> Vec<(String, Vec<f32>)> {
    let values = |name: &str| gradients.get(name).unwrap().to_data().try_into_vec().unwrap();
    gradients.names().map(|name| (name.to_owned(), values(name))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_rate_is_never_negative_nor_above_its_base(
        schedule in schedule(), total_steps in 1..500_u64, share in 0.0..=1.0_f64,
        epoch in 0..3000_u64,
    ) {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a step below the last"
        )]
        let step = (share * total_steps as f64) as u64;
        let factor = schedule.factor(Progress { step, epoch, total_steps });
        prop_assert!((0.0..=1.0).contains(&factor), "{} at {}/{}: {}", schedule, step, total_steps, factor);
        // After the warm-up it never rises again.
        let next = schedule.factor(Progress { step: step + 1, epoch: epoch + 1, total_steps });
        let is_warm = match schedule {
            Schedule::WarmupCosine { warmup } if warmup < 1.0 => share > warmup,
            #[allow(clippy::cast_precision_loss, reason = "a small number")]
            Schedule::WarmupCosine { warmup } => step as f64 > warmup,
            _ => true,
        };
        prop_assert!(!is_warm || step + 1 > total_steps || next <= factor + 1e-12);
    }

    #[test]
    fn what_is_saved_of_a_run_is_read_again_bit_for_bit(state in state()) {
        let text = serde_json::to_string_pretty(&state).unwrap();
        let read: State = serde_json::from_str(&text).unwrap();
        let bits = |state: &State| state.best.as_ref().map(|best| best.metric.value.to_bits());
        prop_assert_eq!(bits(&read), bits(&state));
        prop_assert_eq!(read, state);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn gradients_are_a_sum_however_cells_are_divided(
        cells in vec(vec(0..19_i32, TOKENS), 1..9), sizes in vec(1..4_usize, 8),
    ) {
        let model = network();
        let whole = host(&gradients(&model, &cells));
        let (mut parts, mut rest) = (NamedGradients::default(), cells.as_slice());
        for size in sizes {
            let (group, others) = rest.split_at(size.min(rest.len()));
            if !group.is_empty() {
                parts.add(gradients(&model, group));
            }
            rest = others;
        }
        prop_assert!(rest.is_empty());
        let parts = host(&parts);
        prop_assert!(!whole.is_empty() && whole.len() == parts.len());
        for ((name, a), (other, b)) in whole.iter().zip(&parts) {
            prop_assert_eq!(name, other);
            let largest = a.iter().fold(1e-3_f32, |largest, x| largest.max(x.abs()));
            let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            prop_assert!(worst <= 1e-4 * largest, "{}: {} of {}", name, worst, largest);
        }
    }

    #[test]
    fn clipped_gradients_are_no_longer_than_asked_and_go_the_same_way(
        cells in vec(vec(0..19_i32, TOKENS), 1..4), largest in 1e-3..1e3_f64,
    ) {
        let mut found = gradients(&network(), &cells);
        let before = host(&found);
        let norm = found.norm().unwrap();
        let length = f64::from(norm.clone().into_scalar::<f32>());
        found.clip(&norm, largest);
        let clipped = f64::from(found.norm().unwrap().into_scalar::<f32>());
        prop_assert!(clipped <= largest.min(length) * (1.0 + 1e-4), "{} {} {}", clipped, length, largest);
        #[allow(clippy::cast_possible_truncation, reason = "as narrow as gradients")]
        let factor = (largest / length).min(1.0) as f32;
        for ((_, a), (_, b)) in before.iter().zip(host(&found)) {
            prop_assert!(a.iter().zip(b).all(|(a, b)| (a * factor - b).abs() <= 1e-3 * b.abs() + 1e-6));
        }
    }
}
