//! The page about an integration: maps, scores beside those of other methods, what each part contributes,
//! modalities, curves, cells and settings, each where there is something to show.

use scgpt_eval::Neighbourhood;
use scgpt_report::Page;
use scgpt_train::Metric;

use super::{
    BatchSize, GeneratedModality, GeneratedScores, IntegrateReport,
    shown::{NONE, SCORES, compare, heading, line},
};
use crate::training::{
    THINNING_CURVE, learning_curves, network_rows, settings, size_line, validation_curves,
};

impl IntegrateReport {
    /// Has the map of the page be the UMAP that was found of the embeddings, if one was.
    pub fn place(&mut self, found: Option<&Neighbourhood>) {
        self.map.place(found);
    }

    /// The report as a page.
    pub fn page(&self) -> Page {
        let data = &self.data;
        let mut page = Page::new("Integration of batches", &data.path);
        let [training, validation] = data.totals();
        let mut numbers = vec![
            ("batches", data.batches.len().to_string()),
            ("cells", (training + validation + data.without_genes).to_string()),
            ("genes", data.genes.to_string()),
        ];
        if let Some(ours) = self.methods.first() {
            for (name, of) in &SCORES[1..3] {
                numbers.extend(ours.mean(of).map(|score| (*name, format!("{score:.3}"))));
            }
        }
        page.numbers(&numbers);
        // A UMAP is of the best method; without one the network's embedding is laid out.
        let of_best = self
            .chosen
            .as_ref()
            .filter(|it| self.map.is_placed() && it.method != super::IntegrateMethod::Network);
        let by = of_best.map_or("their embeddings", |best| best.method.name());
        self.map.draw(&mut page, by);
        compare(&mut page, &self.methods, data.label.as_deref(), self.verdict());
        if let Some(chosen) = &self.chosen {
            page.text(&format!("The best: {}, {}.", chosen.method.name(), chosen.because));
        }
        self.ablation(&mut page);
        self.modalities(&mut page);
        let metrics = [
            ("gep", "GEP error"),
            ("gepc", "GEPC error"),
            ("dar_accuracy", "batches told (DAR)"),
            THINNING_CURVE,
            (Metric::FOSCTTM, "FOSCTTM of modalities"),
            ("avg_bio", "AvgBIO"),
            ("avg_batch", "AvgBATCH"),
        ];
        let is_share = |name: &str| !matches!(name, "gep" | "gepc");
        let of = |wanted: bool| -> Vec<(&str, &str)> {
            metrics.into_iter().filter(|(name, _)| is_share(name) == wanted).collect()
        };
        learning_curves(
            &mut page,
            &self.curves,
            &of(false),
            "squared bins",
            "Errors of hidden values of the validation cells.",
        );
        let shares = of(true);
        validation_curves(
            &mut page,
            &self.curves.validation,
            &shares,
            "share",
            "How often the adversarial head tells the batch of a validation cell, how often halves of cells find each \
             other, which share of other cells lies between two modalities of a cell (FOSCTTM), and scores by labels.",
        );
        if let Some(thinned) = self.learned.thinned {
            page.text(&thinned.sentence());
        }
        self.cells(&mut page);
        self.settings(&mut page);
        page
    }

    /// Adds scores of the network beside those of networks that learned without one of its parts.
    fn ablation(&self, page: &mut Page) {
        let Some(ours) = self.methods.first().filter(|_| !self.ablated.is_empty()) else { return };
        let without = self
            .ablated
            .iter()
            .map(|ablated| line(&format!("without {}", ablated.without), |of| of(&ablated.scores)));
        let whole = line("all", |of| ours.scores.first().and_then(of));
        let rows: Vec<Vec<String>> = std::iter::once(whole).chain(without).collect();
        page.section("Without each part").columns(&heading("trained"), &rows);
        page.text("Each row is one training with the same seed.");
    }

    /// Adds how many cells of each batch were measured in which modality and, if there is a truth,
    /// how far the generated values are from it.
    fn modalities(&self, page: &mut Page) {
        let data = &self.data;
        if data.modalities.is_empty() {
            return;
        }
        let batches = data.batches.iter().map(|batch| format!("cells of {}", batch.name));
        let heading: Vec<String> =
            ["modality", "features"].map(String::from).into_iter().chain(batches).collect();
        let heading: Vec<&str> = heading.iter().map(String::as_str).collect();
        let rows: Vec<Vec<String>> = data
            .modalities
            .iter()
            .map(|modality| {
                let cells = modality.cells.iter().map(ToString::to_string);
                [modality.name.clone(), format!("{}{}", modality.features, modality.chosen_by())]
                    .into_iter()
                    .chain(cells)
                    .collect()
            })
            .collect();
        page.section("Modalities").columns(&heading, &rows);
        if let Some(links) = &data.links {
            page.text(&format!("Links: {}.", links.sentence()));
        }
        if let Some(mosaic) = &self.mosaic {
            page.text(&format!("{mosaic}."));
        }
        let row = |modality: &GeneratedModality| {
            let scores = modality.scores?;
            let number = |score: Option<f64>, digits: usize| {
                score.map_or_else(|| NONE.to_owned(), |score| format!("{score:.digits$}"))
            };
            let pair = |scores: Option<GeneratedScores>| {
                [number(scores.map(|it| it.error), 1), number(scores.map(|it| it.correlation), 3)]
            };
            let mut row =
                vec![modality.modality.clone(), scores.cells.to_string(), modality.by.to_string()];
            row.extend(pair(Some(scores)));
            row.push(number(Some(scores.mean_error), 1));
            row.extend(pair(modality.ridge));
            row.extend(pair(modality.type_mean));
            row.push(number(modality.foscttm, 3));
            Some(row)
        };
        let rows: Vec<Vec<String>> = self.generated.iter().filter_map(row).collect();
        if !rows.is_empty() {
            page.columns(
                &[
                    "generated",
                    "cells",
                    "by",
                    "squared error",
                    "correlation",
                    "error of the mean",
                    "error of ridge",
                    "correlation of ridge",
                    "error of type means",
                    "correlation of type means",
                    "FOSCTTM",
                ],
                &rows,
            );
            page.text(
                "Value bins of modalities that cells were not measured in, generated from the others, against the truth. \
                 The mean is that of each feature over the cells that were measured, that of types takes the types of the \
                 cells to be known; ridge is a regression on principal components of what was measured. Correlations are over \
                 cells, averaged over features. FOSCTTM is the share of other cells that lie nearer to a cell than what was not \
                 measured of it, as the truth has it: 0.5 by chance.",
            );
        }
    }

    /// Adds how many cells of each batch were trained on, and how many selected the network.
    fn cells(&self, page: &mut Page) {
        let row = |batch: &BatchSize| size_line(&batch.name, batch.parts());
        let rows: Vec<Vec<String>> = self.data.batches.iter().map(row).collect();
        page.section("Cells").columns(&["batch", "trained on", "to select"], &rows);
        if let Some(told) = &self.data.batches_told {
            page.text(&format!("{told}."));
        }
        if self.data.without_genes > 0 {
            page.text(&format!(
                "{} cells express none of the genes; they were embedded, but not learned from.",
                self.data.without_genes
            ));
        }
    }

    /// Adds where the network came from, what it learned and how long.
    fn settings(&self, page: &mut Page) {
        let (config, network, data) = (&self.config, &self.learned.network, &self.data);
        let objectives = config.objectives;
        let weights = [
            ("GEP", objectives.gep),
            ("GEP zeros", objectives.gep_zero),
            ("GEPC", objectives.gepc),
            ("GEPC zeros", objectives.gepc_zero),
            ("ECS", objectives.ecs),
            ("DAR", objectives.dar),
        ];
        let used = weights.iter().filter(|(_, weight)| *weight > 0.0);
        let used: Vec<String> = used.map(|(name, weight)| format!("{weight} {name}")).collect();
        let mut rows = network_rows(config.model.as_deref(), network).to_vec();
        rows.extend([
            (
                "genes",
                format!(
                    "{} by {}, of {} known, of the {} of the model",
                    data.genes, data.flavour, data.known_genes, data.model_genes
                ),
            ),
            ("objectives", used.join(" + ")),
            ("input norm", format!("{:?}", config.input_norm)),
            ("batch", format!("{} cells", config.batch_size)),
        ]);
        settings(page, "Settings", rows, &config.training, &self.learned);
    }
}
