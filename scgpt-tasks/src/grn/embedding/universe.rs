//! [`Universe`]: the genes that a programme is compared with when it is looked up in gene sets.
//!
//! The choice decides what is found. A network of variable genes holds more of the sets that variable
//! genes are rich in than the whole data do, so that even programmes drawn at random find sets there:
//! only the genes of the network are a fair universe for it.

use std::{fmt, str::FromStr};

use scgpt_data::{GeneVocab, unknown_choice};
use scgpt_eval::network::Background;
use serde::{Deserialize, Serialize};

/// A number larger than that of any organism's genes.
const MOST: usize = 10_000_000;

/// The genes that programmes are compared with. It has one spelling on a command line and in files.
///
/// ```
/// use scgpt_tasks::grn::Universe;
///
/// assert_eq!("network".parse::<Universe>()?, Universe::default());
/// assert_eq!("20000".parse::<Universe>()?, Universe::Number(20_000));
/// assert_eq!(Universe::Data.to_string(), "data");
/// # Ok::<(), scgpt_data::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[non_exhaustive]
pub enum Universe {
    /// All genes of the data that the model knows, or its whole vocabulary. If the network is of
    /// variable genes, even random programmes then find sets: those that variable genes are rich
    /// in.
    Data,
    /// The genes of the network: those that a programme could have had.
    #[default]
    Network,
    /// Any genes from which programmes could have been drawn, of which only the number is known.
    Number(usize),
}

impl FromStr for Universe {
    type Err = scgpt_data::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = || text.parse().ok().filter(|n| *n <= MOST).map(Self::Number);
        match text {
            "data" => Ok(Self::Data),
            "network" => Ok(Self::Network),
            _ => number().ok_or_else(|| {
                let number = format!("a number of genes up to {MOST}");
                unknown_choice(text, &["data", "network", &number])
            }),
        }
    }
}

impl fmt::Display for Universe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data => f.write_str("data"),
            Self::Network => f.write_str("network"),
            Self::Number(n) => n.fmt(f),
        }
    }
}

impl TryFrom<String> for Universe {
    type Error = scgpt_data::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Universe> for String {
    fn from(universe: Universe) -> Self {
        universe.to_string()
    }
}

impl Universe {
    /// The genes that enrichment is compared with: those of the `network`, those `known` of the cells,
    /// or, without cells, of the vocabulary, or a number alone.
    pub(super) fn background(
        self,
        vocab: &GeneVocab,
        known: Option<&[String]>,
        network: &[String],
    ) -> Background {
        let genes = match (self, known) {
            (Self::Number(n), _) => return Background::Number(n),
            (Self::Network, _) => network.iter().cloned().collect(),
            (Self::Data, Some(known)) => known.iter().cloned().collect(),
            (Self::Data, None) => vocab.names().map(String::from).collect(),
        };
        Background::Genes(genes)
    }
}
