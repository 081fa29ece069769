//! [`ScgptConfig`]: the switches of the network, validated once.

mod choices;
mod reference;

use serde::{Deserialize, Serialize};

pub use self::choices::{
    Activation, AttentionKind, CellPooling, GepStyle, GepcStyle, InputNorm, NormScheme,
    PaddedStates, ValueEncoding,
};
use crate::{
    error::{Error, Result},
    problem::FieldProblem,
};

/// The shape and the switches of one network.
///
/// ```
/// use scgpt_model::{CellPooling, ScgptConfig};
///
/// // The released shape over 60 697 gene tokens, with another pooling and a class head.
/// let config =
///     ScgptConfig { cell_pooling: CellPooling::Mean, n_classes: 12, ..ScgptConfig::new(60_697) };
/// assert!(config.validate().is_ok());
/// assert_eq!(config.head_width(), 64);
///
/// let wrong = ScgptConfig { n_heads: 7, ..config };
/// let message = wrong.validate().unwrap_err().to_string();
/// assert!(message.contains("`d_model` is 512, not divisible by `n_heads` (7)"));
/// ```
///
/// # Reference
/// `TransformerModel`, `MultiOmicTransformerModel`, `TransformerGenerator` and the keys of a
/// released `args.json`. Differs: one type instead of three classes with twenty positional knobs;
/// what a switch needs is part of its variant; combinations that fail there work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "switches of one network, each on its own")]
pub struct ScgptConfig {
    /// Number of gene tokens, special tokens included.
    pub vocab_size: usize,
    /// Width of the token states.
    pub d_model: usize,
    /// Number of attention heads; it divides `d_model`.
    pub n_heads: usize,
    /// Width of the feed-forward layer.
    pub d_ff: usize,
    /// Number of transformer blocks.
    pub n_layers: usize,
    /// Dropout probability while training; inference never drops.
    #[serde(default)]
    pub dropout: f64,
    /// Number of value bins of a cell, bin 0 for zero included.
    #[serde(default = "ScgptConfig::default_n_bins")]
    pub n_bins: usize,
    /// Value fed at padded positions, and at `<cls>` in pre-training and zero-shot use.
    #[serde(default = "ScgptConfig::default_pad_value")]
    pub pad_value: f32,
    /// Value fed where the true value is hidden from the network.
    #[serde(default = "ScgptConfig::default_mask_value")]
    pub mask_value: f32,
    /// How values are embedded.
    #[serde(default)]
    pub value_encoding: ValueEncoding,
    /// How cells are pooled.
    #[serde(default)]
    pub cell_pooling: CellPooling,
    /// What padding contributes to pooling.
    #[serde(default)]
    pub padded_states: PaddedStates,
    /// How tokens attend to each other.
    #[serde(default)]
    pub attention: AttentionKind,
    /// Number of random features of [`AttentionKind::Favor`], and of means of
    /// [`AttentionKind::Linformer`].
    #[serde(default = "ScgptConfig::default_attention_rank")]
    pub attention_rank: usize,
    /// Seed of the random features of [`AttentionKind::Favor`].
    #[serde(default)]
    pub attention_seed: u64,
    /// Where the norms of a block stand.
    #[serde(default)]
    pub norm_scheme: NormScheme,
    /// How the network predicts expression from token states (GEP).
    #[serde(default)]
    pub gep: GepStyle,
    /// How the network predicts expression from the cell embedding (GEPC); `None` if it does not.
    #[serde(default)]
    pub gepc: Option<GepcStyle>,
    /// Whether both of these heads also predict the probability that a gene is expressed at all.
    #[serde(default)]
    pub zero_probability: bool,
    /// Whether the network has the embedding that marks unknown genes.
    #[serde(default)]
    pub unknown_flag: bool,
    /// Whether unknown genes pass through the output projection of attention. Released models
    /// were most likely trained without (their other tokens do).
    #[serde(default = "ScgptConfig::default_project_unknown")]
    pub project_unknown: bool,
    /// Number of batch labels that the expression heads are told of; 0 for none.
    #[serde(default)]
    pub n_batches: usize,
    /// Number of modality tokens (padding and `<cls>` included) that the expression heads are told
    /// of; 0 for none.
    #[serde(default)]
    pub n_modalities: usize,
    /// The modality token of padding, whose vector does not learn.
    #[serde(default)]
    pub pad_modality: Option<usize>,
    /// Whether the gene queries of the GEPC head see batch and modality too.
    #[serde(default)]
    pub context_in_query: bool,
    /// Number of perturbation flags, whose vectors are added to the tokens; 0 for none.
    #[serde(default)]
    pub n_perturbation_flags: usize,
    /// The perturbation flag of padding, whose vector does not learn.
    #[serde(default)]
    pub pad_perturbation_flag: Option<usize>,
    /// Batch normalisation of the token embeddings.
    #[serde(default)]
    pub input_norm: InputNorm,
    /// Number of batch labels that the input norm and the adversarial head (DAR) tell apart.
    #[serde(default)]
    pub n_domains: usize,
    /// Whether the network has the head that tells batches apart behind a reversed gradient (DAR).
    #[serde(default)]
    pub dar: bool,
    /// Number of classes of the class head; 0 for none.
    #[serde(default)]
    pub n_classes: usize,
    /// Number of linear layers of the class head.
    #[serde(default = "ScgptConfig::default_class_layers")]
    pub n_class_layers: usize,
    /// The gene token of padding, whose vector does not learn.
    #[serde(default)]
    pub pad_token: Option<usize>,
}

impl ScgptConfig {
    /// The released shape (12 layers, 8 heads, 512 wide) over a vocabulary of that size.
    pub fn new(vocab_size: usize) -> Self {
        Self {
            vocab_size,
            d_model: 512,
            n_heads: 8,
            d_ff: 512,
            n_layers: 12,
            dropout: 0.2,
            n_bins: Self::default_n_bins(),
            pad_value: Self::default_pad_value(),
            mask_value: Self::default_mask_value(),
            value_encoding: ValueEncoding::default(),
            cell_pooling: CellPooling::default(),
            padded_states: PaddedStates::default(),
            attention: AttentionKind::default(),
            attention_rank: Self::default_attention_rank(),
            attention_seed: 0,
            norm_scheme: NormScheme::default(),
            gep: GepStyle::default(),
            gepc: Some(GepcStyle::default()),
            zero_probability: false,
            unknown_flag: true,
            project_unknown: Self::default_project_unknown(),
            n_batches: 0,
            n_modalities: 0,
            pad_modality: None,
            context_in_query: false,
            n_perturbation_flags: 0,
            pad_perturbation_flag: None,
            input_norm: InputNorm::default(),
            n_domains: 0,
            dar: false,
            n_classes: 0,
            n_class_layers: Self::default_class_layers(),
            pad_token: None,
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Config`] with all mistakes at once.
    pub fn validate(&self) -> Result<()> {
        let mut problems = Vec::new();
        let mut wrong = |field, problem| problems.push(FieldProblem::new(field, problem));
        // The limits keep a corrupt file from asking for absurd memory.
        for (field, value, limit) in [
            ("vocab_size", self.vocab_size, 1 << 24),
            ("d_model", self.d_model, 1 << 14),
            ("n_heads", self.n_heads, 1 << 10),
            ("d_ff", self.d_ff, 1 << 16),
            ("n_layers", self.n_layers, 1 << 10),
            ("n_bins", self.n_bins, usize::from(u16::MAX)),
            ("attention_rank", self.attention_rank, 1 << 14),
        ] {
            if value == 0 || value > limit {
                wrong(field, format!("is {value}, expected 1 to {limit}"));
            }
        }
        if self.n_heads != 0 && !self.d_model.is_multiple_of(self.n_heads) {
            let Self { d_model, n_heads, .. } = self;
            wrong("d_model", format!("is {d_model}, not divisible by `n_heads` ({n_heads})"));
        }
        if self.n_bins == 1 {
            wrong("n_bins", "is 1, but bin 0 is reserved for zero: expected at least 2".into());
        }
        if !(0.0..1.0).contains(&self.dropout) {
            wrong("dropout", format!("is {}, expected 0 up to below 1", self.dropout));
        }
        for (field, value) in [("pad_value", self.pad_value), ("mask_value", self.mask_value)] {
            if !value.is_finite() {
                wrong(field, format!("is {value}, expected a finite number"));
            }
        }
        if let ValueEncoding::Binned { n_inputs } = self.value_encoding {
            let highest = self.pad_value.max(self.mask_value);
            if !(2..=1 << 16).contains(&n_inputs)
                || highest >= n_inputs as f32
                || self.pad_value < 0.0
            {
                let problem = format!(
                    "has {n_inputs} rows, but `pad_value` is {} and `mask_value` {}: both must be rows of the table",
                    self.pad_value, self.mask_value
                );
                wrong("value_encoding", problem);
            }
        }
        self.validate_conditions(&mut problems);
        if problems.is_empty() { Ok(()) } else { Err(Error::Config { path: None, problems }) }
    }

    /// Checks the switches of condition tokens and heads.
    fn validate_conditions(&self, problems: &mut Vec<FieldProblem>) {
        let mut wrong = |field, problem| problems.push(FieldProblem::new(field, problem));
        // Norms of domains are there before any weights are read.
        let domains = (1 << 26) / self.d_model.max(1);
        for (field, value, most) in [
            ("n_batches", self.n_batches, 1 << 20),
            ("n_modalities", self.n_modalities, 1 << 20),
            ("n_perturbation_flags", self.n_perturbation_flags, 1 << 20),
            ("n_domains", self.n_domains, domains.min(1 << 16)),
            ("n_classes", self.n_classes, 1 << 20),
            ("n_class_layers", self.n_class_layers, 1 << 6),
        ] {
            if value > most {
                wrong(field, format!("is {value}, expected at most {most}"));
            }
        }
        for (field, row, rows_field, rows) in [
            ("pad_token", self.pad_token, "vocab_size", self.vocab_size),
            ("pad_modality", self.pad_modality, "n_modalities", self.n_modalities),
            (
                "pad_perturbation_flag",
                self.pad_perturbation_flag,
                "n_perturbation_flags",
                self.n_perturbation_flags,
            ),
        ] {
            if let Some(row) = row.filter(|&row| row >= rows) {
                wrong(field, format!("is {row}, expected less than `{rows_field}` ({rows})"));
            }
        }
        if self.n_classes > 0 && self.n_class_layers == 0 {
            wrong("n_class_layers", "is 0, but `n_classes` asks for a class head".into());
        }
        if self.n_domains == 0 && (self.dar || self.input_norm == InputNorm::DomainSpecific) {
            wrong("n_domains", "is 0, but `dar` or `input_norm` needs batch labels".into());
        }
        if self.zero_probability && matches!(self.gepc, Some(GepcStyle::Concat | GepcStyle::Sum)) {
            let problem =
                "is concat or sum, which have no `zero_probability`: choose inner_product";
            wrong("gepc", problem.into());
        }
    }

    /// Whether the expression heads are told of batches or modalities.
    pub fn has_context(&self) -> bool {
        self.n_batches > 0 || self.n_modalities > 0
    }

    /// Number of value bins of a cell, bin 0 included, in the type that binning takes.
    ///
    /// # Panics
    /// If [`validate`](Self::validate) refuses the number.
    #[expect(clippy::expect_used, reason = "a network has a configuration that was validated")]
    pub fn value_bins(&self) -> u16 {
        u16::try_from(self.n_bins).expect("at most 65535 value bins")
    }

    /// Width of one attention head.
    pub fn head_width(&self) -> usize {
        self.d_model / self.n_heads
    }

    fn default_attention_rank() -> usize {
        64
    }

    fn default_project_unknown() -> bool {
        true
    }

    fn default_class_layers() -> usize {
        3
    }

    fn default_n_bins() -> usize {
        51
    }

    fn default_pad_value() -> f32 {
        -2.0
    }

    fn default_mask_value() -> f32 {
        -1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_named_at_once() {
        let config = ScgptConfig { n_heads: 7, n_layers: 0, dropout: 1.5, ..ScgptConfig::new(10) };
        let message = config.validate().unwrap_err().to_string();
        for field in [
            "`d_model` is 512, not divisible by `n_heads` (7)",
            "`n_layers` is 0",
            "`dropout` is 1.5",
        ] {
            assert!(message.contains(field), "{message}");
        }
        let infinite = ScgptConfig {
            mask_value: f32::INFINITY,
            n_domains: 1 << 20,
            n_bins: 1 << 16,
            ..config
        };
        let Err(Error::Config { problems, .. }) = infinite.validate() else { unreachable!() };
        let fields = problems.iter().map(|problem| problem.field);
        assert!(fields.eq(["n_layers", "n_bins", "d_model", "dropout", "mask_value", "n_domains"]));
        ScgptConfig::new(10).validate().unwrap();
    }

    #[test]
    fn unknown_fields_are_refused() {
        let mut json = serde_json::to_value(ScgptConfig::new(10)).unwrap();
        json["n_layer"] = 3.into();
        assert!(serde_json::from_value::<ScgptConfig>(json).is_err());
    }
}
