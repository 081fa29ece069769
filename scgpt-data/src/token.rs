//! [`CellTokens`]: one cell as parallel genes, values and conditions, and the [`Tokenizer`] that
//! makes it.

mod config;
mod content;
mod shorten;

use rayon::prelude::*;

pub use self::{
    config::{Sampling, TokenConfig},
    content::CellKey,
};
use crate::{
    binning::{BinScratch, Binner},
    condition_token::ConditionToken,
    csr::{Csr, CsrRow},
    error::{Error, Result},
    keyed::{Keyed, Purpose},
    modality::Modalities,
    setting::Setting,
    vocab::{Alignment, GeneToken, GeneVocab, SpecialToken},
};

/// What the model sees of one cell: parallel vectors, `<cls>` first.
///
/// A [`Tokenizer`] makes them of a row of expression; whoever has tokens of their own collects them:
///
/// ```
/// use scgpt_data::{CellTokens, GeneToken};
///
/// // `<cls>` is token 0 here; the values of the two genes are bins.
/// let tokens = [(GeneToken(0), -2.0), (GeneToken(7), 3.0), (GeneToken(12), 50.0)];
/// let cell: CellTokens = tokens.into_iter().collect();
/// assert_eq!((cell.len(), cell.n_available), (3, 2));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CellTokens {
    /// Gene tokens, one a position.
    pub genes: Vec<GeneToken>,
    /// One value a position: a value bin, or the value as it is if there is no binner.
    pub values: Vec<f32>,
    /// A condition a position, if the tokenizer was given conditions.
    pub conditions: Option<Vec<ConditionToken>>,
    /// Number of gene tokens that the cell would have without the maximal length, `<cls>` not
    /// counted; 0 for a cell that expresses no gene of the vocabulary (unless genes of value zero
    /// are tokens too).
    pub n_available: usize,
}

impl CellTokens {
    /// Number of tokens, `<cls>` included.
    pub fn len(&self) -> usize {
        self.genes.len()
    }

    /// Whether there is no token at all, not even `<cls>`.
    pub fn is_empty(&self) -> bool {
        self.genes.is_empty()
    }

    fn push(&mut self, gene: GeneToken, value: f32, condition: Option<ConditionToken>) {
        self.genes.push(gene);
        self.values.push(value);
        if let Some(conditions) = &mut self.conditions {
            conditions.extend(condition);
        }
    }
}

impl FromIterator<(GeneToken, f32)> for CellTokens {
    /// The tokens in their order, `<cls>` first, without conditions.
    fn from_iter<I: IntoIterator<Item = (GeneToken, f32)>>(tokens: I) -> Self {
        let (genes, values): (Vec<GeneToken>, Vec<f32>) = tokens.into_iter().unzip();
        let n_available = genes.len().saturating_sub(1);
        Self { genes, values, conditions: None, n_available }
    }
}

/// Turns rows of a matrix into [`CellTokens`].
///
/// A cell keeps its genes that have a token; the non-zero values of those, all of them, are
/// binned; then the cell is shortened to the maximal length. What becomes of a cell depends on
/// what it expresses and the configuration only, and in training on its number.
///
/// # Reference
/// `scgpt/tasks/cell_emb.py`, `embed_data`, and
/// `scgpt/tokenizer/gene_tokenizer.py`, `tokenize_batch`. Differs: see [`Sampling::Keyed`]; a cell
/// without expressed genes is `<cls>` alone instead of a failure.
///
/// # Example
/// ```
/// use scgpt_data::{Csr, Frame, GeneNames, GeneToken, GeneVocab, TokenConfig, Tokenizer};
///
/// let vocab = GeneVocab::from_names(["CD3E", "LYZ", "<pad>", "<cls>"])?;
/// let var = Frame {
///     index: vec!["LYZ".into(), "unknown".into(), "CD3E".into()],
///     ..Frame::default()
/// };
/// let alignment = vocab.align(&var, &GeneNames::BEST)?;
/// let tokenizer = Tokenizer::new(&vocab, &alignment, TokenConfig::default())?;
///
/// // One cell with the counts 7, 2 and 1.
/// let block = Csr::new(3, vec![0, 3], vec![0, 1, 2], vec![7.0, 2.0, 1.0])?;
/// let cell = &tokenizer.block(&block)[0];
/// assert_eq!(cell.genes, [3, 1, 0].map(GeneToken));
/// assert_eq!(cell.values, [-2.0, 50.0, 1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tokenizer {
    config: TokenConfig,
    tokens: Vec<Option<GeneToken>>,
    cls: GeneToken,
    conditions: Option<(Vec<ConditionToken>, ConditionToken)>,
    /// Whether the conditions are modalities, each with bins and a share of the length of its own.
    is_multimodal: bool,
}

/// Buffers of [`Tokenizer::cell`], kept between cells.
#[derive(Clone, Debug, Default)]
pub struct TokenScratch {
    bins: BinScratch,
    values: Vec<f32>,
}

impl Tokenizer {
    /// A tokenizer of data whose columns have the tokens `alignment.tokens`.
    ///
    /// # Errors
    /// If there are fewer than two bins, or no room for a token.
    pub fn new(vocab: &GeneVocab, alignment: &Alignment, config: TokenConfig) -> Result<Self> {
        if let Some(binner) = &config.binner {
            binner.validate()?;
        }
        let least = 1 + usize::from(config.cls_value.is_some());
        if config.max_length < least {
            let problem = format!(
                "is {}, which leaves no room for a gene: at least {least} are needed",
                config.max_length
            );
            return Err(Setting("max_length").wrong(problem).into());
        }
        Ok(Self {
            config,
            tokens: alignment.tokens.clone(),
            cls: vocab.special(SpecialToken::Cls),
            conditions: None,
            is_multimodal: false,
        })
    }

    /// A tokenizer of rows whose columns are the tokens of `vocab` themselves, such as those of a
    /// [`ShardFolder`](crate::ShardFolder).
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_tokens(vocab: &GeneVocab, config: TokenConfig) -> Result<Self> {
        Self::new(vocab, &vocab.identity(), config)
    }

    /// Gives every position the condition of its column, and `<cls>` the condition `cls`.
    ///
    /// # Errors
    /// If there is not one condition a column.
    pub fn with_conditions(
        mut self,
        columns: Vec<ConditionToken>,
        cls: ConditionToken,
    ) -> Result<Self> {
        if columns.len() != self.tokens.len() {
            return Err(Error::Option(format!(
                "{} conditions for {} genes: one a gene is needed",
                columns.len(),
                self.tokens.len()
            )));
        }
        self.conditions = Some((columns, cls));
        Ok(self)
    }

    /// Gives every position the modality of its column. The values of each modality are binned
    /// apart, since a count that is high for a gene is low for a protein; and where a cell has more
    /// tokens than it may, every modality keeps an equal share ([`CellTokens::shorten_fairly`]).
    ///
    /// # Errors
    /// If `modalities` has not one feature a column.
    pub fn with_modalities(self, modalities: &Modalities) -> Result<Self> {
        let tokenizer = self.with_conditions(modalities.tokens(), modalities.cls())?;
        Ok(Self { is_multimodal: true, ..tokenizer })
    }

    /// Leaves out the genes whose token `keep` does not accept, as if they had no token.
    #[must_use]
    pub fn retain(mut self, keep: impl Fn(GeneToken) -> bool) -> Self {
        for token in &mut self.tokens {
            *token = token.filter(|&token| keep(token));
        }
        self
    }

    /// The same tokenizer for cells of at most `max_length` tokens; a cell keeps at least one
    /// beside `<cls>`.
    #[must_use]
    pub fn within(mut self, max_length: usize) -> Self {
        self.config.max_length = max_length.max(1 + usize::from(self.config.cls_value.is_some()));
        self
    }

    /// The configuration.
    pub fn config(&self) -> &TokenConfig {
        &self.config
    }

    /// The tokens of one cell, whose random choices are keyed by `key`.
    ///
    /// # Panics
    /// If the row has a column that the alignment lacks.
    pub fn cell(&self, row: CsrRow<'_>, key: CellKey, scratch: &mut TokenScratch) -> CellTokens {
        let config = &self.config;
        let expected =
            1 + if config.include_zero_genes { self.tokens.len() } else { row.indices.len() };
        let mut tokens = CellTokens {
            genes: Vec::with_capacity(expected),
            values: Vec::with_capacity(expected),
            conditions: self.conditions.as_ref().map(|_| Vec::with_capacity(expected)),
            n_available: 0,
        };
        let conditions = self.conditions.as_ref();
        if let Some(value) = config.cls_value {
            tokens.push(self.cls, value, conditions.map(|(_, cls)| *cls));
        }
        let keep = tokens.len();
        let mut push = |column: usize, value: f32| {
            if let Some(token) = self.tokens[column] {
                tokens.push(token, value, conditions.map(|(columns, _)| columns[column]));
            }
        };
        let mut stored = row.indices.iter().zip(row.values).peekable();
        if config.include_zero_genes {
            let measured = self.measured(row);
            for column in 0..self.tokens.len() {
                let entry = stored.next_if(|(index, _)| **index as usize == column);
                if measured.is_none_or(|measured| measured >> self.condition(column) & 1 == 1) {
                    push(column, entry.map_or(0.0, |(_, &value)| value));
                }
            }
        } else {
            for (&index, &value) in stored.filter(|&(_, &value)| value != 0.0) {
                push(index as usize, value);
            }
        }
        tokens.n_available = tokens.len() - keep;

        // Before values become bins, which other cells may have the same of.
        let (epoch, cell) = key.numbers(config, &tokens, keep);
        if let Some(binner) = &config.binner {
            let key = Keyed::new(config.seed, Purpose::BinTie, epoch, cell);
            let genes = &tokens.genes[keep..];
            let draw = |position: usize| key.uniform(u64::from(genes[position].0));
            let values = &mut tokens.values[keep..];
            match &tokens.conditions {
                Some(conditions) if self.is_multimodal => {
                    bin_apart(*binner, values, &conditions[keep..], draw, scratch);
                }
                _ => binner.bin(values, draw, &mut scratch.bins),
            }
        }
        let key = Keyed::new(config.seed, Purpose::Sample, epoch, cell);
        let order = |gene: GeneToken| match config.sampling {
            Sampling::Head => 0,
            Sampling::Keyed => key.bits(u64::from(gene.0)),
        };
        if self.is_multimodal {
            tokens.shorten_fairly(config.max_length, keep, order);
        } else {
            tokens.shorten(config.max_length, keep, order);
        }
        tokens
    }

    /// The modalities that the cell has values of, as bits; `None` if modalities do not matter.
    fn measured(&self, row: CsrRow<'_>) -> Option<u64> {
        let stored = row.indices.iter().zip(row.values).filter(|&(_, &value)| value != 0.0);
        let columns = stored.map(|(&index, _)| index as usize);
        let known = columns.filter(|&column| self.tokens[column].is_some());
        self.is_multimodal
            .then(|| known.fold(0, |measured, column| measured | 1 << self.condition(column)))
    }

    /// The number of a column's modality.
    fn condition(&self, column: usize) -> u32 {
        self.conditions.as_ref().map_or(0, |(columns, _)| columns[column].0)
    }

    /// The tokens of every cell of a block, keyed by [`CellKey::Content`], on all threads of the
    /// current rayon pool.
    ///
    /// # Panics
    /// As [`cell`](Self::cell).
    pub fn block(&self, block: &Csr) -> Vec<CellTokens> {
        (0..block.n_cells())
            .into_par_iter()
            .map_init(TokenScratch::default, |scratch, cell| {
                self.cell(block.row(cell), CellKey::Content, scratch)
            })
            .collect()
    }
}

/// Bins the values of each condition by themselves.
fn bin_apart(
    binner: Binner,
    values: &mut [f32],
    conditions: &[ConditionToken],
    draw: impl Fn(usize) -> f64,
    scratch: &mut TokenScratch,
) {
    for group in shorten::by_condition(conditions) {
        scratch.values.clear();
        scratch.values.extend(group.iter().map(|&position| values[position]));
        binner.bin(&mut scratch.values, |index| draw(group[index]), &mut scratch.bins);
        for (&position, &bin) in group.iter().zip(&scratch.values) {
            values[position] = bin;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "exact by construction")]

    use super::*;
    use crate::{GeneNames, binning::TieMode, frame::Frame};

    fn tokenizer(config: TokenConfig) -> Tokenizer {
        let vocab = GeneVocab::from_names(["A", "B", "C", "D"]).unwrap();
        let var =
            Frame { index: ["D", "?", "A", "B"].map(String::from).into(), ..Frame::default() };
        let alignment = vocab.align(&var, &GeneNames::BEST).unwrap();
        Tokenizer::new(&vocab, &alignment, config).unwrap()
    }

    fn cell(tokenizer: &Tokenizer, values: [f32; 4]) -> (Vec<u32>, Vec<f32>) {
        let row = CsrRow { indices: &[0, 1, 2, 3], values: &values };
        let tokens = tokenizer.cell(row, CellKey::Content, &mut TokenScratch::default());
        (tokens.genes.iter().map(|gene| gene.0).collect(), tokens.values)
    }

    #[test]
    fn known_expressed_genes_are_binned_behind_cls() {
        let (genes, values) = cell(&tokenizer(TokenConfig::default()), [2.0, 9.0, 0.0, 1.0]);
        assert_eq!(genes, [5, 3, 1]);
        assert_eq!(values, [-2.0, 50.0, 1.0]);
    }

    #[test]
    fn zero_genes_and_plain_values_without_cls() {
        let config = TokenConfig {
            binner: None,
            include_zero_genes: true,
            cls_value: None,
            ..TokenConfig::default()
        };
        let (genes, values) = cell(&tokenizer(config), [2.0, 9.0, 0.0, 1.0]);
        assert_eq!((genes, values), (vec![3, 0, 1], vec![2.0, 0.0, 1.0]));
    }

    #[test]
    fn genes_that_are_left_out_do_not_change_the_bins_of_others() {
        let tokenizer = tokenizer(TokenConfig::default()).retain(|gene| gene.0 != 3);
        let (genes, values) = cell(&tokenizer, [2.0, 0.0, 5.0, 1.0]);
        assert_eq!((genes, values), (vec![5, 0, 1], vec![-2.0, 50.0, 1.0]));
    }

    #[test]
    fn binning_comes_before_shortening_and_cls_stays() {
        let config = TokenConfig {
            binner: Some(Binner::new(4, TieMode::Upper).unwrap()),
            max_length: 2,
            sampling: Sampling::Head,
            ..TokenConfig::default()
        };
        let tokenizer = tokenizer(config);
        let (genes, values) = cell(&tokenizer, [1.0, 9.0, 2.0, 3.0]);
        assert_eq!((genes, values), (vec![5, 3], vec![-2.0, 1.0]));
        let row = CsrRow { indices: &[0, 2, 3], values: &[1.0; 3] };
        let tokens = tokenizer.cell(row, CellKey::Content, &mut TokenScratch::default());
        assert_eq!(tokens.n_available, 3);
    }

    #[test]
    fn a_cell_without_known_genes_is_cls_alone() {
        let tokenizer = tokenizer(TokenConfig::default());
        let (genes, _) = cell(&tokenizer, [0.0, 9.0, 0.0, 0.0]);
        assert_eq!(genes, [5]);
        let empty = CsrRow { indices: &[], values: &[] };
        assert_eq!(
            tokenizer.cell(empty, CellKey::Content, &mut TokenScratch::default()).n_available,
            0
        );
    }

    #[test]
    fn conditions_follow_their_columns() {
        let conditions = [7, 8, 9, 6].map(ConditionToken).to_vec();
        let tokenizer = tokenizer(TokenConfig::default())
            .with_conditions(conditions, ConditionToken(1))
            .unwrap();
        let row = CsrRow { indices: &[1, 2, 3], values: &[1.0; 3] };
        let tokens = tokenizer.cell(row, CellKey::Content, &mut TokenScratch::default());
        assert_eq!(tokens.conditions.unwrap(), [1, 9, 6].map(ConditionToken));
        assert!(tokenizer.with_conditions(vec![], ConditionToken(1)).is_err());
    }

    #[test]
    fn modalities_have_bins_and_room_of_their_own() {
        let of = ["Protein", "RNA", "RNA", "Protein"].map(Some);
        let modalities = Modalities::new(&of).unwrap();
        let all = |max_length| {
            let config = TokenConfig {
                binner: Some(Binner::new(4, TieMode::Upper).unwrap()),
                max_length,
                ..TokenConfig::default()
            };
            let vocab = GeneVocab::from_names(["A", "B", "C", "D"]).unwrap();
            let alignment = vocab.identity();
            let alignment = Alignment { tokens: alignment.tokens[..4].to_vec(), ..alignment };
            Tokenizer::new(&vocab, &alignment, config).unwrap().with_modalities(&modalities)
        };
        let row = CsrRow { indices: &[0, 1, 2, 3], values: &[900.0, 1.0, 2.0, 700.0] };
        let tokens = all(10).unwrap().cell(row, CellKey::Content, &mut TokenScratch::default());
        // The larger of two proteins and the larger of two genes are in the same, highest, bin.
        assert_eq!(tokens.values, [-2.0, 3.0, 1.0, 3.0, 1.0]);
        assert_eq!(tokens.conditions.unwrap(), [3, 0, 1, 1, 0].map(ConditionToken));
        let tokens = all(3).unwrap().cell(row, CellKey::Content, &mut TokenScratch::default());
        let mut of: Vec<u32> = tokens.conditions.unwrap().iter().map(|token| token.0).collect();
        of.sort_unstable();
        assert_eq!(of, [0, 1, 3]);
        // Of a modality without a value, zeros are not known to be zeros.
        let with_zeros = |tokenizer: Tokenizer| Tokenizer {
            config: TokenConfig { include_zero_genes: true, ..tokenizer.config },
            ..tokenizer
        };
        let row = CsrRow { indices: &[0, 1], values: &[5.0, 0.0] };
        let tokens =
            with_zeros(all(10).unwrap()).cell(row, CellKey::Content, &mut TokenScratch::default());
        assert_eq!(tokens.genes[1..], [0, 3].map(GeneToken));
    }

    #[test]
    fn no_room_is_an_error() {
        let vocab = GeneVocab::from_names(["A"]).unwrap();
        let var = Frame { index: vec!["A".into()], ..Frame::default() };
        let alignment = vocab.align(&var, &GeneNames::BEST).unwrap();
        let config = TokenConfig { max_length: 1, ..TokenConfig::default() };
        assert!(Tokenizer::new(&vocab, &alignment, config).is_err());
    }
}
