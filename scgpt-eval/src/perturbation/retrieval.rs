//! [`Retrieval`]: how often a search finds the true condition.

use serde::Serialize;

use super::condition::Condition;

/// A ranking of candidates, best first, for each group.
pub type Rankings = Vec<Vec<usize>>;

/// How often a method finds the true condition among candidates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Retrieval {
    /// Name of the method.
    pub name: String,
    /// Number of groups whose true condition was looked for.
    pub groups: usize,
    /// Share of the groups whose truth is among the first 1, 2, … `k` candidates.
    pub hits: Vec<f64>,
    /// Share of the groups for which one of the first 1, 2, … `k` candidates has at least one of the
    /// perturbed genes.
    pub partial_hits: Vec<f64>,
    /// Mean place of the true condition, as a share of the candidates: 0 is the first, 0.5 is
    /// chance.
    pub mean_rank: f64,
}

impl Retrieval {
    /// Scores `rankings`, the order of the `candidates` for each group, over the `scored` groups,
    /// each given with the place of its true condition among the candidates. Hits are counted up to
    /// `k`.
    pub fn new(
        name: &str,
        rankings: &Rankings,
        scored: &[(usize, usize)],
        candidates: &[Condition],
        k: usize,
    ) -> Self {
        let n = scored.len() as f64;
        let share = |is_hit: &dyn Fn(&[usize], usize) -> bool, first: usize| {
            let is_in = |(group, truth): &&(usize, usize)| {
                let order = &rankings[*group];
                is_hit(&order[..first.min(order.len())], *truth)
            };
            scored.iter().filter(is_in).count() as f64 / n
        };
        let exact = |first: &[usize], truth: usize| first.contains(&truth);
        let partial = |first: &[usize], truth: usize| {
            let genes = candidates[truth].genes();
            first.iter().any(|&c| candidates[c].genes().iter().any(|gene| genes.contains(gene)))
        };
        let rank = |(group, truth): &(usize, usize)| {
            let place = rankings[*group].iter().position(|candidate| candidate == truth);
            place.unwrap_or(0) as f64 / (candidates.len() - 1).max(1) as f64
        };
        Self {
            name: name.into(),
            groups: scored.len(),
            hits: (1..=k).map(|first| share(&exact, first)).collect(),
            partial_hits: (1..=k).map(|first| share(&partial, first)).collect(),
            mean_rank: scored.iter().map(rank).sum::<f64>() / n,
        }
    }

    /// The scores that a random order of the candidates is expected to have.
    pub fn random(scored: &[(usize, usize)], candidates: &[Condition], k: usize) -> Self {
        let n = candidates.len();
        let related = |truth: usize| {
            let genes = candidates[truth].genes();
            let is = |c: &&Condition| c.genes().iter().any(|gene| genes.contains(gene));
            candidates.iter().filter(is).count()
        };
        // The chance that none of the first k is one of m among n.
        let missed = |m: usize, first: usize| -> f64 {
            (0..first.min(n)).map(|i| (n - m).saturating_sub(i) as f64 / (n - i) as f64).product()
        };
        let partial = |first: usize| {
            let of = |(_, truth): &(usize, usize)| 1.0 - missed(related(*truth), first);
            scored.iter().map(of).sum::<f64>() / scored.len() as f64
        };
        Self {
            name: "random".into(),
            groups: scored.len(),
            hits: (1..=k).map(|first| first.min(n) as f64 / n as f64).collect(),
            partial_hits: (1..=k).map(partial).collect(),
            mean_rank: 0.5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturbation::singles_and_pairs;

    #[test]
    fn random_hits_are_what_draws_would_find() {
        let genes: Vec<String> = ["A", "B", "C"].map(String::from).to_vec();
        let all = singles_and_pairs(&genes).unwrap();
        // A, AB, AC, B, BC, C: three of six have gene A.
        let random = Retrieval::random(&[(0, 0)], &all, 2);
        assert!((random.hits[0] - 1.0 / 6.0).abs() < 1e-12);
        assert!((random.partial_hits[0] - 0.5).abs() < 1e-12);
        assert!((random.partial_hits[1] - (1.0 - 0.5 * 2.0 / 5.0)).abs() < 1e-12);
    }

    #[test]
    fn hits_and_ranks() {
        let genes: Vec<String> = ["A", "B", "C"].map(String::from).to_vec();
        let all = singles_and_pairs(&genes).unwrap();
        // The truth AB (number 1) is second, after AC, which shares a gene.
        let rankings = vec![vec![2, 1, 0, 3, 4, 5]];
        let scored = Retrieval::new("x", &rankings, &[(0, 1)], &all, 3);
        assert_eq!((scored.hits, scored.partial_hits), (vec![0.0, 1.0, 1.0], vec![1.0; 3]));
        assert!((scored.mean_rank - 0.2).abs() < 1e-12);
    }
}
