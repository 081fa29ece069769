//! The saved inputs of the fuzz targets, `fuzz/saved/TARGET/*`: seeds, and whatever once went wrong.
//! None may panic, take more than a few seconds, or more memory than an honest small file needs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

#[path = "../../fuzz/src/cells.rs"]
mod cells;
#[path = "../../fuzz/src/network.rs"]
mod network;
#[path = "../../fuzz/src/pack.rs"]
mod pack;

/// Every target, and what runs it.
const TARGETS: [(&str, fn(&str, &[u8])); 10] = [
    ("h5ad", cells::run),
    ("zarr", cells::run),
    ("mtx", cells::run),
    ("tables", cells::run),
    ("shards", cells::run),
    ("checkpoint", network::run),
    ("safetensors", network::run),
    ("index", network::run),
    ("artefacts", network::run),
    ("settings", network::run),
];

/// Bytes that an input may take; all saved ones are small.
const MOST_BYTES: usize = 1 << 30;
/// Time that an input may take, on a machine that does other things, too.
const LONGEST: Duration = Duration::from_secs(20);

/// The system's allocator, counting.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn count(more: usize) {
    PEAK.fetch_max(HELD.fetch_add(more, Ordering::Relaxed) + more, Ordering::Relaxed);
}

#[allow(unsafe_code, reason = "an allocator is unsafe by nature")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// One test, since memory is that of the whole process.
#[test]
fn saved_inputs_end_within_bounds() {
    let saved = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/saved");
    scgpt_data::silence_guarded_panics();
    let mut faults = Vec::new();
    for (target, run) in TARGETS {
        let inputs = files(&saved.join(target));
        assert!(!inputs.is_empty(), "{target} has no input");
        for input in inputs {
            let bytes = fs::read(&input).unwrap();
            let before = HELD.load(Ordering::Relaxed);
            PEAK.store(before, Ordering::Relaxed);
            let began = Instant::now();
            let outcome = catch_unwind(AssertUnwindSafe(|| run(target, &bytes)));
            let (taken, time) =
                (PEAK.load(Ordering::Relaxed).saturating_sub(before), began.elapsed());
            if outcome.is_err() {
                faults.push(format!("{}: panic", input.display()));
            }
            if taken > MOST_BYTES || time > LONGEST {
                faults.push(format!("{}: {} MB, {time:.1?}", input.display(), taken >> 20));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
