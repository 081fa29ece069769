//! Which genes belong together, and which regulate which?
//!
//! Two kinds of networks answer: those of the *vectors* of genes, in the table of a model or in
//! cells ([`EmbeddingNetworks`]), and those of the *attention* that genes pay to each other in
//! cells, which has a direction and shows what a perturbation changes
//! ([`Embedder::attention_networks`]). Both come with the agreement of two halves of the cells, and
//! with networks from expression alone.
//!
//! The two see different things. A vector in the table is what the model learned of a gene from all cells
//! it ever saw, so its network needs no cells and is the same for all of them; a vector in context and
//! attention are of the cells at hand. Cosines have no direction and say that two genes are used alike;
//! attention says which gene is looked at by which, and its difference between two groups of cells is the
//! nearest to a question about regulation that can be asked of a model. Neither is evidence of regulation by itself:
//! therefore every result carries a verdict beside the simple methods' edge lists.
//!
//! ```no_run
//! use burn::prelude::Device;
//! use scgpt_data::{CellSource as _, GeneNames, GeneVocab, Layer, Silent};
//! use scgpt_eval::simulate::{SimulateOptions, Simulation};
//! use scgpt_model::{Preprocess, ScgptConfig};
//! use scgpt_tasks::{
//!     embed::Embedder,
//!     grn::{AttentionOptions, EmbeddingNetworkOptions, EmbeddingNetworks, NetworkSetting},
//! };
//!
//! let mut cells = Simulation::new(&SimulateOptions::new(20, 100), None)?;
//! let vocab = GeneVocab::from_genes([&cells.var(&Layer::X)?], &GeneNames::BEST)?;
//! let config = ScgptConfig {
//!     n_layers: 1, n_heads: 2, d_model: 16, d_ff: 16, ..ScgptConfig::new(vocab.len())
//! };
//! let device = Device::flex();
//! device.seed(1);
//! let network = config.init(&device)?;
//! let preprocess = Preprocess { max_length: 64, cls_value: 0.0 };
//! let embedder = Embedder::new(network, config, preprocess, vocab)?;
//!
//! let mut options = AttentionOptions::default();
//! options.n_variable = 10;
//! options.permutations = 2;
//! let networks = embedder.attention_networks(&mut cells, &options, &Silent)?;
//! let strongest = networks.network(NetworkSetting::Difference, 5);
//! assert_eq!((networks.genes().len(), strongest.edges().len()), (10, 5));
//!
//! let mut options = EmbeddingNetworkOptions::default();
//! options.threshold = Some(0.1);
//! let networks = EmbeddingNetworks::new(&embedder, None, &[], &options, &Silent)?;
//! assert_eq!(networks.vectors.len(), networks.genes.len() * networks.d);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Embedder::attention_networks`]: crate::embed::Embedder::attention_networks

mod attention;
mod embedding;
mod method;

pub use crate::start_vectors::NO_START;

pub use self::{
    attention::{
        AttentionGroup, AttentionNetworks, AttentionOptions, AttentionReport, Contrast, NetworkRow,
        NetworkSetting, Target, TargetList,
    },
    embedding::{
        EmbeddingNetworkOptions, EmbeddingNetworks, EmbeddingReport, NetworkPathways,
        ReplicateScores, StartNetwork, Universe,
    },
    method::NetworkMethod,
};
