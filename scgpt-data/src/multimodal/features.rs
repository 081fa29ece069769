//! The features of all sources, side by side: which modality each one measures, and which column of
//! the whole it becomes.
//!
//! A source tells modalities by what the caller says of it, by a column of `var`, or not at all,
//! and is then gene expression. A name that several sources have is one feature if its modality is
//! the same in all of them. A name in two modalities is an error, since a name is one token of the
//! model.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use super::{EXAMPLES, FEATURE_TYPES, MultimodalOptions, Opened, examples};
use crate::{
    error::{Error, Result},
    frame::{Column, Frame},
    modality::{Modalities, RNA, known, modality_name},
    names::similar_names,
    narrow::narrow,
    setting::{Advice, Setting},
};

/// Columns of `var` that tell modalities, and whether every label there is one. The last one also
/// holds the biotype of a gene in some files, and counts only if all its labels are known
/// modalities.
const COLUMNS: [(&str, bool); 3] =
    [(FEATURE_TYPES, true), ("modality", true), ("feature_type", false)];

/// The features of the whole, in the order in which the sources bring them.
pub(super) struct Features {
    pub(super) var: Frame,
    /// For each source, the column of the whole that each of its features becomes; `None` for one
    /// that is left out.
    pub(super) columns: Vec<Vec<Option<u32>>>,
    pub(super) modalities: Modalities,
}

/// Of a modality, what a file itself calls it: `Gene Expression` is RNA.
pub(super) type Spelled = BTreeMap<String, String>;

/// The modality of every feature of one source: `given`, or what the column `key` of `var` says, or
/// the first of [`COLUMNS`] there is; without any, gene expression. And how such a column spells them.
///
/// # Errors
/// If there is no column `key`, or a feature has no label in the column.
pub(super) fn of(
    path: &Path,
    var: &Frame,
    given: Option<&str>,
    key: Option<&str>,
) -> Result<(Vec<String>, Spelled)> {
    let all = |modality| Ok((vec![modality; var.len()], Spelled::new()));
    let column = match (given, key) {
        (Some(given), _) => return all(modality_name(given)),
        (None, Some(key)) => Some((
            key,
            var.column(key).ok_or_else(|| {
                let names: Vec<&str> = var.names().collect();
                let hint = similar_names(key, names.iter().copied()).hint();
                let problem = format!("no such column (there are: {}){hint}", names.join(", "));
                Error::invalid(path, format!("var/{key}"), problem).with_hint(
                    Advice::from("name the column of var that tells modalities by ")
                        + Setting("modality_key")
                        + ", or the modality of the input as RNA=FILE, Protein=FILE, ATAC=FILE",
                )
            })?,
        )),
        (None, None) => COLUMNS.into_iter().find_map(|(name, always)| {
            let column = var.column(name)?;
            let is_modality = |label: Option<String>| label.is_some_and(|l| known(&l).is_some());
            (always || column.labels().into_iter().all(is_modality)).then_some((name, column))
        }),
    };
    let Some((name, column)) = column else { return all(RNA.into()) };
    let mut spelled = Spelled::new();
    let labels = column.labels().into_iter().enumerate();
    let modalities = labels.map(|(feature, label)| {
        let label = label.ok_or_else(|| {
            let problem = format!("feature `{}` has no modality", var.index[feature]);
            Error::invalid(path, format!("var/{name}"), problem)
                .with_hint("fill the column, or remove the feature")
        })?;
        let modality = modality_name(&label);
        if !spelled.contains_key(&modality) {
            spelled.insert(modality.clone(), label);
        }
        Ok(modality)
    });
    Ok((modalities.collect::<Result<_>>()?, spelled))
}

/// Puts the features of all sources side by side, those of `options.keep` alone if it names any,
/// under the names with their prefixes.
///
/// A name that one source has twice stays two features; one that several sources have is the same
/// feature, the second of the name that of the second. A modality is called what the first source that
/// names it calls it, so that programs which know the words of 10x find them.
///
/// # Errors
/// [`Error::Option`] if a modality to keep has no feature, or if there are none, or too many; [`Error::Modalities`] if a name stands
/// for features of two modalities.
pub(super) fn join(opened: &[Opened], options: &MultimodalOptions) -> Result<Features> {
    let keep: Vec<String> = options.keep.iter().map(|name| modality_name(name)).collect();
    let found = opened.iter().flat_map(|source| &source.modalities);
    if let Some(lost) = keep.iter().find(|name| !found.clone().any(|found| found == *name)) {
        let mut found: Vec<&str> = found.map(String::as_str).collect();
        found.sort_unstable();
        found.dedup();
        let found = found.join(", ");
        return Err(Error::Option(format!(
            "no feature is of the modality `{lost}`: the input has {found}"
        )));
    }
    let prefix = |modality: &str| {
        let of = options.prefixes.iter().find(|(name, _)| modality_name(name) == modality);
        of.map_or("", |(_, prefix)| prefix.as_str())
    };
    let mut names: Vec<String> = Vec::new();
    let mut types: Vec<String> = Vec::new();
    // Of every name its columns of the whole.
    let mut places: HashMap<String, Vec<u32>> = HashMap::new();
    let mut columns = Vec::with_capacity(opened.len());
    // Where each feature is described: a source, and its row there.
    let mut described: Vec<(usize, usize)> = Vec::new();
    let mut conflicts: Vec<(String, String)> = Vec::new();
    for (number, source) in opened.iter().enumerate() {
        let mut here: HashMap<String, usize> = HashMap::new();
        let mut of_source = Vec::with_capacity(source.var.len());
        for (row, (name, modality)) in source.var.index.iter().zip(&source.modalities).enumerate() {
            if !keep.is_empty() && !keep.contains(modality) {
                of_source.push(None);
                continue;
            }
            let name = format!("{}{name}", prefix(modality));
            let of_name = places.entry(name.clone()).or_default();
            if of_name.first().is_some_and(|&first| types[first as usize] != *modality) {
                conflicts.push((name, modality.clone()));
                of_source.push(None);
                continue;
            }
            // A name that a source has twice is two features, as it was there.
            let nth = here.entry(name.clone()).or_insert(0);
            if *nth == of_name.len() {
                of_name.push(narrow(names.len()));
                names.push(name);
                types.push(modality.clone());
                described.push((number, row));
            }
            of_source.push(Some(of_name[*nth]));
            *nth += 1;
        }
        columns.push(of_source);
    }
    if let Some((name, modality)) = conflicts.first() {
        let first = places.get(name).and_then(|of_name| of_name.first());
        let first = first.map_or("", |&place| types[place as usize].as_str());
        let apart = if modality == RNA { first } else { modality };
        let all: Vec<&str> = conflicts.iter().map(|(name, _)| name.as_str()).collect();
        let path = &opened[0].source.summary().path;
        let problem = format!(
            "{} named in two modalities, {first} and {modality}",
            match all.len() {
                1 => format!("the feature `{name}` is"),
                n if n > EXAMPLES => format!("{n} features ({}) are", examples(all.into_iter())),
                _ => format!("the features {} are", examples(all.into_iter())),
            }
        );
        let hint = Advice::from("a name is one token of the model: set the modalities apart by ")
            + Setting("prefix")
            + format!(" {apart}=p_");
        return Err(Error::Modalities { path: path.clone(), problem, hint });
    }
    let mut var = describe(opened, &described);
    let of_features: Vec<Option<&str>> = types.iter().map(|name| Some(name.as_str())).collect();
    let modalities = Modalities::new(&of_features)?;
    let spelling = |modality: &String| {
        opened.iter().find_map(|source| source.spelled.get(modality)).unwrap_or(modality).clone()
    };
    let spelled: Spelled =
        modalities.names().iter().map(|name| (name.clone(), spelling(name))).collect();
    let labels: Vec<String> = types.iter().map(|name| spelled[name].clone()).collect();
    var.columns.insert(0, (FEATURE_TYPES.into(), Column::categorical(&labels)));
    var.index = names;
    Ok(Features { var, columns, modalities })
}

/// A table of the text columns that any source has, one row a feature; where its source lacks a
/// column, the feature has its name there.
fn describe(opened: &[Opened], described: &[(usize, usize)]) -> Frame {
    let is_text = |column: &Column| matches!(column, Column::Text(_) | Column::Categorical { .. });
    let mut names: Vec<&str> = Vec::new();
    for source in opened {
        let texts = source.var.columns.iter().filter(|(_, column)| is_text(column));
        for (name, _) in texts {
            if !names.contains(&name.as_str()) && COLUMNS.iter().all(|(other, _)| other != name) {
                names.push(name);
            }
        }
    }
    let column = |name: &str| {
        let texts: Vec<Option<Vec<Option<String>>>> = opened
            .iter()
            .map(|source| source.var.column(name).filter(|column| is_text(column)))
            .map(|column| column.map(Column::labels))
            .collect();
        let of = described.iter().map(|&(source, row)| {
            let text = texts[source].as_ref().and_then(|texts| texts[row].clone());
            Some(text.unwrap_or_else(|| opened[source].var.index[row].clone()))
        });
        Column::Text(of.collect())
    };
    Frame {
        index_name: "_index".into(),
        index: Vec::new(),
        columns: names.into_iter().map(|name| (name.to_owned(), column(name))).collect(),
    }
}
