//! Votes of neighbours on the label of a cell: who wins, and how sure that is.
//!
//! Every rule is a function of the votes alone and settles ties in one way, so the order in which
//! neighbours were found does not matter.

/// The vote of a neighbour that has a label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ballot {
    /// The code of its label.
    pub(super) label: u32,
    /// Its distance from the query, 0 to 2.
    pub(super) distance: f64,
}

/// How the votes of neighbours are counted: see the [example of the module](super).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Voting {
    /// Each neighbour has one vote.
    #[default]
    Majority,
    /// Votes for labels that are rare in the reference count more.
    Proportional,
}

/// The label of most votes; of equals the one with the smallest summed distance, then the first.
/// `None` without votes.
///
/// # Reference
/// The reference mapping tutorial. Differs: ties are settled; there the library decides.
pub(super) fn majority(votes: &[Ballot]) -> Option<u32> {
    let mut tally: Vec<(u32, usize, f64)> = Vec::new();
    for vote in votes {
        match tally.iter_mut().find(|(label, ..)| *label == vote.label) {
            Some((_, n, sum)) => {
                *n += 1;
                *sum += vote.distance;
            }
            None => tally.push((vote.label, 1, vote.distance)),
        }
    }
    let better = |a: &(u32, usize, f64), b: &(u32, usize, f64)| {
        b.1.cmp(&a.1).then(a.2.total_cmp(&b.2)).then(a.0.cmp(&b.0))
    };
    tally.into_iter().min_by(better).map(|(label, ..)| label)
}

/// Votes divided by the `proportions` of the labels in the reference, after a hundredth of all
/// votes was subtracted from the count of each label. Shares that add up to 1, largest first, those
/// of 0 left out.
///
/// # Reference
/// `weighted_vote`, and `compute_category_proportion`. Differs: none, up to ties, where the first
/// label comes first.
pub(super) fn proportional(votes: &[Ballot], proportions: &[f64]) -> Vec<(u32, f64)> {
    let mut counts = vec![0.0; proportions.len()];
    for vote in votes {
        counts[vote.label as usize] += 1.0;
    }
    let all = votes.len() as f64;
    let weight = |(count, proportion): (&f64, &f64)| {
        let rest: f64 = count - 0.01 * all;
        if *proportion > 0.0 { rest.max(0.0) / proportion } else { 0.0 }
    };
    let weights: Vec<f64> = counts.iter().zip(proportions).map(weight).collect();
    let sum: f64 = weights.iter().sum();
    let mut shares: Vec<(u32, f64)> = (0..)
        .zip(weights)
        .filter(|(_, weight)| *weight > 0.0)
        .map(|(label, weight)| (label, weight / sum))
        .collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares
}

/// How sure a label is, 0 to 1: the share of the votes for it, each weighted by the reciprocal of
/// its distance.
pub(super) fn confidence(votes: &[Ballot], label: u32) -> f64 {
    // Distances of unit vectors are at most 2; nothing is nearer than rounding can tell.
    let weight = |vote: &Ballot| 1.0 / vote.distance.max(1e-6);
    let all: f64 = votes.iter().map(weight).sum();
    let own: f64 = votes.iter().filter(|vote| vote.label == label).map(weight).sum();
    own / all.max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use scgpt_fixtures::cases;
    use scgpt_stats::Neighbours;

    use super::*;

    #[test]
    fn golden_voting() {
        let mut checked = 0;
        for case in cases(|case| case.json["name"] == "metrics") {
            let tensors = case.tensors("tensors.safetensors");
            let k = usize::try_from(case.json["voting"]["k"].as_u64().unwrap()).unwrap();
            let (reference, queries) =
                (tensors.f32("voting.reference"), tensors.f32("voting.query"));
            let d = tensors.shape("voting.query")[1];
            let labels = tensors.i64("voting.reference_labels");
            let found = Neighbours::among(&queries, &reference, d, k, &Silent).unwrap();
            let numbers = tensors.i64("voting.neighbours");
            let distances = tensors.f64("voting.distances");
            let (tied, nearest) =
                (tensors.bool("voting.tied"), tensors.i64("voting.nearest_among_tied"));
            for (query, found) in found.cells().enumerate() {
                for (place, &(distance, cell)) in found.iter().enumerate() {
                    assert_eq!(i64::try_from(cell).unwrap(), numbers[query * k + place]);
                    assert!((distance - distances[query * k + place]).abs() < 1e-5);
                }
                let votes: Vec<Ballot> = found
                    .iter()
                    .map(|&(distance, cell)| Ballot {
                        label: u32::try_from(labels[cell]).unwrap(),
                        distance,
                    })
                    .collect();
                let winner = i64::from(majority(&votes).unwrap());
                if tied[query] {
                    // Any of the tied labels; ours is the one that is nearer in sum.
                    let count = |label: i64| {
                        votes.iter().filter(|vote| i64::from(vote.label) == label).count()
                    };
                    assert_eq!(count(winner), count(nearest[query]));
                } else {
                    assert_eq!(winner, nearest[query]);
                }
                checked += 1;
            }
        }
        assert!(checked > 0, "no case of metrics");
    }

    fn votes(of: &[(u32, f64)]) -> Vec<Ballot> {
        of.iter().map(|&(label, distance)| Ballot { label, distance }).collect()
    }

    #[test]
    fn ties_go_to_the_nearer_then_to_the_first() {
        assert_eq!(majority(&votes(&[(1, 0.1), (0, 0.2), (1, 0.9), (0, 0.3)])), Some(0));
        assert_eq!(majority(&votes(&[(2, 0.5), (1, 0.5)])), Some(1));
        assert_eq!(majority(&[]), None);
    }

    #[test]
    fn rare_labels_count_more() {
        let votes = votes(&[(0, 0.1), (0, 0.1), (0, 0.1), (1, 0.1), (1, 0.1)]);
        let shares = proportional(&votes, &[0.9, 0.1, 0.0]);
        // (3 − 0.05) / 0.9 = 3.278 and (2 − 0.05) / 0.1 = 19.5.
        assert_eq!(shares.iter().map(|share| share.0).collect::<Vec<_>>(), [1, 0]);
        assert!((shares[0].1 - 19.5 / (19.5 + 2.95 / 0.9)).abs() < 1e-12);
    }

    #[test]
    fn confidence_weighs_by_distance() {
        let votes = votes(&[(0, 0.1), (1, 0.2), (1, 0.4)]);
        assert!((confidence(&votes, 0) - 10.0 / 17.5).abs() < 1e-12);
        assert!((confidence(&votes, 0) + confidence(&votes, 1) - 1.0).abs() < 1e-12);
    }
}
