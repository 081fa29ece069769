//! What all workers of a training have alike: where it begins, and the weights at every checkpoint.

use burn::{
    module::Param,
    prelude::*,
    tensor::{DType, TensorData},
};
use scgpt_data::differences;
use scgpt_model::{MapNamed, ParameterName, Scgpt, VisitNamed, host_values};
use serde_json::Value;

use crate::{
    checkpoint::State,
    error::{Error, Result},
    optimizer::Optimizer,
    precision::Precision,
    workers::{Transport, Workers},
};

/// Gives everyone the state, weights and moments of the first worker.
pub(crate) fn share(
    workers: &Workers,
    (state, model, mut optimizer): (State, Scgpt, Optimizer),
    device: &Device,
) -> Result<(State, Scgpt, Optimizer)> {
    let Some(transport) = workers.transport() else { return Ok((state, model, optimizer)) };
    let state = workers.first_says(|| Ok::<_, Error>(state))?;
    let mut weights = Numbers::default();
    if workers.is_first() {
        model.visit_named(&mut weights);
    }
    weights.broadcast(transport)?;
    let model = model.map_named(&mut weights);
    let names: Vec<(String, usize)> = workers.first_says(|| {
        let names = optimizer.moments().map(|(name, time, _)| (name.to_owned(), time));
        Ok::<_, Error>(names.collect())
    })?;
    for (name, time) in names {
        let mut moments = Numbers::default();
        for (_, _, both) in optimizer.moments().filter(|it| workers.is_first() && it.0 == name) {
            for moment in both {
                moments.push(host_values(moment));
            }
        }
        moments.broadcast(transport)?;
        let n = moments.bytes.len() / (2 * size_of::<f32>());
        let both =
            [(); 2].map(|()| Tensor::from_data(TensorData::new(moments.next(n), [n]), device));
        optimizer.restore(name, time, both);
    }
    Ok((state, model, optimizer))
}

/// Checks that this worker has the settings of the first, and so its cells.
///
/// # Errors
/// [`Error::Workers`] if it has not.
pub(crate) fn check_settings(workers: &Workers, settings: &Value) -> Result<()> {
    let Some(first) = workers.other_first(settings)? else { return Ok(()) };
    let differences = differences(&first, settings).join("; ");
    Err(Error::Workers(format!("not what the first worker learns from: {differences}")))
}

/// Checks that this worker computes in the numbers of the first: a processor may lack instructions for what was asked.
///
/// # Errors
/// [`Error::Workers`] if it does not.
pub(crate) fn check_precision(workers: &Workers, computed: Precision) -> Result<()> {
    let Some(first) = workers.other_first(&computed)? else { return Ok(()) };
    Err(Error::Workers(format!(
        "its processor computes in {computed}, that of the first worker in {first}: take machines of one kind, or the \
         precision f32"
    )))
}

/// Checks that all workers have the weights of the first.
///
/// # Errors
/// [`Error::Drifted`] if one has not.
pub(crate) fn check_alike(workers: &Workers, model: &Scgpt) -> Result<()> {
    let Some(transport) = workers.transport() else { return Ok(()) };
    let mut hashes = Hashes::default();
    model.visit_named(&mut hashes);
    let all = transport.gather_words(&hashes.hashes)?;
    let (first, others) = all.split_at(hashes.hashes.len());
    for (place, name) in hashes.names.into_iter().enumerate() {
        let other = others.iter().skip(place).step_by(first.len());
        if let Some(worker) = other.clone().position(|hash| *hash != first[place]) {
            return Err(Error::Drifted { parameter: name, worker: worker + 1 });
        }
    }
    Ok(())
}

/// Numbers one after the other, as bytes.
#[derive(Default)]
struct Numbers {
    bytes: Vec<u8>,
    /// Bytes that were taken.
    taken: usize,
}

impl Numbers {
    fn push(&mut self, values: Vec<f32>) {
        self.bytes.extend(values.into_iter().flat_map(f32::to_le_bytes));
    }

    fn next(&mut self, n: usize) -> Vec<f32> {
        let bytes = &self.bytes[self.taken..];
        let (numbers, _) = bytes.as_chunks::<{ size_of::<f32>() }>();
        self.taken += n * size_of::<f32>();
        numbers[..n].iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    fn broadcast(&mut self, transport: &dyn Transport) -> Result<()> {
        self.bytes = transport.broadcast(std::mem::take(&mut self.bytes))?;
        Ok(())
    }
}

impl VisitNamed for Numbers {
    fn visit<const D: usize>(&mut self, _: ParameterName, parameter: &Param<Tensor<D>>) {
        self.push(host_values(parameter.val().inner()));
    }
}

impl MapNamed for Numbers {
    fn map<const D: usize>(
        &mut self,
        _: ParameterName,
        parameter: Param<Tensor<D>>,
    ) -> Param<Tensor<D>> {
        let is_learning = parameter.is_require_grad();
        let own = parameter.val().inner();
        let values = self.next(own.shape().num_elements());
        let value = Tensor::<D>::from_data(TensorData::new(values, own.dims()), &own.device());
        let value = Tensor::from_inner(value.cast(DType::F32));
        Param::initialized(parameter.id, value.set_require_grad(is_learning))
    }
}

/// A hash of every parameter.
#[derive(Default)]
struct Hashes {
    names: Vec<String>,
    hashes: Vec<u64>,
}

impl VisitNamed for Hashes {
    fn visit<const D: usize>(&mut self, name: ParameterName, parameter: &Param<Tensor<D>>) {
        let data = parameter.val().inner().into_data();
        self.names.push(name.key);
        self.hashes.push(crc32c::crc32c(data.as_bytes()).into());
    }
}
