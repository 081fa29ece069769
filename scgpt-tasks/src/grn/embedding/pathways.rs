//! [`NetworkPathways`]: how many of the known gene sets a network finds.
//!
//! Two measures, because each alone can be deceived. Gene sets of programmes depend on how a
//! network is cut into communities; whether its weights tell pairs that share a set from pairs that
//! do not needs no communities, but says nothing of groups.

use std::collections::{BTreeSet, HashMap};

use scgpt_data::{Keyed, Observer, Purpose};
use scgpt_eval::network::{Background, Enriched, GenePairs, GeneSets, enrich};
use scgpt_stats::area_under_roc;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// False-discovery rate up to which a set counts as found.
const FOUND: f64 = 0.05;
/// Most genes of a set whose pairs count as belonging together; larger sets say little.
const LARGEST: usize = 200;

/// Gene sets that a network finds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NetworkPathways {
    /// The method that made the network.
    pub method: String,
    /// Number of programmes.
    pub programmes: usize,
    /// Number of genes in them.
    pub genes: usize,
    /// Number of programmes with a set at a false-discovery rate of 5 %.
    pub with_set: usize,
    /// Number of different sets that some programme has at a false-discovery rate of 5 %.
    pub sets: usize,
    /// As `sets`, but by Bonferroni's correction, as the reference counts.
    pub sets_bonferroni: usize,
    /// How well weights tell pairs of genes that share a set of at most 200 genes from pairs that
    /// do not, both genes being in such a set (area under the ROC curve; 0.5 is chance).
    pub pairs: Option<f64>,
}

impl NetworkPathways {
    /// Looks up `lists`, the genes of each programme, in all `libraries`, and judges the `weights`
    /// of all pairs of `genes`; returns the enriched sets beside the row.
    ///
    /// # Errors
    /// If a library has no gene in common with the background;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub(super) fn new(
        method: &str,
        lists: &[Vec<String>],
        weights: &GenePairs,
        (genes, background): (&[String], &Background),
        libraries: &[GeneSets],
        observer: &dyn Observer,
    ) -> Result<(Self, Vec<Enriched>)> {
        let mut enriched = Vec::new();
        for library in libraries {
            enriched.extend(enrich(lists, library, background, observer)?);
        }
        let found = |keep: &dyn Fn(&Enriched) -> bool| -> BTreeSet<(&str, &str)> {
            let kept = enriched.iter().filter(|it| keep(it));
            kept.map(|it| (it.library.as_str(), it.set.as_str())).collect()
        };
        let by_rate = enriched.iter().filter(|it| it.q < FOUND);
        let row = Self {
            method: method.into(),
            programmes: lists.len(),
            genes: lists.iter().map(Vec::len).sum(),
            with_set: by_rate.map(|it| it.list).collect::<BTreeSet<_>>().len(),
            sets: found(&|it| it.q < FOUND).len(),
            sets_bonferroni: found(&|it| it.bonferroni < FOUND).len(),
            pairs: separation(weights, genes, libraries, observer)?,
        };
        Ok((row, enriched))
    }
}

/// How well weights tell pairs that share a set from those that do not, by the area under the ROC
/// curve; `None` if all pairs are of one kind. Sets of more than [`LARGEST`] genes are left out.
fn separation(
    weights: &GenePairs,
    genes: &[String],
    libraries: &[GeneSets],
    observer: &dyn Observer,
) -> scgpt_data::Result<Option<f64>> {
    let numbers: HashMap<&str, usize> = genes.iter().map(String::as_str).zip(0..).collect();
    let mut sets_of: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); genes.len()];
    let sets = libraries.iter().flat_map(|library| &library.sets);
    for (number, set) in sets.filter(|set| set.genes.len() <= LARGEST).enumerate() {
        for gene in set.genes.iter().filter_map(|gene| numbers.get(gene.as_str())) {
            sets_of[*gene].insert(number);
        }
    }
    let (mut scores, mut share) = (Vec::new(), Vec::new());
    for (i, j, weight) in weights.iter() {
        if j == i + 1 {
            observer.check_cancelled()?;
        }
        if !sets_of[i].is_empty() && !sets_of[j].is_empty() && !weight.is_nan() {
            scores.push(weight);
            share.push(!sets_of[i].is_disjoint(&sets_of[j]));
        }
    }
    area_under_roc(&scores, &share, observer)
}

/// Lists of the same sizes as `lists`, of other genes at random.
pub(super) fn shuffled(lists: &[Vec<String>], genes: &[String], seed: u64) -> Vec<Vec<String>> {
    let key = Keyed::new(seed, Purpose::Permute, u64::MAX, 0);
    let mut order: Vec<usize> = (0..genes.len()).collect();
    order.sort_unstable_by_key(|&gene| key.bits(gene as u64));
    let mut drawn = order.into_iter().map(|gene| genes[gene].clone());
    lists.iter().map(|list| drawn.by_ref().take(list.len()).collect()).collect()
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use scgpt_eval::network::GeneSet;

    use super::*;

    #[test]
    fn weights_that_follow_sets_are_told_from_others() {
        let genes: Vec<String> = (0..12).map(|gene| format!("G{gene}")).collect();
        let set = |first: usize| GeneSet {
            name: format!("{first}"),
            genes: genes[first..first + 4].to_vec(),
        };
        let library = GeneSets { library: "l".into(), sets: vec![set(0), set(4)] };
        let libraries = [library];
        let of = |weight: &(dyn Fn(usize, usize) -> f32 + Sync)| {
            separation(&GenePairs::new(12, weight), &genes, &libraries, &Silent).unwrap()
        };
        assert_eq!(of(&|i, j| f32::from(u8::from(i / 4 == j / 4))), Some(1.0));
        assert_eq!(of(&|_, _| 1.0), Some(0.5));
        assert_eq!(
            separation(&GenePairs::new(12, |_, _| 1.0), &genes, &[], &Silent).unwrap(),
            None
        );
        let lists = [genes[..4].to_vec(), genes[4..8].to_vec()];
        let background = Background::Genes(genes.iter().cloned().collect());
        let weights = GenePairs::new(12, |_, _| 0.0);
        let (row, _) =
            NetworkPathways::new("m", &lists, &weights, (&genes, &background), &libraries, &Silent)
                .unwrap();
        assert_eq!((row.sets, row.with_set, row.sets_bonferroni, row.genes), (2, 2, 2, 8));
        let random = shuffled(&lists, &genes, 1);
        assert_eq!(random.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4]);
        assert_ne!(random, lists);
    }
}
