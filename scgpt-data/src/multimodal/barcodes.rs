//! The same cells under two spellings: barcodes that differ by what is around them.

use std::collections::{HashMap, HashSet};

use super::Opened;
use crate::error::{Error, Result};

/// Letters of a barcode, at least.
const BARCODE: usize = 8;

/// Letters of a suffix that is no part of the name proper, at most.
const SUFFIX: usize = 4;

/// Share of the cells of the smaller input that have to be the same but for the spelling: barcodes
/// of other samples are the same in less than one of a hundred.
const SAME: f64 = 0.5;

/// Checks that inputs of different modalities do not spell the names of the same cells in two ways.
/// Joined by these names, paired cells would become twice as many, each measured in one modality
/// only.
///
/// # Errors
/// [`Error::Invalid`] with both spellings and what to do.
pub(super) fn check(opened: &[Opened]) -> Result<()> {
    let named: Vec<&Opened> = opened.iter().filter(|member| member.rows.is_none()).collect();
    for (number, first) in named.iter().enumerate() {
        let modalities: HashSet<&String> = first.modalities.iter().collect();
        // Barcodes of other samples may well be the same.
        let others = named[number + 1..].iter().filter(|other| other.sample == first.sample);
        for second in
            others.filter(|other| other.modalities.iter().all(|of| !modalities.contains(of)))
        {
            if let Some((n, [one, other])) =
                same_but_for_spelling(&first.obs.index, &second.obs.index)
            {
                let [before, path] =
                    [first, second].map(|member| member.source.summary().path.clone());
                let problem = format!(
                    "its cells are called such as `{other}`, those of `{}` such as `{one}`: {n} are the same but for \
                     the spelling, so that they would not be joined",
                    before.display()
                );
                return Err(Error::invalid(path, "obs", problem).with_hint(remedy(one, other)));
            }
        }
    }
    Ok(())
}

fn remedy(one: &str, other: &str) -> String {
    let shorten = match (other.strip_prefix(one), one.strip_prefix(other)) {
        (Some(suffix), _) | (_, Some(suffix)) => {
            format!("adata.obs_names = adata.obs_names.str.removesuffix({suffix:?})")
        }
        _ => "adata.obs_names = adata.obs_names.str.replace(r\"[-_]\\w{1,4}$\", \"\", regex=True)"
            .into(),
    };
    format!(
        "inputs are joined by the names of cells: spell them alike, in Python {shorten}; if they are other cells all \
         the same, number them anew"
    )
}

/// How many cells of two inputs have one name but for its spelling, and the first of them, if they
/// are many and next to none have the same name.
fn same_but_for_spelling<'a>(
    first: &'a [String],
    second: &'a [String],
) -> Option<(usize, [&'a str; 2])> {
    let names: HashSet<&str> = first.iter().map(String::as_str).collect();
    let same = second.iter().filter(|name| names.contains(name.as_str())).count();
    let keys: HashMap<&str, &str> =
        keys(first).into_iter().zip(first.iter().map(String::as_str)).collect();
    let mut found = keys_of(second, &keys);
    let n = found.len();
    let least = SAME * first.len().min(second.len()) as f64;
    (n as f64 >= least.max(1.0) && same * 10 < n).then(|| (n, found.swap_remove(0)))
}

fn keys_of<'a>(names: &'a [String], known: &HashMap<&str, &'a str>) -> Vec<[&'a str; 2]> {
    let pairs = keys(names).into_iter().zip(names);
    pairs.filter_map(|(key, name)| Some([*known.get(key)?, name.as_str()])).collect()
}

/// Names without what is around a barcode, or without a short suffix; the names as they are, if two
/// would become the same.
fn keys(names: &[String]) -> Vec<&str> {
    let all = || names.iter().map(String::as_str);
    for key in [barcode as fn(&str) -> &str, stem] {
        let keys: Vec<&str> = all().map(key).collect();
        let is_changed = keys.iter().zip(all()).any(|(key, name)| *key != name);
        let different: HashSet<&&str> = keys.iter().collect();
        if is_changed && different.len() * 10 >= keys.len() * 9 {
            return keys;
        }
    }
    all().collect()
}

/// The longest run of letters of a barcode, if it is long enough to be one.
fn barcode(name: &str) -> &str {
    let runs = name.split(|letter| !matches!(letter, 'A' | 'C' | 'G' | 'T' | 'N'));
    runs.max_by_key(|run| run.len()).filter(|run| run.len() >= BARCODE).unwrap_or(name)
}

/// The name before its last separator, if little is behind it.
fn stem(name: &str) -> &str {
    match name.rsplit_once(['-', '_', '.', '#', ':']) {
        Some((stem, suffix)) if !stem.is_empty() && suffix.len() <= SUFFIX => stem,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(spell: impl Fn(usize) -> String) -> Vec<String> {
        (0..40).map(spell).collect()
    }

    fn barcode_of(cell: usize) -> String {
        (0..12).map(|place| ['A', 'C', 'G', 'T'][cell * 31 / (place + 1) % 4]).collect::<String>()
            + &"ACGT"[cell % 4..=cell % 4]
    }

    #[test]
    fn suffixes_prefixes_and_separators_are_seen_through() {
        let plain = names(|cell| format!("cell_{cell:06}"));
        let short = names(|cell| format!("cell_{cell}"));
        for (first, second) in [
            (plain.clone(), names(|cell| format!("cell_{cell:06}-1"))),
            (short, names(|cell| format!("cell_{cell}_1"))),
            (names(|cell| format!("c{cell}-1")), names(|cell| format!("c{cell}_1"))),
            (
                names(|cell| format!("AAACCCGG{}-1", barcode_of(cell))),
                names(|cell| format!("s1_AAACCCGG{}", barcode_of(cell))),
            ),
        ] {
            let (n, pair) = same_but_for_spelling(&first, &second).unwrap();
            assert!(n >= 20, "{n}");
            assert_ne!(pair[0], pair[1]);
        }
        let again = plain.clone();
        assert!(same_but_for_spelling(&plain, &again).is_none(), "the same names are joined");
        let others = names(|cell| format!("other_{cell:06}-1"));
        assert!(same_but_for_spelling(&plain, &others).is_none(), "other cells are other cells");
        assert!(same_but_for_spelling(&plain, &[]).is_none());
    }

    #[test]
    fn the_remedy_names_what_differs() {
        assert!(remedy("cell_1", "cell_1-1").contains("removesuffix(\"-1\")"));
        assert!(remedy("a_1", "a-1").contains("str.replace"));
    }
}
