//! [`MethodResponses`]: how good a method's predicted responses are.

use std::collections::BTreeMap;

use scgpt_data::{Observer, Result};
use scgpt_stats::{
    Interval, ResponseScores, centroid_accuracy, difference, discrimination, pearson,
};
use serde::Serialize;

use super::de::DeGenes;

/// Names of the scores of a condition, and whether less is better.
pub(super) const RESPONSE_SCORES: [(&str, bool); 15] = [
    ("pearson_delta", false),
    ("pearson_delta_de", false),
    ("pearson_delta_non_dropout", false),
    ("pearson_delta_centroid", false),
    ("centroid_accuracy", false),
    ("discrimination", false),
    ("direction", false),
    ("direction_de", false),
    ("direction_non_dropout", false),
    ("mse", true),
    ("mse_de", true),
    ("mse_non_dropout", true),
    ("pearson", false),
    ("pearson_de", false),
    ("pearson_non_dropout", false),
];

/// A condition by which predictions are judged; profiles are over the genes judged.
#[derive(Clone, Debug)]
pub struct JudgedResponse {
    /// Its name.
    pub name: String,
    /// How much of it was seen in training, if that is known.
    pub subgroup: Option<String>,
    /// Mean expression of its cells, `[g]`.
    pub truth: Vec<f64>,
    /// Mean expression of its controls, `[g]`.
    pub control: Vec<f64>,
    /// Mean perturbed profile known in training, of its cell type if one is known, `[g]`.
    pub centroid: Vec<f64>,
    /// Its cell type. A condition is compared only with others of the same type.
    pub cell_type: u32,
    /// Its most differentially expressed genes.
    pub de: DeGenes,
    /// Its perturbed genes that are judged, by their places in `[g]`.
    pub perturbed: Vec<usize>,
}

/// Scores of one condition, in the order of [`RESPONSE_SCORES`].
pub(super) type ConditionScores = [f64; RESPONSE_SCORES.len()];

/// Scores of one method.
///
/// # Reference
/// Scores of profiles are those of [`ResponseScores`]. `pearson_delta_centroid` takes changes against
/// the mean of the perturbed profiles known in training instead of the controls, so that what all
/// perturbations have in common earns nothing (Viñas Torné et al. 2025); of the same cell type, so that
/// the type earns nothing either.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MethodResponses {
    /// Name of the method.
    pub name: String,
    /// Each score's mean over conditions, with an interval over the repeats or, of a single one, a
    /// bootstrap interval over conditions.
    pub scores: BTreeMap<&'static str, Interval>,
    /// Means over the conditions of each subgroup, in the first repeat.
    pub subgroups: BTreeMap<String, BTreeMap<&'static str, f64>>,
    /// Scores of each condition, in the first repeat.
    pub conditions: BTreeMap<String, BTreeMap<&'static str, f64>>,
    /// Mean correlation between the predicted changes of different conditions; 1 if all are the same.
    pub similarity: f64,
    /// Means over conditions, of each repeat.
    #[serde(skip)]
    repeats: Vec<ConditionScores>,
}

/// Predictions this much more alike than the truth have collapsed.
const COLLAPSE: f64 = 0.2;

impl MethodResponses {
    /// Scores the `predicted` profiles, `[g]` each, of the `judged` conditions, which are ordered
    /// by cell type.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If there are no conditions, or not one prediction for each.
    pub fn new(
        name: &str,
        judged: &[JudgedResponse],
        predicted: &[Vec<f64>],
        seed: u64,
        observer: &dyn Observer,
    ) -> Result<Self> {
        assert_eq!(judged.len(), predicted.len(), "one prediction a condition");
        let mut rows = Vec::with_capacity(judged.len());
        for of_type in judged.chunk_by(|one, other| one.cell_type == other.cell_type) {
            let said = &predicted[rows.len()..rows.len() + of_type.len()];
            rows.extend(condition_scores(of_type, said, observer)?);
        }
        let named = |scores: &ConditionScores| -> BTreeMap<&'static str, f64> {
            RESPONSE_SCORES.iter().map(|(name, _)| *name).zip(*scores).collect()
        };
        let mut members: BTreeMap<String, Vec<ConditionScores>> = BTreeMap::new();
        for (judged, row) in judged.iter().zip(&rows) {
            if let Some(subgroup) = &judged.subgroup {
                members.entry(subgroup.clone()).or_default().push(*row);
            }
        }
        let interval = |score: usize| {
            let mean = |sample: &[usize]| {
                sample.iter().map(|&row| rows[row][score]).sum::<f64>() / sample.len() as f64
            };
            Interval::of_cells(rows.len(), seed, mean, observer)
        };
        Ok(Self {
            name: name.into(),
            scores: RESPONSE_SCORES
                .iter()
                .map(|(name, _)| *name)
                .zip(0..)
                .map(|(name, score)| Ok((name, interval(score)?)))
                .collect::<Result<_>>()?,
            subgroups: members
                .into_iter()
                .map(|(subgroup, rows)| (subgroup, named(&means(&rows))))
                .collect(),
            conditions: judged
                .iter()
                .zip(&rows)
                .map(|(judged, row)| (judged.name.clone(), named(row)))
                .collect(),
            similarity: similarity(judged, predicted, observer)?,
            repeats: vec![means(&rows)],
        })
    }

    /// Adds another repeat of the same methods.
    pub(super) fn add(methods: &mut [Self], others: Vec<Self>) {
        for (method, other) in methods.iter_mut().zip(others) {
            method.repeats.extend(other.repeats);
            for (score, (name, _)) in RESPONSE_SCORES.iter().enumerate() {
                let values: Vec<f64> = method.repeats.iter().map(|means| means[score]).collect();
                method.scores.insert(name, Interval::of_repetitions(&values));
            }
        }
    }

    /// The mean of a score.
    ///
    /// # Panics
    /// If there is no such score.
    pub fn mean(&self, score: &str) -> f64 {
        self.scores[score].mean
    }

    /// Whether the predictions for different conditions are nearly the same, although the true
    /// responses, whose [`similarity`](Self::similarity) is `truth`, are not.
    pub fn has_collapsed(&self, truth: f64) -> bool {
        self.similarity > truth + COLLAPSE && self.similarity > 0.9
    }
}

/// Mean correlation between the changes of different conditions; 1 if there is one condition, or no
/// condition changes.
pub(super) fn similarity(
    judged: &[JudgedResponse],
    profiles: &[Vec<f64>],
    observer: &dyn Observer,
) -> Result<f64> {
    let changes: Vec<Vec<f64>> = judged
        .iter()
        .zip(profiles)
        .map(|(judged, profile)| difference(profile, &judged.control))
        .collect();
    let is_still = |change: &Vec<f64>| change.iter().all(|x| x.abs() < 1e-9);
    let mut correlations = Vec::new();
    for (place, one) in changes.iter().enumerate() {
        observer.check_cancelled()?;
        for other in &changes[..place] {
            let both_still = is_still(one) && is_still(other);
            correlations.push(if both_still { 1.0 } else { pearson(one, other) });
        }
    }
    Ok(match correlations.len() {
        0 => 1.0,
        n => correlations.iter().sum::<f64>() / n as f64,
    })
}

/// Scores of every condition of one cell type.
fn condition_scores(
    judged: &[JudgedResponse],
    predicted: &[Vec<f64>],
    observer: &dyn Observer,
) -> Result<Vec<ConditionScores>> {
    let truth: Vec<&[f64]> = judged.iter().map(|judged| judged.truth.as_slice()).collect();
    let said: Vec<&[f64]> = predicted.iter().map(Vec::as_slice).collect();
    let perturbed: Vec<&[usize]> =
        judged.iter().map(|judged| judged.perturbed.as_slice()).collect();
    let accuracy = centroid_accuracy(&said, &truth, observer)?;
    let told_apart = discrimination(&said, &truth, &perturbed, observer)?;
    let all: Vec<usize> = (0..truth.first().map_or(0, |truth| truth.len())).collect();
    let scores = (0..judged.len())
        .map(|condition| {
            let JudgedResponse { truth, control, centroid, de, .. } = &judged[condition];
            let predicted = &predicted[condition];
            let of = |genes: &[usize]| ResponseScores::new(truth, predicted, control, genes);
            let [whole, top, sure] = [&all, &de.top, &de.non_dropout].map(|genes| of(genes));
            let [dt, dp] = [truth, predicted].map(|profile| difference(profile, centroid));
            [
                whole.pearson_delta,
                top.pearson_delta,
                sure.pearson_delta,
                pearson(&dt, &dp),
                accuracy[condition],
                told_apart[condition],
                whole.direction,
                top.direction,
                sure.direction,
                whole.mse,
                top.mse,
                sure.mse,
                whole.pearson,
                top.pearson,
                sure.pearson,
            ]
        })
        .collect();
    Ok(scores)
}

fn means(rows: &[ConditionScores]) -> ConditionScores {
    let mut sums = [0.0; RESPONSE_SCORES.len()];
    for row in rows {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x / rows.len() as f64);
    }
    sums
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;

    fn judged() -> Vec<JudgedResponse> {
        let of = |name: &str, truth: [f64; 4]| JudgedResponse {
            name: name.into(),
            subgroup: Some("unseen_single".into()),
            truth: truth.to_vec(),
            control: vec![1.0, 1.0, 1.0, 1.0],
            centroid: vec![3.5 / 3.0, 2.5 / 3.0, 5.5 / 3.0, 1.0],
            cell_type: 0,
            de: DeGenes { top: vec![0, 1], non_dropout: vec![0, 1, 2], non_zero: vec![0] },
            perturbed: vec![3],
        };
        vec![
            of("A", [0.0, 2.0, 1.0, 0.0]),
            of("B", [2.0, 0.0, 1.5, 1.0]),
            of("C", [1.5, 0.5, 3.0, 2.0]),
        ]
    }

    #[test]
    fn truth_is_perfect_and_one_answer_for_all_has_collapsed() {
        let judged = judged();
        let truth: Vec<Vec<f64>> = judged.iter().map(|judged| judged.truth.clone()).collect();
        let perfect = MethodResponses::new("truth", &judged, &truth, 0, &Silent).unwrap();
        for (name, less_is_better) in RESPONSE_SCORES {
            let best = if less_is_better { 0.0 } else { 1.0 };
            assert!((perfect.mean(name) - best).abs() < 1e-9, "{name} {}", perfect.mean(name));
        }
        assert!(!perfect.has_collapsed(perfect.similarity));
        let same = vec![judged[0].centroid.clone(); 3];
        let same = MethodResponses::new("mean", &judged, &same, 0, &Silent).unwrap();
        assert!(same.has_collapsed(perfect.similarity), "{}", same.similarity);
        assert!((same.mean("centroid_accuracy") - 0.5).abs() < 1e-9);
        assert!(same.mean("pearson_delta_centroid").abs() < 1e-9);
        assert_eq!(same.subgroups["unseen_single"].len(), RESPONSE_SCORES.len());
        let still = vec![judged[0].control.clone(); 3];
        assert!((similarity(&judged, &still, &Silent).unwrap() - 1.0).abs() < 1e-9);
    }
    #[test]
    fn the_cell_type_alone_earns_nothing() {
        // The same responses in another type of cell, whose genes all differ.
        let one = judged();
        let mut both = one.clone();
        both.extend(one.iter().map(|judged| {
            let far = |profile: &[f64]| profile.iter().map(|x| x + 9.0).collect();
            JudgedResponse {
                truth: far(&judged.truth),
                control: far(&judged.control),
                centroid: far(&judged.centroid),
                cell_type: 1,
                ..judged.clone()
            }
        }));
        let still: Vec<Vec<f64>> = both.iter().map(|judged| judged.control.clone()).collect();
        let alone = MethodResponses::new("no change", &one, &still[..3], 0, &Silent).unwrap();
        let still = MethodResponses::new("no change", &both, &still, 0, &Silent).unwrap();
        for score in ["centroid_accuracy", "discrimination", "pearson_delta_centroid"] {
            assert!((still.mean(score) - alone.mean(score)).abs() < 1e-9, "{score}");
        }
    }
}
