//! [`Drop`]: which elements dropout drops, without a tensor that says so.

/// One draw of dropout: element `(row, column)` depends on nothing but the seed.
#[derive(Clone, Copy, Debug)]
pub struct Drop {
    seed: u64,
    /// Elements whose hash is below this are dropped.
    threshold: u32,
    /// Kept elements are multiplied by this.
    scale: f32,
}

impl Drop {
    /// The draw of a seed: elements are dropped with a probability below 1.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a probability below 1 times 2³²"
    )]
    pub fn with_seed(probability: f64, seed: u64) -> Self {
        let threshold = (probability * (f64::from(u32::MAX) + 1.0)) as u32;
        Self { seed, threshold, scale: (1.0 / (1.0 - probability)) as f32 }
    }

    pub(super) fn scale(self) -> f32 {
        self.scale
    }

    /// The elements of one row.
    #[inline(always)]
    pub(super) fn row(self, row: usize) -> RowDrop {
        // SplitMix64 of the row's number.
        let mut x = self.seed.wrapping_add((row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^= x >> 31;
        #[allow(clippy::cast_possible_truncation, reason = "the two halves")]
        let key = [x as u32, (x >> 32) as u32];
        RowDrop { key, threshold: self.threshold, scale: self.scale }
    }
}

/// See [`Drop::row`].
#[derive(Clone, Copy)]
pub(super) struct RowDrop {
    key: [u32; 2],
    threshold: u32,
    scale: f32,
}

impl RowDrop {
    /// The factor of an element: zero or the scale.
    #[inline(always)]
    pub(super) fn factor(self, column: u32) -> f32 {
        // The finaliser of MurmurHash3, keyed twice so that no row is a shifted other one.
        let mut x = column.wrapping_mul(0x9E37_79B9).wrapping_add(self.key[0]);
        x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
        x = (x ^ (x >> 13) ^ self.key[1]).wrapping_mul(0xC2B2_AE35);
        x ^= x >> 16;
        if x < self.threshold { 0.0 } else { self.scale }
    }
}
