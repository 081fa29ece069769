//! The page about networks from attention.
//!
//! It goes from the answer to the evidence: the verdict, how far to trust it, the targets of each
//! gene asked for (or the strongest edges), their gene sets, and what was done. A page shows tens
//! of edges; the edge lists have all of them.

use scgpt_eval::network::{SCORES, scores_row};
use scgpt_report::{HeatMap, Page};

use super::{
    AttentionNetworks, AttentionReport, NetworkRow, NetworkSetting, TargetList,
    report::SIGNIFICANT,
    row::{ATTENTION, BEFORE_TRAINING},
};
use crate::start_vectors::NO_START;

/// Most targets in a table, and most genes beside the one asked for in a heat map.
const SHOWN: usize = 20;

impl AttentionNetworks {
    /// The report as a page; `file` is shown below the title, and says what the cells are.
    pub fn page(&self, file: &str) -> Page {
        let report = &self.report;
        let [first, second] = &report.groups;
        let title = match report.method.rule() {
            Some(rule) => format!("Gene networks from {rule}"),
            None => "Gene networks from attention".into(),
        };
        let mut page = Page::new(&title, file);
        page.text(&report.verdict());
        let mut numbers = vec![(first.name.as_str(), format!("{} cells", first.cells))];
        if !report.is_single {
            numbers.push((second.name.as_str(), format!("{} cells", second.cells)));
        }
        numbers.push(("genes", report.genes.to_string()));
        numbers.push(("edges", (report.genes * (report.genes - 1)).to_string()));
        if let Some(significant) = report.significant {
            numbers.push(("edges that differ at FDR 5 %", significant.to_string()));
        }
        page.numbers(&numbers);
        self.trust(&mut page);
        for list in &report.targets {
            self.targets_of(list, &mut page);
        }
        if report.targets.is_empty() {
            let setting = report.question();
            let network = self.network(setting, 2 * SHOWN);
            let mut genes: Vec<usize> = Vec::new();
            for edge in network.edges() {
                for gene in [edge.source, edge.target] {
                    if !genes.contains(&gene) && genes.len() <= SHOWN {
                        genes.push(gene);
                    }
                }
            }
            page.section("Strongest edges");
            self.sub_matrix(&genes, setting, &mut page);
            let rows: Vec<Vec<String>> = network.edges()[..network.edges().len().min(SHOWN)]
                .iter()
                .map(|edge| {
                    let name = |gene: usize| self.genes[gene].clone();
                    vec![name(edge.source), name(edge.target), format!("{:+.4}", edge.weight)]
                })
                .collect();
            let [source, target] = match report.method.rule() {
                Some(_) => ["source", "target"],
                None => ["source (key)", "target (query)"],
            };
            page.columns(&[source, target, "weight"], &rows);
        }
        self.enrichment(&mut page);
        self.method(&mut page);
        page
    }

    /// Adds gene sets of the lists of targets, the most probable first; nothing if none were given.
    fn enrichment(&self, page: &mut Page) {
        let report = &self.report;
        if report.enriched.is_empty() {
            return;
        }
        let lists = report.lists();
        page.section("Gene sets among the targets");
        let found = report.enriched.iter().filter(|found| found.q < SIGNIFICANT);
        let mut best: Vec<_> = found.collect();
        if best.is_empty() {
            page.text("No list has more genes of a set than chance would give it.");
            return;
        }
        best.sort_by(|a, b| a.p.total_cmp(&b.p));
        let rows: Vec<Vec<String>> = best
            .into_iter()
            .take(SHOWN)
            .map(|found| {
                vec![
                    lists[found.list].0.clone(),
                    found.readable_set(),
                    format!("{} of {}", found.genes.len(), found.size),
                    format!("{:.1e}", found.p),
                    format!("{:.1e}", found.q),
                    format!("{:.1}", found.odds_ratio),
                    found.genes.join(", "),
                ]
            })
            .collect();
        page.columns(&["list", "set", "genes", "p", "FDR", "odds ratio", "which"], &rows)
            .text(
                "One-sided hypergeometric tests against the genes of the panel, which lists were drawn from; FDR \
                 over all lists and all sets of a file.",
            );
    }

    /// Adds how far halves of the cells agree on every network and, if the truth is given, how many
    /// of the known regulations it finds.
    fn trust(&self, page: &mut Page) {
        let report = &self.report;
        page.section("How far to trust it");
        let share = |value: Option<f64>| value.map_or_else(|| "–".into(), |x| format!("{x:.3}"));
        let row = |row: &NetworkRow| {
            vec![
                row.method.clone(),
                row.setting.map_or("–", |setting| setting.name(report.contrast())).to_owned(),
                share(row.consistency.map(|halves| halves.spearman)),
                share(row.consistency.map(|halves| halves.jaccard)),
                share(row.consistency.map(|halves| halves.chance)),
            ]
        };
        let rows: Vec<Vec<String>> = report.rows.iter().map(row).collect();
        page.columns(
            &["network", "of", "Spearman of halves", "Jaccard of strongest edges", "by chance"],
            &rows,
        );
        page.text(
            "The cells of each group were divided in two at random, and each half gave a network. A network of gene \
             embeddings is the same whatever the cells. Attention that hardly depends on expression agrees with \
             itself without telling anything of these cells: look at the difference.",
        );
        if let Some(truth) = &report.truth {
            page.section("Against known regulations");
            let mut heading = SCORES.to_vec();
            heading.push("signs right");
            let rows: Vec<Vec<String>> = report
                .rows
                .iter()
                .filter_map(|row| {
                    let mut cells = scores_row(&report.called(row), row.truth.as_ref()?);
                    cells.push(share(row.sign_accuracy));
                    Some(cells)
                })
                .collect();
            page.columns(&heading, &rows).text(&format!(
                "{} true edges from {} regulators among {} pairs; edges are ranked by the size of their weight. A \
                 random order has an AUPRC ratio and an early precision ratio (EPR) of 1.",
                truth.edges, truth.regulators, truth.candidates
            ));
        }
    }

    /// Adds the strongest targets of a gene: their names by each setting, then numbers, and a heat
    /// map for the setting that the question is about.
    fn targets_of(&self, list: &TargetList, page: &mut Page) {
        let report = &self.report;
        page.section(&format!("Targets of {}", list.gene));
        let number = |x: Option<f64>| x.map_or_else(|| "–".into(), |x| format!("{x:.2e}"));
        for &setting in report.settings() {
            let strongest = list.strongest(setting, SHOWN);
            page.text(&format!(
                "Strongest by {}: {}.",
                setting.name(report.contrast()),
                strongest.iter().map(|target| target.gene.as_str()).collect::<Vec<_>>().join(", ")
            ));
        }
        let question = report.question();
        let rows: Vec<Vec<String>> = list
            .strongest(question, SHOWN)
            .into_iter()
            .map(|target| {
                let mut row = vec![target.gene.clone()];
                let weight = |setting: &NetworkSetting| target.weights[*setting as usize];
                let weights = report.settings().iter().map(weight);
                row.extend(weights.map(|weight| format!("{weight:.4}")));
                row.extend([number(target.p), number(target.fdr)]);
                row
            })
            .collect();
        let mut heading = vec!["target"];
        heading.extend(report.settings().iter().map(|setting| setting.name(report.contrast())));
        heading.extend(["p", "FDR"]);
        page.columns(&heading, &rows);
        let place = |name: &str| self.genes.iter().position(|gene| gene == name);
        let mut genes: Vec<usize> = place(&list.gene).into_iter().collect();
        genes.extend(
            list.strongest(question, SHOWN).iter().filter_map(|target| place(&target.gene)),
        );
        self.sub_matrix(&genes, question, page);
    }

    /// Adds a heat map of the weights among some genes, a row a query and a column a key.
    /// Differences are shaded around 0, others from the least to the largest of them.
    fn sub_matrix(&self, genes: &[usize], setting: NetworkSetting, page: &mut Page) {
        let n = self.genes.len();
        let weights = setting.of(&self.weights[0], &self.weights[1]);
        let names: Vec<String> = genes.iter().map(|&gene| self.genes[gene].clone()).collect();
        // A row a query, a column a key.
        let cells: Vec<f32> = genes
            .iter()
            .flat_map(|&query| genes.iter().map(move |&key| (query, key)))
            .map(|(query, key)| if query == key { f32::NAN } else { weights[key * n + query] })
            .collect();
        let of_pairs = || cells.iter().copied().filter(|x| !x.is_nan());
        let least = of_pairs().fold(f32::INFINITY, f32::min);
        let most = of_pairs().fold(f32::NEG_INFINITY, f32::max);
        let (from, scale, colours) = match setting {
            NetworkSetting::Difference => (0.0, most.max(-least), "blue more, orange less; "),
            _ => (least, most - least, ""),
        };
        let shade = |&x: &f32| {
            if x.is_nan() { 0.0 } else { f64::from((x - from) / scale.max(1e-12)) }
        };
        let label = |&x: &f32| if x.is_nan() { String::new() } else { format!("{x:+.3}") };
        let map = HeatMap {
            rows: &names,
            columns: &names,
            shades: cells.iter().map(shade).collect(),
            labels: cells.iter().map(label).collect(),
            axes: match self.report.method.rule() {
                Some(_) => ["target", "source"],
                None => ["query: the gene that looks", "key: the gene that is looked at"],
            },
        };
        let caption = format!(
            "Weights ({}) among these genes, {colours}from {least:+.3} to {most:+.3}; those of a gene and itself are left \
             out. The influence of a gene is its column.",
            setting.name(self.report.contrast())
        );
        page.heat_map(&map, &caption);
    }

    /// Adds how weights, null and p values came about, and how many cells and genes there were.
    fn method(&self, page: &mut Page) {
        let report = &self.report;
        let (Some(model), Some(layer), None) = (&report.model, report.layer, report.method.rule())
        else {
            return self.simple_method(page);
        };
        let [first, second] = &report.groups;
        let null = if report.is_single {
            "The control are copies of the same cells whose values are shuffled among the genes of the panel: what \
             differs is due to expression, not to the identity of genes alone. Permutations swap a cell and its copy."
        } else {
            "Permutations give the labels of the groups to cells at random."
        };
        page.section("What was done").text(&format!(
            "Scores of attention before scaling and softmax (rows queries, columns keys) were replaced by ranks in \
             each row, then by ranks in each column, and averaged over heads and cells; a weight is between 0 and \
             1, and 0.5 is no preference. An edge goes from the key, the gene that is looked at, to the query, the \
             gene that looks: the targets of a gene are its column. {null} p values compare a difference, in \
             standard deviations over cells, with those of all edges under all permutations; FDR is by Benjamini \
             and Hochberg, in the edge lists among all edges, in a table of targets among these."
        ));
        let config = &model.config;
        let mut rows = vec![
            ("layer", format!("{layer} (from 0 to {})", config.n_layers - 1)),
            ("heads", config.n_heads.to_string()),
            (
                "genes",
                format!(
                    "{} of {} that the model knows, which has {}",
                    report.genes, report.genes_known, report.genes_of_model
                ),
            ),
            ("cells of the first group", format!("{} of {}", first.cells, first.available)),
        ];
        if !report.is_single {
            rows.push((
                "cells of the control",
                format!("{} of {}", second.cells, second.available),
            ));
        }
        rows.extend([
            ("permutations", report.permutations.to_string()),
            ("gene vectors before training", before_training(report).into()),
            ("seed", report.seed.to_string()),
        ]);
        page.table(&rows);
    }

    /// As [`method`](Self::method), of weights that are of expression alone.
    fn simple_method(&self, page: &mut Page) {
        let report = &self.report;
        let [first, second] = &report.groups;
        page.section("What was done").text(
            "Weights are of the expression of the genes in these cells, as logarithms of a common sum. Correlations have no \
             direction, and are listed both ways; weights of trees go from the gene that tells to the gene that is told, \
             and have no sign. There is no null, and so no p values.",
        );
        let mut rows = vec![
            ("genes", format!("{} of {}", report.genes, report.genes_known)),
            ("cells of the first group", format!("{} of {}", first.cells, first.available)),
        ];
        if !report.is_single {
            rows.push((
                "cells of the control",
                format!("{} of {}", second.cells, second.available),
            ));
        }
        rows.extend(report.because.iter().map(|because| ("chosen", because.clone())));
        rows.push(("seed", report.seed.to_string()));
        page.table(&rows);
    }
}

/// Whether there is a network of the vectors before training among those that were compared.
fn before_training(report: &AttentionReport) -> &'static str {
    if report.rows.iter().any(|row| row.method == BEFORE_TRAINING) {
        "compared above: what they tell was there before the first step"
    } else if report.rows.iter().any(|row| row.method != ATTENTION) {
        NO_START
    } else {
        "not compared, as no other network was"
    }
}
