//! Plain data to one self-contained HTML page: sections, tables, and charts as inline SVG.
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
mod page;

pub use crate::{
    chart::{Bar, Cluster, Group, HeatMap, Pair, ReliabilityBin, Scale, Series},
    page::Page,
};
