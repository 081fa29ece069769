//! [`class_baselines`]: classes of cells by simple methods.

use scgpt_data::{CellSource, CellSubset, Observer, Result};
use scgpt_stats::{Neighbours, Products, SparseCell, subsample};
use serde::{Deserialize, Serialize};

use super::{
    BaselineOptions, logistic::LogisticRegression, variable_expression::VariableExpression,
};

/// Number of nearest cells that vote.
const NEIGHBOURS: usize = 15;
/// Most cells to learn from: logistic regression holds them all, gene by gene.
const TRAINING: usize = 10_000;

/// Cells of a source and their classes.
#[derive(Clone, Debug)]
pub struct LabelledCells<'a> {
    /// The class of each cell of the source; cells that are in no part may have any.
    pub classes: &'a [u32],
    /// Number of classes.
    pub n_classes: usize,
    /// Numbers of the cells to learn from, ascending.
    pub training: &'a [usize],
    /// Numbers of the cells to tune by, ascending.
    pub tuning: &'a [usize],
    /// Numbers of the cells to predict, ascending.
    pub test: &'a [usize],
}

/// What a simple method predicts for the cells of the test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassBaseline {
    /// Name of the method.
    pub name: String,
    /// The predicted class of each cell of the test.
    pub classes: Vec<u32>,
    /// How unlike all classes each cell is, larger for stranger cells, if the method can tell: one
    /// minus the largest probability, the mean distance of the neighbours, or the distance to the
    /// nearest mean.
    pub strangeness: Option<Vec<f32>>,
}

/// Predicts classes by the largest class, the nearest class mean and the 15 nearest neighbours
/// (both on principal components of variable genes), and by logistic regression on the logarithms
/// of variable genes, whose penalty is tuned. Genes are selected and everything is fitted on the
/// cells to learn from, a sample of them if there are more than 10 000.
///
/// # Errors
/// If the source cannot be read, or has negative values; if an option is zero;
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Panics
/// If a part does not ascend, or a cell to learn from has no class below `n_classes`.
pub fn class_baselines(
    source: &mut dyn CellSource,
    cells: &LabelledCells<'_>,
    options: &BaselineOptions,
    seed: u64,
    observer: &dyn Observer,
) -> Result<Vec<ClassBaseline>> {
    let chosen = subsample(cells.training.len(), TRAINING, seed);
    let training: Vec<usize> = chosen.into_iter().map(|place| cells.training[place]).collect();
    let truth =
        |part: &[usize]| -> Vec<u32> { part.iter().map(|&cell| cells.classes[cell]).collect() };
    let mut subset = CellSubset::new(&mut *source, training.clone());
    let expression = VariableExpression::choose(&mut subset, options, None, observer)?;
    let mut read = |part: &[usize]| -> Result<Vec<SparseCell>> {
        let mut read = Vec::with_capacity(part.len());
        let mut subset = CellSubset::new(&mut *source, part.to_vec());
        let keep = &mut |cells: Vec<SparseCell>| read.extend(cells);
        expression.each(&mut subset, "reading cells for baselines", observer, keep)?;
        Ok(read)
    };
    let learned =
        Learned { n_classes: cells.n_classes, cells: read(&training)?, classes: truth(&training) };
    let (tuning, test) = (read(cells.tuning)?, read(cells.test)?);
    observer.begin("fitting baselines", 0);
    let positions = Positions::new(&learned.cells, &test, expression.genes().len(), options);
    let tuned_by = if cells.tuning.is_empty() {
        (learned.cells.as_slice(), learned.classes.clone())
    } else {
        (tuning.as_slice(), truth(cells.tuning))
    };
    let logistic = LogisticRegression::fit(
        (&learned.cells, &learned.classes),
        (tuned_by.0, &tuned_by.1),
        expression.genes().len(),
    );
    let baseline = |name: &str, said: Vec<(u32, f32)>| {
        let (classes, strangeness) = said.into_iter().unzip();
        ClassBaseline { name: name.into(), classes, strangeness: Some(strangeness) }
    };
    let largest = vec![learned.largest(); test.len()];
    Ok(vec![
        baseline("logistic regression", logistic.predict(&test)),
        baseline("15 nearest neighbours", positions.by_neighbours(&learned)),
        baseline("nearest class mean", positions.by_means(&learned)),
        ClassBaseline { name: "largest class".into(), classes: largest, strangeness: None },
    ])
}

/// Cells to learn from.
struct Learned {
    n_classes: usize,
    cells: Vec<SparseCell>,
    classes: Vec<u32>,
}

impl Learned {
    /// The class with the most cells; the first of equals.
    fn largest(&self) -> u32 {
        most(&self.classes, self.n_classes, &[])
    }
}

/// Cells by principal components.
struct Positions {
    d: usize,
    training: Vec<f32>,
    test: Vec<f32>,
}

impl Positions {
    fn new(
        training: &[SparseCell],
        test: &[SparseCell],
        n_genes: usize,
        options: &BaselineOptions,
    ) -> Self {
        let mut products = Products::new(n_genes);
        products.add(training);
        let principal = products.principal(options.n_components);
        let project = |cells: &[SparseCell]| -> Vec<f32> {
            cells.iter().flat_map(|(genes, values)| principal.project(genes, values)).collect()
        };
        Self { d: principal.n(), training: project(training), test: project(test) }
    }

    /// For each cell the class of most of its nearest cells and their mean distance; of equally
    /// frequent classes the one whose first cell is nearest.
    #[allow(clippy::cast_possible_truncation, reason = "distances are f32")]
    fn by_neighbours(&self, learned: &Learned) -> Vec<(u32, f32)> {
        let found = Neighbours::among(&self.test, &self.training, self.d, NEIGHBOURS);
        let vote = |cells: &[(f64, usize)]| {
            let classes: Vec<u32> = cells.iter().map(|&(_, cell)| learned.classes[cell]).collect();
            let sum: f64 = cells.iter().map(|&(distance, _)| distance).sum();
            let mean = sum / cells.len().max(1) as f64;
            (most(&classes, learned.n_classes, &classes), mean as f32)
        };
        found.cells().map(vote).collect()
    }

    /// For each cell the class whose mean is nearest, and its distance.
    #[allow(clippy::cast_possible_truncation, reason = "distances are f32")]
    fn by_means(&self, learned: &Learned) -> Vec<(u32, f32)> {
        let d = self.d;
        let mut sums = vec![0.0_f64; learned.n_classes * d];
        let mut counts = vec![0_usize; learned.n_classes];
        for (&class, row) in learned.classes.iter().zip(self.training.chunks_exact(d)) {
            counts[class as usize] += 1;
            let sum = &mut sums[class as usize * d..][..d];
            sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        let nearest = |row: &[f32]| {
            let mut best = (f64::INFINITY, 0);
            for (class, (sum, &n)) in (0..).zip(sums.chunks_exact(d).zip(&counts)) {
                let squares =
                    sum.iter().zip(row).map(|(s, &x)| (s / n as f64 - f64::from(x)).powi(2));
                let distance: f64 = squares.sum();
                if distance < best.0 {
                    best = (distance, class);
                }
            }
            (best.1, best.0.sqrt() as f32)
        };
        self.test.chunks_exact(d).map(nearest).collect()
    }
}

/// The most frequent class; of equals the first in `order`, else the first.
fn most(classes: &[u32], n_classes: usize, order: &[u32]) -> u32 {
    let mut counts = vec![0_usize; n_classes];
    for &class in classes {
        counts[class as usize] += 1;
    }
    let highest = counts.iter().copied().max().unwrap_or(0);
    let all = (0..).take(n_classes);
    order.iter().copied().chain(all).find(|&c| counts[c as usize] == highest).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;
    use crate::simulate::{SimulateOptions, Simulation};

    #[test]
    fn planted_types_are_told_apart() {
        let options = SimulateOptions { cells: 400, genes: 300, types: 4, batches: 1, seed: 3 };
        let mut source = Simulation::new(&options, None).unwrap();
        let classes: Vec<u32> =
            (0..400).map(|cell| u32::try_from(source.truth(cell).0).unwrap()).collect();
        let part = |wanted: usize| -> Vec<usize> {
            (0..400).filter(|cell| (cell % 5).min(2) == wanted).collect()
        };
        let (tuning, test, training) = (part(0), part(1), part(2));
        let cells = LabelledCells {
            classes: &classes,
            n_classes: 4,
            training: &training,
            tuning: &tuning,
            test: &test,
        };
        let options = BaselineOptions { n_genes: 100, n_components: 10, ..Default::default() };
        let all = class_baselines(&mut source, &cells, &options, 0, &Silent).unwrap();
        let accuracy = |baseline: &ClassBaseline| {
            let right = baseline.classes.iter().zip(&test).filter(|(a, b)| **a == classes[**b]);
            right.count() as f64 / test.len() as f64
        };
        assert_eq!(all.len(), 4);
        for baseline in &all[..3] {
            assert!(accuracy(baseline) > 0.95, "{} {}", baseline.name, accuracy(baseline));
        }
        assert!(accuracy(&all[3]) < 0.6 && all[3].classes.iter().all(|c| *c == all[3].classes[0]));
    }

    #[test]
    fn ties_go_to_the_nearest() {
        assert_eq!(most(&[2, 1, 1, 2], 3, &[2, 1, 1, 2]), 2);
        assert_eq!(most(&[2, 1, 1, 2], 3, &[]), 1);
    }
}
