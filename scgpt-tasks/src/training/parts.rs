//! Numbers of cells of each class or batch in each part of the cells: counted, added up, and as
//! lines of tables.

/// Number of cells of each of `n_groups` groups in each of the parts, which are lists of cells;
/// `group` gives the number of a cell's group. Cells of other groups do not count.
pub(crate) fn part_sizes<const N: usize>(
    n_groups: usize,
    group: impl Fn(usize) -> usize,
    parts: [&[usize]; N],
) -> Vec<[usize; N]> {
    let mut sizes = vec![[0; N]; n_groups];
    for (part, cells) in parts.into_iter().enumerate() {
        for &cell in cells {
            if let Some(size) = sizes.get_mut(group(cell)) {
                size[part] += 1;
            }
        }
    }
    sizes
}

/// Number of cells of all groups in each of the parts.
pub(crate) fn total<const N: usize>(sizes: impl Iterator<Item = [usize; N]>) -> [usize; N] {
    sizes.fold([0; N], |mut sum, size| {
        sum.iter_mut().zip(size).for_each(|(sum, n)| *sum += n);
        sum
    })
}

/// The line of a group: its name, and its number of cells in each of the parts.
pub(crate) fn size_line<const N: usize>(name: &str, sizes: [usize; N]) -> Vec<String> {
    std::iter::once(name.to_owned()).chain(sizes.map(|n| n.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_counted_in_their_group_and_part() {
        let groups = [0, 1, 1, usize::MAX, 0];
        let sizes = part_sizes(2, |cell| groups[cell], [&[0, 1, 2, 3], &[4]]);
        assert_eq!(sizes, [[1, 1], [2, 0]]);
        assert_eq!(total(sizes.into_iter()), [3, 1]);
        assert_eq!(size_line("B cell", [2, 0]), ["B cell", "2", "0"]);
    }
}
