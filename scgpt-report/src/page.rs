//! [`Page`]: one self-contained HTML page; the room of all reports.
//!
//! A page is written from top to bottom, and each method returns the page, so that calls follow
//! each other. Only warnings are gathered at the top, whenever they are added.

use crate::{
    chart::{
        self, Bar, Cluster, Colouring, ConfidenceBin, Curve, Group, HeatMap, PaintedMap, Pair,
        PointMap, STYLE, Scale, Series,
    },
    escape::escape,
    island::Islands,
};

/// What makes charts and tables touchable where scripts run.
const TOUCH: &str = include_str!("touch.js");
/// What draws maps of points there: the library and the page's own script.
const LIBRARY: &str = include_str!("../assets/echarts.min.js");
const SCRIPT: &str = include_str!("page.js");

/// A page in the making. Text is escaped; charts are inline SVG, maps of points also drawn by a
/// script that is in the page; nothing is loaded from anywhere.
///
/// ```
/// use scgpt_report::Page;
///
/// let mut page = Page::new("Cells", "cells.h5ad");
/// page.section("How many").numbers(&[("cells", "2 700".into()), ("genes", "1 838".into())]);
/// page.text("Tags are text: <b>.");
/// assert!(page.to_html().contains("Tags are text: &lt;b&gt;."));
/// ```
#[derive(Clone, Debug)]
pub struct Page {
    title: String,
    header: String,
    warnings: Vec<String>,
    body: String,
    n_figures: usize,
    maps: Islands,
    has_tables: bool,
}

impl Page {
    /// An empty page with a title, which is also that of the browser's window, and a line below it
    /// that says what the page is about.
    pub fn new(title: &str, subtitle: &str) -> Self {
        let header =
            format!("<header><h1>{}</h1><p>{}</p></header>\n", escape(title), escape(subtitle));
        Self {
            title: title.into(),
            header,
            warnings: Vec::new(),
            body: String::new(),
            n_figures: 0,
            maps: Islands::default(),
            has_tables: false,
        }
    }

    /// Adds what a reader must know before believing the page, a sentence each. Warnings are shown
    /// below the title; one that is added twice is shown once.
    pub fn warnings(&mut self, warnings: &[String]) -> &mut Self {
        for warning in warnings {
            if !self.warnings.contains(warning) {
                self.warnings.push(warning.clone());
            }
        }
        self
    }

    /// Begins a section with that heading.
    pub fn section(&mut self, heading: &str) -> &mut Self {
        self.push(&format!("<h2>{}</h2>\n", escape(heading)))
    }

    /// Adds a paragraph.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.push(&format!("<p>{}</p>\n", escape(text)))
    }

    /// Adds a few numbers in large type: what each is, and its value. Of one thing it says so: `1 condition`.
    pub fn numbers(&mut self, numbers: &[(&str, String)]) -> &mut Self {
        let cards = numbers.iter().map(|(name, value)| {
            let name = if value == "1" { one_of(name) } else { (*name).to_owned() };
            format!("<div><dd>{}</dd><dt>{}</dt></div>", escape(value), escape(&name))
        });
        self.push(&format!("<dl class=\"numbers\">{}</dl>\n", cards.collect::<String>()))
    }

    /// Adds a table with a name and a value in each row.
    pub fn table(&mut self, rows: &[(&str, String)]) -> &mut Self {
        let rows = rows.iter().map(|(name, value)| {
            format!("<tr><th>{}</th><td>{}</td></tr>\n", escape(name), escape(value))
        });
        self.push(&format!("<table>\n{}</table>\n", rows.collect::<String>()))
    }

    /// Adds a table with a heading of columns; the first column names the rows. A cell that reads as a
    /// number is never broken into two lines. Where scripts run, its headings sort it; a table that is
    /// wider than the page scrolls.
    pub fn columns(&mut self, heading: &[&str], rows: &[Vec<String>]) -> &mut Self {
        self.has_tables = true;
        let row = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
            let cells = cells.map(|cell| {
                // Neither 1e-5 nor 12 % is to be broken.
                let number = cell.strip_suffix(" %").unwrap_or(cell);
                let class = if number.parse::<f64>().is_ok() { " class=\"number\"" } else { "" };
                format!("<{tag}{class}>{}</{tag}>", escape(cell))
            });
            ["<tr>", &cells.collect::<String>(), "</tr>\n"].concat()
        };
        let heading = row("th", &mut heading.iter().copied());
        let rows = rows.iter().map(|cells| row("td", &mut cells.iter().map(String::as_str)));
        let rows: String = rows.collect();
        self.push(&format!(
            "<div class=\"wide\" role=\"region\" aria-label=\"Table\" tabindex=\"0\">\
             <table class=\"columns\">\n{heading}{rows}</table></div>\n"
        ))
    }

    /// Adds a figure of a matrix as coloured cells.
    ///
    /// # Panics
    /// If the map has fewer shades or labels than cells.
    pub fn heat_map(&mut self, map: &HeatMap<'_>, caption: &str) -> &mut Self {
        self.figure(&chart::heat_map(map), caption)
    }

    /// Adds a figure of numbers as discs and their predictions as rings, a row each; `axis` says what the
    /// numbers are, and in which unit.
    pub fn pairs(&mut self, pairs: &[Pair], axis: &str, caption: &str) -> &mut Self {
        self.figure(&chart::pairs(pairs, axis), caption)
    }

    /// Adds a figure of confidence against accuracy: a disc for each bin that has cells, with the 95 %
    /// interval of its accuracy (Wilson 1927), beside the diagonal of perfect calibration.
    pub fn reliability(&mut self, bins: &[ConfidenceBin], caption: &str) -> &mut Self {
        self.figure(&chart::reliability(bins), caption)
    }

    /// Adds a figure of groups of nodes with their edges, and of links between groups, each end given by
    /// group and node.
    ///
    /// # Panics
    /// If an edge or a link is of a group or node that is not there.
    pub fn network(
        &mut self,
        clusters: &[Cluster],
        links: &[[(usize, usize); 2]],
        caption: &str,
    ) -> &mut Self {
        self.figure(&chart::network(clusters, links), caption)
    }

    /// Adds a figure of horizontal bars, from zero, with their values; the longest fills the width.
    pub fn bars(&mut self, bars: &[Bar], caption: &str) -> &mut Self {
        self.figure(&chart::bars(bars, &[]), caption)
    }

    /// As [`bars`](Self::bars), of categories: each bar has the colour that a [`point_map`](Self::point_map) with
    /// the same `columns` gives the category of its name.
    pub fn category_bars(
        &mut self,
        bars: &[Bar],
        columns: &[Colouring],
        caption: &str,
    ) -> &mut Self {
        self.figure(&chart::bars(bars, columns), caption)
    }

    /// Adds a figure of counts in equal classes, of which the first begins at `first` and each spans
    /// `width`, both in `unit`.
    pub fn histogram(
        &mut self,
        counts: &[u64],
        first: f64,
        width: f64,
        unit: &str,
        caption: &str,
    ) -> &mut Self {
        self.figure(&chart::histogram(counts, first, width, unit), caption)
    }

    /// Adds a figure of points in groups of one colour, with a legend of their sizes.
    ///
    /// The first groups lie lowest, so give the largest first. Twenty groups are told apart, ten as discs
    /// and ten darker ones as triangles; of more, all but the first nineteen are drawn as one, in grey.
    pub fn scatter(&mut self, groups: &[Group], axes: [&str; 2], caption: &str) -> &mut Self {
        self.figure(&chart::scatter(groups, axes), caption)
    }

    /// Adds a map of points that a reader can explore: names where they are pointed at, zoom, legend
    /// entries that switch, and a menu of colours. Without scripts and on paper it is a picture by its
    /// first column, in which twenty categories are told apart, as in [`scatter`](Self::scatter).
    ///
    /// # Panics
    /// If there are names, but not one a point, or a column has not one value a point, or a code no
    /// category.
    pub fn point_map(&mut self, map: &PointMap<'_>, caption: &str) -> &mut Self {
        let map = PaintedMap::new(map);
        let data = self.maps.add(&map);
        let drawing = chart::point_map(&map);
        self.figure(&format!("{drawing}<script type=\"application/json\">{data}</script>"), caption)
    }

    /// Adds a figure of curves over a common axis, with a legend that tells their last values; for losses
    /// and learning rates over steps. `axes` are the names of the horizontal and the vertical one, and
    /// `scale` is that of the latter.
    pub fn lines(
        &mut self,
        series: &[Series],
        axes: [&str; 2],
        scale: Scale,
        caption: &str,
    ) -> &mut Self {
        self.figure(&chart::lines(series, axes, scale), caption)
    }

    /// Adds a figure of means over sizes, with their intervals and the laws that were fitted to them. `axes` are
    /// the names of the horizontal axis, which is logarithmic, and the vertical one.
    pub fn curves(&mut self, curves: &[Curve], axes: [&str; 2], caption: &str) -> &mut Self {
        self.figure(&chart::curves(curves, axes), caption)
    }

    /// The whole page as HTML, with the warnings known by now.
    pub fn to_html(&self) -> String {
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{}{}{}</main>\n{}</body>\n</html>\n",
            escape(&self.title),
            self.header,
            self.warned(),
            self.body,
            self.scripts()
        )
    }

    /// The scripts that the page has use for. Maps are drawn first, so that their pictures are not made
    /// touchable.
    fn scripts(&self) -> String {
        let of_maps: &[&str] = if self.maps.is_empty() { &[] } else { &[LIBRARY, SCRIPT] };
        let is_touched = self.n_figures > 0 || self.has_tables;
        let scripts = of_maps.iter().chain(is_touched.then_some(&TOUCH));
        scripts.map(|script| ["<script>", script, "</script>\n"].concat()).collect()
    }

    /// The list of warnings; nothing if there are none.
    fn warned(&self) -> String {
        if self.warnings.is_empty() {
            return String::new();
        }
        let lines = self.warnings.iter().map(|it| format!("<li>{}</li>\n", escape(it)));
        format!("<ul class=\"warnings\">\n{}</ul>\n", lines.collect::<String>())
    }

    /// Adds a drawing with its caption, under the next number.
    fn figure(&mut self, svg: &str, caption: &str) -> &mut Self {
        self.n_figures += 1;
        let n = self.n_figures;
        self.push(&format!(
            "<figure>{svg}<figcaption><b>Figure {n}.</b> {}</figcaption></figure>\n",
            escape(caption)
        ))
    }

    /// Adds HTML as it is: what comes from outside has been escaped.
    fn push(&mut self, html: &str) -> &mut Self {
        self.body.push_str(html);
        self
    }
}

/// The name of a number of things, where there is one of them: `cells of each` → `cell of each`.
fn one_of(name: &str) -> String {
    let (first, rest) = name.split_at(name.find(' ').unwrap_or(name.len()));
    let one = if let Some(stem) = first.strip_suffix("ies") {
        format!("{stem}y")
    } else if let Some(stem) = ["ches", "sses", "shes", "xes"]
        .iter()
        .any(|end| first.ends_with(end))
        .then(|| first.strip_suffix("es"))
        .flatten()
    {
        stem.to_owned()
    } else {
        let is_many = first.ends_with('s') && !first.ends_with("ss");
        first[..first.len() - usize::from(is_many)].to_owned()
    };
    one + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_figures_are_numbered() {
        let mut page = Page::new("a <b> & \"c\"", "");
        page.histogram(&[1, 2], 0.0, 1.0, "tokens", "first").bars(&[], "second <script>");
        let html = page.to_html();
        assert!(html.contains("a &lt;b&gt; &amp; &quot;c&quot;"));
        assert_eq!(html.matches("<script>").count(), 1);
        assert!(html.contains("Figure 1.") && html.contains("Figure 2."));
    }

    #[test]
    fn one_thing_is_not_called_many() {
        let names = ["conditions", "cells of each", "batches", "types found", "classes", "genes"];
        let ones = ["condition", "cell of each", "batch", "type found", "class", "gene"];
        assert_eq!(names.map(one_of), ones);
        assert_eq!(
            ["unknown", "cell type", "compared by"].map(one_of),
            ["unknown", "cell type", "compared by"]
        );
        let mut page = Page::new("", "");
        page.numbers(&[("conditions", "1".into()), ("genes", "12".into())]);
        assert!(
            page.to_html().contains("<dt>condition</dt>")
                && page.to_html().contains("<dt>genes</dt>")
        );
    }

    #[test]
    fn tags_are_balanced() {
        let mut page = Page::new("t", "s");
        let group = Group { name: "a".into(), points: vec![[0.0, 1.0], [2.0, 3.0]] };
        page.section("x").text("y").numbers(&[("n", "1".into())]).table(&[("k", "v".into())]);
        page.bars(&[Bar { name: "b".into(), value: 1.0, label: "1 s".into() }], "c");
        page.scatter(&[group], ["one", "two"], "d").histogram(&[0, 5, 3], 1.0, 30.0, "tokens", "e");
        let series = Series { name: "s".into(), points: vec![[0.0, 1.0], [1.0, 2.0]] };
        page.lines(&[series], ["step", "loss"], Scale::Linear, "f");
        page.columns(&["a", "b"], &[vec!["1".into(), "2".into()]]);
        let names = ["x".to_owned()];
        let labels = vec!["3".into()];
        let map =
            HeatMap { rows: &names, columns: &names, shades: vec![1.0], labels, axes: ["", ""] };
        page.pairs(&[Pair { name: "<p>".into(), truth: 1.0, predicted: -0.5 }], "x", "q");
        page.heat_map(&map, "g").reliability(&[ConfidenceBin::default()], "h");
        page.warnings(&["one <b>".into()]).warnings(&["one <b>".into(), "two".into()]);
        let html = page.to_html();
        assert!(
            html.contains(
                "</header>\n<ul class=\"warnings\">\n<li>one &lt;b&gt;</li>\n<li>two</li>"
            )
        );
        let tags = [
            "figure", "svg", "g", "table", "tr", "dl", "div", "text", "main", "title", "p", "ul",
            "li",
        ];
        for tag in tags {
            let opened = html.matches(&format!("<{tag}>")).count()
                + html.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
}
