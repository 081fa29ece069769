//! [`PerturbSimulation`]: perturbed cells of a known gene network, made on demand.

use std::ops::Range;

use scgpt_data::{CellSource, Column, Csr, Frame, Keyed, Layer, Purpose, Result, Setting, Summary};

use super::{cells, choose, made, named, negative_binomial, summary};
use crate::{
    network::{Edge, EdgeKind, GeneNetwork},
    perturbation::Condition,
};

/// Regulators for each gene, at most; the first is always there.
const REGULATORS: u64 = 4;
/// Share of the genes that are regulators.
const REGULATING: f64 = 0.1;
/// Groups of regulators that regulate mostly the same genes.
const MODULES: usize = 8;
/// Share of a regulator's targets that its module shares.
const SHARED: f64 = 0.7;
/// Least and most strength of a regulation, as an exponent.
const STRENGTH: [f64; 2] = [0.2, 0.8];
/// Factor by which a knock-down lowers a gene, and over-expression raises it.
const FACTOR: f64 = 5.0;
/// Spread of the activity of regulators and of other genes between cells, on the logarithm.
const ACTIVITY: [f64; 2] = [0.3, 0.1];
/// Share of the genes that an interaction changes, and the spread of its effect.
const INTERACTING: f64 = 0.06;
const INTERACTION: f64 = 1.0;
/// Spread of genes' mean expression and of library sizes, on the logarithm.
const GENE_SPREAD: f64 = 1.0;
const LIBRARY_SPREAD: f64 = 0.25;
/// Expected counts per gene of an average cell.
const DEPTH: f64 = 1.5;
/// Share of the cells that are controls.
const CONTROLS: f64 = 0.1;

/// What the keys of random choices are about; the fourth part of a key.
mod about {
    pub(super) const GENE: u64 = 100;
    pub(super) const EDGE: u64 = 101;
    pub(super) const MODULE: u64 = 102;
    pub(super) const PAIR: u64 = 103;
    pub(super) const INTERACTION: u64 = 104;
    pub(super) const CELL: u64 = 105;
    pub(super) const ACTIVITY: u64 = 106;
    pub(super) const COUNTS: u64 = 107;
}

/// In which direction perturbations change the expression of their genes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// To a fifth of their expression (CRISPRi).
    #[default]
    KnockDown,
    /// To five times of it (CRISPRa).
    OverExpression,
}

/// How many cells and perturbations to simulate, and what perturbations do.
///
/// ```
/// use scgpt_eval::simulate::{Direction, PerturbSimulateOptions};
///
/// // 40 genes, each perturbed alone, and 20 pairs of them.
/// let mut options = PerturbSimulateOptions::new(5000, 300, 40);
/// options.doubles = 20;
/// options.synergy = 0.5;
/// assert_eq!(options.direction, Direction::KnockDown);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct PerturbSimulateOptions {
    /// Number of cells; a tenth are controls.
    pub cells: usize,
    /// Number of genes.
    pub genes: usize,
    /// Number of genes that are perturbed alone.
    pub singles: usize,
    /// Number of pairs of them that are perturbed together.
    pub doubles: usize,
    /// Share of the pairs of modules whose genes, perturbed together, do more than the sum of both.
    pub synergy: f64,
    /// In which direction a perturbation changes its gene.
    pub direction: Direction,
    /// Seed of every random choice.
    pub seed: u64,
}

impl PerturbSimulateOptions {
    /// The given numbers of cells and genes, `singles` of which are knocked down, each alone; the
    /// seed is 0.
    pub const fn new(cells: usize, genes: usize, singles: usize) -> Self {
        let direction = Direction::KnockDown;
        Self { cells, genes, singles, doubles: 0, synergy: 0.0, direction, seed: 0 }
    }
}

/// Perturbed cells whose causes are known, as a [`CellSource`]: a cell is made when it is read, always
/// the same.
///
/// The network is a sparse, signed, acyclic graph from a tenth of the genes to all. Its kinetics are
/// an S-system (Savageau 1969): gene `g` is made at the rate `αg · Π xr^w` over its regulators `r` and
/// decays at the rate `xg`, so in the steady state
///
/// ```text
/// ln x(g) = ln α(g) + Σ w(r, g) · ln x(r)
/// ```
///
/// A perturbation changes `ln α` of its gene by `ln 5`, and everything downstream. Two perturbations
/// add up exactly, but for *interactions*: pairs of modules of regulators whose genes, perturbed
/// together, change further genes. They belong to the modules, so what one pair does can be learned
/// from another. Activities differ between cells (log-normal); counts are negative-binomial.
///
/// `obs` has `condition` (as in GEARS) and `interacts`; `var` the gene symbols.
///
/// ```
/// use scgpt_eval::simulate::{PerturbSimulateOptions, PerturbSimulation};
///
/// let mut options = PerturbSimulateOptions::new(300, 60, 5);
/// (options.doubles, options.synergy) = (2, 0.5);
/// let source = PerturbSimulation::new(&options, None)?;
/// assert!(source.network().is_directed());
/// # Ok::<(), scgpt_data::Error>(())
/// ```
#[derive(Debug)]
pub struct PerturbSimulation {
    options: PerturbSimulateOptions,
    symbols: Vec<String>,
    /// Regulators of each gene, all of lower number, with their strength.
    regulators: Vec<Vec<(usize, f64)>>,
    /// Logarithm of the rate of each gene.
    rates: Vec<f64>,
    /// The regulators of each gene, all with lower numbers, and the strength of each.
    conditions: Vec<Vec<usize>>,
    /// For each condition, what its steady state has beyond what the network makes of the perturbed
    /// genes.
    interactions: Vec<Vec<(usize, f64)>>,
    summary: Summary,
}

impl PerturbSimulation {
    /// Plans a simulation; genes have the names `symbols` or, with `None`, `GENE00001`….
    ///
    /// # Errors
    /// If a number cannot work, or there are fewer symbols than genes.
    pub fn new(options: &PerturbSimulateOptions, symbols: Option<Vec<String>>) -> Result<Self> {
        let options = *options;
        let PerturbSimulateOptions { cells, genes, singles, doubles, synergy, .. } = options;
        let n_regulators = n_regulators(&options);
        let pairs = singles * singles.saturating_sub(1) / 2;
        let problem = if singles == 0 {
            Some(Setting("singles").zero())
        } else if genes < 10 || singles > genes / 2 {
            let least = (2 * singles).max(10);
            Some(Setting("genes").wrong(format!("is {genes}, expected at least {least}")))
        } else if doubles > pairs {
            let problem = format!("is {doubles}, but {singles} genes have {pairs} pairs");
            Some(Setting("doubles").wrong(problem))
        } else if !(0.0..=1.0).contains(&synergy) {
            Some(Setting("synergy").wrong(format!("is {synergy}, expected 0 to 1")))
        } else if cells < 4 * (1 + singles + doubles) {
            let n = 1 + singles + doubles;
            let least = 4 * n;
            let problem =
                format!("is {cells}, expected at least {least}: four for each of {n} conditions");
            Some(Setting("cells").wrong(problem))
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(problem.into());
        }
        let symbols = named(symbols, genes)?;
        let regulators = (0..genes).map(|gene| regulators(&options, gene, n_regulators)).collect();
        let rates = (0..genes).map(|gene| rate(&options, gene, n_regulators)).collect();
        let conditions = conditions(&options, n_regulators);
        let interactions = conditions.iter().map(|genes| interaction(&options, genes)).collect();
        let summary = summary(cells, genes, 2);
        Ok(Self { options, symbols, regulators, rates, conditions, interactions, summary })
    }

    /// The network: from regulators to what they regulate, weighted by the exponent of the
    /// regulator, which is negative if it represses.
    pub fn network(&self) -> GeneNetwork {
        let edges = self.regulators.iter().enumerate().flat_map(|(target, regulators)| {
            regulators.iter().map(move |&(source, weight)| Edge { source, target, weight })
        });
        GeneNetwork::new(self.symbols.clone(), edges.collect(), EdgeKind::Directed)
    }

    /// The number of the condition of a cell.
    fn condition_of(&self, cell: usize) -> usize {
        let key = self.key(about::CELL, cell);
        if key.uniform(0) < CONTROLS || self.conditions.len() == 1 {
            return 0;
        }
        1 + choose(key.uniform(1), self.conditions.len() - 1)
    }

    /// The random choices about one thing.
    fn key(&self, about: u64, index: usize) -> Keyed {
        Keyed::new(self.options.seed, Purpose::Simulate, about, index as u64)
    }

    /// The steady state of one cell, as logarithms.
    fn state(&self, condition: usize, activity: Option<Keyed>) -> Vec<f64> {
        let shift = match self.options.direction {
            Direction::KnockDown => -FACTOR.ln(),
            Direction::OverExpression => FACTOR.ln(),
        };
        let n_regulators = n_regulators(&self.options);
        // Deviations from the unperturbed steady state; regulators come before their targets.
        let mut deviations: Vec<f64> = vec![0.0; self.rates.len()];
        for gene in 0..deviations.len() {
            let spread = ACTIVITY[usize::from(gene >= n_regulators)];
            let own = activity.map_or(0.0, |key| spread * key.normal(2 * gene as u64));
            let perturbed = if self.conditions[condition].contains(&gene) { shift } else { 0.0 };
            let regulated: f64 =
                self.regulators[gene].iter().map(|&(r, strength)| strength * deviations[r]).sum();
            deviations[gene] = own + perturbed + regulated;
        }
        for &(gene, effect) in &self.interactions[condition] {
            deviations[gene] += effect;
        }
        self.rates.iter().zip(deviations).map(|(rate, deviation)| rate + deviation).collect()
    }

    /// Genes with counts, and the counts, of one cell.
    fn cell(&self, cell: usize) -> (Vec<u32>, Vec<f32>) {
        let state = self.state(self.condition_of(cell), Some(self.key(about::ACTIVITY, cell)));
        let levels: Vec<f64> = state.into_iter().map(f64::exp).collect();
        let total: f64 = levels.iter().sum();
        let spread = LIBRARY_SPREAD * self.key(about::CELL, cell).normal(2);
        let library = self.options.genes as f64 * DEPTH * spread.exp();
        let key = self.key(about::COUNTS, cell);
        (0u32..)
            .zip(levels)
            .filter_map(|(gene, level)| {
                let mean = library * level / total;
                let count = negative_binomial(mean, key.uniform(gene.into()));
                (count > 0.0).then_some((gene, count))
            })
            .unzip()
    }
}

fn n_regulators(options: &PerturbSimulateOptions) -> usize {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count"
    )]
    let share = (options.genes as f64 * REGULATING) as usize;
    share.max(options.singles)
}

fn key(options: &PerturbSimulateOptions, about: u64, index: usize) -> Keyed {
    Keyed::new(options.seed, Purpose::Simulate, about, index as u64)
}

/// The regulators of a gene: mostly of one module, and with lower numbers if the gene regulates
/// itself.
fn regulators(
    options: &PerturbSimulateOptions,
    gene: usize,
    n_regulators: usize,
) -> Vec<(usize, f64)> {
    let key = key(options, about::EDGE, gene);
    let first = gene.min(n_regulators);
    if first == 0 {
        return Vec::new();
    }
    // Regulators are regulated less than others, so that effects do not grow on the way.
    let n = if gene < n_regulators { 1 } else { 1 + key.bits(0) % REGULATORS };
    let module = choose(key.uniform(1), MODULES);
    let mut chosen: Vec<(usize, f64)> = Vec::new();
    for edge in 0..n {
        let number = |part: u64| key.uniform(2 + 5 * edge + part);
        let mut regulator = choose(number(0), first);
        if number(1) < SHARED {
            // The nearest below of the gene's module, module by turns.
            let of_module = regulator / MODULES * MODULES + module;
            regulator = if of_module < first { of_module } else { regulator };
        }
        let [least, most] = STRENGTH;
        let sign = if number(2) < 0.7 { 1.0 } else { -1.0 };
        let strength = sign * (least + (most - least) * number(3));
        if chosen.iter().all(|&(other, _)| other != regulator) {
            chosen.push((regulator, strength));
        }
    }
    chosen
}

/// The logarithm of a gene's rate; regulators are expressed well, so that a perturbation is seen.
fn rate(options: &PerturbSimulateOptions, gene: usize, n_regulators: usize) -> f64 {
    let spread = GENE_SPREAD * key(options, about::GENE, gene).normal(0);
    if gene < n_regulators { 0.5 + spread.abs() } else { spread }
}

/// The control, the singles, and pairs of them.
fn conditions(options: &PerturbSimulateOptions, n_regulators: usize) -> Vec<Vec<usize>> {
    let draw = key(options, about::MODULE, 0);
    let mut genes: Vec<usize> = (0..n_regulators).collect();
    genes.sort_by_key(|&gene| draw.bits(gene as u64));
    genes.truncate(options.singles);
    genes.sort_unstable();
    let draw = key(options, about::PAIR, 0);
    let mut pairs: Vec<(u64, Vec<usize>)> = Vec::new();
    for (place, &one) in genes.iter().enumerate() {
        for &other in &genes[place + 1..] {
            let number = (one * options.genes + other) as u64;
            pairs.push((draw.bits(number), vec![one, other]));
        }
    }
    pairs.sort();
    let doubles = pairs.into_iter().take(options.doubles).map(|(_, pair)| pair);
    std::iter::once(Vec::new()).chain(genes.iter().map(|&gene| vec![gene])).chain(doubles).collect()
}

/// What a pair does beyond the sum: the same for all pairs of two modules.
fn interaction(options: &PerturbSimulateOptions, genes: &[usize]) -> Vec<(usize, f64)> {
    let [one, other] = genes else { return Vec::new() };
    let mut modules = [one % MODULES, other % MODULES];
    modules.sort_unstable();
    let key = key(options, about::INTERACTION, modules[0] * MODULES + modules[1]);
    if key.uniform(0) >= options.synergy {
        return Vec::new();
    }
    (0..options.genes)
        .filter(|&gene| key.uniform(1 + 3 * gene as u64) < INTERACTING)
        .map(|gene| (gene, INTERACTION * key.normal(2 + 3 * gene as u64)))
        .collect()
}

impl CellSource for PerturbSimulation {
    scgpt_data::absent!(read_obsm, read_lists, unread);

    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn obs(&self) -> scgpt_data::Result<Frame> {
        let name = |genes: &Vec<usize>| {
            Condition::new(genes.iter().map(|&gene| self.symbols[gene].as_str())).to_string()
        };
        let names: Vec<String> = self.conditions.iter().map(name).collect();
        let of_cell: Vec<usize> =
            (0..self.options.cells).map(|cell| self.condition_of(cell)).collect();
        let labels: Vec<String> =
            of_cell.iter().map(|&condition| names[condition].clone()).collect();
        let interacts =
            of_cell.iter().map(|&condition| Some(!self.interactions[condition].is_empty()));
        let columns = vec![
            ("condition".into(), Column::categorical(&labels)),
            ("interacts".into(), Column::Boolean(interacts.collect())),
        ];
        Ok(Frame { columns, ..cells(self.options.cells) })
    }

    fn var(&self, layer: &Layer) -> scgpt_data::Result<Frame> {
        self.summary.shape(layer)?;
        Ok(Frame::of_names(self.symbols.iter().cloned()))
    }

    fn read(&mut self, layer: &Layer, rows: Range<usize>) -> scgpt_data::Result<Csr> {
        made(&self.summary, layer, rows, |cell| self.cell(cell))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: PerturbSimulateOptions = PerturbSimulateOptions {
        cells: 400,
        genes: 300,
        singles: 12,
        doubles: 20,
        synergy: 0.5,
        direction: Direction::KnockDown,
        seed: 3,
    };

    #[test]
    fn doubles_add_up_unless_they_interact() {
        let simulation = PerturbSimulation::new(&OPTIONS, None).unwrap();
        let state = |condition: usize| simulation.state(condition, None);
        let control = state(0);
        let (mut additive, mut interacting) = (0, 0);
        for condition in 13..33 {
            let genes = &simulation.conditions[condition];
            let single = |gene: &usize| {
                let place = simulation.conditions.iter().position(|other| *other == [*gene]);
                state(place.unwrap())
            };
            let singles: Vec<Vec<f64>> = genes.iter().map(single).collect();
            let both = state(condition);
            let gap = (0..300)
                .map(|g| {
                    let sum: f64 = singles.iter().map(|single| single[g] - control[g]).sum();
                    (both[g] - control[g] - sum).abs()
                })
                .fold(0.0, f64::max);
            if simulation.interactions[condition].is_empty() {
                additive += 1;
                assert!(gap < 1e-9, "{gap}");
            } else {
                interacting += 1;
                assert!(gap > 0.3, "{gap}");
            }
        }
        assert!(additive > 3 && interacting > 3, "{additive} {interacting}");
    }

    #[test]
    fn perturbations_reach_targets_with_the_sign_of_the_edge() {
        let simulation = PerturbSimulation::new(&OPTIONS, None).unwrap();
        let up = PerturbSimulateOptions { direction: Direction::OverExpression, ..OPTIONS };
        let up = PerturbSimulation::new(&up, None).unwrap();
        let control = simulation.state(0, None);
        let gene = simulation.conditions[1][0];
        let (lowered, raised) = (simulation.state(1, None), up.state(1, None));
        assert!((lowered[gene] - control[gene] + FACTOR.ln()).abs() < 1e-9);
        let target = (0..300).find(|&g| simulation.regulators[g].iter().any(|&(r, _)| r == gene));
        let target = target.unwrap();
        // Responses are the other way round.
        assert!((lowered[target] + raised[target] - 2.0 * control[target]).abs() < 1e-9);
        assert!((lowered[target] - control[target]).abs() > 0.05);
        for edge in simulation.network().edges() {
            assert!((STRENGTH[0]..=STRENGTH[1]).contains(&edge.weight.abs()));
            assert_ne!(edge.source, edge.target);
        }
    }

    #[test]
    fn a_cell_is_the_same_in_any_block_and_has_a_condition() {
        let mut simulation = PerturbSimulation::new(&OPTIONS, None).unwrap();
        let all = simulation.read(&Layer::X, 0..400).unwrap();
        let some = simulation.read(&Layer::X, 120..130).unwrap();
        for cell in 0..10 {
            assert_eq!(all.row(120 + cell), some.row(cell));
        }
        let labels = simulation.obs().unwrap().column("condition").unwrap().labels();
        let controls = labels.iter().flatten().filter(|label| *label == "ctrl").count();
        assert!((20..70).contains(&controls), "{controls}");
    }

    #[test]
    fn nonsense_is_refused() {
        let refused = |options: PerturbSimulateOptions| {
            PerturbSimulation::new(&options, None).unwrap_err().to_string()
        };
        assert!(refused(PerturbSimulateOptions { singles: 0, ..OPTIONS }).contains("`singles`"));
        assert!(refused(PerturbSimulateOptions { doubles: 67, ..OPTIONS }).contains("66 pairs"));
        assert!(refused(PerturbSimulateOptions { cells: 40, ..OPTIONS }).contains("`cells`"));
        assert!(refused(PerturbSimulateOptions { synergy: 2.0, ..OPTIONS }).contains("`synergy`"));
    }
}
