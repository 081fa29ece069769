//! [`ProgrammeScores`]: how active gene programmes are in cells.

use std::{collections::BTreeSet, path::Path};

use scgpt_data::{CellSource, Keyed, LoggedCells, Observer, Purpose, Result, RowSpool};

use crate::labels::Labels;

/// Groups of genes of similar mean expression, as scanpy has them.
const BINS: usize = 25;
/// Most control genes of each such group.
const CONTROLS: usize = 50;
/// Rows of a spool that are scaled at a time.
const ROWS: usize = 4096;

/// How active programmes are in cells; scores are from 0 to 1.
#[derive(Debug)]
pub struct ProgrammeScores {
    /// Scores, `[cells, programmes]`.
    pub cells: RowSpool,
    /// Names of the cell types; empty without labels.
    pub types: Vec<String>,
    /// Mean score of the cells of each type, `[types, programmes]` row-major.
    pub means: Vec<f64>,
}

/// How programmes are scored.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProgrammeScoring<'a> {
    /// The types of the cells, by which means are taken; `None` if there are no labels.
    pub labels: Option<&'a Labels>,
    /// Folder for the temporary file of the scores; `None` is the system's.
    pub temporary: Option<&'a Path>,
    /// Seed of the choice of control genes.
    pub seed: u64,
}

impl ProgrammeScores {
    /// Scores programmes, each given by the columns of its genes. A score is the mean of these
    /// genes minus that of control genes, of which up to 50 are drawn from each of the 25 groups of
    /// similar mean expression in which the programme has genes. Then the least score of a
    /// programme becomes 0 and the largest 1. Reads the cells twice, streaming.
    ///
    /// # Reference
    /// `scanpy.tl.score_genes` and `GeneEmbedding.score_metagenes`. Differs: where a group has more
    /// than 50 genes, which of them are controls is drawn by key instead of a global generator; with
    /// fewer, all are, and scores are scanpy's. Below 12 genes scanpy divides by zero.
    ///
    /// # Errors
    /// If the source cannot be read or the temporary file written; [`Error::Cancelled`](scgpt_data::Error)
    /// if the observer says so.
    pub fn new(
        source: &mut dyn CellSource,
        cells: &LoggedCells,
        programmes: &[Vec<usize>],
        options: &ProgrammeScoring<'_>,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let ProgrammeScoring { labels, temporary, seed } = *options;
        let (n_cells, n_genes) = source.summary().shape(&cells.layer)?;
        let mut sums = vec![0.0; n_genes];
        cells.each(source, "averaging genes", observer, &mut |_, block| {
            for row in block.rows() {
                for (&gene, &x) in row.indices.iter().zip(row.values) {
                    sums[gene as usize] += f64::from(x);
                }
            }
        })?;
        let bins = bins(&sums);
        // Of every gene the programmes that it counts for, and how much.
        let mut weights: Vec<Vec<(usize, f32)>> = vec![Vec::new(); n_genes];
        for (number, genes) in programmes.iter().enumerate() {
            let key = Keyed::new(seed, Purpose::Sample, u64::MAX - 1, number as u64);
            let controls = controls(genes, &bins, key);
            for (genes, sign) in [(genes, 1.0), (&controls, -1.0)] {
                for &gene in genes {
                    weights[gene].push((number, sign / genes.len() as f32));
                }
            }
        }
        let n = programmes.len();
        let mut rows = RowSpool::new_in(temporary, n)?;
        let mut ranges = vec![[f32::INFINITY, f32::NEG_INFINITY]; n];
        let mut failed = None;
        cells.each(source, "scoring programmes", observer, &mut |_, block| {
            let mut scores = vec![0.0_f32; block.n_cells() * n];
            for (row, scores) in block.rows().zip(scores.chunks_exact_mut(n.max(1))) {
                for (&gene, &x) in row.indices.iter().zip(row.values) {
                    for &(programme, weight) in &weights[gene as usize] {
                        scores[programme] += weight * x;
                    }
                }
                for (range, &score) in ranges.iter_mut().zip(&*scores) {
                    *range = [range[0].min(score), range[1].max(score)];
                }
            }
            if failed.is_none() {
                failed = rows.push(&scores).err();
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        Self::scaled(rows, &ranges, labels, n_cells)
    }

    /// Scales every programme in place, so that its `ranges`, least and largest score, become 0 and
    /// 1, and takes the means of the types.
    fn scaled(
        mut rows: RowSpool,
        ranges: &[[f32; 2]],
        labels: Option<&Labels>,
        n_cells: usize,
    ) -> Result<Self> {
        let n = ranges.len();
        let types = labels.map(|labels| labels.classes.clone()).unwrap_or_default();
        let mut sums = vec![0.0; types.len() * n];
        let mut values = Vec::new();
        for first in (0..n_cells).step_by(ROWS) {
            rows.read_rows(first, ROWS.min(n_cells - first), &mut values)?;
            for (cell, row) in (first..).zip(values.chunks_exact_mut(n.max(1))) {
                for (x, [low, high]) in row.iter_mut().zip(ranges) {
                    *x = if high > low { (*x - low) / (high - low) } else { 0.0 };
                }
                if let Some(code) = labels.and_then(|labels| labels.codes[cell]) {
                    let sums = &mut sums[code as usize * n..(code as usize + 1) * n];
                    sums.iter_mut().zip(&*row).for_each(|(sum, &x)| *sum += f64::from(x));
                }
            }
            rows.write_rows(first, &values)?;
        }
        let counts = labels.map(Labels::counts).unwrap_or_default();
        let means = sums.iter().enumerate().map(|(i, sum)| sum / counts[i / n] as f64).collect();
        Ok(Self { cells: rows, types, means })
    }
}

/// The group of every gene by its mean: ranks, equal means sharing the least, in whole steps.
fn bins(means: &[f64]) -> Vec<usize> {
    let n = means.len();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of n")]
    let size = (n as f64 / (BINS - 1) as f64).round_ties_even().max(1.0) as usize;
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| means[a].total_cmp(&means[b]));
    let mut bins = vec![0; n];
    let mut rank = 1;
    #[allow(clippy::float_cmp, reason = "ties are exact")]
    for group in order.chunk_by(|&a, &b| means[a] == means[b]) {
        for &gene in group {
            bins[gene] = rank / size;
        }
        rank += group.len();
    }
    bins
}

/// Control genes of a programme, none of its own.
fn controls(genes: &[usize], bins: &[usize], key: Keyed) -> Vec<usize> {
    let of_programme: BTreeSet<usize> = genes.iter().copied().collect();
    let groups: BTreeSet<usize> = genes.iter().map(|&gene| bins[gene]).collect();
    let mut controls = Vec::new();
    for group in groups {
        let mut drawn: Vec<usize> = (0..bins.len()).filter(|&gene| bins[gene] == group).collect();
        drawn.sort_by_key(|&gene| key.bits(gene as u64));
        drawn.truncate(CONTROLS);
        controls.extend(drawn.into_iter().filter(|gene| !of_programme.contains(gene)));
    }
    controls.sort_unstable();
    controls
}

#[cfg(test)]
mod tests {
    use scgpt_data::{Frame, InputState, Layer, Silent, SpooledCells};

    use super::*;

    #[test]
    fn scores_are_those_of_scanpy() {
        let mut rows = RowSpool::new(60).unwrap();
        for c in 0..6_u16 {
            let count = |g: u16| f32::from((c * 7 + g * g * 3 + c * g) % (2 + g % 9));
            rows.push(&(0..60).map(count).collect::<Vec<f32>>()).unwrap();
        }
        let names =
            |n: usize| Frame { index: (0..n).map(|i| i.to_string()).collect(), ..Frame::default() };
        let mut source = SpooledCells::new(names(6), names(60), rows);
        let cells = LoggedCells::new(&Layer::X, InputState::Counts.into());
        let programmes = [vec![3, 17, 40], vec![5, 6, 7, 8, 59]];
        let how = ProgrammeScoring::default();
        let scores = ProgrammeScores::new(&mut source, &cells, &programmes, &how, &Silent).unwrap();
        let mut rows = Vec::new();
        scores.cells.read_rows(0, 6, &mut rows).unwrap();
        // scanpy 1.11.5: normalize_total(1e4), log1p, score_genes, scaled to 0..1.
        let expected = [
            [1.0, 0.314_083],
            [0.0, 0.319_989],
            [0.607_484, 0.360_487],
            [0.592_102, 1.0],
            [0.341_342, 0.0],
            [0.459_094, 0.109_350],
        ];
        for (row, (found, expected)) in rows.iter().zip(expected.as_flattened()).enumerate() {
            assert!((found - expected).abs() < 1e-5, "{row}: {found} {expected}");
        }
    }

    #[test]
    fn groups_are_those_of_scanpy() {
        // 48 genes: 2 a group; rank(method="min") // 2.
        let means: Vec<f64> = (0..48).map(f64::from).collect();
        assert_eq!(bins(&means)[..5], [0, 1, 1, 2, 2]);
        // Equal means share the least rank, 1.
        assert_eq!(bins(&[0.0; 48]), [0; 48]);
        assert_eq!(bins(&[1.0, 1.0, 0.0]), [2, 2, 1]);
    }

    #[test]
    fn controls_are_of_the_same_groups_and_not_of_the_programme() {
        let bins: Vec<usize> = (0..1000).map(|gene| gene / 100).collect();
        let genes = [5, 7, 301];
        let drawn = controls(&genes, &bins, Keyed::new(0, Purpose::Sample, 1, 1));
        assert!((95..=100).contains(&drawn.len()), "{}", drawn.len());
        assert!(drawn.iter().all(|gene| [0, 3].contains(&bins[*gene]) && !genes.contains(gene)));
        assert_eq!(drawn, controls(&genes, &bins, Keyed::new(0, Purpose::Sample, 1, 1)));
        assert_ne!(drawn, controls(&genes, &bins, Keyed::new(1, Purpose::Sample, 1, 1)));
    }
}
