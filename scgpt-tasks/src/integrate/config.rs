//! [`IntegrateConfig`]: everything that decides what integration learns.
//!
//! The recipes for batches and for modalities; those of the reference's tutorials are in [`tutorial`](super::tutorial).

use std::{collections::BTreeMap, path::PathBuf};

use scgpt_data::{
    ATAC, Advice, Modalities, RNA, Setting, TieMode, VariableFlavour, modality_name, similar_names,
};
use scgpt_eval::BatchesTold;
use scgpt_model::{CellPooling, GepcStyle, InputNorm, ScgptConfig};
use scgpt_train::{Metric, Objectives, Schedule, TrainConfig};
use serde::{Deserialize, Serialize};

use super::{cell_modalities::Pairing, method::IntegrateMethod};
use crate::{
    error::Result,
    training::{
        BATCH, GeneStart, Mistakes, NetworkConfig, NewGenes, Recipe, TOKENS, fine_tuning,
        from_scratch,
    },
};

/// The settings of an integration: those of a [`Recipe`], some of them changed. In a file of settings,
/// fields that are absent have the values of the recipe.
///
/// ```
/// use scgpt_tasks::{Recipe, integrate::IntegrateConfig};
///
/// let config = IntegrateConfig { hvg: 2000, ..IntegrateConfig::of(Recipe::Scratch) };
/// config.validate(Some("cell_type"))?;
/// assert!(IntegrateConfig { hvg: 0, ..config }.validate(None).is_err());
/// # Ok::<(), scgpt_tasks::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "settings, each on its own")]
pub struct IntegrateConfig {
    /// What integrates the cells: the network that all other settings are of, a simple method, or the best of them.
    #[serde(default, skip_serializing_if = "IntegrateMethod::is_network")]
    pub method: IntegrateMethod,
    /// Model directory to fine-tune; `None` trains a new `network`.
    #[serde(default)]
    pub model: Option<PathBuf>,
    /// Number of cells per batch.
    pub batch_size: usize,
    /// Number of genes that vary most within the batches, by which cells are compared.
    pub hvg: usize,
    /// Number of features of every other modality that vary most; 0 for all.
    #[serde(default)]
    pub other_features: usize,
    /// The same of single modalities by their names, in place of `hvg` and `other_features`; 0 for all.
    #[serde(default)]
    pub features: BTreeMap<String, usize>,
    /// Measure of variability; `None` takes `seurat_v3` for counts and `cell_ranger` otherwise.
    #[serde(default)]
    pub flavour: Option<VariableFlavour>,
    /// Measure by which features of open chromatin are chosen; `None` takes that of all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_flavour: Option<VariableFlavour>,
    /// Table that says which features of another modality belong to which genes: columns `peak` and `gene`, or
    /// else the first two, and `weight`, if genes of a peak count differently. Vectors begin with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<PathBuf>,
    /// Whether genes of value zero are tokens too.
    pub include_zeros: bool,
    /// Most tokens per cell while training, `<cls>` included; of more genes some are sampled, anew
    /// in every epoch.
    pub max_length: usize,
    /// What happens to values on a bin edge.
    pub tie_mode: TieMode,
    /// Share of the values that are hidden from the network.
    pub hidden_share: f64,
    /// Whether the value of `<cls>` may be hidden too, as in the reference.
    pub hide_cls: bool,
    /// Whether steps alternate between batches; if not, one batch comes after the other.
    pub interleave: bool,
    /// How token states become the embedding of a cell in a new network; a fine-tuned one goes on as
    /// it was.
    #[serde(default)]
    pub pooling: CellPooling,
    /// Batch normalisation of the tokens: by batch, over all cells together, or none.
    pub input_norm: InputNorm,
    /// Whether the expression heads are told the batch of each cell.
    pub batch_labels: bool,
    /// Share of the times that a cell of several modalities has one of them hidden as a whole, to
    /// be generated from the others. By this the network learns to predict a modality that was not
    /// measured.
    #[serde(default)]
    pub hidden_modality: f64,
    /// Number of features of a hidden modality that are asked for at a time.
    #[serde(default = "IntegrateConfig::default_asked_features")]
    pub asked_features: usize,
    /// Whether only the gene vectors of a fine-tuned network are kept if there are several
    /// modalities, as in the reference.
    #[serde(default)]
    pub only_genes: bool,
    /// Share of the cells that select the best network.
    pub validation_share: f64,
    /// Where gene vectors of a new network come from.
    #[serde(default)]
    pub start: GeneStart,
    /// Whether genes that the checkpoint does not know are left out, or where their vectors come from. Of
    /// several modalities all features that were chosen are tokens, whatever this says.
    #[serde(default, skip_serializing_if = "NewGenes::are_left_out")]
    pub new_genes: NewGenes,
    /// Shape of a new network; its dropout is also that of a fine-tuned one.
    pub network: NetworkConfig,
    /// Weights of the objectives.
    pub objectives: Objectives,
    /// How the network is trained.
    pub training: TrainConfig,
}

/// Names of the validation's metrics that need no labels, and of those that do.
const METRICS: [&str; 8] = [
    Metric::LOSS,
    Metric::THINNING,
    Metric::FOSCTTM,
    "gep",
    "gep_zero",
    "gepc",
    "gepc_zero",
    "dar_accuracy",
];
pub(super) const LABEL_METRICS: [&str; 3] = ["avg_bio", "avg_batch", "overall"];

impl IntegrateConfig {
    /// The settings of a recipe.
    ///
    /// # Reference
    /// `FineTune`: the integration tutorial. Differs: the batches alternate from step to step, and
    /// the value of `<cls>` is never hidden; narrower networks learn at a higher rate, and few cells
    /// are passed over more often. A new network begins with gene vectors of co-expression and pools by
    /// values; it learns slowly, from expressed genes and without ECS, as what it begins with is lost
    /// otherwise.
    pub fn of(recipe: Recipe) -> Self {
        let network = recipe.network();
        let mut training = fine_tuning(network.d_model, 15);
        training.optimizer.epsilon = 1e-4;
        training.select_by = Some(Metric::LOSS.into());
        let fine_tune = Self {
            method: IntegrateMethod::Network,
            model: None,
            batch_size: 64,
            hvg: 1200,
            other_features: 0,
            features: BTreeMap::new(),
            flavour: None,
            peak_flavour: None,
            links: None,
            include_zeros: true,
            max_length: 1201,
            tie_mode: TieMode::default(),
            hidden_share: 0.4,
            hide_cls: false,
            interleave: true,
            pooling: CellPooling::Cls,
            input_norm: InputNorm::DomainSpecific,
            batch_labels: true,
            hidden_modality: 0.0,
            asked_features: Self::default_asked_features(),
            only_genes: false,
            validation_share: 0.1,
            start: GeneStart::default(),
            new_genes: NewGenes::None,
            network,
            objectives: Objectives {
                gep: 1.0,
                gep_zero: 1.0,
                gepc: 1.0,
                gepc_zero: 1.0,
                ecs: 10.0,
                ecs_threshold: 0.8,
                dar: 1.0,
                ..Objectives::default()
            },
            training,
        };
        match recipe {
            Recipe::FineTune(_) => fine_tune,
            Recipe::Scratch => Self {
                batch_size: 32,
                include_zeros: false,
                max_length: 301,
                pooling: CellPooling::ValueMean,
                start: GeneStart::Spectral,
                network: NetworkConfig {
                    n_layers: 2,
                    d_model: 64,
                    d_ff: 64,
                    ..NetworkConfig::SMALL
                },
                objectives: Objectives { ecs: 0.0, ..fine_tune.objectives },
                training: TrainConfig {
                    select_by: Some(Metric::LOSS.into()),
                    ..from_scratch(15, 3e-4, 0.1)
                },
                ..fine_tune
            },
        }
    }

    /// The settings of a recipe for cells of several modalities, each cell measured in all of them or,
    /// in a mosaic, in some.
    ///
    /// A new network of paired cells is that of [`of`](Self::of) with as few features of every other modality
    /// as do not drown the genes: peaks are many, and each is as much of a token as a gene.
    ///
    /// A new network of a mosaic begins with all modalities in one space, which cells tell that were measured in
    /// two of them. It takes many features of each, since a cell has few values, and does nothing to make batches
    /// alike, as they differ in what was measured. It is selected by how near the modalities of a cell are to each
    /// other, so that it may be its beginning. Peaks are chosen by variance after TF-IDF. Where a table of links
    /// says how modalities belong together (`Linked`), hardly any cell has to; thinning selects such a network.
    ///
    /// Where too few cells were measured in two modalities, vectors are drawn. Such a network sees zeros, too: which
    /// features a cell lacks is most of what it can learn, and a peak has hardly another value than one. It takes
    /// few features; with all of them it learns their means for hundreds of steps, and nothing else. Now and then a
    /// modality is hidden as a whole.
    ///
    /// # Reference
    /// `FineTune`: the multi-omic tutorial, expressed features alone, batches mixed within a step.
    /// Differs: all that fits of a checkpoint is kept, so the learning rate is that of fine-tuning; a
    /// modality is hidden as a whole now and then; features that vary most are chosen of every
    /// modality.
    pub fn of_modalities(recipe: Recipe, pairing: Pairing) -> Self {
        let of_batches = Self::of(recipe);
        match (recipe, pairing) {
            (Recipe::FineTune(_), _) => Self {
                batch_size: 16,
                other_features: 4000,
                include_zeros: false,
                max_length: 4001,
                input_norm: InputNorm::None,
                hidden_modality: 0.25,
                objectives: Objectives { gep: 1.0, gepc: 1.0, dar: 1.0, ..Objectives::default() },
                training: TrainConfig {
                    epochs: 25,
                    schedule: Schedule::EpochStep { gamma: 0.95, every: 1 },
                    ..of_batches.training
                },
                ..of_batches
            },
            (Recipe::Scratch, Pairing::Paired) => Self { other_features: 300, ..of_batches },
            (Recipe::Scratch, Pairing::Mosaic | Pairing::Linked) => {
                let mut of_batches = of_batches.without_batches();
                of_batches.other_features = 4000;
                of_batches.peak_flavour = Some(VariableFlavour::Tfidf);
                if pairing == Pairing::Mosaic {
                    of_batches.training.select_by = Some(Metric::FOSCTTM.into());
                }
                of_batches
            }
            (Recipe::Scratch, Pairing::Apart) => Self {
                hvg: 300,
                other_features: 300,
                include_zeros: true,
                start: GeneStart::Random,
                input_norm: InputNorm::None,
                hidden_modality: 0.25,
                training: TrainConfig {
                    select_by: Some(Metric::LOSS.into()),
                    ..from_scratch(40, 3e-3, 0.1)
                },
                ..of_batches
            },
        }
    }

    /// The same settings if batches can be told apart or nothing is known of it, else
    /// [`without_batches`](Self::without_batches).
    #[must_use]
    pub fn for_batches(self, told: Option<&BatchesTold>) -> Self {
        if told.is_some_and(|told| !told.can_be()) { self.without_batches() } else { self }
    }

    /// The same settings, but without anything that makes batches alike (norms by batch, batch labels,
    /// DAR): where they do not differ, it would only remove what sets cells apart. A network that begins
    /// with co-expression then learns three times as slowly, is selected by thinning, so that it may be its
    /// beginning, and is trained until that has not risen for five validations.
    ///
    /// # Reference
    /// None: it corrects whatever the batches are.
    #[must_use]
    pub fn without_batches(mut self) -> Self {
        self.input_norm = InputNorm::None;
        self.batch_labels = false;
        self.objectives.dar = 0.0;
        if self.start == GeneStart::Spectral {
            self.training.select_by = Some(Metric::THINNING.into());
            self.training.patience = Some(5);
            self.training.optimizer.lr = 1e-4;
        }
        self
    }

    /// Number of features of a modality that vary most; 0 for all.
    pub(super) fn n_features(&self, modality: &str) -> usize {
        let own = self.features.iter().find(|(name, _)| modality_name(name) == modality);
        let others = if modality == RNA { self.hvg } else { self.other_features };
        own.map_or(others, |(_, &n)| n)
    }

    /// The measure by which features of a modality are chosen; `None` takes what fits their values.
    pub(super) fn flavour_of(&self, modality: &str) -> Option<VariableFlavour> {
        self.peak_flavour.filter(|_| modality == ATAC).or(self.flavour)
    }

    /// Checks that the modalities whose numbers of features are set are among those of the cells.
    ///
    /// # Errors
    /// If one is not.
    pub(super) fn check_features(&self, names: &[String]) -> Result<()> {
        let unknown = self.features.keys().find(|name| !names.contains(&modality_name(name)));
        let Some(unknown) = unknown else { return Ok(()) };
        let problem = format!(
            "names `{unknown}`, expected one of what the cells were measured in: {}",
            names.join(", ")
        );
        Err(Setting("features").wrong(problem).into())
    }

    fn default_asked_features() -> usize {
        256
    }

    /// The network with what it needs to tell modalities apart.
    pub(super) fn adapt_to(&self, network: &ScgptConfig, modalities: &Modalities) -> ScgptConfig {
        ScgptConfig {
            n_modalities: modalities.n_tokens(),
            pad_modality: Some(modalities.pad().0 as usize),
            context_in_query: true,
            unknown_flag: network.unknown_flag || self.hidden_modality > 0.0,
            n_layers: if self.only_genes { self.network.n_layers } else { network.n_layers },
            ..network.clone()
        }
    }

    /// Batches, switches and heads of the network.
    pub(super) fn adapt(&self, network: &ScgptConfig, n_batches: usize) -> ScgptConfig {
        let Objectives { gep_zero, gepc, gepc_zero, dar, .. } = self.objectives;
        let is_told_apart = dar > 0.0 || self.input_norm == InputNorm::DomainSpecific;
        let style = network.gepc.unwrap_or(GepcStyle::InnerProduct);
        let is_new = self.model.is_none();
        ScgptConfig {
            cell_pooling: if is_new { self.pooling } else { network.cell_pooling },
            gepc: (gepc + gepc_zero > 0.0).then_some(style),
            zero_probability: gep_zero + gepc_zero > 0.0,
            n_batches: if self.batch_labels { n_batches } else { 0 },
            input_norm: self.input_norm,
            n_domains: if is_told_apart { n_batches } else { 0 },
            dar: dar > 0.0,
            n_classes: 0,
            ..self.network.over(network)
        }
    }

    /// Checks the fields that the network and the training configuration do not check themselves.
    /// Only with a `label`, a column of `obs` to score by, can the best network be selected by
    /// scores of labels.
    ///
    /// # Errors
    /// [`Error::Settings`](scgpt_data::Error::Settings) with all mistakes at once.
    pub fn validate(&self, label: Option<&str>) -> Result<()> {
        let mut mistakes = Mistakes::default();
        mistakes.check_numbers([
            ("batch_size", self.batch_size, BATCH),
            ("hvg", self.hvg, 1..=usize::MAX),
            ("max_length", self.max_length, 2..=TOKENS),
            ("asked_features", self.asked_features, 1..=TOKENS),
        ]);
        mistakes.check_shares([
            ("hidden_share", self.hidden_share),
            ("hidden_modality", self.hidden_modality),
            ("validation_share", self.validation_share),
        ]);
        if self.objectives.class > 0.0 {
            mistakes.add("objectives.class", "is an objective of `scgpt annotate`");
        }
        if self.objectives.contrastive > 0.0 {
            mistakes.add("objectives.contrastive", "is not an objective of integration");
        }
        mistakes.check_objectives(&self.objectives, self.hidden_share);
        mistakes.check_new_genes(self.new_genes, self.model.is_some());
        mistakes.check_lora(&self.training, self.model.is_some());
        if self.training.lora.is_some() && self.only_genes {
            let problem = "is for the weights of a checkpoint, of which `only_genes` keeps none but gene vectors";
            mistakes.add("lora", problem);
        }
        let vectors = match self.model {
            None => ("start", self.start == GeneStart::Spectral),
            Some(_) => ("new_genes", self.new_genes == NewGenes::Spectral),
        };
        if let (Some(_), (setting, false)) = (&self.links, vectors) {
            let problem = Advice::from("is what vectors begin with, but none does: it takes ");
            mistakes.add("links", problem + Setting(setting) + " = \"spectral\"");
        }
        if self.method == IntegrateMethod::Best && label.is_none() {
            let problem = Advice::from("is `best`, which labels choose: name their column by ");
            mistakes.add("method", problem + Setting("label"));
        }
        if let Some(problem) = self.selecting_problem(label) {
            mistakes.add("training.select_by", problem);
        }
        mistakes.tell()
    }

    /// What is wrong with the metric that is to select the best network, if anything.
    fn selecting_problem(&self, label: Option<&str>) -> Option<String> {
        let name = self.training.select_by.as_deref()?;
        if METRICS.contains(&name) || label.is_some() && LABEL_METRICS.contains(&name) {
            return None;
        }
        let known = METRICS.iter().chain(&LABEL_METRICS).copied();
        Some(format!(
            "is `{name}`, expected one of {}, or with labels {}{}",
            METRICS.join(", "),
            LABEL_METRICS.join(", "),
            similar_names(name, known).hint()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integrate::Tutorial;

    #[test]
    fn recipes_are_valid_and_mistakes_are_all_told() {
        for recipe in [Recipe::FineTune(NetworkConfig::SMALL), Recipe::Scratch] {
            IntegrateConfig::of(recipe).validate(None).unwrap();
            for pairing in [Pairing::Paired, Pairing::Mosaic, Pairing::Linked, Pairing::Apart] {
                IntegrateConfig::of_modalities(recipe, pairing).validate(None).unwrap();
            }
        }
        let fine = IntegrateConfig::of(Recipe::FineTune(NetworkConfig::RELEASED));
        let select_by = Some("avg_bio".into());
        let config = IntegrateConfig {
            hvg: 0,
            hidden_share: 0.0,
            training: TrainConfig { select_by, ..fine.training.clone() },
            ..fine
        };
        let message = config.validate(None).unwrap_err().to_string();
        for part in ["`hvg` is 0", "`hidden_share` is 0", "`avg_bio`", "dar_accuracy"] {
            assert!(message.contains(part), "{message}");
        }
        let message = config.validate(Some("cell_type")).unwrap_err().to_string();
        assert!(!message.contains("select_by"), "{message}");
    }

    #[test]
    fn parity_has_the_ties_lengths_and_epsilon_of_the_reference() {
        for recipe in [Recipe::FineTune(NetworkConfig::RELEASED), Recipe::Scratch] {
            for (tutorial, max_length) in
                [(Tutorial::Integration, 1201), (Tutorial::MultiOmic, 4001)]
            {
                let mut config = match tutorial {
                    Tutorial::Integration => IntegrateConfig::of(recipe),
                    Tutorial::MultiOmic => IntegrateConfig::of_modalities(recipe, Pairing::Paired),
                };
                config.like_the_reference(tutorial);
                config.validate(None).unwrap();
                assert_eq!(config.tie_mode, TieMode::Random);
                let lengths = (config.hvg, config.max_length);
                assert_eq!(lengths, (1200, max_length));
                assert!((config.training.optimizer.epsilon - 1e-4).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn the_network_has_what_the_objectives_need() {
        let config = IntegrateConfig::of(Recipe::FineTune(NetworkConfig::RELEASED));
        let network = config.adapt(&ScgptConfig::new(100), 3);
        config.objectives.check(&network).unwrap();
        assert_eq!([network.n_batches, network.n_domains], [3, 3]);
        let objectives = Objectives { gep: 1.0, ..Objectives::default() };
        let few = IntegrateConfig {
            objectives,
            input_norm: InputNorm::None,
            batch_labels: false,
            ..config
        };
        let network = few.adapt(&ScgptConfig::new(100), 3);
        few.objectives.check(&network).unwrap();
        assert_eq!([network.n_batches, network.n_domains], [0, 0]);
        assert!(network.gepc.is_none() && !network.zero_probability && !network.dar);
    }
}
