//! [`AttentionReport`]: what was looked at, what was found, and how far to trust it.
//!
//! The verdict compares the networks by the best measure there is: by known regulations where the
//! truth was given, else by how far halves of the cells agree, which a wrong network may do as
//! well.

use scgpt_data::{Observer, Result};
use scgpt_eval::network::{Enriched, TruthReport, benjamini_hochberg};
use scgpt_model::InferencePrecision;
use scgpt_stats::largest;
use serde::{Deserialize, Serialize};

use super::{
    AttentionNetworks, AttentionOptions, Contrast, NetworkMethod, NetworkSetting,
    cells::Groups,
    row::{ATTENTION, NetworkRow, method_of},
};
use crate::embed::{Embedder, ModelReport};

/// False-discovery rate below which a difference counts.
pub(super) const SIGNIFICANT: f64 = 0.05;

/// Lengths of the two lists of targets that are looked up in gene sets, as in the article.
const LISTS: [usize; 2] = [20, 100];

/// Networks from attention in numbers: the groups of cells and the genes that were compared, the
/// targets of the genes asked for, and how good the networks are beside simpler ones.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct AttentionReport {
    /// Version of this software.
    pub version: String,
    /// What made the networks.
    pub method: NetworkMethod,
    /// Why, if it was chosen among several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// The two groups: the first is compared with the second.
    pub groups: [AttentionGroup; 2],
    /// Whether the second group is made of copies of the first with shuffled values.
    pub is_single: bool,
    /// Number of genes in the panel.
    pub genes: usize,
    /// Number of genes of the data that the model knows; all of them without a model.
    pub genes_known: usize,
    /// Number of genes of the model.
    pub genes_of_model: usize,
    /// Features of the data that are no genes, in words for people; `None` if all are genes.
    pub other_features: Option<String>,
    /// Number of cells looked at that express no gene the model knows.
    pub without_genes: usize,
    /// Layer of the network, counted from 0; `None` without a model, and so for what follows.
    pub layer: Option<usize>,
    /// The numbers that cells were computed in.
    pub precision: Option<InferencePrecision>,
    /// Number of permutations of the null hypothesis.
    pub permutations: usize,
    /// Number of edges whose difference has a false-discovery rate below 5 %; `None` without
    /// permutations.
    pub significant: Option<usize>,
    /// The targets of each gene asked for.
    pub targets: Vec<TargetList>,
    /// Gene sets in [`lists`](Self::lists) of targets, among the genes of the panel.
    pub enriched: Vec<Enriched>,
    /// How much is known of true edges, if the truth was given.
    pub truth: Option<TruthReport>,
    /// What the networks from attention and the others are worth, a row each.
    pub rows: Vec<NetworkRow>,
    /// Seconds that reading the cells and the network took.
    #[serde(skip)]
    pub seconds_looking: f64,
    /// Seconds that everything took. Files hold no times, so that the same run writes the same
    /// bytes.
    #[serde(skip)]
    pub seconds: f64,
    /// Seed of every random choice.
    pub seed: u64,
    /// The model, if there is one.
    pub model: Option<ModelReport>,
}

/// What is seen of the cells.
#[derive(Clone, Copy)]
pub(super) enum Seen<'a> {
    /// The attention of a layer of a network.
    Attention { embedder: &'a Embedder, layer: usize },
    /// Their expression alone.
    Expression,
}

/// One of the two groups of cells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AttentionGroup {
    /// Its name.
    pub name: String,
    /// Number of cells looked at.
    pub cells: usize,
    /// Number of cells there are.
    pub available: usize,
}

/// The targets of a gene: all other genes, by how much they look at it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TargetList {
    /// The gene that is looked at.
    pub gene: String,
    /// The other genes, in the order of the panel.
    pub targets: Vec<Target>,
}

/// A gene that looks at another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Target {
    /// Its name.
    pub gene: String,
    /// Its weights in the settings of [`NetworkSetting::ALL`].
    pub weights: [f64; 3],
    /// The probability of such a difference if labels mean nothing; `None` without permutations.
    pub p: Option<f64>,
    /// The false-discovery rate among the targets; `None` without permutations.
    pub fdr: Option<f64>,
}

impl TargetList {
    /// The `n` strongest targets of a setting, the strongest first; neither `<cls>` nor the gene
    /// itself is among them.
    pub fn strongest(&self, setting: NetworkSetting, n: usize) -> Vec<&Target> {
        #[allow(clippy::cast_possible_truncation, reason = "they were f32")]
        let weights: Vec<f32> =
            self.targets.iter().map(|target| target.weights[setting as usize] as f32).collect();
        largest(&weights, n).into_iter().map(|place| &self.targets[place]).collect()
    }
}

impl AttentionNetworks {
    /// The targets of a gene, which is a row of the weights: all genes that look at it, with p
    /// values of the differences and their false-discovery rate among these targets alone.
    pub(super) fn targets(&self, gene: usize, observer: &dyn Observer) -> Result<TargetList> {
        let n = self.genes.len();
        let others: Vec<usize> = (0..n).filter(|&other| other != gene).collect();
        // Places without the diagonal: a gene's row is one shorter.
        let begin = gene * (n - 1);
        let p = self.null.as_ref().map(|[p, _]| p[begin..begin + n - 1].to_vec());
        let fdr = p.as_deref().map(|p| benjamini_hochberg(p, p.len(), observer)).transpose()?;
        let target = |(index, &other): (usize, &usize)| {
            let [perturbed, control] =
                [0, 1].map(|group| f64::from(self.weights[group][gene * n + other]));
            Target {
                gene: self.genes[other].clone(),
                weights: [control, perturbed, perturbed - control],
                p: p.as_ref().map(|p| p[index]),
                fdr: fdr.as_ref().map(|fdr| fdr[index]),
            }
        };
        Ok(TargetList {
            gene: self.genes[gene].clone(),
            targets: others.iter().enumerate().map(target).collect(),
        })
    }
}

impl AttentionReport {
    /// The report before the network was looked at: what was chosen, with zeros for what is not
    /// found yet.
    pub(super) fn new(
        genes: usize,
        groups: &Groups,
        options: &AttentionOptions<'_>,
        seen: Seen<'_>,
    ) -> Self {
        let group = |group: usize| AttentionGroup {
            name: groups.names[group].clone(),
            cells: groups.cells[group].len(),
            available: groups.available[group],
        };
        let (layer, precision, model) = match seen {
            Seen::Attention { embedder, layer } => {
                let (sha256, config) = (embedder.hash(), embedder.config().clone());
                let model = ModelReport { sha256: sha256.map(str::to_owned), config };
                (Some(layer), Some(embedder.encoder().precision()), Some(model))
            }
            Seen::Expression => (None, None, None),
        };
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            method: options.method,
            because: None,
            groups: [group(0), group(1)],
            is_single: groups.is_single(),
            genes,
            genes_known: 0,
            genes_of_model: 0,
            other_features: None,
            without_genes: 0,
            layer,
            precision,
            permutations: if layer.is_some() { options.permutations } else { 0 },
            significant: None,
            targets: Vec::new(),
            enriched: Vec::new(),
            truth: None,
            rows: Vec::new(),
            seconds_looking: 0.0,
            seconds: 0.0,
            seed: options.seed,
            model,
        }
    }

    /// What the group of cells is compared with.
    pub fn contrast(&self) -> Contrast {
        if self.is_single { Contrast::Shuffled } else { Contrast::Groups }
    }

    /// The settings that there are networks of: all, but of a single group the cells themselves alone, if what made the
    /// network has no copies to compare them with.
    pub fn settings(&self) -> &'static [NetworkSetting] {
        let is_alone = self.is_single && self.method.rule().is_some();
        if is_alone { &[NetworkSetting::Perturbed] } else { &NetworkSetting::ALL }
    }

    /// The simple method that finds the known regulations better than attention does, if those were given and it is
    /// better than chance.
    pub fn better(&self) -> Option<NetworkMethod> {
        if self.method != NetworkMethod::Network {
            return None;
        }
        let question = self.question();
        let judged = self.rows.iter().filter(|row| row.setting == Some(question));
        let judged = judged.filter_map(|row| Some((method_of(row)?, row.truth?.auprc_ratio)));
        let (best, ratio) = judged.max_by(|a, b| a.1.total_cmp(&b.1))?;
        (best != NetworkMethod::Network && ratio >= CHANCE).then_some(best)
    }

    /// Lists of target names for enrichment, each with a name of its own: for each gene asked for,
    /// the 20 and the 100 strongest targets of each setting.
    pub fn lists(&self) -> Vec<(String, Vec<String>)> {
        let mut lists = Vec::new();
        for list in &self.targets {
            for &setting in self.settings() {
                for n in LISTS.into_iter().filter(|&n| n < list.targets.len()) {
                    let targets = list.strongest(setting, n).into_iter();
                    let names = targets.map(|target| target.gene.clone()).collect();
                    let what = setting.name(self.contrast());
                    lists.push((format!("{}, {what}, top {n}", list.gene), names));
                }
            }
        }
        lists
    }

    /// The setting that the question is about: the difference of two groups, or of a group and its
    /// copies.
    pub(super) fn question(&self) -> NetworkSetting {
        if self.is_single { NetworkSetting::Perturbed } else { NetworkSetting::Difference }
    }

    /// Which network is the most trustworthy on these data, and why, in sentences.
    pub fn verdict(&self) -> String {
        match &self.truth {
            Some(_) => self.verdict_by_truth(),
            None => self.verdict_by_halves(),
        }
    }

    /// The network with the best precision on known regulations, and what attention reaches, in a
    /// sentence.
    fn verdict_by_truth(&self) -> String {
        let ratio = |row: &NetworkRow| row.truth.map_or(0.0, |scores| scores.auprc_ratio);
        let by_ratio = |a: &&NetworkRow, b: &&NetworkRow| ratio(a).total_cmp(&ratio(b));
        let attention = self.rows.iter().filter(|row| row.method == ATTENTION).max_by(by_ratio);
        let Some(best) = self.rows.iter().max_by(by_ratio) else {
            return "No network could be judged.".into();
        };
        let sentence = if ratio(best) < CHANCE {
            "No network finds the known regulations much better than chance on these data: trust none of them."
                .to_owned()
        } else {
            format!(
                "Most trustworthy on these data: {}, which finds the known regulations with {:.2} times the precision \
                 of chance{}.",
                self.called(best),
                ratio(best),
                best.consistency.map_or_else(String::new, |halves| format!(
                    ", and whose halves agree with a Spearman correlation of {:.2}",
                    halves.spearman
                ))
            )
        };
        let Some(attention) = attention.filter(|_| best.method != ATTENTION) else {
            return sentence;
        };
        let advice = if ratio(attention) < CHANCE {
            "no better than chance: do not read it as regulation"
        } else {
            "a weaker source of the same"
        };
        let (reached, called) = (ratio(attention), self.called(attention));
        format!("{sentence} Attention reaches {reached:.2} at best ({called}), {advice}.")
    }

    /// The network on which halves of the cells agree best, in the setting that the question is
    /// about, in a sentence.
    fn verdict_by_halves(&self) -> String {
        let question = self.question();
        let jaccard = |row: &NetworkRow| row.consistency.map_or(0.0, |halves| halves.jaccard);
        let rows = || self.rows.iter().filter(|row| row.setting == Some(question));
        let best = rows().max_by(|a, b| jaccard(a).total_cmp(&jaccard(b)));
        let attention = rows().find(|row| row.method == ATTENTION);
        let Some(best) = best else {
            return "No network could be judged.".into();
        };
        let halves = |row: &NetworkRow| {
            format!(
                "halves of the cells share {:.0} % of their strongest edges (Jaccard), Spearman {:.2}",
                100.0 * jaccard(row),
                row.consistency.map_or(0.0, |halves| halves.spearman)
            )
        };
        let caveat = "Agreeing with itself is needed to be right, but not enough: known regulations would \
             tell, and where they were known, independent benchmarks found attention behind correlation and trees.";
        let Some(attention) = attention else {
            return format!(
                "Most reproducible on these data: {}; its {}. {caveat}",
                self.called(best),
                halves(best)
            );
        };
        if self.rows.iter().all(|row| row.method == ATTENTION) {
            return format!(
                "Attention was not compared with simpler networks; its {}. {caveat}",
                halves(attention)
            );
        }
        if best.method == ATTENTION {
            return format!(
                "Most reproducible on these data: {}; its {}. {caveat}",
                self.called(best),
                halves(best)
            );
        }
        format!(
            "Most reproducible on these data: {}; its {}. Of attention, {}. {caveat}",
            self.called(best),
            halves(best),
            halves(attention)
        )
    }

    /// The name of a network in a sentence.
    pub(super) fn called(&self, row: &NetworkRow) -> String {
        match row.setting {
            Some(setting) => format!("{}, {}", row.method, setting.name(self.contrast())),
            None => row.method.clone(),
        }
    }
}

/// Multiples of random precision below which a network is not much better than chance.
const CHANCE: f64 = 1.2;
