//! Cells in several modalities.

use std::fs;

use hdf5_pure::File;
use scgpt_fixtures::Toy;
use serde_json::Value;

use crate::run::{Place, embedding, model, tiny};

/// Settings of a network that is made in no time.
fn settings() -> String {
    tiny(
        "batch_size = 16\nhvg = 30\nother_features = 60\nmax_length = 61\nhidden_modality = 0.5",
        "n_layers = 1\ndropout = 0.1",
        "epochs = 2",
    )
}

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
    assert!(ends.windows(2).all(|pair| pair[1] - pair[0] > 6), "{ends:?}");
    run("paired.h5ad", &[]);
    let paired = File::open_streaming(place.path("paired.h5ad")).unwrap();
    assert_eq!(paired.dataset("X/indptr").unwrap().read_i64().unwrap(), ends);
}

#[test]
fn one_modality_is_asked_of_commands_for_one() {
    let place = Place::new();
    let args = ["simulate", "-o", "two.h5mu", "--cells", "9", "--modalities", "rna,protein"];
    place.done(&args);
    let embed = ["embed", "two.h5mu", "-m", &model(), "-o", "out.h5ad"];
    place.refused(&embed, &["MuData", "prot, rna", "scgpt integrate"]);
    let args = ["simulate", "-o", "one.h5mu", "--modalities", "rna", "--mosaic"];
    place.refused(&args, &["names 1", "--modalities"]);
    place.refused(&["simulate", "-o", "plain.h5mu"], &[".h5ad or .zarr"]);
}

fn place() -> Place {
    let place = Place::new();
    let common = ["--cells", "96", "--genes", "40", "--types", "2", "--batches", "4"];
    let simulate = |output: &str, modalities: &str, more: &[&str]| {
        let vocab = format!("{}/vocab.json", model());
        let args = ["simulate", "-o", output, "--modalities", modalities, "--vocab", &vocab];
        place.done(&[&args[..], &["--proteins", "8", "--peaks", "90"], &common, more].concat());
    };
    simulate("mosaic.h5mu", "rna,protein,atac", &["--mosaic"]);
    simulate("rna.h5ad", "rna", &[]);
    simulate("adt.h5ad", "protein", &[]);
    fs::write(place.path("tiny.toml"), settings()).unwrap();
    place
}

#[test]
fn a_mosaic_becomes_an_embedding_and_complete_cells() {
    let place = place();
    let args = ["integrate", "mosaic.h5mu", "--batch-key", "batch", "--label", "cell_type"];
    let complete =
        ["--complete", "all.h5ad", "--truth", "mosaic.truth.h5ad", "--config", "tiny.toml"];
    // What cannot be completed, or compared, is said before anything is trained.
    let truth = ["--complete", "all.h5ad", "--config", "tiny.toml", "-o", "x.h5mu", "--truth"];
    place.refused(&[&args[..], &truth, &["rna.h5ad"]].concat(), &["rna.h5ad", "lacks"]);
    let paired = ["integrate", "RNA=rna.h5ad", "Protein=adt.h5ad", "-o", "x.h5ad"];
    place.refused(&[&paired[..], &complete[..2]].concat(), &["nothing to complete"]);
    let report = place.done(&[&args[..], &complete, &["-o", "out.h5mu", "--json"]].concat());
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    let sizes = report["data"]["modalities"].as_array().unwrap();
    let features: Vec<u64> = sizes.iter().map(|of| of["features"].as_u64().unwrap()).collect();
    // Peaks and genes that vary most, all proteins, in alphabetical order.
    assert_eq!(features, [60, 8, 30]);
    assert_eq!(sizes[1]["name"], "Protein");
    assert!(sizes[1]["cells"].as_array().unwrap().contains(&Value::from(0)), "{sizes:?}");
    let names: Vec<&str> = report["methods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|method| method["name"].as_str().unwrap())
        .collect();
    // Modalities that many of the cells lack are not shown alone.
    assert_eq!(names, ["scGPT", "Unintegrated", "WNN", "Harmony of all"]);
    for generated in report["generated"].as_array().unwrap() {
        let scores = &generated["scores"];
        assert_eq!(scores["cells"], generated["cells"]);
        let [error, of_mean] = ["error", "mean_error"].map(|name| scores[name].as_f64().unwrap());
        assert!(error.is_finite() && of_mean > 0.0, "{generated}");
    }
    assert!(fs::read(place.path("out.h5mu")).unwrap().starts_with(b"MuData"));
    let rows = embedding(&place.path("out.h5mu"));
    assert_eq!(rows.len(), 96 * 16);
    let all = File::open_streaming(place.path("all.h5ad")).unwrap();
    let ends = all.dataset("X/indptr").unwrap().read_i64().unwrap();
    assert_eq!((ends.len(), all.dataset("var/_index").unwrap().shape().unwrap()[0]), (97, 98));
    let page = fs::read_to_string(place.path("out.model/report.html")).unwrap();
    assert!(page.contains("error of the mean"));

    // By the artefact alone, and of cells that were measured in less.
    let apply = ["integrate", "mosaic.h5mu", "--model", "out.model", "-o", "again.h5ad"];
    place.done(&apply);
    assert_eq!(embedding(&place.path("again.h5ad")), rows);
    // Some of them as MuData of their own.
    let some = ["--where", "batch IN ('batch_1', 'batch_2')"];
    for output in ["some.h5mu", "some_in_h5ad.h5ad"] {
        place.done(&[&apply[..4], &["-o", output], &some].concat());
    }
    let of_some = embedding(&place.path("some_in_h5ad.h5ad"));
    assert!(of_some.len() < rows.len() && of_some == embedding(&place.path("some.h5mu")));
    place.done(&["integrate", "some.h5mu", "--model", "out.model", "-o", "of_some.h5ad"]);
    assert_eq!(embedding(&place.path("of_some.h5ad")), of_some);
    let shown = |file: &str| place.done(&["inspect", file]).stdout;
    assert!(shown("some.h5mu").contains("atac obs"), "{}", shown("some.h5mu"));
    place.done(&["integrate", "rna.h5ad", "--model", "out.model", "-o", "rna-out.h5ad"]);
    assert_eq!(embedding(&place.path("rna-out.h5ad")).len(), 96 * 16);
}

#[test]
fn a_mosaic_that_cells_link_begins_in_one_space_and_is_completed_by_embeddings() {
    let place = Place::new();
    let simulate =
        ["simulate", "-o", "mosaic.h5mu", "--modalities", "rna,atac", "--mosaic", "--seed", "3"];
    let sizes =
        ["--cells", "1000", "--genes", "60", "--peaks", "120", "--types", "3", "--batches", "4"];
    place.done(&[&simulate[..], &sizes].concat());
    let args = ["integrate", "mosaic.h5mu", "--batch-key", "batch", "--label", "cell_type"];
    let shown = place.done(&[&args[..], &["--print-config"]].concat()).stdout;
    for setting in ["start = \"spectral\"", "select_by = \"foscttm\"", "dar = 0.0"] {
        assert!(shown.contains(setting), "{shown}");
    }
    let complete = ["--complete", "all.h5ad", "--truth", "mosaic.truth.h5ad", "-o", "out.h5mu"];
    // Of each modality as many features as are said, in its usual spellings.
    place.refused(
        &[&args[..], &complete, &["--features", "ADT=9"]].concat(),
        &["`ADT`", "ATAC, RNA"],
    );
    place.refused(&[&args[..], &complete, &["--features", "atac"]].concat(), &["MODALITY=N"]);
    let quick = ["--features", "rna=50,atac=0", "--max-steps", "3", "--no-baselines", "--json"];
    let report = place.done(&[&args[..], &complete, &quick].concat());
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    let sizes = &report["data"]["modalities"];
    assert_eq!([&sizes[0]["features"], &sizes[1]["features"]], [120, 50], "{sizes}");
    // Of two modalities of a cell, the other one is nearer than by chance, before anything is learned.
    let metrics = report["validation"][0]["metrics"].as_array().unwrap();
    let share = metrics.iter().find(|metric| metric["name"] == "foscttm").unwrap();
    assert!(share["value"].as_f64().unwrap() < 0.35, "{share}");
    let generated = report["generated"].as_array().unwrap();
    assert_eq!(generated.len(), 2);
    for generated in generated {
        let error = |of: &str, name: &str| generated[of][name].as_f64().unwrap();
        // No modality was hidden in training, so that the expression head cannot be asked.
        assert_eq!(generated["by"], "cell_embedding");
        assert!(error("scores", "error") < error("scores", "mean_error"), "{generated}");
        assert!(
            error("scores", "correlation") > 0.5 * error("ridge", "correlation"),
            "{generated}"
        );
        assert!(error("type_mean", "error") < error("scores", "mean_error"), "{generated}");
        assert!(generated["foscttm"].as_f64().unwrap() < 0.42, "{generated}");
    }
    let mosaic = &report["mosaic"];
    assert_eq!((&mosaic["kinds"], &mosaic["carried"]["from"]), (&3.into(), &"RNA".into()));
    let [told, largest] =
        ["accuracy", "largest"].map(|name| mosaic["carried"][name].as_f64().unwrap());
    assert!(told > largest + 0.2, "{mosaic}");
    let page = fs::read_to_string(place.path("out.model/report.html")).unwrap();
    assert!(page.contains("FOSCTTM") && page.contains("cell embeddings"));
}

#[test]
fn a_table_of_links_is_what_vectors_of_peaks_begin_with() {
    let place = Place::new();
    let simulate = ["simulate", "--genes", "60", "--types", "3", "--batches", "4", "--seed", "3"];
    let mosaic = ["--modalities", "rna,atac", "--mosaic", "--peaks", "120", "--cells", "240"];
    place.done(&[&simulate[..], &mosaic, &["-o", "mosaic.h5mu"]].concat());
    place.done(&[&simulate[..], &["--cells", "60", "-o", "rna.h5ad"]].concat());
    let links = |rows: &str| fs::write(place.path("links.csv"), rows).unwrap();
    let table = ["--batch-key", "batch", "--links", "links.csv"];
    let args = [&["integrate", "mosaic.h5mu"], &table[..]].concat();
    // A region in another spelling, a peak and a gene that are not there.
    links(
        "gene,peak,weight\nGENE00001,chr1_10000_10500,2\nGENE00002,chr2:10000-10500,1\n\
         GENE00002,chr99:1-2,1\nGENE0001,chr1:10000-10500,0.5\n",
    );
    // Sixty cells with both are too few to begin with, but for the table.
    let shown = place.done(&[&args[..], &["--print-config"]].concat()).stdout;
    for setting in [
        "start = \"spectral\"",
        "links = \"links.csv\"",
        "peak_flavour = \"tfidf\"",
        "= \"thinning\"",
    ] {
        assert!(shown.contains(setting), "{shown}");
    }
    let quick = ["--max-steps", "2", "--no-baselines", "--json", "-o", "out.h5mu"];
    let report = place.done(&[&args[..], &quick].concat());
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    let said = &report["data"]["links"];
    let numbers = ["rows", "known", "used", "linked"].map(|name| said[name].as_u64().unwrap());
    assert_eq!(numbers, [4, 2, 2, 2], "{said}");
    assert_eq!(said["unknown_peaks"]["number"], 1);
    let example = said["unknown_genes"]["examples"][0].as_str().unwrap();
    assert!(example.contains("`GENE0001`; similar names: GENE0001"), "{example}");
    let text = |name: &str| fs::read_to_string(place.path("out.model").join(name)).unwrap();
    assert!(text("report.html").contains("Links: 2 of 4 in `links.csv`"));
    assert!(text("README.md").contains(said["sha256"].as_str().unwrap()));

    // Peaks by another measure than genes, which the report names.
    let peaks = ["--peak-flavour", "accessibility", "--features", "rna=50,atac=30", "--force"];
    let report = place.done(&[&args[..2], &table[..2], &peaks, &quick].concat());
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    let atac = &report["data"]["modalities"][0];
    assert_eq!((&atac["features"], &atac["by"]), (&30.into(), &"accessibility".into()));

    let refused = |rows: &str, parts: &[&str]| {
        links(rows);
        place.refused(&[&args[..], &["-o", "x.h5mu"]].concat(), &[&["links.csv"], parts].concat());
    };
    refused("peak\nchr1:10000-10500\n", &["line 1", "one column", "peak, gene"]);
    refused("peak,gene,weight\nchr1:10000-10500,GENE00001,0\n", &["row 1, `weight`", "above 0"]);
    refused("peak,gene\nchr1:10000-10500,\n", &["row 1, `gene`", "no name"]);
    refused(
        "peak,gene\nfoo,bar\n",
        &["line 2", "`chr1:10000-10500` and `GENE00001`", "`foo` and `bar`", "index of var"],
    );
    refused("a,b\nGENE00001,chr1:10000-10500\n", &["another order"]);
    links("peak,gene\nchr1:10000-10500,GENE00001\n");
    let one = [&["integrate", "rna.h5ad", "-o", "x.h5ad"], &table[..]].concat();
    place.refused(&one, &["--links", "RNA and another one"]);
    fs::write(place.path("drawn.toml"), "start = \"random\"\n").unwrap();
    let drawn = [&args[..], &["--config", "drawn.toml", "-o", "x.h5mu"]].concat();
    place.refused(&drawn, &["--links", "`start` = \"spectral\""]);
}

#[test]
fn files_of_modalities_are_integrated_as_one_batch_and_a_checkpoint_is_extended() {
    let place = place();
    let inputs = ["integrate", "RNA=rna.h5ad", "Protein=adt.h5ad", "--config", "tiny.toml"];
    let run = |more: &[&str]| place.done(&[&inputs[..], more].concat());
    run(&["--label", "cell_type", "-o", "paired.h5ad"]);
    let file = File::open_streaming(place.path("paired.h5ad")).unwrap();
    assert_eq!(file.dataset("var/_index").unwrap().shape().unwrap(), [48]);
    assert!(file.dataset("var/feature_types/codes").is_ok());
    assert_eq!(embedding(&place.path("paired.h5ad")).len(), 96 * 16);
    // The file that was written has two modalities itself.
    place.done(&["integrate", "paired.h5ad", "--model", "paired.model", "-o", "again.h5ad"]);
    assert_eq!(embedding(&place.path("again.h5ad")), embedding(&place.path("paired.h5ad")));
    // Other methods know of both.
    let args = ["evaluate", "integration", "paired.h5ad", "--embedding", "X_scGPT", "--json"];
    let compared =
        place.done(&[&args[..], &["--batch-key", "batch", "--label", "cell_type"]].concat());
    let compared: Value = serde_json::from_str(&compared.stdout).unwrap();
    let names = compared["embeddings"].as_array().unwrap().iter().map(|one| one["name"].as_str());
    let names: Vec<&str> = names.map(Option::unwrap).collect();
    let expected = ["obsm/X_scGPT", "Unintegrated", "PCA of Protein", "PCA of RNA", "WNN"];
    assert_eq!(names[..5], expected);
    assert_eq!(names[5..], ["Harmony of both"]);
    // Genes keep the vectors of another model, proteins are new to it.
    let model = model();
    let fine = ["--batch-key", "batch", "--model", &model, "--json", "--no-baselines"];
    for (more, output) in [(&[][..], "fine.h5ad"), (&["--parity"][..], "parity.h5ad")] {
        let ended = run(&[&fine[..], &["-o", output], more].concat());
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(report["data"]["known_genes"], 30);
        assert_eq!(report["network"]["n_modalities"], 5);
    }
}

#[test]
fn a_10x_folder_of_two_modalities_becomes_an_h5ad() {
    let place = Place::new();
    fs::write(place.path("tiny.toml"), settings()).unwrap();
    fs::create_dir(place.path("tenx")).unwrap();
    let write = |name: &str, lines: Vec<String>| {
        fs::write(place.path("tenx").join(name), lines.join("\n") + "\n").unwrap();
    };
    let (n_cells, n_features) = (24, 12);
    write("barcodes.tsv", (0..n_cells).map(|cell| format!("cell{cell}")).collect());
    let kind = |feature| if feature < 9 { "Gene Expression" } else { "Antibody Capture" };
    let feature = |feature| format!("ID{feature}\tNAME{feature}\t{}", kind(feature));
    write("features.tsv", (0..n_features).map(feature).collect());
    let entry = |at: usize| {
        let (cell, feature) = (at / n_features, at % n_features);
        format!("{} {} {}", feature + 1, cell + 1, 1 + (cell * 5 + feature * feature) % 7)
    };
    let size = format!("{n_features} {n_cells} {}", n_features * n_cells);
    let header = ["%%MatrixMarket matrix coordinate integer general".to_owned(), size];
    write("matrix.mtx", header.into_iter().chain((0..n_features * n_cells).map(entry)).collect());
    let args = ["integrate", "tenx", "--modalities", "RNA,Protein", "--config", "tiny.toml"];
    place.done(&[&args[..], &["--no-baselines", "-o", "out.h5ad"]].concat());
    let rows = embedding(&place.path("out.h5ad"));
    assert_eq!(rows.len(), n_cells * 16);
    assert!(rows.iter().all(|value| value.is_finite()));
    let card = fs::read_to_string(place.path("out.model/README.md")).unwrap();
    assert!(card.contains("Embeds cells of several modalities, by 12 features"), "{card}");
}

#[test]
fn modalities_that_do_not_fit_are_refused() {
    let place = Place::new();
    let genes = vec!["TNFRSF4", "SSU72", "PARK7", "RBP7"];
    let data = vec![2.0, 5.0, -1.0, 7.0, 3.0];
    let write = |toy: Toy, name: &str| toy.write_h5ad(&place.path(name));
    write(Toy::known(), "rna.h5ad");
    write(
        Toy { cells: vec!["x", "y", "z"], genes: vec!["a", "b", "c", "d"], ..Toy::known() },
        "other.h5ad",
    );
    write(Toy { genes, ..Toy::known() }, "same.h5ad");
    write(Toy { genes: vec!["a", "b", "c", "d"], data, ..Toy::known() }, "clr.h5ad");
    let refuse = |protein: &str, parts: &[&str]| {
        place.refused(&["integrate", "RNA=rna.h5ad", protein, "-o", "out.h5ad"], parts)
    };
    refuse("Protein=other.h5ad", &["no cell and no batch was measured in RNA", "Protein"]);
    refuse("Protein=same.h5ad", &["`TNFRSF4`", "RNA and Protein", "--prefix Protein=p_"]);
    refuse("Protein=clr.h5ad", &["negative value -1", "CLR"]);
    refuse("other.h5ad", &["--batch-key"]);
    let key = ["integrate", "rna.h5ad", "--modality-key", "kind", "-o", "out.h5ad"];
    place.refused(&key, &["var/kind", "no such column"]);
    let complete = ["integrate", "rna.h5ad", "--complete", "all.h5ad", "-o", "out.h5ad"];
    place.refused(&complete, &["one modality", "complete"]);
}
