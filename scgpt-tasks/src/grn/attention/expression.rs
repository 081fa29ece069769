//! Networks of a simple method in place of attention: the same cells, genes, edge lists and lists of targets, and no
//! model.

use std::time::Instant;

use scgpt_data::{
    Advice, CellSource, CellSubset, EmptyCells, GeneVocab, LoggedCells, Observer, Setting,
    similar_names, unscaled,
};
use scgpt_eval::{baseline::Association, network::ProfileBuilder};

use super::{
    AttentionNetworks, AttentionOptions, AttentionReport, NetworkMethod, NetworkSetting,
    baselines::{EdgeBaseline, EdgeJudge},
    report::Seen,
    row::{ATTENTION, NetworkRow, method_of},
    selection::Selection,
};
use crate::error::{Error, Result};

/// A method, and why it was chosen.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) method: NetworkMethod,
    pub(super) because: String,
}

impl AttentionNetworks {
    /// Networks of the simple method of the options, or of the best of the simple methods, in the form of those of
    /// attention; no model is needed, and all genes of the data are known. Weights have no null, and a single group
    /// no copies to be compared with.
    ///
    /// # Errors
    /// If the method is the network's attention, or the best is asked for without a truth to choose by; as
    /// [`Embedder::attention_networks`](crate::embed::Embedder::attention_networks) otherwise.
    pub fn of_expression(
        source: &mut dyn CellSource,
        options: &AttentionOptions<'_>,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let begin = Instant::now();
        check_truth(options)?;
        if options.method == NetworkMethod::Network {
            return Err(Setting("method").wrong("is `network`, which needs a model").into());
        }
        let (_, n_columns) = source.summary().shape(options.matrix)?;
        let var = source.var(options.matrix)?;
        let vocab = GeneVocab::from_genes([&var], options.gene_names)?;
        let alignment = vocab.align(&var, options.gene_names)?;
        if let Some(gene) = options.genes.iter().find(|gene| vocab.token(gene).is_none()) {
            let hint = similar_names(gene, vocab.names()).hint();
            return Err(Error::option(format!(
                "gene `{gene}` is not among those of the data{hint}"
            )));
        }
        let selected = Selection::of(source, &vocab, &alignment, options, observer)?;
        let mut empty = EmptyCells::of_known(&alignment);
        let logged = LoggedCells::new(options.matrix, unscaled(source, options.matrix)?);
        let mut chosen = CellSubset::new(source, selected.numbers());
        let mut sought = empty.among(&mut chosen, options.matrix);
        let mut expression = ProfileBuilder::new(&selected.panel.columns, n_columns);
        logged.each(&mut sought, "reading expression", observer, &mut |_, block| {
            block.rows().for_each(|row| expression.push(row));
        })?;
        drop(sought);
        let asked = options.method.rule();
        let is_made = |rule: &Association| asked.is_none_or(|asked| asked == *rule);
        let rules: Vec<Association> = Association::ALL.into_iter().filter(is_made).collect();
        let judge = EdgeJudge {
            genes: &selected.panel,
            embedder: None,
            groups: &selected.groups,
            cells: &selected.cells,
            truth: selected.truth.as_ref(),
            is_second: &selected.is_second,
            seed: options.seed,
        };
        observer.begin("comparing networks", 0);
        let (rows, baselines) = judge.simple(&rules, &expression.into_profiles(), observer)?;
        let n = selected.panel.len();
        let mut networks = Self {
            report: AttentionReport {
                genes_known: alignment.matched(),
                genes_of_model: alignment.vocabulary,
                other_features: alignment.summary().others(),
                without_genes: empty.len(),
                truth: selected.truth.as_ref().map(scgpt_eval::network::TrueEdges::summary),
                rows,
                ..AttentionReport::new(n, &selected.groups, options, Seen::Expression)
            },
            genes: selected.panel.names.clone(),
            weights: [vec![0.0; n * n], vec![0.0; n * n]],
            null: None,
            baselines,
        };
        networks.choose(options.method)?;
        networks.answer(options, observer)?;
        networks.report.seconds = begin.elapsed().as_secs_f64();
        Ok(networks)
    }

    /// Puts the network of a method in the place of that which is there: of a simple one its weights, which are no
    /// longer among the simpler networks; of the best the one that finds the truth best.
    ///
    /// # Errors
    /// If no method could be judged by the truth.
    pub(super) fn choose(&mut self, method: NetworkMethod) -> Result<()> {
        let method = if method == NetworkMethod::Best {
            let Some(chosen) = best(&self.report.rows, self.report.question()) else {
                return Err(Error::option(
                    "the best method cannot be chosen: fewer than two could be judged by the known regulations",
                ));
            };
            self.report.because = Some(chosen.because);
            chosen.method
        } else {
            method
        };
        self.report.method = method;
        let is_it = |it: &EdgeBaseline| method.rule().is_some_and(|rule| it.name == rule.name());
        let Some(place) = self.baselines.iter().position(is_it) else { return Ok(()) };
        let EdgeBaseline { perturbed, control, .. } = self.baselines.remove(place);
        let zeros = vec![0.0; perturbed.len()];
        let before = std::mem::replace(&mut self.weights, [perturbed, control.unwrap_or(zeros)]);
        if self.report.model.is_some() {
            let [perturbed, control] = before;
            let attention = EdgeBaseline { name: ATTENTION, perturbed, control: Some(control) };
            self.baselines.insert(0, attention);
        }
        self.null = None;
        self.report.significant = None;
        Ok(())
    }
}

/// Checks that there is something to choose the best method by, if it is asked for.
///
/// # Errors
/// If not.
pub(super) fn check_truth(options: &AttentionOptions<'_>) -> Result<()> {
    if options.method != NetworkMethod::Best {
        return Ok(());
    }
    let by = match (options.truth.is_some(), options.baselines) {
        (true, true) => return Ok(()),
        (false, _) => {
            Advice::from(
                "is `best`, which known regulations choose: halves of the cells tell what is stable, not what is \
                          right; give them by ",
            ) + Setting("truth")
        }
        (true, false) => {
            Advice::from("is `best`, but there are no simple methods to choose among (")
                + Setting("baselines")
                + ")"
        }
    };
    Err(Setting("method").wrong(by).into())
}

/// The method that finds known regulations best in a setting, among attention and rules of expression; `None` if fewer
/// than two of them were judged.
fn best(rows: &[NetworkRow], question: NetworkSetting) -> Option<Chosen> {
    let mut ranked: Vec<(NetworkMethod, f64, &str)> = rows
        .iter()
        .filter(|row| row.setting == Some(question))
        .filter_map(|row| Some((method_of(row)?, row.truth?.auprc_ratio, row.method.as_str())))
        .collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    let [(method, score, _), (_, next, name), ..] = ranked.as_slice() else { return None };
    let because = format!("AUPRC ratio {score:.2} against {next:.2} of {name}, the next");
    Some(Chosen { method: *method, because })
}
