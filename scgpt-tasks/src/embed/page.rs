//! The page about an embedding: what a reader should check before believing it.
//!
//! It begins with numbers that are wrong when the input is (genes known, tokens per cell, kind of
//! values), goes on with genes and tokens, draws a map, and ends with what is needed to repeat the run.
//! The map is of a sample of the cells, so that a page of a million cells opens as fast as one of a
//! thousand.

use scgpt_data::{CellSource, Observer};
use scgpt_eval::{CellColours, ColourChoice, Neighbourhood};
use scgpt_report::{Bar, Page};

use super::{EmbedReport, Embedding};
use crate::error::Result;

impl Embedding {
    /// The report as a page: gene coverage, tokens per cell, settings, and a map of the cells, which
    /// shows the colours of [`CellColours::choose`] and is the UMAP, if one was `found`.
    ///
    /// # Errors
    /// If cells or embeddings cannot be read, or a colour that is asked for is not there;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn page(
        &self,
        source: &mut dyn CellSource,
        choice: &ColourChoice<'_>,
        found: Option<&Neighbourhood>,
        observer: &dyn Observer,
    ) -> Result<Page> {
        let report = &self.report;
        let path = source.summary().path.display().to_string();
        let mut page = Page::new("Cell embeddings", &path);
        overview(&mut page, report);
        genes(&mut page, report);
        tokens(&mut page, report);
        let map = Neighbourhood::map_of(found, &self.rows, report.options.seed, observer)?;
        let colours = CellColours::choose(source, map.cells(), choice)?;
        page.section("Map");
        map.draw(&mut page, "Cells by their embeddings", &colours);
        settings(&mut page, report);
        Ok(page)
    }
}

/// Adds the numbers by which a wrong input is noticed first.
fn overview(page: &mut Page, report: &EmbedReport) {
    let (genes, known) = (&report.genes, &report.known_genes);
    // A model of all genes sees some of a cell, and a panel may be all of that.
    let is_all = known.at_once >= known.of_model;
    let of_what = if is_all { "genes of the model" } else { "of what the model sees at once" };
    page.numbers(&[
        ("cells", report.n_cells.to_string()),
        ("genes known to the model", format!("{:.0} %", 100.0 * genes.coverage)),
        (of_what, format!("{:.0} %", 100.0 * known.share())),
        ("tokens per cell", format!("{:.0}", report.tokens.total as f64 / report.n_cells as f64)),
        ("values", report.input_state.to_string()),
    ]);
}

/// Adds which columns could name genes, which one does, and which genes are not known.
fn genes(page: &mut Page, report: &EmbedReport) {
    let genes = &report.genes;
    page.section("Genes");
    let bars: Vec<Bar> = genes
        .candidates
        .iter()
        .map(|candidate| Bar {
            name: candidate.column.clone(),
            value: candidate.matched as f64,
            label: format!(
                "{} of {}{}",
                candidate.matched,
                genes.genes,
                if candidate.column == genes.column { ", used" } else { "" }
            ),
        })
        .collect();
    page.bars(
        &bars,
        "Genes of the data that the model knows, by each column of var that could name them.",
    );
    let mut rows = vec![
        ("of the data and of the model", report.genes_line()),
        ("not known", with_examples(genes.unmatched, &genes.unmatched_examples)),
    ];
    rows.extend(genes.others().map(|others| ("no genes, left out", others)));
    rows.extend(genes.other_names().map(|names| ("other names", names)));
    page.warnings(report.known_genes.remark().as_slice());
    if genes.duplicates > 0 {
        rows.push((
            "left out as duplicates",
            with_examples(genes.duplicates, &genes.duplicate_examples),
        ));
    }
    if let Some(variable) = &report.variable {
        rows.push((
            "variable genes",
            format!(
                "{} by {}, of which {} are known",
                variable.n_selected, variable.flavour, variable.n_known
            ),
        ));
    }
    page.table(&rows);
}

/// Adds tokens per cell, and what became of cells with too many or none.
fn tokens(page: &mut Page, report: &EmbedReport) {
    let tokens = &report.tokens;
    page.section("Tokens").histogram(
        &tokens.histogram,
        1.0,
        tokens.width as f64,
        "tokens per cell, <cls> included",
        &format!(
            "Cells by their number of tokens: known genes they express, at most {} with <cls>.",
            report.max_length
        ),
    );
    page.table(&[
        ("fewest and most", format!("{} and {}", tokens.min, tokens.max)),
        (
            "sampled",
            format!(
                "{} cells express more known genes than fit; some of those were chosen",
                tokens.n_shortened
            ),
        ),
        (
            "empty",
            format!(
                "{} cells express no known gene: their embedding is that of <cls> alone",
                tokens.n_empty
            ),
        ),
    ]);
}

/// Adds what decides the embedding beside the cells: enough to compute it again.
fn settings(page: &mut Page, report: &EmbedReport) {
    let options = &report.options;
    let weights = report.model.as_ref().and_then(|model| model.sha256.clone());
    page.section("Settings").table(&[
        ("version", report.version.clone()),
        ("embedding", format!("{} numbers per cell, unit length", report.width)),
        ("values on a bin edge", format!("{:?}", options.tie_mode).to_lowercase()),
        ("seed", options.seed.to_string()),
        ("weights", weights.unwrap_or_else(|| "from memory".into())),
    ]);
}

/// A number, and some of the things that it counts.
fn with_examples(n: usize, examples: &[String]) -> String {
    match (n, examples) {
        (0, _) | (_, []) => n.to_string(),
        _ => format!("{n}, such as {}", examples.join(", ")),
    }
}
