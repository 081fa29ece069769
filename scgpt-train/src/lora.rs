//! What adapters begin with, and what learns beside them.

use burn::{module::Param, prelude::*, tensor::TensorData};
use scgpt_data::{Keyed, Purpose, Setting, SettingProblem};
use scgpt_model::{Lora, MapNamed, NetworkPart, ParameterName, Scgpt, ScgptConfig};
use sha2::{Digest as _, Sha256};

use crate::freeze::Part;

/// The part of a parameter's name that makes it one of an adapter, and that of its first matrix.
const ADAPTER: &str = ".lora_";
const FIRST: &str = ".lora_A.";

/// What is wrong with adapters in a network of which some parts are frozen.
pub(crate) fn problem(
    lora: Lora,
    frozen: &[Part],
    network: &ScgptConfig,
) -> Option<SettingProblem> {
    let narrowest = network.d_model.min(network.d_ff);
    let all = frozen.iter().any(|part| match *part {
        Part::Transformer => true,
        Part::Blocks(n) => n >= network.n_layers,
        _ => false,
    });
    let problem = if lora.rank == 0 || lora.rank > narrowest {
        let rank = lora.rank;
        format!("is of rank {rank}, expected 1 to {narrowest}, as wide as the network's matrices")
    } else if !(lora.scale > 0.0 && lora.scale.is_finite()) {
        format!("has the scale {}, expected a positive number", lora.scale)
    } else if all {
        "has adapters in the transformer, none of which would learn, as `freeze` names it".into()
    } else {
        return None;
    };
    Some(Setting("lora").wrong(problem))
}

/// The network with adapters, before the first step: the first matrix of each is drawn from the seed and
/// its name, the other one is zero, so that the network computes what it did.
pub(crate) fn adapt(model: Scgpt, lora: Lora, seed: u64) -> Scgpt {
    model.with_adapters(lora).map_named(&mut Draw { seed })
}

/// The network with adapters of which no more learns than has to: the adapters, norms, heads, the value
/// encoder and the vectors of conditions. Weights and biases of the blocks stay, and so do gene vectors unless
/// they are to learn.
pub(crate) fn hold_base(model: Scgpt, lora: Lora) -> Scgpt {
    model.map_named(&mut Hold { lora })
}

struct Draw {
    seed: u64,
}

impl MapNamed for Draw {
    fn map<const D: usize>(
        &mut self,
        name: ParameterName,
        parameter: Param<Tensor<D>>,
    ) -> Param<Tensor<D>> {
        if !name.key.contains(FIRST) {
            return parameter;
        }
        let digest = Sha256::digest(&name.key);
        let number = digest.iter().take(8).fold(0, |sum, &byte| (sum << 8) | u64::from(byte));
        let key = Keyed::new(self.seed, Purpose::Initial, 0, number);
        parameter.map(|zeros| {
            let (shape, device) = (zeros.dims(), zeros.device());
            // As the layer beside it begins: uniform in ±√(1 / d_in).
            let bound = (1.0 / shape[0].max(1) as f64).sqrt();
            let n = shape.iter().product::<usize>() as u64;
            #[allow(clippy::cast_possible_truncation, reason = "weights are f32")]
            let draw = |index| (bound * (2.0 * key.uniform(index) - 1.0)) as f32;
            let values: Vec<f32> = (0..n).map(draw).collect();
            Tensor::from_data(TensorData::new(values, shape), &device)
        })
    }
}

struct Hold {
    lora: Lora,
}

/// Whether a parameter is of an adapter or learns beside them.
pub(crate) fn learns_beside_adapters(name: &str) -> bool {
    match NetworkPart::of(name) {
        Some(NetworkPart::Genes) => false,
        Some(NetworkPart::Block(_)) => name.contains(ADAPTER) || name.contains(".norm"),
        _ => true,
    }
}

impl MapNamed for Hold {
    fn map<const D: usize>(
        &mut self,
        name: ParameterName,
        parameter: Param<Tensor<D>>,
    ) -> Param<Tensor<D>> {
        let is_gene = NetworkPart::of(&name.key) == Some(NetworkPart::Genes);
        let learns = learns_beside_adapters(&name.key) || is_gene && self.lora.genes;
        if learns { parameter } else { parameter.set_require_grad(false) }
    }
}
