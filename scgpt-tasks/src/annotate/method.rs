//! [`Method`]: what tells the types of cells.

use scgpt_eval::baseline::SimpleMethod;
use serde::{Deserialize, Serialize};

/// What tells the types of cells: a network, or one of the simple methods that it is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Method {
    /// A network with a class head.
    #[default]
    Network,
    /// Logistic regression on variable genes; no network is trained.
    Logistic,
    /// The class whose mean is nearest by principal components; no network is trained.
    Centroid,
    /// The classes of the 15 nearest cells by principal components; no network is trained.
    Neighbours,
    /// A network and all simple methods: the one that is right about most validation cells.
    Best,
}

impl Method {
    /// The simple method that it is, if it is one.
    pub fn simple(self) -> Option<SimpleMethod> {
        match self {
            Self::Network | Self::Best => None,
            Self::Logistic => Some(SimpleMethod::Logistic),
            Self::Centroid => Some(SimpleMethod::Centroid),
            Self::Neighbours => Some(SimpleMethod::Neighbours),
        }
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "scGPT",
            Self::Best => "the best method",
            Self::Logistic => SimpleMethod::Logistic.name(),
            Self::Centroid => SimpleMethod::Centroid.name(),
            Self::Neighbours => SimpleMethod::Neighbours.name(),
        }
    }

    /// Its name in a sentence.
    pub(super) fn subject(self) -> &'static str {
        if self == Self::Network { "the network" } else { self.name() }
    }
}

impl From<SimpleMethod> for Method {
    fn from(method: SimpleMethod) -> Self {
        match method {
            SimpleMethod::Logistic => Self::Logistic,
            SimpleMethod::Neighbours => Self::Neighbours,
            SimpleMethod::Centroid => Self::Centroid,
        }
    }
}
