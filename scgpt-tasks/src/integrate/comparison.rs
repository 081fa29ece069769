//! What an integration is compared with, on the same cells: the checkpoint that it was fine-tuned from, and
//! methods without a network.

use scgpt_data::{CellSource, GeneSubset, Observer};
use scgpt_eval::baseline::{SpaceBaseline, integration_baselines, multiomic_baselines};
use scgpt_model::Strictness;

use super::{
    CellModalities, Integration, experiment::Cells, report::IntegrationMethod, score::SpaceJudge,
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
        let scores = vec![judge.judge(&rows, embedder.encoder().d_model())?];
        Ok(Some(IntegrationMethod::new("scGPT, not fine-tuned", scores)))
    }

    /// Scores of other methods on the same cells, by all of their features.
    pub(super) fn baselines(
        &self,
        source: &mut dyn CellSource,
        judge: &SpaceJudge,
        observer: &dyn Observer,
    ) -> Result<Vec<IntegrationMethod>> {
        let Some(options) = self.options.baselines else { return Ok(Vec::new()) };
        let (seed, domains) = (self.config.training.seed, self.domains());
        let baselines = match self.options.modalities {
            Some(CellModalities { modalities, measured }) => multiomic_baselines(
                source, modalities, measured, &domains, options, seed, observer,
            )?,
            None => integration_baselines(source, &domains, options, seed, observer)?,
        };
        let scored = baselines.into_iter().map(|SpaceBaseline { name, space, note }| {
            let scores = judge.space(&space)?;
            Ok(scores.map(|scores| IntegrationMethod { name, scores: vec![scores], note }))
        });
        scored.filter_map(Result::transpose).collect()
    }
}
