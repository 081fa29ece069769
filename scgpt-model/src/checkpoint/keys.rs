//! Names of tensors: those of the reference, their older spellings, and the paths of our modules.

/// The gene table of the reference.
pub(super) const GENE_TABLE: &str = "encoder.embedding.weight";
/// The weights of genes in means of keys and values, which the reference does not have.
pub(super) const MEANS_TABLE: &str = "means.weight";
/// The scale of the norm of gene vectors.
pub(super) const GENE_SCALE: &str = "encoder.enc_norm.weight";
/// The value table, with binned values.
pub(super) const VALUE_TABLE: &str = "value_encoder.embedding.weight";
/// Present when the GEPC head was saved.
pub(super) const GEPC_HEAD: &str = "mvc_decoder.gene2query.weight";
/// Present when the embedding of unknown genes was saved.
pub(super) const UNKNOWN_FLAG: &str = "flag_encoder.weight";

/// The two matrices of an adapter, beside the `weight` of their layer.
pub(super) const LORA_A: &str = "lora_A";
pub(super) const LORA_B: &str = "lora_B";

/// Parts of the network as classes for `transformers` call them, and as the reference does.
const HUB_PARTS: [(&str, &str); 3] = [
    ("gene_encoder.", "encoder."),
    ("transformer.", "transformer_encoder."),
    ("expr_decoder.", "decoder."),
];

/// Tensors without an effect on anything: a counter of batch norm, and a copy of the probability
/// decoder of which the reference uses one.
pub(super) fn is_idle(key: &str) -> bool {
    key.ends_with(".num_batches_tracked") || key.starts_with("decoder.bias_decoder.zero_logit.")
}

/// The packed spelling of a key, whatever layout it was saved in.
///
/// | saved as | canonical |
/// |---|---|
/// | `model_state_dict.…`, `state_dict.…` (nested), `module.…` (data-parallel) | without the prefix |
/// | `self_attn.in_proj_weight` (plain layout) | `self_attn.Wqkv.weight` |
/// | `self_attn._impl.Wqkv.weight` (wrapped) | `self_attn.Wqkv.weight` |
/// | `scgpt.…`, `gene_encoder.…`, `transformer.…`, `expr_decoder.…` (as `transformers` has it) | `encoder.…`, `transformer_encoder.…`, `decoder.…` |
pub(super) fn canonical(key: &str) -> String {
    let key = ["model_state_dict.", "state_dict.", "module.", "scgpt."]
        .iter()
        .fold(key, |key, prefix| key.strip_prefix(prefix).unwrap_or(key));
    let renamed =
        HUB_PARTS.iter().find_map(|(saved, part)| Some([part, key.strip_prefix(saved)?].concat()));
    renamed
        .as_deref()
        .unwrap_or(key)
        .replace("self_attn._impl.", "self_attn.")
        .replace("self_attn.in_proj_", "self_attn.Wqkv.")
}

/// The place in our module tree that a walk has reached.
#[derive(Default)]
pub(super) struct ModulePath {
    names: Vec<String>,
    kinds: Vec<String>,
}

impl ModulePath {
    pub(super) fn enter(&mut self, name: &str, kind: &str) {
        self.names.push(name.into());
        self.kinds.push(kind.into());
    }

    pub(super) fn exit(&mut self) {
        self.names.pop();
        self.kinds.pop();
    }

    /// The name of the parameter of that rank at this place.
    pub(super) fn name(&self, rank: usize) -> ParameterName {
        let is_linear = self.kinds.iter().any(|kind| kind == "Struct:Linear");
        ParameterName { key: of_module(&self.names), is_transposed: rank == 2 && is_linear }
    }
}

fn of_module(path: &[String]) -> String {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["genes", "embedding", name] => format!("encoder.embedding.{name}"),
        ["genes", "norm", name] => format!("encoder.enc_norm.{}", parameter(name)),
        ["values", "Binned", "norm", name] => format!("value_encoder.enc_norm.{}", parameter(name)),
        ["values", _, part, name] => format!("value_encoder.{part}.{}", parameter(name)),
        ["encoder", "blocks", layer, "attention", part, rest @ ..] => {
            let part = if *part == "qkv" { "Wqkv" } else { "out_proj" };
            format!("transformer_encoder.layers.{layer}.self_attn.{part}.{}", of_layer(rest))
        }
        ["encoder", "blocks", layer, part, rest @ ..] => {
            format!("transformer_encoder.layers.{layer}.{part}.{}", of_layer(rest))
        }
        ["gep", "Direct", rest @ ..] => format!("decoder.{}", of_decoder(rest)),
        ["gep", _, "coefficient", rest @ ..] => {
            format!("decoder.coeff_decoder.{}", of_decoder(rest))
        }
        ["gep", _, _, rest @ ..] => format!("decoder.bias_decoder.{}", of_decoder(rest)),
        ["gepc", _, part, name] => {
            let part = match *part {
                "gene_to_query" => "gene2query",
                "weight" => "W",
                "nonzero" => "W_zero_logit",
                "linear1" => "fc1",
                "linear2" => "fc2",
                _ => "hidden_activation",
            };
            let name = if *name == "alpha" { "weight" } else { *name };
            format!("mvc_decoder.{part}.{name}")
        }
        ["class", rest @ ..] => format!("cls_decoder.{}", of_classifier(rest)),
        ["dar", _, rest @ ..] => format!("grad_reverse_discriminator.{}", of_classifier(rest)),
        ["batches", part, name] => format!("batch_encoder.{}", of_condition(part, name)),
        ["modalities", part, name] => format!("mod_encoder.{}", of_condition(part, name)),
        ["perturbations", _, name] => format!("pert_encoder.{name}"),
        ["input_norm", "Domains", domain, name] => format!("dsbn.bns.{domain}.{name}"),
        ["input_norm", _, name] => format!("bn.{}", parameter(name)),
        ["unknown_flag", name] => format!("flag_encoder.{name}"),
        other => other.join("."),
    }
}

/// The name within a layer of a block; adapters are called as PEFT calls them.
fn of_layer(path: &[&str]) -> String {
    match path {
        ["adapter", "a"] => format!("{LORA_A}.weight"),
        ["adapter", _] => format!("{LORA_B}.weight"),
        [name] => parameter(name).into(),
        other => other.join("."),
    }
}

/// A decoder of expression, or of its probability.
fn of_decoder(path: &[&str]) -> String {
    match path {
        [part, layer, name] => {
            let part = if *part == "value" { "fc" } else { "zero_logit" };
            let index = match *layer {
                "linear1" => 0,
                "linear2" => 2,
                _ => 4,
            };
            format!("{part}.{index}.{name}")
        }
        other => other.join("."),
    }
}

/// The name within a head that scores classes: the linear layer, the activation and the norm of
/// each of its layers have three successive numbers.
fn of_classifier(path: &[&str]) -> String {
    match path {
        ["layers", layer, part, name] => {
            let Ok(layer) = layer.parse::<usize>() else { return path.join(".") };
            let first = 3 * layer;
            let index = if *part == "linear" { first } else { first + 2 };
            format!("_decoder.{index}.{}", parameter(name))
        }
        ["out", name] => format!("out_layer.{name}"),
        other => other.join("."),
    }
}

fn of_condition(part: &str, name: &str) -> String {
    let part = if part == "norm" { "enc_norm" } else { part };
    format!("{part}.{}", parameter(name))
}

fn parameter(name: &str) -> &str {
    match name {
        "gamma" => "weight",
        "beta" => "bias",
        other => other,
    }
}

/// The name of a parameter in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParameterName {
    /// Its key in the state dict of the reference.
    pub key: String,
    /// Whether the checkpoint holds the matrix transposed: `[out, in]`, where burn has `[in, out]`.
    pub is_transposed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_meet() {
        let expected = "transformer_encoder.layers.3.self_attn.Wqkv.bias";
        for saved in [
            "transformer_encoder.layers.3.self_attn.in_proj_bias",
            "state_dict.module.transformer_encoder.layers.3.self_attn._impl.Wqkv.bias",
            "scgpt.transformer.layers.3.self_attn.in_proj_bias",
            expected,
        ] {
            assert_eq!(canonical(saved), expected);
        }
        assert_eq!(canonical("gene_encoder.embedding.weight"), GENE_TABLE);
        assert_eq!(canonical("expr_decoder.fc.2.bias"), "decoder.fc.2.bias");
        let path = ["encoder", "blocks", "3", "attention", "qkv", "bias"].map(String::from);
        assert_eq!(of_module(&path), expected);
    }
}
