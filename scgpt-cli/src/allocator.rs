//! The allocator of every program that has this crate.

/// Every tensor operation allocates its result; this allocator keeps large blocks instead of
/// returning them to the system each time, see [`keep_freed_memory`].
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Freed blocks stay with the process from here on: by default they go back to the system after 10 ms, and a
/// training step then spends a fifth of its time on the system's clearing them again.
#[allow(unsafe_code, reason = "the allocator's crate has no safe function for its options")]
pub fn keep_freed_memory() {
    /// `mi_option_purge_delay` of `mimalloc.h`; the value is milliseconds, negative for never.
    const PURGE_DELAY: std::ffi::c_int = 15;
    unsafe extern "C" {
        fn mi_option_set_default(option: std::ffi::c_int, value: std::ffi::c_long);
    }
    // SAFETY: the signature is that of `mimalloc.h`, and options may be set at any time. A default
    // yields to the environment variable `MIMALLOC_PURGE_DELAY`.
    unsafe { mi_option_set_default(PURGE_DELAY, -1) };
}
