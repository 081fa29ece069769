//! [`Frames`]: how large compressed bytes become, known before they are decompressed.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use serde_json::Value;

/// Largest block of Zstandard.
const ZSTD_BLOCK: u64 = 128 << 10;
/// Blocks may be cut short, so their number is a bound that may be this many times too large.
const SLACK: u64 = 4;
/// Deflate makes no more bytes of one.
const DEFLATE: u64 = 1032;
/// Gzip does not say how much it holds. Where it could be more than this, it is unpacked to count.
const GZIP_UNSEEN: u64 = 64 << 20;

/// The compressions an array names.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frames {
    zstd: bool,
    blosc: bool,
    gzip: bool,
}

impl Frames {
    /// Those that metadata names anywhere, whatever the version.
    pub(super) fn of(metadata: &Value) -> Self {
        let text =
            ["codecs", "compressor", "filters"].map(|key| metadata[key].to_string()).concat();
        let has = |name: &str| text.contains(&format!("\"{name}\""));
        Self { zstd: has("zstd"), blosc: has("blosc"), gzip: has("gzip") }
    }

    /// Refuses bytes that would become more than `most`.
    pub(super) fn check(self, bytes: &[u8], most: u64) -> Result<(), String> {
        let size = match bytes {
            [0x28, 0xb5, 0x2f, 0xfd, ..] if self.zstd => zstd_size(bytes, most),
            [_, _, _, _, a, b, c, d, _, _, _, _, e, f, g, h, ..]
                if self.blosc && u32::from_le_bytes([*e, *f, *g, *h]) as usize == bytes.len() =>
            {
                Some(u32::from_le_bytes([*a, *b, *c, *d]).into())
            }
            [0x1f, 0x8b, ..] if self.gzip => Some(gzip_size(bytes, most)),
            _ => Some(0),
        };
        match size {
            Some(size) if size <= most => Ok(()),
            Some(size) => Err(format!(
                "{} compressed bytes become {size}, but a chunk holds at most {most}",
                bytes.len()
            )),
            None => Err("a broken Zstandard frame".into()),
        }
    }
}

/// What the frames of Zstandard hold, exactly or at most; `None` if they are broken.
fn zstd_size(mut bytes: &[u8], most: u64) -> Option<u64> {
    let mut size = 0_u64;
    while let Some((magic, rest)) = bytes.split_first_chunk::<4>() {
        bytes = rest;
        // A frame of something else, to be skipped.
        if magic[1..] == [0x2a, 0x4d, 0x18] && magic[0] & 0xf0 == 0x50 {
            let length = take(&mut bytes, 4)?;
            take_slice(&mut bytes, length)?;
            continue;
        }
        if *magic != [0x28, 0xb5, 0x2f, 0xfd] {
            return None;
        }
        let descriptor = take(&mut bytes, 1)?;
        let is_single = descriptor & 0x20 != 0;
        let mut block = ZSTD_BLOCK;
        if !is_single {
            let window = take(&mut bytes, 1)?;
            let base = 1_u64 << (10 + (window >> 3));
            block = block.min(base + base / 8 * (window & 7));
        }
        take(&mut bytes, [0, 1, 2, 4][usize::try_from(descriptor & 3).ok()?])?;
        let stated = match (descriptor >> 6, is_single) {
            (0, false) => None,
            (0, true) => Some(take(&mut bytes, 1)?),
            (1, _) => Some(take(&mut bytes, 2)? + 256),
            (2, _) => Some(take(&mut bytes, 4)?),
            _ => Some(take(&mut bytes, 8)?),
        };
        let mut bound = 0_u64;
        loop {
            let head = take(&mut bytes, 3)?;
            let (kind, length) = (head >> 1 & 3, head >> 3);
            take_slice(&mut bytes, if kind == 1 { 1 } else { length })?;
            bound += if kind == 2 { block } else { length };
            if head & 1 != 0 {
                break;
            }
        }
        if descriptor & 4 != 0 {
            take_slice(&mut bytes, 4)?;
        }
        // Cut short, blocks look like more than they are.
        let bound = if bound / SLACK <= most { bound.min(most) } else { bound };
        size = size.saturating_add(stated.unwrap_or(bound));
    }
    Some(size)
}

/// A little-endian number of `width` bytes.
fn take(bytes: &mut &[u8], width: u64) -> Option<u64> {
    let taken = take_slice(bytes, width)?;
    Some(taken.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

fn take_slice<'a>(bytes: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(taken)
}

/// What gzip holds, up to just above `most`; 0 if it cannot be much.
fn gzip_size(bytes: &[u8], most: u64) -> u64 {
    if bytes.len() as u64 * DEFLATE <= most.max(GZIP_UNSEEN) {
        return 0;
    }
    let mut decoded = MultiGzDecoder::new(bytes).take(most.saturating_add(1));
    // What is broken is told by those who need the bytes.
    io::copy(&mut decoded, &mut io::sink()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use serde_json::json;

    use super::*;

    fn all() -> Frames {
        Frames::of(&json!({"codecs": [{"name": "zstd"}, {"name": "blosc"}, {"name": "gzip"}]}))
    }

    #[test]
    fn zstd_frames_are_held_against_what_a_chunk_holds() {
        // A frame of one byte that says it holds 2⁶⁰, as 15 bytes can.
        let mut huge = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
        huge.extend_from_slice(&(1_u64 << 60).to_le_bytes());
        huge.extend_from_slice(&[0x03, 0, 0, 0]);
        assert!(all().check(&huge, 1 << 20).unwrap_err().contains("1152921504606846976"));
        // No size is stated: a thousand blocks of 128 KiB of one repeated byte.
        let mut repeated = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
        for last in (0..1000).map(|block| u32::from(block == 999)) {
            let head = (128 << 10 << 3) | (1 << 1) | last;
            repeated.extend_from_slice(&head.to_le_bytes()[..3]);
            repeated.push(0);
        }
        assert!(all().check(&repeated, 1 << 20).is_err());
        assert!(all().check(&repeated, 128_000 << 10).is_ok());
        assert!(all().check(&repeated[..100], 128_000 << 10).unwrap_err().contains("broken"));
        // What no compression is named for is no frame.
        assert!(Frames::default().check(&huge, 1).is_ok());
    }

    #[test]
    fn blosc_and_gzip_are_held_against_it_too() {
        let mut blosc = vec![2, 1, 1, 4];
        for number in [1_u32 << 31, 1 << 18, 20] {
            blosc.extend_from_slice(&number.to_le_bytes());
        }
        blosc.extend_from_slice(&[0; 4]);
        assert!(all().check(&blosc, 1 << 20).is_err());
        assert!(all().check(&blosc, 1 << 31).is_ok());
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&vec![0; 80 << 20]).unwrap();
        let gzip = gzip.finish().unwrap();
        assert!(all().check(&gzip, 1 << 20).is_err());
        assert!(all().check(&gzip, 80 << 20).is_ok());
    }
}
