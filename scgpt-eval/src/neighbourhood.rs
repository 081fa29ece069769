//! [`Neighbourhood`]: which cells are alike, their clusters and a map, in the slots where scanpy looks for them.
//!
//! ```text
//! obsp["distances"]        the nearest cells of each cell, and how far they are
//! obsp["connectivities"]   the graph of UMAP
//! uns["neighbors"]         how both were made
//! obsm["X_umap"]           a map
//! obs["leiden"]            clusters, the largest is "0"
//! ```

mod page;

use scgpt_data::{Additions, Column, Csr, Error, Observer, Result, RowSpool};
use scgpt_stats::{Graph, Neighbours, layout, leiden, principal_plane};
use serde_json::json;

/// Names of the slots.
const DISTANCES: &str = "distances";
const CONNECTIVITIES: &str = "connectivities";
const LEIDEN: &str = "leiden";
const UMAP: &str = "umap";

/// How cells are compared, and what becomes of it.
///
/// ```
/// let mut options = scgpt_eval::NeighbourhoodOptions::default();
/// options.resolution = Some(0.5);
/// assert_eq!((options.n_neighbours, options.umap), (15, true));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct NeighbourhoodOptions {
    /// Cells of a neighbourhood, the cell itself included, as scanpy counts; at least two.
    pub n_neighbours: usize,
    /// The resolution of clusters: the higher, the more. `None` makes none.
    pub resolution: Option<f64>,
    /// Whether there is a map.
    pub umap: bool,
    /// Seed of clusters and map.
    pub seed: u64,
}

impl Default for NeighbourhoodOptions {
    fn default() -> Self {
        Self { n_neighbours: 15, resolution: Some(1.0), umap: true, seed: 0 }
    }
}

/// Cells by which other cells are near them in an embedding.
#[derive(Clone, Debug)]
pub struct Neighbourhood {
    options: NeighbourhoodOptions,
    neighbours: Neighbours,
    graph: Graph,
    /// The cluster of each cell, numbered by decreasing size.
    clusters: Option<Vec<usize>>,
    places: Option<Vec<[f32; 2]>>,
}

impl Neighbourhood {
    /// Name of the [`column`](Self::column) of clusters.
    pub const COLUMN: &str = LEIDEN;

    /// Compares all cells by their `rows`, `[n, d]` row-major, with Euclidean distances.
    ///
    /// It takes `n² · d` multiplications; memory holds `n · (d + 2 k)` numbers.
    ///
    /// # Errors
    /// [`Error::Option`] if an option makes no sense; [`Error::Cancelled`] if the observer says so.
    ///
    /// # Reference
    /// `scanpy.pp.neighbors`, `tl.umap` and `tl.leiden`. Differs: neighbours are exact; see also
    /// [`layout()`] and [`leiden()`].
    pub fn new(
        rows: &[f32],
        d: usize,
        options: NeighbourhoodOptions,
        observer: &dyn Observer,
    ) -> Result<Self> {
        if options.n_neighbours < 2 {
            return Err(Error::Option("a neighbourhood has two cells at least".into()));
        }
        if options.resolution.is_some_and(|it| !(it.is_finite() && it > 0.0)) {
            return Err(Error::Option("a resolution of clusters is above 0".into()));
        }
        let neighbours = Neighbours::watched(rows, d, options.n_neighbours - 1, observer)?;
        observer.begin("connecting cells", 0);
        let graph = Graph::fuzzy(&neighbours, observer)?;
        if options.resolution.is_some() {
            observer.begin("clustering", 0);
        }
        let clusters = options
            .resolution
            .map(|resolution| leiden(&graph, resolution, options.seed, observer))
            .transpose()?;
        let mut places = None;
        if options.umap {
            observer.begin("laying out a map", 0);
            let (start, _) = principal_plane(rows, d, observer)?;
            places = Some(layout(&graph, &start, options.seed, observer)?);
        }
        Ok(Self { options, neighbours, graph, clusters, places })
    }

    /// Number of clusters, if there are any.
    pub fn n_clusters(&self) -> Option<usize> {
        let clusters = self.clusters.as_ref()?;
        Some(clusters.iter().max().map_or(0, |last| last + 1))
    }

    /// Number of cells in each cluster, the largest first.
    fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.n_clusters().unwrap_or(0)];
        self.clusters.iter().flatten().for_each(|&cluster| sizes[cluster] += 1);
        sizes
    }

    /// The column of clusters that [`add_to`](Self::add_to) writes, and its name.
    pub fn column(&self) -> Option<(String, Column)> {
        let code = |&cluster: &usize| u32::try_from(cluster).ok();
        let codes = self.clusters.as_ref()?.iter().map(code).collect();
        let categories = (0..self.n_clusters()?).map(|cluster| cluster.to_string()).collect();
        Some((LEIDEN.into(), Column::Categorical { codes, categories, ordered: false }))
    }

    /// Names of what [`add_to`](Self::add_to) writes.
    pub fn slots(&self) -> Vec<String> {
        let mut slots =
            vec![format!("obsp[\"{DISTANCES}\"]"), format!("obsp[\"{CONNECTIVITIES}\"]")];
        slots.extend(self.places.as_ref().map(|_| format!("obsm[\"X_{UMAP}\"]")));
        slots.extend(self.clusters.as_ref().map(|_| format!("obs[\"{LEIDEN}\"]")));
        slots
    }

    /// Adds all of it to what is written of the cells; `embedding` is the name in `obsm` of the rows.
    ///
    /// # Errors
    /// If there are more cells than an index of AnnData can have, or the temporary file of the map cannot be
    /// written.
    pub fn add_to(&self, additions: &mut Additions, embedding: &str) -> Result<()> {
        let n = self.graph.len();
        #[allow(clippy::cast_possible_truncation, reason = "stored in single precision")]
        let row = |cells: &mut dyn Iterator<Item = (usize, f64)>| {
            let cells = cells
                .map(|(other, value)| (u32::try_from(other).unwrap_or(u32::MAX), value as f32));
            cells.unzip::<_, _, Vec<u32>, Vec<f32>>()
        };
        let nearest = self.neighbours.cells();
        let distances = nearest.map(|cell| row(&mut cell.iter().map(|&(x, other)| (other, x))));
        let strengths = (0..n).map(|cell| row(&mut self.graph.edges(cell).iter().copied()));
        let made = |pairs: std::result::Result<Csr, String>| pairs.map_err(Error::Option);
        additions.obsp.push((DISTANCES.into(), made(Csr::of_rows(n, distances))?));
        additions.obsp.push((CONNECTIVITIES.into(), made(Csr::of_rows(n, strengths))?));
        let NeighbourhoodOptions { n_neighbours, seed, .. } = self.options;
        additions.uns.push((
            "neighbors".into(),
            json!({
                "distances_key": DISTANCES,
                "connectivities_key": CONNECTIVITIES,
                "params": {
                    "n_neighbors": n_neighbours,
                    "method": UMAP,
                    "metric": "euclidean",
                    "use_rep": embedding,
                    "random_state": seed,
                },
            }),
        ));
        if let Some(places) = &self.places {
            let mut spool = RowSpool::new(2)?;
            spool.push(places.as_flattened())?;
            additions.obsm.push((format!("X_{UMAP}"), spool));
            // The curve of the layout, in the words of umap-learn.
            let params = json!({"params": {"a": 1.0, "b": 1.0, "random_state": seed}});
            additions.uns.push((UMAP.into(), params));
        }
        if let Some(column) = self.column() {
            additions.obs.push(column);
            let resolution = self.options.resolution;
            let params =
                json!({"resolution": resolution, "random_state": seed, "n_iterations": -1});
            additions.uns.push((LEIDEN.into(), json!({"params": params})));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scgpt_data::Silent;
    use scgpt_fixtures::questions;

    /// Two groups of cells on a line, five and four.
    const ROWS: [f32; 9] = [0.0, 0.1, 0.2, 0.3, 0.4, 9.0, 9.1, 9.2, 9.3];

    fn options(n_neighbours: usize) -> NeighbourhoodOptions {
        NeighbourhoodOptions { n_neighbours, ..NeighbourhoodOptions::default() }
    }

    #[test]
    fn groups_are_clusters_and_slots_are_those_of_scanpy() {
        let found = Neighbourhood::new(&ROWS, 1, options(4), &Silent).unwrap();
        assert_eq!(found.sizes(), [5, 4]);
        let mut additions = Additions::default();
        found.add_to(&mut additions, "X_own").unwrap();
        let [(_, distances), (_, strengths)] = &additions.obsp[..] else { panic!() };
        assert_eq!((distances.n_stored(), distances.row(0).indices), (27, &[1, 2, 3][..]));
        assert!((distances.row(0).values[1] - 0.2).abs() < 1e-6);
        // What is connected is so in both directions.
        for (cell, row) in strengths.rows().enumerate() {
            for (&other, &value) in row.indices.iter().zip(row.values) {
                let back = strengths.row(other as usize);
                let at = back.indices.binary_search(&u32::try_from(cell).unwrap()).unwrap();
                assert!((back.values[at] - value).abs() < 1e-7);
            }
        }
        let names: Vec<&str> = additions.uns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["neighbors", "umap", "leiden"]);
        assert_eq!(additions.uns[0].1["params"]["use_rep"], "X_own");
        assert_eq!(additions.obs[0].1.labels()[8].as_deref(), Some("1"));
        assert_eq!((additions.obsm[0].0.as_str(), additions.obsm[0].1.n_rows()), ("X_umap", 9));
        assert_eq!(found.slots().len(), 4);
    }

    #[test]
    fn few_cells_and_odd_options_do_no_harm() {
        for n in 0..3 {
            let found = Neighbourhood::new(&ROWS[..n], 1, options(15), &Silent).unwrap();
            let mut additions = Additions::default();
            found.add_to(&mut additions, "X").unwrap();
            assert_eq!(additions.obs[0].1.len(), n);
        }
        assert!(Neighbourhood::new(&ROWS, 1, options(1), &Silent).is_err());
        let mut flat = options(4);
        flat.resolution = Some(0.0);
        assert!(Neighbourhood::new(&ROWS, 1, flat, &Silent).is_err());
    }

    #[test]
    fn a_map_can_be_cancelled_in_each_of_its_rounds() {
        let found = |observer: &dyn Observer| Neighbourhood::new(&ROWS, 1, options(4), observer);
        assert!(questions(found) > 200);
    }
}
