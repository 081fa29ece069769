//! Names of tensors: the reference's, their older spellings, and the paths of our modules.

/// The gene table of the reference.
pub(super) const GENE_TABLE: &str = "encoder.embedding.weight";
/// The value table, with binned values.
pub(super) const VALUE_TABLE: &str = "value_encoder.embedding.weight";
/// Present when the GEPC head was saved.
pub(super) const GEPC_HEAD: &str = "mvc_decoder.gene2query.weight";
/// Present when the embedding of unknown genes was saved.
pub(super) const UNKNOWN_FLAG: &str = "flag_encoder.weight";

/// Task heads that the cell embedding does not depend on: left unused without complaint.
const TASK_HEADS: [&str; 2] = ["cls_decoder.", "grad_reverse_discriminator."];

/// Whether `key` belongs to a head that lives with its task.
pub(super) fn is_task_head(key: &str) -> bool {
    TASK_HEADS.iter().any(|prefix| key.starts_with(prefix))
}

/// The packed spelling of a key, whatever layout it was saved in.
///
/// | saved as | canonical |
/// |---|---|
/// | `model_state_dict.…`, `state_dict.…` (nested), `module.…` (data-parallel) | without the prefix |
/// | `self_attn.in_proj_weight` (plain layout) | `self_attn.Wqkv.weight` |
/// | `self_attn._impl.Wqkv.weight` (wrapped) | `self_attn.Wqkv.weight` |
pub(super) fn canonical(key: &str) -> String {
    let key = ["model_state_dict.", "state_dict.", "module."]
        .iter()
        .fold(key, |key, prefix| key.strip_prefix(prefix).unwrap_or(key));
    key.replace("self_attn._impl.", "self_attn.").replace("self_attn.in_proj_", "self_attn.Wqkv.")
}

/// Where a walk through our module tree is.
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

    /// The reference's name of the parameter here.
    pub(super) fn key(&self) -> String {
        of_module(&self.names)
    }

    /// Whether the matrix here is the weight of a linear layer, which PyTorch keeps as [out, in]
    /// and burn as [in, out].
    pub(super) fn is_transposed(&self) -> bool {
        self.kinds.iter().any(|kind| kind == "Struct:Linear")
    }
}

fn of_module(path: &[String]) -> String {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let parameter = |name| match name {
        "gamma" => "weight",
        "beta" => "bias",
        other => other,
    };
    match path.as_slice() {
        ["genes", "embedding", name] => format!("encoder.embedding.{name}"),
        ["genes", "norm", name] => format!("encoder.enc_norm.{}", parameter(name)),
        ["values", "Binned", "norm", name] => format!("value_encoder.enc_norm.{}", parameter(name)),
        ["values", _, part, name] => format!("value_encoder.{part}.{}", parameter(name)),
        ["encoder", "blocks", layer, "attention", part, name] => {
            let part = if *part == "qkv" { "Wqkv" } else { "out_proj" };
            format!("transformer_encoder.layers.{layer}.self_attn.{part}.{name}")
        }
        ["encoder", "blocks", layer, part, name] => {
            format!("transformer_encoder.layers.{layer}.{part}.{}", parameter(name))
        }
        ["gep", part, name] => {
            let index = match *part {
                "linear1" => 0,
                "linear2" => 2,
                _ => 4,
            };
            format!("decoder.fc.{index}.{name}")
        }
        ["gepc", "gene_to_query", name] => format!("mvc_decoder.gene2query.{name}"),
        ["gepc", _, name] => format!("mvc_decoder.W.{name}"),
        ["unknown_flag", name] => format!("flag_encoder.{name}"),
        other => other.join("."),
    }
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
            expected,
        ] {
            assert_eq!(canonical(saved), expected);
        }
        let path = ["encoder", "blocks", "3", "attention", "qkv", "bias"].map(String::from);
        assert_eq!(of_module(&path), expected);
    }
}
