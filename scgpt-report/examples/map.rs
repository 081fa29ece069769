//! Writes `map.html`: a map of so many points, in two categories and a number, to be explored in a
//! browser.
//!
//! ```text
//! cargo run --release -p scgpt-report --example map -- 100000 map.html
//! ```
#![allow(clippy::print_stdout, reason = "an example that says what it writes")]

use scgpt_report::{Category, ColourValues, Colouring, Page, PointMap};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let n: u32 = arguments.next().map_or(Ok(3000), |n| n.parse())?;
    let path = arguments.next().unwrap_or_else(|| "map.html".into());

    let types = 24_u32;
    #[allow(clippy::cast_possible_truncation, reason = "places in a picture")]
    let place = |i: u32| {
        // Sunflowers around centres on a circle.
        let (kind, seed) = (f64::from(i % types), f64::from(i / types));
        let angle = std::f64::consts::TAU * kind / f64::from(types);
        let radius = 2.2 * (seed / f64::from(n / types + 1)).sqrt();
        let turn = 2.399_963 * seed;
        let centre = 6.0 + 4.0 * (kind % 3.0);
        let x = centre * angle.cos() + radius * turn.cos();
        let y = centre * angle.sin() + radius * turn.sin();
        [x as f32, y as f32]
    };
    let places: Vec<[f32; 2]> = (0..n).map(place).collect();
    let names: Vec<String> = (0..n).map(|i| format!("cell {i} <b>&\"-1")).collect();
    let kinds = (0..types).map(|kind| Category { name: format!("type {kind}"), colour: None });
    let colours = ["#d62728", "#1f77b4"].map(|colour| Some(colour.to_owned()));
    let batches = ["</script><b>one", "two"].map(String::from).into_iter().zip(colours);
    let batches = batches.map(|(name, colour)| Category { name, colour });
    let columns = [
        Colouring {
            name: "cell type".into(),
            values: ColourValues::Categories {
                codes: (0..n).map(|i| (i % 50 != 0).then_some(i % types)).collect(),
                categories: kinds.collect(),
            },
        },
        Colouring {
            name: "batch".into(),
            values: ColourValues::Categories {
                codes: (0..n).map(|i| Some(i / 7 % 2)).collect(),
                categories: batches.collect(),
            },
        },
        Colouring::numbers("distance", places.iter().map(|[x, y]| x.hypot(*y)).collect()),
    ];
    let axes = ["UMAP 1", "UMAP 2"];
    let map = |first| PointMap { places: &places, names: &names, axes, columns: &columns, first };
    let mut page = Page::new("A map", &format!("{n} cells that are not there"));
    page.section("Map").point_map(&map(0), "Cells by type.");
    if n <= 10_000 {
        page.point_map(&map(2), "Cells by their distance from the middle.");
    }
    let html = page.to_html();
    std::fs::write(&path, &html)?;
    println!("{path} is written: {n} points, {} bytes", html.len());
    Ok(())
}
