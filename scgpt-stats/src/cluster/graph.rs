//! [`Graph`]: cells and how strongly they are connected.

use scgpt_data::{Observer, Result};

use crate::neighbours::Neighbours;

/// Rounds in which the scale of a neighbourhood is halved or doubled, and how close is enough.
const SEARCH_ROUNDS: usize = 64;
const SEARCH_TOLERANCE: f64 = 1e-5;
/// Least scale of a neighbourhood, as a share of the mean distance.
const LEAST_SCALE: f64 = 1e-3;
/// Cells whose scale is sought between two questions to an observer.
const ASKED: usize = 10_000;

/// An undirected weighted graph. Both directions of an edge are stored; an edge from a node to
/// itself, which stands for edges inside a group of cells, has the weight of both.
///
/// ```
/// use scgpt_data::Silent;
/// use scgpt_stats::{Graph, leiden};
///
/// // Two triangles, joined by one weak edge.
/// let edges = [(0, 1, 1.0), (1, 2, 1.0), (0, 2, 1.0), (3, 4, 1.0), (4, 5, 1.0), (3, 5, 1.0)];
/// let graph = Graph::from_edges(6, edges.into_iter().chain([(2, 3, 0.1)]));
/// assert_eq!(leiden(&graph, 1.0, 0, &Silent)?, [0, 0, 0, 1, 1, 1]);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    offsets: Vec<usize>,
    edges: Vec<(usize, f64)>,
    loops: Vec<f64>,
    degrees: Vec<f64>,
    total: f64,
}

impl Graph {
    /// A graph of `n` nodes with these undirected edges, each given once, between different nodes;
    /// an edge given twice has both weights.
    ///
    /// # Panics
    /// If a node is not below `n`.
    pub fn from_edges(n: usize, edges: impl IntoIterator<Item = (usize, usize, f64)>) -> Self {
        let mut ends: Vec<(usize, usize, f64)> =
            edges.into_iter().flat_map(|(a, b, weight)| [(a, b, weight), (b, a, weight)]).collect();
        ends.sort_by_key(|&(a, b, _)| (a, b));
        ends.dedup_by(|next, kept| {
            let same = (next.0, next.1) == (kept.0, kept.1);
            if same {
                kept.2 += next.2;
            }
            same
        });
        let mut offsets = vec![0; n + 1];
        for &(a, _, _) in &ends {
            offsets[a + 1] += 1;
        }
        for node in 0..n {
            offsets[node + 1] += offsets[node];
        }
        Self::new(
            offsets,
            ends.into_iter().map(|(_, b, weight)| (b, weight)).collect(),
            vec![0.0; n],
        )
    }

    /// The graph of cells and their neighbours, weighted by how strongly they are connected:
    /// certainly to the nearest, less with distance beyond it, on a scale by which each has about
    /// `log2(k + 1)` neighbours; the two directions of an edge are joined as independent chances,
    /// `a + b - a b`.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Reference
    /// `scanpy.pp.neighbors(n_neighbors=k + 1)`, which counts the cell itself, that is
    /// `umap.umap_.fuzzy_simplicial_set`; McInnes, Healy and Melville 2018.
    pub fn fuzzy(neighbours: &Neighbours, observer: &dyn Observer) -> Result<Self> {
        Self::of_nearest(&neighbours.cells().collect::<Vec<_>>(), neighbours.k(), observer)
    }

    /// As [`fuzzy`](Self::fuzzy), from lists of the `k` nearest of each cell, or as many as it has: their
    /// distances and numbers, the nearest first.
    ///
    /// # Errors
    /// As [`fuzzy`](Self::fuzzy).
    pub fn of_nearest(
        cells: &[&[(f64, usize)]],
        k: usize,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let (with_self, n) = ((k + 1) as f64, cells.len());
        let sums = cells.iter().map(|cell| cell.iter().map(|&(x, _)| x).sum::<f64>());
        let overall = sums.sum::<f64>() / (with_self * n.max(1) as f64);
        let mut chances: Vec<(usize, usize, f64)> = Vec::with_capacity(n * k);
        for (cell, &nearest) in cells.iter().enumerate() {
            if cell.is_multiple_of(ASKED) {
                observer.check_cancelled()?;
            }
            let first = nearest.iter().map(|&(x, _)| x).find(|&x| x > 0.0).unwrap_or(0.0);
            let mean = nearest.iter().map(|&(x, _)| x).sum::<f64>() / with_self;
            let least = LEAST_SCALE * if first > 0.0 { mean } else { overall };
            let scale = scale(nearest, first, with_self.log2()).max(least);
            chances.extend(
                nearest.iter().map(|&(x, other)| {
                    (cell.min(other), cell.max(other), chance(x - first, scale))
                }),
            );
        }
        chances.sort_by_key(|&(a, b, _)| (a, b));
        chances.dedup_by(|next, kept| {
            let same = (next.0, next.1) == (kept.0, kept.1);
            if same {
                kept.2 += next.2 - kept.2 * next.2;
            }
            same
        });
        observer.check_cancelled()?;
        Ok(Self::from_edges(n, chances))
    }

    /// A graph of the same edges, all of weight 1.
    #[must_use]
    pub fn unweighted(&self) -> Self {
        let edges = self.edges.iter().map(|&(other, weight)| (other, weight.signum())).collect();
        Self::new(self.offsets.clone(), edges, vec![0.0; self.len()])
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.loops.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.loops.is_empty()
    }

    /// Nodes to which a node has an edge.
    pub fn neighbours(&self, node: usize) -> impl Iterator<Item = usize> {
        self.edges(node).iter().filter(|edge| edge.1 > 0.0).map(|edge| edge.0)
    }

    /// How much denser the edges inside communities are than chance would have it: the sum over
    /// communities of `inside / total - resolution · (degree / total)²`, at most 1.
    ///
    /// # Panics
    /// If there is not one community per node.
    ///
    /// # Reference
    /// Newman and Girvan 2004; `resolution` after Reichardt and Bornholdt 2006.
    pub fn modularity(&self, communities: &[usize], resolution: f64) -> f64 {
        assert_eq!(communities.len(), self.len(), "one community per node");
        if self.total <= 0.0 {
            return 0.0;
        }
        let n = communities.iter().max().map_or(0, |last| last + 1);
        let (mut inside, mut degrees) = (vec![0.0; n], vec![0.0; n]);
        for (node, &community) in communities.iter().enumerate() {
            degrees[community] += self.degrees[node];
            inside[community] += self.loops[node];
            let within = self.edges(node).iter().filter(|edge| communities[edge.0] == community);
            inside[community] += within.map(|edge| edge.1).sum::<f64>();
        }
        let terms = inside.iter().zip(&degrees).map(|(inside, degree)| {
            inside / self.total - resolution * (degree / self.total).powi(2)
        });
        terms.sum()
    }

    /// Nodes to which a node has edges, each with the weight of the edge.
    pub fn edges(&self, node: usize) -> &[(usize, f64)] {
        &self.edges[self.offsets[node]..self.offsets[node + 1]]
    }

    /// Weight of all edges of a node, those to itself included.
    pub(super) fn degree(&self, node: usize) -> f64 {
        self.degrees[node]
    }

    /// Sum of all degrees.
    pub(super) fn total(&self) -> f64 {
        self.total
    }

    /// The graph of `n` groups: nodes of the same group become one.
    pub(super) fn aggregate(&self, groups: &[usize], n: usize) -> Self {
        let mut members: Vec<usize> = (0..self.len()).collect();
        members.sort_by_key(|&node| groups[node]);
        let (mut offsets, mut edges) = (Vec::with_capacity(n + 1), Vec::new());
        let (mut loops, mut weights) = (vec![0.0; n], vec![0.0; n]);
        let mut touched: Vec<usize> = Vec::new();
        offsets.push(0);
        for members in members.chunk_by(|&a, &b| groups[a] == groups[b]) {
            let group = groups[members[0]];
            for &node in members {
                loops[group] += self.loops[node];
                for &(other, weight) in self.edges(node) {
                    let other = groups[other];
                    if other == group {
                        loops[group] += weight;
                    } else {
                        if weights[other] == 0.0 {
                            touched.push(other);
                        }
                        weights[other] += weight;
                    }
                }
            }
            // A weight of zero is met again as new: it must not be listed twice.
            touched.sort_unstable();
            touched.dedup();
            edges.extend(
                touched.drain(..).map(|other| (other, std::mem::take(&mut weights[other]))),
            );
            offsets.push(edges.len());
        }
        Self::new(offsets, edges, loops)
    }

    fn new(offsets: Vec<usize>, edges: Vec<(usize, f64)>, loops: Vec<f64>) -> Self {
        let mut graph = Self { offsets, edges, loops, degrees: Vec::new(), total: 0.0 };
        graph.degrees = (0..graph.len())
            .map(|node| {
                graph.loops[node] + graph.edges(node).iter().map(|edge| edge.1).sum::<f64>()
            })
            .collect();
        graph.total = graph.degrees.iter().sum();
        graph
    }
}

/// The scale on which the chances of all neighbours add up to `target`.
fn scale(nearest: &[(f64, usize)], first: f64, target: f64) -> f64 {
    let (mut low, mut high, mut middle) = (0.0, f64::INFINITY, 1.0);
    for _ in 0..SEARCH_ROUNDS {
        let sum: f64 = nearest.iter().map(|&(x, _)| chance(x - first, middle)).sum();
        if (sum - target).abs() < SEARCH_TOLERANCE {
            break;
        }
        if sum > target {
            high = middle;
        } else {
            low = middle;
        }
        middle = if high.is_finite() { f64::midpoint(low, high) } else { 2.0 * middle };
    }
    middle
}

/// The chance of an edge that is so much longer than the shortest.
fn chance(excess: f64, scale: f64) -> f64 {
    if excess <= 0.0 || scale == 0.0 { 1.0 } else { (-excess / scale).exp() }
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;

    #[test]
    fn modularity_of_two_triangles() {
        // Triangles joined by one edge: 6 of 7 edges inside, half of all degrees each.
        let edges = [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5), (2, 3)];
        let graph = Graph::from_edges(6, edges.map(|(a, b)| (a, b, 1.0)));
        let apart = [0, 0, 0, 1, 1, 1];
        assert!((graph.modularity(&apart, 1.0) - (6.0 / 7.0 - 0.5)).abs() < 1e-12);
        assert!((graph.modularity(&apart, 2.0) - (6.0 / 7.0 - 1.0)).abs() < 1e-12);
        assert!(graph.modularity(&[0; 6], 1.0).abs() < 1e-12);
        // The graph of the two groups has the same modularity.
        let two = graph.aggregate(&apart, 2);
        assert_eq!((two.len(), two.degree(0), two.total()), (2, 7.0, 14.0));
        assert!((two.modularity(&[0, 1], 1.0) - graph.modularity(&apart, 1.0)).abs() < 1e-12);
    }

    #[test]
    fn edges_given_twice_are_one() {
        let graph = Graph::from_edges(3, [(0, 1, 1.0), (1, 0, 2.0)]);
        assert_eq!(graph.edges(0), [(1, 3.0)]);
        assert_eq!((graph.edges(2).len(), graph.len(), graph.is_empty()), (0, 3, false));
        assert!(Graph::from_edges(2, []).modularity(&[0, 1], 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_nearest_neighbour_is_certain() {
        let rows = [0.0, 1.0, 3.0, 7.0, 8.0_f32];
        let graph = Graph::fuzzy(&Neighbours::new(&rows, 1, 2, &Silent).unwrap(), &Silent).unwrap();
        let weight = |a: usize, b: usize| {
            graph.edges(a).iter().find(|edge| edge.0 == b).map_or(0.0, |edge| edge.1)
        };
        assert!((weight(0, 1) - 1.0).abs() < 1e-12 && (weight(3, 4) - 1.0).abs() < 1e-12);
        assert!(weight(2, 3) < 1.0 && weight(0, 4).abs() < 1e-12);
        assert!((weight(0, 2) - weight(2, 0)).abs() < 1e-12);
        // Cell 0 has neighbours at 1 and 3: 1 + chance = log2(3); cell 2 at 2 and 3.
        let target = 3f64.log2() - 1.0;
        assert!((weight(0, 2) - (2.0 * target - target * target)).abs() < 1e-4);
    }
}
