//! [`LabelJudge`]: calibrates and judges a trained network, or a simple method, by held-out cells.
//!
//! First the validation cells calibrate it, then the test cells, which neither it nor its
//! calibration knows, tell what that is worth. Both are computed as new cells would be, with
//! nothing of them hidden.

use scgpt_data::{CellTokens, Observer};
use scgpt_eval::{CalibrationScores, LabelEvaluation, LabelMap, PredictedLabels};
use scgpt_stats::subsample;

use super::{
    calibration::{Calibration, Evidence, Judgement, UnknownScore, largest, softmax},
    centre::{Centre, UnitRow},
    profiles::{Profiles, SourceProfiles},
    scored::Scored,
};
use crate::{
    error::Result,
    training::{TrainingCells, VALIDATION_EPOCH},
};

/// Most cells whose mean is the centre of a class.
const CENTRE_CELLS: usize = 500;

/// What tells classes, and the cells it was fitted to and is judged on.
pub(super) struct LabelJudge<'a> {
    pub(super) cells: &'a TrainingCells<'a>,
    /// The class of each cell.
    pub(super) classes: &'a [u32],
    /// Names of the classes that were learned.
    pub(super) names: &'a [String],
    /// Class scores and positions of cells, by their numbers in the shards.
    pub(super) score: &'a dyn Fn(&[usize]) -> Result<Scored>,
    pub(super) observer: &'a dyn Observer,
}

/// What the validation cells tell of a method.
pub(super) struct Calibrated {
    pub(super) calibration: Calibration,
    pub(super) profiles: Profiles,
    /// The class that each of them was said to be of.
    pub(super) said: Vec<u32>,
}

/// The cells that were kept to judge the result, and the answers for them.
#[derive(Debug)]
pub(super) struct Judged {
    names: Vec<String>,
    truth: Vec<u32>,
    predicted: Vec<u32>,
    strangeness: Vec<f32>,
    is_known_class: Vec<bool>,
    pub(super) evaluation: LabelEvaluation,
    /// Calibration error before the temperature.
    pub(super) uncalibrated: CalibrationScores,
    pub(super) map: LabelMap,
}

impl Judged {
    /// The true and the predicted labels, for comparison with other methods.
    pub(super) fn labels(&self) -> PredictedLabels<'_> {
        PredictedLabels {
            names: &self.names,
            truth: &self.truth,
            predicted: &self.predicted,
            strangeness: Some(&self.strangeness),
            is_known_class: Some(&self.is_known_class),
            ..PredictedLabels::default()
        }
    }
}

impl LabelJudge<'_> {
    /// Calibrates confidence, plausible classes and unknown cells by the validation cells and by
    /// the centres of the classes' training cells.
    ///
    /// # Errors
    /// If the cells cannot be read; [`Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    pub(super) fn calibrate(&self, training: &[usize], validation: &[usize]) -> Result<Calibrated> {
        let (centres, profiles) = self.centres(training)?;
        self.observer.begin("calibrating", validation.len());
        let scored = (self.score)(validation)?;
        let unlike = self.unlike(validation, &profiles.whole())?;
        let calibration =
            Calibration::new(&evidence(&scored, &unlike), &self.truth(validation), centres);
        let said = scored.cells().map(|(scores, _)| largest(scores)).collect();
        Ok(Calibrated { calibration, profiles, said })
    }

    /// Answers for `cells` and says how right the answers are; `None` without cells. `names` are
    /// those of the classes that were learned, then those of the classes whose cells can only be
    /// found unknown.
    pub(super) fn judge(
        &self,
        calibration: &Calibration,
        profiles: &Profiles,
        cells: &[usize],
        names: Vec<String>,
    ) -> Result<Option<Judged>> {
        if cells.is_empty() {
            return Ok(None);
        }
        self.observer.begin("judging", cells.len());
        let scored = (self.score)(cells)?;
        let truth = self.truth(cells);
        let limits =
            calibration.limits(super::COVERAGE, super::KNOWN_SHARE, UnknownScore::default());
        let unlike = self.unlike(cells, &profiles.whole())?;
        let judged: Vec<Judgement> = evidence(&scored, &unlike)
            .iter()
            .map(|cell| calibration.judge(&limits, cell))
            .collect();
        let predicted: Vec<u32> = judged.iter().map(|cell| cell.class).collect();
        let confidence: Vec<f32> = judged.iter().map(Judgement::confidence).collect();
        let sets: Vec<Vec<u32>> = judged.iter().map(|cell| cell.set.clone()).collect();
        let is_unknown: Vec<bool> = judged.iter().map(|cell| cell.is_unknown).collect();
        let strangeness: Vec<f32> = judged.iter().map(|cell| cell.strangeness).collect();
        let n_known = self.names.len();
        let is_known_class: Vec<bool> = (0..names.len()).map(|class| class < n_known).collect();
        let of = PredictedLabels {
            names: &names,
            truth: &truth,
            predicted: &predicted,
            confidence: Some(&confidence),
            sets: Some(&sets),
            is_unknown: Some(&is_unknown),
            strangeness: Some(&strangeness),
            is_known_class: Some(&is_known_class),
        };
        let seed = self.cells.seed;
        let embeddings: Vec<&[f32]> = scored.cells().map(|(_, embedding)| embedding).collect();
        let drawn = LabelMap::sample(cells.len(), seed);
        let rows: Vec<f32> = drawn.iter().flat_map(|&cell| embeddings[cell]).copied().collect();
        let raw = scored.cells().zip(truth.iter().zip(&predicted));
        let (raw, is_right): (Vec<f32>, Vec<bool>) = raw
            .filter(|(_, (truth, _))| is_known_class[**truth as usize])
            .map(|((logits, _), (truth, predicted))| {
                let probabilities = softmax(logits, 1.0);
                (probabilities[largest(&probabilities) as usize], truth == predicted)
            })
            .unzip();
        Ok(Some(Judged {
            evaluation: LabelEvaluation::new(&of, seed, self.observer)?,
            uncalibrated: CalibrationScores::new(&raw, &is_right),
            map: LabelMap::new(&of, &drawn, &rows, self.observer)?,
            names,
            truth,
            predicted,
            strangeness,
            is_known_class,
        }))
    }

    /// The class of each cell.
    fn truth(&self, cells: &[usize]) -> Vec<u32> {
        cells.iter().map(|&cell| self.classes[cell]).collect()
    }

    /// All that cells express.
    fn whole(&self, cells: &[usize]) -> Result<Vec<CellTokens>> {
        Ok(self.cells.whole(cells, VALIDATION_EPOCH)?)
    }

    /// How unlike the cells of all classes cells are in what they express.
    fn unlike(&self, cells: &[usize], profiles: &SourceProfiles) -> Result<Vec<f32>> {
        let mut unlike = Vec::with_capacity(cells.len());
        for cells in cells.chunks(CENTRE_CELLS) {
            unlike.extend(self.whole(cells)?.iter().map(|cell| profiles.strangeness(cell)));
        }
        Ok(unlike)
    }

    /// The centres of the training cells of each class, by their embeddings and by what they
    /// express.
    fn centres(&self, training: &[usize]) -> Result<(Vec<Centre>, Profiles)> {
        let mut of_class = vec![Vec::new(); self.names.len()];
        for &cell in training {
            of_class[self.classes[cell] as usize].push(cell);
        }
        let sample = |cells: &Vec<usize>| -> Vec<usize> {
            let chosen = subsample(cells.len(), CENTRE_CELLS, self.cells.seed);
            chosen.into_iter().map(|position| cells[position]).collect()
        };
        let samples: Vec<Vec<usize>> = of_class.iter().map(sample).collect();
        self.observer.begin("finding centres of classes", samples.iter().map(Vec::len).sum());
        let n_tokens = self.cells.shards.vocab().len();
        let (mut embedded, mut expressed) = (Vec::new(), Vec::new());
        for cells in &samples {
            let scored = (self.score)(cells)?;
            let rows: Vec<UnitRow> = scored.cells().map(|(_, row)| UnitRow::of(row)).collect();
            embedded.push(Centre::around(scored.width, &rows));
            let rows: Vec<UnitRow> = self.whole(cells)?.iter().map(Profiles::bins).collect();
            expressed.push(Centre::around(n_tokens, &rows));
        }
        Ok((Centre::of_classes(embedded), Profiles::new(&expressed)))
    }
}

/// What is known of each cell before it is judged: its class scores, its embedding, and how unlike
/// all classes it is in what it expresses.
pub(super) fn evidence<'a>(scored: &'a Scored, unlike: &[f32]) -> Vec<Evidence<'a>> {
    let of = |((logits, embedding), &expression)| Evidence { logits, embedding, expression };
    scored.cells().zip(unlike).map(of).collect()
}
