//! The workers of a training: this process, and those that a launcher such as `mpirun` started with it.
//!
//! The first has the files and speaks to people. The others train in a folder of which nothing stays, are silent, and
//! have the first one tell why, should they fail.

mod launched;
#[cfg(feature = "mpi")]
mod mpi;
#[cfg(feature = "nccl")]
mod nccl;
mod reducing;
mod room;
#[cfg_attr(not(feature = "mpi"), allow(dead_code, reason = "workers meet by MPI"))]
mod seat;
mod silent;

use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Result, bail};
use scgpt_train::Workers;

use self::{launched::Launched, seat::Here, silent::Silent};
pub(crate) use self::{reducing::Reducing, room::Room};
use crate::{output::Printer, run::Run};

/// What this process knows of the workers that it belongs to.
struct Crew {
    workers: Workers,
    here: Here,
    printer: Printer,
    #[cfg(feature = "mpi")]
    post: mpi::Post,
    /// Those that sum gradients.
    #[cfg(feature = "nccl")]
    gpus: Option<nccl::Gpus>,
    /// Why this worker failed, if it did.
    failure: Mutex<Option<String>>,
}

static CREW: OnceLock<Crew> = OnceLock::new();

/// Meets the workers that were started together, if this process was not started alone, for a training whose gradients
/// they sum so. Those that are not the first are silent from here on.
///
/// # Errors
/// If this program cannot reach the others.
pub(crate) fn begin(reducing: Reducing, printer: Printer) -> Result<()> {
    let Some(launched) = Launched::found() else { return Ok(()) };
    if CREW.get().is_some() {
        return Ok(());
    }
    if !launched.is_first() {
        silence();
    }
    let crew = met(&launched, reducing, printer)?;
    Room::sweep();
    CREW.get_or_init(|| crew);
    Ok(())
}

#[cfg(not(feature = "mpi"))]
fn met(launched: &Launched, _: Reducing, _: Printer) -> Result<Crew> {
    Err(launched.refused(
        "this program was built without the feature `mpi`, by which workers reach each other",
        "start it once, or build it by `cargo install --path scgpt-cli --features mpi` (Debian: libopenmpi-dev and \
         libclang-dev)",
    ))
}

#[cfg(feature = "mpi")]
fn met(launched: &Launched, reducing: Reducing, printer: Printer) -> Result<Crew> {
    let (transport, post, here) = mpi::met(launched)?;
    let workers = Workers::of(transport).summing(reducing.into());
    #[cfg(feature = "nccl")]
    let gpus = (reducing == Reducing::Nccl).then(nccl::Gpus::default);
    #[cfg(feature = "nccl")]
    let workers = match &gpus {
        Some(gpus) => workers.on_device(gpus.clone()),
        None => workers,
    };
    Ok(Crew {
        workers,
        here,
        printer,
        post,
        #[cfg(feature = "nccl")]
        gpus,
        failure: Mutex::default(),
    })
}

/// Refuses to do by several workers what one does.
///
/// # Errors
/// If this process was not started alone: what it `does`, and that one is enough.
pub(crate) fn refuse(does: &str) -> Result<()> {
    let Some(launched) = Launched::found() else { return Ok(()) };
    if !launched.is_first() {
        silence();
    }
    Err(launched.refused(does, "start it once"))
}

/// Tells people nothing from here on: the first worker does.
fn silence() {
    log::set_max_level(log::LevelFilter::Off);
    Run::speak_by(Silent::of);
}

/// The workers of the training.
pub(crate) fn current() -> &'static Workers {
    CREW.get().map_or(&Workers::ALONE, |crew| &crew.workers)
}

/// The threads of this worker if it was not told how many: its share of the cores.
pub(crate) fn threads() -> Option<usize> {
    let crew = CREW.get()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Some((cores / crew.here.sharing).max(1))
}

/// Number of the GPU that this worker computes on: each on a machine has one of its own.
#[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "no other devices have numbers"))]
pub(crate) fn gpu() -> usize {
    // A launcher may show each worker no other GPU than its own.
    let visible = std::env::var("CUDA_VISIBLE_DEVICES");
    let is_only = visible.is_ok_and(|devices| !devices.is_empty() && !devices.contains(','));
    if is_only { 0 } else { CREW.get().map_or(0, |crew| crew.here.number) }
}

/// Tells people, once the number of threads is set, who computes by how much.
///
/// # Errors
/// If this worker computes on a device of another kind than the first.
pub(crate) fn introduce(threads: usize, device: &str) -> Result<()> {
    let Some(crew) = CREW.get() else { return Ok(()) };
    let (n, Here { machines, sharing, .. }) = (crew.workers.size(), &crew.here);
    let places = if *machines == 1 { "1 machine".into() } else { format!("{machines} machines") };
    let thread = if threads == 1 { "thread" } else { "threads" };
    let shared = match sharing {
        1 => String::new(),
        sharing => format!(", {sharing} of them on the same cores"),
    };
    crew.printer.remark(&format!(
        "note: {n} workers on {places}{shared}; the first has {threads} {thread} and device {device}"
    ));
    let kind = device.split(':').next().unwrap_or_default().to_owned();
    if let Some(first) = crew.workers.other_first(&kind)? {
        bail!(
            "its device is {device}, that of the first worker {first}: start no more on a machine than it has GPUs, or \
             pass --device cpu"
        );
    }
    Ok(())
}

/// Meets the GPUs of the other workers, if they sum gradients.
///
/// # Errors
/// If they cannot.
#[cfg(feature = "nccl")]
pub(crate) fn meet_gpus(device: &burn::prelude::Device) -> Result<()> {
    let gpus = CREW.get().and_then(|crew| Some((crew, crew.gpus.as_ref()?)));
    gpus.map_or(Ok(()), |(crew, gpus)| gpus.meet(&crew.workers, device))
}

/// Takes note of why this process fails.
pub(crate) fn fails(said: &[String]) {
    if let Some(crew) = CREW.get() {
        let failure = Some(said.join(": "));
        *crew.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }
}

/// Parts from the other workers with an exit code.
pub(crate) fn end(code: u8) {
    #[cfg(feature = "mpi")]
    if let Some(crew) = CREW.get() {
        let failure = crew.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        crew.post.end(code, failure);
    }
    #[cfg(not(feature = "mpi"))]
    let _ = code;
}
