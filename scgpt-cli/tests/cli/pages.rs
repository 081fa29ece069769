//! Pages of commands in a real browser, at two widths: nothing is complained of, and everything can be
//! touched.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::Value;

use crate::run::{Place, tiny};

/// What a reader does, put into a copy of a page: points at things, switches a legend entry, chooses
/// another colour, sorts a table. What came of it is left in the page.
const READER: &str = r#"<script>
addEventListener("load", () => setTimeout(() => {
  const found = { maps: 0, charts: 0, tables: 0, tips: 0, switched: 0, coloured: 0, sorted: 0 };
  const missed = [];
  const point = (target, type, x, y) => target.dispatchEvent(
    new (type.startsWith("pointer") ? PointerEvent : MouseEvent)(type, { clientX: x, clientY: y, bubbles: true, view: window }));
  for (const plot of document.querySelectorAll(".plot")) {
    found.maps++;
    const figure = plot.closest("figure"), canvas = plot.querySelector("canvas");
    if (!canvas) { missed.push("a map is not drawn"); continue; }
    plot.scrollIntoView();
    const box = canvas.getBoundingClientRect();
    let tip = null;
    for (let y = box.top + 20; y < box.bottom - 50 && !tip; y += 9)
      for (let x = box.left + 60; x < box.right - 14 && !tip; x += 9) {
        point(canvas, "mousemove", x, y);
        tip = [...figure.querySelectorAll(".tip")].find((it) => it.textContent.includes(":"));
      }
    if (tip) found.tips++; else missed.push("no cell of a map says its name");
    const entry = figure.querySelector(".legend button");
    if (entry) {
      entry.click();
      if (entry.getAttribute("aria-pressed") === "false") found.switched++; else missed.push("a legend entry does not switch");
    }
    const menu = figure.querySelector("select"), before = plot.getAttribute("aria-label");
    if (menu.options.length > 1) {
      menu.value = String((Number(menu.value) + 1) % menu.options.length);
      menu.dispatchEvent(new Event("change"));
      if (plot.getAttribute("aria-label") !== before) found.coloured++; else missed.push("the menu changes no colour");
    }
  }
  for (const figure of document.querySelectorAll("figure.touched")) {
    found.charts++;
    const said = figure.querySelector("svg [data-said]");
    if (!said) continue;
    const line = figure.querySelector("svg[data-plot] [data-line]");
    const box = (line || said).getBoundingClientRect();
    point(line || said, "pointermove", box.left + box.width / 2, box.top + box.height / 2);
    if (figure.querySelector(".tip").hidden) missed.push("a chart says nothing: " + figure.textContent.slice(0, 60));
    const entry = figure.querySelector("svg .entry[role=button]");
    if (entry) {
      entry.dispatchEvent(new MouseEvent("click", { bubbles: true }));
      if (entry.getAttribute("aria-pressed") !== "false") missed.push("a chart's legend does not switch");
    }
  }
  for (const table of document.querySelectorAll("table.columns")) {
    found.tables++;
    const act = table.querySelector("th button");
    if (!act) continue;
    const heads = table.querySelectorAll("th button"), last = heads[heads.length - 1];
    last.click();
    if (last.parentElement.getAttribute("aria-sort") === "descending") found.sorted++; else missed.push("a table is not sorted");
  }
  if (document.documentElement.scrollWidth > innerWidth) missed.push("wider than the window: " + document.documentElement.scrollWidth);
  document.querySelectorAll("main, script").forEach((it) => it.remove());
  document.body.append(Object.assign(document.createElement("pre"), { id: "found", textContent: JSON.stringify({ ...found, missed }) }));
}, 300));
</script></body>"#;

/// A browser, if there is one.
fn browser() -> Option<&'static str> {
    let names = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    names.into_iter().find(|path| Path::new(path).exists())
}

/// What a reader found in a page at a width.
fn read(browser: &str, place: &Place, name: &str, width: u32) -> Value {
    let html = fs::read_to_string(place.path(name)).unwrap();
    let (body, end) = html.rsplit_once("</body>").unwrap();
    let (copy, profile) = (place.path("copy.html"), place.path("profile"));
    fs::write(&copy, [body, READER, end].concat()).unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .args(["--enable-logging=stderr", "--virtual-time-budget=20000"])
        .arg(format!("--window-size={width},1200"))
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", copy.display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = said.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(complaints.is_empty(), "{name}: {complaints:?}");
    let dom = String::from_utf8_lossy(&output.stdout);
    let found =
        dom.split_once("<pre id=\"found\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let (found, _) = found.unwrap_or_else(|| panic!("{name}: nothing was found: {said}"));
    serde_json::from_str(&found.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
        .unwrap()
}

/// A folder with what pages are about: a checkpoint, artefacts, an index.
fn place() -> Place {
    let place = Place::with_checkpoint();
    let small = tiny("batch_size = 16", "n_layers = 1", "epochs = 2");
    fs::write(place.path("small.toml"), small).unwrap();
    let genes = "batch_size = 8\ngenes_per_step = 40\ngenes_per_pass = 40\npool = 8\npairs = 2";
    fs::write(place.path("screen.toml"), tiny(genes, "n_layers = 1", "epochs = 1")).unwrap();
    for line in [
        "simulate -o raw.h5ad --cells 300 --genes 60 --perturb 4",
        "perturb prepare raw.h5ad -o screen.h5ad",
        "perturb train screen.h5ad --config screen.toml --no-baselines -o responses",
        "annotate train cells.h5ad --label cell_type --config small.toml --test 0.4 -o types",
        "map index cells.h5ad --labels cell_type,batch -m run/model -o atlas",
    ] {
        place.done(&line.split(' ').collect::<Vec<_>>());
    }
    place
}

#[test]
fn pages_are_drawn_and_can_be_touched() {
    let Some(browser) = browser() else {
        eprintln!("skipped: no Chromium, so that no page was opened");
        return;
    };
    let place = place();
    let lines = [
        "embed cells.h5ad -m run/model -o embedded.h5ad",
        "annotate predict cells.h5ad -m types -o annotated.h5ad",
        "map query cells.h5ad --index atlas -o mapped.h5ad",
        "generate embedded.h5ad -m run/model -o generated.h5ad --hide 0.3 --rounds 2",
        "perturb predict -m responses --candidates all --cells 4 -o predicted.h5ad",
        "integrate cells.h5ad --batch-key batch --label cell_type --config small.toml --no-baselines -o integrated.h5ad",
        "integrate cells.h5ad -m integrated.model --leiden -o further.h5ad",
        "integrate cells.h5ad --batch-key batch --method pca --umap -o pca.h5ad",
        "integrate cells.h5ad -m pca.model -o among.h5ad",
        "simulate -o mosaic.h5mu --cells 60 --genes 40 --batches 4 --modalities rna,protein --proteins 8 --mosaic",
        "integrate mosaic.h5mu --batch-key batch --config small.toml --no-baselines -o mosaic-in.h5mu",
        "integrate mosaic.h5mu -m mosaic-in.model -o mosaic-again.h5mu",
        "cells embedded.h5ad -o clustered.h5ad",
        "evaluate labels annotated.h5ad --truth cell_type --prediction scgpt_prediction --confidence \
         scgpt_confidence --unknown scgpt_unknown -o labels.html",
        "evaluate integration embedded.h5ad --embedding X_scGPT --batch-key batch --label cell_type --hvg 60 -o spaces.html",
        "grn embedding -m run/model --threshold 0 -o network",
        "evaluate grn raw.network.csv --truth raw.network.csv --undirected -o edges.html",
    ];
    for line in lines {
        place.done(&line.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>());
    }
    // The page, and how many maps it has.
    let pages = [
        ("embedded.report.html", 1),
        ("annotated.report.html", 1),
        ("mapped.report.html", 1),
        ("generated.report.html", 1),
        ("predicted.report.html", 0),
        ("types/report.html", 3),
        ("integrated.model/report.html", 2),
        ("further.report.html", 1),
        ("pca.model/report.html", 1),
        ("among.report.html", 1),
        ("mosaic-in.model/report.html", 1),
        ("mosaic-again.h5mu.report.html", 1),
        ("clustered.report.html", 1),
        ("labels.html", 3),
        ("spaces.html", 2),
        ("network/report.html", 0),
        ("edges.html", 0),
        ("responses/report.html", 0),
        ("run/report.html", 0),
    ];
    for (name, maps) in pages {
        for width in [1300, 700] {
            let found = read(browser, &place, name, width);
            assert_eq!(found["missed"], serde_json::json!([]), "{name} at {width}: {found}");
            let drawn = found["maps"].as_u64().unwrap();
            assert!(drawn >= maps && (maps > 0) == (drawn > 0), "{name} at {width}: {found}");
            assert_eq!(found["tips"].as_u64().unwrap(), drawn, "{name}: {found}");
            assert!(found["charts"].as_u64().unwrap() + drawn > 0, "{name}: {found}");
        }
    }
}

/// The range of the UMAP in a file, as the data of a map have it.
fn range_of_umap(place: &Place, file: &str) -> String {
    let file = hdf5_pure::File::open_streaming(place.path(file)).unwrap();
    let places = file.dataset("obsm/X_umap").unwrap().read_f32().unwrap();
    let of = |axis: usize| {
        let all = || places.iter().skip(axis).step_by(2).map(|&x| f64::from(x));
        let (low, high) = (all().fold(f64::MAX, f64::min), all().fold(f64::MIN, f64::max));
        format!("[{low},{high}]")
    };
    format!("\"range\":[{},{}]", of(0), of(1))
}

#[test]
fn maps_are_the_umap_that_is_written_and_bars_have_their_colours() {
    let place = place();
    for (line, page) in [
        ("embed cells.h5ad -m run/model --umap", "out.report.html"),
        ("annotate predict cells.h5ad -m types --umap --leiden", "out.report.html"),
        ("map query cells.h5ad --index atlas --umap", "out.report.html"),
        ("integrate cells.h5ad --batch-key batch --method pca --umap", "out.model/report.html"),
        ("integrate cells.h5ad -m pca --umap", "out.report.html"),
    ] {
        let args: Vec<&str> = line.split(' ').chain(["-o", "out.h5ad"]).collect();
        place.done(&args);
        let html = fs::read_to_string(place.path(page)).unwrap();
        assert!(html.contains(&range_of_umap(&place, "out.h5ad")), "{line}");
        // Types and labels are told by the colours of the map.
        let has_bars = line.contains("predict") || line.contains("query");
        assert_eq!(html.contains("class=\"bar\" style=\"fill:"), has_bars, "{line}");
        if page.contains("model") {
            fs::rename(place.path("out.model"), place.path("pca")).unwrap();
        }
        for name in ["out.h5ad", "out.report.html", "out.config.toml"] {
            let path = place.path(name);
            if path.exists() {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

#[test]
fn pages_can_be_refused_and_colours_are_carried_over() {
    let place = place();
    let line =
        ["annotate", "predict", "cells.h5ad", "-m", "types", "-o", "bare.h5ad", "--no-report"];
    place.done(&line);
    assert!(!place.path("bare.report.html").exists());
    let votes = ["-o", "voted.h5ad", "--majority-voting", "--color", "scgpt_majority_voting"];
    place.done(&[&line[..5], &votes].concat());
    let page = fs::read_to_string(place.path("voted.report.html")).unwrap();
    assert!(page.contains("coloured by scgpt_majority_voting"));
    assert!(page.contains("Votes of clusters") && page.contains("<th>cluster</th>"));
    let file = hdf5_pure::File::open_streaming(place.path("bare.h5ad")).unwrap();
    let colours = file.dataset("uns/scgpt_prediction_colors").unwrap().read_string().unwrap();
    let types = file.dataset("obs/scgpt_prediction/categories").unwrap().read_string().unwrap();
    assert_eq!(colours.len(), types.len());
    assert!(colours.iter().all(|it| it.len() == 7 && it.starts_with('#')), "{colours:?}");
    // Cells of some of the types have them in the colours of the model, whichever the others are.
    let known: BTreeMap<String, String> = types.into_iter().zip(colours).collect();
    for (name, some) in [("one", "cell_type = 'type_1'"), ("two", "cell_type <> 'type_1'")] {
        let output = format!("{name}.h5ad");
        let some = ["-o", &output, "--no-report", "--where", some];
        place.done(&[&line[..5], &some].concat());
        let file = hdf5_pure::File::open_streaming(place.path(&output)).unwrap();
        let texts = |path: &str| file.dataset(path).unwrap().read_string().unwrap();
        let colours = texts("uns/scgpt_prediction_colors");
        for (name, colour) in texts("obs/scgpt_prediction/categories").iter().zip(&colours) {
            assert_eq!(known.get(name), Some(colour), "{name}");
        }
    }
    // The page of what was written has them again, and a gene colours its map.
    let embed = ["embed", "bare.h5ad", "-m", "run/model", "-o", "again.h5ad", "--color"];
    let refused = ["neither a column of `obs`", "nor a gene"];
    place.refused(&[&embed[..], &["no_such"]].concat(), &refused);
    let gene = gene(&place);
    place.done(&[&embed[..], &[&gene]].concat());
    let page = fs::read_to_string(place.path("again.report.html")).unwrap();
    assert!(page.contains(&format!("\"name\":\"gene {gene}\"")), "{gene}");
    assert!(page.contains("genes that"), "what was chosen is said");
}

/// A gene of the cells.
fn gene(place: &Place) -> String {
    let file = hdf5_pure::File::open_streaming(place.path("cells.h5ad")).unwrap();
    let index = file.dataset("var/_index").or_else(|_| file.dataset("var/index")).unwrap();
    index.read_string().unwrap()[3].clone()
}
