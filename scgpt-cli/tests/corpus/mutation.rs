//! [`mutated`]: an input as damage, or malice, may leave it.

/// Numbers that lengths and places are not.
const NUMBERS: [u64; 8] =
    [0, 1, 0x7f, 0xffff, 0x7fff_ffff, 0xffff_ffff, 0x7fff_ffff_ffff_ffff, u64::MAX];
/// The same for text.
const TEXTS: [&[u8]; 8] =
    [b"0", b"-1", b"1e308", b"4294967296", b"18446744073709551616", b"nan", b"", b"{}"];

/// A stream of numbers that a seed determines (splitmix64).
struct Stream(u64);

impl Stream {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).expect("below a length")
    }
}

/// `bytes` with one to three changes; the same for the same seed.
pub(crate) fn mutated(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut stream = Stream(seed);
    let mut bytes = bytes.to_vec();
    for _ in 0..=stream.below(3) {
        change(&mut bytes, &mut stream);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, stream: &mut Stream) {
    let at = stream.below(bytes.len());
    let end = bytes.len().min(at + 1 + stream.below(64));
    match stream.below(8) {
        0 | 1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << stream.below(8);
            }
        }
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let part = bytes[at..end].to_vec();
            let to = stream.below(bytes.len());
            bytes.splice(to..to, part);
        }
        5 => {
            let number = NUMBERS[stream.below(NUMBERS.len())].to_le_bytes();
            let width = [1, 2, 4, 8][stream.below(4)];
            for (byte, new) in bytes[at..].iter_mut().zip(&number[..width]) {
                *byte = *new;
            }
        }
        _ => {
            // The next number in text.
            let is_digit = |byte: &u8| byte.is_ascii_digit();
            let Some(begin) = bytes[at..].iter().position(is_digit) else { return };
            let begin = at + begin;
            let length = bytes[begin..].iter().take_while(|byte| is_digit(byte)).count();
            let text = TEXTS[stream.below(TEXTS.len())];
            bytes.splice(begin..begin + length, text.iter().copied());
        }
    }
}
