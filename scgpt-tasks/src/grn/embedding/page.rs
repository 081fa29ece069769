//! The page about a network of gene vectors.
//!
//! It goes from sizes and verdict to what was found: the strongest programmes as a drawing, where
//! they are active, their gene sets, and similar genes; how it came about stands last. The page has
//! the largest and the strongest of everything, the tables of the folder all of it.

use std::collections::{HashMap, HashSet};

use scgpt_eval::network::{Edge, Programme};
use scgpt_report::{Cluster, HeatMap, Page};

use super::{EmbeddingNetworks, ReplicateScores};
use crate::start_vectors::NO_START;

/// Numbers of programmes drawn, of genes of each, and of edges between programmes.
const DRAWN: usize = 9;
const GENES: usize = 10;
const LINKS: usize = 25;
/// Most programmes in the heat map and in the table of gene sets.
const ROWS: usize = 40;
/// Most gene sets of a programme in the table.
const SETS: usize = 3;

impl EmbeddingNetworks {
    /// The report as a page: the verdict, programmes, where they are active, their gene sets.
    /// `subtitle` says what the network is of.
    pub fn page(&self, subtitle: &str) -> Page {
        let title = match self.report.method.rule() {
            Some(rule) => format!("Gene networks from {rule}"),
            None => "Gene networks from gene embeddings".into(),
        };
        let mut page = Page::new(&title, subtitle);
        self.overview(&mut page);
        self.trust(&mut page);
        self.caution(&mut page);
        self.added_by_training(&mut page);
        self.drawing(&mut page);
        self.types(&mut page);
        self.sets(&mut page);
        self.similar_genes(&mut page);
        self.method(&mut page);
        page
    }

    /// Adds how large the network is, and how similar genes are altogether.
    fn overview(&self, page: &mut Page) {
        let report = &self.report;
        let mut numbers = vec![
            ("genes", report.genes.to_string()),
            ("edges", report.edges.to_string()),
            ("programmes", report.programmes.to_string()),
        ];
        // A simple method has no null.
        if report.method.rule().is_none() {
            numbers.push(("pairs beyond chance", report.pairs_beyond_chance.to_string()));
        }
        if let Some(own) = report.pathways.first().filter(|it| it.pairs.is_some()) {
            numbers.push(("pathways found", own.sets.to_string()));
        }
        page.numbers(&numbers);
        if let Some(rule) = report.method.rule() {
            page.text(&format!(
                "Weights are of the expression of the genes, by {rule}; an edge needs {:.3}, whatever the sign.",
                report.threshold
            ));
            if let Some(because) = &report.because {
                page.text(&format!("Chosen: {because}."));
            }
            return;
        }
        let [least, low, median, high, most] = report.similarities;
        page.text(&format!(
            "Vectors {}{}. Cosine similarities run from {least:.2} to {most:.2}, 5 % of them below {low:.2}, half below \
             {median:.2}, 5 % above {high:.2}; an edge needs {:.3}. {} of the {} edges are beyond chance at a false-discovery \
             rate of 5 %.",
            if report.contextual {
                "are mean states of the genes after the last block, over the cells that express them"
            } else {
                "are those of the model's table, before any cell"
            },
            if report.centred {
                "; their common mean, which says nothing of any two of them, is taken off"
            } else {
                ""
            },
            report.threshold,
            report.edges_beyond_chance,
            report.edges,
        ));
    }

    /// Adds this network beside the others: gene sets of its programmes, and the agreement of
    /// halves of the cells.
    fn trust(&self, page: &mut Page) {
        page.section("Which network to trust").text(&self.report.verdict);
        // Without gene sets nothing was looked for, which is not to have found none.
        let has_sets = self.report.pathways.iter().any(|it| it.pairs.is_some() || it.sets > 0);
        let of_sets = |number: String| if has_sets { number } else { "–".into() };
        let rows: Vec<Vec<String>> = self
            .report
            .pathways
            .iter()
            .map(|it| {
                vec![
                    it.method.clone(),
                    it.programmes.to_string(),
                    it.genes.to_string(),
                    of_sets(percent(it.with_set, it.programmes)),
                    of_sets(it.sets.to_string()),
                    of_sets(it.sets_bonferroni.to_string()),
                    it.pairs.map_or_else(|| "–".into(), |area| format!("{area:.3}")),
                ]
            })
            .collect();
        page.columns(
            &[
                "network",
                "programmes",
                "genes in them",
                "with a pathway",
                "pathways (FDR < 5 %)",
                "pathways (Bonferroni)",
                "pairs within a pathway (AUC)",
            ],
            &rows,
        );
        if !self.report.replicates.is_empty() {
            let rows: Vec<Vec<String>> = self.report.replicates.iter().map(replicate).collect();
            page.text("Two halves of the cells, drawn at random, as replicates:").columns(
                &[
                    "network",
                    "rank correlation",
                    "strongest edges in common",
                    "by chance",
                    "compared",
                ],
                &rows,
            );
        }
    }

    /// Draws the [`DRAWN`] programmes of largest mean similarity as clusters, with the strongest
    /// edges between them.
    fn drawing(&self, page: &mut Page) {
        page.section("The strongest programmes");
        if self.programmes.is_empty() {
            page.text(
                "No community has enough genes; a lower resolution makes fewer and larger ones.",
            );
            return;
        }
        let mut drawn: Vec<usize> = (0..self.programmes.len()).collect();
        drawn.sort_by(|&a, &b| self.programmes[b].strength.total_cmp(&self.programmes[a].strength));
        drawn.truncate(DRAWN);
        let mut place_of: HashMap<usize, (usize, usize)> = HashMap::new();
        let clusters: Vec<Cluster> = drawn
            .iter()
            .enumerate()
            .map(|(field, &number)| {
                let genes = &self.programmes[number].genes;
                let shown = &genes[..genes.len().min(GENES)];
                place_of.extend(shown.iter().enumerate().map(|(i, &gene)| (gene, (field, i))));
                self.cluster(number, shown)
            })
            .collect();
        let between = |edge: &&Edge| {
            let ends = [edge.source, edge.target].map(|gene| place_of.get(&gene));
            matches!(ends, [Some(a), Some(b)] if a.0 != b.0)
        };
        let links: Vec<[(usize, usize); 2]> = self
            .network
            .edges()
            .iter()
            .filter(between)
            .take(LINKS)
            .map(|edge| [place_of[&edge.source], place_of[&edge.target]])
            .collect();
        page.network(
            &clusters,
            &links,
            &format!(
                "The {} programmes with the highest mean similarity, up to {GENES} genes each, the most central the \
                 largest. Lines are similarities of at least {:.3}, stronger ones wider; dashed lines are the strongest \
                 ones between programmes.",
                clusters.len(),
                self.report.threshold
            ),
        );
    }

    /// One programme of the drawing: its most central genes, the edges among them by how far they
    /// are beyond the threshold (0 to 1), and the first gene set found in it.
    fn cluster(&self, number: usize, shown: &[usize]) -> Cluster {
        let mut edges = Vec::new();
        for (i, &a) in shown.iter().enumerate() {
            for (j, &b) in shown.iter().enumerate().take(i) {
                let weight = f64::from(self.similarities.get(a, b));
                if weight >= self.report.threshold {
                    let room = (1.0 - self.report.threshold).max(1e-9);
                    edges.push((j, i, ((weight - self.report.threshold) / room).clamp(0.0, 1.0)));
                }
            }
        }
        let best = self.enriched.iter().find(|it| it.list == number && it.q < 0.05);
        let set = best.map(|it| format!(" · {}", it.readable_set())).unwrap_or_default();
        Cluster {
            title: format!("{}{set}", number + 1),
            nodes: shown.iter().map(|&gene| self.genes[gene].clone()).collect(),
            edges,
        }
    }

    /// Adds mean scores of programmes in cell types as a heat map; nothing without types.
    fn types(&self, page: &mut Page) {
        let Some(scores) = self.scores.as_ref().filter(|it| !it.types.is_empty()) else { return };
        let n = self.programmes.len();
        let shown = n.min(ROWS);
        let rows: Vec<String> =
            (0..shown).map(|number| self.name(number, &self.programmes[number])).collect();
        let (mut shades, mut labels) = (Vec::new(), Vec::new());
        for programme in 0..shown {
            let of_types: Vec<f64> = (0..scores.types.len())
                .map(|of_type| scores.means[of_type * n + programme])
                .collect();
            let [low, high] = [f64::min, f64::max].map(|f| of_types.iter().copied().reduce(f));
            let (low, high) = (low.unwrap_or(0.0), high.unwrap_or(1.0));
            shades.extend(of_types.iter().map(|x| (x - low) / (high - low).max(1e-9)));
            labels.extend(of_types.iter().map(|x| format!("{x:.2}")));
        }
        let map = HeatMap {
            rows: &rows,
            columns: &scores.types,
            shades,
            labels,
            axes: ["programme", "cell type"],
        };
        page.section("Where programmes are active").heat_map(
            &map,
            &format!(
                "Mean score of {} programmes in cell types: expression above control genes of similar mean, from 0 in the \
                 cell where it is least to 1 where it is most. Shades go from the lowest to the highest type of each row.",
                if shown < n { format!("the {shown} largest") } else { format!("all {n}") }
            ),
        );
    }

    /// A programme by its number, from 1, and its most central genes.
    fn name(&self, number: usize, programme: &Programme) -> String {
        let genes: Vec<&str> =
            programme.genes.iter().take(3).map(|&gene| self.genes[gene].as_str()).collect();
        format!("{} {}", number + 1, genes.join(" "))
    }

    /// Adds the most probable gene sets of each programme as a table; nothing if none were given.
    fn sets(&self, page: &mut Page) {
        if self.enriched.is_empty() {
            return;
        }
        page.section("Gene sets");
        let mut rows = Vec::new();
        let mut met: HashSet<usize> = HashSet::new();
        for number in 0..self.programmes.len() {
            let found = self.enriched.iter().filter(|it| it.list == number && it.q < 0.05);
            let mut found: Vec<_> = found.collect();
            found.sort_by(|a, b| a.p.total_cmp(&b.p));
            for it in found.into_iter().take(SETS) {
                if met.len() >= ROWS {
                    break;
                }
                let programme = &self.programmes[number];
                let name =
                    if met.insert(number) { self.name(number, programme) } else { String::new() };
                rows.push(vec![
                    name,
                    it.readable_set(),
                    format!("{} of {}", it.genes.len(), it.size),
                    if it.odds_ratio.is_finite() {
                        format!("{:.0}", it.odds_ratio)
                    } else {
                        "∞".into()
                    },
                    format!("{:.1e}", it.p),
                    format!("{:.1e}", it.q),
                ]);
            }
        }
        if rows.is_empty() {
            page.text("No programme has more genes of a set than chance would give it.");
            return;
        }
        page.columns(&["programme", "gene set", "genes", "odds ratio", "p", "FDR"], &rows);
        page.text(&format!(
            "At most {SETS} sets of a programme. Compared with {} genes; p from the hypergeometric distribution, FDR the \
             false-discovery rate over all programmes and all sets of a file. enrichment.csv has all of them.",
            self.report.background
        ));
    }

    /// Adds the most similar genes of each gene asked for; nothing if none were.
    fn similar_genes(&self, page: &mut Page) {
        if self.similar.is_empty() {
            return;
        }
        let line = |found: &[(String, f32)]| {
            let items: Vec<String> =
                found.iter().map(|(gene, cosine)| format!("{gene} {cosine:.2}")).collect();
            items.join(", ")
        };
        let rows: Vec<Vec<String>> =
            self.similar.iter().map(|(gene, found)| vec![gene.clone(), line(found)]).collect();
        page.section("Similar genes").columns(&["gene", "most similar, with cosine"], &rows);
    }

    /// Adds what agreement of halves and a threshold mean for vectors in context.
    fn caution(&self, page: &mut Page) {
        if self.report.contextual {
            page.text(
                "Agreement between halves is easily had by vectors in context, since both halves start from the same table: \
                 it says that few cells suffice, not that an edge is true.",
            );
        }
    }

    /// Adds the network of the vectors before training beside this one, or that it is not known.
    fn added_by_training(&self, page: &mut Page) {
        let report = &self.report;
        if report.method.rule().is_some() {
            return;
        }
        page.section("What training added");
        let Some(start) = &report.start else {
            page.text(&format!("What was there before training is {NO_START}."));
            return;
        };
        let number = |before: usize, now: usize| [before.to_string(), now.to_string()];
        let mut rows = vec![
            ("edges", number(start.edges, report.edges)),
            ("pairs beyond chance", number(start.pairs_beyond_chance, report.pairs_beyond_chance)),
            ("programmes", number(start.pathways.programmes, report.programmes)),
        ];
        if let Some(own) = report.pathways.first() {
            rows.push(("pathways (FDR < 5 %)", number(start.pathways.sets, own.sets)));
            if let (Some(before), Some(now)) = (start.pathways.pairs, own.pairs) {
                let areas = [before, now].map(|area| format!("{area:.3}"));
                rows.push(("pairs within a pathway (AUC)", areas));
            }
        }
        let row = |(what, [before, now]): (&str, [String; 2])| vec![what.to_owned(), before, now];
        let rows: Vec<Vec<String>> = rows.into_iter().map(row).collect();
        page.columns(&["", "before training", "now"], &rows).text(
            "The network began with the co-expression of its training cells: vectors of genes that vary together were \
             similar before its first step. Edges of that start are in baselines/, to be judged like any others.",
        );
        if let Some(kept) = &start.kept {
            page.text(&format!(
                "Of the {} strongest edges before and now, {:.1} % are in both lists (chance {:.1} %); the rank correlation \
                 of all similarities is {:.3}.",
                kept.top,
                100.0 * kept.jaccard,
                100.0 * kept.chance,
                kept.spearman
            ));
        }
    }

    /// Adds what similarity means, what chance is, and how programmes came about.
    fn method(&self, page: &mut Page) {
        page.section("How to read this");
        if self.report.method.rule().is_some() {
            page.text(
                "Genes that vary together are not thereby regulators of each other: edges have no direction. There is no \
                 null, and so no p values.",
            );
            self.programmes_found(page);
            return;
        }
        page.text(
            "Similar vectors say that the model uses two genes alike. That is no regulation: edges have no direction and \
             no sign.",
        );
        page.text(
            "Chance is a cloud of vectors of the same shape: along each of its principal axes genes of similar mean \
             expression exchange their places, many times. Similarity that the common centre, the few directions of \
             most variance or the level of expression explain is therefore not beyond chance.",
        );
        self.programmes_found(page);
    }

    /// Adds how programmes came about, here and in the other networks.
    fn programmes_found(&self, page: &mut Page) {
        let options = &self.report.options;
        page.text(&format!(
            "Programmes are Leiden communities at resolution {} of the graph of {} nearest neighbours{}, with at least {} \
             genes. Random programmes have the same sizes.{}",
            options.resolution,
            options.neighbours,
            if self.report.centred { " by cosine" } else { "" },
            options.least_genes,
            match self.report.baseline_cells {
                0 => String::new(),
                n => format!(
                    " The other networks join genes by their logged expression in {n} cells, each gene with its {} \
                     strongest whatever the sign, same communities. Their edges are in baselines/.",
                    options.neighbours
                ),
            }
        ));
    }
}

/// A row of the table of replicates; dashes where halves have no edge in common.
fn replicate(it: &ReplicateScores) -> Vec<String> {
    let Some(found) = it.consistency else {
        return vec![it.method.clone(), "–".into(), "–".into(), "–".into(), "no edge".into()];
    };
    vec![
        it.method.clone(),
        format!("{:.3}", found.spearman),
        format!("{:.1} %", 100.0 * found.jaccard),
        format!("{:.1} %", 100.0 * found.chance),
        format!("{} of {} pairs", found.top, found.n),
    ]
}

/// A share as whole percent.
fn percent(part: usize, all: usize) -> String {
    format!("{:.0} %", 100.0 * part as f64 / all.max(1) as f64)
}
