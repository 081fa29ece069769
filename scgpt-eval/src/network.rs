//! Networks of genes, and what they are judged by.
//!
//! A network is a weight for every two genes, [`GenePairs`], or a list of edges, [`GeneNetwork`], ours or
//! another tool's. What is asked of it:
//!
//! - is a weight more than chance? [`Significance`] against the null of a [`Cloud`], [`p_values()`],
//!   [`benjamini_hochberg`];
//! - which genes belong together, and what are they for? [`programmes()`], [`enrich`] in [`GeneSets`],
//!   [`ProgrammeScores`] of cells;
//! - do other cells give the same network? [`Consistency`];
//! - do the edges exist? [`NetworkEvaluation`] against [`TrueEdges`];
//! - does expression alone find as much? [`Replicated`].

mod consistency;
mod edges;
mod enrichment;
mod gene_sets;
mod null;
mod p_values;
mod pairs;
mod programmes;
mod replicated;
mod scores;
mod truth;

pub use self::{
    consistency::Consistency,
    edges::{Edge, EdgeKind, GeneNetwork},
    enrichment::{Background, Enriched, enrich},
    gene_sets::{GeneSet, GeneSets},
    null::{Cloud, Significance},
    p_values::{benjamini_hochberg, p_values},
    pairs::{GenePairs, centred},
    programmes::{Programme, ProgrammeOptions, programmes, strongest_graph},
    replicated::{ProfileBuilder, Replicated, off_diagonal, strongest_edges},
    scores::{ProgrammeScores, ProgrammeScoring},
    truth::{JudgedEdge, NetworkEvaluation, SCORES, TrueEdges, TruthReport, scores_row},
};
