//! [`Scgpt`]: embeds, encodes, pools and predicts.

use burn::{
    nn::{Embedding, EmbeddingConfig},
    prelude::*,
};
use scgpt_kernels::Format;

use crate::{
    attention::{AttentionMask, Sight, shares},
    config::{AttentionKind, CellPooling, GepStyle, PaddedStates, ScgptConfig},
    domain_norm::DomainNorm,
    embed::{ConditionEncoder, GeneEncoder, PerturbationEncoder, ValueEncoder},
    encoder::Encoder,
    error::Result,
    head::{
        AffineHead, AffineHeadConfig, ClassHead, DarHead, Expression, GepHead, GepHeadConfig,
        GepcHead,
    },
    input::{Conditions, ModelInput},
    precision::packed_format,
};

/// The result of the encoder for some cells.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Gene vectors before values were added, `[b, t, d]`.
    pub genes: Tensor<3>,
    /// Final token states, `[b, t, d]`.
    pub hidden: Tensor<3>,
    /// Cell embeddings, `[b, d]`.
    pub cell: Tensor<2>,
    /// Batch and modality vectors, if the network has any.
    pub context: Option<Context>,
    /// The input values, `[b, t]`, if there were any.
    pub values: Option<Tensor<2>>,
}

/// Vectors of batch and modality, which join after the transformer.
#[derive(Clone, Debug)]
pub struct Context {
    /// The vector that joins the state of every token, `[b, t, d]`.
    pub tokens: Tensor<3>,
    /// The vector that joins the embedding of every cell, `[b, d]`.
    pub cell: Tensor<2>,
}

/// The head that predicts expression from token states.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a network has one")]
pub enum Gep {
    /// The head predicts the value itself.
    Direct(GepHead),
    /// The head predicts a change of the token's input value.
    Affine(AffineHead),
}

/// The network. Parts that its configuration leaves out are `None`.
///
/// # Reference
/// Cui et al., *scGPT*, Nature Methods 2024; `model.py`, `TransformerModel`;
/// `multiomic_model.py`, `MultiOmicTransformerModel`; `generation_model.py`,
/// `TransformerGenerator`. Differs: one network; attention probabilities are not dropped out.
#[derive(Module, Debug)]
pub struct Scgpt {
    /// Gene token → vector.
    pub genes: GeneEncoder,
    /// Value → vector; `None` if values scale the gene vector.
    pub values: Option<ValueEncoder>,
    /// Perturbation flag → vector.
    pub perturbations: Option<PerturbationEncoder>,
    /// Added to unknown genes in place of a value; row 1 is used, row 0 never.
    pub unknown_flag: Option<Embedding>,
    /// Batch normalisation of the tokens.
    pub input_norm: Option<DomainNorm>,
    /// With [`AttentionKind::Linformer`](crate::AttentionKind::Linformer), the weights of genes in means
    /// of keys and values, `[g, r]`.
    pub means: Option<Embedding>,
    /// The transformer.
    pub encoder: Encoder,
    /// Batch label → vector.
    pub batches: Option<ConditionEncoder>,
    /// Modality → vector.
    pub modalities: Option<ConditionEncoder>,
    /// Expression from token states.
    pub gep: Gep,
    /// Expression from the cell embedding.
    pub gepc: Option<GepcHead>,
    /// Classes of cells.
    pub class: Option<ClassHead>,
    /// Batches of cells, adversarially.
    pub dar: Option<DarHead>,
    #[module(skip)]
    pooling: CellPooling,
    #[module(skip)]
    padded_states: PaddedStates,
    #[module(skip)]
    has_odd_heads: bool,
    #[module(skip)]
    context_in_query: bool,
}

impl ScgptConfig {
    /// A freshly initialised network.
    ///
    /// # Errors
    /// What [`validate`](Self::validate) reports.
    pub fn init(&self, device: &Device) -> Result<Scgpt> {
        self.validate()?;
        let d = self.d_model;
        let d_in = if self.has_context() { 2 * d } else { d };
        let head = GepHeadConfig { d_in, d_model: d, zero_probability: self.zero_probability };
        let gep = match self.gep {
            GepStyle::Direct => Gep::Direct(head.init(device)),
            GepStyle::Affine { activation, adaptive_bias } => {
                let affine = AffineHeadConfig { coefficient: head, activation, adaptive_bias };
                Gep::Affine(affine.init(device))
            }
        };
        let conditions =
            |n: usize, held| (n > 0).then(|| ConditionEncoder::new(n, d, held, device));
        let flags = self.n_perturbation_flags;
        Ok(Scgpt {
            genes: GeneEncoder::new(self, device),
            values: ValueEncoder::new(self, device),
            perturbations: (flags > 0)
                .then(|| PerturbationEncoder::new(flags, d, self.pad_perturbation_flag, device)),
            unknown_flag: self.unknown_flag.then(|| EmbeddingConfig::new(2, d).init(device)),
            input_norm: DomainNorm::new(self, device),
            means: (self.attention == AttentionKind::Linformer)
                .then(|| EmbeddingConfig::new(self.vocab_size, self.attention_rank).init(device)),
            encoder: Encoder::new(self, device),
            batches: conditions(self.n_batches, None),
            modalities: conditions(self.n_modalities, self.pad_modality),
            gep,
            gepc: GepcHead::new(self, device),
            class: (self.n_classes > 0)
                .then(|| ClassHead::new(d, self.n_classes, self.n_class_layers, device)),
            dar: self.dar.then(|| DarHead::new(d, self.n_domains, device)),
            pooling: self.cell_pooling,
            padded_states: self.padded_states,
            has_odd_heads: !self.n_heads.is_multiple_of(2),
            context_in_query: self.context_in_query,
        })
    }
}

impl Scgpt {
    /// The same network, of which attention and the layers that see every token multiply in `format`,
    /// where [`packed_format`] finds that to be faster than f32; elsewhere it stays as it is. Norms, sums
    /// and all gradients are in f32.
    ///
    /// Weights are packed when they are first used, and not again: a network that learns gets such a
    /// copy for every step.
    #[must_use]
    pub fn computing_in(mut self, format: Format) -> Self {
        let format = packed_format(format, &self.genes.embedding.weight.device());
        for block in &mut self.encoder.blocks {
            block.compute_in(format);
        }
        if let Some(values) = &mut self.values {
            values.compute_in(format);
        }
        match &mut self.gep {
            Gep::Direct(head) => head.compute_in(format),
            Gep::Affine(head) => head.compute_in(format),
        }
        if let Some(head) = &mut self.gepc {
            head.compute_in(format);
        }
        self
    }

    /// The same network, whose blocks keep nothing but their input while it learns, and are computed again
    /// for their gradients: less memory for more time. Gradients are the same, bit for bit.
    ///
    /// What dropout drops has to be the same both times, which the kernels of the CPU know:
    /// [`recomputes`](crate::recomputes) tells where that is so.
    #[must_use]
    pub fn recomputing(mut self) -> Self {
        for block in &mut self.encoder.blocks {
            block.recompute();
        }
        self
    }

    /// Token states and cell embeddings.
    ///
    /// # Panics
    /// If the tensors and the mask of `input` differ in `[b, t]`, if a gene is unknown and the
    /// network has no flag for that, or if a condition of the network is missing.
    pub fn encode(&self, input: &ModelInput) -> Encoded {
        self.encode_with(input, |tokens| tokens)
    }

    /// As [`encode`](Self::encode), with the encoder's input multiplied by `noise`, `[b, t, d]`.
    pub(crate) fn encode_noisy(&self, input: &ModelInput, noise: Tensor<3>) -> Encoded {
        self.encode_with(input, |tokens| tokens * noise)
    }

    fn encode_with(
        &self,
        input: &ModelInput,
        change: impl FnOnce(Tensor<3>) -> Tensor<3>,
    ) -> Encoded {
        let genes = self.genes.forward(input.genes.clone());
        let hidden = self.states(change(self.tokens(genes.clone(), input)), input);
        let cell = self.pool(hidden.clone(), input);
        Encoded { genes, hidden, cell, context: self.context(input), values: input.values.clone() }
    }

    /// Cell embeddings, `[b, d]`, for which batch and modality need not be known.
    pub(crate) fn cell(&self, input: &ModelInput) -> Tensor<2> {
        self.pool(self.states(self.input_tokens(input), input), input)
    }

    /// Who of the tokens, whose genes are `[b, t]`, sees whom.
    pub(crate) fn sight<'a>(&self, genes: &Tensor<2, Int>, mask: &'a AttentionMask) -> Sight<'a> {
        let shares = self.means.as_ref().map(|table| shares(&table.forward(genes.clone()), mask));
        Sight { mask, shares }
    }

    /// Final states of `tokens`, `[b, t, d]`.
    fn states(&self, tokens: Tensor<3>, input: &ModelInput) -> Tensor<3> {
        let device = tokens.device();
        if self.padded_states != PaddedStates::PlainLayout {
            return self.encoder.forward(tokens, &self.sight(&input.genes, &input.mask));
        }
        // In training mode, the reference's plain layout lets padded queries attend; so it does with an
        // odd number of heads, as the fast path that leaves padding out is for even ones.
        if device.is_autodiff() || self.has_odd_heads {
            let mask = input.mask.clone().with_attending_padding();
            return self.encoder.forward(tokens, &self.sight(&input.genes, &mask));
        }
        let hidden = self.encoder.forward(tokens, &self.sight(&input.genes, &input.mask));
        let is_used = input.mask.is_used(&hidden);
        hidden * is_used
    }

    /// Expression from token states (GEP).
    ///
    /// # Panics
    /// If the head is affine and the input had no values.
    pub fn predict(&self, encoded: &Encoded) -> Expression {
        let hidden = self.gep_states(encoded);
        match &self.gep {
            Gep::Direct(head) => head.forward(hidden),
            Gep::Affine(head) => head.forward(hidden, required(encoded.values.as_ref(), "values")),
        }
    }

    /// What the GEP head reads, `[b, t, d_in]`.
    pub fn gep_states(&self, encoded: &Encoded) -> Tensor<3> {
        match &encoded.context {
            Some(context) => Tensor::cat(vec![encoded.hidden.clone(), context.tokens.clone()], 2),
            None => encoded.hidden.clone(),
        }
    }

    /// What the GEPC head reads: cells, `[b, d_cell]`, and genes, `[b, t, d_gene]`.
    pub fn gepc_states(&self, encoded: &Encoded) -> (Tensor<2>, Tensor<3>) {
        let (mut cell, mut genes) = (encoded.cell.clone(), encoded.genes.clone());
        if let Some(context) = &encoded.context {
            cell = Tensor::cat(vec![cell, context.cell.clone()], 1);
            if self.context_in_query {
                genes = Tensor::cat(vec![genes, context.tokens.clone()], 2);
            }
        }
        (cell, genes)
    }

    /// Expression from the cell embedding (GEPC); `None` without that head.
    pub fn predict_from_cell(&self, encoded: &Encoded) -> Option<Expression> {
        let head = self.gepc.as_ref()?;
        let (cell, genes) = self.gepc_states(encoded);
        Some(head.forward(cell, genes))
    }

    /// Logits of the classes, `[b, y]`; `None` without that head.
    pub fn classify(&self, encoded: &Encoded) -> Option<Tensor<2>> {
        Some(self.class.as_ref()?.forward(encoded.cell.clone()))
    }

    /// Logits of the batches, `[b, domains]`, whose gradient reaches the encoder reversed (DAR);
    /// `None` without that head.
    pub fn tell_batches(&self, encoded: &Encoded) -> Option<Tensor<2>> {
        Some(self.dar.as_ref()?.forward(encoded.cell.clone()))
    }

    /// `q kᵀ` of every head of layer `layer`, counted from 0: attention before scaling, mask and
    /// softmax. Later layers are not computed.
    ///
    /// # Shapes
    /// - output: `[b, h, t, t]`, rows are queries, columns are keys
    ///
    /// # Errors
    /// If there is no such layer.
    ///
    /// # Panics
    /// As [`encode`](Self::encode).
    ///
    /// # Reference
    /// `Tutorial_Attention_GRN.ipynb`: the scores it ranks. Differs: any layer.
    pub fn attention_scores(&self, input: &ModelInput, layer: usize) -> Result<Tensor<4>> {
        let sight = self.sight(&input.genes, &input.mask);
        self.attention_scores_of(self.input_tokens(input), &sight, layer)
    }

    /// The weights with which layer `layer`, counted from 0, mixes the values of tokens: its scores
    /// after scaling, mask and softmax. Later layers are not computed.
    ///
    /// # Shapes
    /// - output: `[b, h, t, t]`, rows are queries and sum to 1, columns are keys
    ///
    /// # Errors
    /// If there is no such layer.
    ///
    /// # Panics
    /// As [`encode`](Self::encode).
    pub fn attention_weights(&self, input: &ModelInput, layer: usize) -> Result<Tensor<4>> {
        let tokens = self.input_tokens(input);
        let sight = self.sight(&input.genes, &input.mask);
        let (x, attention) = self.encoder.before_attention(tokens, &sight, layer)?;
        Ok(attention.weights(x, &input.mask))
    }

    /// Attention scores of layer `layer` for the encoder's input, `[b, t, d]`.
    pub(crate) fn attention_scores_of(
        &self,
        tokens: Tensor<3>,
        sight: &Sight<'_>,
        layer: usize,
    ) -> Result<Tensor<4>> {
        let (x, attention) = self.encoder.before_attention(tokens, sight, layer)?;
        Ok(attention.scores(x))
    }

    /// The encoder's input, `[b, t, d]`.
    pub(crate) fn input_tokens(&self, input: &ModelInput) -> Tensor<3> {
        self.tokens(self.genes.forward(input.genes.clone()), input)
    }

    /// How this network pools token states.
    pub fn pooling(&self) -> CellPooling {
        self.pooling
    }

    /// The encoder's input, `[b, t, d]`.
    fn tokens(&self, genes: Tensor<3>, input: &ModelInput) -> Tensor<3> {
        let Conditions { perturbations, domain, prompt, .. } = &input.conditions;
        let ([_, t, _], device) = (genes.dims(), genes.device());
        let mut tokens = match (&self.values, &input.values) {
            (Some(encoder), Some(values)) => {
                self.with_values(genes, encoder.forward(values.clone()), &input.mask)
            }
            (None, Some(values)) => {
                let values = values.clone().cast(genes.dtype());
                genes * values.unsqueeze_dim(2)
            }
            (_, None) => genes,
        };
        if let Some(encoder) = &self.perturbations {
            tokens =
                tokens + encoder.forward(required(perturbations.as_ref(), "perturbation flags"));
        }
        if let Some(norm) = &self.input_norm {
            tokens = norm.forward(tokens, &self.parts(&input.mask, &device), *domain);
        }
        if let Some(prompt) = prompt {
            let rest = tokens.narrow(1, 1, t - 1);
            let prompt = prompt.clone().cast(rest.dtype()).unsqueeze_dim(1);
            tokens = Tensor::cat(vec![prompt, rest], 1);
        }
        tokens
    }

    /// Adds value vectors to known genes and the flag to unknown ones.
    fn with_values(&self, genes: Tensor<3>, values: Tensor<3>, mask: &AttentionMask) -> Tensor<3> {
        if !mask.is_generative() {
            return genes + values;
        }
        let device = genes.device();
        let shape = genes.dims();
        let flag = required(self.unknown_flag.as_ref(), "an embedding of unknown genes");
        let flag = flag.weight.val().narrow(0, 1, 1).unsqueeze_dim::<3>(0).expand(shape);
        genes + values.mask_where(mask.is_unknown(&device).expand(shape), flag)
    }

    /// The parts of the tokens that are normalised apart, see [`DomainNorm::forward`].
    fn parts(&self, mask: &AttentionMask, device: &Device) -> Vec<Tensor<3>> {
        let is_used = match self.padded_states {
            PaddedStates::Excluded => Some(mask.is_used(&Tensor::zeros([1, 1, 1], device))),
            PaddedStates::PackedLayout | PaddedStates::PlainLayout => None,
        };
        if !mask.is_generative() {
            return is_used.into_iter().collect();
        }
        let unknown = mask.is_unknown(device);
        [unknown.clone().bool_not().float(), unknown.float()]
            .map(|part| match &is_used {
                Some(is_used) => part * is_used.clone(),
                None => part,
            })
            .into()
    }

    /// The states of tokens, `[b, t, d]`, pooled to cells, `[b, d]`.
    pub(crate) fn pool(&self, tokens: Tensor<3>, input: &ModelInput) -> Tensor<2> {
        self.pooling.pool(tokens, input.values.clone(), &input.mask, self.padded_states)
    }

    fn context(&self, input: &ModelInput) -> Option<Context> {
        let batches = self.batches.as_ref().map(|encoder| {
            let labels = required(input.conditions.batches.as_ref(), "batch labels");
            encoder.forward(labels.unsqueeze_dim(1)) // [b, 1, d]
        });
        let modalities = self.modalities.as_ref().map(|encoder| {
            encoder.forward(required(input.conditions.modalities.as_ref(), "modality tokens"))
        });
        let [b, t] = input.genes.dims();
        Some(match (batches, modalities) {
            (None, None) => return None,
            (Some(batches), None) => {
                let d = batches.dims()[2];
                let cell = batches.clone().squeeze_dim(1);
                Context { tokens: batches.expand([b, t, d]), cell }
            }
            (None, Some(modalities)) => {
                Context { cell: self.pool(modalities.clone(), input), tokens: modalities }
            }
            (Some(batches), Some(modalities)) => {
                let cell = self.pool(modalities.clone(), input) + batches.clone().squeeze_dim(1);
                Context { tokens: modalities + batches, cell }
            }
        })
    }
}

/// A part of the input that the network needs.
///
/// # Panics
/// If it is missing; `what` names it.
#[allow(clippy::panic, reason = "documented: a caller's mistake, like a wrong shape")]
fn required<T: Clone>(part: Option<&T>, what: &str) -> T {
    part.cloned().unwrap_or_else(|| panic!("this network needs {what}"))
}
