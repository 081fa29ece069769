//! The page about clusters of cells.

use scgpt_data::{CellSource, Observer, Result, RowSpool};
use scgpt_report::{Bar, Page};
use scgpt_stats::{chosen_rows, principal_plane};

use super::Neighbourhood;
use crate::{
    cell_colours::{CellColours, ColourChoice},
    cell_map::CellMap,
};

impl Neighbourhood {
    /// The cells of the numbers `cells` on the UMAP; `None` if there is none.
    ///
    /// # Panics
    /// If there is no such cell.
    pub fn map(&self, cells: Vec<usize>) -> Option<CellMap> {
        let all = self.places.as_ref()?;
        let places = cells.iter().map(|&cell| all[cell]).collect();
        Some(CellMap::placed(cells, places, all.len()))
    }

    /// A map of the cells with the rows of a spool: on the UMAP, if one was `found`, else laid out by the seed.
    ///
    /// # Errors
    /// If the rows cannot be read; [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn map_of(
        found: Option<&Self>,
        rows: &RowSpool,
        seed: u64,
        observer: &dyn Observer,
    ) -> Result<CellMap> {
        let placed = found.and_then(|it| it.map(CellMap::sample(rows.n_rows(), seed)));
        placed.map_or_else(|| CellMap::of_spool(rows, seed, observer), Ok)
    }

    /// Clusters and map as a page; `rows`, `[n, d]`, are those that the cells of `source` were compared by, and
    /// `embedding` is their name. Whoever wants them has the [`column`](Self::column) of clusters among the colours.
    ///
    /// # Errors
    /// If annotations cannot be read, or a colour that is asked for is not there;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn page(
        &self,
        source: &mut dyn CellSource,
        embedding: &str,
        (rows, d): (&[f32], usize),
        choice: &ColourChoice<'_>,
        observer: &dyn Observer,
    ) -> Result<Page> {
        let path = source.summary().path.display().to_string();
        let mut page = Page::new("Cells and their neighbours", &path);
        let n = self.graph.len();
        let mut numbers = vec![("cells", n.to_string()), ("compared by", embedding.to_owned())];
        numbers.extend(self.n_clusters().map(|clusters| ("clusters", clusters.to_string())));
        numbers.push(("neighbours of a cell", self.neighbours.k().to_string()));
        page.numbers(&numbers);
        page.section("Map");
        let cells = CellMap::sample(n, self.options.seed);
        let map = if let Some(map) = self.map(cells.clone()) {
            map
        } else {
            let (places, _) = principal_plane(&chosen_rows(rows, d, &cells), d, observer)?;
            CellMap::placed(cells, places, n)
        };
        let colours = CellColours::choose(source, map.cells(), choice)?;
        let axes = if self.places.is_some() { "a UMAP" } else { "their principal components" };
        map.draw(&mut page, &format!("Cells on {axes} of {embedding}"), &colours);
        if self.clusters.is_some() {
            let bars: Vec<Bar> = self
                .sizes()
                .iter()
                .enumerate()
                .map(|(cluster, &size)| Bar {
                    name: cluster.to_string(),
                    value: size as f64,
                    label: size.to_string(),
                })
                .collect();
            page.section("Clusters").category_bars(
                &bars,
                &colours.columns,
                "Cells of each cluster.",
            );
        }
        Ok(page)
    }
}
