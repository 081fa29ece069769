//! Cell embedding × gene query → expression.

use burn::{
    nn::{LinearConfig, PRelu, PReluConfig},
    prelude::*,
    tensor::{DType, activation::sigmoid},
};

use scgpt_kernels::Format;

use super::Expression;
use crate::{
    config::{GepcStyle, ScgptConfig},
    linear::Linear,
};

/// Width of the small networks of [`GepcStyle::Concat`] and [`GepcStyle::Sum`].
const D_QUERY: usize = 64;

/// Predicts the value of each gene from the cell embedding and the gene's own vector (GEPC).
///
/// # Reference
/// `model.py`, `MVCDecoder`. Differs: the two query styles work inside the network (there they
/// fail), also with batch labels.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a network has one")]
pub enum GepcHead {
    /// `⟨W σ(Q g + b), cell⟩`.
    InnerProduct(InnerProduct),
    /// A small network on query and cell embedding.
    Query(QueryNetwork),
}

/// `⟨W σ(Q g + b), cell⟩`, and the same product with other weights for the probability.
#[derive(Module, Debug)]
pub struct InnerProduct {
    /// `Q` and its bias, `d_gene → d_gene`.
    pub gene_to_query: Linear,
    /// `W`, `d_gene → d_cell`, without bias.
    pub weight: Linear,
    /// `W` of the logit of the probability that the value is not zero, `d_gene → d_cell`.
    pub nonzero: Option<Linear>,
    #[module(skip)]
    is_detached: bool,
}

/// `W₂ prelu(W₁ join(cell, σ(Q g + b)))`.
#[derive(Module, Debug)]
pub struct QueryNetwork {
    /// `Q` and its bias: `d_gene → 64` to be put beside the cell, or `d_gene → d_cell` to be added to it.
    pub gene_to_query: Linear,
    /// `W₁`, from query and cell to 64.
    pub linear1: Linear,
    /// The activation between the two layers.
    pub activation: PRelu,
    /// `W₂`, `64 → 1`.
    pub linear2: Linear,
    #[module(skip)]
    is_sum: bool,
}

impl GepcHead {
    /// A freshly initialised head, or `None` if the configuration has none.
    pub fn new(config: &ScgptConfig, device: &Device) -> Option<Self> {
        let d = config.d_model;
        let d_cell = if config.has_context() { 2 * d } else { d };
        let d_gene = if config.has_context() && config.context_in_query { 2 * d } else { d };
        let linear = |from, to| Linear::new(from, to, device);
        Some(match config.gepc? {
            style @ (GepcStyle::InnerProduct | GepcStyle::InnerProductDetached) => {
                Self::InnerProduct(InnerProduct {
                    gene_to_query: linear(d_gene, d_gene),
                    weight: Linear::drawn(
                        &LinearConfig::new(d_gene, d_cell).with_bias(false),
                        device,
                    ),
                    nonzero: config.zero_probability.then(|| linear(d_gene, d_cell)),
                    is_detached: style == GepcStyle::InnerProductDetached,
                })
            }
            style @ (GepcStyle::Concat | GepcStyle::Sum) => {
                let is_sum = style == GepcStyle::Sum;
                Self::Query(QueryNetwork {
                    gene_to_query: linear(d_gene, if is_sum { d_cell } else { D_QUERY }),
                    linear1: linear(if is_sum { d_cell } else { d_cell + D_QUERY }, D_QUERY),
                    activation: PReluConfig::new().init(device),
                    linear2: linear(D_QUERY, 1),
                    is_sum,
                })
            }
        })
    }

    /// Predicts the expression of every token from the embedding of its cell and the vector of its
    /// gene.
    ///
    /// # Shapes
    /// - cell: `[b, d_cell]`
    /// - genes: `[b, t, d_gene]`, the normalised gene vectors of the same tokens
    /// - output: `[b, t]`
    pub fn forward(&self, cell: Tensor<2>, genes: Tensor<3>) -> Expression {
        match self {
            Self::InnerProduct(head) => head.forward(&cell, genes),
            Self::Query(head) => head.forward(cell, genes),
        }
    }

    /// See [`Scgpt::computing_in`](crate::Scgpt::computing_in).
    pub(crate) fn compute_in(&mut self, format: Option<Format>) {
        match self {
            Self::InnerProduct(head) => head.gene_to_query.compute_in(format),
            Self::Query(head) => {
                head.gene_to_query.compute_in(format);
                head.linear1.compute_in(format);
            }
        }
    }
}

impl InnerProduct {
    /// What `W` sees of every gene.
    ///
    /// # Shapes
    /// - genes, output: `[b, t, d_gene]`
    pub fn query(&self, genes: Tensor<3>) -> Tensor<3> {
        let genes = if self.is_detached { genes.detach() } else { genes };
        sigmoid(self.gene_to_query.forward(genes))
    }

    fn forward(&self, cell: &Tensor<2>, genes: Tensor<3>) -> Expression {
        let query = self.query(genes);
        // ⟨W q + b, cell⟩ = ⟨q, Wᵀ cell⟩ + ⟨b, cell⟩: a product a cell instead of one a token.
        let product = |layer: &Linear| -> Tensor<2> {
            let weights = cell.clone().matmul(layer.weight.val().transpose()); // [b, d_gene]
            let products = query.clone().matmul(weights.unsqueeze_dim(2)).squeeze_dim::<2>(2);
            let value = match &layer.bias {
                Some(bias) => products + (cell.clone() * bias.val().unsqueeze()).sum_dim(1),
                None => products,
            };
            value.cast(DType::F32)
        };
        Expression {
            value: product(&self.weight),
            nonzero: self.nonzero.as_ref().map(|weight| sigmoid(product(weight))),
        }
    }
}

impl QueryNetwork {
    fn forward(&self, cell: Tensor<2>, genes: Tensor<3>) -> Expression {
        let [b, t, _] = genes.dims();
        let d_cell = cell.dims()[1];
        let query = sigmoid(self.gene_to_query.forward(genes));
        let cell = cell.unsqueeze_dim::<3>(1).expand([b, t, d_cell]);
        let x = if self.is_sum { cell + query } else { Tensor::cat(vec![cell, query], 2) };
        let x = self.activation.forward(self.linear1.forward(x));
        let value = self.linear2.forward(x).squeeze_dim(2).cast(DType::F32);
        Expression { value, nonzero: None }
    }
}
