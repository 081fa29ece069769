//! The model card of an artefact.

use std::fmt::Write as _;

use super::AnnotateReport;

/// What the artefact tells apart, and how well, in Markdown.
pub(super) fn text(report: &AnnotateReport) -> String {
    let data = &report.data;
    let [training, validation, test] = data.totals();
    let mut text = format!(
        "Tells {} classes of `{}` apart. Trained by `scgpt annotate train` (version {}) on {training} cells of `{}`; \
         {validation} others selected the network and calibrated its confidence, {test} others judged it.\n\n\
         Use: `scgpt annotate predict cells.h5ad --model THIS_FOLDER -o annotated.h5ad`\n\n\
         Before you share it: `held_out.safetensors` has the expression of up to 300 single cells, without their \
         names, as it was measured.\n\n\
         | class | training | validation | test |\n|---|---|---|---|\n",
        data.classes.len(),
        data.label,
        env!("CARGO_PKG_VERSION"),
        data.path,
    );
    for class in &data.classes {
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            class.name, class.training, class.validation, class.test
        );
    }
    let Some(evaluation) = &report.evaluation else {
        text.push_str("\nNo cells were kept to judge it.\n");
        return text;
    };
    let _ = writeln!(
        text,
        "\nOn the test cells (95 % intervals):\n\n- accuracy {}\n- macro F1 {}",
        evaluation.accuracy, evaluation.macro_f1
    );
    if let Some(calibration) = &evaluation.calibration {
        let _ = writeln!(
            text,
            "- expected calibration error {:.3} (temperature {:.2})",
            calibration.error, report.calibration.temperature
        );
    }
    if let Some(coverage) = &evaluation.coverage {
        let _ = writeln!(
            text,
            "- sets made for 90 % coverage hold the class of {:.1} % of the cells, with {:.2} classes on average",
            100.0 * coverage.overall,
            coverage.mean_size
        );
    }
    if let Some(unknown) = evaluation.unknown.filter(|unknown| unknown.n_other > 0) {
        let names: Vec<&str> = data.unseen.iter().map(|class| class.name.as_str()).collect();
        let _ = writeln!(
            text,
            "- of {} cells of types left out of training ({}), {:.1} % are called unknown, of the others {:.1} %",
            unknown.n_other,
            names.join(", "),
            100.0 * unknown.other_rejected,
            100.0 * unknown.known_rejected
        );
    }
    text.push_str("\n| method, on the test cells | accuracy | macro F1 |\n|---|---|---|\n");
    for method in &report.methods {
        let _ = writeln!(text, "| {} | {} | {} |", method.name, method.accuracy, method.macro_f1);
    }
    if let Some(verdict) = report.verdict() {
        let _ = writeln!(text, "\n{verdict}");
    }
    text
}
