//! [`narrow`]: places in lists as the numbers of 32 bits that they are kept as.

/// A place or a length as a number of 32 bits.
///
/// # Panics
/// If it has more: each of 2³² things takes memory, so that there never are as many at once. What a file
/// claims to hold is checked where it is opened.
#[expect(clippy::expect_used, reason = "another number in its place would pass for a value")]
pub fn narrow(place: usize) -> u32 {
    u32::try_from(place).expect("a place of 32 bits")
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "32 bits")]
    fn no_number_stands_for_another() {
        assert_eq!(narrow(7), 7);
        narrow(1 << 32);
    }
}
