//! Parity with the reference: every golden case about tasks.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod golden {
    mod grn;
    mod metrics;
}
