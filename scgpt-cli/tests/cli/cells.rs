//! `scgpt cells`, and `--umap`, `--leiden` and tables of other commands.

use hdf5_pure::File;
use scgpt_data::{CellSource as _, Column, Source, Table};
use serde_json::Value;

use crate::run::{Place, cells, model};

fn place() -> Place {
    let place = Place::new();
    let cells = ["--cells", "150", "--genes", "500", "--types", "3", "--seed", "2"];
    place.done(&[&["simulate", "-o", "cells.h5ad"], &cells[..]].concat());
    place
}

/// Number of stored values of a matrix in `obsp`.
fn stored(place: &Place, file: &str, name: &str) -> usize {
    let file = File::open_streaming(place.path(file)).unwrap();
    let part = |part: &str| file.dataset(&format!("obsp/{name}/{part}")).unwrap();
    let n = part("data").read_f32().unwrap().len();
    assert_eq!(part("indices").read_i32().unwrap().len(), n);
    let ends = part("indptr").read_i64().unwrap();
    assert_eq!(ends.last().copied(), i64::try_from(n).ok());
    n
}

#[test]
fn cells_without_an_embedding_are_compared_by_components() {
    let place = place();
    let ended = place.done(&["cells", "cells.h5ad", "-o", "clustered.h5ad"]);
    assert!(ended.stderr.contains("no embedding in obsm"), "{}", ended.stderr);
    assert!(ended.stdout.contains("3 clusters"), "{}", ended.stdout);
    assert_eq!(stored(&place, "clustered.h5ad", "distances"), 150 * 14);
    assert!(stored(&place, "clustered.h5ad", "connectivities") >= 150 * 14);
    let mut source = Source::open(place.path("clustered.h5ad")).unwrap();
    let obs = source.obs().unwrap();
    let clusters = obs.column("leiden").unwrap();
    assert!(
        matches!(clusters, Column::Categorical { categories, .. } if *categories == ["0", "1", "2"])
    );
    // Planted types are clusters: every cluster is of one type.
    let types = obs.column("cell_type").unwrap().labels();
    let mut pairs: Vec<_> = clusters.labels().into_iter().zip(types).collect();
    pairs.sort();
    pairs.dedup();
    assert_eq!(pairs.len(), 3, "{pairs:?}");
    assert_eq!(source.read_obsm("X_umap", 0..150).unwrap().1, 2);
    let page = std::fs::read_to_string(place.path("clustered.report.html")).unwrap();
    assert!(page.contains("Cells of each cluster."));

    // Files that are written beside are those of one output.
    assert!(place.path("clustered.config.toml").is_file());

    // Again, by what was written, which is the same.
    let again = place.done(&["cells", "clustered.h5ad", "-o", "again.csv", "--no-report"]);
    assert!(again.stdout.contains("compared by  X_pca"), "{}", again.stdout);
    assert!(!again.stdout.contains("obsp"), "a table has none: {}", again.stdout);
    place.done(&["cells", "clustered.h5ad", "-o", "again.tsv"]);
    for name in ["again.csv.config.toml", "again.tsv.config.toml", "again.tsv.report.html"] {
        assert!(place.path(name).is_file(), "{name}");
    }
    let table = Table::read(&place.path("again.csv")).unwrap();
    assert_eq!(table.names().collect::<Vec<_>>(), ["cell", "leiden", "X_umap_0", "X_umap_1"]);
    assert_eq!(table.column("leiden").unwrap().labels(), clusters.labels());
    let copy = place.done(&[
        "cells",
        "clustered.h5ad",
        "-o",
        "copy.zarr",
        "--no-umap",
        "--resolution=0.1",
    ]);
    // What is replaced is said.
    assert!(copy.stderr.contains("obs/leiden, obsp/distances"), "{}", copy.stderr);
    let copy = Source::open(place.path("copy.zarr")).unwrap();
    assert!(copy.summary().elements.iter().any(|element| element == "obsp/connectivities"));
}

#[test]
fn an_embedding_comes_with_a_map_and_clusters_where_they_are_asked_for() {
    let place = Place::new();
    let (cells, model) = (cells(), model());
    let embed = ["embed", &cells, "-m", &model, "--no-report"];
    let with = ["--umap", "--leiden=0.5", "--json", "-o", "with.h5ad"];
    place.done(&[&embed[..], &with].concat());
    place.done(&[&embed[..], &["-o", "plain.h5ad"]].concat());
    place.done(&["cells", "plain.h5ad", "--resolution", "0.5", "-o", "then.h5ad"]);
    let [with, then] = ["with.h5ad", "then.h5ad"].map(|name| {
        let mut source = Source::open(place.path(name)).unwrap();
        let n = source.summary().n_cells;
        let umap = source.read_obsm("X_umap", 0..n).unwrap();
        (umap, source.obs().unwrap().column("leiden").unwrap().labels())
    });
    assert_eq!(with, then);
    let plain = Source::open(place.path("plain.h5ad")).unwrap();
    assert!(!plain.summary().elements.iter().any(|element| element.starts_with("obsp/")));

    // What was found as a table, in which numbers are those of the file.
    place.done(&[&embed[..], &["-o", "cells.parquet"]].concat());
    let table = Table::read(&place.path("cells.parquet")).unwrap();
    let (rows, width) =
        Source::open(place.path("plain.h5ad")).unwrap().read_obsm("X_scGPT", 0..64).unwrap();
    assert_eq!((table.len(), table.columns.len()), (64, 1 + width));
    let Some(Column::Float(last)) = table.column(&format!("X_scGPT_{}", width - 1)) else {
        panic!("{:?}", table.names().collect::<Vec<_>>());
    };
    assert_eq!(last[63], Some(f64::from(rows[64 * width - 1])));
}

#[test]
fn labels_of_neighbours_can_be_a_table() {
    let place = Place::new();
    let (cells, model) = (cells(), model());
    place.done(&["map", "index", &cells, "-m", &model, "--labels", "batch", "-o", "atlas"]);
    let query = ["map", "query", &cells, "--index", "atlas", "-k", "3", "--leiden"];
    let ended = place.done(&[&query[..], &["--json", "-o", "mapped.csv"]].concat());
    let said: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(said["cells"], 64);
    let slots = ended.envelope["slots"].as_array().unwrap();
    let is_of_cells = |slot: &Value| {
        let slot = slot.as_str().unwrap();
        slot.starts_with("obs/") || slot.starts_with("obsm/")
    };
    assert!(slots.len() > 3 && slots.iter().all(is_of_cells), "{slots:?}");
    let table = Table::read(&place.path("mapped.csv")).unwrap();
    for name in ["scgpt_map_batch", "scgpt_map_unknown", "leiden", "X_scGPT_0"] {
        assert!(table.column(name).is_some(), "{name}");
    }
}

#[test]
fn what_cannot_be_compared_is_said_before_anything_is_written() {
    let place = place();
    let refused = |args: &[&str], parts: &[&str]| {
        place.refused(&[&["cells", "cells.h5ad", "-o", "x.h5ad"], args].concat(), parts);
    };
    refused(&["--embedding", "X_pca"], &["obsm/X_pca", "not found"]);
    refused(&["--resolution", "0"], &["resolution", "above 0"]);
    refused(&["--neighbours", "1"], &["two cells"]);
    place.refused(&["cells", "cells.h5ad", "-o", "x.txt"], &["x.txt", "format"]);
    place.refused(&["cells", "cells.h5ad", "-o", "cells.h5ad"], &["cells.h5ad"]);
}

/// What the islands of a page say of a column: its legend, a name and a number of cells an entry.
fn legend(page: &str, name: &str) -> Vec<Vec<(String, u64)>> {
    let mut found = Vec::new();
    for island in page.split("<script type=\"application/json\">").skip(1) {
        let island: Value =
            serde_json::from_str(island.split("</script>").next().unwrap()).unwrap();
        let columns = island["told"]["columns"].as_array().into_iter().flatten();
        for column in columns.filter(|column| column["name"] == name) {
            let entries = column["legend"].as_array().unwrap().iter();
            let entry = |it: &Value| (it[0].as_str().unwrap().to_owned(), it[1].as_u64().unwrap());
            found.push(entries.map(entry).collect());
        }
    }
    found
}

#[test]
fn clusters_of_a_page_are_those_that_were_just_found() {
    let place = place();
    // Many clusters of the input, and few that are found anew.
    place.done(&["cells", "cells.h5ad", "-o", "old.h5ad", "--resolution", "4", "--no-report"]);
    let old = Source::open(place.path("old.h5ad")).unwrap().obs().unwrap();
    let n_old = old.column("leiden").unwrap().clone();
    let integrate = ["integrate", "old.h5ad", "--batch-key", "batch", "--no-baselines"];
    for (method, label) in [("harmony", "cell_type"), ("pca", "leiden")] {
        let output = format!("{method}.h5ad");
        let more = ["--method", method, "--label", label, "--umap", "--leiden=0.3", "-o", &output];
        place.done(&[&integrate[..], &more].concat());
        let page = std::fs::read_to_string(place.path(&format!("{method}.model/report.html")));
        let page = page.unwrap();
        let obs = Source::open(place.path(&output)).unwrap().obs().unwrap();
        let new = obs.column("leiden").unwrap();
        let mut sizes = std::collections::BTreeMap::<String, u64>::new();
        new.labels().into_iter().flatten().for_each(|name| *sizes.entry(name).or_default() += 1);
        let shown = legend(&page, "leiden");
        assert_eq!(shown.len(), 1, "{method}: once among the colours");
        assert_eq!(shown[0].iter().cloned().collect::<std::collections::BTreeMap<_, _>>(), sizes);
        assert!(n_old.labels() != new.labels(), "the test tells them apart");
        // What the map is drawn by stays, under a name that says whose it is.
        assert_eq!(legend(&page, "leiden of the input").len(), usize::from(label == "leiden"));
    }
}
