//! Gene networks: which genes belong together, and which regulate which?

mod attention;
mod consistency;
mod discovery;
mod embedding;
mod enrichment;
mod gene_sets;
mod network;
mod null;
mod pairs;
mod programmes;
mod rivals;
mod scores;
mod truth;

pub use self::{
    attention::{
        AttentionGroup, AttentionNetworks, AttentionOptions, AttentionReport, NetworkRow, Setting,
        Target, TargetList,
    },
    consistency::Consistency,
    discovery::{benjamini_hochberg, p_values},
    embedding::{
        EmbeddingNetworkOptions, EmbeddingNetworks, EmbeddingReport, NetworkPathways,
        ReplicateScores, Universe,
    },
    enrichment::{Background, Enriched, enrich},
    gene_sets::{GeneSet, GeneSets},
    network::{Edge, GeneNetwork},
    null::Significance,
    pairs::Pairs,
    programmes::{Programme, ProgrammeOptions, programmes, strongest_graph},
    scores::ProgrammeScores,
    truth::{NetworkEvaluation, TrueEdges, TruthReport},
};
