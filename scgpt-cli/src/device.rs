//! `--device` → a burn device: the only place that knows which backends are compiled in.

use anyhow::{Result, bail};
use burn::prelude::Device;

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

/// The device of that name: `cpu`, `cuda`, `cuda:1`, `wgpu` or `auto` (the fastest there is).
pub(crate) fn open(name: &str) -> Result<Device> {
    match name {
        #[cfg(feature = "flex")]
        "cpu" => return Ok(Device::flex()),
        #[cfg(feature = "cuda")]
        "auto" => return probe(name, || Device::cuda(0)).or_else(|_| fallback()),
        #[cfg(all(feature = "wgpu", not(feature = "cuda")))]
        "auto" => return probe(name, || Device::wgpu(Default::default())).or_else(|_| fallback()),
        #[cfg(not(any(feature = "cuda", feature = "wgpu")))]
        "auto" => return fallback(),
        #[cfg(feature = "wgpu")]
        "wgpu" => return probe(name, || Device::wgpu(Default::default())),
        _ => {}
    }
    #[cfg(feature = "cuda")]
    if let Some(index) = name.strip_prefix("cuda") {
        let index = index.strip_prefix(':').unwrap_or("0").parse::<usize>();
        if let Ok(index) = index {
            return probe(name, || Device::cuda(index));
        }
    }
    let known = AVAILABLE.join(", ");
    match name.split(':').next() {
        Some("cuda" | "wgpu") => bail!(
            "device `{name}` is not compiled in (this binary has {known}); build with `--features {}`",
            name.split(':').next().unwrap_or(name)
        ),
        _ => bail!("unknown device `{name}`, expected one of {known}"),
    }
}

fn fallback() -> Result<Device> {
    #[cfg(feature = "flex")]
    return Ok(Device::flex());
    #[cfg(not(feature = "flex"))]
    bail!("no device found; name one with --device")
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
    result.map_err(|_| anyhow::anyhow!("device `{name}` does not answer: is there such a GPU, and its driver?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_devices_are_named() {
        let message = open("tpu").unwrap_err().to_string();
        assert!(message.contains("`tpu`") && message.contains("auto"), "{message}");
    }
}
