//! `scgpt evaluate labels`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use scgpt_data::{CellSource as _, Column, Frame, Source, check_output};
use scgpt_tasks::{LabelEvaluation, Labels, Page, PredictedLabels, obs_column};
use serde_json::{Value, json};

use crate::output::{Printer, write_text};

/// Predicted labels against true ones
///
/// Reads columns of obs; cells without a true label are left out. Of cells whose true label is
/// never predicted, the score is that they are wrong, unless --known names the labels that could
/// be.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt evaluate labels annotated.h5ad --truth cell_type --prediction scgpt_prediction \\\n    \
    --confidence scgpt_confidence --sets scgpt_prediction_set --unknown scgpt_unknown -o report.html\n  \
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
    /// Column of obs with plausible labels, joined by `;`
    #[arg(long, value_name = "NAME")]
    sets: Option<String>,
    /// Column of obs that says which cells were called unknown
    #[arg(long, value_name = "NAME")]
    unknown: Option<String>,
    /// Labels that could be predicted; cells of others can only be found unknown
    #[arg(long, value_name = "LABELS", value_delimiter = ',')]
    known: Vec<String>,
    /// Page to write
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Seed of the intervals
    #[arg(long, value_name = "N", default_value_t = 0, env = "SCGPT_SEED")]
    seed: u64,
    /// Overwrite the page
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &LabelsArgs, printer: Printer) -> Result<()> {
    if let Some(path) = &args.output {
        check_output(path, args.force)?;
    }
    let source = Source::open(&args.input)?;
    let obs = source.obs()?;
    let columns = Columns::read(args, &obs)?;
    let evaluation = columns.evaluate(args.seed);
    if columns.left_out > 0 {
        printer.remark(&format!(
            "note: {} cells have no true label and were left out",
            columns.left_out
        ));
    }
    let mut rows = summary(&evaluation);
    if let Some(path) = &args.output {
        let title = format!("{}: {} against {}", args.input.display(), args.prediction, args.truth);
        let mut page = Page::new("Evaluation of labels", &title);
        page.numbers(&[
            ("cells", evaluation.scores.n_cells.to_string()),
            ("accuracy", format!("{:.3}", evaluation.accuracy.mean)),
            ("macro F1", format!("{:.3}", evaluation.macro_f1.mean)),
        ]);
        evaluation.describe(&mut page);
        write_text(path, &page.to_html())?;
        rows.push(("report", path.display().to_string()));
    }
    printer.result(&record(args, &columns, &evaluation)?, &rows)
}

/// The cells with a true label, in columns.
struct Columns {
    names: Vec<String>,
    truth: Vec<u32>,
    predicted: Vec<u32>,
    confidence: Option<Vec<f32>>,
    sets: Option<Vec<Vec<u32>>>,
    is_unknown: Option<Vec<bool>>,
    is_known_class: Option<Vec<bool>>,
    left_out: usize,
}

impl Columns {
    fn read(args: &LabelsArgs, obs: &Frame) -> Result<Self> {
        let truth = Labels::read(obs, &args.truth)?;
        let predicted = Labels::read(obs, &args.prediction)?;
        let cells: Vec<usize> =
            (0..truth.codes.len()).filter(|&cell| truth.codes[cell].is_some()).collect();
        let sets = match &args.sets {
            Some(name) => Some(of_cells(&obs_column(obs, name)?.labels(), &cells)),
            None => None,
        };
        let mut names: Vec<String> =
            truth.classes.iter().chain(&predicted.classes).cloned().collect();
        let split = |set: &Option<String>| -> Vec<String> {
            let labels = set.as_deref().unwrap_or_default().split(';');
            labels.filter(|label| !label.is_empty()).map(str::to_owned).collect()
        };
        names.extend(sets.iter().flatten().flat_map(split));
        // Cells without a prediction have a label of their own, which is never right.
        let nothing = "(no prediction)";
        if cells.iter().any(|&cell| predicted.codes[cell].is_none()) {
            names.push(nothing.into());
        }
        names.sort_unstable();
        names.dedup();
        let code = |name: &str| {
            let place = names.binary_search_by(|other| other.as_str().cmp(name));
            place.ok().and_then(|place| u32::try_from(place).ok()).unwrap_or_default()
        };
        let codes = |labels: &Labels| -> Vec<u32> {
            cells.iter().map(|&cell| code(labels.name(cell).unwrap_or(nothing))).collect()
        };
        Ok(Self {
            truth: codes(&truth),
            predicted: codes(&predicted),
            confidence: match &args.confidence {
                Some(name) => Some(confidences(obs, name, &cells)?),
                None => None,
            },
            sets: sets.map(|sets| {
                let codes = |set| split(set).iter().map(|label| code(label)).collect();
                sets.iter().map(codes).collect()
            }),
            is_unknown: match &args.unknown {
                Some(name) => Some(flags(obs, name, &cells)?),
                None => None,
            },
            is_known_class: (!args.known.is_empty())
                .then(|| names.iter().map(|name| args.known.contains(name)).collect()),
            left_out: truth.codes.len() - cells.len(),
            names,
        })
    }

    fn evaluate(&self, seed: u64) -> LabelEvaluation {
        let of = PredictedLabels {
            names: &self.names,
            truth: &self.truth,
            predicted: &self.predicted,
            confidence: self.confidence.as_deref(),
            sets: self.sets.as_deref(),
            is_unknown: self.is_unknown.as_deref(),
            is_known_class: self.is_known_class.as_deref(),
        };
        LabelEvaluation::new(&of, seed)
    }
}

fn of_cells<T: Clone>(values: &[T], cells: &[usize]) -> Vec<T> {
    cells.iter().map(|&cell| values[cell].clone()).collect()
}

#[allow(clippy::cast_possible_truncation, reason = "a share")]
fn confidences(obs: &Frame, name: &str, cells: &[usize]) -> Result<Vec<f32>> {
    let Column::Float(values) = obs_column(obs, name)? else {
        bail!("column `{name}` of `obs` holds no real numbers, expected confidences from 0 to 1");
    };
    of_cells(values, cells)
        .into_iter()
        .zip(cells)
        .map(|(value, cell)| match value {
            Some(value) if (0.0..=1.0).contains(&value) => Ok(value as f32),
            _ => bail!(
                "column `{name}` of `obs` has {} in cell {cell}, expected a confidence from 0 to 1",
                value.map_or_else(|| "nothing".into(), |value| value.to_string())
            ),
        })
        .collect()
}

fn flags(obs: &Frame, name: &str, cells: &[usize]) -> Result<Vec<bool>> {
    let Column::Boolean(values) = obs_column(obs, name)? else {
        bail!("column `{name}` of `obs` is not of true and false");
    };
    Ok(of_cells(values, cells).into_iter().map(|value| value == Some(true)).collect())
}

fn record(args: &LabelsArgs, columns: &Columns, evaluation: &LabelEvaluation) -> Result<Value> {
    let mut record = serde_json::to_value(evaluation)?;
    record["input"] = json!(args.input.display().to_string());
    record["truth"] = json!(args.truth);
    record["prediction"] = json!(args.prediction);
    record["cells_without_truth"] = json!(columns.left_out);
    Ok(record)
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
            rows.push(("", format!("{share:.1} % of {} cells of other labels", unknown.n_other)));
        }
    }
    let mut classes: Vec<_> = scores.classes.iter().collect();
    classes.sort_by_key(|class| std::cmp::Reverse(class.support));
    let lines = classes.iter().map(|class| {
        format!(
            "F1 {:.3}  precision {:.3}  recall {:.3}  {} ({} cells)",
            class.f1, class.precision, class.recall, class.name, class.support
        )
    });
    rows.push(("labels", lines.collect::<Vec<_>>().join("\n")));
    rows
}
