//! Tokens to vectors: [`GeneEncoder`] and [`ValueEncoder`].

mod gene;
mod value;

pub use self::{
    gene::GeneEncoder,
    value::{BinnedValues, ContinuousValues, ValueEncoder},
};
