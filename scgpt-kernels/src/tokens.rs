//! [`Tokens`]: who of a cell sees whom.

/// The tokens of a cell, which are ordered known, unknown, padding.
///
/// Every query sees the known tokens, and if it is unknown itself also itself; padding is seen by
/// none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// How many are known: the first ones.
    pub known: usize,
    /// How many are not padding; from `known` on they are unknown.
    pub used: usize,
    /// How many attend: the first ones. More than `used` let padding see the known tokens.
    pub queries: usize,
}

impl Tokens {
    /// Of a cell without padding whose tokens are all known, and all attend.
    pub const fn all(n: usize) -> Self {
        Self { known: n, used: n, queries: n }
    }

    pub(crate) fn check(self, t: usize) {
        let Self { known, used, queries } = self;
        assert!(
            known <= used && used <= t && queries <= t && (known > 0 || queries <= used),
            "{known} known of {used} used of {t} tokens, {queries} queries"
        );
    }
}
