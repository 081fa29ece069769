//! Networks of genes, and what they are judged by.

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
    pairs::{Pairs, centred},
    programmes::{Programme, ProgrammeOptions, programmes, strongest_graph},
    replicated::{Expression, Replicated, off_diagonal, strongest_edges},
    scores::{ProgrammeScores, ProgrammeScoring},
    truth::{NetworkEvaluation, SCORES, TrueEdges, TruthReport, scores_row},
};
