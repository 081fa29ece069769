//! [`ResponseRule`]: what simple methods predict for responses to perturbations.

use std::collections::BTreeMap;

use scgpt_data::{Observer, Result, narrow};
use scgpt_stats::{Products, difference, dot, largest_eigenpairs};
use serde::{Deserialize, Serialize};

use super::condition::Condition;

/// Components of the linear model.
const COMPONENTS: usize = 10;
/// Its ridge penalty, as Ahlmann-Eltze, Huber and Anders 2025 set it.
const RIDGE: f64 = 0.1;
/// Genes whose products are summed between two questions to an observer.
const GENES: usize = 256;

/// The responses that a method may learn from, all of one cell type. Profiles have one entry a
/// measured gene, `[g]`.
///
/// ```
/// use std::collections::BTreeMap;
/// use scgpt_data::Silent;
/// use scgpt_eval::perturbation::{Condition, KnownResponses, response_baselines};
///
/// // Of two genes each lowers its own expression by 1.
/// let conditions = [Condition::new(["A"]), Condition::new(["B"])];
/// let known = KnownResponses {
///     control: &[2.0, 2.0],
///     responses: vec![(&conditions[0], &[1.0, 2.0]), (&conditions[1], &[2.0, 1.0])],
///     columns: &BTreeMap::from([("A".to_owned(), 0), ("B".to_owned(), 1)]),
/// };
/// let said = response_baselines(&known, &[&Condition::new(["A", "B"])], &Silent)?;
/// let additive = said.iter().find(|baseline| baseline.name == "additive");
/// assert_eq!(additive.unwrap().profiles[0], [1.0, 1.0]);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct KnownResponses<'a> {
    /// Mean expression of the controls, `[g]`.
    pub control: &'a [f64],
    /// Conditions and their mean expression, `[g]`.
    pub responses: Vec<(&'a Condition, &'a [f64])>,
    /// By name, the column of each measured gene.
    pub columns: &'a BTreeMap<String, usize>,
}

/// A simple method that predicts the response to a perturbation from known ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseRule {
    /// The controls.
    NoChange,
    /// The mean of the known perturbed profiles.
    TrainingMean,
    /// Viñas Torné et al. 2025: the mean, over the perturbed genes, of the profile of the gene alone, or else
    /// of the known profiles with that gene, or else of all.
    MatchingMean,
    /// The controls plus the changes that each gene makes alone; for a gene that is not known alone, what
    /// known pairs change beyond their other gene; else the mean change of the genes that are known alone.
    Additive,
    /// Ahlmann-Eltze, Huber and Anders 2025: `Y ≈ G W Pᵀ + b`, where `b` is the mean profile, `G` the
    /// genes' first ten principal components in the known profiles, and `P` those of the perturbed
    /// genes (their sum, if several), by ridge regression with penalty 0.1. If a perturbed gene is not
    /// measured, it predicts `b`.
    Linear,
}

/// What one method predicts.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseBaseline {
    /// Its name in reports.
    pub name: &'static str,
    /// Mean expression for each condition asked for, `[g]`.
    pub profiles: Vec<Vec<f64>>,
}

/// Predicts the conditions `asked` from those that are known, by every rule in turn.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Panics
/// If no response is known.
pub fn response_baselines(
    known: &KnownResponses<'_>,
    asked: &[&Condition],
    observer: &dyn Observer,
) -> Result<Vec<ResponseBaseline>> {
    let of = |rule: ResponseRule| {
        let profiles = rule.predict(known, asked, observer)?;
        Ok(ResponseBaseline { name: rule.name(), profiles })
    };
    ResponseRule::ALL.into_iter().map(of).collect()
}

impl ResponseRule {
    /// All rules, in the order of reports.
    pub const ALL: [Self; 5] =
        [Self::NoChange, Self::TrainingMean, Self::MatchingMean, Self::Additive, Self::Linear];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoChange => "no change",
            Self::TrainingMean => "training mean",
            Self::MatchingMean => "matching mean",
            Self::Additive => "additive",
            Self::Linear => "linear",
        }
    }

    /// Mean expression for each of the conditions `asked`, `[g]`, from those that are known.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If no response is known.
    pub fn predict(
        self,
        known: &KnownResponses<'_>,
        asked: &[&Condition],
        observer: &dyn Observer,
    ) -> Result<Vec<Vec<f64>>> {
        assert!(!known.responses.is_empty(), "nothing to learn from");
        let each = |predict: &dyn Fn(&Condition) -> Vec<f64>| {
            let predicted = |condition: &&Condition| {
                observer.check_cancelled()?;
                Ok(predict(condition))
            };
            asked.iter().map(predicted).collect()
        };
        let overall = mean(&known.responses.iter().map(|it| it.1).collect::<Vec<_>>());
        match self {
            Self::NoChange => each(&|_| known.control.to_vec()),
            Self::TrainingMean => each(&|_| overall.clone()),
            Self::MatchingMean => each(&|condition| {
                let of = |gene| known.of_gene(gene).unwrap_or_else(|| overall.clone());
                let profiles: Vec<Vec<f64>> = condition.genes().iter().map(of).collect();
                mean(&profiles.iter().map(Vec::as_slice).collect::<Vec<_>>())
            }),
            Self::Additive => {
                let typical = known.typical_change();
                each(&|condition| {
                    let mut sum = known.control.to_vec();
                    for gene in condition.genes() {
                        let change = known.change(gene).unwrap_or_else(|| typical.clone());
                        sum.iter_mut().zip(change).for_each(|(sum, change)| *sum += change);
                    }
                    sum
                })
            }
            Self::Linear => {
                let linear = Linear::fit(known, &overall, observer)?;
                each(&|condition| linear.predict(condition))
            }
        }
    }

    /// Whether the rule knows anything of a perturbed gene, in whose place it has a mean otherwise. The
    /// controls and the mean of all are of no gene.
    pub fn knows(self, known: &KnownResponses<'_>, gene: &String) -> bool {
        match self {
            Self::NoChange | Self::TrainingMean => true,
            Self::MatchingMean => known.of_gene(gene).is_some(),
            Self::Additive => known.change(gene).is_some(),
            Self::Linear => known.columns.contains_key(gene),
        }
    }
}

impl KnownResponses<'_> {
    /// The profile of a gene perturbed alone.
    fn alone(&self, gene: &String) -> Option<&[f64]> {
        let is_alone = |(condition, _): &&(&Condition, &[f64])| {
            condition.genes() == std::slice::from_ref(gene)
        };
        self.responses.iter().find(is_alone).map(|(_, profile)| *profile)
    }

    /// The mean change of the genes that are known alone; none if no gene is.
    fn typical_change(&self) -> Vec<f64> {
        let alone = self.responses.iter().filter(|(condition, _)| condition.genes().len() == 1);
        let changes: Vec<Vec<f64>> =
            alone.map(|(_, profile)| difference(profile, self.control)).collect();
        match changes.as_slice() {
            [] => vec![0.0; self.control.len()],
            some => mean(&some.iter().map(Vec::as_slice).collect::<Vec<_>>()),
        }
    }

    /// The change that a gene makes alone, or else the mean of what it adds to other genes in
    /// pairs.
    fn change(&self, gene: &String) -> Option<Vec<f64>> {
        if let Some(profile) = self.alone(gene) {
            return Some(difference(profile, self.control));
        }
        let added = |(condition, profile): &(&Condition, &[f64])| match condition.genes() {
            [one, other] | [other, one] if one == gene => {
                Some(difference(profile, self.alone(other)?))
            }
            _ => None,
        };
        let added: Vec<Vec<f64>> = self.responses.iter().filter_map(added).collect();
        let changes: Vec<&[f64]> = added.iter().map(Vec::as_slice).collect();
        (!changes.is_empty()).then(|| mean(&changes))
    }

    /// The profile of a gene alone, or else the mean of those it is part of.
    fn of_gene(&self, gene: &String) -> Option<Vec<f64>> {
        if let Some(profile) = self.alone(gene) {
            return Some(profile.to_vec());
        }
        let with: Vec<&[f64]> = self
            .responses
            .iter()
            .filter(|(condition, _)| condition.genes().contains(gene))
            .map(|(_, profile)| *profile)
            .collect();
        (!with.is_empty()).then(|| mean(&with))
    }
}

/// The linear model; see [`ResponseRule::Linear`].
struct Linear<'a> {
    columns: &'a BTreeMap<String, usize>,
    mean: &'a [f64],
    /// Components of every gene, `[g, k]`.
    genes: Vec<Vec<f64>>,
    /// `W`, `[k, k]`.
    weights: Vec<Vec<f64>>,
}

impl<'a> Linear<'a> {
    /// Fits `W` by the conditions whose genes are all measured. Takes time with the genes times the
    /// square of the conditions.
    fn fit(known: &KnownResponses<'a>, mean: &'a [f64], observer: &dyn Observer) -> Result<Self> {
        let n_genes = mean.len();
        let n = known.responses.len();
        // Genes are the samples here, and conditions what is measured of them.
        let numbers: Vec<u32> = (0..narrow(n)).collect();
        #[allow(clippy::cast_possible_truncation, reason = "expression, stored narrow")]
        let row = |gene: usize| -> Vec<f32> {
            known.responses.iter().map(|(_, profile)| profile[gene] as f32).collect()
        };
        let samples: Vec<(Vec<u32>, Vec<f32>)> =
            (0..n_genes).map(|gene| (numbers.clone(), row(gene))).collect();
        let mut products = Products::new(n);
        for genes in samples.chunks(GENES) {
            observer.check_cancelled()?;
            products.add(genes);
        }
        let principal = products.principal(COMPONENTS, observer)?;
        let genes: Vec<Vec<f64>> = samples
            .iter()
            .map(|(i, x)| principal.project(i, x).into_iter().map(f64::from).collect())
            .collect();
        let k = principal.n();
        // Conditions whose genes are measured.
        let (embedded, changes): (Vec<Vec<f64>>, Vec<Vec<f64>>) = known
            .responses
            .iter()
            .filter_map(|(condition, profile)| {
                let p = sum_of_genes(condition, known.columns, &genes, k)?;
                Some((p, difference(profile, mean)))
            })
            .unzip();
        // W = (GᵀG + λ)⁻¹ · Gᵀ (Y - b) P · (PᵀP + λ)⁻¹.
        let mut middle = vec![vec![0.0; k]; k];
        for (p, change) in embedded.iter().zip(&changes) {
            let projected = products_with(&genes, change, k);
            for (row, g) in middle.iter_mut().zip(&projected) {
                row.iter_mut().zip(p).for_each(|(cell, p)| *cell += g * p);
            }
        }
        let left = ridge_inverse(&genes, k, observer)?;
        let right = ridge_inverse(&embedded, k, observer)?;
        let weights = multiply(&multiply(&left, &middle), &right);
        Ok(Self { columns: known.columns, mean, genes, weights })
    }

    /// The profile of a condition, `[g]`; `b` if one of its genes is not measured.
    fn predict(&self, condition: &Condition) -> Vec<f64> {
        let k = self.weights.len();
        let Some(p) = sum_of_genes(condition, self.columns, &self.genes, k) else {
            return self.mean.to_vec();
        };
        let by_component: Vec<f64> = self.weights.iter().map(|row| dot(row, &p)).collect();
        let of = |(genes, mean): (&Vec<f64>, &f64)| mean + dot(genes, &by_component);
        self.genes.iter().zip(self.mean).map(of).collect()
    }
}

/// The sum of the components of a condition's genes; `None` if one is not measured.
fn sum_of_genes(
    condition: &Condition,
    columns: &BTreeMap<String, usize>,
    genes: &[Vec<f64>],
    k: usize,
) -> Option<Vec<f64>> {
    let mut sum = vec![0.0; k];
    for gene in condition.genes() {
        let components = &genes[*columns.get(gene)?];
        sum.iter_mut().zip(components).for_each(|(sum, x)| *sum += x);
    }
    Some(sum)
}

/// `Gᵀ y`, `[k]`.
fn products_with(rows: &[Vec<f64>], y: &[f64], k: usize) -> Vec<f64> {
    let mut sums = vec![0.0; k];
    for (row, y) in rows.iter().zip(y) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x * y);
    }
    sums
}

/// `(XᵀX + λ)⁻¹`, by the eigenvectors of `XᵀX`.
fn ridge_inverse(rows: &[Vec<f64>], k: usize, observer: &dyn Observer) -> Result<Vec<Vec<f64>>> {
    let mut squares = vec![0.0; k * k];
    for row in rows {
        for (i, x) in row.iter().enumerate() {
            for (j, y) in row.iter().enumerate() {
                squares[i * k + j] += x * y;
            }
        }
    }
    let mut inverse = vec![vec![0.0; k]; k];
    for (value, axis) in largest_eigenpairs(&squares, k, k, observer)? {
        let weight = 1.0 / (value.max(0.0) + RIDGE);
        for (row, x) in inverse.iter_mut().zip(&axis) {
            row.iter_mut().zip(&axis).for_each(|(cell, y)| *cell += weight * x * y);
        }
    }
    Ok(inverse)
}

/// `A B`, by rows.
fn multiply(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let column = |j: usize| b.iter().map(|row| row[j]).collect::<Vec<f64>>();
    a.iter().map(|row| (0..b.len()).map(|j| dot(row, &column(j))).collect()).collect()
}

/// The mean of profiles.
pub(super) fn mean(profiles: &[&[f64]]) -> Vec<f64> {
    let mut sum = vec![0.0; profiles.first().map_or(0, |first| first.len())];
    for profile in profiles {
        sum.iter_mut().zip(*profile).for_each(|(sum, x)| *sum += x / profiles.len() as f64);
    }
    sum
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;

    const CONTROL: [f64; 4] = [1.0, 1.0, 1.0, 1.0];

    fn predict(known: &[(&[&str], [f64; 4])], asked: &[&str]) -> BTreeMap<&'static str, Vec<f64>> {
        let conditions: Vec<Condition> =
            known.iter().map(|(genes, _)| Condition::new(genes.iter().copied())).collect();
        let columns: BTreeMap<String, usize> =
            ["A", "B", "C", "D"].into_iter().map(String::from).zip(0..).collect();
        let known = KnownResponses {
            control: &CONTROL,
            responses: conditions
                .iter()
                .zip(known)
                .map(|(condition, (_, profile))| (condition, profile.as_slice()))
                .collect(),
            columns: &columns,
        };
        let asked = Condition::new(asked.iter().copied());
        let said = response_baselines(&known, &[&asked], &Silent).unwrap();
        said.into_iter().map(|baseline| (baseline.name, baseline.profiles[0].clone())).collect()
    }

    fn close(a: &[f64], b: &[f64]) {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9), "{a:?} {b:?}");
    }

    #[test]
    fn each_says_what_it_should() {
        let a = [0.0, 1.0, 3.0, 1.0];
        let b = [1.0, 0.0, 1.0, 2.0];
        let known: [(&[&str], [f64; 4]); 2] = [(&["A"], a), (&["B"], b)];
        let both = predict(&known, &["A", "B"]);
        close(&both["no change"], &CONTROL);
        close(&both["training mean"], &[0.5, 0.5, 2.0, 1.5]);
        close(&both["matching mean"], &[0.5, 0.5, 2.0, 1.5]);
        close(&both["additive"], &[0.0, 0.0, 3.0, 2.0]);
        let unseen = predict(&known, &["A", "C"]);
        // C as the mean of A and B.
        close(&unseen["additive"], &[-0.5, 0.5, 4.0, 1.5]);
        close(&unseen["matching mean"], &[0.25, 0.75, 2.5, 1.25]);
        // C as what it adds to A.
        let pair = [0.0, 1.0, 3.0, 0.0];
        let with_pair: [(&[&str], [f64; 4]); 3] = [known[0], known[1], (&["C", "A"], pair)];
        close(&predict(&with_pair, &["B", "C"])["additive"], &[1.0, 0.0, 1.0, 1.0]);
        let not_measured = predict(&known, &["X"]);
        close(&not_measured["linear"], &[0.5, 0.5, 2.0, 1.5]);
    }

    #[test]
    fn the_linear_model_fits_what_is_linear() {
        // Genes A and B react alike in all conditions, and so do C and D.
        let up = [3.0, 3.0, 0.0, 0.0];
        let down = [0.0, 0.0, 3.0, 3.0];
        let known: [(&[&str], [f64; 4]); 2] = [(&["A"], up), (&["C"], down)];
        let like_a = &predict(&known, &["B"])["linear"];
        assert!(like_a[0] > 2.5 && like_a[2] < 0.5, "{like_a:?}");
        let like_c = &predict(&known, &["D"])["linear"];
        assert!(like_c[0] < 0.5 && like_c[2] > 2.5, "{like_c:?}");
    }
}
