//! `scgpt evaluate labels`.

use std::{collections::BTreeSet, ops::RangeInclusive, path::PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use scgpt_data::{
    CellSource as _, CellSubset, Column, Error, Frame, GeneNames, Layer, Source, number_of,
    obs_column,
};
use scgpt_eval::{CellColours, LabelEvaluation, LabelMap, Labels, PredictedLabels, split_labels};
use scgpt_report::Page;
use serde_json::json;

use super::PageArgs;
use crate::{
    cell_page::ColorArgs,
    choice::ChoiceArgs,
    output::{Printer, some_of},
    progress::Bar,
    warnings::Warnings,
};

/// Predicted labels against true ones
///
/// Reads columns of obs; cells without a true label are left out. Cells of labels that were absent
/// from the reference count as wrong, unless --unseen names these labels: their cells can only be
/// found unknown, and are judged by that alone.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt evaluate labels annotated.h5ad --truth cell_type --prediction scgpt_prediction \\\n    \
    --confidence scgpt_confidence --sets scgpt_prediction_set --unknown scgpt_unknown -o report.html\n  \
    scgpt evaluate labels annotated.h5ad --truth cell_type --prediction scgpt_prediction \\\n    \
    --unknown scgpt_unknown --strangeness scgpt_strangeness --unseen \"B cell\"\n  \
    scgpt evaluate labels celltypist.h5ad --truth cell_type --prediction predicted_labels")]
pub(crate) struct LabelsArgs {
    /// File or folder of cells
    input: PathBuf,
    /// Column of obs with the true labels
    #[arg(long, value_name = "NAME", env = "SCGPT_TRUTH")]
    truth: String,
    /// Column of obs with the predicted labels
    #[arg(long, value_name = "NAME", env = "SCGPT_PREDICTION")]
    prediction: String,
    /// Column of obs with confidences, 0 to 1
    #[arg(long, value_name = "NAME")]
    confidence: Option<String>,
    /// Column of obs with plausible labels, joined by `;` (labels with a `;` in quotes)
    #[arg(long, value_name = "NAME")]
    sets: Option<String>,
    /// Column of obs that says which cells were called unknown
    #[arg(long, value_name = "NAME")]
    unknown: Option<String>,
    /// Column of obs that says how unlike all labels cells are, larger for stranger ones
    #[arg(long, value_name = "NAME", requires = "unknown")]
    strangeness: Option<String>,
    /// Label that could not be predicted; may be given several times
    #[arg(long, value_name = "LABEL", requires = "unknown")]
    unseen: Vec<String>,
    /// Name in obsm by which cells are drawn on the page [default: X_scGPT, if it is there]
    #[arg(long, value_name = "NAME", env = "SCGPT_EMBEDDING")]
    embedding: Option<String>,
    #[command(flatten)]
    choice: ChoiceArgs,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    colors: ColorArgs,
    /// Seed of the intervals
    #[arg(long, value_name = "N", default_value_t = 0, env = "SCGPT_SEED")]
    seed: u64,
}

pub(crate) fn run(args: &LabelsArgs, printer: Printer) -> Result<()> {
    args.page.check([args.input.as_path()])?;
    let mut warnings = Warnings::new(printer);
    let mut source = args.choice.open(&args.input, &mut warnings)?;
    let columns = Columns::read(args, &source)?;
    let of = columns.labels();
    let bar = Bar::new(printer);
    let evaluation = LabelEvaluation::new(&of, args.seed, &bar)?;
    let left_out = source.summary().n_cells - columns.cells.len();
    warnings.doubts(&source.obs()?, &[&args.truth, &args.prediction], None);
    if left_out > 0 {
        printer.remark(&format!("note: {left_out} cells have no true label and were left out"));
    }
    let [missed, strange] = columns.one_sided();
    if strange.len() == columns.n_predicted {
        warnings.tell(format!(
            "no predicted label is a true one: the truth has {}, the predictions {}; are they spelled differently?",
            some_of(&missed),
            some_of(&strange)
        ));
    } else if !strange.is_empty() {
        printer.remark(&format!(
            "note: predicted labels that are not among the true ones, and never right: {}",
            strange.join(", ")
        ));
    }
    let map = draw(args, &mut source, &columns.cells, &of, &bar)?;
    let colours = match &map {
        Some(_) if args.page.is_wanted() => colours(args, &mut source, &columns.cells)?,
        _ => CellColours::default(),
    };
    let mut rows = summary(&evaluation);
    rows.extend(args.page.write(&warnings, || page(args, &evaluation, map.as_ref(), &colours))?);
    let mut record = serde_json::to_value(&evaluation)?;
    record["input"] = json!(args.input.display().to_string());
    record["truth"] = json!(args.truth);
    record["prediction"] = json!(args.prediction);
    record["cells_without_truth"] = json!(left_out);
    record["labels_never_predicted"] = json!(missed);
    record["labels_without_truth"] = json!(strange);
    record["map"] = json!(map);
    args.page.say(printer, &warnings.beside(&record), &rows)
}

fn page(
    args: &LabelsArgs,
    evaluation: &LabelEvaluation,
    map: Option<&LabelMap>,
    colours: &CellColours,
) -> Page {
    let title = format!("{}: {} against {}", args.input.display(), args.prediction, args.truth);
    let mut page = Page::new("Evaluation of labels", &title);
    page.numbers(&[
        ("cells", evaluation.scores.n_cells.to_string()),
        ("accuracy", format!("{:.3}", evaluation.accuracy.mean)),
        ("macro F1", format!("{:.3}", evaluation.macro_f1.mean)),
    ]);
    evaluation.describe(&mut page);
    if let Some(map) = map {
        map.describe(page.section("Map"), colours);
    }
    page
}

/// Annotations of the cells of the map; of a file without expression, without genes.
fn colours(args: &LabelsArgs, source: &mut Source, cells: &[usize]) -> Result<CellColours> {
    let drawn = LabelMap::sample(cells.len(), args.seed);
    let chosen: Vec<usize> = drawn.into_iter().map(|place| cells[place]).collect();
    let column = source.obs()?.column(&args.truth).cloned();
    let added: Vec<_> = column.map(|it| (args.truth.clone(), it)).into_iter().collect();
    let choice = args.colors.choice(&added, &[], (&Layer::X, &GeneNames::BEST));
    Ok(CellColours::choose(source, &chosen, &choice)?)
}

/// A map of the cells by an embedding, if there is one.
fn draw(
    args: &LabelsArgs,
    source: &mut Source,
    cells: &[usize],
    of: &PredictedLabels<'_>,
    bar: &Bar,
) -> Result<Option<LabelMap>> {
    const USUAL: &str = "X_scGPT";
    let has_usual = source.summary().elements.iter().any(|name| *name == format!("obsm/{USUAL}"));
    let Some(name) = args.embedding.as_deref().or(has_usual.then_some(USUAL)) else {
        return Ok(None);
    };
    let drawn = LabelMap::sample(cells.len(), args.seed);
    let chosen: Vec<usize> = drawn.iter().map(|&place| cells[place]).collect();
    let names = source.obs()?.pick(&chosen).index;
    let (rows, _) = CellSubset::new(source, chosen).read_obsm(name, 0..drawn.len())?;
    Ok(Some(LabelMap::new(of, &drawn, &rows, bar)?.with_names(names)))
}

/// The columns of the cells that have a true label.
struct Columns {
    cells: Vec<usize>,
    names: Vec<String>,
    truth: Vec<u32>,
    predicted: Vec<u32>,
    confidence: Option<Vec<f32>>,
    sets: Option<Vec<Vec<u32>>>,
    is_unknown: Option<Vec<bool>>,
    strangeness: Option<Vec<f32>>,
    is_known_class: Vec<bool>,
    /// Number of different labels predicted.
    n_predicted: usize,
}

impl Columns {
    fn read(args: &LabelsArgs, source: &Source) -> Result<Self> {
        let obs = &source.obs()?;
        let read = |name| Labels::read(obs, name).map_err(Error::in_file(&source.summary().path));
        let (truth, predicted) = (read(&args.truth)?, read(&args.prediction)?);
        let cells: Vec<usize> =
            (0..truth.codes.len()).filter(|&cell| truth.codes[cell].is_some()).collect();
        let sets = match &args.sets {
            Some(name) => Some(of_cells(&obs_column(obs, name)?.labels(), &cells)),
            None => None,
        };
        let mut names: Vec<String> =
            truth.classes.iter().chain(&predicted.classes).cloned().collect();
        let known: BTreeSet<String> = names.iter().cloned().collect();
        let split = |set: &Option<String>| -> Vec<String> {
            // A cell without a set has an empty one.
            set.as_deref().map_or_else(Vec::new, |set| split_labels(set, |it| known.contains(it)))
        };
        names.extend(sets.iter().flatten().flat_map(split));
        // Cells without a prediction have a label of their own, which is never right.
        let nothing = "(no prediction)";
        if cells.iter().any(|&cell| predicted.codes[cell].is_none()) {
            names.push(nothing.into());
        }
        names.sort_unstable();
        names.dedup();
        #[expect(clippy::expect_used, reason = "the names were gathered from all labels above")]
        let code = |name: &str| {
            let place = names.binary_search_by(|other| other.as_str().cmp(name));
            place.ok().and_then(|place| u32::try_from(place).ok()).expect("all labels are names")
        };
        let codes = |labels: &Labels| -> Vec<u32> {
            cells.iter().map(|&cell| code(labels.name(cell).unwrap_or(nothing))).collect()
        };
        if let Some(label) = args.unseen.iter().find(|label| !truth.classes.contains(label)) {
            bail!(
                "--unseen {label}: no cell has that label in column `{}` of `obs`, which has {}",
                args.truth,
                truth.classes.join(", ")
            );
        }
        let real = |name: &Option<String>, what: &str, range: RangeInclusive<f64>| {
            name.as_ref().map(|name| numbers(obs, name, &cells, what, &range)).transpose()
        };
        let predicted = codes(&predicted);
        Ok(Self {
            truth: codes(&truth),
            n_predicted: predicted.iter().collect::<BTreeSet<_>>().len(),
            predicted,
            confidence: real(&args.confidence, "a confidence from 0 to 1", 0.0..=1.0)?,
            strangeness: real(&args.strangeness, "a number", f64::MIN..=f64::MAX)?,
            sets: sets.map(|sets| {
                let codes = |set| split(set).iter().map(|label| code(label)).collect();
                sets.iter().map(codes).collect()
            }),
            is_unknown: match &args.unknown {
                Some(name) => Some(flags(obs, name, &cells)?),
                None => None,
            },
            is_known_class: names.iter().map(|name| !args.unseen.contains(name)).collect(),
            names,
            cells,
        })
    }

    /// True labels that are never predicted, and predicted ones that are never true.
    fn one_sided(&self) -> [Vec<String>; 2] {
        let of = |codes: &[u32]| codes.iter().copied().collect::<BTreeSet<u32>>();
        let (truth, predicted) = (of(&self.truth), of(&self.predicted));
        let names = |codes: &BTreeSet<u32>, others: &BTreeSet<u32>| {
            codes.difference(others).map(|&code| self.names[code as usize].clone()).collect()
        };
        [names(&truth, &predicted), names(&predicted, &truth)]
    }

    fn labels(&self) -> PredictedLabels<'_> {
        PredictedLabels {
            names: &self.names,
            truth: &self.truth,
            predicted: &self.predicted,
            confidence: self.confidence.as_deref(),
            sets: self.sets.as_deref(),
            is_unknown: self.is_unknown.as_deref(),
            strangeness: self.strangeness.as_deref(),
            is_known_class: Some(&self.is_known_class),
        }
    }
}

fn of_cells<T: Clone>(values: &[T], cells: &[usize]) -> Vec<T> {
    cells.iter().map(|&cell| values[cell].clone()).collect()
}

/// A column of numbers of the cells; an error says what they are (`what`) if one is not in `range`.
#[allow(clippy::cast_possible_truncation, reason = "scores are f32")]
fn numbers(
    obs: &Frame,
    name: &str,
    cells: &[usize],
    what: &str,
    range: &RangeInclusive<f64>,
) -> Result<Vec<f32>> {
    let Column::Float(values) = obs_column(obs, name)? else {
        bail!("column `{name}` of `obs` holds no real numbers, expected {what} for each cell");
    };
    let number = |&cell: &usize| match values[cell] {
        Some(value) if range.contains(&value) => Ok(value as f32),
        value => bail!(
            "column `{name}` of `obs` has {} in cell {cell}, expected {what}",
            value.map_or_else(|| "nothing".into(), |value| value.to_string())
        ),
    };
    cells.iter().map(number).collect()
}

fn flags(obs: &Frame, name: &str, cells: &[usize]) -> Result<Vec<bool>> {
    let Column::Boolean(values) = obs_column(obs, name)? else {
        bail!("column `{name}` of `obs` is not of true and false");
    };
    Ok(of_cells(values, cells).into_iter().map(|value| value == Some(true)).collect())
}

fn summary(evaluation: &LabelEvaluation) -> Vec<(&'static str, String)> {
    let scores = &evaluation.scores;
    let mut rows = vec![
        ("cells", scores.n_cells.to_string()),
        ("accuracy", evaluation.accuracy.to_string()),
        ("macro F1", evaluation.macro_f1.to_string()),
        ("macro precision", format!("{:.3}", scores.macro_precision)),
        ("macro recall", format!("{:.3}", scores.macro_recall)),
    ];
    if let Some(calibration) = &evaluation.calibration {
        rows.push(("calibration error", format!("{:.3}", calibration.error)));
    }
    if let Some(coverage) = &evaluation.coverage {
        rows.push((
            "sets",
            format!(
                "hold the label of {:.1} % of the cells, {:.2} labels on average",
                100.0 * coverage.overall,
                coverage.mean_size
            ),
        ));
    }
    if let Some(unknown) = &evaluation.unknown {
        let known = format!(
            "{:.1} % of the cells of known labels; {:.1} % of the others are right",
            100.0 * unknown.known_rejected,
            100.0 * unknown.accuracy_kept
        );
        rows.push(("unknown", known));
        if unknown.n_other > 0 {
            let share = 100.0 * unknown.other_rejected;
            let area = unknown.area.map_or_else(String::new, |area| format!(", AUC {area:.3}"));
            let n = unknown.n_other;
            rows.push(("", format!("{share:.1} % of {n} cells of unseen labels{area}")));
        }
    }
    let mut classes: Vec<_> = scores.classes.iter().collect();
    classes.sort_by_key(|class| std::cmp::Reverse(class.support));
    let lines = classes.iter().map(|class| {
        let cells = usize::try_from(class.support).unwrap_or(usize::MAX);
        format!(
            "F1 {:.3}  precision {:.3}  recall {:.3}  {} ({})",
            class.f1,
            class.precision,
            class.recall,
            class.name,
            number_of(cells, "cell")
        )
    });
    rows.push(("labels", lines.collect::<Vec<_>>().join("\n")));
    rows
}
