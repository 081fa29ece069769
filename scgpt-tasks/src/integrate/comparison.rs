//! What an integration is compared with, on the same cells: the checkpoint that it was fine-tuned from, and
//! methods without a network.

use scgpt_data::{CellSource, GeneSubset, Observer, RowSpool};
use scgpt_eval::{
    CellSpace,
    baseline::{
        BaselineOptions, GeneProjection, SpaceBaseline, integration_baselines, multiomic_baselines,
    },
};
use scgpt_model::Strictness;

use super::{
    CellModalities, IntegrateOptions, Integration, experiment::Cells, method::IntegrateMethod,
    ranking::ChosenIntegration, score::SpaceJudge, scored::IntegrationMethod,
};
use crate::{embed::Embedder, error::Result, usage::Usage};

impl Integration<'_> {
    /// Scores of the checkpoint before training, if one was fine-tuned.
    pub(super) fn zero_shot(
        &self,
        cells: &Cells<'_>,
        source: &mut dyn CellSource,
        judge: &SpaceJudge,
    ) -> Result<Option<IntegrationMethod>> {
        let observer = cells.session.observer;
        let Some(path) = self.config.model.as_ref().filter(|_| self.options.baselines.is_some())
        else {
            return Ok(None);
        };
        let embedder = Embedder::open(path, self.device, Strictness::Partial)?;
        if embedder.check(Usage::Embed).is_err() {
            // The network of another task has no rows without what that task tells it.
            return Ok(None);
        }
        let options = cells.embed_options();
        let embedding = match &self.multimodal {
            None => embedder.embed(source, &options, observer)?,
            Some(chosen) => {
                // It knows genes only.
                let Some(columns) = chosen.genes() else { return Ok(None) };
                let mut genes = GeneSubset::new(source, self.options.learn.layer, columns)?;
                embedder.embed(&mut genes, &options, observer)?
            }
        };
        let rows = embedding.all_rows()?;
        let scores = vec![judge.judge(&rows, embedder.encoder().d_model(), observer)?];
        Ok(Some(IntegrationMethod::new("scGPT, not fine-tuned", scores)))
    }

    /// Simple methods on the same cells, if they are to be compared with.
    pub(super) fn baselines(
        &self,
        source: &mut dyn CellSource,
        judge: &SpaceJudge,
        observer: &dyn Observer,
    ) -> Result<Vec<Compared>> {
        let Some(baselines) = self.options.baselines else { return Ok(Vec::new()) };
        let (domains, seed) = (self.domains(), self.config.training.seed);
        simple_methods(source, &self.options, baselines, (&domains, seed), judge, observer)
    }

    /// The best of the methods, if it is asked for, and where it puts the cells, if it is not the network.
    pub(super) fn best(
        &self,
        methods: &[IntegrationMethod],
        simple: Vec<Compared>,
    ) -> Result<(Option<ChosenIntegration>, Option<RowSpool>)> {
        let is_asked_for = self.config.method == IntegrateMethod::Best;
        let Some(chosen) = ChosenIntegration::of(methods).filter(|_| is_asked_for) else {
            return Ok((None, None));
        };
        let is_it = |it: &Compared| it.scored.asked_by == Some(chosen.method);
        let spool = match simple.into_iter().find(is_it).map(|it| it.space) {
            Some(CellSpace::Rows { rows, width }) => {
                let mut spool = RowSpool::new(width)?;
                spool.push(&rows)?;
                Some(spool)
            }
            _ => None,
        };
        Ok((Some(chosen), spool))
    }
}

/// A method without a network: its scores, and where it puts the cells.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) scored: IntegrationMethod,
    pub(super) space: CellSpace<'static>,
    pub(super) projection: Option<GeneProjection>,
}

/// Simple methods on all cells, by all of their features; `domains` are their batches. Those that cannot be scored
/// are left out.
pub(super) fn simple_methods(
    source: &mut dyn CellSource,
    options: &IntegrateOptions<'_>,
    baselines: &BaselineOptions,
    (domains, seed): (&[usize], u64),
    judge: &SpaceJudge,
    observer: &dyn Observer,
) -> Result<Vec<Compared>> {
    let found = match options.modalities {
        Some(CellModalities { modalities, measured }) => {
            multiomic_baselines(source, modalities, measured, domains, baselines, seed, observer)?
        }
        None => integration_baselines(source, domains, baselines, seed, observer)?,
    };
    observer.begin("scoring", 0);
    let scored = found.into_iter().map(|it| {
        let SpaceBaseline { name, method, space, note, projection } = it;
        let Some(scores) = judge.space(&space, observer)? else { return Ok(None) };
        let asked_by = IntegrateMethod::of(method, options.modalities.is_some());
        let scored = IntegrationMethod { name, asked_by, scores: vec![scores], note };
        Ok(Some(Compared { scored, space, projection }))
    });
    scored.filter_map(Result::transpose).collect()
}
