//! Remarks about the genes of a file: how few of them are known, and which features are left out.

use scgpt_data::AlignmentSummary;
use scgpt_tasks::embed::EmbedReport;

use crate::{output::Printer, warnings::Warnings};

/// Tells what there is to tell about the genes that a model saw.
pub(crate) fn remark_on(report: &EmbedReport, warnings: &mut Warnings, printer: Printer) {
    if let Some(remark) = report.known_genes.remark() {
        warnings.tell(remark);
    }
    remark_on_others(report.genes.others().as_deref(), printer);
    remark_on_other_names(&report.genes, printer);
    if report.genes.duplicates > 0 {
        printer.remark(&format!(
            "note: genes that are called like an earlier one are left out ({}): {}",
            report.genes.duplicates,
            report.genes.duplicate_examples.join(", ")
        ));
    }
}

/// Tells which genes the model has under other names.
pub(crate) fn remark_on_other_names(genes: &AlignmentSummary, printer: Printer) {
    if let Some(names) = genes.other_names() {
        printer.remark(&format!("note: {names}; --genes-as-they-are switches that off"));
    }
}

/// Tells which features are left out because they are no genes.
pub(crate) fn remark_on_others(counted: Option<&str>, printer: Printer) {
    if let Some(counted) = counted {
        printer.remark(&format!(
            "note: features that `var/feature_types` calls no genes are left out ({counted}); --all-features takes \
             them for genes"
        ));
    }
}
