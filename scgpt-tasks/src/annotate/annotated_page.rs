//! The page about annotated cells: what they are, how sure that is, and which genes bear it out.

use scgpt_data::{CellSource, Observer};
use scgpt_eval::{CellColours, ColourChoice, LabelSummary, Neighbourhood};
use scgpt_report::Page;

use super::{Annotated, ArtefactRecord, CellClusters, ClusterVote, Explanation};
use crate::error::Result;

/// Clusters in a table of votes, the largest.
const CLUSTERS: usize = 60;

/// What was found of annotated cells beside their types.
#[derive(Clone, Copy, Debug, Default)]
pub struct FoundBeside<'a> {
    /// Neighbours, and perhaps a UMAP.
    pub neighbourhood: Option<&'a Neighbourhood>,
    /// Which genes said so.
    pub explanation: Option<&'a Explanation>,
    /// What clusters voted for, an entry a cluster.
    pub votes: Option<(&'a CellClusters, &'a [ClusterVote])>,
}

impl Annotated {
    /// A warning if most cells are unlike everything that was learned.
    pub fn caution(&self) -> Option<String> {
        let columns = self.columns();
        columns.summary(&self.classes, &[]).caution()
    }

    /// The cells as a page: a map, which begins with the first column that is added, sizes, certainty
    /// and markers of the predicted types, the genes and the votes that were found, and what types were predicted by. The map is
    /// the UMAP, if one was found.
    ///
    /// # Errors
    /// If cells or embeddings cannot be read, or a colour that is asked for is not there;
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub fn page(
        &self,
        source: &mut dyn CellSource,
        record: &ArtefactRecord,
        choice: &ColourChoice<'_>,
        found: FoundBeside<'_>,
        observer: &dyn Observer,
    ) -> Result<Page> {
        let columns = self.columns();
        let map =
            Neighbourhood::map_of(found.neighbourhood, &self.embeddings, record.seed, observer)?;
        let colours = CellColours::choose(source, map.cells(), choice)?;
        let summary = columns.summary(&self.classes, &colours.markers);
        let path = source.summary().path.display().to_string();
        let mut page = Page::new("Annotated cells", &path);
        let n = self.cells.len().max(1) as f64;
        let sure = columns.confidence.iter().map(|&it| f64::from(it)).sum::<f64>() / n;
        let plausible = self.cells.iter().map(|cell| cell.set.len()).sum::<usize>() as f64 / n;
        page.numbers(&[
            ("cells", self.cells.len().to_string()),
            ("types found", summary.sizes().iter().filter(|&&size| size > 0).count().to_string()),
            ("unknown", format!("{:.1} %", 100.0 * self.unknown_share())),
            ("mean confidence", format!("{sure:.2}")),
            ("plausible types a cell", format!("{plausible:.2}")),
            ("genes of the artefact", format!("{:.0} %", 100.0 * self.report.known_genes.share())),
        ]);
        page.warnings(summary.caution().as_slice());
        page.section("Map");
        map.draw(&mut page, "Cells by the embeddings that tell types apart", &colours);
        page.section("Types");
        summary.describe(&mut page, "type", &colours.columns);
        if let Some(explanation) = found.explanation {
            explanation.describe(&mut page);
        }
        if let Some((clusters, votes)) = found.votes {
            self.describe_votes(&mut page, clusters, votes);
        }
        let mut rows = vec![
            ("column that was learned", record.label.clone()),
            ("types that were learned", record.classes.join(", ")),
            ("genes", self.report.genes_line()),
            ("values", self.report.input_state.to_string()),
            ("precision", self.report.precision.to_string()),
        ];
        rows.extend(self.held_out_accuracy.map(|accuracy| {
            let share =
                format!("{:.0} % of held-out cells by the genes there are", 100.0 * accuracy);
            ("right", share)
        }));
        page.section("Settings").table(&rows);
        Ok(page)
    }

    /// Adds what clusters voted for, the largest first.
    fn describe_votes(&self, page: &mut Page, clusters: &CellClusters, votes: &[ClusterVote]) {
        let mut order: Vec<usize> = (0..votes.len()).filter(|&it| votes[it].cells > 0).collect();
        order.sort_by_key(|&it| (std::cmp::Reverse(votes[it].cells), it));
        let row = |&cluster: &usize| {
            let vote = votes[cluster];
            let name = vote.class.map(|class| self.classes[class as usize].clone());
            vec![
                clusters.names[cluster].clone(),
                vote.cells.to_string(),
                name.unwrap_or_else(|| CellClusters::HETEROGENEOUS.to_owned()),
                format!("{:.1} %", 100.0 * vote.share),
            ]
        };
        let rows: Vec<Vec<String>> = order.iter().take(CLUSTERS).map(row).collect();
        let more = order.len().saturating_sub(CLUSTERS);
        let more =
            if more > 0 { format!(" The {more} smallest are left out.") } else { String::new() };
        page.section("Votes of clusters").columns(&["cluster", "cells", "type", "share"], &rows);
        page.text(&format!(
            "Each cell of a cluster votes for the type that it was predicted to be; share is that of the votes for the \
             winner.{more}"
        ));
    }

    /// What was found, a column each.
    fn columns(&self) -> Columns {
        Columns {
            codes: self.cells.iter().map(|cell| cell.class).collect(),
            confidence: self.cells.iter().map(|cell| cell.confidence).collect(),
            is_unknown: self.cells.iter().map(|cell| cell.is_unknown).collect(),
        }
    }
}

/// Answers of all cells.
struct Columns {
    codes: Vec<Option<u32>>,
    confidence: Vec<f32>,
    is_unknown: Vec<bool>,
}

impl Columns {
    fn summary<'a>(
        &'a self,
        names: &'a [String],
        markers: &'a [(String, Vec<String>)],
    ) -> LabelSummary<'a> {
        let Self { codes, confidence, is_unknown } = self;
        LabelSummary { names, codes, confidence, is_unknown, markers }
    }
}
