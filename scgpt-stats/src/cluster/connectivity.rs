//! [`graph_connectivity`]: whether cells of one label are connected to each other.

use super::graph::Graph;

/// Whether cells of one label are connected to each other in a neighbour graph, 0 to 1: the share
/// of them in the largest connected part of the graph restricted to the label, mean over labels.
///
/// # Panics
/// If there is not one label a node.
///
/// # Reference
/// `scib.metrics.graph_connectivity` (Luecken et al. 2022).
pub fn graph_connectivity(graph: &Graph, labels: &[usize]) -> f64 {
    assert_eq!(labels.len(), graph.len(), "one label a node");
    let n_labels = labels.iter().max().map_or(0, |last| last + 1);
    let (mut sizes, mut largest) = (vec![0_usize; n_labels], vec![0_usize; n_labels]);
    for &label in labels {
        sizes[label] += 1;
    }
    let mut is_seen = vec![false; labels.len()];
    for first in 0..labels.len() {
        if is_seen[first] {
            continue;
        }
        is_seen[first] = true;
        let (label, mut part, mut waiting) = (labels[first], 0, vec![first]);
        while let Some(node) = waiting.pop() {
            part += 1;
            for other in graph.neighbours(node) {
                if labels[other] == label && !is_seen[other] {
                    is_seen[other] = true;
                    waiting.push(other);
                }
            }
        }
        largest[label] = largest[label].max(part);
    }
    let shares = sizes.iter().zip(&largest).filter(|(size, _)| **size > 0);
    let shares: Vec<f64> = shares.map(|(&size, &part)| part as f64 / size as f64).collect();
    shares.iter().sum::<f64>() / shares.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_label() {
        let graph = Graph::from_edges(5, [(0, 1, 1.0), (1, 2, 1.0), (3, 4, 1.0)]);
        // 0 and 2 of one label hang together only through 1 of the other.
        assert!(
            (graph_connectivity(&graph, &[0, 1, 0, 1, 1]) - f64::midpoint(0.5, 2.0 / 3.0)).abs()
                < 1e-12
        );
        assert!((graph_connectivity(&graph, &[0, 0, 0, 1, 1]) - 1.0).abs() < 1e-12);
    }
}
