//! [`Objectives`]: which losses are minimised, and with which weights.

use burn::prelude::*;
use scgpt_data::Setting;
use scgpt_model::{Conditions, Encoded, Expression, GepStyle, ModelInput, Scgpt, ScgptConfig};
use serde::{Deserialize, Serialize};

use crate::{
    between::Between,
    error::{Error, Result},
    loss::{cross_entropy, masked_squared_error, negative_log_bernoulli},
    term::Term,
    terms::LossTerms,
};

/// Weights of the objectives. An objective with weight 0 is left out, and nothing is computed for
/// it.
///
/// ```
/// use scgpt_model::ScgptConfig;
/// use scgpt_train::Objectives;
///
/// let objectives = Objectives { gep: 1.0, class: 1.0, ..Objectives::default() };
/// assert!(objectives.check(&ScgptConfig { n_classes: 4, ..ScgptConfig::new(60) }).is_ok());
/// // A network without a class head cannot learn classes.
/// assert!(objectives.check(&ScgptConfig::new(60)).is_err());
/// ```
///
/// # Reference
/// Methods, "fine-tuning objectives" and "generative pre-training"; weights of the tutorials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Objectives {
    /// Predicted values from token states (GEP).
    pub gep: f64,
    /// Probability that a value is zero, from token states.
    pub gep_zero: f64,
    /// Predicted values from the cell embedding (GEPC).
    pub gepc: f64,
    /// Probability that a value is zero, from the cell embedding.
    pub gepc_zero: f64,
    /// Predicted values in a second pass, which starts from the cell embedding of the first (cell
    /// prompt; pre-training).
    pub cell_prompt: f64,
    /// Elastic cell similarity (ECS); 10 in the reference.
    pub ecs: f64,
    /// β of ECS, from 0 to 1: the cosine similarity from which pairs of cells are pushed away.
    pub ecs_threshold: f64,
    /// Adversarial classification of batches (DAR).
    pub dar: f64,
    /// Classes of cells, by cross-entropy.
    pub class: f64,
    /// Contrastive objective between two passes of the same cells (CCE); 10 in the reference.
    pub contrastive: f64,
}

/// What the network should predict for some cells.
#[derive(Clone, Debug)]
pub struct Targets {
    /// True values, `[b, t]`.
    pub values: Tensor<2>,
    /// 1 where a value is to be predicted, `[b, t]`.
    pub is_target: Tensor<2>,
    /// Class of each cell, `[b]`.
    pub classes: Option<Tensor<1, Int>>,
    /// How much the class of each cell counts, `[b]`; with `None` all count equally.
    pub class_weights: Option<Tensor<1>>,
    /// Batch label of each cell, `[b]`.
    pub domains: Option<Tensor<1, Int>>,
}

impl Objectives {
    /// Checks that the network has the heads that the objectives need.
    ///
    /// # Errors
    /// [`Error::Config`] with all mistakes at once.
    pub fn check(&self, config: &ScgptConfig) -> Result<()> {
        let mut problems = Vec::new();
        let zero = config.zero_probability;
        for (field, weight, is_possible, needed) in [
            ("objectives.gep", self.gep, true, ""),
            ("objectives.gep_zero", self.gep_zero, zero, "`zero_probability`"),
            ("objectives.gepc", self.gepc, config.gepc.is_some(), "`gepc` head"),
            (
                "objectives.gepc_zero",
                self.gepc_zero,
                zero && config.gepc.is_some(),
                "`zero_probability`",
            ),
            (
                "objectives.cell_prompt",
                self.cell_prompt,
                config.gep == GepStyle::Direct,
                "direct `gep` head",
            ),
            ("objectives.ecs", self.ecs, true, ""),
            ("objectives.dar", self.dar, config.dar, "`dar` head"),
            ("objectives.class", self.class, config.n_classes > 0, "`n_classes`"),
            ("objectives.contrastive", self.contrastive, true, ""),
        ] {
            if !(weight >= 0.0 && weight.is_finite()) {
                problems.push(Setting(field).wrong(format!("is {weight}, expected 0 or more")));
            } else if weight > 0.0 && !is_possible {
                let problem = format!("is {weight}, but the network has no {needed}");
                problems.push(Setting(field).wrong(problem));
            }
        }
        if !(0.0..=1.0).contains(&self.ecs_threshold) {
            let problem = format!("is {}, expected 0 to 1", self.ecs_threshold);
            problems.push(Setting("objectives.ecs_threshold").wrong(problem));
        }
        if self.total_weight() == 0.0 {
            problems.push(Setting("objectives").wrong("are all 0: there is nothing to learn"));
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Config(problems)) }
    }

    /// Whether any objective has a weight.
    pub fn has_any(&self) -> bool {
        self.total_weight() > 0.0
    }

    /// Whether an objective compares cells with each other, so that it matters which of them it sees.
    pub fn compare_cells(&self) -> bool {
        self.ecs > 0.0 || self.contrastive > 0.0
    }

    fn total_weight(&self) -> f64 {
        self.gep
            + self.gep_zero
            + self.gepc
            + self.gepc_zero
            + self.cell_prompt
            + self.ecs
            + self.dar
            + self.class
            + self.contrastive
    }

    /// The losses of one batch. They take one forward pass, and a further one each for the cell
    /// prompt and for the contrastive objective; nothing is read from the device.
    ///
    /// # Panics
    /// If the network lacks a head, or the targets a part, that an objective with a weight needs.
    pub fn terms(&self, model: &Scgpt, input: &ModelInput, targets: &Targets) -> LossTerms {
        let encoded = model.encode(input);
        let mut terms = LossTerms::default();
        if self.gep > 0.0 || self.gep_zero > 0.0 {
            let by_token = model.predict(&encoded);
            expression(
                &mut terms,
                by_token,
                targets,
                [Term::Gep, Term::GepZero],
                [self.gep, self.gep_zero],
            );
        }
        if self.gepc > 0.0 || self.gepc_zero > 0.0 {
            let by_cell = needed(model.predict_from_cell(&encoded), "a GEPC head");
            expression(
                &mut terms,
                by_cell,
                targets,
                [Term::Gepc, Term::GepcZero],
                [self.gepc, self.gepc_zero],
            );
        }
        if self.cell_prompt > 0.0 {
            let error = cell_prompt(model, input, &encoded, targets);
            terms.push(Term::CellPrompt, self.cell_prompt, error);
        }
        if self.ecs > 0.0 {
            let between = Between::Ecs(self.ecs_threshold);
            terms.push_between(self.ecs, between, vec![encoded.cell.clone()]);
        }
        if self.class > 0.0 {
            let logits = needed(model.classify(&encoded), "a class head");
            let classes = needed(targets.classes.clone(), "classes");
            let loss = cross_entropy(logits, classes, targets.class_weights.clone());
            terms.push(Term::Class, self.class, loss);
        }
        if self.dar > 0.0 {
            let logits = needed(model.tell_batches(&encoded), "a DAR head");
            let domains = needed(targets.domains.clone(), "batches");
            terms.push(Term::Dar, self.dar, cross_entropy(logits, domains, None));
        }
        if self.contrastive > 0.0 {
            let again = model.encode(input).cell;
            let passes = vec![encoded.cell, again];
            terms.push_between(self.contrastive, Between::Contrastive, passes);
        }
        terms
    }
}

/// Adds the losses of one prediction: that of the values, and that of the probabilities of zero.
fn expression(
    terms: &mut LossTerms,
    predicted: Expression,
    targets: &Targets,
    names: [Term; 2],
    weights: [f64; 2],
) {
    let of = |x: &Tensor<2>| x.clone();
    if weights[0] > 0.0 {
        let error =
            masked_squared_error(predicted.value, of(&targets.values), of(&targets.is_target));
        terms.push(names[0], weights[0], error);
    }
    if weights[1] > 0.0 {
        let probability = needed(predicted.nonzero, "probabilities of zero");
        let loss = negative_log_bernoulli(probability, of(&targets.values), of(&targets.is_target));
        terms.push(names[1], weights[1], loss);
    }
}

/// The loss of a second pass of the same cells, in which their cell embedding, as a constant,
/// stands in the place of `<cls>`.
fn cell_prompt(
    model: &Scgpt,
    input: &ModelInput,
    encoded: &Encoded,
    targets: &Targets,
) -> Tensor<1> {
    let conditions =
        Conditions { prompt: Some(encoded.cell.clone().detach()), ..input.conditions.clone() };
    let prompted = model.encode(&ModelInput { conditions, ..input.clone() });
    let predicted = model.predict(&prompted).value;
    masked_squared_error(predicted, targets.values.clone(), targets.is_target.clone())
}

/// A part of the network or of the targets that must be there: [`Objectives::check`] or the task
/// has made sure of it.
#[allow(clippy::panic, reason = "documented: a caller's mistake")]
fn needed<T>(part: Option<T>, what: &str) -> T {
    part.unwrap_or_else(|| panic!("an objective needs {what}"))
}
