//! [`ResponseScores`]: how well a predicted response to a perturbation agrees with the true one, and
//! scores of all responses together.

use rayon::prelude::*;
use scgpt_data::{Observer, Result};
use serde::{Deserialize, Serialize};

/// How a predicted mean expression profile of a condition compares with the true one, over a set of
/// genes.
///
/// # Reference
/// `compute_perturbation_metrics` and GEARS `compute_metrics`, `deeper_analysis`,
/// `non_dropout_analysis`. Differs: the correlation with a constant profile is 0, not undefined.
///
/// ```
/// use scgpt_stats::ResponseScores;
///
/// let (control, truth) = ([1.0, 1.0, 1.0], [1.0, 2.0, 0.0]);
/// let scores = ResponseScores::new(&truth, &truth, &control, &[0, 1, 2]);
/// assert!((scores.pearson_delta - 1.0).abs() < 1e-12 && scores.mse == 0.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResponseScores {
    /// Correlation of the profiles; near 1 for everything, since genes differ more than conditions.
    pub pearson: f64,
    /// Correlation of the changes against control.
    pub pearson_delta: f64,
    /// Mean squared error.
    pub mse: f64,
    /// Share of the genes whose predicted change has the direction of the true one; a gene without
    /// change agrees only with one without.
    pub direction: f64,
}

impl ResponseScores {
    /// Compares the profiles `truth` and `predicted`, `[g]`, and their changes against `control`,
    /// over `genes`; all scores are 0 if there are no genes.
    ///
    /// # Panics
    /// If a gene is beyond the end of a profile.
    pub fn new(truth: &[f64], predicted: &[f64], control: &[f64], genes: &[usize]) -> Self {
        if genes.is_empty() {
            return Self::default();
        }
        let pick = |profile: &[f64]| -> Vec<f64> { genes.iter().map(|&g| profile[g]).collect() };
        let [t, p, c] = [truth, predicted, control].map(pick);
        let [dt, dp] = [difference(&t, &c), difference(&p, &c)];
        let n = genes.len() as f64;
        let agrees = |(a, b): (&f64, &f64)| sign(*a) == sign(*b);
        Self {
            pearson: pearson(&t, &p),
            pearson_delta: pearson(&dt, &dp),
            mse: t.iter().zip(&p).map(|(t, p)| (t - p).powi(2)).sum::<f64>() / n,
            direction: dt.iter().zip(&dp).filter(|&pair| agrees(pair)).count() as f64 / n,
        }
    }
}

/// Pearson's correlation coefficient; 0 if a side is constant.
///
/// # Panics
/// If the sides differ in length.
pub fn pearson(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "pairs");
    let n = a.len() as f64;
    let [mean_a, mean_b] = [a, b].map(|x| x.iter().sum::<f64>() / n);
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (x - mean_a, y - mean_b);
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    // What is constant has a spread of rounding errors.
    let least = |mean: f64| n * (1e-12 * mean.abs().max(1e-12)).powi(2);
    if aa <= least(mean_a) || bb <= least(mean_b) { 0.0 } else { ab / (aa * bb).sqrt() }
}

/// The difference `a - b`, element by element.
pub fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn sign(x: f64) -> i8 {
    i8::from(x > 0.0) - i8::from(x < 0.0)
}

/// How far each of several predicted profiles is from each true one, `[n, n]`: predictions in rows.
/// `hidden` are the genes that a row does not see.
fn distances(
    predicted: &[&[f64]],
    truth: &[&[f64]],
    hidden: &[&[usize]],
    term: impl Fn(f64) -> f64 + Sync,
    observer: &dyn Observer,
) -> Result<Vec<Vec<f64>>> {
    let row = |(p, hidden): (&&[f64], &&[usize])| {
        observer.check_cancelled()?;
        let of = |t: &&[f64]| {
            let all: f64 = p.iter().zip(t.iter()).map(|(p, t)| term(p - t)).sum();
            all - hidden.iter().map(|&gene| term(p[gene] - t[gene])).sum::<f64>()
        };
        Ok(truth.iter().map(of).collect())
    };
    predicted.par_iter().zip(hidden).map(row).collect()
}

/// For each prediction the share of the other true profiles that are farther from it than its own;
/// those at the same distance count half. 0.5 is chance, also for predictions that are all the same and
/// for a single one.
fn shares_farther(distances: &[Vec<f64>]) -> Vec<f64> {
    let n = distances.len();
    if n == 1 {
        return vec![0.5];
    }
    let share = |(own, row): (usize, &Vec<f64>)| {
        let points = |(other, d): (usize, &f64)| match d.total_cmp(&row[own]) {
            _ if other == own => 0.0,
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        };
        row.iter().enumerate().map(points).sum::<f64>() / (n - 1) as f64
    };
    distances.iter().enumerate().map(share).collect()
}

/// Centroid accuracy of each condition, `[n]` for `n` profiles `[g]`: the share of the other
/// conditions whose true profile is farther (Euclidean) from the prediction than the condition's
/// own; 0.5 is chance.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Reference
/// Viñas Torné et al. 2025 (Systema).
pub fn centroid_accuracy(
    predicted: &[&[f64]],
    truth: &[&[f64]],
    observer: &dyn Observer,
) -> Result<Vec<f64>> {
    let none = vec![&[][..]; predicted.len()];
    Ok(shares_farther(&distances(predicted, truth, &none, |x| x * x, observer)?))
}

/// Discrimination score of each condition: as [`centroid_accuracy`], but by absolute differences,
/// over all genes except those `perturbed` in the condition, whose change tells by itself which
/// condition it is.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Reference
/// The perturbation discrimination score of Virtual Cell Challenge 2025. Differs: ties count half.
pub fn discrimination(
    predicted: &[&[f64]],
    truth: &[&[f64]],
    perturbed: &[&[usize]],
    observer: &dyn Observer,
) -> Result<Vec<f64>> {
    Ok(shares_farther(&distances(predicted, truth, perturbed, f64::abs, observer)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use scgpt_data::Silent;
    use scgpt_fixtures::cases;

    fn close(what: &str, ours: f64, theirs: &serde_json::Value) {
        let theirs = theirs.as_f64().unwrap();
        assert!((ours - theirs).abs() <= 1e-6 + 1e-5 * theirs.abs(), "{what}: {ours} {theirs}");
    }

    #[test]
    fn golden_perturbation_scores() {
        let mut checked = 0;
        for case in cases(|case| case.json["name"] == "metrics") {
            let json = &case.json["perturbation"];
            let tensors = case.tensors("tensors.safetensors");
            let shape = tensors.shape("perturbation.truth").to_vec();
            let rows = |name: &str| -> Vec<Vec<f64>> {
                tensors.f64(name).chunks(shape[1]).map(<[f64]>::to_vec).collect()
            };
            let mean = |rows: &[&Vec<f64>]| -> Vec<f64> {
                let of = |g: usize| rows.iter().map(|row| row[g]).sum::<f64>() / rows.len() as f64;
                (0..shape[1]).map(of).collect()
            };
            let [truth, predicted, control] =
                ["truth", "pred", "control"].map(|name| rows(&format!("perturbation.{name}")));
            let control = mean(&control.iter().collect::<Vec<_>>());
            let of_cell = tensors.i64("perturbation.condition");
            let list = |key: &str, name: &str| -> Vec<usize> {
                let genes = json[key][name].as_array().unwrap();
                genes.iter().map(|gene| usize::try_from(gene.as_u64().unwrap()).unwrap()).collect()
            };
            let all: Vec<usize> = (0..shape[1]).collect();
            let mut sums = [0.0; 4];
            let mut non_zero_sums = [0.0; 4];
            let conditions = json["conditions"].as_array().unwrap();
            for (code, name) in (0..).zip(conditions) {
                let name = name.as_str().unwrap();
                let of = |rows: &[Vec<f64>]| {
                    let cells = rows.iter().zip(&of_cell).filter(|(_, c)| **c == code);
                    mean(&cells.map(|(row, _)| row).collect::<Vec<_>>())
                };
                let [t, p] = [of(&truth), of(&predicted)];
                let scores = |genes: &[usize]| ResponseScores::new(&t, &p, &control, genes);
                let ranked = list("ranked_genes", name);
                let (whole, de) = (scores(&all), scores(&ranked[..20]));
                let theirs = &json["compute_metrics_per_condition"][name];
                close("mse", whole.mse, &theirs["mse"]);
                close("pearson", whole.pearson, &theirs["pearson"]);
                close("mse_de", de.mse, &theirs["mse_de"]);
                close("pearson_de", de.pearson, &theirs["pearson_de"]);
                let theirs = &json["deeper_analysis"][name];
                close("delta", whole.pearson_delta, &theirs["pearson_delta"]);
                close("delta_de", de.pearson_delta, &theirs["pearson_delta_de"]);
                close("direction", whole.direction, &theirs["frac_correct_direction_all"]);
                close("direction_20", de.direction, &theirs["frac_correct_direction_20"]);
                for (kind, key) in
                    [("non_dropout", "top20_non_dropout"), ("non_zero", "top20_non_zero")]
                {
                    let de = scores(&list(key, name));
                    let theirs = &json[format!("{kind}_analysis")][name];
                    let key = |score: &str| format!("{score}_top20_de_{kind}");
                    close("top20", de.pearson, &theirs[key("pearson")]);
                    close("top20 delta", de.pearson_delta, &theirs[key("pearson_delta")]);
                    close("top20 mse", de.mse, &theirs[key("mse")]);
                    let key = format!("frac_correct_direction_top20_{kind}");
                    close("top20 direction", de.direction, &theirs[key]);
                }
                let non_zero: Vec<usize> = all.iter().copied().filter(|&g| t[g] != 0.0).collect();
                let (nz, nz_de) = (scores(&non_zero), scores(&list("top20_non_dropout", name)));
                let of = |all: &ResponseScores, de: &ResponseScores| {
                    [all.pearson, de.pearson, all.pearson_delta, de.pearson_delta]
                };
                for (sum, score) in sums.iter_mut().zip(of(&whole, &de)) {
                    *sum += score / conditions.len() as f64;
                }
                for (sum, score) in non_zero_sums.iter_mut().zip(of(&nz, &nz_de)) {
                    *sum += score / conditions.len() as f64;
                }
            }
            let names = ["pearson", "pearson_de", "pearson_delta", "pearson_de_delta"];
            for (index, name) in names.into_iter().enumerate() {
                close(name, sums[index], &json["model_package_metrics"][name]);
                let theirs = &json["model_package_metrics_non_zero"][name];
                close(name, non_zero_sums[index], theirs);
            }
            checked += 1;
        }
        assert!(checked > 0, "no case of metrics");
    }

    #[test]
    fn constant_profiles_correlate_with_nothing() {
        assert!(pearson(&[0.3, 0.3, 0.3], &[1.0, 2.0, 3.0]).abs() < 1e-12);
        assert!((pearson(&[1.0, 2.0, 3.0], &[10.0, 20.0, 30.0]) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn telling_conditions_apart() {
        let truth: [&[f64]; 3] = [&[1.0, 0.0, 5.0], &[0.0, 1.0, 0.0], &[2.0, 2.0, 0.0]];
        let perfect = centroid_accuracy(&truth, &truth, &Silent).unwrap();
        let alike: [&[f64]; 3] = [&[1.0, 1.0, 1.0]; 3];
        let same = centroid_accuracy(&alike, &truth, &Silent).unwrap();
        assert!(perfect.iter().all(|share| (share - 1.0).abs() < 1e-12));
        assert!((same.iter().sum::<f64>() / 3.0 - 0.5).abs() < 1e-12, "{same:?}");
        // Only the perturbed gene tells the first two apart from the third.
        let predicted: [&[f64]; 3] = [&[9.0, 0.0, 5.0], &[0.0, 1.0, 0.0], &[2.0, 2.0, 0.0]];
        let hidden: [&[usize]; 3] = [&[0], &[1], &[2]];
        assert!(
            (discrimination(&predicted, &truth, &hidden, &Silent).unwrap()[0] - 1.0).abs() < 1e-12
        );
        let blind: [&[usize]; 3] = [&[0, 1, 2]; 3];
        assert!(
            (discrimination(&predicted, &truth, &blind, &Silent).unwrap()[0] - 0.5).abs() < 1e-12
        );
    }
}
