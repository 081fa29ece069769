//! Simple methods as results: beside a network, in its place without any, or after it, if one was chosen
//! among all.

use std::borrow::Cow;

use scgpt_data::{CellSource, CsrRow, GeneToken, Observer, ShardFolder, narrow};
use scgpt_eval::baseline::{
    BaselineOptions, ClassBaseline, ClassMethod, LabelledCells, SimpleMethod, SimpleMethods,
};

use super::{
    Annotation, Choice, Method,
    experiment::{AnnotateExperiment, LabelledParts, NO_CLASS},
    held_out::HeldOut,
    judge::{Calibrated, LabelJudge},
    scored::Scored,
    verdict::{Answers, LabelVerdict},
};
use crate::{
    error::{Error, Result},
    training::{Experiment as _, TrainingCells},
};

/// Cells whose scores are computed at a time.
const WINDOW: usize = 1024;

impl AnnotateExperiment<'_> {
    /// Calibrates and judges what gives cells those class scores.
    pub(super) fn answers(
        &self,
        cells: &TrainingCells<'_>,
        parts: &LabelledParts,
        score: &dyn Fn(&[usize]) -> Result<Scored>,
    ) -> Result<Answers> {
        let judge = LabelJudge {
            cells,
            classes: &parts.classes,
            names: &self.annotation.labels.classes,
            score,
            observer: self.session.observer,
        };
        let Calibrated { calibration, profiles, said } =
            judge.calibrate(&parts.training, &parts.validation)?;
        let held_out = HeldOut::of(cells, &parts.validation, &parts.classes)?;
        let judged = judge.judge(&calibration, &profiles, &parts.test, parts.names.clone())?;
        let n_bins = cells.network.value_bins();
        Ok(Answers { calibration, profiles, held_out, judged, said, n_bins })
    }

    /// A simple method in the place of a network: it is fitted, calibrated and judged.
    pub(super) fn simple(
        &self,
        source: &mut dyn CellSource,
        method: SimpleMethod,
    ) -> Result<(LabelledParts, LabelVerdict)> {
        let parts = self.split()?;
        let is_compared = self.annotation.options.baselines.is_some();
        let methods: &[SimpleMethod] = if is_compared { &SimpleMethod::ALL } else { &[method] };
        let fitted = self.fit(source, &parts, methods)?;
        let mut baselines = Vec::new();
        if is_compared {
            baselines = self.said(source, &fitted, &parts.test)?;
        }
        let start = self.start()?;
        let (seed, method_of) = (self.config.training.seed, Method::from(method));
        let (fitted, answers) = {
            let cells = self.cells(&self.session.shards, &start)?;
            self.answers_of(&fitted, method, &cells, &parts)?
        };
        let simple = Some((fitted, self.session.shards.vocab().clone()));
        let (network, choice) = (None, None);
        let verdict =
            LabelVerdict { seed, method: method_of, answers, simple, network, baselines, choice };
        Ok((parts, verdict))
    }

    /// A network that was trained, beside simple methods, or one of these if it is to be chosen and is
    /// better by the validation cells.
    pub(super) fn among(
        &self,
        source: &mut dyn CellSource,
        parts: &LabelledParts,
        network: Answers,
    ) -> Result<LabelVerdict> {
        let (is_choice, seed) = (self.config.method == Method::Best, self.config.training.seed);
        let is_compared = self.annotation.options.baselines.is_some() && !parts.test.is_empty();
        let mut verdict = LabelVerdict {
            seed,
            method: Method::Network,
            answers: network,
            simple: None,
            network: None,
            baselines: Vec::new(),
            choice: None,
        };
        if !is_compared && !is_choice {
            return Ok(verdict);
        }
        let methods = self.fit(source, parts, &SimpleMethod::ALL)?;
        if is_compared {
            verdict.baselines = self.said(source, &methods, &parts.test)?;
        }
        if !is_choice {
            return Ok(verdict);
        }
        let tuned = self.said(source, &methods, &parts.validation)?;
        let of_simple = tuned.iter().filter_map(|it| Some((it.method?.into(), &*it.classes)));
        let said: Vec<(Method, &[u32])> =
            of_simple.chain([(Method::Network, &*verdict.answers.said)]).collect();
        let truth: Vec<u32> = parts.validation.iter().map(|&cell| parts.classes[cell]).collect();
        verdict.choice = Choice::of(&said, &truth, seed, self.session.observer)?;
        let chosen = verdict.choice.as_ref().and_then(|choice| choice.method.simple());
        let Some(method) = chosen else { return Ok(verdict) };
        let start = self.start()?;
        // A checkpoint may not know all genes, which a simple method needs no checkpoint for.
        let Annotation { checkpoint, all_genes, .. } = self.annotation;
        let (fitted, answers) = if checkpoint.is_some() {
            let session = self.session.without_network(source, &all_genes.vocab)?;
            let parts = parts.moved(&self.session.ids, &session.ids);
            let cells = self.cells(&session.shards, &start)?;
            self.answers_of(&methods, method, &cells, &parts)?
        } else {
            let cells = self.cells(&self.session.shards, &start)?;
            self.answers_of(&methods, method, &cells, parts)?
        };
        let network = std::mem::replace(&mut verdict.answers, answers);
        Ok(LabelVerdict {
            method: method.into(),
            simple: Some((fitted, all_genes.vocab.clone())),
            network: network.judged,
            ..verdict
        })
    }

    /// Calibrates and judges one of the methods that were fitted, by cells whose tokens are those of all genes.
    fn answers_of(
        &self,
        methods: &SimpleMethods,
        method: SimpleMethod,
        cells: &TrainingCells<'_>,
        parts: &LabelledParts,
    ) -> Result<(ClassMethod, Answers)> {
        let missing = || Error::option(format!("{} was not fitted", method.name()));
        let method = methods.method(method).ok_or_else(missing)?;
        let score = |of: &[usize]| scored(&method, cells.shards, of, self.session.observer);
        let answers = self.answers(cells, parts, &score)?;
        Ok((method, answers))
    }

    /// Fits simple methods to the cells to learn from.
    fn fit(
        &self,
        source: &mut dyn CellSource,
        parts: &LabelledParts,
        methods: &[SimpleMethod],
    ) -> Result<SimpleMethods> {
        let Annotation { labels, all_genes, .. } = self.annotation;
        let known = |code: &Option<u32>| code.unwrap_or(NO_CLASS);
        let cells = LabelledCells {
            classes: &labels.codes.iter().map(known).collect::<Vec<_>>(),
            n_classes: labels.classes.len(),
            training: &self.in_source(&parts.training),
            tuning: &self.in_source(&parts.validation),
            genes: &all_genes.tokens,
        };
        let (options, seed) = (self.annotation.simple_options(), self.config.training.seed);
        let observer = self.session.observer;
        Ok(SimpleMethods::fit(source, &cells, methods, &options, seed, observer)?)
    }

    /// What simple methods say of a part of the cells.
    fn said(
        &self,
        source: &mut dyn CellSource,
        methods: &SimpleMethods,
        part: &[usize],
    ) -> Result<Vec<ClassBaseline>> {
        let (layer, genes) = (self.session.learn.layer, &self.annotation.all_genes.tokens);
        let cells = self.in_source(part);
        Ok(methods.predict(source, layer, genes, &cells, self.session.observer)?)
    }

    /// The numbers that cells of a part have in the source.
    fn in_source(&self, part: &[usize]) -> Vec<usize> {
        part.iter().map(|&cell| self.session.ids[cell]).collect()
    }
}

impl Annotation<'_> {
    /// How simple methods choose genes.
    fn simple_options(&self) -> Cow<'_, BaselineOptions> {
        match self.options.baselines {
            Some(options) if options.layer == *self.options.learn.layer => Cow::Borrowed(options),
            options => {
                let mut options = options.cloned().unwrap_or_default();
                options.layer = self.options.learn.layer.clone();
                Cow::Owned(options)
            }
        }
    }
}

/// Class scores and positions of some cells of shards by a simple method, whose genes are their tokens.
fn scored(
    method: &ClassMethod,
    shards: &ShardFolder,
    cells: &[usize],
    observer: &dyn Observer,
) -> Result<Scored> {
    let tokens = (0..shards.vocab().len()).map(|token| Some(GeneToken(narrow(token))));
    let reader = method.space().reader(&tokens.collect::<Vec<_>>(), method.space().values());
    let mut all = Scored::of_method(method, &[], observer)?;
    for cells in cells.chunks(WINDOW) {
        let rows = cells.iter().map(|&cell| shards.cell(cell));
        let rows: Vec<CsrRow<'_>> = rows.collect::<scgpt_data::Result<_>>()?;
        all.extend(Scored::of_method(method, &reader.cells(rows.into_iter())?.cells, observer)?);
    }
    Ok(all)
}
