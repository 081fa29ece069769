//! Workers decide together when a training ends, and learn adapters as one does.

use scgpt_model::Lora;
use scgpt_train::{Error, OptimizerConfig, Reduce, TrainConfig, Workers};

use super::{Cells, Run, Watch, config, objectives, trained};

/// Settings with that learning rate.
fn with_rate(lr: f64, config: TrainConfig) -> TrainConfig {
    TrainConfig { optimizer: OptimizerConfig { lr, ..config.optimizer }, ..config }
}

#[test]
fn all_stop_early_at_the_same_step() {
    let task = Cells::of(objectives()[0]);
    let patient = TrainConfig { epochs: 40, patience: Some(2), ..config(4) };
    let config = with_rate(0.3, patient);
    let alone = trained(&task, &config, 1);
    let steps = alone.1.len();
    assert!(steps > 4 && steps < 4 * 40, "{steps}");
    for n in [2, 4] {
        assert!(trained(&task, &config, n) == alone, "{n}");
    }
}

#[test]
fn numbers_that_are_none_end_the_training_of_all_at_the_same_step() {
    let task = Cells::of(objectives()[0]);
    let folder = tempfile::tempdir().unwrap();
    let config = with_rate(1e30, config(4));
    let run =
        Run { task: &task, config, folder: folder.path(), resume: false, reduce: Reduce::Ordered };
    let step_of = |error: Error| match error {
        Error::Diverged { step, .. } => step,
        other => panic!("{other}"),
    };
    let alone = step_of(run.by(&Workers::ALONE, &Watch::new(u64::MAX)).unwrap_err());
    assert!(alone > 1);
    for (rank, (outcome, _)) in run.by_threads(4, u64::MAX).into_iter().enumerate() {
        assert_eq!(step_of(outcome.unwrap_err()), alone, "worker {rank}");
    }
}

#[test]
fn adapters_are_those_of_one_process() {
    let task = Cells::of(objectives()[0]);
    let config = TrainConfig { lora: Some(Lora::of_rank(2)), ..config(4) };
    let alone = trained(&task, &config, 1);
    for n in [2, 4] {
        assert!(trained(&task, &config, n) == alone, "{n}");
    }
}
