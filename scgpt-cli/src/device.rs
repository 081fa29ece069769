//! `--device` → a burn device: the only place that knows which backends are compiled in.

use anyhow::{Context as _, Result, bail};
use burn::prelude::Device;
use clap::Args;
use scgpt_data::similar_names;
use scgpt_kernels::Cpu;
use serde::Serialize;

use crate::workers;

/// The devices this binary can use.
const AVAILABLE: &[&str] = &[
    #[cfg(feature = "flex")]
    "cpu",
    #[cfg(feature = "cuda")]
    "cuda",
    #[cfg(feature = "cuda")]
    "cuda:N",
    #[cfg(feature = "wgpu")]
    "wgpu",
    "auto",
];

/// Options of every command that computes with a model.
#[derive(Clone, Debug, Args, Serialize)]
pub(crate) struct ComputeArgs {
    /// CPU threads [default: all]
    #[arg(long, value_name = "N", env = "SCGPT_THREADS")]
    threads: Option<usize>,
    /// Where to compute: cpu, cuda, cuda:N, wgpu or auto
    #[arg(long, default_value = "auto", env = "SCGPT_DEVICE")]
    device: String,
    /// Instructions that kernels use: amx, avx512bf16, avx512, avx2, portable [default: the best]
    #[arg(long, value_name = "SET", env = "SCGPT_CPU", hide = true)]
    #[serde(skip)]
    cpu: Option<String>,
}

impl ComputeArgs {
    /// The options as they are handed on to programs of which `jobs` run at once: if no number of threads is given,
    /// they share the cores.
    pub(crate) fn handed_on(&self, jobs: usize) -> Vec<String> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.threads.unwrap_or((cores / jobs).max(1));
        let cpu = self.cpu.iter().flat_map(|cpu| ["--cpu".to_owned(), cpu.clone()]);
        let own = ["--device".into(), self.device.clone(), "--threads".into(), threads.to_string()];
        own.into_iter().chain(cpu).collect()
    }

    /// Sets the threads and the instructions, and opens the device; of several workers each has its share.
    pub(crate) fn open(&self) -> Result<Device> {
        set_threads(self.threads.or_else(workers::threads))?;
        if self.cpu.is_some() {
            let cpu = Cpu::named(self.cpu.as_deref());
            cpu.and_then(Cpu::install)
                .context("SCGPT_CPU names the instructions that kernels use")?;
        }
        let (device, name) = found(&self.device)?;
        workers::introduce(rayon::current_num_threads(), &name)?;
        #[cfg(feature = "nccl")]
        workers::meet_gpus(&device)?;
        Ok(device)
    }
}

/// Sets the number of threads of everything that follows; `None` takes all cores.
fn set_threads(threads: Option<usize>) -> Result<()> {
    match threads {
        None => Ok(()),
        Some(0) => bail!("--threads is 0, expected at least 1"),
        Some(n) => {
            let set = rayon::ThreadPoolBuilder::new().num_threads(n).build_global();
            // They are set once in a process; a later command may ask for the same.
            let there = rayon::current_num_threads();
            if set.is_err() && there != n {
                bail!(
                    "--threads {n}: this process computes with {there} threads since its first command, and their \
                     number stays; ask for {there}, leave it out, or start another process"
                );
            }
            Ok(())
        }
    }
}

/// As [`ComputeArgs::open`] does, for what runs several commands: before the first of them takes all cores.
pub(crate) fn set_threads_by_environment() -> Result<()> {
    let Ok(threads) = std::env::var("SCGPT_THREADS") else { return Ok(()) };
    // What is no number is refused by the command that has the option.
    threads.parse().map_or(Ok(()), |threads| set_threads(Some(threads)))
}

/// The device of that name: `cpu`, `cuda`, `cuda:1`, `wgpu` or `auto` (the fastest there is).
///
/// # Errors
/// If there is none of that name, this program was built without it, or it does not answer.
pub fn open(name: &str) -> Result<Device> {
    Ok(found(name)?.0)
}

/// The device, and the name of what it is.
fn found(name: &str) -> Result<(Device, String)> {
    let kind = name.split_once(':').map_or(name, |(kind, _)| kind);
    let device = match name {
        "auto" => {
            #[cfg(feature = "cuda")]
            if let Ok(found) = found("cuda") {
                return Ok(found);
            }
            #[cfg(feature = "wgpu")]
            if let Ok(found) = found("wgpu") {
                return Ok(found);
            }
            #[cfg(feature = "flex")]
            return found("cpu");
            #[cfg(not(feature = "flex"))]
            bail!("no device answers, and this binary was built without the CPU backend");
        }
        #[cfg(feature = "flex")]
        "cpu" => Device::flex(),
        #[cfg(feature = "cuda")]
        _ if kind == "cuda" => {
            let index = name.split_once(':').map(|(_, index)| index.parse::<usize>());
            let index = match index.transpose() {
                Ok(index) => index.unwrap_or_else(workers::gpu),
                Err(error) => bail!("device `{name}`: {error}, expected such as cuda:1"),
            };
            let name = format!("cuda:{index}");
            return Ok((probe(&name, move || Device::cuda(index))?, name));
        }
        #[cfg(feature = "wgpu")]
        "wgpu" => probe(name, || Device::wgpu(burn::tensor::DeviceKind::default()))?,
        _ if ["cpu", "cuda", "wgpu"].contains(&kind) && !AVAILABLE.contains(&kind) => bail!(
            "device `{name}` is not compiled in (this binary has {}); build with `--features {}`",
            AVAILABLE.join(", "),
            if kind == "cpu" { "flex" } else { kind }
        ),
        _ => {
            let hint = similar_names(name, AVAILABLE.iter().copied()).hint();
            bail!("unknown device `{name}`, expected one of {}{hint}", AVAILABLE.join(", "))
        }
    };
    Ok((device, name.into()))
}

/// Opens a device and does a first computation on it: drivers fail by panicking.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn probe(name: &str, open: impl FnOnce() -> Device + std::panic::UnwindSafe) -> Result<Device> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let result = std::panic::catch_unwind(|| {
        let device = open();
        let _ = burn::Tensor::<1>::ones([1], &device).into_data();
        device
    });
    std::panic::set_hook(hook);
    result.map_err(|_| {
        anyhow::anyhow!("device `{name}` does not answer: is there such a GPU, and its driver?")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_may_be_asked_for_again_but_not_others() {
        let n = rayon::current_num_threads();
        for _ in 0..2 {
            set_threads(Some(n)).unwrap();
        }
        let refused = set_threads(Some(n + 1)).unwrap_err().to_string();
        assert!(refused.contains(&format!("computes with {n} threads")), "{refused}");
        assert!(set_threads(Some(0)).is_err());
        set_threads(None).unwrap();
    }

    #[test]
    fn unknown_devices_are_named() {
        for name in ["tpu", "cpu:3", "auto:1", ""] {
            let message = open(name).unwrap_err().to_string();
            assert!(message.contains(&format!("`{name}`")), "{message}");
            assert!(message.contains("auto"), "{message}");
        }
    }
}
