//! Joins the parts of a conversion to token shards.

use std::path::PathBuf;

use anyhow::{Result, bail};
use scgpt_data::{check_apart, check_output, join_shards};

use super::JoinArgs;
use crate::{
    commands::convert::shards::{remark_on, summary},
    output::Printer,
    progress::Bar,
    warnings::Warnings,
};

pub(super) fn run(args: &JoinArgs, folders: &[PathBuf], printer: Printer) -> Result<()> {
    let output = &args.output.path;
    if args.into.is_some() {
        bail!(
            "--into is for what was found of cells, but `{}` are token shards",
            folders[0].display()
        );
    }
    check_apart(output, folders.iter().map(PathBuf::as_path))?;
    check_output(output, args.output.existing())?;
    let bar = Bar::new(printer);
    let manifest = join_shards(folders, output, args.output.existing(), &bar)?;
    bar.finish();
    let mut warnings = Warnings::new(printer);
    remark_on(&manifest, &mut warnings);
    let mut record = serde_json::to_value(&manifest)?;
    record["parts"] =
        serde_json::json!({"command": "convert", "parts": folders.len(), "files": folders});
    record["output"] = output.display().to_string().into();
    let mut rows = summary(&manifest, false);
    rows.insert(0, ("parts", format!("{} of `scgpt convert`", folders.len())));
    rows.push(("output", output.display().to_string()));
    printer.written(&warnings.beside(&record), &rows)
}
