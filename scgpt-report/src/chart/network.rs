//! Groups of nodes and the edges between them, laid out by forces.
//!
//! Each group has a field of its own, since a layout of all nodes at once would be the hairball that
//! networks of genes are known for. A layout takes time with the square of the nodes of a group: groups
//! are meant to have tens of nodes, the caller's most important.

use super::{WIDTH, cut, palette::HUES, shortened, svg};
use crate::escape::escape;

/// Nodes that belong together, drawn in a field of their own.
///
/// ```
/// use scgpt_report::{Cluster, Page};
///
/// let genes = ["SPI1", "CSF1R"].map(String::from).to_vec();
/// let cluster = Cluster { title: "myeloid".into(), nodes: genes, edges: vec![(0, 1, 0.9)] };
/// Page::new("Programmes", "").network(&[cluster], &[], "Genes that belong together.");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// What the nodes have in common.
    pub title: String,
    /// Names of the nodes, the most important first.
    pub nodes: Vec<String>,
    /// Edges between two nodes, each given by the places of both in `nodes`, and its strength, 0 to
    /// 1.
    pub edges: Vec<(usize, usize, f64)>,
}

/// Fields beside each other, and the width and height of one.
const COLUMNS: usize = 3;
const FIELD: [f64; 2] = [WIDTH / COLUMNS as f64, 236.0];
/// Room for the title, and at the other sides.
const TOP: f64 = 34.0;
const SIDE: f64 = 34.0;
/// Half of the room that a node needs with its name below it.
const HALF: [f64; 2] = [31.0, 15.0];
/// Rounds of the forces, and of moving names apart.
const ROUNDS: usize = 300;
const APART: usize = 200;
/// Letters of a title.
const TITLE: usize = 43;

/// `links` join nodes of different clusters, each given by cluster and node.
pub(crate) fn network(clusters: &[Cluster], links: &[[(usize, usize); 2]]) -> String {
    let places: Vec<Vec<[f64; 2]>> = clusters
        .iter()
        .enumerate()
        .map(|(number, cluster)| {
            let corner =
                [(number % COLUMNS) as f64 * FIELD[0], (number / COLUMNS) as f64 * FIELD[1]];
            layout(cluster).iter().map(|p| [corner[0] + p[0], corner[1] + p[1]]).collect()
        })
        .collect();
    let mut body = String::new();
    for [a, b] in links {
        let [[x1, y1], [x2, y2]] = [places[a.0][a.1], places[b.0][b.1]];
        body += &format!(
            "<path class=\"link\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"><title>{} – {}</title></path>",
            escape(&clusters[a.0].nodes[a.1]),
            escape(&clusters[b.0].nodes[b.1]),
        );
    }
    for (number, (cluster, places)) in clusters.iter().zip(&places).enumerate() {
        body += &drawn(cluster, places, number);
    }
    let says = clusters.iter().map(|it| format!("{}: {}", it.title, it.nodes.join(", ")));
    let label = says.collect::<Vec<_>>().join("; ");
    svg(clusters.len().div_ceil(COLUMNS).max(1) as f64 * FIELD[1], &label, &body)
}

/// One cluster in its field: title, edges below, nodes with their names above.
fn drawn(cluster: &Cluster, places: &[[f64; 2]], number: usize) -> String {
    let corner = [(number % COLUMNS) as f64 * FIELD[0], (number / COLUMNS) as f64 * FIELD[1]];
    let colour = number % HUES;
    let mut body = format!(
        "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\"><title>{}</title>{}</text>",
        corner[0] + 4.0,
        corner[1] + 14.0,
        escape(&cluster.title),
        escape(&cut(&cluster.title, TITLE)),
    );
    for &(a, b, strength) in &cluster.edges {
        let ([x1, y1], [x2, y2]) = (places[a], places[b]);
        body += &format!(
            "<path style=\"stroke:var(--c{colour})\" stroke-opacity=\"{:.2}\" stroke-width=\"{:.1}\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\">\
             <title>{} – {}: strength {strength:.2}</title></path>",
            0.45 + 0.35 * strength,
            0.7 + 1.3 * strength,
            escape(&cluster.nodes[a]),
            escape(&cluster.nodes[b]),
        );
    }
    for (place, (name, [x, y])) in cluster.nodes.iter().zip(places).enumerate() {
        // The most important ones are the largest.
        let radius = 7.0 - 3.5 * place as f64 / cluster.nodes.len() as f64;
        body += &format!(
            "<circle style=\"fill:var(--c{colour})\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"><title>{}</title></circle>\
             <text class=\"node\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            escape(name),
            y + 19.0,
            escape(&shortened(name)),
        );
    }
    body
}

/// Where the nodes are in their field: they repel each other, edges pull them together (Fruchterman
/// and Reingold 1991), and in the end names are moved apart. Nothing is random.
fn layout(cluster: &Cluster) -> Vec<[f64; 2]> {
    let n = cluster.nodes.len();
    let middle = [FIELD[0] / 2.0, TOP + (FIELD[1] - TOP) / 2.0];
    let golden = std::f64::consts::PI * (3.0 - 5.0_f64.sqrt());
    let start = |node: usize| {
        let (angle, radius) = (golden * node as f64, 16.0 * (node as f64 + 0.5).sqrt());
        [middle[0] + 1.4 * radius * angle.cos(), middle[1] + radius * angle.sin()]
    };
    let mut places: Vec<[f64; 2]> = (0..n).map(start).collect();
    // The distance at which forces are even, wider than high as names are.
    let even = (0.6 * (FIELD[0] - 2.0 * SIDE) * (FIELD[1] - TOP - SIDE) / n.max(1) as f64).sqrt();
    // Where every node has many edges, each pulls less.
    let slack = 1.0 + cluster.edges.len() as f64 / n.max(1) as f64;
    for round in 0..ROUNDS {
        let mut forces = vec![[0.0; 2]; n];
        for a in 0..n {
            for b in 0..a {
                push(&mut forces, &places, (a, b), |distance| even * even / distance);
            }
        }
        for &(a, b, strength) in &cluster.edges {
            let pull = |distance: f64| -(0.3 + strength) * distance * distance / (even * slack);
            push(&mut forces, &places, (a, b), pull);
        }
        let most = 12.0 * (1.0 - round as f64 / ROUNDS as f64) + 0.05;
        for (place, force) in places.iter_mut().zip(&forces) {
            let length = force[0].hypot(force[1]).max(1e-9);
            let step = length.min(most) / length;
            *place = within([place[0] + force[0] * step, place[1] + force[1] * step]);
        }
    }
    for _ in 0..APART {
        for a in 0..n {
            for b in 0..a {
                move_apart(&mut places, a, b);
            }
        }
    }
    places
}

/// Adds a force between two nodes, a function of their distance.
fn push(
    forces: &mut [[f64; 2]],
    places: &[[f64; 2]],
    (a, b): (usize, usize),
    force: impl Fn(f64) -> f64,
) {
    let apart = [places[a][0] - places[b][0], places[a][1] - places[b][1]];
    let distance = apart[0].hypot(apart[1]).max(0.5);
    for axis in 0..2 {
        let part = force(distance) * apart[axis] / distance;
        forces[a][axis] += part;
        forces[b][axis] -= part;
    }
}

/// Moves two nodes apart if their names overlap, the shorter way.
fn move_apart(places: &mut [[f64; 2]], a: usize, b: usize) {
    let apart = [0, 1].map(|axis| places[a][axis] - places[b][axis]);
    let overlap = [0, 1].map(|axis| 2.0 * HALF[axis] - apart[axis].abs());
    if overlap[0] <= 0.0 || overlap[1] <= 0.0 {
        return;
    }
    let axis = usize::from(overlap[1] < overlap[0]);
    let half = overlap[axis] / 2.0 * if apart[axis] < 0.0 { -1.0 } else { 1.0 };
    places[a][axis] += half;
    places[b][axis] -= half;
    places[a] = within(places[a]);
    places[b] = within(places[b]);
}

/// The place in the field, inside its margins, that is nearest.
fn within(place: [f64; 2]) -> [f64; 2] {
    [place[0].clamp(SIDE, FIELD[0] - SIDE), place[1].clamp(TOP, FIELD[1] - SIDE)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(n: usize) -> Cluster {
        let edges = (1..n).map(|node| (0, node, node as f64 / n as f64)).collect();
        let nodes = (0..n).map(|node| format!("<GENE{node}>")).collect();
        Cluster { title: "a & b".repeat(20), nodes, edges }
    }

    #[test]
    fn names_do_not_overlap_and_stay_in_their_field() {
        for n in [1, 2, 5, 10] {
            let places = layout(&cluster(n));
            assert_eq!(places, layout(&cluster(n)));
            for a in 0..n {
                let kept = within(places[a]);
                assert!((0..2).all(|axis| (places[a][axis] - kept[axis]).abs() < 1e-9));
                for b in 0..a {
                    let gap = [0, 1].map(|axis| (places[a][axis] - places[b][axis]).abs());
                    let is_clear = gap[0] > 2.0 * HALF[0] - 1.0 || gap[1] > 2.0 * HALF[1] - 1.0;
                    assert!(is_clear, "{n}: {a} {b} {gap:?}");
                }
            }
        }
    }

    #[test]
    fn every_node_edge_and_link_is_drawn() {
        let clusters = [cluster(4), cluster(3), cluster(2), cluster(2)];
        let drawn = network(&clusters, &[[(0, 1), (3, 0)]]);
        assert_eq!(drawn.matches("<circle").count(), 11);
        assert_eq!(drawn.matches("<path style").count(), 7);
        assert_eq!(drawn.matches("class=\"link\"").count(), 1);
        assert!(drawn.contains("&lt;GENE0&gt;") && !drawn.contains("<GENE0>"));
        assert!(drawn.contains('…') && !drawn.contains("NaN"));
        assert!(!network(&[], &[]).contains("NaN"));
    }
}
