//! The page about generated cells: how far from the truth the network is, whether simple guesses are
//! nearer, and whether it is surest where it is right.

use scgpt_data::{CellSource, CellSubset, Observer};
use scgpt_eval::{CellColours, CellMap, ColourChoice};
use scgpt_report::{Bar, Colouring, Group, Page};

use super::{Ask, GenerateReport, GeneratedCells, Scores};
use crate::error::Result;

/// The embedding by which cells are drawn where none was generated from.
const USUAL: &str = "X_scGPT";
/// Generated genes that can colour a map, and those that are listed.
const COLOURED: usize = 8;
const LISTED: usize = 100;

impl GeneratedCells {
    /// The page of [`GenerateReport::page`] with the generated genes, and a map of the cells if they have
    /// an embedding in `obsm`: that which was generated from, or `X_scGPT`.
    ///
    /// # Errors
    /// If cells, embeddings or generated values cannot be read, or a colour that is asked for is not
    /// there;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn page(
        &self,
        source: &mut dyn CellSource,
        choice: &ColourChoice<'_>,
        observer: &dyn Observer,
    ) -> Result<Page> {
        let mut page = self.report.page(&source.summary().path.display().to_string());
        let cells = CellMap::sample(self.report.n_cells, self.report.options.seed);
        let generated = self.genes_of(&cells, &mut page)?;
        let has = |name: &str| {
            let name = format!("obsm/{name}");
            source.summary().elements.contains(&name)
        };
        let from = match &self.report.options.ask {
            Ask::Cells { embedding, .. } => embedding.clone(),
            _ => None,
        };
        let Some(name) = from.or_else(|| has(USUAL).then(|| USUAL.to_owned())) else {
            page.text("There is no map: the cells have no embedding in obsm.");
            return Ok(page);
        };
        let n = self.report.n_cells;
        let mut subset = CellSubset::new(&mut *source, cells.clone());
        let (rows, d) = subset.read_obsm(&name, 0..cells.len())?;
        let map = CellMap::of_cells(cells, n, &rows, d, self.report.options.seed, observer)?;
        let mut colours = CellColours::choose(source, map.cells(), choice)?;
        colours.columns.extend(generated);
        page.section("Map");
        map.draw(&mut page, &format!("Cells by obsm/{name}"), &colours);
        Ok(page)
    }

    /// Adds a table of the generated genes, of which some cells are looked at; returns those of them that
    /// vary most in these cells.
    fn genes_of(&self, cells: &[usize], page: &mut Page) -> Result<Vec<Colouring>> {
        let Some(spool) = &self.rows else { return Ok(Vec::new()) };
        let (mut values, mut row) =
            (vec![Vec::with_capacity(cells.len()); self.genes.len()], Vec::new());
        for &cell in cells {
            spool.read_rows(cell, 1, &mut row)?;
            for (of_gene, &value) in values.iter_mut().zip(&row) {
                of_gene.push(value);
            }
        }
        let n = cells.len().max(1) as f64;
        let moments = |values: &Vec<f32>| {
            let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
            let square = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
            (mean, square.sqrt())
        };
        let moments: Vec<(f64, f64)> = values.iter().map(moments).collect();
        let mut order: Vec<usize> = (0..moments.len()).collect();
        order.sort_by(|&a, &b| moments[b].1.total_cmp(&moments[a].1).then(a.cmp(&b)));
        let row = |&gene: &usize| {
            let (mean, deviation) = moments[gene];
            vec![self.genes[gene].clone(), format!("{mean:.2}"), format!("{deviation:.2}")]
        };
        let rows: Vec<Vec<String>> = order.iter().take(LISTED).map(row).collect();
        page.section("Generated genes").columns(&["gene", "mean value bin", "deviation"], &rows);
        let of = if cells.len() < self.report.n_cells {
            format!("Of {} of the cells. ", cells.len())
        } else {
            String::new()
        };
        let shown = if order.len() > LISTED {
            format!("The {LISTED} of {} that vary most between cells.", order.len())
        } else {
            "A gene that does not vary between cells was not told by them.".to_owned()
        };
        page.text(&format!("{of}{shown}"));
        let column = |&gene: &usize| {
            let values = std::mem::take(&mut values[gene]);
            Colouring::numbers(&format!("generated {}", self.genes[gene]), values)
        };
        Ok(order.iter().take(COLOURED).map(column).collect())
    }
}

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
