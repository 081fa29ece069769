//! Which batch every cell belongs to: the domains of the network, by their numbers.
//!
//! In training the numbers are those of the names in order; an artefact brings the names of new cells to the
//! numbers that it was trained with.

use scgpt_data::{
    Advice, CellSource, Column, Frame, GeneSubset, Observer, RNA, Setting, obs_column,
};
use scgpt_eval::{BatchesTold, Labels, baseline::BaselineOptions};

use super::{IntegrateOptions, Integration, Pairing};
use crate::error::{Error, Result};

/// The batches of the cells, at least two of at least two cells; all cells are one batch if only
/// modalities are integrated.
///
/// # Errors
/// As [`read`] and [`check`].
pub(super) fn of(obs: &Frame, options: &IntegrateOptions<'_>) -> Result<Labels> {
    match options.batch_key {
        Some(key) => {
            let batches = read(obs, key)?;
            check(&batches, key).map(|()| batches)
        }
        None if options.modalities.is_some_and(|cells| cells.modalities.names().len() > 1) => {
            Ok(one(obs.len()))
        }
        None => {
            let problem = "is needed: the column of `obs` with the batches (of several files, `input` has their names)";
            Err(Setting("batch_key").wrong(problem).into())
        }
    }
}

/// How well the batch of a cell, in the column `options.batch_key`, can be predicted from its genes.
/// This decides whether a recipe makes batches alike, see
/// [`IntegrateConfig::for_batches`](super::IntegrateConfig::for_batches). `None` if no column is
/// named, no feature is a gene, or the cells are a mosaic, whose batches differ in what was measured.
///
/// # Errors
/// If the batches are not sound, as in [`Integration::prepare`](super::Integration::prepare); if the source
/// cannot be read, or has negative values.
pub fn batches_told(
    source: &mut dyn CellSource,
    options: &IntegrateOptions<'_>,
    observer: &dyn Observer,
) -> Result<Option<BatchesTold>> {
    if options.batch_key.is_none() {
        return Ok(None);
    }
    let batches = of(&source.obs()?, options)?;
    told(source, &batches, options, observer)
}

impl Integration<'_> {
    /// As [`batches_told`], for the cells that were prepared.
    ///
    /// # Errors
    /// If the source cannot be read, or has negative values.
    pub fn told(
        &self,
        source: &mut dyn CellSource,
        observer: &dyn Observer,
    ) -> Result<Option<BatchesTold>> {
        told(source, &self.batches, &self.options, observer)
    }
}

/// As [`batches_told`], of cells whose batches are known.
fn told(
    source: &mut dyn CellSource,
    batches: &Labels,
    options: &IntegrateOptions<'_>,
    observer: &dyn Observer,
) -> Result<Option<BatchesTold>> {
    if options.batch_key.is_none() {
        return Ok(None);
    }
    let batches: Vec<usize> = batches.codes.iter().flatten().map(|&code| code as usize).collect();
    let mut by = BaselineOptions::default();
    by.layer = options.learn.layer.clone();
    let told = match options.modalities {
        None => BatchesTold::of(source, &batches, &by, 0, observer)?,
        Some(cells) => {
            let Some(rna) = cells.modalities.position(RNA) else { return Ok(None) };
            if cells.pairing() != Pairing::Paired {
                return Ok(None);
            }
            let genes = cells.modalities.features(rna).collect();
            let mut genes = GeneSubset::new(source, options.learn.layer, genes)?;
            BatchesTold::of(&mut genes, &batches, &by, 0, observer)?
        }
    };
    Ok(Some(told))
}

/// The labels of the cells in a column of `obs`, if one is named.
///
/// # Errors
/// If there is no such column, or all labels are the same.
pub(super) fn labels(obs: &Frame, label: Option<&str>) -> Result<Option<Labels>> {
    let Some(name) = label else { return Ok(None) };
    let labels = Labels::read(obs, name)?;
    let [only] = labels.classes.as_slice() else { return Ok(Some(labels)) };
    let problem = format!(
        "all cells with a label in column `{name}` of `obs` have the same (`{only}`), so that nothing can be told apart \
         by it"
    );
    let remedy = Advice::from("name another column by ") + Setting("label") + ", or none";
    Err(Error::unsuited(problem, remedy))
}

/// Labels that put all of `n` cells in one batch.
pub(super) fn one(n: usize) -> Labels {
    Labels::new(vec![Some("all".to_owned()); n])
}

/// The batches in column `key` of `obs`; whole numbers are names, too.
///
/// # Errors
/// If there is no such column, it holds real numbers, or a cell has no batch.
pub(super) fn read(obs: &Frame, key: &str) -> Result<Labels> {
    let batches = match obs_column(obs, key)? {
        column @ Column::Integer(_) => Labels::new(column.labels()),
        _ => Labels::read(obs, key)?,
    };
    match batches.n_missing() {
        0 => Ok(batches),
        n => Err(Error::option(format!(
            "{n} of {} cells have no batch in column `{key}` of `obs`: fill it in, or leave these cells out",
            batches.codes.len()
        ))),
    }
}

/// Checks that there are batches to integrate, each with enough cells to learn from.
pub(super) fn check(batches: &Labels, key: &str) -> Result<()> {
    if let [only] = batches.classes.as_slice() {
        let problem = format!(
            "column `{key}` of `obs` has one batch (`{only}`), so there is nothing to integrate"
        );
        return Err(Error::unsuited(
            problem,
            Advice::from("name another column by ")
                + Setting("batch_key")
                + ", or embed the cells with `scgpt embed`",
        ));
    }
    let counts = batches.counts();
    let alone: Vec<&str> = batches
        .classes
        .iter()
        .zip(counts)
        .filter(|(_, n)| *n < 2)
        .map(|(name, _)| name.as_str())
        .collect();
    if !alone.is_empty() {
        return Err(Error::option(format!(
            "a single cell has no statistics of its batch, and is all there is of {}: leave these cells out, or join \
             them with another batch in column `{key}` of `obs`",
            names(&alone)
        )));
    }
    Ok(())
}

/// The number of each cell's batch among those `known`.
///
/// # Errors
/// If a batch is not known; the message lists those that are.
pub(super) fn numbers(batches: &Labels, known: &[String], key: &str) -> Result<Vec<usize>> {
    let place = |name: &String| known.iter().position(|other| other == name);
    let unknown: Vec<&str> =
        batches.classes.iter().filter(|name| place(name).is_none()).map(String::as_str).collect();
    if !unknown.is_empty() {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        return Err(Error::option(format!(
            "column `{key}` of `obs` has {}, which the model was not trained on (it knows {}): train with these cells, \
             too, or leave them out",
            names(&unknown),
            names(&known)
        )));
    }
    let places: Vec<usize> = batches.classes.iter().filter_map(place).collect();
    Ok(batches.codes.iter().flatten().map(|&code| places[code as usize]).collect())
}

/// Names for a message; if there are many, only the first.
fn names(names: &[&str]) -> String {
    const SHOWN: usize = 10;
    let first: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(column: Column) -> Frame {
        Frame { columns: vec![("batch".into(), column)], ..Frame::default() }
    }

    fn labels(names: &[&str]) -> Labels {
        Labels::new(names.iter().map(|&name| Some(name.to_owned())).collect())
    }

    #[test]
    fn whole_numbers_are_names_and_gaps_are_refused() {
        let numbers = Column::Integer(vec![Some(3), Some(1), Some(3)]);
        assert_eq!(read(&frame(numbers), "batch").unwrap().codes, [Some(1), Some(0), Some(1)]);
        let gap = Column::Text(vec![Some("a".into()), None]);
        let message = read(&frame(gap), "batch").unwrap_err().to_string();
        assert!(message.contains("1 of 2 cells"), "{message}");
        assert!(read(&frame(Column::Float(vec![Some(0.5)])), "batch").is_err());
    }

    #[test]
    fn one_batch_and_lone_cells_are_refused() {
        let message = |of: &[&str]| check(&labels(of), "batch").unwrap_err().to_string();
        assert!(message(&["a", "a"]).contains("one batch (`a`)"));
        assert!(message(&["a", "a", "b", "c", "c"]).contains("all there is of `b`"));
        check(&labels(&["a", "a", "b", "b"]), "batch").unwrap();
    }

    #[test]
    fn known_batches_keep_their_numbers() {
        let known = ["a", "b", "c"].map(String::from);
        assert_eq!(numbers(&labels(&["c", "a", "c"]), &known, "batch").unwrap(), [2, 0, 2]);
        let message = numbers(&labels(&["d", "a"]), &known, "batch").unwrap_err().to_string();
        assert!(message.contains("has `d`") && message.contains("knows `a`, `b`, `c`"));
    }
}
