//! Plain data to one self-contained HTML page: sections, tables, and charts.
//!
//! A page is one file that can be sent and kept: its style is inside, and it loads nothing. Charts
//! are inline SVG, pictures that a script of a few kilobytes makes touchable where scripts run: values
//! where they are pointed at, legend entries that switch, saving as PNG and SVG; it sorts tables, too.
//! A map of points ([`Page::point_map`]) is more: it is drawn anew such that a reader can point at a
//! cell, zoom, switch legend entries and choose another colour, and the library that draws it (a part of
//! Apache `ECharts`, 0.54 MB, see `assets/README.md`) is then in the page, once. Without scripts and on
//! paper the pictures stay. A page follows the reader's light or dark theme and prints in black on white. The same data
//! make the same bytes, so that two pages can be compared.
//!
//! | what is to be shown | figure | data |
//! |---|---|---|
//! | a number for each of a few names | [`Page::bars`] | [`Bar`] |
//! | how often values occur | [`Page::histogram`] | counts |
//! | where cells lie, to be explored | [`Page::point_map`] | [`PointMap`], [`Colouring`] |
//! | how two numbers go together | [`Page::scatter`] | [`Group`] |
//! | what changes over steps or epochs | [`Page::lines`] | [`Series`], [`Scale`] |
//! | what changes with size, with intervals | [`Page::curves`] | [`Curve`], [`CurvePoint`] |
//! | a number for each pair of names | [`Page::heat_map`] | [`HeatMap`] |
//! | predictions beside the truth | [`Page::pairs`] | [`Pair`] |
//! | what confidence is worth | [`Page::reliability`] | [`ConfidenceBin`] |
//! | which genes belong together | [`Page::network`] | [`Cluster`] |
//!
//! Points of scatters and curves that are not finite are left out, and an empty list is drawn as an
//! empty figure.
//!
//! ```
//! use scgpt_report::{Bar, Page};
//!
//! let mut page = Page::new("Cells", "of two types");
//! let bar = |name: &str, n: u32| Bar { name: name.into(), value: n.into(), label: n.to_string() };
//! page.section("Types").bars(&[bar("B", 20), bar("T", 80)], "Cells of each type.");
//! assert!(page.to_html().contains("<svg"));
//! ```

mod chart;
mod escape;
mod island;
mod page;

pub use crate::{
    chart::{
        Bar, Category, Cluster, ColourValues, Colouring, ConfidenceBin, Curve, CurvePoint, Group,
        HeatMap, Pair, PointMap, Scale, Series, category_colours,
    },
    page::Page,
};
