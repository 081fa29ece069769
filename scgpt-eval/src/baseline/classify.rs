//! [`SimpleMethods`]: classes of cells by simple methods, fitted to some cells and applied to others.

mod rule;
mod space;

use scgpt_data::{CellSource, CellSubset, Error, GeneToken, Layer, Observer, Result};
use scgpt_stats::{SparseCell, subsample};
use serde::{Deserialize, Serialize};

use self::rule::Rule;
pub use self::{
    rule::{CellScore, SimpleMethod},
    space::{ExpressionSpace, KnownCells, SpaceReader},
};
use super::BaselineOptions;

/// Most cells to learn from: logistic regression holds them all, gene by gene.
const TRAINING: usize = 10_000;
/// Cells of a class of which none is among those: so many are learned from all the same.
const LEAST: usize = 10;

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
    /// The token of each gene of the source, by which fitted methods know it; genes without one are left
    /// aside.
    pub genes: &'a [Option<GeneToken>],
}

/// What a simple method predicts for some cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassBaseline {
    /// The method; `None` for the largest class, whatever the cell.
    #[serde(default)]
    pub method: Option<SimpleMethod>,
    /// Name of the method.
    pub name: String,
    /// The predicted class of each cell.
    pub classes: Vec<u32>,
    /// How unlike all classes each cell is, larger for stranger cells, if the method can tell: one
    /// minus the largest probability, the mean distance of the neighbours, or the distance to the
    /// nearest mean.
    pub strangeness: Option<Vec<f32>>,
}

/// A simple method that was fitted to labelled cells: it tells the class of any cell by genes of a
/// vocabulary, and can be written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassMethod {
    n_classes: usize,
    space: ExpressionSpace,
    rule: Rule,
}

/// Simple methods, fitted to the same cells by the same genes.
#[derive(Clone, Debug)]
pub struct SimpleMethods {
    n_classes: usize,
    space: ExpressionSpace,
    rules: Vec<Rule>,
    /// The class with the most cells.
    largest: u32,
}

impl SimpleMethods {
    /// Fits `methods`: the nearest class mean and the 15 nearest neighbours (both on principal
    /// components of variable genes), and logistic regression on the logarithms of variable genes, whose
    /// penalty is tuned. Genes are selected and everything is fitted on the cells to learn from, a
    /// sample of them if there are more than 10 000.
    ///
    /// # Errors
    /// If the source cannot be read, or has negative values; if an option is zero;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If a part does not ascend, or a cell to learn from has no class below `n_classes`.
    pub fn fit(
        source: &mut dyn CellSource,
        cells: &LabelledCells<'_>,
        methods: &[SimpleMethod],
        options: &BaselineOptions,
        seed: u64,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let training = learned_from(cells, seed);
        let truth =
            |part: &[usize]| -> Vec<u32> { part.iter().map(|&cell| cells.classes[cell]).collect() };
        let (space, learned) =
            ExpressionSpace::fit(source, &training, cells.genes, options, observer)?;
        let classes = truth(&training);
        let tuning = if cells.tuning.is_empty() || !methods.contains(&SimpleMethod::Logistic) {
            None
        } else {
            let layer = &options.layer;
            let tuning = read(&space, source, layer, cells.genes, cells.tuning, observer)?;
            Some((tuning, truth(cells.tuning)))
        };
        observer.begin("fitting simple methods", 0);
        let positions = space.positions(&learned);
        let rule = |method: &SimpleMethod| {
            Ok(match method {
                SimpleMethod::Logistic => {
                    let learned = (learned.as_slice(), classes.as_slice());
                    let tuning =
                        tuning.as_ref().map_or(learned, |(cells, classes)| (cells, classes));
                    Rule::logistic(learned, tuning, space.n_genes(), observer)?
                }
                SimpleMethod::Neighbours => Rule::neighbours(positions.clone(), classes.clone()),
                SimpleMethod::Centroid => {
                    Rule::centroid(&positions, space.width(), &classes, cells.n_classes)
                }
            })
        };
        Ok(Self {
            n_classes: cells.n_classes,
            rules: methods.iter().map(rule).collect::<Result<_>>()?,
            largest: rule::most(&classes, cells.n_classes, &[]),
            space,
        })
    }

    /// What the methods say of some cells of a source, whose genes have these tokens; the largest class
    /// is the last of them.
    ///
    /// # Errors
    /// If the source cannot be read; [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If the cells do not ascend.
    pub fn predict(
        &self,
        source: &mut dyn CellSource,
        layer: &Layer,
        genes: &[Option<GeneToken>],
        cells: &[usize],
        observer: &dyn Observer,
    ) -> Result<Vec<ClassBaseline>> {
        let cells = read(&self.space, source, layer, genes, cells, observer)?;
        let positions = self.space.positions(&cells);
        let largest = ClassBaseline {
            method: None,
            name: "largest class".into(),
            classes: vec![self.largest; cells.len()],
            strangeness: None,
        };
        let of = |rule: &Rule| {
            let said = rule.scores(&cells, &positions, self.n_classes, observer)?;
            Ok(ClassBaseline {
                method: Some(rule.method()),
                name: rule.method().name().into(),
                classes: said.iter().map(CellScore::class).collect(),
                strangeness: Some(said.iter().map(|cell| cell.strangeness).collect()),
            })
        };
        self.rules.iter().map(of).chain([Ok(largest)]).collect()
    }

    /// One of the methods with all that it needs; `None` if it was not fitted.
    pub fn method(&self, method: SimpleMethod) -> Option<ClassMethod> {
        let rule = self.rules.iter().find(|rule| rule.method() == method)?;
        Some(ClassMethod {
            n_classes: self.n_classes,
            space: self.space.clone(),
            rule: rule.clone(),
        })
    }
}

impl ClassMethod {
    /// Which method it is.
    pub fn method(&self) -> SimpleMethod {
        self.rule.method()
    }

    /// Number of classes that it tells.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// The genes by which it knows cells, and their principal components.
    pub fn space(&self) -> &ExpressionSpace {
        &self.space
    }

    /// A score for each class, `[n, k]`, and how strange each cell is by the method's own measure. The
    /// largest score is that of the class; their scale is to be calibrated.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the observer says so.
    pub fn scores(&self, cells: &[SparseCell], observer: &dyn Observer) -> Result<Vec<CellScore>> {
        self.rule.scores(cells, &self.space.positions(cells), self.n_classes, observer)
    }

    /// For each variable gene its token, and how much a unit of its logarithm adds to the score of a class beyond
    /// the mean of the other classes; `None` where a score is no sum over genes, as votes are not, or the class
    /// had no cells to learn from.
    pub fn slopes(&self, class: u32) -> Option<Vec<(u32, f64)>> {
        let loadings = |gene: usize| self.space.loadings(gene);
        let slopes = self.rule.slopes(class, self.space.n_genes(), loadings)?;
        Some(self.space.genes().iter().copied().zip(slopes).collect())
    }

    /// Checks what was read from a file, for a vocabulary of `n_tokens`.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn check(&self, n_tokens: usize, n_classes: usize) -> std::result::Result<(), String> {
        if self.n_classes != n_classes {
            return Err(format!("it tells {} classes, expected {n_classes}", self.n_classes));
        }
        self.space.check(n_tokens)?;
        let is_sound = self.rule.is_of(self.space.n_genes(), self.space.width(), n_classes);
        if is_sound { Ok(()) } else { Err("its parts differ in length".into()) }
    }
}

/// The cells that are learned from: all, or a sample in which no class is missing.
fn learned_from(cells: &LabelledCells<'_>, seed: u64) -> Vec<usize> {
    let chosen = subsample(cells.training.len(), TRAINING, seed);
    let mut training: Vec<usize> = chosen.into_iter().map(|place| cells.training[place]).collect();
    let mut has = vec![false; cells.n_classes];
    for &cell in &training {
        has[cells.classes[cell] as usize] = true;
    }
    let mut left = vec![LEAST; cells.n_classes];
    for &cell in cells.training {
        let class = cells.classes[cell] as usize;
        if !has[class] && left[class] > 0 {
            left[class] -= 1;
            training.push(cell);
        }
    }
    training.sort_unstable();
    training
}

/// Some cells of a source, by the genes of the space.
fn read(
    space: &ExpressionSpace,
    source: &mut dyn CellSource,
    layer: &Layer,
    genes: &[Option<GeneToken>],
    cells: &[usize],
    observer: &dyn Observer,
) -> Result<Vec<SparseCell>> {
    let mut read = Vec::with_capacity(cells.len());
    let reader = space.of_source(source, layer, genes)?;
    let mut subset = CellSubset::new(source, cells.to_vec());
    let keep = &mut |cells: KnownCells| {
        read.extend(cells.cells);
        Ok::<(), Error>(())
    };
    reader.each(&mut subset, layer, "reading cells for simple methods", observer, keep)?;
    Ok(read)
}

#[cfg(test)]
mod tests {
    use scgpt_data::{GeneNames, GeneVocab, Silent};

    use super::*;
    use crate::simulate::{SimulateOptions, Simulation};

    fn genes(source: &Simulation) -> Vec<Option<GeneToken>> {
        let var = source.var(&Layer::X).unwrap();
        let vocab = GeneVocab::from_genes([&var], &GeneNames::BEST).unwrap();
        vocab.align(&var, &GeneNames::BEST).unwrap().tokens
    }

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
        let genes = genes(&source);
        let cells = LabelledCells {
            classes: &classes,
            n_classes: 4,
            training: &training,
            tuning: &tuning,
            genes: &genes,
        };
        let options = BaselineOptions { n_genes: 100, n_components: 10, ..Default::default() };
        let methods =
            SimpleMethods::fit(&mut source, &cells, &SimpleMethod::ALL, &options, 0, &Silent)
                .unwrap();
        let all = methods.predict(&mut source, &Layer::X, &genes, &test, &Silent).unwrap();
        let accuracy = |predicted: &[u32]| {
            let right = predicted.iter().zip(&test).filter(|(a, b)| **a == classes[**b]);
            right.count() as f64 / test.len() as f64
        };
        assert_eq!(all.len(), 4);
        for baseline in &all[..3] {
            let accuracy = accuracy(&baseline.classes);
            assert!(accuracy > 0.95, "{} {accuracy}", baseline.name);
        }
        assert!(accuracy(&all[3].classes) < 0.6);
        assert!(all[3].classes.iter().all(|c| *c == all[3].classes[0]));

        // Written down and read again, on cells whose genes are in another order: the same, and with half
        // the genes gone not much worse.
        for baseline in &all[..3] {
            let method = methods.method(baseline.method.unwrap()).unwrap();
            let text = serde_json::to_string(&method).unwrap();
            let method: ClassMethod = serde_json::from_str(&text).unwrap();
            method.check(303, 4).unwrap();
            assert!(method.check(303, 3).is_err() && method.check(20, 4).is_err());
            let values = method.space().values();
            let said = |genes: &[Option<GeneToken>], rows: &[(Vec<u32>, Vec<f32>)]| {
                let rows = scgpt_data::Csr::of_rows(300, rows.iter().cloned()).unwrap();
                let cells = method.space().reader(genes, values).cells(rows.rows()).unwrap();
                method
                    .scores(&cells.cells, &Silent)
                    .unwrap()
                    .iter()
                    .map(CellScore::class)
                    .collect::<Vec<_>>()
            };
            let rows: Vec<_> = test
                .iter()
                .map(|&cell| {
                    let block = source.read(&Layer::X, cell..cell + 1).unwrap();
                    let row = block.rows().next().unwrap();
                    let turned = row.indices.iter().rev().map(|gene| 299 - gene).collect();
                    (turned, row.values.iter().rev().copied().collect::<Vec<f32>>())
                })
                .collect();
            let turned: Vec<_> = genes.iter().rev().copied().collect();
            assert_eq!(said(&turned, &rows), baseline.classes, "{}", baseline.name);
            let half: Vec<_> =
                turned.iter().enumerate().map(|(i, gene)| gene.filter(|_| i % 2 == 0)).collect();
            let accuracy = accuracy(&said(&half, &rows));
            assert!(accuracy > 0.75, "{} {accuracy}", baseline.name);
        }
    }

    #[test]
    fn of_many_cells_no_class_is_lost() {
        let n = TRAINING * 2;
        let mut classes = vec![0; n];
        classes[n - 1] = 1;
        let all: Vec<usize> = (0..n).collect();
        let cells = LabelledCells {
            classes: &classes,
            n_classes: 2,
            training: &all,
            tuning: &[],
            genes: &[],
        };
        for seed in 0..4 {
            let learned = learned_from(&cells, seed);
            assert!(learned.contains(&(n - 1)) && learned.len() <= TRAINING + 1);
            assert!(learned.is_sorted_by(|a, b| a < b));
        }
    }
}
