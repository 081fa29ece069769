//! Numbers to numbers: what can be said of cells once they are rows of numbers, or codes of labels.
//!
//! - metrics: [`adjusted_rand_index`], [`silhouettes`], [`ClassScores`], [`EdgeScores`],
//!   [`ResponseScores`] and others, each after its reference definition;
//! - neighbours: [`Neighbours`], exact; communities of their graph: [`Graph`], [`leiden`], [`louvain`],
//!   [`cluster_scores`];
//! - principal components from sums that a stream of cells is added to: [`Products`], [`Subspace`]; values along
//!   places that come from elsewhere: [`Correlations`];
//! - a linear map between rows of numbers, by regularised least squares: [`Ridge`]; linear scores of
//!   classes: [`Discriminant`]; how errors fall as there is more to learn from: [`PowerLaw`];
//! - [`k_means()`], and [`layout()`] for the eye, beginning at [`principal_plane`];
//! - parts and samples of cells, keyed by a seed: [`stratified`], [`subsample`], [`halves`].
//!
//! All results are functions of the arguments alone, whatever the number of threads. What may take long asks an
//! [`Observer`](scgpt_data::Observer), several times a second, whether to go on.
//!
//! ```
//! use scgpt_data::Silent;
//! use scgpt_stats::{ClusterOptions, cluster_scores};
//!
//! // Six cells in two groups, far apart in two dimensions.
//! let rows = [0.0, 0.1, 0.2, 0.0, 0.1, 0.1, 9.0, 9.1, 9.2, 9.0, 9.1, 9.2_f32];
//! let labels = [0, 0, 0, 1, 1, 1];
//! let mut options = ClusterOptions::default();
//! options.n_neighbours = 3;
//! let scores = cluster_scores(&rows, 2, &labels, &options, &Silent)?;
//! assert_eq!((scores.n_clusters, scores.nmi), (2, 1.0));
//! # Ok::<(), scgpt_data::Error>(())
//! ```

mod cluster;
mod columns;
mod discriminant;
mod distances;
mod k_means;
mod layout;
mod metrics;
mod neighbours;
mod order;
mod parts;
mod pca;
mod plane;
mod power_law;
mod ridge;
mod sampling;

pub use crate::{
    cluster::{
        ClusterOptions, ClusterScores, Clustering, Graph, chosen_rows, cluster_scores,
        graph_cluster_scores, graph_connectivity, leiden, louvain,
    },
    columns::column_means,
    discriminant::Discriminant,
    distances::unit_rows,
    k_means::{KMeans, k_means},
    layout::layout,
    metrics::{
        ClassDistance, ClassScore, ClassScores, Coverage, EdgeScores, Interval, ReliabilityBin,
        ResponseScores, adjusted_rand_index, area_under_roc, batch_mixing, batch_variance,
        centroid_accuracy, difference, discrimination, expected_calibration_error, foscttm,
        label_codes, label_separation, largest, matching_accuracy, mean_ranks,
        normalised_mutual_information, pearson, ranks_in, reliability, sign_accuracy, silhouette,
        silhouettes,
    },
    neighbours::Neighbours,
    order::order,
    parts::stratified,
    pca::{Correlations, Principal, Products, SparseCell, Subspace, dot, largest_eigenpairs},
    plane::principal_plane,
    power_law::{LawUntold, PowerLaw},
    ridge::Ridge,
    sampling::{first_halves, halves, sampled, subsample},
};
