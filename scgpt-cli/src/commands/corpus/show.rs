//! `scgpt corpus show`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::Args;
use scgpt_data::{CellQuery, Column, ShardFolder, number_of};
use scgpt_report::Page;
use serde_json::json;

use crate::{
    commands::evaluate::PageArgs, output::Printer, progress::ByteBar, shards_here::on_this_machine,
    warnings::Warnings,
};

/// Groups that the summary shows.
const SHOWN: usize = 30;
/// What stands for a missing label.
const MISSING: &str = "(none)";

/// Say what a corpus holds: its files, and its cells by columns of obs
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    scgpt corpus show corpus/ --by tissue,assay\n  \
    scgpt corpus show corpus/ --verify\n  \
    scgpt corpus show corpus/ --by study --where \"tissue = 'blood'\" -o corpus.html")]
pub(crate) struct ShowArgs {
    /// Folder of token shards
    input: PathBuf,
    /// Columns that the shards keep: cells are counted for each combination of their labels
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    by: Vec<String>,
    /// Count the cells for which this is true of the columns that the shards keep, in SQL
    #[arg(id = "where", long = "where", value_name = "CONDITION", env = "SCGPT_WHERE")]
    query: Option<CellQuery>,
    /// Read all shards, and compare their bytes with the hashes that were written down when they were made
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    page: PageArgs,
}

pub(super) fn run(args: &ShowArgs, printer: Printer) -> Result<()> {
    args.page.check([args.input.as_path()])?;
    let shards = ShardFolder::open(on_this_machine(&args.input, printer)?)?;
    if args.verify {
        let bar = ByteBar::new("reading shards", printer);
        let all = shards.manifest().shards.iter().map(|shard| shard.bytes).sum();
        let mut done = 0;
        shards.verify(|more| {
            done += more;
            bar.told(done, all)
        })?;
    }
    let mut warnings = Warnings::new(printer);
    let chosen = args.query.as_ref().map(|query| shards.choose(query)).transpose()?;
    if let Some(chosen) = &chosen {
        warnings.chosen(&args.input, chosen);
    }
    let cells: Vec<usize> = match chosen {
        Some(chosen) => chosen.cells,
        None => (0..shards.n_cells()).collect(),
    };
    let groups = groups(&shards, &args.by, &cells)?;
    let manifest = shards.manifest();
    let count = |(labels, n): &(Vec<String>, usize)| format!("{n:>9}  {}", labels.join(", "));
    let mut rows = vec![
        ("cells", cells.len().to_string()),
        ("vocabulary", format!("{} tokens", shards.vocab().len())),
        ("columns", columns(&shards)),
    ];
    if args.verify {
        let n = manifest.shards.len();
        rows.push(("verified", format!("{} as written", number_of(n, "shard"))));
    }
    let sources: Vec<String> = manifest
        .sources
        .iter()
        .map(|it| format!("{:>9}  {}", it.cells - it.skipped_cells - it.duplicates, it.path))
        .collect();
    rows.push(("files", first(&sources)));
    if !args.by.is_empty() {
        rows.push(("cells by", first(&groups.iter().map(count).collect::<Vec<_>>())));
    }
    rows.extend(args.page.write(&warnings, || page(&args.input, &rows, &args.by, &groups))?);
    let of = |(labels, n): &(Vec<String>, usize)| json!({ "labels": labels, "cells": n });
    let record = json!({
        "path": args.input,
        "cells": cells.len(),
        "verified": args.verify,
        "by": args.by,
        "groups": groups.iter().map(of).collect::<Vec<_>>(),
        "sources": manifest.sources,
        "labels": manifest.labels.iter().map(|label| &label.column).collect::<Vec<_>>(),
    });
    args.page.say(printer, &warnings.beside(&record), &rows)
}

/// The number of cells with each combination of labels, the largest first.
fn groups(
    shards: &ShardFolder,
    by: &[String],
    cells: &[usize],
) -> Result<Vec<(Vec<String>, usize)>> {
    for name in by {
        shards.labels(name)?;
    }
    let obs = shards.obs(by)?;
    let labels: Vec<Vec<Option<String>>> =
        by.iter().filter_map(|name| obs.column(name).map(Column::labels)).collect();
    let mut groups: BTreeMap<Vec<&str>, usize> = BTreeMap::new();
    for &cell in cells {
        let of_cell = labels.iter().map(|labels| labels[cell].as_deref().unwrap_or(MISSING));
        *groups.entry(of_cell.collect()).or_default() += 1;
    }
    let mut groups: Vec<(Vec<String>, usize)> = groups
        .into_iter()
        .map(|(labels, n)| (labels.into_iter().map(String::from).collect(), n))
        .collect();
    groups.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
    Ok(groups)
}

fn columns(shards: &ShardFolder) -> String {
    let of = shards.manifest().labels.iter();
    let named: Vec<String> =
        of.map(|label| format!("{} ({})", label.column, label.categories.len())).collect();
    if named.is_empty() { "none are kept".into() } else { named.join(", ") }
}

/// The first lines, and how many there are beyond them.
fn first(lines: &[String]) -> String {
    let more = (lines.len() > SHOWN).then(|| format!("… and {} more", lines.len() - SHOWN));
    lines.iter().take(SHOWN).cloned().chain(more).collect::<Vec<_>>().join("\n")
}

fn page(
    input: &Path,
    rows: &[(&str, String)],
    by: &[String],
    groups: &[(Vec<String>, usize)],
) -> Page {
    let mut page = Page::new("Corpus", &input.display().to_string());
    page.numbers(&[("cells", rows[0].1.clone()), ("vocabulary", rows[1].1.clone())]);
    if !by.is_empty() {
        let heading: Vec<&str> = by.iter().map(String::as_str).chain(["cells"]).collect();
        let row =
            |(labels, n): &(Vec<String>, usize)| [labels.as_slice(), &[n.to_string()]].concat();
        page.section("Cells").columns(&heading, &groups.iter().map(row).collect::<Vec<_>>());
    }
    page
}
