//! [`PerturbEvaluation`]: predicted responses beside simple methods, and the best that the noise of
//! the data allows.

use std::collections::{BTreeMap, BTreeSet};

use scgpt_data::{CellSource, EmptyCells, Error, Layer, Observer, Result, some_of};
use serde::Serialize;

use super::{
    baselines::{KnownResponses, ResponseBaseline, mean, response_baselines},
    condition::Condition,
    de::DeGenes,
    design::{Design, DesignOptions},
    genes::{gene_column, gene_names},
    moments::Moments,
    scores::{JudgedResponse, MethodResponses, similarity},
    split::Split,
};

/// How good predicted responses are.
#[derive(Clone, Debug, Serialize)]
pub struct PerturbEvaluation {
    /// Names of the conditions that are judged.
    pub conditions: Vec<String>,
    /// Number of genes over which they are judged.
    pub genes: usize,
    /// The predictions, then simple methods on the same conditions.
    pub methods: Vec<MethodResponses>,
    /// How well half of the cells of a condition predict the other half: a measure of the noise. A
    /// method that learns from more cells can do better.
    pub ceiling: Option<MethodResponses>,
    /// Mean correlation between the true changes of different conditions.
    pub truth_similarity: f64,
    /// What of two files was not judged; `None` if an artefact's own conditions are judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<NotJudged>,
    /// The conditions that are judged, with their true profiles.
    #[serde(skip)]
    pub judged: Vec<JudgedResponse>,
    /// The predicted profile of each of them, `[g]`.
    #[serde(skip)]
    pub predicted: Vec<Vec<f64>>,
    /// Names of the genes `[g]`.
    #[serde(skip)]
    pub names: Vec<String>,
}

/// What of two files was not judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotJudged {
    /// Predicted conditions that the truth does not have.
    pub without_truth: Vec<String>,
    /// Conditions of the truth that were not predicted; without a split they count as known.
    pub not_predicted: Vec<String>,
    /// Predicted conditions on which the split trains or by which it selects.
    pub trained_on: Vec<String>,
    /// Number of genes of the truth.
    pub genes_of_truth: usize,
    /// Number of genes of the predictions.
    pub genes_of_predictions: usize,
    /// Number of true cells and of predicted cells whose values are all zero.
    pub without_values: [usize; 2],
    /// Number of perturbed genes, by the names of the conditions.
    pub perturbed: usize,
    /// Perturbed genes that are not measured in both files.
    pub unmeasured: Vec<String>,
}

impl PerturbEvaluation {
    /// Adds the evaluation of another repeat of the training.
    pub fn add(&mut self, other: Self) {
        MethodResponses::add(&mut self.methods, other.methods);
        if let (Some(ceiling), Some(other)) = (&mut self.ceiling, other.ceiling) {
            MethodResponses::add(std::slice::from_mut(ceiling), vec![other]);
        }
    }
}

/// What predicted responses are judged by.
#[derive(Clone, Copy, Debug)]
pub struct ResponseJudge<'a> {
    /// Which cells had which perturbation.
    pub design: &'a Design,
    /// Means of the groups of the design, over all genes.
    pub moments: &'a Moments,
    /// Names of the genes over which predictions are judged.
    pub names: &'a [String],
    /// The column of each of these genes.
    pub columns: &'a [usize],
    /// Which conditions were trained on, and which are judged.
    pub split: &'a Split,
    /// Seed of the intervals and of the halves of cells.
    pub seed: u64,
}

/// The profiles that a method predicts.
#[derive(Clone, Debug)]
pub struct Predictions<'a> {
    /// What the method is called in reports.
    pub name: &'a str,
    /// Mean expression of each group, `[groups][genes]`, over the genes that are judged.
    pub profiles: Vec<Vec<f64>>,
    /// Whether simple methods are judged on the same groups.
    pub beside_baselines: bool,
}

impl ResponseJudge<'_> {
    /// Scores what a method predicts for the groups `tested` of the design.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If there is not one profile a group.
    pub fn judge(
        &self,
        tested: &[usize],
        predictions: Predictions<'_>,
        observer: &dyn Observer,
    ) -> Result<PerturbEvaluation> {
        let Predictions { name, profiles: predicted, beside_baselines: baselines } = predictions;
        assert_eq!(predicted.len(), tested.len(), "a profile for each group");
        let known = self.known();
        let mut judged: Vec<JudgedResponse> = Vec::with_capacity(tested.len());
        for of_type in self.by_type(tested) {
            let centroid = self.centroid(of_type, &known);
            for &group in of_type {
                observer.check_cancelled()?;
                judged.push(self.judged(group, &centroid));
            }
        }
        let score = |name: &str, judged: &[JudgedResponse], predicted: &[Vec<f64>]| {
            MethodResponses::new(name, judged, predicted, self.seed, observer)
        };
        let mut methods = vec![score(name, &judged, &predicted)?];
        if baselines && !known.is_empty() {
            for ResponseBaseline { name, profiles } in self.baselines(tested, &known, observer)? {
                methods.push(score(name, &judged, &profiles)?);
            }
        }
        let truth: Vec<Vec<f64>> = judged.iter().map(|judged| judged.truth.clone()).collect();
        Ok(PerturbEvaluation {
            conditions: judged.iter().map(|judged| judged.name.clone()).collect(),
            genes: self.columns.len(),
            methods,
            ceiling: self
                .halves(tested, &judged)
                .map(|(judged, predicted)| score("half of the cells", &judged, &predicted))
                .transpose()?,
            truth_similarity: similarity(&judged, &truth, observer)?,
            left_out: None,
            judged,
            predicted,
            names: self.names.to_vec(),
        })
    }

    /// The genes that are judged of a profile of all genes.
    fn part(&self, profile: &[f64]) -> Vec<f64> {
        self.columns.iter().map(|&column| profile[column]).collect()
    }

    /// The mean profile of a group, over the genes that are judged.
    fn mean(&self, group: usize) -> Vec<f64> {
        self.part(&self.moments.mean(group))
    }

    /// The cell type of a group, which is compared within its type only.
    fn cell_type(&self, group: usize) -> u32 {
        self.design.groups[group].cell_type
    }

    /// The tested groups of each cell type in turn; groups are ordered by cell type.
    fn by_type<'t>(&self, tested: &'t [usize]) -> impl Iterator<Item = &'t [usize]> {
        tested.chunk_by(|&one, &other| self.cell_type(one) == self.cell_type(other))
    }

    /// The mean of the known profiles of the cell type of some tested groups; that of the groups'
    /// own profiles if none is known.
    fn centroid(&self, tested: &[usize], known: &[(usize, Vec<f64>)]) -> Vec<f64> {
        let is_of_type =
            |(group, _): &&(usize, Vec<f64>)| self.cell_type(*group) == self.cell_type(tested[0]);
        let known: Vec<&[f64]> =
            known.iter().filter(is_of_type).map(|(_, profile)| profile.as_slice()).collect();
        if known.is_empty() {
            let tested: Vec<Vec<f64>> = tested.iter().map(|&group| self.mean(group)).collect();
            return mean(&tested.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
        mean(&known)
    }

    /// What a group is judged by: its truth, its controls, and the genes that respond most, ranked over
    /// all genes and then numbered among those that are judged.
    fn judged(&self, group: usize, centroid: &[f64]) -> JudgedResponse {
        let design = self.design;
        let control = design.control(group);
        let (truth, of_control) = (self.mean(group), self.mean(control));
        let mut place = vec![None; self.moments.n_genes()];
        for (number, &column) in (0..).zip(self.columns) {
            place[column] = Some(number);
        }
        let ranked = self.moments.ranked(group, control);
        let ranked: Vec<u32> =
            ranked.into_iter().filter_map(|column| place[column as usize]).collect();
        let condition = design.condition(group);
        let is_perturbed = |name: &String| condition.genes().contains(name);
        let names = self.names.iter().enumerate();
        JudgedResponse {
            name: design.group_name(group),
            subgroup: self.split.subgroup(&condition.to_string()).map(str::to_owned),
            de: DeGenes::new(&ranked, &truth, &of_control),
            perturbed: names
                .filter(|(_, name)| is_perturbed(name))
                .map(|(place, _)| place)
                .collect(),
            truth,
            control: of_control,
            centroid: centroid.to_vec(),
            cell_type: self.cell_type(group),
        }
    }

    /// Groups that are trained on, and their profiles.
    fn known(&self) -> Vec<(usize, Vec<f64>)> {
        let is_known =
            |group: &usize| self.split.train.contains(&self.design.condition(*group).to_string());
        self.design.perturbed().filter(is_known).map(|group| (group, self.mean(group))).collect()
    }

    /// What simple methods predict for the tested groups, each from what is known of its cell type,
    /// or of all if nothing is.
    fn baselines(
        &self,
        tested: &[usize],
        known: &[(usize, Vec<f64>)],
        observer: &dyn Observer,
    ) -> Result<Vec<ResponseBaseline>> {
        let columns: BTreeMap<String, usize> = self.names.iter().cloned().zip(0..).collect();
        let mut by_method: Vec<ResponseBaseline> = Vec::new();
        for tested in self.by_type(tested) {
            let control = self.mean(self.design.control(tested[0]));
            let cell_type = self.cell_type(tested[0]);
            let of_type = |(other, _): &&(usize, Vec<f64>)| self.cell_type(*other) == cell_type;
            let mut responses: Vec<&(usize, Vec<f64>)> = known.iter().filter(of_type).collect();
            if responses.is_empty() {
                responses = known.iter().collect();
            }
            let responses = responses
                .into_iter()
                .map(|(other, profile)| (self.design.condition(*other), profile.as_slice()))
                .collect();
            let known = KnownResponses { control: &control, responses, columns: &columns };
            let asked: Vec<&Condition> =
                tested.iter().map(|&group| self.design.condition(group)).collect();
            let baselines = response_baselines(&known, &asked, observer)?;
            for (number, baseline) in baselines.into_iter().enumerate() {
                match by_method.get_mut(number) {
                    Some(method) => method.profiles.extend(baseline.profiles),
                    None => by_method.push(baseline),
                }
            }
        }
        Ok(by_method)
    }

    /// Half of the cells of each tested group as truth, and the other half as prediction; groups of
    /// one cell are left out.
    fn halves(
        &self,
        tested: &[usize],
        judged: &[JudgedResponse],
    ) -> Option<(Vec<JudgedResponse>, Vec<Vec<f64>>)> {
        let pairs: Vec<(JudgedResponse, Vec<f64>)> = tested
            .iter()
            .zip(judged)
            .filter_map(|(&group, judged)| {
                let [one, other] = self.moments.halves(group)?;
                let judged = JudgedResponse { truth: self.part(&other), ..judged.clone() };
                Some((judged, self.part(&one)))
            })
            .collect();
        (!pairs.is_empty()).then(|| pairs.into_iter().unzip())
    }
}

/// How a file of predicted cells is judged by a file of true ones.
///
/// ```
/// use scgpt_eval::perturbation::{DesignOptions, EvaluateOptions};
///
/// let design = DesignOptions::default();
/// let mut options = EvaluateOptions::new(&design);
/// options.seed = 7;
/// assert!(options.baselines && options.split.is_none());
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct EvaluateOptions<'a> {
    /// Where the conditions are, in both files, and how they are written.
    pub design: &'a DesignOptions<'a>,
    /// The matrix of the true cells, whose values are logarithms.
    pub layer: &'a Layer,
    /// Which conditions were trained on and which are judged; [`evaluate_responses`] says what
    /// `None` means.
    pub split: Option<&'a Split>,
    /// Whether simple methods are judged beside the predictions.
    pub baselines: bool,
    /// Seed of the intervals and of the halves of cells.
    pub seed: u64,
}

impl<'a> EvaluateOptions<'a> {
    /// The matrix `X` of the true cells, all conditions that are predicted, and simple methods beside
    /// the predictions; the seed is 0.
    pub const fn new(design: &'a DesignOptions<'a>) -> Self {
        Self { design, layer: &Layer::X, split: None, baselines: true, seed: 0 }
    }
}

/// Judges the mean profiles of predicted cells, ours or another tool's, by true cells, over the
/// genes that both sources have. Conditions that the split trains on are not judged; without one,
/// all conditions that are not predicted count as known in training.
///
/// # Errors
/// If a source cannot be read, has no conditions or values that are not logarithms, or the files
/// share no gene or no condition to judge.
pub fn evaluate_responses(
    truth: &mut dyn CellSource,
    predicted: &mut dyn CellSource,
    options: &EvaluateOptions<'_>,
    observer: &dyn Observer,
) -> Result<PerturbEvaluation> {
    let EvaluateOptions { design: options, layer, split, baselines, seed } = *options;
    let design = Design::of(truth, options, 1)?;
    super::check_values(truth, layer)?;
    super::values::check_predicted(predicted)?;
    let (said, without_truth) = Design::read_predicted(predicted, options, &design)?;
    let n_groups = design.groups.len();
    let [mut of_truth, mut of_predictions] = [EmptyCells::default(), EmptyCells::default()];
    let mut moments =
        Moments::of(&mut of_truth.among(truth, layer), layer, &design.codes, n_groups, observer)?;
    moments.read_rankings(truth, layer, &design.codes)?;
    let mut sought = of_predictions.among(predicted, &Layer::X);
    let profiles = Moments::of(&mut sought, &Layer::X, &said, n_groups, observer)?;
    drop(sought);
    let is_said = |group: &usize| said.iter().any(|code| *code == u32::try_from(*group).ok());
    let mut tested: Vec<usize> = design.perturbed().filter(is_said).collect();
    if tested.is_empty() {
        let theirs = if without_truth.is_empty() { "none".into() } else { some_of(&without_truth) };
        return Err(Error::Option(format!(
            "column `{}` of the two files has no perturbed condition in common: the truth has {}, the predictions {theirs}",
            options.condition_key,
            some_of(&design.perturbed().map(|group| design.group_name(group)).collect::<Vec<_>>()),
        )));
    }
    let (names, columns, places) = shared_genes(truth, predicted, layer, &design)?;
    let name_of = |groups: Vec<usize>| -> Vec<String> {
        groups.into_iter().map(|group| design.group_name(group)).collect()
    };
    let (is_asked, mut trained_on) = (tested.clone(), Vec::new());
    let mut not_predicted: Vec<usize> =
        design.perturbed().filter(|group| !is_asked.contains(group)).collect();
    let split = if let Some(split) = split {
        let is_known = |condition: &String| {
            split.train.contains(condition) || split.validation.contains(condition)
        };
        let is_known = |group: &usize| is_known(&design.condition(*group).to_string());
        (trained_on, tested) = tested.into_iter().partition(is_known);
        not_predicted.retain(|&group| split.test.contains(&design.condition(group).to_string()));
        if tested.is_empty() {
            return Err(Error::Option(
                "all predicted conditions are trained on in the split, expected some of its test conditions".into(),
            ));
        }
        split.clone()
    } else {
        let is_tested = |condition: &&Condition| {
            tested.iter().any(|&group| design.condition(group) == *condition)
        };
        let all = design.perturbed_conditions();
        let (test, train) = all.iter().partition(is_tested);
        Split::of([train, Vec::new(), test])
    };
    let judge = ResponseJudge {
        design: &design,
        moments: &moments,
        names: &names,
        columns: &columns,
        split: &split,
        seed,
    };
    let predicted = |group: &usize| -> Vec<f64> {
        let profile = profiles.mean(*group);
        places.iter().map(|&place| profile[place]).collect()
    };
    let predicted: Vec<Vec<f64>> = tested.iter().map(predicted).collect();
    let predictions =
        Predictions { name: "prediction", profiles: predicted, beside_baselines: baselines };
    let mut evaluation = judge.judge(&tested, predictions, observer)?;
    let perturbed = design.perturbed_conditions();
    let perturbed: BTreeSet<&String> = perturbed.iter().flat_map(Condition::genes).collect();
    let measured: BTreeSet<&String> = names.iter().collect();
    evaluation.left_out = Some(NotJudged {
        without_truth,
        not_predicted: name_of(not_predicted),
        trained_on: name_of(trained_on),
        genes_of_truth: moments.n_genes(),
        genes_of_predictions: profiles.n_genes(),
        without_values: [of_truth.having(&design.codes), of_predictions.having(&said)],
        perturbed: perturbed.len(),
        unmeasured: perturbed.difference(&measured).map(|gene| (*gene).clone()).collect(),
    });
    Ok(evaluation)
}

/// Names of the genes of both files, and their columns in each.
#[allow(clippy::type_complexity, reason = "three parallel lists")]
fn shared_genes(
    truth: &dyn CellSource,
    predicted: &dyn CellSource,
    layer: &Layer,
    design: &Design,
) -> Result<(Vec<String>, Vec<usize>, Vec<usize>)> {
    let perturbed = design.perturbed_conditions();
    let genes = perturbed.iter().flat_map(Condition::genes).map(String::as_str).collect();
    let names = |source: &dyn CellSource, layer: &Layer| -> Result<Vec<Option<String>>> {
        let var = source.var(layer)?;
        let column = gene_column(&var, &genes);
        Ok(gene_names(&var, &column))
    };
    let (ours, theirs) = (names(truth, layer)?, names(predicted, &Layer::X)?);
    let mut of_name: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, name) in theirs.iter().enumerate().rev() {
        of_name.extend(name.as_deref().map(|name| (name, place)));
    }
    let mut shared = (Vec::new(), Vec::new(), Vec::new());
    for (column, name) in ours.iter().enumerate() {
        let Some(name) = name.as_deref() else { continue };
        // Of genes with the same name the first counts.
        if let Some(place) = of_name.remove(name) {
            shared.0.push(name.to_owned());
            shared.1.push(column);
            shared.2.push(place);
        }
    }
    if shared.0.is_empty() {
        let example = |names: &[Option<String>]| names.iter().flatten().next().cloned();
        return Err(Error::Option(format!(
            "the two files have no gene in common: one has such as `{}`, the other `{}`",
            example(&ours).unwrap_or_default(),
            example(&theirs).unwrap_or_default()
        )));
    }
    Ok(shared)
}
