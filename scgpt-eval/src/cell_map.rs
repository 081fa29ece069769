//! [`CellMap`]: cells laid out on a plane, to be looked at.

use scgpt_data::{Observer, Result, RowSpool};
use scgpt_report::{Page, PointMap};
use scgpt_stats::{Graph, Neighbours, chosen_rows, layout, principal_plane, subsample};

use crate::cell_colours::CellColours;

/// Most cells on a map; of more a sample is drawn.
const POINTS: usize = 3000;
/// Neighbours of each cell.
const NEIGHBOURS: usize = 14;

/// What the axes of a map are called.
pub const AXES: [&str; 2] = ["UMAP 1", "UMAP 2"];

/// Cells on a plane such that those that are neighbours in the embedding are near each other.
/// Distances between groups mean little.
///
/// # Reference
/// McInnes, Healy and Melville 2018, with 15 neighbours, as in `scanpy.tl.umap`.
/// Differs: begins at the first two principal components; the same cells give the same map.
///
/// ```
/// use scgpt_data::Silent;
/// use scgpt_eval::{CellColours, CellMap};
/// use scgpt_report::{Colouring, Page};
///
/// // Nine cells in two groups, in two dimensions.
/// let rows: Vec<f32> = (0..9_u8).flat_map(|i| [f32::from(i % 2) * 9.0, f32::from(i)]).collect();
/// let map = CellMap::new(&rows, 2, 0, &Silent)?;
/// assert_eq!(map.points().count(), 9);
/// let groups = map.points().map(|(cell, _)| Some(["even", "odd"][cell % 2]));
/// let colours = CellColours::new(Vec::new(), vec![Colouring::labels("group", groups)]);
/// map.draw(&mut Page::new("Cells", ""), "Nine cells", &colours);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CellMap {
    cells: Vec<usize>,
    points: Vec<[f32; 2]>,
    n: usize,
}

impl CellMap {
    /// Lays out `rows`, `[n, d]` row-major, or a sample of them if there are many.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn new(rows: &[f32], d: usize, seed: u64, observer: &dyn Observer) -> Result<Self> {
        let cells = Self::sample(rows.len() / d.max(1), seed);
        let chosen = chosen_rows(rows, d, &cells);
        Self::of_cells(cells, rows.len() / d.max(1), &chosen, d, seed, observer)
    }

    /// Numbers of the cells that a map of `n` cells draws, ascending: all, or a sample of them.
    pub fn sample(n: usize, seed: u64) -> Vec<usize> {
        subsample(n, POINTS, seed)
    }

    /// Lays out the rows of a spool, or a sample of them if there are many.
    ///
    /// # Errors
    /// If they cannot be read;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn of_spool(spool: &RowSpool, seed: u64, observer: &dyn Observer) -> Result<Self> {
        let (n, d) = (spool.n_rows(), spool.n_columns());
        let cells = Self::sample(n, seed);
        let mut rows = Vec::with_capacity(cells.len() * d);
        let mut row = Vec::new();
        for &cell in &cells {
            spool.read_rows(cell, 1, &mut row)?;
            rows.extend_from_slice(&row);
        }
        Self::of_cells(cells, n, &rows, d, seed, observer)
    }

    /// Lays out `rows`, `[cells, d]`, which are those of the numbers `cells` among `n` cells.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn of_cells(
        cells: Vec<usize>,
        n: usize,
        rows: &[f32],
        d: usize,
        seed: u64,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let (start, _) = principal_plane(rows, d, observer)?;
        let graph = Graph::fuzzy(&Neighbours::new(rows, d, NEIGHBOURS, observer)?, observer)?;
        Ok(Self { cells, points: layout(&graph, &start, seed, observer)?, n })
    }

    /// Cells whose `places` are known: those of the numbers `cells` among `n` cells.
    ///
    /// # Panics
    /// If there are not as many places as cells.
    pub fn placed(cells: Vec<usize>, places: Vec<[f32; 2]>, n: usize) -> Self {
        assert_eq!(cells.len(), places.len(), "a place a cell");
        Self { cells, points: places, n }
    }

    /// The number and the place of every cell drawn.
    pub fn points(&self) -> impl Iterator<Item = (usize, [f32; 2])> {
        self.cells.iter().copied().zip(self.points.iter().copied())
    }

    /// The numbers of the cells drawn, ascending.
    pub fn cells(&self) -> &[usize] {
        &self.cells
    }

    /// Draws the map on a page, with names and columns of `colours`, which has an entry for each
    /// of the [`cells`](Self::cells). The caption goes on with what colours them, and how many cells
    /// there are.
    ///
    /// # Panics
    /// If it has not.
    pub fn draw(&self, page: &mut Page, caption: &str, colours: &CellColours) {
        let sampled = if self.cells.len() < self.n {
            format!("; {} of {} cells", self.cells.len(), self.n)
        } else {
            String::new()
        };
        let map = PointMap {
            places: &self.points,
            names: &colours.names,
            axes: AXES,
            columns: &colours.columns,
            first: colours.first,
        };
        let first = colours.columns.get(colours.first);
        let by = first.map_or_else(String::new, |it| format!(", coloured by {}", it.name));
        page.point_map(&map, &format!("{caption}{by}{sampled}{}.", colours.said()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scgpt_data::{Keyed, Purpose, Silent};

    /// Twenty groups along axes of 24 dimensions: more than two components can tell apart.
    fn groups(n: usize) -> Vec<f32> {
        let key = Keyed::new(2, Purpose::Simulate, 0, 0);
        let value = |i: usize| {
            let centre = if i % 24 == i / 24 % 20 { 2.0 } else { 0.0 };
            centre + key.uniform(i as u64) - 0.5
        };
        #[allow(clippy::cast_possible_truncation, reason = "test data")]
        let rows = (0..n * 24).map(|i| value(i) as f32).collect();
        rows
    }

    #[test]
    fn more_groups_stay_apart_than_components_show() {
        let rows = groups(600);
        let map = CellMap::new(&rows, 24, 0, &Silent).unwrap();
        let nearest_alike = |points: &[[f32; 2]]| {
            let nearest = Neighbours::new(&points.concat(), 2, 5, &Silent).unwrap();
            let alike = |(cell, found): (usize, &[(f64, usize)])| {
                found.iter().filter(|(_, other)| other % 20 == cell % 20).count()
            };
            nearest.cells().enumerate().map(alike).sum::<usize>() as f64 / 3000.0
        };
        let by_components = nearest_alike(&principal_plane(&rows, 24, &Silent).unwrap().0);
        let by_map = nearest_alike(&map.points);
        assert!(by_map > 0.98 && by_components < 0.8, "{by_map} {by_components}");
        // On one thread it is the same.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(
            pool.install(|| CellMap::new(&rows, 24, 0, &Silent).unwrap().points),
            map.points
        );
    }

    #[test]
    fn few_equal_and_many_cells_do_no_harm() {
        assert_eq!(CellMap::new(&[], 4, 0, &Silent).unwrap().points().count(), 0);
        assert_eq!(CellMap::new(&[1.0, 2.0], 2, 0, &Silent).unwrap().points().count(), 1);
        let equal = CellMap::new(&[1.0; 100], 2, 0, &Silent).unwrap();
        assert!(equal.points().all(|(_, point)| point.iter().all(|x| x.is_finite())));
        let many = CellMap::new(&[0.5; 4000], 1, 0, &Silent).unwrap();
        assert_eq!(many.points().count(), POINTS);
        let mut page = Page::new("t", "s");
        many.draw(&mut page, "Cells", &CellColours::default());
        assert!(page.to_html().contains("Cells; 3000 of 4000 cells."));
    }
}
