//! [`Patience`]: how long a server is waited for.

use std::time::Duration;

/// How long a server is waited for, and how often it is asked again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// To connect.
    pub(crate) connection: Duration,
    /// For a whole answer.
    pub(crate) answer: Duration,
    /// Times that a request is repeated.
    pub(crate) retries: usize,
    /// Before the first repetition; later ones wait longer.
    pub(crate) pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connection: Duration::from_secs(10),
            answer: Duration::from_mins(1),
            retries: 5,
            pause: Duration::from_millis(200),
        }
    }
}
