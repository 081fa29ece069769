//! [`Scgpt::generate`]: makes unknown genes known round by round, the most confident first.

use burn::{prelude::*, tensor::TensorData};
use serde::{Deserialize, Serialize};

use crate::{
    attention::AttentionMask,
    config::ScgptConfig,
    error::{Error, Result},
    host::host_values,
    input::{Conditions, ModelInput},
    problem::FieldProblem,
    scgpt::Scgpt,
};

/// How sure the network is of a prediction. The article leaves the measure open; all of these are
/// ours.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// How little the prediction varies when parts of the token embeddings are dropped: the
    /// negative variance over several passes. The dropped parts are chosen by the caller's noise,
    /// so a cell's result does not depend on its batch.
    DropoutVariance {
        /// Number of passes, at least 2.
        samples: usize,
    },
    /// How well the predictions from token states (GEP) and from the cell embedding (GEPC) agree:
    /// their negative distance.
    Agreement,
    /// Genes are drawn at random, as a control.
    Random,
    /// The predicted value itself: highly expressed genes first.
    LargestValue,
}

impl Default for Confidence {
    fn default() -> Self {
        Self::DropoutVariance { samples: 4 }
    }
}

/// The value with which an unknown gene becomes known after its round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promoted {
    /// The nearest value bin from 1 on, as in training; the result keeps the prediction.
    #[default]
    Bin,
    /// The prediction as it is.
    Raw,
}

/// How cells are generated.
///
/// ```
/// use burn::prelude::Device;
/// use scgpt_model::{Confidence, Generation, Prompt, ScgptConfig};
///
/// let shape = ScgptConfig { d_model: 16, n_heads: 2, d_ff: 16, n_layers: 1, ..ScgptConfig::new(60) };
/// let device = Device::flex();
/// let model = shape.init(&device)?;
/// let prompt = Prompt {
///     genes: vec![0, 7],
///     values: vec![-2.0, 3.0],
///     unknown: vec![12, 30, 31],
///     ..Prompt::default()
/// };
/// let options =
///     Generation { rounds: 2, confidence: Confidence::LargestValue, ..Generation::default() };
/// // This measure of confidence needs no noise.
/// let cells = model.generate(&[prompt], &options, &shape, &|_, _| 0, &device, &mut |_| {})?;
/// assert_eq!(cells[0].values.len(), 3);
/// // Two of three genes become known in the first round, the last one in the second.
/// assert_eq!(cells[0].rounds.iter().sum::<usize>(), 1);
/// # Ok::<(), scgpt_model::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// Number of rounds; in each, an equal part of the genes becomes known.
    pub rounds: usize,
    /// The measure that decides which genes become known first.
    pub confidence: Confidence,
    /// The value with which a gene becomes known.
    pub promoted: Promoted,
}

impl Default for Generation {
    fn default() -> Self {
        Self { rounds: 4, confidence: Confidence::default(), promoted: Promoted::default() }
    }
}

/// What is known of a cell, and which genes are asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompt {
    /// Known gene tokens, `<cls>` first.
    pub genes: Vec<i32>,
    /// Their values, parallel to `genes`.
    pub values: Vec<f32>,
    /// A cell embedding in the place of `<cls>`, `[d]`.
    pub cell: Option<Vec<f32>>,
    /// Gene tokens to generate.
    pub unknown: Vec<i32>,
    /// Key of this cell's noise; cells with equal keys and prompts get equal results.
    pub key: u64,
}

/// The generated genes of a cell, in the order of [`Prompt::unknown`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Generated {
    /// The predicted value of each gene in the round in which it became known.
    pub values: Vec<f32>,
    /// The round in which each gene became known, counted from 0.
    pub rounds: Vec<usize>,
    /// The confidence of each gene in that round; larger is surer.
    pub confidence: Vec<f32>,
}

/// The predictions for all unknown genes of one cell in one round.
#[derive(Clone, Debug)]
pub struct Round<'a> {
    /// Number of the round, counted from 0.
    pub round: usize,
    /// Position of the cell among the prompts.
    pub cell: usize,
    /// Positions in [`Prompt::unknown`] that were unknown in this round.
    pub asked: &'a [usize],
    /// The predicted values of these genes.
    pub predictions: &'a [f32],
    /// Those of these positions that became known.
    pub moved: &'a [usize],
}

/// A function that gives 64 random bits for a cell's key and an index.
pub type Noise<'a> = &'a dyn Fn(u64, u64) -> u64;

/// Share of the token embeddings' channels that a stochastic pass drops.
const DROPPED: f64 = 0.1;

impl Scgpt {
    /// Generates the unknown genes of some cells in rounds. Each round predicts all that are
    /// unknown, and makes the `⌈unknown / rounds⌉` most confident genes of each cell known (of
    /// equals the first); the last round takes all that are left. `watch` is called with every cell
    /// of every round.
    ///
    /// # Errors
    /// [`Error::Config`] if there are no rounds or passes; [`Error::Generate`] if the network has no
    /// embedding of unknown genes, or no GEPC head and [`Confidence::Agreement`] is asked for, or a
    /// prompt lacks its first token or a value, or only some have a cell embedding.
    ///
    /// # Panics
    /// If a token is not of the vocabulary, or a prompt's cell embedding has another width.
    ///
    /// # Reference
    /// Methods, "generation by iterations". Differs: the loop exists nowhere in the reference; its
    /// measure of confidence is undefined there.
    pub fn generate(
        &self,
        prompts: &[Prompt],
        options: &Generation,
        config: &ScgptConfig,
        noise: Noise<'_>,
        device: &Device,
        watch: &mut dyn FnMut(Round<'_>),
    ) -> Result<Vec<Generated>> {
        options.check(self, prompts)?;
        if prompts.is_empty() {
            return Ok(Vec::new());
        }
        let mut cells: Vec<Cell> = prompts.iter().map(Cell::new).collect();
        for round in 0..options.rounds {
            let is_last = round + 1 == options.rounds;
            let pass = Pass { model: self, options, config, noise, round };
            let found = pass.predict(&cells, device);
            for (index, (cell, (predictions, confidence))) in
                cells.iter_mut().zip(found).enumerate()
            {
                let asked = cell.open.clone();
                let quota = cell.prompt.unknown.len().div_ceil(options.rounds);
                let quota = if is_last { asked.len() } else { quota };
                let moved = cell.promote(round, &predictions, &confidence, quota, |value| {
                    match options.promoted {
                        Promoted::Raw => value,
                        Promoted::Bin => value.round().clamp(1.0, (config.n_bins - 1) as f32),
                    }
                });
                watch(Round {
                    round,
                    cell: index,
                    asked: &asked,
                    predictions: &predictions,
                    moved: &moved,
                });
            }
        }
        Ok(cells.into_iter().map(|cell| cell.generated).collect())
    }
}

impl Generation {
    fn check(&self, model: &Scgpt, prompts: &[Prompt]) -> Result<()> {
        let mut wrong = Vec::new();
        if self.rounds == 0 {
            wrong.push(FieldProblem::new("rounds", "is 0, expected at least 1"));
        }
        if let Confidence::DropoutVariance { samples: samples @ ..2 } = self.confidence {
            let problem = format!("is {samples}, but a variance takes at least 2 passes");
            wrong.push(FieldProblem::new("samples", problem));
        }
        if !wrong.is_empty() {
            return Err(Error::Config { path: None, problems: wrong });
        }
        let mut problems = Vec::new();
        for (index, Prompt { genes, values, cell, .. }) in prompts.iter().enumerate() {
            if genes.is_empty() {
                problems.push(format!("prompt {index} is empty, expected `<cls>` first"));
            }
            if genes.len() != values.len() {
                let (genes, values) = (genes.len(), values.len());
                problems.push(format!("prompt {index}: {genes} gene tokens but {values} values"));
            }
            if cell.is_some() != prompts[0].cell.is_some() {
                problems.push(format!(
                    "prompts 0 and {index}: one has a cell embedding, the other has none"
                ));
            }
        }
        if model.unknown_flag.is_none() {
            problems.push(
                "the network has no embedding of unknown genes: only generatively pre-trained models generate".into(),
            );
        }
        if self.confidence == Confidence::Agreement && model.gepc.is_none() {
            problems.push(
                "the network does not predict from the cell embedding (GEPC), so there is no agreement".into(),
            );
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Generate(problems)) }
    }
}

/// A cell between two rounds.
struct Cell<'a> {
    prompt: &'a Prompt,
    /// Genes known by now: those of the prompt, then those that became known.
    genes: Vec<i32>,
    values: Vec<f32>,
    /// Positions in the prompt's unknown genes that are still unknown, ascending.
    open: Vec<usize>,
    generated: Generated,
}

impl<'a> Cell<'a> {
    fn new(prompt: &'a Prompt) -> Self {
        let n = prompt.unknown.len();
        Self {
            prompt,
            genes: prompt.genes.clone(),
            values: prompt.values.clone(),
            open: (0..n).collect(),
            generated: Generated {
                values: vec![0.0; n],
                rounds: vec![0; n],
                confidence: vec![0.0; n],
            },
        }
    }

    fn len(&self) -> usize {
        self.genes.len() + self.open.len()
    }

    /// Makes the `quota` most confident genes known, and returns their positions, ascending.
    fn promote(
        &mut self,
        round: usize,
        predictions: &[f32],
        confidence: &[f32],
        quota: usize,
        known_as: impl Fn(f32) -> f32,
    ) -> Vec<usize> {
        let mut ranked: Vec<usize> = (0..self.open.len()).collect();
        // Stable: of equals the first.
        ranked.sort_by(|&a, &b| confidence[b].total_cmp(&confidence[a]));
        ranked.truncate(quota);
        ranked.sort_unstable();
        let moved: Vec<usize> = ranked.iter().map(|&rank| self.open[rank]).collect();
        for (&rank, &position) in ranked.iter().zip(&moved) {
            self.generated.values[position] = predictions[rank];
            self.generated.rounds[position] = round;
            self.generated.confidence[position] = confidence[rank];
            self.genes.push(self.prompt.unknown[position]);
            self.values.push(known_as(predictions[rank]));
        }
        self.open.retain(|position| moved.binary_search(position).is_err());
        moved
    }
}

/// One round's passes over the cells.
struct Pass<'a> {
    model: &'a Scgpt,
    options: &'a Generation,
    config: &'a ScgptConfig,
    noise: Noise<'a>,
    round: usize,
}

impl Pass<'_> {
    /// Predictions and confidence of the unknown genes of each cell.
    fn predict(&self, cells: &[Cell<'_>], device: &Device) -> Vec<(Vec<f32>, Vec<f32>)> {
        let input = self.input(cells, device);
        let t = input.genes.dims()[1];
        let at_unknown = |all: &[f32], row: usize, cell: &Cell<'_>| -> Vec<f32> {
            let first = row * t + cell.genes.len();
            all[first..first + cell.open.len()].to_vec()
        };
        let encoded = self.model.encode(&input);
        let predicted = host_values(self.model.predict(&encoded).value);
        let of_all: Vec<f32> = match self.options.confidence {
            Confidence::LargestValue => predicted.clone(),
            Confidence::Agreement => {
                #[expect(clippy::expect_used, reason = "`Generation::check` asks for that head")]
                let by_cell = self.model.predict_from_cell(&encoded).expect("a GEPC head");
                let by_cell = host_values(by_cell.value);
                std::iter::zip(&predicted, by_cell).map(|(a, b)| -(a - b).abs()).collect()
            }
            Confidence::Random => vec![0.0; predicted.len()],
            Confidence::DropoutVariance { samples } => self.variances(&input, cells, samples),
        };
        let confidence = |row: usize, cell: &Cell<'_>| match self.options.confidence {
            Confidence::Random => cell
                .open
                .iter()
                .map(|&position| {
                    // The upper bits, as many as an f32 holds.
                    let bits = (self.noise)(cell.prompt.key, self.index(position as u64));
                    (bits >> 40) as f32
                })
                .collect(),
            _ => at_unknown(&of_all, row, cell),
        };
        cells
            .iter()
            .enumerate()
            .map(|(row, cell)| (at_unknown(&predicted, row, cell), confidence(row, cell)))
            .collect()
    }

    /// An index for the noise of this round, different from those of other rounds.
    fn index(&self, index: u64) -> u64 {
        ((self.round as u64) << 48) | index
    }

    fn input(&self, cells: &[Cell<'_>], device: &Device) -> ModelInput {
        let b = cells.len();
        let t = cells.iter().map(Cell::len).max().unwrap_or(0);
        let pad = self.config.pad_token.and_then(|pad| i32::try_from(pad).ok()).unwrap_or(0);
        let (mut genes, mut values) = (Vec::with_capacity(b * t), Vec::with_capacity(b * t));
        for (row, cell) in (1..).zip(cells) {
            genes.extend_from_slice(&cell.genes);
            genes.extend(cell.open.iter().map(|&position| cell.prompt.unknown[position]));
            genes.resize(row * t, pad);
            values.extend_from_slice(&cell.values);
            values.resize(row * t, self.config.pad_value);
        }
        let known = cells.iter().map(|cell| cell.genes.len()).collect();
        let used = cells.iter().map(Cell::len).collect();
        let prompt = cells.iter().all(|cell| cell.prompt.cell.is_some()).then(|| {
            let rows = cells.iter().filter_map(|cell| cell.prompt.cell.as_ref());
            let rows: Vec<f32> = rows.flatten().copied().collect();
            Tensor::from_data(TensorData::new(rows, [b, self.config.d_model]), device)
        });
        ModelInput {
            conditions: Conditions { prompt, ..Conditions::default() },
            ..ModelInput::new(
                Tensor::from_data(TensorData::new(genes, [b, t]), device),
                Tensor::from_data(TensorData::new(values, [b, t]), device),
                AttentionMask::generative(known, used, t),
            )
        }
    }

    /// Negative variances of the predictions, `[b, t]`, over passes with dropped embeddings.
    fn variances(&self, input: &ModelInput, cells: &[Cell<'_>], samples: usize) -> Vec<f32> {
        let [b, t] = input.genes.dims();
        let (mut sum, mut squares) = (vec![0.0_f64; b * t], vec![0.0_f64; b * t]);
        for sample in 0..samples {
            let encoded = self.model.encode_noisy(input, self.kept(cells, t, sample));
            let predicted = host_values(self.model.predict(&encoded).value);
            for (position, &value) in predicted.iter().enumerate() {
                sum[position] += f64::from(value);
                squares[position] += f64::from(value).powi(2);
            }
        }
        let n = samples as f64;
        #[allow(clippy::cast_possible_truncation, reason = "compared in f32")]
        let negative = |(sum, squares): (f64, f64)| -((squares - sum * sum / n) / (n - 1.0)) as f32;
        std::iter::zip(sum, squares).map(negative).collect()
    }

    /// 0 where a channel of a token is dropped, the reciprocal of the kept share elsewhere,
    /// `[b, t, d]`: keyed by cell, gene, channel and pass.
    fn kept(&self, cells: &[Cell<'_>], t: usize, sample: usize) -> Tensor<3> {
        let d = self.config.d_model;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a factor near one, and a share of the range of u16"
        )]
        let (kept, limit) =
            ((1.0 / (1.0 - DROPPED)) as f32, (DROPPED * f64::from(u16::MAX)) as u16);
        let mut mask = vec![kept; cells.len() * t * d];
        for (row, cell) in cells.iter().enumerate() {
            let unknown = cell.open.iter().map(|&position| cell.prompt.unknown[position]);
            let genes = cell.genes.iter().copied().chain(unknown);
            for (token, gene) in genes.enumerate() {
                let channels = &mut mask[(row * t + token) * d..(row * t + token + 1) * d];
                for (word, channels) in channels.chunks_mut(4).enumerate() {
                    // A number is four draws of 16 bits.
                    let of_gene = (u64::from(gene.cast_unsigned()) << 16) | word as u64;
                    let index = self.index(of_gene ^ ((1 + sample as u64) << 56));
                    let bits = (self.noise)(cell.prompt.key, index).to_le_bytes();
                    for (channel, draw) in channels.iter_mut().zip(bits.as_chunks::<2>().0) {
                        if u16::from_le_bytes(*draw) < limit {
                            *channel = 0.0;
                        }
                    }
                }
            }
        }
        let device = self.model.genes.embedding.weight.val().device();
        Tensor::from_data(TensorData::new(mask, [cells.len(), t, d]), &device)
    }
}
