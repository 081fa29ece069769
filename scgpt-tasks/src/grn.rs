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

use scgpt_model::{InputNorm, ScgptConfig};

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
use crate::error::{Error, Result};
use scgpt_data::Advice;

/// That a gene means the same to the network in every cell.
pub(crate) fn check_one_domain(network: &ScgptConfig) -> Result<()> {
    if network.input_norm == InputNorm::DomainSpecific && network.n_domains > 1 {
        let problem = format!(
            "the model normalises the tokens of each of its {} batches apart, so cells of different batches cannot be \
             compared by their tokens",
            network.n_domains
        );
        let remedy =
            Advice::from("take the model it began as, gene vectors of the table (without ")
                + scgpt_data::Setting("contextual")
                + ", or without cells), or integrate with the setting `input_norm` none";
        return Err(Error::unsuited(problem, remedy));
    }
    Ok(())
}
