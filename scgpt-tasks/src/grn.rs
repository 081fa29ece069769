//! Gene networks: which genes belong together, and which regulate which?

mod discovery;
mod enrichment;
mod gene_sets;
mod network;
mod pairs;

pub use self::{
    discovery::{benjamini_hochberg, p_values},
    enrichment::{Background, Enriched, enrich},
    gene_sets::{GeneSet, GeneSets},
    network::{Edge, GeneNetwork},
    pairs::Pairs,
};
