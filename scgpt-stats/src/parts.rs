//! [`stratified`]: labelled cells in parts, each with its share of every class.

use scgpt_data::{Keyed, Purpose};

/// Splits the cells that have a class into one part more than there are `shares`. Of each class the
/// further parts get these shares, and the first part gets what is left. The numbers of the cells
/// in a part ascend.
///
/// A class with at least as many cells as there are parts is in every part; of a smaller one the
/// first part comes first. Which cells go where is a function of the seed and their numbers.
///
/// # Panics
/// If there is not one part more than there are shares.
pub fn stratified<const PARTS: usize>(
    codes: &[Option<u32>],
    shares: &[f64],
    seed: u64,
) -> [Vec<usize>; PARTS] {
    assert_eq!(shares.len() + 1, PARTS, "one part more than there are shares");
    let n_classes = codes.iter().flatten().max().map_or(0, |&code| code as usize + 1);
    let mut classes: Vec<Vec<(u64, usize)>> = vec![Vec::new(); n_classes];
    for (cell, code) in codes.iter().enumerate() {
        if let Some(code) = code {
            let key = Keyed::new(seed, Purpose::HoldOut, 0, cell as u64).bits(0);
            classes[*code as usize].push((key, cell));
        }
    }
    let mut parts = [const { Vec::new() }; PARTS];
    for mut cells in classes {
        cells.sort_unstable();
        let n = cells.len();
        let is_small = n <= shares.len();
        for (part, share) in (1..).zip(shares) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to n")]
            let wanted = (n as f64 * share).round() as usize;
            let least = usize::from(!is_small && *share > 0.0);
            // One cell remains for the first part, and one for each that is still to come.
            let most = cells.len().saturating_sub(1 + shares.len() - part);
            let taken = cells.len() - wanted.max(least).min(most);
            parts[part].extend(cells.drain(taken..).map(|(_, cell)| cell));
        }
        parts[0].extend(cells.into_iter().map(|(_, cell)| cell));
    }
    for part in &mut parts {
        part.sort_unstable();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells of classes of 100, 40, 3 and 1, and some without.
    fn codes() -> Vec<Option<u32>> {
        let of = |class: u32, n: usize| std::iter::repeat_n(Some(class), n);
        of(0, 100).chain(of(1, 40)).chain(of(2, 3)).chain(of(3, 1)).chain([None, None]).collect()
    }

    #[test]
    fn parts_have_their_share_of_every_class() {
        let codes = codes();
        let parts: [_; 3] = stratified(&codes, &[0.1, 0.2], 7);
        let count = |part: usize, class: u32| {
            parts[part].iter().filter(|&&cell| codes[cell] == Some(class)).count()
        };
        let counts: Vec<[usize; 3]> =
            (0..4).map(|class| [0, 1, 2].map(|part| count(part, class))).collect();
        assert_eq!(counts, [[70, 10, 20], [28, 4, 8], [1, 1, 1], [1, 0, 0]]);
        let mut all: Vec<usize> = parts.concat();
        all.sort_unstable();
        assert_eq!(all, (0..144).collect::<Vec<_>>());
        assert!(parts.iter().all(|part| part.is_sorted()));
    }

    #[test]
    fn the_seed_decides() {
        let codes = codes();
        let halves = |seed| stratified::<2>(&codes, &[0.5], seed);
        assert_eq!(halves(1), halves(1));
        assert_ne!(halves(1), halves(2));
        assert!(stratified::<2>(&codes, &[0.0], 1)[1].is_empty());
        assert_eq!(stratified(&[], &[0.5], 1), [vec![], Vec::<usize>::new()]);
    }
}
