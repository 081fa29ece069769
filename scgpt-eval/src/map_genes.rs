//! [`MapGenes`]: genes by whose values the cells of a map can be coloured.

use std::collections::HashMap;

use scgpt_data::{
    CellSource, CellSubset, Csr, Layer, LogScale, ReadBlocks as _, Result, TOTAL, input_values,
};

/// Most genes that are chosen, beside those that are asked for: each is a part of the page.
const GENES: usize = 8;
/// Markers that are told of a group.
const MARKERS: usize = 5;
/// Least t statistic of a marker: far beyond chance among the genes of a file.
const LEAST: f64 = 6.0;
/// Cells of a block, and entries that are kept in memory; of more, cells are read a second time.
const BLOCK: usize = 512;
const KEPT: usize = 16_000_000;
/// Most sums of groups that are kept.
const SUMS: usize = 8_000_000;

/// Genes, their values in some cells, and what they were chosen for.
#[derive(Clone, Debug, Default)]
pub(crate) struct MapGenes {
    /// Columns of the matrix, those asked for first, and the values in each of the cells.
    pub(crate) values: Vec<(usize, Vec<f32>)>,
    /// For each group its markers, the clearest first.
    pub(crate) markers: Vec<Vec<usize>>,
    /// Whether values were brought to logarithms.
    pub(crate) are_logarithms: bool,
}

impl MapGenes {
    /// The columns `wanted`, and further ones among `genes`: markers of `groups` (a code for each cell,
    /// if it has one), or where there is only one group the columns whose logarithms vary most.
    ///
    /// A marker of a group has the largest t statistics of its mean against that of all other cells,
    /// with the variance that remains within groups.
    pub(crate) fn choose(
        source: &mut dyn CellSource,
        layer: &Layer,
        cells: &[usize],
        genes: &[usize],
        wanted: &[usize],
        groups: &[Option<u32>],
    ) -> Result<Self> {
        let scale = LogScale { from: input_values(source, layer)?, total: TOTAL };
        let (_, n_columns) = source.summary().shape(layer)?;
        let mut subset = CellSubset::new(source, cells.to_vec());
        let mut sums = GroupSums::new(groups, n_columns);
        let (mut kept, mut n_kept) = (Vec::new(), 0);
        for block in subset.blocks(layer, BLOCK) {
            let (range, mut block) = block?;
            scale.apply(&mut block);
            sums.add(&block, range.start);
            n_kept += block.values().len();
            if n_kept <= KEPT {
                kept.push((range.start, block));
            }
        }
        let markers = sums.markers(genes);
        let mut chosen = wanted.to_vec();
        let by_turns =
            (0..MARKERS).flat_map(|turn| markers.iter().filter_map(move |of| of.get(turn)));
        let has_markers = markers.iter().any(|of| !of.is_empty());
        let varying = if has_markers { Vec::new() } else { sums.varying(genes) };
        for &gene in by_turns.chain(&varying) {
            if chosen.len() < wanted.len() + GENES && !chosen.contains(&gene) {
                chosen.push(gene);
            }
        }
        let mut values: Vec<(usize, Vec<f32>)> =
            chosen.into_iter().map(|gene| (gene, vec![0.0; cells.len()])).collect();
        let places: HashMap<u32, usize> = values
            .iter()
            .enumerate()
            .filter_map(|(place, (gene, _))| Some((u32::try_from(*gene).ok()?, place)))
            .collect();
        let mut take = |first: usize, block: &Csr| {
            for (cell, row) in block.rows().enumerate() {
                for (column, &value) in row.indices.iter().zip(row.values) {
                    if let Some(&place) = places.get(column) {
                        values[place].1[first + cell] = value;
                    }
                }
            }
        };
        if n_kept <= KEPT {
            for (first, block) in &kept {
                take(*first, block);
            }
        } else {
            drop(kept);
            for block in subset.blocks(layer, BLOCK) {
                let (range, mut block) = block?;
                scale.apply(&mut block);
                take(range.start, &block);
            }
        }
        let are_logarithms = scale.from.state != scgpt_data::InputState::Scaled;
        Ok(Self { values, markers, are_logarithms })
    }
}

/// Sums over cells: of each group, and squares over all.
struct GroupSums<'a> {
    groups: &'a [Option<u32>],
    n_columns: usize,
    /// Cells of each group, and sums of their values `[groups, columns]`.
    sizes: Vec<f64>,
    sums: Vec<f64>,
    squares: Vec<f64>,
    /// Sums over the cells without a group, too.
    totals: Vec<f64>,
    n: f64,
}

impl<'a> GroupSums<'a> {
    fn new(groups: &'a [Option<u32>], n_columns: usize) -> Self {
        let n_groups = groups.iter().flatten().max().map_or(0, |last| *last as usize + 1);
        // Of peaks by the hundred thousand, sums of many groups would be gigabytes.
        let n_groups = if n_groups * n_columns <= SUMS { n_groups } else { 0 };
        Self {
            groups,
            n_columns,
            sizes: vec![0.0; n_groups],
            sums: vec![0.0; n_groups * n_columns],
            squares: vec![0.0; n_columns],
            totals: vec![0.0; n_columns],
            n: 0.0,
        }
    }

    /// Adds cells, of which the first has that number.
    fn add(&mut self, block: &Csr, first: usize) {
        for (cell, row) in block.rows().enumerate() {
            self.n += 1.0;
            let group = self.groups.get(first + cell).copied().flatten().map(|code| code as usize);
            let group = group.filter(|&group| group < self.sizes.len());
            if let Some(group) = group {
                self.sizes[group] += 1.0;
            }
            for (&column, &value) in row.indices.iter().zip(row.values) {
                let (column, value) = (column as usize, f64::from(value));
                self.totals[column] += value;
                self.squares[column] += value * value;
                if let Some(group) = group {
                    self.sums[group * self.n_columns + column] += value;
                }
            }
        }
    }

    /// Markers of each group; none of any where there is but one group.
    fn markers(&self, genes: &[usize]) -> Vec<Vec<usize>> {
        let occupied = self.sizes.iter().filter(|&&n| n > 0.0).count();
        if occupied < 2 {
            return Vec::new();
        }
        let all: f64 = self.sizes.iter().sum();
        let of = |group: usize| {
            let n = self.sizes[group];
            if n < 3.0 || all - n < 3.0 {
                return Vec::new();
            }
            let score = |&gene: &usize| {
                let sum = |group: usize| self.sums[group * self.n_columns + gene];
                let groups = (0..self.sizes.len()).filter(|&group| self.sizes[group] > 0.0);
                let (total, between) = groups.fold((0.0, 0.0), |(total, between), group| {
                    (total + sum(group), between + sum(group) * sum(group) / self.sizes[group])
                });
                let within =
                    (self.squares[gene] - between).max(0.0) / (all - occupied as f64).max(1.0);
                let apart = sum(group) / n - (total - sum(group)) / (all - n);
                let error = (within * (1.0 / n + 1.0 / (all - n))).sqrt();
                (apart / error.max(1e-9), gene)
            };
            let mut scored: Vec<(f64, usize)> =
                genes.iter().map(score).filter(|(t, _)| *t >= LEAST).collect();
            scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            scored.into_iter().take(MARKERS).map(|(_, gene)| gene).collect()
        };
        (0..self.sizes.len()).map(of).collect()
    }

    /// The columns whose values vary most.
    fn varying(&self, genes: &[usize]) -> Vec<usize> {
        let n = self.n.max(1.0);
        let variance = |gene: usize| self.squares[gene] / n - (self.totals[gene] / n).powi(2);
        let mut order: Vec<(f64, usize)> =
            genes.iter().map(|&gene| (variance(gene), gene)).filter(|(v, _)| *v > 0.0).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        order.into_iter().take(GENES).map(|(_, gene)| gene).collect()
    }
}

#[cfg(test)]
mod tests {
    use scgpt_data::{Frame, MemoryCells};

    use super::*;

    /// Twenty cells: gene 1 is of the second half, gene 3 varies, gene 0 is everywhere alike.
    fn cells() -> MemoryCells<'static> {
        let row = |cell: u16| {
            let marker = if cell >= 10 { 9.0 + f32::from(cell % 3) } else { 0.0 };
            (vec![0, 1, 2, 3], vec![20.0, marker, 60.0 - marker, f32::from(cell * 7 % 13)])
        };
        let matrix = Csr::of_rows(4, (0..20).map(row)).unwrap();
        let names = (0..20).map(|cell| format!("c{cell}"));
        MemoryCells::of(matrix, Frame::of_names(names), Frame::of_names(["a", "b", "c", "d"]))
            .unwrap()
    }

    #[test]
    fn markers_of_groups_are_found_and_what_is_wanted_comes_first() {
        let groups: Vec<Option<u32>> = (0..20).map(|cell| Some(u32::from(cell >= 10))).collect();
        let all: Vec<usize> = (0..20).collect();
        let found =
            MapGenes::choose(&mut cells(), &Layer::X, &all, &[0, 1, 2, 3], &[3], &groups).unwrap();
        assert!(found.are_logarithms);
        assert_eq!(found.markers[1], [1]);
        assert_eq!(found.values[0].0, 3);
        let marker = &found.values.iter().find(|(gene, _)| *gene == 1).unwrap().1;
        assert!(marker[..10].iter().all(|&x| x == 0.0) && marker[10..].iter().all(|&x| x > 5.0));
    }

    #[test]
    fn without_groups_the_most_variable_are_taken() {
        let some: Vec<usize> = (0..20).step_by(2).collect();
        let found =
            MapGenes::choose(&mut cells(), &Layer::X, &some, &[0, 1, 2], &[], &[None; 10]).unwrap();
        assert!(found.markers.is_empty());
        assert_eq!(found.values[0].0, 1, "{found:?}");
        assert_eq!(found.values[0].1.len(), 10);
    }
}
