//! [`Scgpt`]: embeds, encodes, pools and predicts.

use burn::{
    nn::{Embedding, EmbeddingConfig},
    prelude::*,
};

use crate::{
    attention::AttentionMask,
    config::{CellPooling, PaddedStates, ScgptConfig},
    embed::{GeneEncoder, ValueEncoder},
    encoder::Encoder,
    error::Result,
    head::{GepHead, GepcHead},
};

/// The tensors of one forward pass.
#[derive(Clone, Debug)]
pub struct ModelInput {
    /// Gene tokens, `<cls>` first, `[b, t]`.
    pub genes: Tensor<2, Int>,
    /// Values, `[b, t]`.
    pub values: Tensor<2>,
    /// Who sees whom.
    pub mask: AttentionMask,
}

/// What the encoder makes of the tokens.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Gene vectors before values were added, `[b, t, d]`.
    pub genes: Tensor<3>,
    /// Final token states, `[b, t, d]`.
    pub hidden: Tensor<3>,
    /// Cell embeddings, `[b, d]`.
    pub cell: Tensor<2>,
}

/// The network.
///
/// # Reference
/// Cui et al., *scGPT*, Nature Methods 2024; `model.py`, `TransformerModel`. Differs: task heads
/// live with their tasks.
#[derive(Module, Debug)]
pub struct Scgpt {
    /// Gene token → vector.
    pub genes: GeneEncoder,
    /// Value → vector; none if values scale the gene vector.
    pub values: Option<ValueEncoder>,
    /// The transformer.
    pub encoder: Encoder,
    /// Expression from token states.
    pub gep: GepHead,
    /// Expression from the cell embedding.
    pub gepc: Option<GepcHead>,
    /// Added to unknown genes in place of a value; row 1 is used, row 0 never.
    pub unknown_flag: Option<Embedding>,
    #[module(skip)]
    pooling: CellPooling,
    #[module(skip)]
    padded_states: PaddedStates,
}

impl ScgptConfig {
    /// A freshly initialised network.
    ///
    /// # Errors
    /// What [`validate`](Self::validate) reports.
    pub fn init(&self, device: &Device) -> Result<Scgpt> {
        self.validate()?;
        Ok(Scgpt {
            genes: GeneEncoder::new(self, device),
            values: ValueEncoder::new(self, device),
            encoder: Encoder::new(self, device),
            gep: GepHead::new(self.d_model, device),
            gepc: self.gepc.then(|| GepcHead::new(self.d_model, device)),
            unknown_flag: self
                .unknown_flag
                .then(|| EmbeddingConfig::new(2, self.d_model).init(device)),
            pooling: self.cell_pooling,
            padded_states: self.padded_states,
        })
    }
}

impl Scgpt {
    /// Token states and cell embeddings.
    ///
    /// # Panics
    /// If the tensors and the mask of `input` differ in `[b, t]`.
    pub fn encode(&self, input: &ModelInput) -> Encoded {
        let genes = self.genes.forward(input.genes.clone());
        let tokens = match &self.values {
            Some(encoder) => genes.clone() + encoder.forward(input.values.clone()),
            None => genes.clone() * input.values.clone().unsqueeze_dim(2),
        };
        let mut hidden = self.encoder.forward(tokens, &input.mask);
        if self.padded_states == PaddedStates::PlainLayout {
            let is_used = input.mask.is_used(&hidden.device());
            hidden = hidden * is_used;
        }
        let cell = self.pooling.pool(
            hidden.clone(),
            input.values.clone(),
            &input.mask,
            self.padded_states,
        );
        Encoded { genes, hidden, cell }
    }

    /// Expression from token states (GEP), `[b, t]`.
    pub fn predict(&self, encoded: &Encoded) -> Tensor<2> {
        self.gep.forward(encoded.hidden.clone())
    }

    /// Expression from the cell embedding (GEPC), `[b, t]`; none without that head.
    pub fn predict_from_cell(&self, encoded: &Encoded) -> Option<Tensor<2>> {
        let head = self.gepc.as_ref()?;
        Some(head.forward(encoded.cell.clone(), encoded.genes.clone()))
    }

    /// How this network pools.
    pub fn pooling(&self) -> CellPooling {
        self.pooling
    }
}
