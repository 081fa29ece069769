//! [`Process`] and [`Machine`]: how much memory is in use, and how much there is, where Linux tells.

use std::fs;

use serde::Serialize;

/// Memory of this process, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Process {
    /// In use now.
    pub(super) resident: Option<usize>,
    /// The most that was in use.
    pub(super) peak: Option<usize>,
}

/// Memory of the machine, in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Machine {
    pub(super) all: usize,
    /// What could be used now.
    pub(super) available: usize,
}

impl Process {
    pub(super) fn now() -> Self {
        let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self { resident: bytes(&text, "VmRSS:"), peak: bytes(&text, "VmHWM:") }
    }
}

impl Machine {
    pub(super) fn now() -> Option<Self> {
        let text = fs::read_to_string("/proc/meminfo").ok()?;
        Some(Self { all: bytes(&text, "MemTotal:")?, available: bytes(&text, "MemAvailable:")? })
    }
}

/// The bytes of an entry, which is in kB.
fn bytes(text: &str, entry: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix(entry))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<usize>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_in_bytes() {
        let text = "Name:\tscgpt\nVmHWM:\t    1200 kB\nVmRSS:\t 7 kB\n";
        assert_eq!((bytes(text, "VmHWM:"), bytes(text, "VmRSS:")), (Some(1_228_800), Some(7168)));
        assert_eq!(bytes(text, "VmSwap:"), None);
    }
}
