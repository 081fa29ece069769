//! Writes `page.html`: a few numbers, a table, and charts, in one file that loads nothing.
//!
//! ```text
//! cargo run --release --example page
//! ```
#![allow(clippy::print_stdout, reason = "an example that says what it writes")]

use scgpt_report::{Bar, Group, Page, Scale, Series};

fn main() -> std::io::Result<()> {
    let counts = [("B cells", 620_u32), ("T cells", 1410), ("monocytes", 390)];
    let total: u32 = counts.iter().map(|(_, n)| n).sum();

    let mut page = Page::new("Blood", "2 420 cells, three types");
    page.numbers(&[("cells", total.to_string()), ("types", counts.len().to_string())]);

    let bar = |&(name, n): &(&str, u32)| Bar {
        name: name.into(),
        value: f64::from(n),
        label: format!("{:.0} %", 100.0 * f64::from(n) / f64::from(total)),
    };
    page.section("Types");
    page.bars(&counts.iter().map(bar).collect::<Vec<_>>(), "Share of each type.");

    // A ring of points for each type stands for a map of cells.
    let group = |(number, (name, n)): (u8, &(&str, u32))| {
        let place = |i: u32| {
            let angle = 2.4 * f64::from(i);
            let (x, y) = (angle.cos() + 3.0 * f64::from(number), angle.sin() * f64::from(i % 7));
            #[allow(clippy::cast_possible_truncation, reason = "places in a picture")]
            let place = [x as f32, y as f32];
            place
        };
        Group { name: (*name).into(), points: (0..n / 10).map(place).collect() }
    };
    let groups: Vec<Group> = (0..).zip(&counts).map(group).collect();
    page.section("Map").scatter(&groups, ["first axis", "second axis"], "One cell in ten.");

    let curve = |name: &str, rate: f64| Series {
        name: name.into(),
        points: (0..100).map(f64::from).map(|x| [x, 0.1 + (-rate * x).exp()]).collect(),
    };
    let curves = [curve("training", 0.08), curve("validation", 0.05)];
    page.section("Loss").lines(&curves, ["epoch", "loss"], Scale::Logarithmic, "Both losses.");

    std::fs::write("page.html", page.to_html())?;
    println!("page.html is written: {total} cells, 3 figures");
    Ok(())
}
