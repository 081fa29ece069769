//! The model card of an artefact, `README.md` in its folder.

use std::fmt::Write as _;

use super::{AnnotateReport, Method, MethodScores, artefact::KIND};
use crate::training::{card_table, size_line};

/// What the artefact tells apart, and how well, in Markdown.
pub(super) fn text(report: &AnnotateReport) -> String {
    let data = &report.data;
    let [training, validation, test] = data.totals();
    let (by, selected) = match report.method {
        Method::Network => (String::new(), "selected the network and calibrated its confidence"),
        method => (
            format!(" by {}, without a network", method.name()),
            "tuned it and calibrated its confidence",
        ),
    };
    let mut text = format!(
        "Tells {} classes of `{}` apart{by}. {} on {training} cells of `{}`; \
         {validation} others {selected}, {test} others judged it.\n\n\
         Use: `scgpt annotate predict cells.h5ad --model THIS_FOLDER -o annotated.h5ad`\n\n\
         Before you share it: `held_out.safetensors` has the expression of up to 300 single cells, without their \
         names, as it was measured.\n\n",
        data.classes.len(),
        data.label,
        KIND.trained(),
        data.path,
    );
    if report.method == Method::Neighbours {
        text += "`method.json` has where up to 10 000 single cells that it learned from lie along principal components.\n\n";
    }
    let classes = data.classes.iter().map(|class| size_line(&class.name, class.parts()));
    text += &card_table(&["class", "training", "validation", "test"], classes);
    if let Some(choice) = &report.choice {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "\nChosen as the best: {}.", choice.sentence());
    }
    let learned = report.learned.as_ref().filter(|_| report.method == Method::Network);
    if let (Some(learned), Some(curves)) = (learned, &report.curves) {
        for line in learned.card_lines(curves) {
            let _ = writeln!(text, "\n{line}.");
        }
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
    let method = |method: &MethodScores| {
        vec![method.name.clone(), method.accuracy.to_string(), method.macro_f1.to_string()]
    };
    text.push('\n');
    let methods = report.methods.iter().map(method);
    text += &card_table(&["method, on the test cells", "accuracy", "macro F1"], methods);
    if let Some(verdict) = report.verdict() {
        let _ = writeln!(text, "\n{verdict}");
    }
    text
}
