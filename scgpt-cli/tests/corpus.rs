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

/// Inputs that would be large on disk: as many objects as a limit lets through.
fn generated() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let repeated = |unit: &[u8], bytes: usize| unit.repeat(bytes / unit.len());
    let header: String = (0..120_000)
        .map(|at| format!("\"{at}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}},"))
        .collect();
    let header = format!("{{{}}}", header.trim_end_matches(','));
    let mut safetensors = b"===== model.safetensors\n".to_vec();
    safetensors.extend((header.len() as u64).to_le_bytes());
    safetensors.extend(header.into_bytes());
    vec![
        ("checkpoint", "objects of a bare pickle", repeated(b"}", 40 << 20)),
        ("checkpoint", "objects within the limit", repeated(b"]", (4 << 20) - 9)),
        ("safetensors", "tensors without numbers", safetensors),
        ("settings", "tables within each other", repeated(b"a.", 1 << 20)),
        ("settings", "lists within each other", [b"a=".to_vec(), repeated(b"[", 1 << 20)].concat()),
        ("tables", "columns", repeated(b",", 4 << 20)),
    ]
}

/// What is wrong with the way an input is read.
fn fault(
    run: fn(&str, &[u8]),
    target: &str,
    bytes: &[u8],
    name: &dyn std::fmt::Display,
) -> Option<String> {
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let began = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| run(target, bytes)));
    let (taken, time) = (PEAK.load(Ordering::Relaxed).saturating_sub(before), began.elapsed());
    if outcome.is_err() {
        return Some(format!("{target}: {name}: panic"));
    }
    let is_beyond = taken > MOST_BYTES || time > LONGEST;
    is_beyond.then(|| format!("{target}: {name}: {} MB, {time:.1?}", taken >> 20))
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
            faults.extend(fault(run, target, &fs::read(&input).unwrap(), &input.display()));
        }
        for (of, name, bytes) in generated() {
            if of == target {
                faults.extend(fault(run, target, &bytes, &name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
