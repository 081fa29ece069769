//! [`layout`]: the nodes of a graph on a plane, neighbours near each other.

use scgpt_data::{Keyed, Purpose};

use crate::cluster::Graph;

/// Rounds in which the edges pull, each as often as its weight says.
const ROUNDS: u32 = 400;
/// Nodes that push for every pull.
const PUSHES: u64 = 5;
/// The curve `1 / (1 + a x^2b)` whose points begin to be apart at 0.3: what
/// `umap.umap_.find_ab_params(1.0, 0.3)` finds.
const A: f64 = 0.992_175_62;
const B: f64 = 1.112_253_38;
/// Longest move along an axis, before it is scaled.
const LONGEST: f64 = 4.0;
/// Width of the starting positions.
const WIDTH: f64 = 10.0;

/// One position a node, such that nodes with heavy edges are near each other, beginning at the
/// positions `start`.
///
/// The result depends on the graph, the start and the seed alone: edges are followed in their order,
/// on one thread.
///
/// # Reference
/// `umap.layouts.optimize_layout_euclidean` with `min_dist=0.3`; McInnes, Healy and Melville 2018.
/// Differs: begins at given positions instead of a spectral embedding.
pub fn layout(graph: &Graph, start: &[[f32; 2]], seed: u64) -> Vec<[f32; 2]> {
    let mut places = started(start, seed);
    let n = places.len() as u64;
    let most = (0..graph.len()).flat_map(|node| graph.edges(node)).map(|edge| edge.1);
    let most = most.filter(|weight| weight.is_finite()).fold(0.0, f64::max);
    if n < 3 || most <= 0.0 {
        return narrow(&places);
    }
    for round in 0..ROUNDS {
        let key = Keyed::new(seed, Purpose::Cluster, u64::from(round), 2);
        let step = 1.0 - f64::from(round) / f64::from(ROUNDS);
        let mut drawn = 0;
        for node in 0..places.len() {
            for &(other, weight) in graph.edges(node) {
                // How often the edge has pulled before this round and after it.
                let share = weight / most;
                let times = |rounds: u32| (f64::from(rounds) * share).floor();
                if times(round + 1) <= times(round) {
                    continue;
                }
                let pull = |square: f64| {
                    let power = power(square);
                    -2.0 * A * B * power / square / (1.0 + A * power)
                };
                let moved = along(places[node], places[other], step, pull);
                shift(&mut places[node], moved, 1.0);
                shift(&mut places[other], moved, -1.0);
                for _ in 0..PUSHES {
                    #[allow(clippy::cast_possible_truncation, reason = "below the nodes")]
                    let other = (key.bits(drawn) % n) as usize;
                    drawn += 1;
                    let push =
                        |square: f64| 2.0 * B / ((0.001 + square) * (1.0 + A * power(square)));
                    let moved = along(places[node], places[other], step, push);
                    shift(&mut places[node], moved, 1.0);
                }
            }
        }
    }
    narrow(&places)
}

/// The starting positions at a common width, none exactly at another's place.
fn started(start: &[[f32; 2]], seed: u64) -> Vec<[f64; 2]> {
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
            WIDTH * (share + 1e-3 * key.uniform((2 * node + axis) as u64))
        })
    };
    start.iter().enumerate().map(place).collect()
}

/// The square of a distance to the power B. A layout is little but powers, and f32 is several times as
/// fast and exact enough for the eye.
#[allow(clippy::cast_possible_truncation, reason = "f32 is exact enough")]
fn power(square: f64) -> f64 {
    f64::from((square as f32).powf(B as f32))
}

/// How a node at `from` moves, by a force that depends on the squared distance.
fn along(from: [f64; 2], to: [f64; 2], step: f64, force: impl Fn(f64) -> f64) -> [f64; 2] {
    let apart = [from[0] - to[0], from[1] - to[1]];
    let square = apart[0].powi(2) + apart[1].powi(2);
    if square <= 0.0 {
        return [0.0; 2];
    }
    let force = force(square);
    apart.map(|x| (force * x).clamp(-LONGEST, LONGEST) * step)
}

fn shift(place: &mut [f64; 2], by: [f64; 2], sign: f64) {
    place.iter_mut().zip(by).for_each(|(x, by)| *x += sign * by);
}

#[allow(clippy::cast_possible_truncation, reason = "positions in a picture")]
fn narrow(places: &[[f64; 2]]) -> Vec<[f32; 2]> {
    places.iter().map(|place| place.map(|x| x as f32)).collect()
}
