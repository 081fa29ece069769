//! [`Gpus`]: by NCCL, gradients are summed from GPU to GPU; all else passes by MPI.
#![allow(unsafe_code, reason = "NCCL sums in memory of burn's that cudarc is shown by its address")]

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use burn::{prelude::*, tensor::TensorData};
use burn_cubecl::{Cube, CubeBackend, CubeDevice, cubecl::cuda::CudaRuntime, tensor::CubeTensor};
use cubecl_runtime::runtime::Runtime;
use cudarc::{
    driver::{CudaContext, sys::CUdeviceptr},
    nccl::{Comm, Id, ReduceOp},
};
use scgpt_train::{Error, SumOnDevice, Workers};

/// Numbers that are summed before the first step, whose sum is known.
const TRIED: u16 = 10_000;

/// The GPUs of all workers, once they have met.
#[derive(Clone, Debug, Default)]
pub(super) struct Gpus(Arc<OnceLock<Mutex<Group>>>);

/// This worker's part in the group of GPUs.
#[derive(Debug)]
struct Group(Comm);

// SAFETY: NCCL lets any thread call it, one at a time.
unsafe impl Send for Group {}

impl Gpus {
    /// Meets the GPUs of the other workers, given this one's, and tries whether their sums are right.
    ///
    /// # Errors
    /// If this is no GPU of NVIDIA's, NCCL is not found or refuses them, or sums are wrong.
    pub(super) fn meet(&self, workers: &Workers, device: &Device) -> Result<()> {
        if self.0.get().is_some() {
            return Ok(());
        }
        let rank = u16::try_from(workers.rank())?;
        let mine: Vec<f32> = (0..TRIED).map(|number| f32::from(number + rank)).collect();
        let mine = Tensor::from_data(TensorData::new(mine, [usize::from(TRIED)]), device);
        let CubeDevice::Cuda(gpu) = on_gpu(&mine).map_err(anyhow::Error::msg)?.device else {
            bail!("--reduce nccl is for GPUs of NVIDIA's; pass --device cuda, or --reduce fast");
        };
        // SAFETY: it looks for a library.
        ensure!(
            unsafe { cudarc::nccl::sys::is_culib_present() },
            "--reduce nccl: libnccl.so is not found; install NCCL (libnccl-dev has the file of that name, libnccl2 only \
             libnccl.so.2, to which a link will do), add its folder to LD_LIBRARY_PATH, or pass --reduce fast"
        );
        let group = (|| {
            let context = CudaContext::new(gpu.index)?;
            let stream = context.new_stream()?;
            let id = workers.first_says(|| {
                let id = Id::new().map_err(|error| Error::Workers(format!("NCCL: {error:?}")))?;
                Ok::<_, Error>(id.internal().to_vec())
            })?;
            let id = id.try_into().map_err(|_| Error::Workers("NCCL's name is cut".into()))?;
            let comm = Comm::from_rank(stream, workers.rank(), workers.size(), Id::uninit(id));
            comm.map_err(|error| anyhow::anyhow!("{:?}", error.0))
        })()
        .with_context(|| {
            "--reduce nccl: the GPUs of the workers do not meet; each needs one of its own, and NCCL_DEBUG=WARN tells more"
        })?;
        self.0.get_or_init(|| Mutex::new(Group(group)));
        let n = f32::from(u16::try_from(workers.size())?);
        let expected = (0..TRIED).map(|number| n * f32::from(number) + n * (n - 1.0) / 2.0);
        let found = self.summed(mine).map_err(anyhow::Error::msg)?.into_data();
        ensure!(
            found.iter::<f32>().eq(expected),
            "--reduce nccl: sums by NCCL are wrong here; pass --reduce fast"
        );
        Ok(())
    }

    /// The sums of numbers of all workers, in the place of those of this one.
    fn summed(&self, mine: Tensor<1>) -> Result<Tensor<1>, String> {
        let group = self.0.get().ok_or("the GPUs have not met")?;
        let Group(comm) = &*group.lock().unwrap_or_else(PoisonError::into_inner);
        let tensor = on_gpu(&mine)?;
        let n = tensor.meta.shape().num_elements();
        if !tensor.is_contiguous() {
            return Err("the numbers are not one after the other".into());
        }
        // What computes the numbers has ended.
        mine.device().sync().map_err(|error| error.to_string())?;
        let memory =
            tensor.client.get_resource::<<CudaRuntime as Runtime>::Server>(tensor.handle.clone());
        let memory = memory.map_err(|error| error.to_string())?;
        let address: CUdeviceptr = memory.resource().ptr;
        // SAFETY: `memory` holds `n` numbers there, which only `mine` and `tensor` know of, to the end of this function.
        let mut numbers = unsafe { comm.stream().upgrade_device_ptr::<f32>(address, n) };
        let summed = comm.all_reduce_in_place(&mut numbers, &ReduceOp::Sum);
        let ended = comm.stream().synchronize();
        // The memory is burn's.
        numbers.leak();
        summed.map_err(|error| format!("NCCL: {:?}", error.0))?;
        ended.map_err(|error| format!("CUDA: {error}"))?;
        Ok(mine)
    }
}

/// The numbers of a tensor on a GPU, which are computed by then or soon.
fn on_gpu(tensor: &Tensor<1>) -> Result<CubeTensor, String> {
    let fused = tensor.clone().try_into_primitive::<Cube>().map_err(|_| {
        "--reduce nccl sums on GPUs, and the device is none; pass --device cuda, or --reduce fast"
    })?;
    let client = fused.client.clone();
    Ok(client.resolve_tensor_float::<CubeBackend>(fused))
}

impl SumOnDevice for Gpus {
    fn sum(&self, mine: Tensor<1>) -> scgpt_train::Result<Tensor<1>> {
        self.summed(mine).map_err(Error::Workers)
    }
}
