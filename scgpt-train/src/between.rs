//! [`Between`]: losses that compare cells.

use burn::prelude::*;

use crate::{
    loss::{contrastive, elastic_cell_similarity},
    term::Term,
};

/// A loss that compares cells.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Between {
    /// Elastic cell similarity, with its threshold.
    Ecs(f64),
    Contrastive,
}

impl Between {
    pub(crate) fn term(self) -> Term {
        match self {
            Self::Ecs(_) => Term::Ecs,
            Self::Contrastive => Term::Contrastive,
        }
    }

    /// The loss of the embeddings of each pass, `[n, d]`.
    pub(crate) fn loss(self, passes: &[Tensor<2>]) -> Tensor<1> {
        match (self, passes) {
            (Self::Ecs(threshold), [cell, ..]) => elastic_cell_similarity(cell.clone(), threshold),
            (Self::Contrastive, [first, second, ..]) => contrastive(first.clone(), second.clone()),
            _ => unreachable!("the objectives make as many passes as a loss compares"),
        }
    }
}
