//! [`TrainingCells`]: turns cells of shards into tokens and batches.

use std::sync::{Mutex, PoisonError};

use scgpt_data::{
    Binner, CellKey, CellTokens, Collator, EpochOrder, GeneToken, Keyed, Mask, Modalities, Purpose,
    ShardFolder, SpecialToken, ThinnedCell, TieMode, TokenConfig, TokenScratch, Tokenizer,
};
use scgpt_model::{CellEncoder, ScgptConfig};
use scgpt_train::{Error, Result, TrainCell};

use super::StartingNetwork;
use crate::stream::{Rows, TokenPanel};

/// Number of batches whose cells are sorted by length together, so that little is padded.
const BATCHES_PER_WINDOW: usize = 32;

/// Epoch of the choices made for validation: the same in every run.
pub(crate) const VALIDATION_EPOCH: u64 = u64::MAX;

/// For each cell of the shards its number in the source; the shards lack cells without known genes.
pub(crate) fn source_cells(shards: &ShardFolder) -> Result<Vec<usize>> {
    let id = |cell| {
        let id = shards.id(cell)?;
        usize::try_from(id)
            .map_err(|_| Error::Data(format!("cell {cell} of the shards has the number {id}")))
    };
    (0..shards.n_cells()).map(id).collect()
}

/// How cells of shards become tokens and batches.
#[derive(Clone, Copy)]
pub(crate) struct CellChoices<'a> {
    pub(crate) tie_mode: TieMode,
    /// Most tokens per cell, `<cls>` included.
    pub(crate) max_length: usize,
    pub(crate) batch_size: usize,
    /// Seed by which genes, ties and masks are drawn, together with epoch and cell.
    pub(crate) seed: u64,
    /// The genes that become tokens; with `None`, all that a cell expresses.
    pub(crate) panel: Option<TokenPanel<'a>>,
    /// Modalities of the tokens, if there are several.
    pub(crate) modalities: Option<&'a Modalities>,
}

/// Cells of shards, and how they become tokens and batches.
pub(crate) struct TrainingCells<'a> {
    pub(crate) shards: &'a ShardFolder,
    pub(crate) network: &'a ScgptConfig,
    pub(crate) batch_size: usize,
    pub(crate) seed: u64,
    pub(crate) modalities: Option<&'a Modalities>,
    tokenizer: Tokenizer,
    /// As `tokenizer`, without a limit of tokens.
    whole: Tokenizer,
    /// As `tokenizer`, with as many tokens as the trained network embeds a cell by.
    embedding: Tokenizer,
    /// The window of the last batch: lengths are looked up all over the shards, once.
    window: Mutex<Option<Window>>,
}

/// Cells of an epoch that are cut into batches together, by their lengths.
struct Window {
    epoch: u64,
    number: usize,
    cells: Vec<usize>,
}

impl<'a> TrainingCells<'a> {
    /// Cells for the network with which training begins.
    ///
    /// # Errors
    /// If tokens cannot be made in this way: there are fewer than two value bins, or no room for a
    /// gene.
    pub(crate) fn new(
        shards: &'a ShardFolder,
        start: &'a StartingNetwork,
        choices: CellChoices<'a>,
    ) -> Result<Self> {
        let StartingNetwork { config: network, preprocess, .. } = start;
        let CellChoices { tie_mode, max_length, batch_size, seed, panel, modalities } = choices;
        let config = TokenConfig {
            binner: Some(Binner { n_bins: network.value_bins(), tie_mode }),
            cls_value: Some(preprocess.cls_value),
            include_zero_genes: panel.is_some_and(|panel| panel.with_zeros),
            max_length,
            seed,
            ..TokenConfig::default()
        };
        let mut tokenizer = Tokenizer::of_tokens(shards.vocab(), config)?;
        if let Some(panel) = panel {
            tokenizer = tokenizer.retain(|gene| panel.is_in[gene.0 as usize]);
        }
        if let Some(modalities) = modalities {
            tokenizer = tokenizer.with_modalities(modalities)?;
        }
        let whole = tokenizer.clone().within(usize::MAX);
        let embedding = tokenizer.clone().within(preprocess.max_length);
        let window = Mutex::default();
        Ok(Self {
            shards,
            network,
            batch_size,
            seed,
            modalities,
            tokenizer,
            whole,
            embedding,
            window,
        })
    }

    /// A network as it lays out these cells when nothing is learned, `batch_size` computed at once.
    pub(crate) fn rows<'e>(&self, encoder: &'e CellEncoder, batch_size: usize) -> Rows<'e> {
        let collator = Collator::new(self.shards.vocab(), self.network.pad_value);
        Rows { encoder, collator, batch_size }
    }

    /// The tokens of some cells, with the choices of an epoch.
    ///
    /// A cell with more genes than fit loses some, which are drawn by (seed, epoch, cell).
    ///
    /// # Errors
    /// If the shards cannot be read.
    pub(crate) fn tokens(&self, cells: &[usize], epoch: u64) -> Result<Vec<CellTokens>> {
        self.made(&self.tokenizer, cells, epoch)
    }

    /// As [`tokens`](Self::tokens), without a limit: all tokens of a cell, however many they are.
    pub(crate) fn whole(&self, cells: &[usize], epoch: u64) -> Result<Vec<CellTokens>> {
        self.made(&self.whole, cells, epoch)
    }

    /// The tokens of some cells by one of the tokenizers, with the choices of an epoch.
    fn made(&self, tokenizer: &Tokenizer, cells: &[usize], epoch: u64) -> Result<Vec<CellTokens>> {
        let mut scratch = TokenScratch::default();
        let tokens = |&cell: &usize| {
            let key = CellKey::Number { cell: cell as u64, epoch };
            Ok(tokenizer.cell(self.shards.cell(cell)?, key, &mut scratch))
        };
        cells.iter().map(tokens).collect()
    }

    /// The two random halves of a cell's counts, the same in every epoch.
    ///
    /// # Errors
    /// If the shards cannot be read.
    pub(crate) fn thinned(&self, cell: usize) -> Result<ThinnedCell> {
        Ok(ThinnedCell::new(self.shards.cell(cell)?, self.seed, cell as u64))
    }

    /// The tokens of the first halves of some cells, and of the second, as they are embedded.
    ///
    /// Halves with more genes than fit all lose the same ones, as far as they have them: a choice
    /// by cell would be known again in the other half.
    ///
    /// # Errors
    /// If the shards cannot be read.
    pub(crate) fn halves(&self, cells: &[usize]) -> Result<[Vec<CellTokens>; 2]> {
        let key = CellKey::Number { cell: 0, epoch: VALIDATION_EPOCH };
        let mut scratch = TokenScratch::default();
        let mut tokens = [(); 2].map(|()| Vec::with_capacity(cells.len()));
        for &cell in cells {
            for (tokens, half) in tokens.iter_mut().zip(self.thinned(cell)?.halves()) {
                tokens.push(self.embedding.cell(half, key, &mut scratch));
            }
        }
        Ok(tokens)
    }

    /// As [`tokens`](Self::tokens), with some values hidden, which are to be predicted.
    pub(crate) fn hidden(&self, cells: &[usize], epoch: u64, mask: Mask) -> Result<Vec<TrainCell>> {
        let tokens = self.tokens(cells, epoch)?;
        let made = cells.iter().zip(tokens);
        Ok(made.map(|(&cell, tokens)| self.mask(cell, tokens, epoch, mask)).collect())
    }

    /// Shortens a cell as [`tokens`](Self::tokens) does, with an equal share of its tokens for
    /// every modality.
    pub(crate) fn shorten(&self, cell: usize, tokens: &mut CellTokens, epoch: u64) {
        let key = Keyed::new(self.seed, Purpose::Sample, epoch, cell as u64);
        tokens.shorten_fairly(self.tokenizer.config().max_length, 1, |gene| {
            key.bits(u64::from(gene.0))
        });
    }

    /// The cell with some values hidden.
    pub(crate) fn mask(
        &self,
        cell: usize,
        mut tokens: CellTokens,
        epoch: u64,
        mask: Mask,
    ) -> TrainCell {
        let key = Keyed::new(self.seed, Purpose::Mask, epoch, cell as u64);
        let draw = |position: usize| key.uniform(u64::from(tokens.genes[position].0));
        let mut hidden = Vec::new();
        for (position, is_masked) in mask.is_masked(&tokens.values, draw).iter().enumerate() {
            if *is_masked {
                hidden.push((position, tokens.values[position]));
                tokens.values[position] = self.network.mask_value;
            }
        }
        TrainCell { known: tokens, hidden, unknown: CellTokens::default() }
    }

    /// The token of padding.
    pub(crate) fn pad(&self) -> GeneToken {
        self.shards.vocab().special(SpecialToken::Pad)
    }

    /// Numbers of the cells of a batch. The window in which it lies is cut out of the shuffled
    /// epoch, sorted by length and cut into batches, which are shuffled. An epoch has one order.
    pub(crate) fn batch(&self, order: &EpochOrder, epoch: u64, index: u64) -> Result<Vec<usize>> {
        let size = self.batch_size;
        let position = usize::try_from(index).unwrap_or(usize::MAX);
        let number = position / BATCHES_PER_WINDOW;
        let mut last = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|last| (last.epoch, last.number) != (epoch, number)) {
            *last = Some(self.window(order, epoch, number)?);
        }
        let cells = last.as_ref().map(|last| last.cells.as_slice()).unwrap_or_default();
        // Windows are numbered apart from the epoch's own order.
        let key = Keyed::new(self.seed, Purpose::Order, epoch, 1 + number as u64);
        let mut shuffled: Vec<usize> = (0..cells.len().div_ceil(size)).collect();
        shuffled.sort_by_key(|&batch| key.bits(batch as u64));
        let first = shuffled[position % BATCHES_PER_WINDOW] * size;
        Ok(cells[first..cells.len().min(first + size)].to_vec())
    }

    fn window(&self, order: &EpochOrder, epoch: u64, number: usize) -> Result<Window> {
        let n = BATCHES_PER_WINDOW * self.batch_size;
        let mut numbers: Vec<usize> = order.cells_from(number * n).take(n).collect();
        // One sweep over the shards.
        numbers.sort_unstable();
        let length = |cell| Ok((self.shards.cell(cell)?.indices.len(), cell));
        let mut cells = numbers.into_iter().map(length).collect::<Result<Vec<_>>>()?;
        cells.sort_unstable();
        let cells = cells.into_iter().map(|(_, cell)| cell).collect();
        Ok(Window { epoch, number, cells })
    }

    /// Number of batches of an epoch of `n` cells.
    pub(crate) fn n_batches(&self, n: usize) -> u64 {
        n.div_ceil(self.batch_size) as u64
    }
}
