//! [`enrich`]: of which gene sets do lists have more genes than chance would give them?
//!
//! Of `n` genes the list has `m`, the set has `s`, and both have `a`. The chance of as many or
//! more, were the list drawn at random, is the upper tail of the hypergeometric distribution,
//! Fisher's one-sided exact test:
//!
//! ```text
//! p = Σ_{x ≥ a} (s over x) · (n − s over m − x) / (n over m)
//! ```

use std::collections::{BTreeSet, HashMap};

use rayon::prelude::*;
use scgpt_data::{Column, Error, Observer, Result, Table};
use serde::{Deserialize, Serialize};

use super::gene_sets::GeneSets;
use crate::network::benjamini_hochberg;

/// The genes that a list was drawn from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Background {
    /// The genes by name: what is not among them is taken out of lists and sets.
    Genes(BTreeSet<String>),
    /// The number of genes alone; lists and sets are taken as they are. Enrichr counts 20 000.
    Number(usize),
}

impl Background {
    /// The number of genes in the background.
    pub fn len(&self) -> usize {
        match self {
            Self::Genes(genes) => genes.len(),
            Self::Number(n) => *n,
        }
    }

    /// Whether the background has no genes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a gene could have been drawn; any could if only the number of genes is known.
    fn holds(&self, gene: &str) -> bool {
        match self {
            Self::Genes(genes) => genes.contains(gene),
            Self::Number(_) => true,
        }
    }
}

/// A set that has genes of a list, and how surprising that is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Enriched {
    /// The number of the list, from 0.
    pub list: usize,
    /// The name of the library that has the set.
    pub library: String,
    /// The name of the set.
    pub set: String,
    /// Number of genes of the set in the background.
    pub size: usize,
    /// Genes of the list that are in the set.
    pub genes: Vec<String>,
    /// The chance of so many or more (hypergeometric, one-sided).
    pub p: f64,
    /// The odds for a gene of the list to be in the set, over those of other genes.
    pub odds_ratio: f64,
    /// `-ln p · odds ratio`.
    pub combined: f64,
    /// False-discovery rate over all lists and all sets of the library.
    pub q: f64,
    /// `p` times the number of these tests, at most 1 (Bonferroni).
    pub bonferroni: f64,
}

impl Enriched {
    /// The set for people: `HALLMARK_TNFA_SIGNALING` → `hallmark tnfa signaling`; other names as they
    /// are.
    pub fn readable_set(&self) -> String {
        if self.set.contains('_') && !self.set.contains(' ') {
            return self.set.replace('_', " ").to_lowercase();
        }
        self.set.clone()
    }

    /// What was found as a table; `lists` are the names of the lists, in the column `heading`.
    pub fn table(found: &[Self], heading: &str, lists: &[String]) -> Table {
        let texts = |of: &dyn Fn(&Self) -> String| {
            Column::Text(found.iter().map(|it| Some(of(it))).collect())
        };
        let counts = |of: fn(&Self) -> usize| {
            Column::Integer(found.iter().map(|it| i64::try_from(of(it)).ok()).collect())
        };
        let numbers =
            |of: fn(&Self) -> f64| Column::Float(found.iter().map(|it| Some(of(it))).collect());
        Table {
            columns: vec![
                (heading.into(), texts(&|it| lists[it.list].clone())),
                ("library".into(), texts(&|it| it.library.clone())),
                ("set".into(), texts(&|it| it.set.clone())),
                ("overlap".into(), counts(|it| it.genes.len())),
                ("size".into(), counts(|it| it.size)),
                ("p".into(), numbers(|it| it.p)),
                ("fdr".into(), numbers(|it| it.q)),
                ("bonferroni".into(), numbers(|it| it.bonferroni)),
                ("odds_ratio".into(), numbers(|it| it.odds_ratio)),
                ("combined_score".into(), numbers(|it| it.combined)),
                ("genes".into(), texts(&|it| it.genes.join(";"))),
            ],
        }
    }
}

/// Compares every list of gene names with every set of a library. Sets without a gene of the list,
/// whose `p` is 1, are left out, but counted as tests. The result is ordered by list, then by `p`.
///
/// # Errors
/// If no set has a gene of the background, or the background is smaller than a set and a list;
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
///
/// # Reference
/// Enrichr (Chen et al. 2013), as the reference calls it through gseapy. Differs: offline, with any
/// background; adjusted over all lists.
pub fn enrich(
    lists: &[Vec<String>],
    library: &GeneSets,
    background: &Background,
    observer: &dyn Observer,
) -> Result<Vec<Enriched>> {
    let n = background.len();
    let sets: Vec<BTreeSet<&str>> = library
        .sets
        .iter()
        .map(|set| {
            observer.check_cancelled()?;
            Ok(set.genes.iter().map(String::as_str).filter(|g| background.holds(g)).collect())
        })
        .collect::<Result<_>>()?;
    let n_sets = sets.iter().filter(|set| !set.is_empty()).count();
    if n_sets == 0 {
        return Err(no_gene_in_common(library, background));
    }
    let mut sets_of: HashMap<&str, Vec<usize>> = HashMap::new();
    for (number, set) in sets.iter().enumerate() {
        for &gene in set {
            sets_of.entry(gene).or_default().push(number);
        }
    }
    let lists: Vec<BTreeSet<&str>> = lists
        .iter()
        .map(|list| list.iter().map(String::as_str).filter(|g| background.holds(g)).collect())
        .collect();
    let most = |sets: &[BTreeSet<&str>]| sets.iter().map(BTreeSet::len).max().unwrap_or(0);
    let needed = most(&sets).max(most(&lists));
    if n < needed {
        return Err(Error::Option(format!(
            "the background has {n} genes, but a set or a list of genes has {needed}"
        )));
    }
    let logs = LogFactorials::new(n);
    let of_list = |(number, list): (usize, &BTreeSet<&str>)| {
        observer.check_cancelled()?;
        let mut found: HashMap<usize, Vec<&str>> = HashMap::new();
        for &gene in list {
            for &set in sets_of.get(gene).into_iter().flatten() {
                found.entry(set).or_default().push(gene);
            }
        }
        let mut found: Vec<(usize, Vec<&str>)> = found.into_iter().collect();
        found.sort_unstable();
        let test = |(set, genes): (usize, Vec<&str>)| {
            let (a, size, drawn) = (genes.len(), sets[set].len(), list.len());
            // With a background of which only the number is known, it may be too small for these.
            let p = if size + drawn > n + a { 1.0 } else { logs.upper_tail(a, n, size, drawn) };
            let odds_ratio = odds_ratio(a, n, size, drawn);
            Enriched {
                list: number,
                library: library.library.clone(),
                set: library.sets[set].name.clone(),
                size,
                genes: genes.into_iter().map(str::to_owned).collect(),
                p,
                odds_ratio,
                combined: if p < 1.0 { -p.ln() * odds_ratio } else { 0.0 },
                q: 1.0,
                bonferroni: 1.0,
            }
        };
        Ok(found.into_iter().map(test).collect::<Vec<_>>())
    };
    let mut tests: Vec<Enriched> =
        lists.par_iter().enumerate().map(of_list).collect::<Result<Vec<_>>>()?.concat();
    let n_tests = n_sets * lists.len();
    let p: Vec<f64> = tests.iter().map(|test| test.p).collect();
    for (test, q) in tests.iter_mut().zip(benjamini_hochberg(&p, n_tests, observer)?) {
        (test.q, test.bonferroni) = (q, (test.p * n_tests as f64).min(1.0));
    }
    tests.sort_by(|a, b| a.list.cmp(&b.list).then(a.p.total_cmp(&b.p)).then(a.set.cmp(&b.set)));
    Ok(tests)
}

/// The error for sets that name genes differently from the data, with some names of each.
fn no_gene_in_common(library: &GeneSets, background: &Background) -> Error {
    let some = |genes: &mut dyn Iterator<Item = &String>| {
        genes.take(3).map(|gene| format!("`{gene}`")).collect::<Vec<_>>().join(", ")
    };
    let of_sets = some(&mut library.sets.iter().flat_map(|set| &set.genes));
    let of_data = match background {
        Background::Genes(genes) => some(&mut genes.iter()),
        Background::Number(_) => String::new(),
    };
    Error::Option(format!(
        "the gene sets of `{}` and the data have no gene in common: the sets have {of_sets}, the data {of_data}; \
         use sets of the same species, by symbols if the genes are named by symbols",
        library.library
    ))
}

/// The odds for a gene of the list to be in the set over those of other genes; infinite if list or
/// set have no other gene.
fn odds_ratio(a: usize, n: usize, size: usize, drawn: usize) -> f64 {
    let outside = (n + a).saturating_sub(size + drawn);
    match a * outside {
        0 => 0.0,
        both => both as f64 / ((size - a) as f64 * (drawn - a) as f64),
    }
}

/// `ln k!` for `k = 0..=n`.
struct LogFactorials(Vec<f64>);

impl LogFactorials {
    fn new(n: usize) -> Self {
        // Compensated (Kahan): thousands of terms, and the difference of sums is what counts.
        let (mut sum, mut lost) = (0.0, 0.0);
        let mut logs = vec![0.0; n + 1];
        for (k, log) in logs.iter_mut().enumerate().skip(1) {
            let term = (k as f64).ln() - lost;
            let next = sum + term;
            lost = (next - sum) - term;
            sum = next;
            *log = sum;
        }
        Self(logs)
    }

    /// `ln (n over k)`.
    fn choose(&self, n: usize, k: usize) -> f64 {
        self.0[n] - self.0[k] - self.0[n - k]
    }

    /// The chance that among `drawn` of `n` genes there are `a` or more of the `size` genes of a
    /// set.
    fn upper_tail(&self, a: usize, n: usize, size: usize, drawn: usize) -> f64 {
        let least = (size + drawn).saturating_sub(n);
        if a <= least {
            return 1.0;
        }
        let all = self.choose(n, drawn);
        let chance =
            |x: usize| (self.choose(size, x) + self.choose(n - size, drawn - x) - all).exp();
        // The smallest terms first.
        (a..=size.min(drawn)).rev().map(chance).sum::<f64>().min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;
    use crate::network::GeneSet;

    fn names(genes: &[&str]) -> Vec<String> {
        genes.iter().map(|&gene| gene.to_owned()).collect()
    }

    fn library(sets: &[(&str, &[&str])]) -> GeneSets {
        let set =
            |&(name, genes): &(&str, &[&str])| GeneSet { name: name.into(), genes: names(genes) };
        GeneSets { library: "toy".into(), sets: sets.iter().map(set).collect() }
    }

    #[test]
    fn a_tea_tasting() {
        // Fisher's lady: 3 of 4 cups right of 8; 17/70. Odds 3·3 / (1·1).
        let genes = Background::Genes(
            names(&["a", "b", "c", "d", "e", "f", "g", "h"]).into_iter().collect(),
        );
        let sets = library(&[("milk", &["a", "b", "c", "d", "elsewhere"]), ("none", &["x"])]);
        let found =
            enrich(&[names(&["a", "b", "c", "e", "nowhere"])], &sets, &genes, &Silent).unwrap();
        assert_eq!((found.len(), found[0].size, found[0].genes.len()), (1, 4, 3));
        assert!((found[0].p - 17.0 / 70.0).abs() < 1e-14, "{}", found[0].p);
        assert!((found[0].odds_ratio - 9.0).abs() < 1e-12);
        assert!((found[0].combined + (17.0_f64 / 70.0).ln() * 9.0).abs() < 1e-12);
        // The set without a gene of the background is no test.
        assert!((found[0].bonferroni - found[0].p).abs() < 1e-14);
    }

    #[test]
    fn lists_are_adjusted_together_and_a_number_is_a_background() {
        let sets = library(&[("s", &["a", "b"]), ("t", &["c"])]);
        let lists = [names(&["a", "b"]), names(&["c", "d"])];
        let found = enrich(&lists, &sets, &Background::Number(100), &Silent).unwrap();
        assert_eq!(
            found.iter().map(|it| (it.list, it.set.as_str())).collect::<Vec<_>>(),
            [(0, "s"), (1, "t")]
        );
        assert!((found[0].p - 1.0 / 4950.0).abs() < 1e-15);
        assert!((found[0].bonferroni - 4.0 / 4950.0).abs() < 1e-14);
        assert!(found[0].odds_ratio.is_infinite());
        assert!(enrich(&lists, &sets, &Background::Number(1), &Silent).is_err());
        let others = Background::Genes(names(&["Cd3d"]).into_iter().collect());
        let message = enrich(&lists, &sets, &others, &Silent).unwrap_err().to_string();
        assert!(message.contains("`Cd3d`") && message.contains("`a`"), "{message}");
    }
}
