//! [`doubts`] and [`doubts_of_shards`]: what columns of `obs` say that is probably a mistake.

use std::collections::{BTreeMap, BTreeSet};

use scgpt_data::{Frame, Result, ShardFolder, some_of};

/// Ends of the names of columns that hold the ids of an ontology, beside a column of names.
const IDS: &str = "_ontology_term_id";
/// How missing values are spelled once they have been made text.
const NOTHING: [&str; 9] = ["nan", "none", "na", "n/a", "<na>", "null", "#n/a", "nat", "-nan"];
/// Parts of the names of columns that say whom a cell is of.
const PEOPLE: [&str; 5] = ["donor", "patient", "individual", "subject", "participant"];
/// Values of another column that go with one, as far as they are named.
const EXAMPLES: usize = 3;
/// Columns whose values are the same for all cells of a person, in most data.
const OF_PEOPLE: [&str; 6] =
    ["sex", "gender", "self_reported_ethnicity", "ethnicity", "organism", "species"];

/// The values in one column that go with each value in another.
type Values = BTreeMap<String, BTreeSet<String>>;

/// Doubts about columns of `obs`: of the `labels` that a question uses and, if there are any, of
/// its `batches`. Each is a sentence.
///
/// None of this has to be wrong, so nothing is refused; but a label with several ids, a donor of
/// two sexes, or a class called `nan` is usually a mistake made earlier.
pub fn doubts(obs: &Frame, labels: &[&str], batches: Option<&str>) -> Vec<String> {
    let mut doubts = Vec::new();
    for &name in labels.iter().chain(&batches) {
        let Some(column) = obs.column(name) else { continue };
        let labels = column.labels().into_iter().flatten();
        doubts.extend(called_nothing(name, labels.map(|label| (label, 1))));
    }
    for (place, &name) in labels.iter().enumerate() {
        // Names and ids may both be asked for: once is enough.
        let is_new = |ids: &&str| !labels[..place].contains(ids);
        for ids in ids(obs.names(), name).into_iter().filter(is_new) {
            let values = [values_of(obs, name, ids), values_of(obs, ids, name)];
            doubts.extend(contradictions([name, ids], values.each_ref()));
        }
    }
    if let Some(batch) = batches {
        doubts.extend(people(obs, batch));
        for &label in labels.iter().filter(|&&label| label != batch) {
            doubts.extend(confounded(obs, label, batch));
        }
    }
    doubts
}

/// As [`doubts`], for the column of labels `name` that token shards keep, and the column of its ids
/// if they keep that too.
///
/// # Errors
/// If there is no such column, or the shards are broken.
pub fn doubts_of_shards(shards: &ShardFolder, name: &str) -> Result<Vec<String>> {
    let labels = shards.labels(name)?;
    let columns = shards.manifest().labels.iter().map(|of| of.column.as_str());
    let ids = ids(columns, name);
    let others = ids.iter().map(|name| shards.labels(name)).collect::<Result<Vec<_>, _>>()?;
    let mut cells = vec![0; labels.categories().len()];
    // Of all cells, each combination once.
    let mut pairs = vec![BTreeSet::new(); others.len()];
    for cell in 0..shards.n_cells() {
        let Some(code) = labels.code(cell)? else { continue };
        cells[code] += 1;
        for (pairs, other) in pairs.iter_mut().zip(&others) {
            pairs.extend(other.code(cell)?.map(|other| (code, other)));
        }
    }
    let counted = labels.categories().iter().cloned().zip(cells).filter(|(_, n)| *n > 0);
    let mut doubts: Vec<String> = called_nothing(name, counted).into_iter().collect();
    for ((other, pairs), ids) in ids.iter().zip(pairs).zip(&others) {
        let (mut of, mut back) = (Values::new(), Values::new());
        for (label, id) in pairs {
            let [label, id] = [&labels.categories()[label], &ids.categories()[id]];
            of.entry(label.clone()).or_default().insert(id.clone());
            back.entry(id.clone()).or_default().insert(label.clone());
        }
        doubts.extend(contradictions([name, other], [&of, &back]));
    }
    Ok(doubts)
}

/// How many cells have labels that look like missing values.
fn called_nothing(name: &str, labels: impl Iterator<Item = (String, usize)>) -> Option<String> {
    let is_nothing =
        |label: &str| NOTHING.iter().any(|nothing| label.trim().eq_ignore_ascii_case(nothing));
    let mut cells: BTreeMap<String, usize> = BTreeMap::new();
    let mut has_others = false;
    for (label, n) in labels {
        if is_nothing(&label) {
            *cells.entry(label).or_default() += n;
        } else {
            has_others = true;
        }
    }
    let n: usize = cells.values().sum();
    let names: Vec<String> = cells.into_keys().collect();
    // Where it is all there is, it stands beside no other class: `na` for the ethnicity of mice.
    (n > 0 && has_others).then(|| {
        format!(
            "{n} cells have {} in column `{name}` of `obs`, which is a label like any other here: if it is a missing \
             value that was made text, make it missing again: adata.obs[\"{name}\"] = \
             adata.obs[\"{name}\"].mask(adata.obs[\"{name}\"].isin({names:?}))",
            some_of(&names)
        )
    })
}

/// Columns with the ids of the labels in column `name`, or the labels of its ids.
fn ids<'o>(columns: impl Iterator<Item = &'o str>, name: &str) -> Vec<&'o str> {
    let plain = |name: &str| name.to_lowercase().replace(['_', '-', ' ', '.'], "");
    let of = |name: &str| name.strip_suffix(IDS).map(plain);
    let pairs = |other: &&str| match (of(name), of(other)) {
        (None, Some(ids)) => ids == plain(name),
        (Some(ids), None) => ids == plain(other),
        _ => false,
    };
    columns.filter(pairs).collect()
}

/// Labels with several ids, and ids with several labels.
fn contradictions(names: [&str; 2], values: [&Values; 2]) -> Vec<String> {
    let mut found = Vec::new();
    let [name, other] = names;
    for ([one, many], values) in [[name, other], [other, name]].into_iter().zip(values) {
        let several: Vec<_> = values.iter().filter(|(_, values)| values.len() > 1).collect();
        let Some((label, examples)) = several.first() else { continue };
        let more = match examples.len().saturating_sub(EXAMPLES) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let examples: Vec<String> = examples.iter().take(EXAMPLES).cloned().collect();
        found.push(format!(
            "{} of the {} values in column `{one}` of `obs` go with several in column `{many}`, such as `{label}` with {}{}: \
             one of the columns is wrong",
            several.len(),
            values.len(),
            some_of(&examples),
            more
        ));
    }
    found
}

/// People of two sexes, or of two species.
fn people(obs: &Frame, batch: &str) -> Vec<String> {
    let is_of_people = PEOPLE.iter().any(|part| batch.to_lowercase().contains(part));
    let fixed = OF_PEOPLE.iter().filter(|_| is_of_people);
    let mut found = Vec::new();
    for &column in fixed {
        let values = values_of(obs, batch, column);
        let mut several = values.iter().filter(|(_, values)| values.len() > 1);
        if let Some((person, values)) = several.next() {
            let values: Vec<String> = values.iter().cloned().collect();
            found.push(format!(
                "`{person}` of column `{batch}` of `obs` has {} in column `{column}`, as have {} others: cells of \
                 different people bear one name, or one of the columns is wrong",
                some_of(&values),
                several.count()
            ));
        }
    }
    found
}

/// Batches that share no label: what sets them apart cannot be told from what sets labels apart.
fn confounded(obs: &Frame, label: &str, batch: &str) -> Option<String> {
    let batches_of = values_of(obs, label, batch);
    let n = values_of(obs, batch, label).len();
    let is_apart = n > 1 && batches_of.len() > 1 && batches_of.values().all(|of| of.len() == 1);
    is_apart.then(|| {
        format!(
            "every label of column `{label}` of `obs` occurs in one of the {n} batches of column `{batch}` only: what \
             is due to batches and what is due to labels cannot be told apart"
        )
    })
}

/// The values in column `of` that go with each value in column `name`.
fn values_of(obs: &Frame, name: &str, of: &str) -> Values {
    let mut values = Values::new();
    if let (Some(names), Some(others)) = (obs.column(name), obs.column(of)) {
        for (name, other) in names.labels().into_iter().zip(others.labels()) {
            if let (Some(name), Some(other)) = (name, other) {
                values.entry(name).or_default().insert(other);
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use scgpt_data::Column;

    use super::*;

    fn frame(columns: &[(&str, &[&str])]) -> Frame {
        let column = |values: &[&str]| {
            Column::Text(
                values
                    .iter()
                    .map(|&it| Some(it.into()).filter(|it: &String| !it.is_empty()))
                    .collect(),
            )
        };
        Frame {
            index: columns[0].1.iter().map(|&it| it.into()).collect(),
            columns: columns
                .iter()
                .map(|(name, values)| ((*name).into(), column(values)))
                .collect(),
            ..Frame::default()
        }
    }

    #[test]
    fn sound_columns_raise_none() {
        let obs = frame(&[
            ("cell_type", &["B", "B", "T", "T"]),
            ("cell_type_ontology_term_id", &["CL:1", "CL:1", "CL:2", ""]),
            ("donor_id", &["x", "y", "x", "y"]),
            ("sex", &["f", "m", "f", "m"]),
        ]);
        assert!(doubts(&obs, &["cell_type"], Some("donor_id")).is_empty());
        assert!(doubts(&obs, &["no such column"], None).is_empty());
    }

    #[test]
    fn contradictions_are_named() {
        let obs = frame(&[
            ("celltype", &["B", "B", "T", "nan"]),
            ("cell_type_ontology_term_id", &["CL:1", "CL:2", "CL:2", "CL:3"]),
            ("donor_id", &["x", "x", "y", "z"]),
            ("sex", &["f", "m", "f", "m"]),
        ]);
        let said = doubts(&obs, &["celltype"], Some("donor_id"));
        assert_eq!(said.len(), 5, "{said:#?}");
        assert!(said[0].contains("1 cells have `nan`") && said[0].contains(".isin([\"nan\"])"));
        assert!(
            said[1].contains("1 of the 3 values") && said[1].contains("`B` with `CL:1`, `CL:2`")
        );
        assert!(said[2].contains("`CL:2` with `B`, `T`"), "{}", said[2]);
        assert!(said[3].contains("`x` of column `donor_id`") && said[3].contains("`f`, `m`"));
        assert!(said[4].contains("cannot be told apart"));
    }

    #[test]
    fn doubts_are_few_and_short() {
        let ids = ["CL:1", "CL:2", "CL:3", "CL:4", "CL:5", "CL:1"];
        let obs = frame(&[
            ("cell_type", &["B", "B", "B", "B", "B", "T"]),
            ("cell_type_ontology_term_id", &ids),
            // Of mice, as CELLxGENE has it.
            ("self_reported_ethnicity", &["na"; 6]),
        ]);
        let both = ["cell_type", "cell_type_ontology_term_id", "self_reported_ethnicity"];
        let said = doubts(&obs, &both, None);
        assert_eq!(said, doubts(&obs, &both[..1], None));
        assert_eq!(said.len(), 2, "{said:#?}");
        assert!(said[0].contains("`B` with `CL:1`, `CL:2`, `CL:3` and 2 more: "), "{}", said[0]);
    }
}
