//! Gene networks: which genes belong together, and which regulate which?

mod attention;
mod embedding;

pub use self::{
    attention::{
        AttentionGroup, AttentionNetworks, AttentionOptions, AttentionReport, NetworkRow, Setting,
        Target, TargetList,
    },
    embedding::{
        EmbeddingNetworkOptions, EmbeddingNetworks, EmbeddingReport, NetworkPathways,
        ReplicateScores, Universe,
    },
};
