//! [`join_shards`]: the parts of a conversion as the one folder that a single run writes.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{
    folder::ShardFolder,
    manifest::{Manifest, ShardPart},
    writer::{ShardOptions, ShardWriter},
};
use crate::{
    differences::differences,
    divided::{check_complete, differing},
    error::{Error, Result},
    observer::Observer,
    output::Existing,
    part_number::PartNumber,
    setting::{Advice, Setting},
    vocab::GeneVocab,
};

/// Cells after which it is asked whether to go on.
const CHECKED: usize = 1024;

/// The folders of parts that are named: each by itself, those whose names begin like that of their output, or those in a
/// folder. None, if what is named are no token shards.
pub fn find_shard_parts(named: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in named {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let beside = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        // The output of an earlier run may have the name itself.
        let beside = parts_in(beside.unwrap_or(Path::new(".")), Some(&name));
        found.extend(match beside.is_empty() {
            false => beside,
            true if Manifest::is_in(path) => vec![path.clone()],
            true => parts_in(path, None),
        });
    }
    found
}

/// The folders of parts in a folder, of the output of that name or of all.
fn parts_in(folder: &Path, wanted: Option<&str>) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_part = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let of = PartNumber::of_folder_name(&name);
        of.is_some_and(|(of, _)| wanted.is_none_or(|wanted| wanted == of)) && Manifest::is_in(path)
    };
    entries.map(|entry| folder.join(entry.file_name())).filter(is_part).collect()
}

/// Joins the parts of a conversion: the same shards, byte for byte, as those of a run over all cells.
///
/// Memory: that of a [`ShardFolder`] and of a [`ShardWriter`].
///
/// # Errors
/// If a folder is damaged or no part, if they are of several runs, one is there twice or some are missing, which is said;
/// if the output cannot be written, or would hold no cells.
pub fn join_shards(
    parts: &[PathBuf],
    output: &Path,
    existing: Existing,
    observer: &dyn Observer,
) -> Result<Manifest> {
    let mut opened: Vec<(ShardPart, &PathBuf, ShardFolder)> = Vec::new();
    for path in parts {
        let folder = ShardFolder::open(path)?;
        let Manifest { part, sources, .. } = folder.manifest();
        let (Some(part), [_]) = (part.clone(), sources.as_slice()) else {
            let problem = "these are all cells of a conversion, and no part of one";
            return Err(Error::invalid(path, "manifest", problem)
                .with_hint("name the folders of parts of a conversion"));
        };
        opened.push((part, path, folder));
    }
    opened.sort_by_key(|(part, ..)| part.part);
    let Some((part, first_path, first)) = opened.first() else {
        return Err(Error::Option("there are no parts".into()));
    };
    for (_, path, folder) in &opened[1..] {
        if let Some(said) = differing(&run_of(first.manifest()), &run_of(folder.manifest())) {
            let problem = format!("it is of another run than `{}`: {said}", first_path.display());
            return Err(Error::invalid(path, "part", problem)
                .with_hint("leave it out, or make it again as the others were"));
        }
    }
    let there: Vec<(PartNumber, &Path)> =
        opened.iter().map(|(part, path, _)| (part.part, path.as_path())).collect();
    check_complete(&there, &part.line)?;

    let head = first.manifest();
    let options = ShardOptions {
        shard_cells: usize::try_from(head.shard_cells).unwrap_or(usize::MAX),
        labels: head.labels.iter().map(|label| label.column.clone()).collect(),
        existing,
        ..ShardOptions::default()
    };
    let mut source = head.sources[0].clone();
    source.first_id = 0;
    (source.cells, source.skipped_cells) = (0, 0);
    let mut writer = ShardWriter::create(output, first.vocab(), options)?;
    let n_cells = opened.iter().map(|(.., folder)| folder.n_cells()).sum();
    observer.begin("joining", n_cells);
    let mut cell: Vec<(u32, f32)> = Vec::new();
    for (_, _, folder) in &opened {
        folder.verify(|_| !observer.is_cancelled())?;
        let Manifest { labels, sources, .. } = folder.manifest();
        let codes = writer.codes_of(labels);
        let columns = labels.iter().map(|label| folder.labels(&label.column));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        for number in 0..folder.n_cells() {
            let row = folder.cell(number)?;
            cell.clear();
            cell.extend(row.indices.iter().copied().zip(row.values.iter().copied()));
            let of_cell = columns
                .iter()
                .zip(&codes)
                .map(|(column, codes)| Ok(column.code(number)?.map_or(-1, |code| codes[code])));
            let of_cell: Vec<i32> = of_cell.collect::<Result<_>>()?;
            let id = folder.id(number)?.cast_unsigned();
            writer.push(id, &cell, source.input_state, |column| of_cell[column])?;
            if number.is_multiple_of(CHECKED) {
                observer.check_cancelled()?;
            }
            observer.advance(1);
        }
        source.cells += sources[0].cells;
        source.skipped_cells += sources[0].skipped_cells;
    }
    writer.describe(source);
    writer.finish()
}

/// Checks that the shards at `folder` are whole, and the part that a run with `options` would write.
///
/// # Errors
/// If they are not: the message says what differs.
pub fn check_shard_part(
    folder: &Path,
    vocab: &GeneVocab,
    options: &ShardOptions,
) -> Result<Manifest> {
    let other = |problem: String| {
        Error::unsuited(
            format!("`{}` exists: {problem}", folder.display()),
            Advice::from("choose another output, or replace this one by ") + Setting("overwrite"),
        )
    };
    let there = ShardFolder::open(folder).map_err(|error| other(error.to_string()))?;
    there.verify(|_| true).map_err(|error| other(error.to_string()))?;
    there.check_vocab(vocab).map_err(|error| other(error.to_string()))?;
    let manifest = there.manifest();
    let number = |part: &ShardPart| json!({"part": part.part, "of": part.of});
    let was = json!({
        "part": manifest.part.as_ref().map(number), "shard_cells": manifest.shard_cells,
        "labels": manifest.labels.iter().map(|label| &label.column).collect::<Vec<_>>(),
        "layer": manifest.sources.first().map(|source| &source.layer),
    });
    let is = json!({
        "part": options.part.as_ref().map(number), "shard_cells": options.shard_cells, "labels": options.labels,
        "layer": options.layer.to_string(),
    });
    let differ = differences(&was, &is);
    if differ.is_empty() {
        return Ok(manifest.clone());
    }
    Err(other(format!("it is of another run: {}", differ.join("; "))))
}

/// What all parts of a run have in common.
fn run_of(manifest: &Manifest) -> serde_json::Value {
    let source = manifest.sources.first().cloned().map(|mut source| {
        (source.first_id, source.cells, source.skipped_cells) = (0, 0, 0);
        source
    });
    json!({
        "program": manifest.program, "shard_cells": manifest.shard_cells,
        "vocabulary": manifest.vocab.sha256, "source": source,
        "labels": manifest.labels.iter().map(|label| &label.column).collect::<Vec<_>>(),
        "cells": manifest.part.as_ref().map(|part| &part.of),
        "parts": manifest.part.as_ref().map(|part| part.part.of()),
    })
}
