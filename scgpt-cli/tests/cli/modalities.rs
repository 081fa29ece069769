//! Cells in several modalities.

use hdf5_pure::File;

use crate::run::Place;

#[test]
fn a_mosaic_is_simulated_with_its_truth() {
    let place = Place::new();
    let common = ["--cells", "40", "--genes", "30", "--batches", "4", "--seed", "5"];
    let modalities = ["--modalities", "rna,protein,atac", "--proteins", "6", "--peaks", "80"];
    let run = |output: &str, more: &[&str]| {
        let args =
            [&["simulate", "-o", output, "--json"], &common[..], &modalities[..], more].concat();
        place.done(&args)
    };
    let ended = run("mosaic.h5mu", &["--mosaic"]);
    assert!(ended.stdout.contains("mosaic.truth.h5ad"), "{}", ended.stdout);
    assert!(std::fs::read(place.path("mosaic.h5mu")).unwrap().starts_with(b"MuData"));
    let file = File::open_streaming(place.path("mosaic.h5mu")).unwrap();
    let cells = |name: &str| file.dataset(name).unwrap().read_string().unwrap();
    let of: Vec<usize> = ["rna", "prot", "atac"]
        .iter()
        .map(|name| cells(&format!("mod/{name}/obs/_index")).len())
        .collect();
    assert!(of.iter().all(|&n| n < 40) && cells("obs/_index").len() == 40, "{of:?}");
    let places = file.dataset("obsmap/prot").unwrap().read_i64().unwrap();
    assert_eq!(places.iter().filter(|&&place| place > 0).count(), of[1]);
    let truth = File::open_streaming(place.path("mosaic.truth.h5ad")).unwrap();
    let ends = truth.dataset("X/indptr").unwrap().read_i64().unwrap();
    // In truth every cell has proteins, genes and peaks.
    assert!(ends.windows(2).all(|pair| pair[1] - pair[0] > 8), "{ends:?}");
    run("paired.h5ad", &[]);
    let paired = File::open_streaming(place.path("paired.h5ad")).unwrap();
    assert_eq!(paired.dataset("X/indptr").unwrap().read_i64().unwrap(), ends);
}

#[test]
fn one_modality_is_asked_of_commands_for_one() {
    let place = Place::new();
    let args = ["simulate", "-o", "two.h5mu", "--cells", "9", "--modalities", "rna,protein"];
    place.done(&args);
    place.refused(&["inspect", "two.h5mu"], &["MuData", "prot, rna", "scgpt integrate"]);
    let args = ["simulate", "-o", "one.h5mu", "--modalities", "rna", "--mosaic"];
    place.refused(&args, &["1 modalities", "--modalities"]);
    place.refused(&["simulate", "-o", "plain.h5mu"], &[".h5ad or .zarr"]);
}
