//! [`DeGenes`]: the genes that respond most to a perturbation.

use serde::{Deserialize, Serialize};

use super::moments::Moments;

/// Most genes of a list.
const TOP: usize = 20;

/// The most differentially expressed genes of a group against its controls, by column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeGenes {
    /// The first 20 of all genes.
    pub top: Vec<usize>,
    /// The first 20 that are expressed in the group, or in neither it nor the controls.
    pub non_dropout: Vec<usize>,
    /// The first 20 that are expressed in the group.
    pub non_zero: Vec<usize>,
}

impl DeGenes {
    /// Takes the lists from `ranked`, all genes by their difference, the greatest first, and from
    /// the means of both groups, `[g]`.
    ///
    /// # Reference
    /// GEARS `get_dropout_non_zero_genes`.
    pub fn new(ranked: &[u32], perturbed: &[f64], control: &[f64]) -> Self {
        let first = |is_in: &dyn Fn(usize) -> bool| -> Vec<usize> {
            ranked.iter().map(|&g| g as usize).filter(|&g| is_in(g)).take(TOP).collect()
        };
        #[allow(clippy::float_cmp, reason = "zero is the absence of any count")]
        let is_zero = |mean: f64| mean == 0.0;
        Self {
            top: first(&|_| true),
            non_dropout: first(&|g| !is_zero(perturbed[g]) || is_zero(control[g])),
            non_zero: first(&|g| !is_zero(perturbed[g])),
        }
    }

    /// The lists of a group, by Welch's t-test against the group `control`.
    pub fn of(moments: &Moments, group: usize, control: usize) -> Self {
        let ranked = moments.ranked(group, control);
        Self::new(&ranked, &moments.mean(group), &moments.mean(control))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scgpt_fixtures::cases;

    #[test]
    fn golden_lists_without_dropout() {
        let mut checked = 0;
        for case in cases(|case| case.json["name"] == "metrics") {
            let json = &case.json["perturbation"];
            let tensors = case.tensors("tensors.safetensors");
            let n = tensors.shape("perturbation.truth")[1];
            let codes = tensors.i64("perturbation.condition");
            let mean = |name: &str, code: Option<i64>| -> Vec<f64> {
                let rows = tensors.f64(name).chunks(n).enumerate();
                let rows: Vec<&[f64]> = rows
                    .filter(|(cell, _)| code.is_none_or(|code| codes[*cell] == code))
                    .map(|(_, row)| row)
                    .collect();
                let of = |g: usize| rows.iter().map(|row| row[g]).sum::<f64>() / rows.len() as f64;
                (0..n).map(of).collect()
            };
            let control = mean("perturbation.control", None);
            for (code, name) in (0..).zip(json["conditions"].as_array().unwrap()) {
                let list = |key: &str| -> Vec<u32> {
                    let genes = json[key][name.as_str().unwrap()].as_array().unwrap();
                    genes.iter().map(|g| u32::try_from(g.as_u64().unwrap()).unwrap()).collect()
                };
                let truth = mean("perturbation.truth", Some(code));
                let de = DeGenes::new(&list("ranked_genes"), &truth, &control);
                let numbers = |list: Vec<u32>| -> Vec<usize> {
                    list.into_iter().map(|gene| gene as usize).collect()
                };
                assert_eq!(de.non_dropout, numbers(list("top20_non_dropout")));
                assert_eq!(de.non_zero, numbers(list("top20_non_zero")));
                checked += 1;
            }
        }
        assert!(checked > 0, "no case of metrics");
    }
}
