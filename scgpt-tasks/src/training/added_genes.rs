//! [`AddedGenes`]: genes that a checkpoint does not know, and vectors for them.
//!
//! The vectors of a checkpoint were learned from many cells; those of a gene that is new to it can be
//! guessed from which genes it is expressed with in the cells at hand:
//!
//! ```text
//! training cells ─ co-expression of all genes [g, n] ─┬─ shared genes ─ ridge regression ─ their vectors [shared, d]
//!                                                     └─ new genes ─ the same map ─ vectors of their own
//! ```
//!
//! How good the guess is, shared genes tell that the map was not made from.

use std::fmt::Write;

use burn::prelude::{Device, Tensor, TensorData};
use scgpt_data::{Advice, Keyed, Observer, Purpose, Setting};
use scgpt_model::{Scgpt, host_values};
use scgpt_stats::{Ridge, dot};
use serde::{Deserialize, Serialize};

use super::{CoExpression, NewGenes};
use crate::error::{Error, Result};

/// Fewer cells tell nothing of which genes a gene varies with.
const LEAST_CELLS: usize = 5;
/// Fewer shared genes tell nothing of how vectors and co-expression go together.
const LEAST_SHARED: usize = 20;
/// Parts of the shared genes, each of which judges a map made from the others.
const FOLDS: usize = 5;
/// Most directions of co-expression that vectors are mapped from.
pub(super) const DIRECTIONS: usize = 128;

/// Genes that joined the vocabulary of a checkpoint, and where their vectors came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AddedGenes {
    /// Where the vectors came from.
    pub vectors: NewGenes,
    /// Number of the genes.
    pub genes: usize,
    /// Those of them that too few cells express for a vector of co-expression; theirs are drawn.
    pub too_few_cells: Vec<String>,
    /// Number of genes of the checkpoint that the new vocabulary lacks; their vectors are lost.
    pub lost: usize,
    /// The map of co-expression to vectors; `None` if vectors were drawn.
    pub map: Option<VectorMap>,
}

/// The map of co-expression to the gene vectors of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VectorMap {
    /// Number of shared genes that it was made from.
    pub shared: usize,
    /// Number of directions of co-expression.
    pub directions: usize,
    /// The penalty on its squares.
    pub penalty: f64,
    /// Mean cosine between the vectors of shared genes and what a map made from others says, in five
    /// folds.
    pub cosine: f64,
    /// The same for the mean of the others' vectors, whatever the gene.
    pub mean_cosine: f64,
}

impl AddedGenes {
    /// The same for a card.
    pub(crate) fn card_line(&self) -> String {
        format!("Genes new to the checkpoint: {}", self.line())
    }

    /// How many there are and how good their vectors are, for people.
    pub fn line(&self) -> String {
        let Self { genes, lost, .. } = self;
        let mut line = match (self.genes, &self.map) {
            (0, _) => "none: the model knows all genes of the data".into(),
            (_, None) => format!("{genes} added, with drawn vectors"),
            (_, Some(map)) => {
                let drawn = match self.too_few_cells.len() {
                    0 => String::new(),
                    drawn => format!("; {drawn} of them in too few cells, with drawn ones"),
                };
                format!(
                    "{genes} added, with vectors of co-expression, by {} shared genes (cosine to a held-out one's own {:.3}, \
                     of the mean vector {:.3}){drawn}",
                    map.shared, map.cosine, map.mean_cosine
                )
            }
        };
        if *lost > 0 {
            let _ = write!(line, "; {lost} genes of the model are in none of the data and lost");
        }
        line
    }
}

/// The network with vectors for the tokens without a row in the checkpoint, and how they were made; those
/// of the checkpoint stay. `rows` has the row of each token.
///
/// # Errors
/// If too few genes of the checkpoint vary over the cells;
/// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
pub(super) fn map_vectors(
    mut model: Scgpt,
    co_expression: &CoExpression,
    rows: &[Option<usize>],
    device: &Device,
    observer: &dyn Observer,
) -> Result<(Scgpt, VectorMap)> {
    let weight = model.genes.embedding.weight;
    let [_, width] = weight.val().dims();
    let mut table = host_values(weight.val());
    let map = fill(&mut table, width, co_expression, rows, observer)?;
    let shape = [table.len() / width, width];
    let table = Tensor::<2>::from_data(TensorData::new(table, shape), device);
    model.genes.embedding.weight = weight.map(|_| table);
    Ok((model, map))
}

/// The tokens without a row that enough cells express for a vector of co-expression, or that too few do.
pub(super) fn new_tokens(
    co_expression: &CoExpression,
    rows: &[Option<usize>],
    are_enough: bool,
) -> Vec<usize> {
    let is_one = |&token: &usize| rows[token].is_none() && co_expression.tells(token) == are_enough;
    (0..rows.len()).filter(is_one).collect()
}

impl CoExpression {
    /// Whether enough cells express the gene for it to tell anything.
    fn tells(&self, token: usize) -> bool {
        self.counts[token] >= LEAST_CELLS && self.loading(token).iter().any(|&x| x != 0.0)
    }

    /// How far a gene goes along the directions, `[n]`.
    fn loading(&self, token: usize) -> &[f64] {
        &self.loadings[token * self.n..(token + 1) * self.n]
    }
}

/// Fills the rows of new tokens in a `table`, `[vocabulary, width]`.
fn fill(
    table: &mut [f32],
    width: usize,
    co_expression: &CoExpression,
    rows: &[Option<usize>],
    observer: &dyn Observer,
) -> Result<VectorMap> {
    let is_shared = |&token: &usize| rows[token].is_some() && co_expression.tells(token);
    let mut shared: Vec<usize> = (0..rows.len()).filter(is_shared).collect();
    if shared.len() < LEAST_SHARED {
        let problem = format!(
            "{} genes of the model vary over the training cells, too few to map vectors of new genes by",
            shared.len()
        );
        return Err(Error::unsuited(
            problem,
            Advice::from("draw them: ") + Setting("new_genes") + " random",
        ));
    }
    let own = |token: usize| -> Vec<f64> {
        table[token * width..(token + 1) * width].iter().map(|&x| f64::from(x)).collect()
    };
    let fitted = |tokens: &mut dyn Iterator<Item = usize>| {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for token in tokens {
            x.extend_from_slice(co_expression.loading(token));
            y.extend(own(token));
        }
        let mean: Vec<f64> = (0..width)
            .map(|i| y.iter().skip(i).step_by(width).sum::<f64>() / (y.len() / width) as f64)
            .collect();
        Ok::<_, Error>((Ridge::new(&x, &y, [co_expression.n, width], observer)?, mean))
    };
    // Which genes are judged together is drawn, since neighbours in a vocabulary may be of one family.
    let key = Keyed::new(co_expression.seed, Purpose::HoldOut, 1, 0);
    shared.sort_by_key(|&token| key.bits(token as u64));
    let (mut cosine, mut mean_cosine) = (0.0, 0.0);
    for fold in 0..FOLDS {
        let in_fold = |place: usize| place % FOLDS == fold;
        let others = (0..shared.len()).filter(|&place| !in_fold(place));
        let (ridge, mean) = fitted(&mut others.map(|place| shared[place]))?;
        for place in (0..shared.len()).filter(|&place| in_fold(place)) {
            let truth = own(shared[place]);
            cosine += cosine_of(&ridge.map(co_expression.loading(shared[place])), &truth);
            mean_cosine += cosine_of(&mean, &truth);
        }
    }
    let n = shared.len() as f64;
    shared.sort_unstable();
    let (ridge, _) = fitted(&mut shared.iter().copied())?;
    let lengths = shared.iter().map(|&token| length(&own(token)));
    let wanted = lengths.sum::<f64>() / n;
    for token in new_tokens(co_expression, rows, true) {
        let mapped = ridge.map(co_expression.loading(token));
        // A guess is drawn to the mean; the network looks at directions, not at lengths.
        let scale = wanted / length(&mapped).max(f64::MIN_POSITIVE);
        #[allow(clippy::cast_possible_truncation, reason = "as narrow as weights")]
        let row = mapped.iter().map(|x| (x * scale) as f32);
        table[token * width..(token + 1) * width].iter_mut().zip(row).for_each(|(own, x)| *own = x);
    }
    Ok(VectorMap {
        shared: shared.len(),
        directions: co_expression.n,
        penalty: ridge.penalty(),
        cosine: cosine / n,
        mean_cosine: mean_cosine / n,
    })
}

fn length(vector: &[f64]) -> f64 {
    dot(vector, vector).sqrt()
}

/// The cosine of two vectors; 0 if one has no length.
fn cosine_of(a: &[f64], b: &[f64]) -> f64 {
    let lengths = length(a) * length(b);
    if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;

    /// Co-expression of genes along two directions, and a table in which vectors follow from it by a planted
    /// map; the last gene is new, and the one before it is in too few cells.
    fn planted(n: usize, width: usize) -> (CoExpression, Vec<f32>, Vec<Option<usize>>) {
        let key = Keyed::new(8, Purpose::Simulate, 0, 0);
        let loadings: Vec<f64> = (0..2 * n as u64).map(|i| key.normal(2 * i)).collect();
        let weights: Vec<f64> = (0..2 * width as u64).map(|i| key.normal(2 * (9999 + i))).collect();
        #[allow(clippy::cast_possible_truncation, reason = "test data")]
        let table = loadings.chunks(2).flat_map(|x| {
            let of = |w: &[f64]| (0.3 + dot(x, w)) as f32;
            weights.chunks(2).map(of).collect::<Vec<f32>>()
        });
        let table = table.collect();
        let mut counts = vec![50; n];
        counts[n - 2] = LEAST_CELLS - 1;
        let mut rows: Vec<Option<usize>> = (0..n).map(Some).collect();
        rows[n - 2..].fill(None);
        (CoExpression { loadings, n: 2, counts, seed: 3, centred: Vec::new() }, table, rows)
    }

    #[test]
    fn a_planted_relation_is_found_and_gives_a_new_gene_its_vector() {
        let (n, width) = (60, 8);
        let (co_expression, truth, rows) = planted(n, width);
        let mut table = truth.clone();
        let drawn = 0.5;
        table[(n - 2) * width..].fill(drawn);
        let map = fill(&mut table, width, &co_expression, &rows, &Silent).unwrap();
        assert_eq!((map.shared, map.directions), (n - 2, 2));
        assert!(map.cosine > 0.999, "{map:?}");
        assert!(map.mean_cosine < 0.6, "{map:?}");
        let row = |table: &[f32], token: usize| -> Vec<f64> {
            table[token * width..(token + 1) * width].iter().map(|&x| f64::from(x)).collect()
        };
        assert!(cosine_of(&row(&table, n - 1), &row(&truth, n - 1)) > 0.999);
        // What the checkpoint knows stays, and so does what was drawn for a gene in too few cells.
        assert_eq!(table[..(n - 2) * width], truth[..(n - 2) * width]);
        assert_eq!(row(&table, n - 2), vec![f64::from(drawn); width]);
        assert_eq!(new_tokens(&co_expression, &rows, true), [n - 1]);
        assert_eq!(new_tokens(&co_expression, &rows, false), [n - 2]);
    }

    #[test]
    fn vectors_that_have_nothing_to_do_with_the_cells_are_guessed_no_better_than_by_their_mean() {
        let (n, width) = (200, 8);
        let (co_expression, mut table, rows) = planted(n, width);
        let key = Keyed::new(1, Purpose::Simulate, 1, 0);
        #[allow(clippy::cast_possible_truncation, reason = "test data")]
        (0..).zip(&mut table).for_each(|(i, x)| *x = 0.5 + key.normal(2 * i) as f32);
        let map = fill(&mut table, width, &co_expression, &rows, &Silent).unwrap();
        assert!((map.cosine - map.mean_cosine).abs() < 0.05, "{map:?}");
    }

    #[test]
    fn too_few_shared_genes_are_an_error_that_names_the_remedy() {
        let (co_expression, mut table, rows) = planted(12, 4);
        let error = fill(&mut table, 4, &co_expression, &rows, &Silent).unwrap_err();
        assert!(error.to_string().contains("10 genes of the model"), "{error}");
        assert!(error.hint().unwrap().contains("`new_genes` random"));
    }

    #[test]
    fn a_line_says_what_became_of_new_genes() {
        let map =
            VectorMap { shared: 700, directions: 64, penalty: 1.0, cosine: 0.61, mean_cosine: 0.2 };
        let mut added = AddedGenes {
            vectors: NewGenes::Spectral,
            genes: 30,
            too_few_cells: vec!["A".into()],
            lost: 0,
            map: Some(map),
        };
        let line = added.line();
        for part in ["30 added", "700 shared", "0.610", "0.200", "1 of them in too few cells"] {
            assert!(line.contains(part), "{line}");
        }
        (added.map, added.lost) = (None, 4);
        assert!(
            added.line().contains("drawn vectors") && added.line().contains("4 genes of the model")
        );
        added.genes = 0;
        assert!(added.line().starts_with("none"));
    }
}
