//! [`ClassScores`]: how well predicted classes agree with true ones.

use serde::{Deserialize, Serialize};

/// Scores of predicted classes. Classes that are neither true nor predicted of any cell do not
/// count, and ratios of nothing are 0.
///
/// # Reference
/// `sklearn.metrics.classification_report` with `zero_division=0`.
///
/// ```
/// use scgpt_stats::ClassScores;
///
/// let names = ["B".to_owned(), "T".to_owned()];
/// let scores = ClassScores::new(&[0, 0, 1, 1], &[0, 1, 1, 1], &names);
/// assert_eq!(scores.accuracy, 0.75);
/// assert_eq!(scores.classes[0].recall, 0.5);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// Number of cells.
    pub n_cells: usize,
    /// Share of the cells whose class is right; micro precision, recall and F1 are the same.
    pub accuracy: f64,
    /// Mean precision of the classes.
    pub macro_precision: f64,
    /// Mean recall of the classes, also called balanced accuracy.
    pub macro_recall: f64,
    /// Mean F1 of the classes.
    pub macro_f1: f64,
    /// Mean F1 weighted by the true cells of each class.
    pub weighted_f1: f64,
    /// Each class that is true or predicted of a cell.
    pub classes: Vec<ClassScore>,
    /// Cells by true class (row) and predicted class (column), in the order of `classes`.
    pub confusion: Vec<Vec<u64>>,
}

/// Scores of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// Its name.
    pub name: String,
    /// Number of cells whose true class it is.
    pub support: u64,
    /// Share of the cells predicted to be of the class that are.
    pub precision: f64,
    /// Share of the cells of the class that are predicted to be.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
}

impl ClassScores {
    /// Compares a true with a predicted class for each cell, both given as places in `names`.
    ///
    /// # Panics
    /// If there are not as many predictions as truths, or a class has no name.
    pub fn new(truth: &[u32], predicted: &[u32], names: &[String]) -> Self {
        assert_eq!(truth.len(), predicted.len(), "a prediction for each cell");
        let mut all = vec![vec![0_u64; names.len()]; names.len()];
        for (&truth, &predicted) in truth.iter().zip(predicted) {
            all[truth as usize][predicted as usize] += 1;
        }
        let column = |class: usize| all.iter().map(|row| row[class]).sum::<u64>();
        let row = |class: usize| all[class].iter().sum::<u64>();
        let present: Vec<usize> =
            (0..names.len()).filter(|&class| row(class) + column(class) > 0).collect();
        let ratio = |a: u64, b: u64| if b == 0 { 0.0 } else { a as f64 / b as f64 };
        let classes: Vec<ClassScore> = present
            .iter()
            .map(|&class| {
                let (right, support) = (all[class][class], row(class));
                ClassScore {
                    name: names[class].clone(),
                    support,
                    precision: ratio(right, column(class)),
                    recall: ratio(right, support),
                    f1: ratio(2 * right, column(class) + support),
                }
            })
            .collect();
        let n = truth.len() as u64;
        let mean = |of: fn(&ClassScore) -> f64| {
            classes.iter().map(of).sum::<f64>() / classes.len().max(1) as f64
        };
        let weighted: f64 = classes.iter().map(|class| class.f1 * class.support as f64).sum();
        Self {
            n_cells: truth.len(),
            accuracy: ratio(present.iter().map(|&class| all[class][class]).sum(), n),
            macro_precision: mean(|class| class.precision),
            macro_recall: mean(|class| class.recall),
            macro_f1: mean(|class| class.f1),
            weighted_f1: weighted / n.max(1) as f64,
            confusion: present
                .iter()
                .map(|&truth| present.iter().map(|&predicted| all[truth][predicted]).collect())
                .collect(),
            classes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scgpt_fixtures::cases;

    #[test]
    fn golden_annotation_scores() {
        let mut checked = 0;
        for case in cases(|case| case.json["name"] == "metrics") {
            let expected = &case.json["annotation"];
            let tensors = case.tensors("tensors.safetensors");
            let codes = |name: &str| -> Vec<u32> {
                tensors.i64(name).iter().map(|&code| u32::try_from(code).unwrap()).collect()
            };
            let names: Vec<String> = (0..100).map(|class| class.to_string()).collect();
            let scores = ClassScores::new(
                &codes("annotation.truth"),
                &codes("annotation.predicted"),
                &names,
            );
            let close = |ours: f64, theirs: &serde_json::Value| {
                assert!((ours - theirs.as_f64().unwrap()).abs() < 1e-12, "{ours} {theirs}");
            };
            close(scores.accuracy, &expected["accuracy"]);
            close(scores.accuracy, &expected["f1_micro"]);
            close(scores.macro_precision, &expected["precision_macro"]);
            close(scores.macro_recall, &expected["recall_macro"]);
            close(scores.macro_f1, &expected["f1_macro"]);
            close(scores.weighted_f1, &expected["f1_weighted"]);
            for (index, class) in scores.classes.iter().enumerate() {
                close(class.precision, &expected["precision_per_class"][index]);
                close(class.recall, &expected["recall_per_class"][index]);
                close(class.f1, &expected["f1_per_class"][index]);
            }
            assert_eq!(serde_json::to_value(&scores.confusion).unwrap(), expected["confusion"]);
            checked += 1;
        }
        assert!(checked > 0, "no case of metrics");
    }

    #[test]
    fn nothing_scores_nothing() {
        let scores = ClassScores::new(&[], &[], &["a".into()]);
        assert!(scores.classes.is_empty() && scores.accuracy.abs() < 1e-12);
    }
}
