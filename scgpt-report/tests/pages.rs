//! Pages as files: how large they are, what they load, and what a browser makes of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

use std::{fs, path::Path, process::Command};

use scgpt_report::{Bar, Colouring, Page, PointMap};

/// A page with a map of `n` cells, with barcodes, six columns of labels and eight of numbers.
fn page(n: u16, thousands: u32) -> String {
    let n = u32::from(n) * thousands;
    let spread = |i: u32, by: u32| f64::from(i.wrapping_mul(by) % 65_521) / 655.21;
    #[allow(clippy::cast_possible_truncation, reason = "test data")]
    let number = |i: u32, by: u32| spread(i, by) as f32;
    let places: Vec<[f32; 2]> = (0..n).map(|i| [number(i, 40_503), number(i, 9973)]).collect();
    let names: Vec<String> = (0..n).map(|i| format!("AACGTGCAT{i:09}-1")).collect();
    let labels: Vec<String> = (0..40).map(|label| format!("</script> label {label}")).collect();
    let mut columns: Vec<Colouring> = (1..7_usize)
        .map(|by| {
            let of = (0..n as usize).map(|i| Some(labels[i / by % labels.len()].as_str()));
            Colouring::labels(&format!("labels {by}"), of)
        })
        .collect();
    let numbers = |by: u32| {
        let values = (0..n).map(|i| number(i, 7 * by + 1)).collect();
        Colouring::numbers(&format!("numbers {by}"), values)
    };
    columns.extend((1..9).map(numbers));
    let axes = ["UMAP 1", "UMAP 2"];
    let map = PointMap { places: &places, names: &names, axes, columns: &columns, first: 0 };
    Page::new("Cells", "").point_map(&map, "Cells <b>.").to_html()
}

#[test]
fn pages_stay_within_their_budgets() {
    for (thousands, most) in [(10, 3_000_000), (100, 12_000_000)] {
        let size = page(1000, thousands).len();
        assert!(size < most, "{thousands} 000 cells: {size} bytes");
    }
    let bars = [Bar { name: "a".into(), value: 1.0, label: "1".into() }];
    let plain = Page::new("Bars", "").bars(&bars, "").to_html();
    assert!(!plain.contains("echarts") && plain.len() < 20_000, "{}", plain.len());
}

#[test]
fn a_page_has_one_library_and_loads_nothing() {
    let html = page(100, 1);
    // Data, library, the script of maps and that of other charts; and names end none of them.
    assert_eq!(html.matches("<script").count(), 4);
    assert_eq!(html.matches("</script>").count(), 4);
    for loading in ["<link", " src=", "@import", "fetch(", "XMLHttpRequest"] {
        assert!(!html.contains(loading), "{loading}");
    }
}

/// Chromium draws a map in the place of its picture, without complaint.
#[test]
fn a_browser_draws_the_map() {
    let chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    let Some(chromium) = chromium.into_iter().find(|path| Path::new(path).exists()) else {
        println!("skipped: no Chromium, so that no page was opened");
        return;
    };
    let folder = std::env::temp_dir().join(format!("scgpt-report-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("page.html");
    fs::write(&path, page(1000, 3)).unwrap();
    let output = Command::new(chromium)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--dump-dom",
            "--enable-logging=stderr",
        ])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", path.display()))
        .output()
        .unwrap();
    let (dom, said) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let _ = fs::remove_dir_all(&folder);
    assert!(!said.contains("CONSOLE"), "{said}");
    for part in [
        "class=\"drawn\"",
        "<canvas",
        "aria-label=\"Map of 3000 points, coloured by labels 1",
        "aria-pressed=\"true\"",
    ] {
        assert!(dom.contains(part), "no {part}: {said}");
    }
    assert!(dom.contains("&lt;/script&gt; label 7"));
}
