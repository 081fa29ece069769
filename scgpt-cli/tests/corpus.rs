//! The saved inputs of the fuzz targets, `fuzz/saved/TARGET/*`: seeds, and whatever once went wrong.
//! None may panic, take more than a few seconds, or more memory than an honest small file needs; nor
//! may some changes of each, the same in every run. `SCGPT_MUTATIONS` is how many, for a longer search
//! where there is no nightly toolchain, and `SCGPT_TARGET` of which.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says how long it took"
)]

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
#[path = "corpus/mutation.rs"]
mod mutation;
#[path = "../../fuzz/src/network.rs"]
mod network;
#[path = "../../fuzz/src/pack.rs"]
mod pack;

/// Changes that are made to an input, unless `SCGPT_MUTATIONS` says otherwise.
const MUTATIONS: u64 = 5;
/// Inputs that take longer are not changed: they are large on purpose.
const QUICK: Duration = Duration::from_millis(100);

/// Feeds the bytes of an input to the target of that name.
type Target = fn(&str, &[u8]);

/// Every target, and what runs it.
const TARGETS: [(&str, Target); 10] = [
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
/// Time that an input may take, on a machine that may be busy: all are done in a second or two.
const LONGEST: Duration = Duration::from_mins(2);

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
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Inputs that would be large on disk: as many objects as a limit lets through.
fn generated() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let repeated = |unit: &[u8], bytes: usize| unit.repeat(bytes / unit.len());
    let tensor = |at| format!("\"{at}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}");
    let header = format!("{{{}}}", (0..20_000).map(tensor).collect::<Vec<_>>().join(","));
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

/// Runs a target on an input, and says what is wrong with the way it is read.
fn fault(run: fn(&str, &[u8]), target: &str, bytes: &[u8], name: &str) -> Option<String> {
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let began = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| run(target, bytes)));
    let (taken, time) = (PEAK.load(Ordering::Relaxed).saturating_sub(before), began.elapsed());
    let problem = if outcome.is_err() {
        "panic".to_owned()
    } else if taken > MOST_BYTES || time > LONGEST {
        format!("{} MB, {time:.1?}", taken >> 20)
    } else {
        return None;
    };
    let kept = std::env::temp_dir().join(format!("scgpt-{target}-{}", name.replace('/', "_")));
    let kept = fs::write(&kept, bytes)
        .map_or_else(|error| error.to_string(), |()| kept.display().to_string());
    Some(format!("{target}: {name}: {problem} ({kept})"))
}

/// Everything that one target is given.
fn faults(target: &str, run: fn(&str, &[u8])) -> Vec<String> {
    let mutations = std::env::var("SCGPT_MUTATIONS").ok().and_then(|n| n.parse().ok());
    let mutations = mutations.unwrap_or(MUTATIONS);
    let saved = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/saved").join(target);
    let mut inputs: Vec<(String, Vec<u8>)> = files(&saved)
        .iter()
        .map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap())
        })
        .collect();
    assert!(!inputs.is_empty(), "{target} has no input");
    let large = generated().into_iter().filter(|(of, ..)| *of == target);
    inputs.extend(large.map(|(_, name, bytes)| (name.to_owned(), bytes)));
    let mut faults = Vec::new();
    for (name, bytes) in inputs {
        let began = Instant::now();
        faults.extend(fault(run, target, &bytes, &name));
        if began.elapsed() > QUICK {
            continue;
        }
        for seed in 0..mutations {
            let bytes = mutation::mutated(&bytes, seed);
            faults.extend(fault(run, target, &bytes, &format!("{name}-{seed}")));
        }
    }
    faults
}

/// One test, since memory is that of the whole process.
#[test]
fn saved_inputs_end_within_bounds() {
    scgpt_data::silence_guarded_panics();
    let only = std::env::var("SCGPT_TARGET").ok();
    let mut found = Vec::new();
    for (target, run) in TARGETS {
        if only.as_deref().is_none_or(|only| only == target) {
            let began = Instant::now();
            found.extend(faults(target, run));
            println!("{target}: {:.1?}", began.elapsed());
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
