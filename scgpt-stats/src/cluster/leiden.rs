//! [`leiden`] and [`louvain`]: communities of a graph.

use std::collections::VecDeque;

use scgpt_data::{Keyed, Observer, Purpose, Result};

use super::{graph::Graph, weights::Weights};

/// Most passes over the graph; it takes two to four until nothing gets better.
const PASSES: u64 = 20;
/// Gain of modularity below which a pass was the last.
const LEAST_GAIN: f64 = 1e-10;
/// What a move must gain: more than sums in another order differ by. Without it nodes could be
/// moved in circles.
const LEAST_MOVE: f64 = 1e-12;
/// Nodes that are visited between two questions to an observer.
const ASKED: usize = 10_000;

/// The community of every node, numbered from 0 by decreasing size, such that modularity is as high
/// as could be found. The higher the `resolution`, the more communities.
///
/// Every community is connected. The result is the same for the same graph, resolution and seed.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Reference
/// Traag, Waltman and van Eck 2019; `scanpy.tl.leiden` with `n_iterations=-1`, that is `leidenalg`
/// with `RBConfigurationVertexPartition`. Differs: nodes are visited in an order of their own,
/// and, as in the paper, only well-connected parts are merged when a community is refined.
pub fn leiden(
    graph: &Graph,
    resolution: f64,
    seed: u64,
    observer: &dyn Observer,
) -> Result<Vec<usize>> {
    let mut communities: Vec<usize> = (0..graph.len()).collect();
    let mut quality = f64::NEG_INFINITY;
    for pass in 0..PASSES {
        let mut next = communities.clone();
        improve(graph, resolution, (seed, pass), true, &mut next, observer)?;
        let reached = graph.modularity(&next, resolution);
        if reached <= quality + LEAST_GAIN {
            break;
        }
        (communities, quality) = (next, reached);
    }
    Ok(by_size(&communities))
}

/// The communities of a graph by the older method, which merges communities as they are, in one pass:
/// not every community need be connected. See [`leiden`].
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Reference
/// Blondel et al. 2008; `scanpy.tl.louvain`, that is `louvain` with `RBConfigurationVertexPartition`.
/// Differs: nodes are visited in an order of their own.
pub fn louvain(
    graph: &Graph,
    resolution: f64,
    seed: u64,
    observer: &dyn Observer,
) -> Result<Vec<usize>> {
    let mut communities: Vec<usize> = (0..graph.len()).collect();
    improve(graph, resolution, (seed, 0), false, &mut communities, observer)?;
    Ok(by_size(&communities))
}

/// One pass: moves nodes, then groups of them, then groups of groups. Groups are communities, or
/// what they are refined to.
fn improve(
    graph: &Graph,
    resolution: f64,
    (seed, pass): (u64, u64),
    refines: bool,
    communities: &mut [usize],
    observer: &dyn Observer,
) -> Result<()> {
    let mut groups: Vec<usize> = (0..graph.len()).collect();
    let mut coarse = None;
    let mut partition = communities.to_vec();
    renumber(&mut partition);
    for level in 0.. {
        let graph = coarse.as_ref().unwrap_or(graph);
        let key = Keyed::new(seed, Purpose::Cluster, pass, level);
        let search = Search { graph, resolution, key, observer };
        search.move_nodes(&mut partition)?;
        let n = renumber(&mut partition);
        for (community, &group) in communities.iter_mut().zip(&groups) {
            *community = partition[group];
        }
        if n == graph.len() {
            return Ok(());
        }
        let mut refined = if refines { search.refine(&partition, n)? } else { partition.clone() };
        let n = renumber(&mut refined);
        if n == graph.len() {
            return Ok(());
        }
        let mut partition_of_refined = vec![0; n];
        for (&refined, &community) in refined.iter().zip(&partition) {
            partition_of_refined[refined] = community;
        }
        for group in &mut groups {
            *group = refined[*group];
        }
        partition = partition_of_refined;
        coarse = Some(graph.aggregate(&refined, n));
    }
    Ok(())
}

struct Search<'a> {
    graph: &'a Graph,
    resolution: f64,
    key: Keyed,
    observer: &'a dyn Observer,
}

impl Search<'_> {
    /// Asks the observer now and then, at the visit of a node.
    fn ask(&self, number: usize) -> Result<()> {
        if number.is_multiple_of(ASKED) { self.observer.check_cancelled() } else { Ok(()) }
    }

    /// Nodes in the order in which they are visited.
    fn order(&self, salt: u64) -> Vec<usize> {
        let n = self.graph.len();
        let mut order: Vec<(u64, usize)> =
            (0..n).map(|node| (self.key.bits(2 * node as u64 + salt), node)).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, node)| node).collect()
    }

    /// The edges that chance would put between nodes of these degrees.
    fn expected(&self, a: f64, b: f64) -> f64 {
        self.resolution * a * b / self.graph.total().max(f64::MIN_POSITIVE)
    }

    /// Moves every node to the neighbouring community, or a new one, where modularity gains most,
    /// until none gains from moving. A node is looked at again when a neighbour has left.
    fn move_nodes(&self, partition: &mut [usize]) -> Result<()> {
        let n = self.graph.len();
        let (mut degrees, mut sizes) = (vec![0.0; n], vec![0_usize; n]);
        for (node, &community) in partition.iter().enumerate() {
            degrees[community] += self.graph.degree(node);
            sizes[community] += 1;
        }
        let mut empty: Vec<usize> =
            (0..n).rev().filter(|&community| sizes[community] == 0).collect();
        let mut queue: VecDeque<usize> = self.order(0).into();
        let mut is_queued = vec![true; n];
        let mut weights = Weights::new(n);
        for number in 0.. {
            self.ask(number)?;
            let Some(node) = queue.pop_front() else { break };
            is_queued[node] = false;
            let (home, degree) = (partition[node], self.graph.degree(node));
            weights.collect(self.graph.edges(node).iter().map(|&(other, w)| (partition[other], w)));
            degrees[home] -= degree;
            sizes[home] -= 1;
            let gain =
                |community: usize, weight: f64| weight - self.expected(degree, degrees[community]);
            let mut best = (home, gain(home, weights.of(home)));
            // Alone, a node neither gains nor loses.
            if sizes[home] > 0
                && best.1 < -LEAST_MOVE
                && let Some(&new) = empty.last()
            {
                best = (new, 0.0);
            }
            for &community in weights.touched() {
                let gained = gain(community, weights.of(community));
                if gained > best.1 + LEAST_MOVE {
                    best = (community, gained);
                }
            }
            let to = best.0;
            degrees[to] += degree;
            sizes[to] += 1;
            if to == home {
                continue;
            }
            if empty.last() == Some(&to) {
                empty.pop();
            }
            if sizes[home] == 0 {
                empty.push(home);
            }
            partition[node] = to;
            for &(other, _) in self.graph.edges(node) {
                if partition[other] != to && !is_queued[other] {
                    is_queued[other] = true;
                    queue.push_back(other);
                }
            }
        }
        Ok(())
    }

    /// Splits each of the `n` communities into parts: nodes begin alone, and each that still is
    /// joins the part of its community where modularity gains most. Only nodes and parts that are
    /// well connected to the rest of their community take part.
    fn refine(&self, partition: &[usize], n: usize) -> Result<Vec<usize>> {
        let graph = self.graph;
        let mut community_degrees = vec![0.0; n];
        for (node, &community) in partition.iter().enumerate() {
            community_degrees[community] += graph.degree(node);
        }
        let mut parts: Vec<usize> = (0..graph.len()).collect();
        let mut degrees: Vec<f64> = parts.iter().map(|&node| graph.degree(node)).collect();
        let mut sizes = vec![1_usize; graph.len()];
        // Weight of edges from a part to the rest of its community.
        let mut outward: Vec<f64> = (0..graph.len())
            .map(|node| {
                let inner = graph.edges(node).iter().filter(|e| partition[e.0] == partition[node]);
                inner.map(|edge| edge.1).sum()
            })
            .collect();
        let mut weights = Weights::new(graph.len());
        for (number, node) in self.order(1).into_iter().enumerate() {
            self.ask(number)?;
            let (own, community) = (parts[node], partition[node]);
            let is_connected = |part: usize, degrees: &[f64], outward: &[f64]| {
                let rest = community_degrees[community] - degrees[part];
                outward[part] >= self.expected(degrees[part], rest)
            };
            if sizes[own] != 1 || !is_connected(own, &degrees, &outward) {
                continue;
            }
            let inner = graph.edges(node).iter().filter(|edge| partition[edge.0] == community);
            weights.collect(inner.map(|&(other, weight)| (parts[other], weight)));
            let mut best = (own, 0.0);
            for &part in weights.touched() {
                let gained = weights.of(part) - self.expected(degrees[own], degrees[part]);
                if gained > best.1 + LEAST_MOVE && is_connected(part, &degrees, &outward) {
                    best = (part, gained);
                }
            }
            let to = best.0;
            if to != own {
                parts[node] = to;
                sizes[own] = 0;
                sizes[to] += 1;
                degrees[to] += degrees[own];
                outward[to] += outward[own] - 2.0 * weights.of(to);
            }
        }
        Ok(parts)
    }
}

/// Numbers groups from 0 in the order in which they occur; says how many there are.
fn renumber(groups: &mut [usize]) -> usize {
    let mut numbers = vec![usize::MAX; groups.iter().max().map_or(0, |last| last + 1)];
    let mut n = 0;
    for group in groups {
        if numbers[*group] == usize::MAX {
            numbers[*group] = n;
            n += 1;
        }
        *group = numbers[*group];
    }
    n
}

/// Numbers groups from 0, the largest first; of equal ones the one that occurs first.
fn by_size(groups: &[usize]) -> Vec<usize> {
    let mut groups = groups.to_vec();
    let n = renumber(&mut groups);
    let mut sizes = vec![0_usize; n];
    for &group in &groups {
        sizes[group] += 1;
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|&group| std::cmp::Reverse(sizes[group]));
    let mut numbers = vec![0; n];
    order.into_iter().enumerate().for_each(|(number, group)| numbers[group] = number);
    groups.into_iter().map(|group| numbers[group]).collect()
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;
    use scgpt_fixtures::questions;

    /// Friendships in a karate club (Zachary 1977): for each member those of higher number.
    const CLUB: [&[usize]; 33] = [
        &[1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 17, 19, 21, 31],
        &[2, 3, 7, 13, 17, 19, 21, 30],
        &[3, 7, 8, 9, 13, 27, 28, 32],
        &[7, 12, 13],
        &[6, 10],
        &[6, 10, 16],
        &[16],
        &[],
        &[30, 32, 33],
        &[33],
        &[],
        &[],
        &[],
        &[33],
        &[32, 33],
        &[32, 33],
        &[],
        &[],
        &[32, 33],
        &[33],
        &[32, 33],
        &[],
        &[32, 33],
        &[25, 27, 29, 32, 33],
        &[25, 27, 31],
        &[31],
        &[29, 33],
        &[33],
        &[31, 33],
        &[32, 33],
        &[32, 33],
        &[32, 33],
        &[33],
    ];

    #[test]
    fn the_karate_club_has_the_known_modularity() {
        let edges = CLUB
            .iter()
            .enumerate()
            .flat_map(|(a, others)| others.iter().map(move |&b| (a, b, 1.0)));
        let graph = Graph::from_edges(34, edges);
        // The optimum is known from exhaustive search: four communities (Brandes et al. 2008).
        for seed in 0..20 {
            let found = leiden(&graph, 1.0, seed, &Silent).unwrap();
            assert!((graph.modularity(&found, 1.0) - 0.419_789_61).abs() < 1e-8, "seed {seed}");
            assert_eq!(found.iter().max(), Some(&3));
        }
    }

    /// `groups` of `size` nodes; the probability of an edge inside and between them.
    fn planted(groups: usize, size: usize, inside: f64, between: f64) -> (Graph, Vec<usize>) {
        let n = groups * size;
        let key = Keyed::new(5, Purpose::Simulate, 0, 0);
        let edges = (0..n).flat_map(|a| (0..a).map(move |b| (a, b))).filter(|&(a, b)| {
            let chance = if a / size == b / size { inside } else { between };
            key.uniform((a * n + b) as u64) < chance
        });
        let graph = Graph::from_edges(n, edges.map(|(a, b)| (a, b, 1.0)));
        (graph, (0..n).map(|node| node / size).collect())
    }

    #[test]
    fn planted_groups_are_found_again() {
        let (graph, truth) = planted(8, 60, 0.3, 0.01);
        let found = leiden(&graph, 1.0, 0, &Silent).unwrap();
        assert_eq!(found, by_size(&truth));
        assert_eq!(found, leiden(&graph, 1.0, 0, &Silent).unwrap());
    }

    #[test]
    fn resolution_sets_the_number_of_communities_and_each_is_connected() {
        let (graph, _) = planted(4, 100, 0.08, 0.02);
        let mut last = 0;
        for resolution in [0.1, 1.0, 3.0] {
            let found = leiden(&graph, resolution, 1, &Silent).unwrap();
            let n = found.iter().max().unwrap() + 1;
            assert!(n > last, "{n} communities at {resolution}");
            last = n;
            for community in 0..n {
                let first = found.iter().position(|&c| c == community).unwrap();
                let mut reached = vec![first];
                let mut is_reached = vec![false; graph.len()];
                is_reached[first] = true;
                let mut next = 0;
                while next < reached.len() {
                    for &(other, _) in graph.edges(reached[next]) {
                        if found[other] == community && !is_reached[other] {
                            is_reached[other] = true;
                            reached.push(other);
                        }
                    }
                    next += 1;
                }
                assert_eq!(reached.len(), found.iter().filter(|&&c| c == community).count());
            }
        }
    }

    #[test]
    fn louvain_finds_planted_groups_too() {
        let (graph, truth) = planted(8, 60, 0.3, 0.01);
        assert_eq!(louvain(&graph, 1.0, 0, &Silent).unwrap(), by_size(&truth));
        assert!(louvain(&Graph::from_edges(0, []), 1.0, 0, &Silent).unwrap().is_empty());
    }

    #[test]
    fn nodes_without_edges_stay_alone() {
        assert_eq!(leiden(&Graph::from_edges(3, []), 1.0, 0, &Silent).unwrap(), [0, 1, 2]);
        assert_eq!(
            leiden(&Graph::from_edges(3, [(1, 2, 1.0)]), 1.0, 0, &Silent).unwrap(),
            [1, 0, 0]
        );
        assert!(leiden(&Graph::from_edges(0, []), 1.0, 0, &Silent).unwrap().is_empty());
    }

    #[test]
    fn every_so_many_visits_it_is_asked_whether_to_go_on() {
        let n = 3 * ASKED;
        let ring = Graph::from_edges(n, (0..n).map(|node| (node, (node + 1) % n, 1.0)));
        // At least three times a level, on its way through all nodes.
        assert!(questions(|observer| leiden(&ring, 1.0, 0, observer)) > 6);
        assert!(questions(|observer| louvain(&ring, 1.0, 0, observer)) > 3);
    }
}
