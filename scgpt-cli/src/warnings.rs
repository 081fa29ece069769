//! [`Warnings`]: what a reader has to know before believing a result.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

use anyhow::Result;
use scgpt_data::{CellChoice, ChosenCells, Frame, JoinedTable};
use scgpt_eval::doubts;
use scgpt_report::Page;
use serde::Serialize;

use crate::{
    better::Again,
    output::{Printer, write_text},
};

/// Names of a result and its page in a folder of results.
pub(crate) const REPORT: &str = "report.json";
pub(crate) const PAGE: &str = "report.html";

/// Warnings of one run: each is shown to people at once, and goes to the page and the JSON of the
/// result, where it stays.
#[derive(Debug)]
pub(crate) struct Warnings {
    printer: Printer,
    told: Vec<String>,
    /// Which cells of the inputs were chosen by a condition.
    chosen: Vec<ChosenOf>,
    /// The command that gives a better result, if another method is better.
    better: Option<String>,
}

/// Cells of an input that were chosen.
#[derive(Debug, Serialize)]
struct ChosenOf {
    input: PathBuf,
    #[serde(flatten)]
    choice: CellChoice,
}

/// A result and the warnings that go with it.
#[derive(Debug, Serialize)]
pub(crate) struct Told<'a, T> {
    #[serde(flatten)]
    result: &'a T,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    chosen: &'a [ChosenOf],
    warnings: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    better: Option<&'a str>,
}

/// A number of cells, in whichever width a report has it.
pub(crate) trait Count: Display + Copy {
    fn is_none(self) -> bool;
}

impl Count for usize {
    fn is_none(self) -> bool {
        self == 0
    }
}

impl Count for u64 {
    fn is_none(self) -> bool {
        self == 0
    }
}

impl Warnings {
    pub(crate) fn new(printer: Printer) -> Self {
        Self { printer, told: Vec::new(), chosen: Vec::new(), better: None }
    }

    /// Says which cells of an input were chosen, and warns of texts in the condition that none has.
    pub(crate) fn chosen(&mut self, input: &Path, chosen: &ChosenCells) {
        self.printer.remark(&format!("note: {}", chosen.choice));
        self.all(chosen.absent.iter().cloned());
        self.chosen.push(ChosenOf { input: input.into(), choice: chosen.choice.clone() });
    }

    /// Says which columns of a table joined those of `obs`.
    pub(crate) fn joined(&mut self, joined: Option<&JoinedTable>) {
        if let Some(joined) = joined {
            self.printer.remark(&format!("note: {joined}"));
        }
    }

    /// Warns of what is probably wrong in columns of `obs`.
    pub(crate) fn doubts(&mut self, obs: &Frame, labels: &[&str], batches: Option<&str>) {
        self.all(doubts(obs, labels, batches));
    }

    /// Warns that some cells express no gene the model knows, so that nothing can be said of them;
    /// `so` says what follows.
    pub(crate) fn without_genes(&mut self, cells: impl Count, so: &str) {
        self.of_cells(cells, "express no known gene", so);
    }

    /// Warns that some cells express none of the genes by which cells are compared.
    pub(crate) fn without_compared(&mut self, cells: impl Count, so: &str) {
        self.of_cells(cells, "express none of the genes compared by", so);
    }

    /// As [`without_genes`](Self::without_genes), for cells of one of several files.
    pub(crate) fn without_genes_of(&mut self, file: &str, cells: impl Count, so: &str) {
        if !cells.is_none() {
            self.tell(format!("`{file}`: {cells} cells express no known gene: {so}"));
        }
    }

    /// As [`without_genes`](Self::without_genes), for cells that have no counts at all.
    pub(crate) fn without_counts(&mut self, cells: impl Count, so: &str) {
        self.of_cells(cells, "have no counts", so);
    }

    /// Warns of cells without counts among the first cells of a matrix, those that were looked at.
    pub(crate) fn empty_in_matrix(&mut self, matrix: &str, cells: usize, looked_at: usize) {
        if cells > 0 {
            let so = "nothing can be said of them";
            self.tell(format!(
                "`{matrix}`: {cells} of the first {looked_at} cells have no counts: {so}"
            ));
        }
    }

    /// As [`without_genes`](Self::without_genes), for cells without an entry in an embedding.
    pub(crate) fn without_rows(&mut self, cells: impl Count, so: &str) {
        self.of_cells(cells, "have a row of zeros", so);
    }

    fn of_cells(&mut self, cells: impl Count, what: &str, so: &str) {
        if !cells.is_none() {
            self.tell(format!("{cells} cells {what}: {so}"));
        }
    }

    /// Adds the warnings of a task.
    pub(crate) fn all(&mut self, warnings: impl IntoIterator<Item = String>) {
        for warning in warnings {
            self.tell(warning);
        }
    }

    /// Adds a warning that was shown to people when it mattered.
    pub(crate) fn said(&mut self, warning: Option<&String>) {
        self.told.extend(warning.cloned());
    }

    /// Adds one warning and shows it, if it is new.
    pub(crate) fn tell(&mut self, warning: String) {
        // Two files may have the same column.
        if self.told.contains(&warning) {
            return;
        }
        self.printer.remark(&format!("warning: {warning}"));
        self.told.push(warning);
    }

    /// Notes the command that gives a better result: the last line of the page, and of what is printed if the
    /// caller prints [`better_row`](Self::better_row) last.
    pub(crate) fn better(&mut self, command: &Again) {
        self.better = Some(command.line());
    }

    /// The row of a summary with the command that gives a better result, if there is one.
    pub(crate) fn better_row(&self) -> Option<(&'static str, String)> {
        self.better.clone().map(|command| ("better", command))
    }

    /// What was told so far.
    pub(crate) fn told(&self) -> &[String] {
        &self.told
    }

    /// A result with its warnings, for programs.
    pub(crate) fn beside<'a, T: Serialize>(&'a self, result: &'a T) -> Told<'a, T> {
        Told { result, chosen: &self.chosen, warnings: &self.told, better: self.better.as_deref() }
    }

    /// Writes a result and its page into a folder, each with the warnings.
    pub(crate) fn write(&self, folder: &Path, result: &impl Serialize, page: Page) -> Result<()> {
        let told = serde_json::to_string_pretty(&self.beside(result))?;
        write_text(&folder.join(REPORT), &told)?;
        Ok(write_text(&folder.join(PAGE), &self.on(page))?)
    }

    /// A page with the choice of cells and the warnings at the top, and the command that gives a better result at
    /// the end, as HTML.
    pub(crate) fn on(&self, mut page: Page) -> String {
        let chosen = self.chosen.iter().map(|of| format!("{}: {}", of.input.display(), of.choice));
        let told: Vec<String> = chosen.chain(self.told.iter().cloned()).collect();
        if let Some(command) = &self.better {
            page.section("The better result").text(command);
        }
        page.warnings(&told).to_html()
    }
}
