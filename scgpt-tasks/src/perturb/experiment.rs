//! [`PerturbExperiment`]: a network that learns one seed's part of the conditions.
//!
//! The seed divides conditions, not cells: no cell of a condition that judges was ever seen.

use std::borrow::Cow;

use scgpt_data::{CellSource, SpecialToken, TieMode, narrow};
use scgpt_eval::perturbation::{Moments, PerturbEvaluation, Predictions, ResponseJudge, Split};
use scgpt_model::{Activation, GepStyle, NetworkPart, Preprocess, ScgptConfig};
use scgpt_stats::subsample;
use scgpt_train::TrainConfig;
use serde_json::{Map, Value, json};

use super::{
    PerturbConfig, Perturbation,
    artefact::CONTROL_CELLS,
    pairs::{Held, PairedGroup, Pairs},
    predict::{Controls, Predictor},
};
use crate::{
    error::Result,
    training::{
        CellChoices, CoExpression, Codes, Experiment, FirstGuess, Session, StartingNetwork,
        ThinnedCells, Trained, TrainingCells,
    },
};

/// Parts of the network that a checkpoint need not have.
const NEW_PARTS: [NetworkPart; 3] =
    [NetworkPart::Gep, NetworkPart::ZeroProbability, NetworkPart::Perturbations];
/// Number of flags in the reference: not perturbed, perturbed, padding.
const FLAGS: usize = 3;

/// Number of genes of a condition that count as responding.
const RESPONDING: usize = 20;

/// One seed's training on perturbed cells.
pub(super) struct PerturbExperiment<'a> {
    perturbation: &'a Perturbation<'a>,
    session: &'a Session<'a>,
    moments: &'a Moments,
    config: PerturbConfig,
}

/// Parts of the conditions, and the cells of each.
pub(super) struct ConditionParts {
    pub(super) split: Split,
    /// All groups of the design, each the cells of one condition and one cell type.
    groups: Vec<PairedGroup>,
    /// Controls of every group that is a control; empty for all others.
    controls: Vec<Controls>,
    /// Groups that are trained on. Controls are among them, each its own control.
    training: Vec<usize>,
    /// Groups that select the network, and groups that judge it.
    validation: Vec<usize>,
    test: Vec<usize>,
    /// For each group that is trained on, the places in the panel of the genes that respond most.
    responding: Vec<Vec<usize>>,
}

impl ConditionParts {
    /// Controls of each cell type.
    pub(super) fn controls(&self) -> Vec<&Controls> {
        self.controls.iter().filter(|controls| controls.len() > 0).collect()
    }
}

impl Perturbation<'_> {
    /// The network before its first step.
    ///
    /// Its expression head predicts a coefficient and a shift of the control's value, so that it
    /// begins at "nothing changes"; the head of a checkpoint is drawn anew for that.
    ///
    /// # Errors
    /// If the checkpoint does not fit the settings.
    pub(super) fn start(&self) -> Result<StartingNetwork> {
        let adapt = |network: ScgptConfig| ScgptConfig {
            gep: GepStyle::Affine { activation: Activation::Identity, adaptive_bias: false },
            n_perturbation_flags: FLAGS,
            pad_perturbation_flag: Some(0),
            gepc: None,
            zero_probability: false,
            ..self.config.network.over(&network)
        };
        let preprocess = Preprocess { max_length: self.panel.len().max(2), cls_value: 0.0 };
        let start = if let Some(checkpoint) = &self.checkpoint {
            StartingNetwork::of(checkpoint, adapt, &NEW_PARTS)?
                .with_new_genes(self.config.new_genes, self.vocab.len())
        } else {
            let pad = self.vocab.special(SpecialToken::Pad).0 as usize;
            let network = adapt(self.config.network.network(self.vocab.len(), pad));
            StartingNetwork::new(network, preprocess, self.config.start)
        };
        let first_guess = self.config.start_at_control.then_some(FirstGuess::Input);
        Ok(StartingNetwork { preprocess, first_guess, ..start })
    }
}

impl<'a> PerturbExperiment<'a> {
    /// One training of the experiment, by the settings `training`.
    pub(super) fn new(
        perturbation: &'a Perturbation<'a>,
        session: &'a Session<'a>,
        moments: &'a Moments,
        training: TrainConfig,
    ) -> Self {
        let config = PerturbConfig { training, ..perturbation.config.clone() };
        Self { perturbation, session, moments, config }
    }

    /// The groups of the design, with their cells in the shards.
    fn paired_groups(&self) -> Result<Vec<PairedGroup>> {
        let Perturbation { design, panel, vocab, .. } = self.perturbation;
        let mut groups = Vec::with_capacity(design.groups.len());
        for group in 0..design.groups.len() {
            groups.push(PairedGroup {
                cells: Vec::new(),
                targets: panel.targets(design.condition(group), vocab)?,
                control: design.control(group),
            });
        }
        for (cell, &id) in self.session.ids.iter().enumerate() {
            if let Some(group) = design.codes.get(id).copied().flatten() {
                groups[group as usize].cells.push(narrow(cell));
            }
        }
        Ok(groups)
    }

    /// Control cells that predictions start from, for every group that is a control.
    fn control_cells(&self, groups: &[PairedGroup]) -> Result<Vec<Controls>> {
        let Perturbation { design, panel, .. } = self.perturbation;
        let g = panel.len();
        let mut all = vec![Controls { values: Vec::new(), n_genes: g }; groups.len()];
        for (group, controls) in all.iter_mut().enumerate() {
            if design.control(group) != group {
                continue;
            }
            let cells = &groups[group].cells;
            let mut values = Vec::new();
            for place in subsample(cells.len(), CONTROL_CELLS, 0) {
                let mut row = vec![0.0; g];
                panel.add(self.session.shards.cell(cells[place] as usize)?, &mut row);
                values.extend(row);
            }
            *controls = Controls::new(&values, g);
        }
        Ok(all)
    }

    /// The genes that respond most, for each group that is trained on.
    fn responding(&self, groups: &[PairedGroup], training: &[usize]) -> Vec<Vec<usize>> {
        let mut responding = vec![Vec::new(); groups.len()];
        for &group in training.iter().filter(|&&group| groups[group].control != group) {
            let ranked = self.moments.ranked(group, groups[group].control).into_iter();
            let place = |column: u32| self.perturbation.panel.place(column as usize);
            responding[group] = ranked.filter_map(place).take(RESPONDING).collect();
        }
        responding
    }
}

impl Experiment for PerturbExperiment<'_> {
    type Parts = ConditionParts;
    type Task<'t>
        = Pairs<'t>
    where
        Self: 't;
    /// `None` if nothing was kept to judge by.
    type Verdict = Option<PerturbEvaluation>;

    fn training(&self) -> &TrainConfig {
        &self.config.training
    }

    fn start(&self) -> Result<StartingNetwork> {
        self.perturbation.start()
    }

    fn split(&self) -> Result<ConditionParts> {
        let design = &self.perturbation.design;
        let split = self.perturbation.split(self.config.training.seed)?;
        let groups = self.paired_groups()?;
        let controls = self.control_cells(&groups)?;
        let part = |names: &[String]| -> Vec<usize> {
            let is_in = |group: &usize| names.contains(&design.condition(*group).to_string());
            let has_cells = |group: &usize| !groups[*group].cells.is_empty();
            design.perturbed().filter(is_in).filter(has_cells).collect()
        };
        let (validation, test) = (part(&split.validation), part(&split.test));
        let mut training = part(&split.train);
        training.extend((0..groups.len()).filter(|&group| design.control(group) == group));
        training.sort_unstable();
        let responding = self.responding(&groups, &training);
        Ok(ConditionParts { split, groups, controls, training, validation, test, responding })
    }

    fn task<'t>(
        &'t self,
        start: &'t StartingNetwork,
        parts: &'t ConditionParts,
    ) -> Result<Pairs<'t>> {
        let Perturbation { vocab, design, panel, .. } = self.perturbation;
        let mean = |group: usize| panel.part(&self.moments.mean(group));
        let held = parts.validation.iter().map(|&group| Held {
            group,
            truth: mean(group),
            control: mean(design.control(group)),
        });
        let (items, group_of_item) =
            Pairs::items_of(&parts.groups, &parts.training, self.config.pairs_each());
        Ok(Pairs {
            shards: &self.session.shards,
            vocab,
            network: &start.config,
            panel,
            config: &self.config,
            groups: &parts.groups,
            responding: &parts.responding,
            items,
            group_of_item,
            held: held.collect(),
            controls: &parts.controls,
        })
    }

    /// That of the cells of all conditions that are trained on, controls included, by value bins of
    /// whole cells as in other tasks.
    fn co_expression(
        &self,
        parts: &ConditionParts,
        _: &Pairs<'_>,
        n: usize,
    ) -> Result<CoExpression> {
        let start = self.start()?;
        let choices = CellChoices {
            tie_mode: TieMode::default(),
            max_length: start.preprocess.max_length,
            batch_size: self.config.batch_size,
            seed: self.config.training.seed,
            panel: None,
            modalities: None,
        };
        let cells = TrainingCells::new(&self.session.shards, &start, choices)?;
        let of_group = |&group: &usize| parts.groups[group].cells.iter().map(|&cell| cell as usize);
        let numbers: Vec<usize> = parts.training.iter().flat_map(of_group).collect();
        CoExpression::of(&cells, &numbers, n, self.session.observer)
    }

    /// None: what is learned is how expression changes, not which cells are alike.
    fn thinned(&self, _: &Pairs<'_>) -> Option<ThinnedCells> {
        None
    }

    fn settings(&self, parts: &ConditionParts) -> Map<String, Value> {
        Map::from_iter([
            ("config".into(), json!(self.config)),
            ("split".into(), json!(parts.split)),
        ])
    }

    fn codes<'t>(&'t self, task: &'t Pairs<'_>) -> Codes<'t> {
        let Perturbation { design, panel, .. } = self.perturbation;
        let genes = panel.tokens.iter().map(|gene| Some(gene.0)).collect();
        let responding = task.responding.iter().flatten().map(|&it| u32::try_from(it).ok());
        vec![
            ("conditions", Cow::Borrowed(&design.codes)),
            ("genes", Cow::Owned(genes)),
            ("responding genes", Cow::Owned(responding.collect())),
        ]
    }

    fn judge(
        &self,
        _: &mut dyn CellSource,
        parts: &ConditionParts,
        task: &Pairs<'_>,
        trained: &Trained,
    ) -> Result<Option<PerturbEvaluation>> {
        let Perturbation { options, design, panel, .. } = self.perturbation;
        let Session { observer, device, .. } = *self.session;
        if parts.test.is_empty() {
            return Ok(None);
        }
        let predictor: Predictor<'_> = task.predictor(trained.model());
        observer.begin("judging", parts.test.len());
        let said = |&group: &usize| -> Result<_> {
            observer.check_cancelled()?;
            observer.advance(1);
            let PairedGroup { targets, control, .. } = &parts.groups[group];
            Ok(predictor.mean(
                targets,
                &parts.controls[*control],
                self.config.predicted_cells,
                device,
            ))
        };
        let predictions = Predictions {
            name: "scGPT",
            profiles: parts.test.iter().map(said).collect::<Result<_>>()?,
            beside_baselines: options.baselines,
        };
        let judge = ResponseJudge {
            design,
            moments: self.moments,
            names: &panel.names,
            columns: &panel.columns,
            split: &parts.split,
            seed: self.config.training.seed,
        };
        Ok(Some(judge.judge(&parts.test, predictions, observer)?))
    }
}
