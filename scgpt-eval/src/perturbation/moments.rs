//! [`Moments`]: means and variances of genes by group, from one pass over the cells.

use std::collections::{BTreeMap, BTreeSet};

use scgpt_data::{CellSource, Layer, Observer, ReadBlocks as _, Result, Watched, narrow};
use scgpt_stats::first_halves;

/// The dictionary of `uns` in which GEARS keeps genes by their difference.
pub(super) const RANKINGS: &str = "rank_genes_groups_cov_all";
/// The column of `obs` by whose values that dictionary is keyed.
pub(super) const CONDITION_NAME: &str = "condition_name";

/// Cells read at a time.
const BLOCK: usize = 1024;

/// Sums of the values of one group, one number a gene.
#[derive(Clone, Debug, Default)]
struct Sums {
    cells: usize,
    values: Vec<f64>,
    squares: Vec<f64>,
    /// Cells of a random half.
    half_cells: usize,
    half_values: Vec<f64>,
}

/// Means and variances of genes by group. Memory: three numbers a group and gene.
#[derive(Clone, Debug)]
pub struct Moments {
    groups: Vec<Sums>,
    n_genes: usize,
    /// Genes by their difference from the controls, for the groups whose order the file gives.
    rankings: BTreeMap<u32, Vec<u32>>,
}

impl Moments {
    /// Reads the cells once, streaming; `codes` has the group of each cell, below `n_groups`, and
    /// cells without a group are passed over. Halves of a group are drawn by the names of its
    /// cells, so that their order does not matter.
    ///
    /// # Errors
    /// If the source cannot be read, or the observer asked to stop.
    pub fn of(
        source: &mut dyn CellSource,
        layer: &Layer,
        codes: &[Option<u32>],
        n_groups: usize,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let (n_cells, n_genes) = source.summary().shape(layer)?;
        let zeros = || vec![0.0; n_genes];
        let empty =
            || Sums { values: zeros(), squares: zeros(), half_values: zeros(), ..Sums::default() };
        let mut groups: Vec<Sums> = (0..n_groups).map(|_| empty()).collect();
        let is_first = first_halves(codes, &source.obs()?.cell_keys(), 0);
        observer.begin("averaging conditions", n_cells);
        for block in (Watched { source, observer }).blocks(layer, BLOCK) {
            let (cells, block) = block?;
            for (cell, row) in cells.zip(block.rows()) {
                let Some(group) = codes[cell] else { continue };
                let sums = &mut groups[group as usize];
                sums.cells += 1;
                sums.half_cells += usize::from(is_first[cell]);
                for (&gene, &value) in row.indices.iter().zip(row.values) {
                    let (gene, value) = (gene as usize, f64::from(value));
                    sums.values[gene] += value;
                    sums.squares[gene] += value * value;
                    if is_first[cell] {
                        sums.half_values[gene] += value;
                    }
                }
            }
        }
        Ok(Self { groups, n_genes, rankings: BTreeMap::new() })
    }

    /// Takes over the order of genes by their difference from the controls that the file gives for
    /// a group, if all cells of the group have the same name.
    ///
    /// # Reference
    /// GEARS: `uns["rank_genes_groups_cov_all"]`, names of the index of `var` by
    /// `obs["condition_name"]`.
    ///
    /// # Errors
    /// If a table is broken.
    pub fn read_rankings(
        &mut self,
        source: &dyn CellSource,
        layer: &Layer,
        codes: &[Option<u32>],
    ) -> Result<()> {
        let lists = source.read_lists(RANKINGS)?;
        let obs = source.obs()?;
        let Some(names) = obs.column(CONDITION_NAME).filter(|_| !lists.is_empty()) else {
            return Ok(());
        };
        let mut names_of: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
        for (group, name) in codes.iter().zip(names.labels()) {
            if let (Some(group), Some(name)) = (group, name) {
                names_of.entry(*group).or_default().insert(name);
            }
        }
        let var = source.var(layer)?;
        let columns: BTreeMap<&str, u32> = var.index.iter().map(String::as_str).zip(0..).collect();
        for (group, names) in names_of {
            let mut lists = names.iter().map(|name| lists.get(name));
            if let (Some(Some(list)), None) = (lists.next(), lists.next()) {
                let column = |gene: &String| columns.get(gene.as_str()).copied();
                self.rankings.insert(group, list.iter().filter_map(column).collect());
            }
        }
        Ok(())
    }

    /// Number of genes.
    pub fn n_genes(&self) -> usize {
        self.n_genes
    }

    /// Mean expression of a group, `[g]`; zeros for a group without cells.
    pub fn mean(&self, group: usize) -> Vec<f64> {
        let Sums { cells, values, .. } = &self.groups[group];
        values.iter().map(|sum| sum / (*cells).max(1) as f64).collect()
    }

    /// Means of two random halves of a group's cells; `None` if it has fewer than two.
    pub fn halves(&self, group: usize) -> Option<[Vec<f64>; 2]> {
        let Sums { cells, values, half_cells, half_values, .. } = &self.groups[group];
        let rest = cells - half_cells;
        if rest == 0 || *half_cells == 0 {
            return None;
        }
        let half = half_values.iter().map(|sum| sum / *half_cells as f64).collect();
        let other = values.iter().zip(half_values).map(|(all, half)| (all - half) / rest as f64);
        Some([half, other.collect()])
    }

    /// Numbers of all genes by their difference between two groups: the greatest |t| first, of
    /// equals the earlier first. An order that [`read_rankings`](Self::read_rankings) found is used
    /// instead.
    ///
    /// # Reference
    /// GEARS `rank_genes_groups_by_cov` (scanpy `rank_genes_groups`, Welch's t-test, `rankby_abs`):
    /// undefined statistics, of genes without variance, count as 0.
    pub fn ranked(&self, group: usize, control: usize) -> Vec<u32> {
        let [a, b] = [group, control].map(|group| &self.groups[group]);
        let [(mean_a, error_a), (mean_b, error_b)] = [a, b].map(Sums::means_and_errors);
        let statistic = |gene: usize| {
            let t = (mean_a[gene] - mean_b[gene]) / (error_a[gene] + error_b[gene]).sqrt();
            if t.is_nan() { 0.0 } else { t.abs() }
        };
        let scores: Vec<f64> = (0..self.n_genes).map(statistic).collect();
        let mut order: Vec<u32> = (0..narrow(self.n_genes)).collect();
        order.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]));
        // A list that the file has comes first; it may be short.
        let saved = u32::try_from(group).ok().and_then(|group| self.rankings.get(&group));
        if let Some(saved) = saved {
            let first: BTreeSet<u32> = saved.iter().copied().collect();
            order.retain(|gene| !first.contains(gene));
            order.splice(..0, saved.iter().copied());
        }
        order
    }
}

impl Sums {
    /// Means of all genes, and their squared standard errors.
    fn means_and_errors(&self) -> (Vec<f64>, Vec<f64>) {
        let n = self.cells as f64;
        let of = |(sum, square): (&f64, &f64)| {
            let mean = sum / n;
            // Rounding may leave less than nothing.
            let variance = ((square - n * mean * mean) / (n - 1.0)).max(0.0);
            (mean, variance / n)
        };
        self.values.iter().zip(&self.squares).map(of).unzip()
    }
}

#[cfg(test)]
mod tests {
    use scgpt_data::{Column, Frame, RowSpool, Silent, SpooledCells};

    use super::*;

    /// Cells of a file that says which genes differ.
    struct Listed(SpooledCells, BTreeMap<String, Vec<String>>);

    impl CellSource for Listed {
        scgpt_data::forward!(0: summary, obs, var, read, read_obsm, unread);

        fn read_lists(&self, name: &str) -> scgpt_data::Result<BTreeMap<String, Vec<String>>> {
            Ok(if name == RANKINGS { self.1.clone() } else { BTreeMap::new() })
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    /// Three controls, and three cells each of two conditions in which gene a, and gene b, fall; those of
    /// these numbers.
    fn cells_of(numbers: &[u8], lists: BTreeMap<String, Vec<String>>) -> Listed {
        let mut rows = RowSpool::new(3).unwrap();
        for &cell in numbers {
            let noise = f32::from(cell % 3) * 0.01;
            let fallen = usize::from(cell / 3).checked_sub(1);
            let value = |gene| if Some(gene) == fallen { noise } else { 2.0 + noise };
            rows.push(&[value(0), value(1), value(2)]).unwrap();
        }
        let of_cell =
            numbers.iter().map(|cell| ["ctrl", "A", "B"][usize::from(cell / 3)].to_owned());
        let of_cell: Vec<String> = of_cell.collect();
        let columns = vec![(CONDITION_NAME.to_owned(), Column::categorical(&of_cell))];
        let frame = |index, columns| Frame { index_name: "_index".into(), index, columns };
        let index = numbers.iter().map(ToString::to_string).collect();
        let genes = frame(names(&["a", "b", "c"]), Vec::new());
        Listed(SpooledCells::new(frame(index, columns), genes, rows), lists)
    }

    /// All nine, as numbered.
    fn cells(lists: BTreeMap<String, Vec<String>>) -> Listed {
        cells_of(&[0, 1, 2, 3, 4, 5, 6, 7, 8], lists)
    }

    #[test]
    fn genes_are_ranked_by_what_differs_or_by_what_the_file_says() {
        let lists = BTreeMap::from([("B".to_owned(), names(&["c", "unknown", "a"]))]);
        let mut source = cells(lists);
        let codes: Vec<Option<u32>> = (0..9).map(|cell| Some(cell / 3)).collect();
        let mut moments = Moments::of(&mut source, &Layer::X, &codes, 3, &Silent).unwrap();
        assert_eq!([1, 2].map(|group| moments.ranked(group, 0)[0]), [0, 1]);
        moments.read_rankings(&source, &Layer::X, &codes).unwrap();
        assert_eq!(moments.ranked(1, 0)[0], 0, "the file says nothing of it");
        assert_eq!(moments.ranked(2, 0), [2, 0, 1], "what is not in the list comes last");
        // A group of cells with two names has no list of its own.
        let codes: Vec<Option<u32>> = (0..9).map(|cell| Some(u32::from(cell > 2))).collect();
        let mut moments = Moments::of(&mut source, &Layer::X, &codes, 2, &Silent).unwrap();
        moments.read_rankings(&source, &Layer::X, &codes).unwrap();
        assert!(moments.rankings.is_empty());
    }

    #[test]
    fn two_cells_have_halves() {
        let codes: Vec<Option<u32>> = (0..9).map(|cell| Some(cell / 2)).collect();
        let mut source = cells(BTreeMap::new());
        let moments = Moments::of(&mut source, &Layer::X, &codes, 5, &Silent).unwrap();
        let have = [0, 1, 2, 3, 4].map(|group| moments.halves(group).is_some());
        assert_eq!(have, [true, true, true, true, false]);
    }

    #[test]
    fn halves_do_not_depend_on_the_order_of_cells() {
        let halves = |numbers: &[u8]| {
            let codes: Vec<Option<u32>> =
                numbers.iter().map(|cell| Some(u32::from(cell / 3))).collect();
            let mut source = cells_of(numbers, BTreeMap::new());
            let moments = Moments::of(&mut source, &Layer::X, &codes, 3, &Silent).unwrap();
            // Sums in another order are rounded otherwise.
            [0, 1, 2].map(|group| {
                let halves = moments.halves(group).unwrap();
                halves.map(|means| means.into_iter().map(|x| (x * 1e6).round()).collect::<Vec<_>>())
            })
        };
        let expected = halves(&[0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(halves(&[8, 7, 6, 5, 4, 3, 2, 1, 0]), expected);
        assert_eq!(halves(&[4, 1, 8, 0, 5, 7, 2, 3, 6]), expected);
    }
}
