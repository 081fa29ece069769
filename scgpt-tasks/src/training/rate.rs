//! How fast and how long a checkpoint is fine-tuned: the tutorials' numbers, for networks of any width.

use scgpt_train::{OptimizerConfig, Schedule, TrainConfig};

use super::network::NetworkConfig;

/// The learning rate of the tutorials, whose network is as wide as [`NetworkConfig::RELEASED`].
const TUTORIAL_RATE: f64 = 1e-4;
/// The rate is that of the tutorials times this power of how many times narrower a network is.
///
/// A step of Adam moves every weight by about the rate. In a layer `d` wide, weights are about
/// `1/√d` and a state is a sum of `d` products, all of which move together, so that equal changes
/// of what a network does need a rate that grows at least as `1/d`. Checkpoints that narrow
/// networks are pre-trained to are also further from a task: measured, 3/2 is better than 1, and
/// meets the rates at which new networks 128 and 64 wide learn best.
const POWER: f64 = 1.5;
/// The highest rate at which new networks learn, however narrow.
const HIGHEST_RATE: f64 = 3e-3;
/// Fewer steps than this leave a checkpoint about as it was, however few cells there are.
const LEAST_STEPS: u64 = 600;
/// Below this share of what [`LEAST_STEPS`] at the full rate would do, there is a warning.
const LEAST_SHARE: f64 = 0.25;

/// How a checkpoint `d_model` wide is fine-tuned. The rate for its width falls by a tenth after
/// every epoch, as in the tutorials, and few cells are passed over again until [`LEAST_STEPS`] were
/// made.
pub(crate) fn fine_tuning(d_model: usize, epochs: u64) -> TrainConfig {
    TrainConfig {
        epochs,
        least_steps: Some(LEAST_STEPS),
        optimizer: OptimizerConfig { lr: fine_tuning_rate(d_model), ..OptimizerConfig::default() },
        schedule: Schedule::EpochStep { gamma: 0.9, every: 1 },
        ..TrainConfig::default()
    }
}

/// How a new network learns: the rate rises to `lr` in the share `warmup` of all steps, and falls to 0
/// along a cosine in the others.
pub(crate) fn from_scratch(epochs: u64, lr: f64, warmup: f64) -> TrainConfig {
    TrainConfig {
        epochs,
        optimizer: OptimizerConfig { lr, ..OptimizerConfig::default() },
        schedule: Schedule::WarmupCosine { warmup },
        ..TrainConfig::default()
    }
}

/// The learning rate at which a network of that width is fine-tuned.
fn fine_tuning_rate(d_model: usize) -> f64 {
    let narrower = NetworkConfig::RELEASED.d_model as f64 / d_model.max(1) as f64;
    (TUTORIAL_RATE * narrower.powf(POWER)).min(HIGHEST_RATE)
}

/// Changes fine-tuning to the rate and length of the tutorials, whatever the network and the cells.
/// A recipe without a least number of steps is that of a new network, and stays as it is.
pub(crate) fn as_in_the_tutorials(training: &mut TrainConfig) {
    if training.least_steps.take().is_some() {
        training.optimizer.lr = TUTORIAL_RATE;
    }
}

/// The advice about a fine-tuning that ends long before a network of that width has learned; `None`
/// if it does not.
pub(super) fn shortfall(
    training: &TrainConfig,
    d_model: usize,
    batches_per_epoch: u64,
) -> Option<String> {
    let training = training.in_force(batches_per_epoch);
    let rate = fine_tuning_rate(d_model);
    let share = training.reach(batches_per_epoch) / (rate * LEAST_STEPS as f64);
    (share < LEAST_SHARE).then(|| {
        format!(
            "{} steps at a rate of {} can move the weights of a network {d_model} wide {:.1} % as far as {LEAST_STEPS} \
             steps at {rate:.2e} would: expect it to be about as it was before training; leave `epochs`, `max_steps` and \
             `optimizer.lr` to the recipe, or raise them",
            training.total_steps(batches_per_epoch),
            training.optimizer.lr,
            100.0 * share
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lr: f64, epochs: u64, least_steps: Option<u64>) -> TrainConfig {
        TrainConfig {
            epochs,
            least_steps,
            optimizer: OptimizerConfig { lr, ..OptimizerConfig::default() },
            schedule: Schedule::EpochStep { gamma: 0.9, every: 1 },
            ..TrainConfig::default()
        }
    }

    #[test]
    fn the_released_width_keeps_the_rate_of_the_tutorials_and_narrower_ones_learn_faster() {
        assert!((fine_tuning_rate(512) - 1e-4).abs() < 1e-12);
        let rates = [1024, 512, 256, 128, 64].map(fine_tuning_rate);
        assert!(rates.windows(2).all(|pair| pair[0] < pair[1]), "{rates:?}");
        assert!(fine_tuning_rate(1) <= HIGHEST_RATE && fine_tuning_rate(0) <= HIGHEST_RATE);
    }

    #[test]
    fn a_training_that_cannot_suffice_is_told() {
        // The numbers of the tutorial, of 570 cells and a network 64 wide: nothing is learned.
        let advice = shortfall(&at(1e-4, 10, None), 64, 18).unwrap();
        assert!(advice.contains("180 steps at a rate of 0.0001"), "{advice}");
        // The recipe suffices whatever the width and the cells.
        for width in [16, 64, 128, 512] {
            for batches in [1, 18, 500] {
                let recipe = at(fine_tuning_rate(width), 10, Some(LEAST_STEPS));
                assert_eq!(shortfall(&recipe, width, batches), None, "{width} {batches}");
            }
        }
        // And so do the tutorial's numbers for its network and its cells.
        assert_eq!(shortfall(&at(1e-4, 10, None), 512, 250), None);
        let few = TrainConfig { max_steps: Some(30), ..at(1e-4, 10, None) };
        assert!(shortfall(&few, 512, 250).is_some());
    }

    #[test]
    fn parity_is_the_tutorials_rate_for_a_checkpoint_alone() {
        let mut fine = at(2e-3, 10, Some(LEAST_STEPS));
        as_in_the_tutorials(&mut fine);
        assert_eq!(fine, at(TUTORIAL_RATE, 10, None));
        let mut new = at(3e-3, 40, None);
        as_in_the_tutorials(&mut new);
        assert_eq!(new, at(3e-3, 40, None));
    }
}
