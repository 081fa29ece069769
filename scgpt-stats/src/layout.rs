//! [`layout`]: the nodes of a graph on a plane, neighbours near each other.

use scgpt_data::{Keyed, Observer, Purpose, Result};

use crate::cluster::Graph;

/// Rounds in which the edges pull, each as often as its weight says.
const ROUNDS: u16 = 200;
/// Nodes that push for every pull.
const PUSHES: u64 = 5;
/// Longest move along an axis, before it is scaled.
const LONGEST: f32 = 4.0;
/// Width of the starting positions.
const WIDTH: f64 = 10.0;
/// Edges that are followed between two questions to an observer.
const ASKED: usize = 1 << 17;

/// Pulls its two nodes together once in so many rounds.
struct Pull {
    nodes: [usize; 2],
    period: f32,
    /// The round that ends with the next pull.
    next: f32,
}

/// One position a node, such that nodes with heavy edges are near each other, beginning at the
/// positions `start`.
///
/// The result depends on the graph, the start and the seed alone: edges are followed in their order,
/// on one thread.
///
/// # Errors
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Reference
/// `umap.layouts.optimize_layout_euclidean`; McInnes, Healy and Melville 2018.
/// Differs: begins at given positions instead of a spectral embedding; points are as near as
/// `1 / (1 + x²)` says, whatever the scale, which needs no powers: `1 / (1 + a x^2b)` with what
/// `find_ab_params(1.0, 0.3)` finds, 0.99 and 1.11, is nowhere further from it than 0.03.
pub fn layout(
    graph: &Graph,
    start: &[[f32; 2]],
    seed: u64,
    observer: &dyn Observer,
) -> Result<Vec<[f32; 2]>> {
    let mut places = started(start, seed);
    let n = places.len() as u64;
    let mut pulls = pulls(graph);
    if n < 3 {
        return Ok(places);
    }
    for round in 1..=ROUNDS {
        let key = Keyed::new(seed, Purpose::Cluster, u64::from(round), 2);
        let step = 1.0 - f32::from(round - 1) / f32::from(ROUNDS);
        let mut drawn = 0;
        for (number, pull) in pulls.iter_mut().enumerate() {
            if number.is_multiple_of(ASKED) {
                observer.check_cancelled()?;
            }
            if pull.next > f32::from(round) {
                continue;
            }
            pull.next += pull.period;
            let [node, other] = pull.nodes;
            let moved = along(places[node], places[other], step, |square| -2.0 / (1.0 + square));
            shift(&mut places[node], moved, 1.0);
            shift(&mut places[other], moved, -1.0);
            for _ in 0..PUSHES {
                #[allow(clippy::cast_possible_truncation, reason = "below the nodes")]
                let other = (((key.bits(drawn) >> 32) * n) >> 32) as usize;
                drawn += 1;
                let push = |square: f32| 2.0 / ((0.001 + square) * (1.0 + square));
                let moved = along(places[node], places[other], step, push);
                shift(&mut places[node], moved, 1.0);
            }
        }
    }
    Ok(places)
}

/// The edges of a graph, the heaviest of which pull in every round.
fn pulls(graph: &Graph) -> Vec<Pull> {
    let edges = || {
        let of =
            |node| graph.edges(node).iter().map(move |&(other, weight)| ([node, other], weight));
        (0..graph.len()).flat_map(of).filter(|(_, weight)| weight.is_finite() && *weight > 0.0)
    };
    let most = edges().map(|edge| edge.1).fold(0.0, f64::max);
    #[allow(clippy::cast_possible_truncation, reason = "a number of rounds")]
    let pull = |(nodes, weight)| {
        let period = (most / weight) as f32;
        Pull { nodes, period, next: period }
    };
    edges().map(pull).collect()
}

/// The starting positions at a common width, none exactly at another's place.
fn started(start: &[[f32; 2]], seed: u64) -> Vec<[f32; 2]> {
    let key = Keyed::new(seed, Purpose::Cluster, u64::MAX, 2);
    let ends = |axis: usize| {
        let values = start.iter().map(|place| f64::from(place[axis])).filter(|x| x.is_finite());
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |ends, x| (ends.0.min(x), ends.1.max(x)))
    };
    let ends = [ends(0), ends(1)];
    let place = |(node, place): (usize, &[f32; 2])| {
        [0, 1].map(|axis| {
            let (low, high) = ends[axis];
            let share = (f64::from(place[axis]) - low) / (high - low);
            let share = if share.is_finite() { share } else { 0.5 };
            #[allow(clippy::cast_possible_truncation, reason = "a position in a picture")]
            let place = (WIDTH * (share + 1e-3 * key.uniform((2 * node + axis) as u64))) as f32;
            place
        })
    };
    start.iter().enumerate().map(place).collect()
}

/// How a node at `from` moves, by a force that depends on the squared distance.
fn along(from: [f32; 2], to: [f32; 2], step: f32, force: impl Fn(f32) -> f32) -> [f32; 2] {
    let apart = [from[0] - to[0], from[1] - to[1]];
    let square = apart[0] * apart[0] + apart[1] * apart[1];
    if square <= 0.0 {
        return [0.0; 2];
    }
    let force = force(square);
    apart.map(|x| (force * x).clamp(-LONGEST, LONGEST) * step)
}

fn shift(place: &mut [f32; 2], by: [f32; 2], sign: f32) {
    place.iter_mut().zip(by).for_each(|(x, by)| *x += sign * by);
}

#[cfg(test)]
mod tests {
    use super::*;
    use scgpt_fixtures::questions;

    #[test]
    fn every_round_asks_whether_to_go_on() {
        let graph = Graph::from_edges(4, [(0, 1, 1.0), (1, 2, 0.5), (2, 3, 1.0)]);
        let start: [[f32; 2]; 4] = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]];
        let asked = questions(|observer| layout(&graph, &start, 0, observer));
        assert_eq!(asked, usize::from(ROUNDS));
    }
}
