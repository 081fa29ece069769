//! The page about generated cells: how far from the truth the network is, whether simple guesses are
//! nearer, and whether it is surest where it is right.

use scgpt_report::{Bar, Group, Page};

use super::{Ask, GenerateReport, Scores};

impl GenerateReport {
    /// The page about the cells of `source`: errors beside simple guesses, round by round, and a picture of
    /// predictions. Parts without a known truth are left out.
    pub fn page(&self, source: &str) -> Page {
        let mut page = Page::new("Generated expression", source);
        page.numbers(&[
            ("cells", self.n_cells.to_string()),
            ("predicted values", self.n_predicted.to_string()),
            ("rounds", self.rounds.len().to_string()),
        ]);
        page.text(match &self.options.ask {
            Ask::Hidden(_) => "A share of each cell's expressed genes was hidden and generated from the others.",
            Ask::Genes(_) => "The named genes were generated from the other genes of each cell; errors are over cells that express them.",
            Ask::Cells { .. } => "The named genes were generated from each cell's embedding alone; errors are over cells that express them.",
        });
        let guesses = [
            ("network", self.network),
            ("mean of the gene", self.gene_mean),
            ("mean of the cell", self.cell_mean),
        ];
        let bars: Vec<Bar> = guesses
            .iter()
            .filter_map(|(name, scores)| {
                let Scores { squared_error, correlation, .. } = (*scores)?;
                let correlation =
                    correlation.map_or_else(String::new, |value| format!(", r = {value:.2}"));
                Some(Bar {
                    name: (*name).into(),
                    value: squared_error,
                    label: format!("{squared_error:.1}{correlation}"),
                })
            })
            .collect();
        if !bars.is_empty() {
            page.section("Errors")
                .bars(&bars, "Mean squared error in squared value bins, shorter is better, and correlation with the truth. \
                     Simple guesses are the mean of the gene over other cells, and that of the cell's known genes.");
            let points = self.pairs.clone();
            page.scatter(
                &[Group { name: "values".into(), points }],
                ["true value bin", "predicted value bin"],
                "Some predictions against the truth.",
            );
        }
        let rows: Vec<Bar> = (1..)
            .zip(&self.rounds)
            .filter_map(|(round, report)| {
                let value = report.squared_error_of_moved?;
                Some(Bar { name: format!("round {round}"), value, label: format!("{value:.1}") })
            })
            .collect();
        if rows.len() > 1 {
            page.section("Rounds").bars(
                &rows,
                "Squared error of the genes that became known in each round: a good measure of confidence puts small errors first.",
            );
        }
        page
    }
}
