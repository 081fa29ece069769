//! Reads the reference's `args.json`, and the `config.json` of its classes for `transformers`.

use std::path::Path;

use serde_json::{Map, Value};

use super::{CellPooling, GepcStyle, ScgptConfig, ValueEncoding};
use crate::{
    error::{Error, Result},
    preprocess::Preprocess,
    problem::FieldProblem,
};

impl ScgptConfig {
    /// The configuration of a released checkpoint and what it expects of its input.
    ///
    /// Reads `embsize`, `nheads` (or `nhead`), `d_hid`, `nlayers` (required), `dropout`, `n_bins`, `pad_value`,
    /// `mask_value`, `max_seq_len`, `input_emb_style`, `cell_emb_style`, `MVC` and
    /// `USE_GENERATIVE_TRAINING`; other keys are settings of a past training run.
    ///
    /// # Errors
    /// [`Error::Read`] if the file cannot be read, [`Error::Document`] if it is not a JSON object,
    /// [`Error::Config`] naming every key that is missing, of the wrong type, or out of range.
    ///
    /// # Reference
    /// `tasks/cell_emb.py`, `embed_data`, and `args.json` of the released checkpoints.
    pub fn from_reference(args_json: &Path, vocab_size: usize) -> Result<(Self, Preprocess)> {
        let text =
            std::fs::read_to_string(args_json).map_err(|error| Error::read(args_json, error))?;
        let map: Map<String, Value> = serde_json::from_str(&text)
            .map_err(|source| Error::Document { path: args_json.into(), source })?;
        let mut args = Args { map: &map, problems: Vec::new() };
        let base = Self::new(vocab_size);
        let n_bins = args.count("n_bins", Some(base.n_bins));
        let max_length = args.count("max_seq_len", Some(1200));
        let config = Self {
            vocab_size,
            d_model: args.count("embsize", None),
            n_heads: args.count(if map.contains_key("nhead") { "nhead" } else { "nheads" }, None),
            d_ff: args.count("d_hid", None),
            n_layers: args.count("nlayers", None),
            dropout: args.number("dropout", base.dropout),
            n_bins,
            #[allow(clippy::cast_possible_truncation, reason = "the model computes in f32")]
            pad_value: args.number("pad_value", f64::from(base.pad_value)) as f32,
            #[allow(clippy::cast_possible_truncation, reason = "the model computes in f32")]
            mask_value: args.number("mask_value", f64::from(base.mask_value)) as f32,
            value_encoding: match args.word("input_emb_style", "continuous") {
                "continuous" => ValueEncoding::Continuous,
                "category" => ValueEncoding::Binned { n_inputs: n_bins + 2 },
                "scaling" => ValueEncoding::Scaling,
                other => {
                    args.unknown_word("input_emb_style", other, "continuous, category or scaling")
                }
            },
            cell_pooling: match args.word("cell_emb_style", "cls") {
                "cls" => CellPooling::Cls,
                "avg-pool" => CellPooling::Mean,
                "w-pool" => CellPooling::Weighted,
                other => args.unknown_word("cell_emb_style", other, "cls, avg-pool or w-pool"),
            },
            gepc: args.switch("MVC").then(GepcStyle::default),
            unknown_flag: args.switch("USE_GENERATIVE_TRAINING"),
            project_unknown: false,
            ..base
        };
        if !args.problems.is_empty() {
            return Err(Error::Config { path: Some(args_json.into()), problems: args.problems });
        }
        config.validate().map_err(|error| error.in_file(args_json))?;
        // Pre-training and zero-shot use mark `<cls>` with the padding value.
        let preprocess = Preprocess { max_length, cls_value: config.pad_value };
        Ok((config, preprocess))
    }
}

/// The object, and what was wrong with the keys read so far.
struct Args<'a> {
    map: &'a Map<String, Value>,
    problems: Vec<FieldProblem>,
}

impl<'a> Args<'a> {
    fn count(&mut self, key: &'static str, default: Option<usize>) -> usize {
        let value = self.map.get(key);
        match (value, default) {
            (None | Some(Value::Null), Some(default)) => default,
            (None, None) => {
                self.problems.push(FieldProblem::new(key, "is missing"));
                1
            }
            (Some(value), _) => {
                let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
                count.unwrap_or_else(|| self.wrong(key, value, "a whole number", 1))
            }
        }
    }

    fn number(&mut self, key: &'static str, default: f64) -> f64 {
        match self.map.get(key) {
            None | Some(Value::Null) => default,
            Some(value) => {
                value.as_f64().unwrap_or_else(|| self.wrong(key, value, "a number", default))
            }
        }
    }

    fn word(&mut self, key: &'static str, default: &'a str) -> &'a str {
        match self.map.get(key) {
            None | Some(Value::Null) => default,
            Some(value) => {
                value.as_str().unwrap_or_else(|| self.wrong(key, value, "a text", default))
            }
        }
    }

    fn switch(&mut self, key: &'static str) -> bool {
        match self.map.get(key) {
            None | Some(Value::Null) => false,
            Some(value) => {
                value.as_bool().unwrap_or_else(|| self.wrong(key, value, "true or false", false))
            }
        }
    }

    fn wrong<T>(&mut self, key: &'static str, value: &Value, expected: &str, default: T) -> T {
        let problem = format!("is {value}, expected {expected}");
        self.problems.push(FieldProblem::new(key, problem));
        default
    }

    fn unknown_word<T: Default>(&mut self, key: &'static str, word: &str, expected: &str) -> T {
        let problem = format!("is \"{word}\", expected {expected}");
        self.problems.push(FieldProblem::new(key, problem));
        T::default()
    }
}
