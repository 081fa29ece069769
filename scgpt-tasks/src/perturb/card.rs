//! The model card of an artefact, `README.md` in its folder.

use std::fmt::Write as _;

use scgpt_data::number_of;

use super::{PerturbReport, artefact::KIND};

/// What the artefact predicts, and how well, in Markdown.
pub(super) fn text(report: &PerturbReport) -> String {
    let mut text = format!(
        "Predicts how cells respond to the perturbation of genes: {} genes, from {} control cells. {} on {} \
         conditions of `{}`; {} others selected the network.\n\n\
         Use: `scgpt perturb predict --model THIS_FOLDER --genes A,B -o predicted.h5ad`\n\n\
         It has seen perturbed cells of this one experiment. It says nothing of causes in cells of another kind.\n",
        report.genes.matched,
        report.controls,
        KIND.trained(),
        report.split.train.len(),
        report.path,
        report.split.validation.len(),
    );
    let judged = match &report.evaluation {
        Some(evaluation) => format!(
            "\nOn {} it did not see (95 % intervals):\n\n{}{}",
            number_of(evaluation.conditions.len(), "condition"),
            evaluation.table(),
            evaluation.verdict().map(|said| format!("\n{said}\n")).unwrap_or_default()
        ),
        None => "\nNo conditions were kept to judge it.\n".into(),
    };
    for line in report.learned.card_lines(&report.curves) {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "\n{line}.");
    }
    text.push_str(&judged);
    text
}
