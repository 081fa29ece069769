//! [`EdgeJudge`]: attention beside simpler networks of the same genes and cells.
//!
//! Attention is worth its price only where it finds more than anybody can compute from the same
//! cells in a minute: [associations](Association) of expression, and the cosines of the genes'
//! vectors, which have seen no cell at all. All are judged alike: by how far halves of the cells
//! agree, and by known regulations if there are any.

use scgpt_data::Observer;
use scgpt_eval::{
    baseline::{Association, GeneProfiles},
    network::{Consistency, Replicated, TrueEdges, off_diagonal},
};

use super::{
    NetworkSetting,
    cells::{GenePanel, Groups},
    row::{ATTENTION, BEFORE_TRAINING, NetworkRow},
    sums::Sums,
    without_cls,
};
use crate::{embed::Embedder, error::Result};

/// Name of the network of gene vectors in names of files.
const VECTORS: &str = "gene_embeddings";
/// The same of the vectors before training, if they are known.
const START: &str = "gene_embeddings_before_training";
/// Strongest edges whose agreement between halves is measured, at most, and of a small panel this
/// share.
const TOP: usize = 1000;
const TOP_SHARE: f64 = 0.1;

/// What the networks are made of, and what they are judged by.
pub(super) struct EdgeJudge<'a> {
    pub(super) genes: &'a GenePanel,
    /// Whose vectors of genes are compared with, if there is a model.
    pub(super) embedder: Option<&'a Embedder>,
    pub(super) groups: &'a Groups,
    /// Cells and their groups, in the order of the profiles.
    pub(super) cells: &'a [(usize, usize)],
    pub(super) truth: Option<&'a TrueEdges>,
    /// The half of every cell of the source.
    pub(super) is_second: &'a [bool],
    /// Seed of what is random in the baselines, such as trees.
    pub(super) seed: u64,
}

/// A simpler network of the same genes: its weights in the perturbed group and in the control.
#[derive(Clone, Debug)]
pub(super) struct EdgeBaseline {
    /// Name of its files.
    pub(super) name: &'static str,
    /// `[sources, targets]`, row-major, as those of attention; so are those of the control.
    pub(super) perturbed: Vec<f32>,
    /// The weights in the control; `None` for a single group, or a network that needs no cells.
    pub(super) control: Option<Vec<f32>>,
}

impl EdgeJudge<'_> {
    /// A row for each method and setting, and the networks of the simpler methods.
    ///
    /// `sums` are sums of ranks, which `scale` turns into shares. Without `profiles` there are no
    /// simpler methods.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub(super) fn rows(
        &self,
        sums: &Sums,
        scale: f64,
        profiles: Option<&GeneProfiles>,
        observer: &dyn Observer,
    ) -> Result<(Vec<NetworkRow>, Vec<EdgeBaseline>)> {
        observer.begin("comparing networks", 0);
        let m = self.genes.len() + 1;
        let of_group = |group: usize| Replicated {
            whole: without_cls(&sums.mean(group, scale), m),
            halves: sums.halves(group, scale).map(|half| without_cls(&half, m)),
        };
        let mut rows = self.settings(ATTENTION, &of_group(0), Some(&of_group(1)), observer)?;
        let mut baselines = Vec::new();
        let Some(profiles) = profiles else { return Ok((rows, baselines)) };
        let Some(embedder) = self.embedder else { return Ok((rows, baselines)) };
        let vectors = embedder.gene_vectors(&self.genes.tokens);
        let before = embedder.start_vectors(&self.genes.tokens)?;
        for (method, name, vectors) in
            [("gene embeddings (cosine)", VECTORS, Some(vectors)), (BEFORE_TRAINING, START, before)]
        {
            let Some(vectors) = vectors else { continue };
            let similarities = self.similarities(&vectors, observer)?;
            rows.push(self.row(method, None, &similarities, None, observer)?);
            baselines.push(EdgeBaseline { name, perturbed: similarities, control: None });
        }
        let (of_rules, networks) = self.simple(&Association::ALL, profiles, observer)?;
        rows.extend(of_rules);
        baselines.extend(networks);
        Ok((rows, baselines))
    }

    /// A row for each of some rules and each setting, and their networks.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub(super) fn simple(
        &self,
        rules: &[Association],
        profiles: &GeneProfiles,
        observer: &dyn Observer,
    ) -> Result<(Vec<NetworkRow>, Vec<EdgeBaseline>)> {
        let (mut rows, mut baselines) = (Vec::new(), Vec::new());
        for &rule in rules {
            let mut groups = Vec::new();
            for group in 0..if self.groups.is_single() { 1 } else { 2 } {
                groups.push(self.of_expression(rule, profiles, group, observer)?);
            }
            rows.extend(self.settings(&rule.to_string(), &groups[0], groups.get(1), observer)?);
            let mut wholes = groups.into_iter().map(|group| group.whole);
            baselines.push(EdgeBaseline {
                name: rule.name(),
                perturbed: wholes.next().unwrap_or_default(),
                control: wholes.next(),
            });
        }
        Ok((rows, baselines))
    }

    /// The network of one rule in one group, and in both halves of it.
    fn of_expression(
        &self,
        rule: Association,
        profiles: &GeneProfiles,
        group: usize,
        observer: &dyn Observer,
    ) -> Result<Replicated> {
        let of_group = self.cells.iter().enumerate().filter(|(_, cell)| cell.1 == group);
        let cells: Vec<(usize, bool)> =
            of_group.map(|(place, cell)| (place, self.is_second[cell.0])).collect();
        Ok(Replicated::of(rule, profiles, &cells, self.seed, observer)?)
    }

    /// Cosine similarities of the genes' vectors, `[genes, d]`.
    fn similarities(&self, vectors: &[f32], observer: &dyn Observer) -> Result<Vec<f32>> {
        let n = self.genes.len();
        let d = vectors.len() / n;
        let unit = scgpt_stats::unit_rows(vectors, d);
        let similarity = |place: usize| {
            if place.is_multiple_of(n) {
                observer.check_cancelled()?;
            }
            let (a, b) = (place / n, place % n);
            let pairs = unit[a * d..(a + 1) * d].iter().zip(&unit[b * d..(b + 1) * d]);
            // Opposite vectors do not make an edge.
            Ok(if a == b { 0.0 } else { pairs.map(|(x, y)| x * y).sum::<f32>().max(0.0) })
        };
        (0..n * n).map(similarity).collect()
    }

    /// Rows of all settings that the groups allow: three for two groups, one for the baseline of a
    /// single group.
    fn settings(
        &self,
        method: &str,
        perturbed: &Replicated,
        control: Option<&Replicated>,
        observer: &dyn Observer,
    ) -> Result<Vec<NetworkRow>> {
        let Some(control) = control else {
            let [first, second] = &perturbed.halves;
            let halves = Some([first.as_slice(), second]);
            let setting = Some(NetworkSetting::Perturbed);
            return Ok(vec![self.row(method, setting, &perturbed.whole, halves, observer)?]);
        };
        let row = |setting: NetworkSetting| {
            let whole = setting.of(&perturbed.whole, &control.whole);
            let halves = [0, 1].map(|i| setting.of(&perturbed.halves[i], &control.halves[i]));
            self.row(method, Some(setting), &whole, Some([&halves[0], &halves[1]]), observer)
        };
        NetworkSetting::ALL.into_iter().map(row).collect()
    }

    /// What one network, `whole`, is worth: the agreement of its `halves`, if it has any, and of
    /// its edges with the truth, if there is one.
    fn row(
        &self,
        method: &str,
        setting: Option<NetworkSetting>,
        whole: &[f32],
        halves: Option<[&[f32]; 2]>,
        observer: &dyn Observer,
    ) -> Result<NetworkRow> {
        let places = off_diagonal(self.genes.len());
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of the places"
        )]
        let n = TOP.min((TOP_SHARE * places.len() as f64) as usize).max(1);
        let consistency = halves.map(|halves| {
            let [a, b] =
                halves.map(|half| places.iter().map(|&place| half[place]).collect::<Vec<f32>>());
            Consistency::signed(&a, &b, n, observer)
        });
        let truth = self.truth.map(|truth| truth.scores(whole, observer));
        Ok(NetworkRow {
            method: method.to_owned(),
            setting,
            consistency: consistency.transpose()?.flatten(),
            truth: truth.transpose()?.flatten(),
            sign_accuracy: self.truth.and_then(|truth| truth.sign_accuracy(whole)),
        })
    }
}
