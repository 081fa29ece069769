//! [`Reversal`]: which perturbation explains the state of some cells.
//!
//! Every candidate is predicted as some cells. Each query cell looks for the nearest of all predicted cells, whose
//! candidates get its votes; beside that, candidates are ranked by the distance of their mean from that of the
//! query.
//!
//! # Reference
//! Cui et al., *scGPT*, Nature Methods 2024, in-silico reverse perturbation, which retrieves conditions by votes of
//! nearest profiles.

use std::collections::BTreeMap;

use scgpt_data::{CellSource, Layer, LogScale, Observer};
use scgpt_eval::perturbation::{Condition, DesignOptions, Rankings, Retrieval};
use scgpt_model::InferencePrecision;
use scgpt_stats::{Neighbours, sampled};
use serde::Serialize;

use super::{
    artefact::{PerturbArtefact, n_empty},
    files::{places, read_placed},
    respond::Responses,
};
use crate::error::{Error, Result};

/// Most query cells of one group that are looked at.
const CELLS: usize = 500;
/// About how many numbers of predicted profiles are held in memory at once.
const PROFILES: usize = 1 << 26;
/// Most ranked candidates of a group in reports.
const RANKED: usize = 20;

/// How a state is searched for among candidates.
///
/// ```
/// use scgpt_data::Layer;
/// use scgpt_eval::perturbation::DesignOptions;
/// use scgpt_tasks::perturb::ReverseOptions;
///
/// // The cells of each cluster are looked up apart from the others.
/// let design = DesignOptions::default();
/// let mut options = ReverseOptions::new(&design, &Layer::X);
/// options.group_key = Some("leiden");
/// assert_eq!(options.k, 10);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ReverseOptions<'a> {
    /// Column of `obs` that groups the query cells: conditions, if they are known, or any grouping;
    /// with `None` all cells are one group.
    pub group_key: Option<&'a str>,
    /// How conditions are written, if the groups are conditions.
    pub design: &'a DesignOptions<'a>,
    /// The matrix of the query, whose values are logarithms as in training.
    pub layer: &'a Layer,
    /// The cell type of the candidates, by its number.
    pub cell_type: usize,
    /// Most nearest profiles of each cell that vote, and most candidates that are named.
    pub k: usize,
    /// Whether a candidate may be found by the expression of its own perturbed genes. If not, these
    /// genes keep the control's expression in its predicted profile: the candidate gains nothing by
    /// them, and all candidates are compared over the same genes.
    pub see_targets: bool,
}

impl<'a> ReverseOptions<'a> {
    /// All cells of the matrix as one group, with ten neighbours of each among candidates of the
    /// first cell type, whose own perturbed genes keep the control's expression.
    pub fn new(design: &'a DesignOptions<'a>, layer: &'a Layer) -> Self {
        Self { group_key: None, design, layer, cell_type: 0, k: 10, see_targets: false }
    }
}

/// What was found for every group of query cells.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Reversal {
    /// Number of candidates that were searched.
    pub candidates: usize,
    /// What was found for each group of query cells.
    pub groups: Vec<ReversedGroup>,
    /// How often each method found the true condition; empty if the groups are not known
    /// conditions.
    pub methods: Vec<Retrieval>,
    /// As `methods`, over the conditions on which the artefact was neither trained nor selected.
    pub held_out: Vec<Retrieval>,
    /// Known conditions of the query that are not among the candidates, and are not scored.
    pub not_candidates: Vec<String>,
    /// The sum of the query's cells before the logarithm, if it was another than in training and
    /// they were brought to that one.
    pub rescaled_from: Option<f64>,
    /// Number of query cells that express no gene of the artefact.
    pub without_genes: usize,
    /// The numbers that candidates were computed in; `None` if a file of them does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<InferencePrecision>,
}

/// What was found for the cells of one group.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ReversedGroup {
    /// Name of the group.
    pub group: String,
    /// Number of its cells that voted.
    pub cells: usize,
    /// Candidates by the votes of the cells' nearest profiles, each with its share of the votes.
    pub votes: Vec<(String, f64)>,
    /// Candidates by the distance of their mean profile from that of the cells, nearest first, each
    /// with the distance.
    pub ranked: Vec<(String, f64)>,
    /// The true condition, if it is known.
    pub truth: Option<String>,
    /// The places of the truth by votes and by distance, 1 being the first; `None` if it is not
    /// known.
    pub rank: Option<[usize; 2]>,
}

impl PerturbArtefact {
    /// Searches the states of `query` among predicted ones: finds, for each group of cells, the
    /// candidates that explain it best. Distances are Euclidean, over all genes, without
    /// normalisation.
    ///
    /// Memory: the profiles of a block of candidates and the cells of one group.
    ///
    /// Beside these stand three methods that need no network: *random*, *same for all* (the
    /// candidates by their mean distance from all groups), and *nearest trained profile*.
    ///
    /// # Errors
    /// If the query cannot be read, lacks genes of the panel, has values that are not logarithms,
    /// or has no cells to search for.
    pub fn reverse(
        &self,
        query: &mut dyn CellSource,
        candidates: &[Condition],
        predicted: &Responses,
        options: &ReverseOptions<'_>,
        observer: &dyn Observer,
    ) -> Result<Reversal> {
        let control = self.control(options.cell_type);
        #[allow(clippy::cast_possible_truncation, reason = "expression is narrow")]
        let mask = |condition: &Condition, row: &mut [f32]| {
            let genes = condition.genes().iter().filter(|_| !options.see_targets);
            for &place in genes.filter_map(|gene| self.panel.places.get(gene)) {
                row[place] = control[place] as f32;
            }
        };
        let mut query = Query::new(query, self, options)?;
        let (g, each) = (self.panel.len(), predicted.cells_each());
        let (mut means, mut centres) = (Vec::new(), Vec::new());
        let mut without_genes = 0;
        let mut nearest = vec![Nearest::new(); query.groups.len()];
        // Profiles of as many candidates at once as there is room for.
        let together = (PROFILES / (each * g)).max(1);
        let passes = candidates.len().div_ceil(together);
        observer.begin("searching", passes * query.n_cells());
        let mut profiles = Vec::new();
        for (pass, block) in candidates.chunks(together).enumerate() {
            let first = pass * together * each;
            predicted.cells.read_rows(first, block.len() * each, &mut profiles)?;
            for (condition, rows) in block.iter().zip(profiles.chunks_mut(g * each)) {
                rows.chunks_mut(g).for_each(|row| mask(condition, row));
                means.push(mean(rows, g));
            }
            for (group, nearest) in nearest.iter_mut().enumerate() {
                observer.check_cancelled()?;
                let cells = query.read(group)?;
                if pass == 0 {
                    self.check_sums(&cells, &query.source.summary().path)?;
                    centres.push(mean(&cells, g));
                    without_genes += n_empty(&cells, g);
                }
                let found = Neighbours::among(&cells, &profiles, g, options.k, observer)?;
                merge(nearest, &found, first, options.k);
                observer.advance(cells.len() / g);
            }
        }
        let names: Vec<String> = query.groups.iter().map(|(name, _)| name.clone()).collect();
        let mut groups = Vec::with_capacity(names.len());
        let (mut by_votes, mut by_distance) = (Rankings::new(), Rankings::new());
        for ((name, nearest_profiles), centre) in names.iter().zip(&nearest).zip(&centres) {
            let ranked = nearest_means(centre, &means);
            let votes = votes(nearest_profiles, each, candidates.len());
            let order = order_of(&votes, &ranked);
            let named = |&candidate: &usize| candidates[candidate].to_string();
            let chosen = order.iter().take(options.k).filter(|&&candidate| votes[candidate] > 0.0);
            let nearest = ranked.iter().take(RANKED);
            groups.push(ReversedGroup {
                group: name.clone(),
                cells: nearest_profiles.len(),
                votes: chosen.map(|candidate| (named(candidate), votes[*candidate])).collect(),
                ranked: nearest
                    .map(|(candidate, distance)| (named(candidate), *distance))
                    .collect(),
                truth: None,
                rank: None,
            });
            by_votes.push(order);
            by_distance.push(ranked.iter().map(|&(candidate, _)| candidate).collect());
        }
        let (scored, not_candidates) = truths(&names, options, candidates);
        for &(group, truth) in &scored {
            groups[group].truth = Some(candidates[truth].to_string());
            groups[group].rank =
                Some([&by_votes, &by_distance].map(|rankings| rank_of(truth, &rankings[group])));
        }
        let same = vec![same_for_all(&centres, &means); names.len()];
        let trained = self.nearest_trained(&centres, candidates, options, &mask);
        let methods = |scored: &[(usize, usize)]| {
            if scored.is_empty() {
                return Vec::new();
            }
            let of = |name: &str, rankings: &Rankings| {
                Retrieval::new(name, rankings, scored, candidates, options.k)
            };
            vec![
                of("scGPT, votes", &by_votes),
                of("scGPT, mean profile", &by_distance),
                of("nearest trained profile", &trained),
                of("same for all", &same),
                Retrieval::random(scored, candidates, options.k),
            ]
        };
        let split = &self.record.split;
        let is_held_out = |(_, truth): &(usize, usize)| {
            let name = candidates[*truth].to_string();
            !split.train.contains(&name) && !split.validation.contains(&name)
        };
        let held_out: Vec<(usize, usize)> = scored.iter().copied().filter(is_held_out).collect();
        Ok(Reversal {
            candidates: candidates.len(),
            groups,
            methods: methods(&scored),
            held_out: methods(&held_out),
            not_candidates,
            rescaled_from: query.scale.and_then(|scale| scale.from.total),
            without_genes,
            precision: predicted.precision,
        })
    }

    /// Candidates by the profile of the same condition in training, nearest first; those not trained on
    /// come last, in their order.
    fn nearest_trained(
        &self,
        centres: &[Vec<f32>],
        candidates: &[Condition],
        options: &ReverseOptions<'_>,
        mask: &dyn Fn(&Condition, &mut [f32]),
    ) -> Rankings {
        let profiles = self.profiles(options.cell_type);
        let mut trained = Vec::new();
        for profile in profiles {
            if let Ok(place) = candidates.binary_search(&profile.condition) {
                #[allow(clippy::cast_possible_truncation, reason = "expression is narrow")]
                let mut row: Vec<f32> = profile.mean.iter().map(|&x| x as f32).collect();
                mask(&profile.condition, &mut row);
                trained.push((place, row));
            }
        }
        let (places, rows): (Vec<usize>, Vec<Vec<f32>>) = trained.into_iter().unzip();
        let order = |centre: &Vec<f32>| {
            let mut order: Vec<usize> = nearest_means(centre, &rows)
                .into_iter()
                .map(|(number, _)| places[number])
                .collect();
            order.extend((0..candidates.len()).filter(|candidate| !places.contains(candidate)));
            order
        };
        centres.iter().map(order).collect()
    }
}

/// Cells whose state is to be explained, by group; controls are left out.
struct Query<'a> {
    source: &'a mut dyn CellSource,
    layer: &'a Layer,
    /// How values are brought to the scale of training, if theirs is another.
    scale: Option<LogScale>,
    /// For each column, its place in the panel.
    place: Vec<Option<usize>>,
    n_genes: usize,
    /// Names of the groups, each with the numbers of its cells.
    groups: Vec<(String, Vec<usize>)>,
}

impl<'a> Query<'a> {
    /// Groups the cells of `source`; of a group with many cells some are taken.
    ///
    /// # Errors
    /// If the source lacks genes of the artefact or the column, holds anything but logarithms, or has no cell but
    /// controls.
    fn new(
        source: &'a mut dyn CellSource,
        artefact: &PerturbArtefact,
        options: &ReverseOptions<'a>,
    ) -> Result<Self> {
        let genes = &artefact.record.genes;
        let path = source.summary().path.clone();
        let (n_cells, _) = source.summary().shape(options.layer)?;
        let place = places(source, genes, options.layer, &path)?;
        let scale = artefact.scale(super::check_values(source, options.layer)?);
        let obs = source.obs()?;
        let numbers = obs.cell_keys();
        let labels = match options.group_key {
            Some(key) => scgpt_data::obs_column(&obs, key)?.labels(),
            None => vec![Some("all cells".to_owned()); n_cells],
        };
        let is_control = |name: &str| {
            options.group_key.is_some()
                && Condition::parse(name, options.design.separator, options.design.control)
                    .is_ok_and(|condition| condition.is_control())
        };
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (cell, name) in labels.into_iter().enumerate() {
            if let Some(name) = name.filter(|name| !name.is_empty() && !is_control(name)) {
                groups.entry(name).or_default().push(cell);
            }
        }
        if groups.is_empty() {
            return Err(Error::option(format!(
                "`{}` has no perturbed cell to search for",
                path.display()
            )));
        }
        let some = |(name, cells)| (name, sampled(cells, &numbers, CELLS, 0));
        let groups = groups.into_iter().map(some).collect();
        let (layer, n_genes) = (options.layer, genes.len());
        Ok(Self { source, layer, scale, place, n_genes, groups })
    }

    /// Number of cells of all groups.
    fn n_cells(&self) -> usize {
        self.groups.iter().map(|(_, cells)| cells.len()).sum()
    }

    /// The cells of a group, `[n, g]`.
    fn read(&mut self, group: usize) -> Result<Vec<f32>> {
        let cells = self.groups[group].1.clone();
        let scale = self.scale.as_ref();
        read_placed(self.source, self.layer, scale, cells, &self.place, self.n_genes)
    }
}

/// For every cell of a group its nearest profiles, nearest first: the distance and the number of
/// each.
type Nearest = Vec<Vec<(f64, usize)>>;

/// Merges what was found among the profiles from number `first` on into `nearest`.
fn merge(nearest: &mut Nearest, found: &Neighbours, first: usize, k: usize) {
    nearest.resize(found.cells().len(), Vec::new());
    for (list, found) in nearest.iter_mut().zip(found.cells()) {
        list.extend(found.iter().map(|&(distance, profile)| (distance, first + profile)));
        // Stable: of equal distances the profile of lower number stays first.
        list.sort_by(|a, b| a.0.total_cmp(&b.0));
        list.truncate(k);
    }
}

/// The groups whose condition is among the candidates, and that candidate; and the names of those
/// whose is not.
fn truths(
    names: &[String],
    options: &ReverseOptions<'_>,
    candidates: &[Condition],
) -> (Vec<(usize, usize)>, Vec<String>) {
    let (mut scored, mut not_candidates) = (Vec::new(), Vec::new());
    for (group, name) in names.iter().enumerate().filter(|_| options.group_key.is_some()) {
        let Some(condition) = known(name, options.design, candidates) else { continue };
        match candidates.binary_search(&condition) {
            Ok(place) => scored.push((group, place)),
            Err(_) => not_candidates.push(name.clone()),
        }
    }
    (scored, not_candidates)
}

/// The condition that the name of a group stands for, if it is one.
fn known(name: &str, design: &DesignOptions<'_>, candidates: &[Condition]) -> Option<Condition> {
    let condition = Condition::parse(name, design.separator, design.control).ok()?;
    // A group by another name, such as a cluster, names no gene of the candidates.
    let is_gene = |gene: &String| candidates.iter().any(|c| c.genes().contains(gene));
    condition.genes().iter().any(is_gene).then_some(condition)
}

/// Candidates and their distance, nearest first.
fn nearest_means(centre: &[f32], profiles: &[Vec<f32>]) -> Vec<(usize, f64)> {
    let mut ranked: Vec<(usize, f64)> =
        profiles.iter().map(|profile| distance(centre, profile)).enumerate().collect();
    ranked.sort_by(|a, b| a.1.total_cmp(&b.1));
    ranked
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
    a.iter().zip(b).map(square).sum::<f64>().sqrt()
}

/// The share of the votes of each candidate: every cell votes with its nearest profiles.
fn votes(nearest: &Nearest, each: usize, n_candidates: usize) -> Vec<f64> {
    let mut counts = vec![0_usize; n_candidates];
    let mut total = 0_usize;
    for &(_, profile) in nearest.iter().flatten() {
        counts[profile / each] += 1;
        total += 1;
    }
    counts.into_iter().map(|count| count as f64 / total.max(1) as f64).collect()
}

/// Candidates by their votes; of equal ones the nearer first.
fn order_of(votes: &[f64], ranked: &[(usize, f64)]) -> Vec<usize> {
    let mut order: Vec<usize> = ranked.iter().map(|&(candidate, _)| candidate).collect();
    order.sort_by(|&a, &b| votes[b].total_cmp(&votes[a]));
    order
}

/// The place of a candidate in an order, from 1.
fn rank_of(candidate: usize, order: &[usize]) -> usize {
    1 + order.iter().take_while(|&&other| other != candidate).count()
}

/// Candidates by their mean distance from all groups.
fn same_for_all(centres: &[Vec<f32>], means: &[Vec<f32>]) -> Vec<usize> {
    let mean_distance = |profile: &Vec<f32>| -> f64 {
        centres.iter().map(|centre| distance(centre, profile)).sum()
    };
    let distances: Vec<f64> = means.iter().map(mean_distance).collect();
    let mut order: Vec<usize> = (0..means.len()).collect();
    order.sort_by(|&a, &b| distances[a].total_cmp(&distances[b]));
    order
}

/// The mean of rows.
fn mean(rows: &[f32], g: usize) -> Vec<f32> {
    let mut sum = vec![0.0_f64; g];
    for row in rows.chunks(g) {
        sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    let n = (rows.len() / g).max(1) as f64;
    #[allow(clippy::cast_possible_truncation, reason = "as narrow as the rows")]
    sum.into_iter().map(|sum| (sum / n) as f32).collect()
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;

    #[test]
    fn votes_count_profiles_of_a_candidate() {
        // Two candidates with two profiles each.
        let profiles = [0.0, 0.1, 5.0, 5.1];
        let cells = [0.2, 0.3, 4.9];
        let mut nearest = Nearest::new();
        merge(&mut nearest, &Neighbours::among(&cells, &profiles, 1, 2, &Silent).unwrap(), 0, 2);
        let shares = votes(&nearest, 2, 2);
        assert!((shares[0] - 4.0 / 6.0).abs() < 1e-12, "{shares:?}");
        assert_eq!(order_of(&shares, &[(1, 0.1), (0, 0.5)]), [0, 1]);
        // In two passes the same is found.
        let mut in_two = Nearest::new();
        for first in [0, 2] {
            let found =
                Neighbours::among(&cells, &profiles[first..first + 2], 1, 2, &Silent).unwrap();
            merge(&mut in_two, &found, first, 2);
        }
        let near = |nearest: &Nearest| -> Vec<Vec<usize>> {
            nearest.iter().map(|list| list.iter().map(|(_, profile)| *profile).collect()).collect()
        };
        assert_eq!(near(&in_two), near(&nearest));
    }
}
