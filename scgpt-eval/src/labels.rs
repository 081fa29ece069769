//! [`Labels`]: a column of `obs` that says what each cell is.

mod joined;
mod likely;

use std::collections::BTreeMap;

use scgpt_data::{Column, Error, Frame, Result, obs_column, similar_names, some_of};

pub use self::{
    joined::{join_labels, split_labels},
    likely::{likely_colour, likely_types},
};

/// Classes of cells, in alphabetical order, and the class of each cell.
///
/// ```
/// use scgpt_eval::Labels;
///
/// let mut labels = Labels::new(["T", "B", "T", ""].map(|it| Some(it.to_owned())).to_vec());
/// assert_eq!((labels.classes.join(" "), labels.n_missing()), ("B T".into(), 1));
/// assert_eq!(labels.drop_small(2), ["B"]);
/// assert_eq!(labels.codes, [Some(0), None, Some(0), None]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Names of the classes that have cells.
    pub classes: Vec<String>,
    /// The class of each cell, a place in `classes`; `None` for cells without a label.
    pub codes: Vec<Option<u32>>,
}

impl Labels {
    /// Reads column `name` of `obs`. Categories without cells are left out.
    ///
    /// # Errors
    /// If there is no such column, it holds numbers, or no cell has a label.
    pub fn read(obs: &Frame, name: &str) -> Result<Self> {
        let column = obs_column(obs, name)?;
        // Text of real numbers would have a class "nan" for each gap; texts of pandas' own keep gaps.
        let through = match column {
            Column::Float(values)
                if values.iter().flatten().all(|it| it.is_nan() || it.fract() == 0.0) =>
            {
                Some(".astype(\"Int64\")")
            }
            Column::Float(_) | Column::Integer(_) => Some(""),
            _ => None,
        };
        if let Some(through) = through {
            return Err(Error::unsuited(
                format!("column `{name}` of `obs` holds numbers, expected labels"),
                format!(
                    "if they are labels, make them text first, gaps staying gaps: adata.obs[\"{name}\"] = \
                     adata.obs[\"{name}\"]{through}.astype(\"string\").astype(\"category\")"
                ),
            ));
        }
        let labels = Self::new(column.labels());
        if labels.classes.is_empty() {
            return Err(Error::Option(format!("no cell has a label in column `{name}` of `obs`")));
        }
        Ok(labels)
    }

    /// Makes classes of the labels, one a cell; an empty label counts as missing.
    pub fn new(labels: Vec<Option<String>>) -> Self {
        let labels: Vec<Option<String>> =
            labels.into_iter().map(|label| label.filter(|label| !label.is_empty())).collect();
        let mut codes: BTreeMap<&str, u32> =
            labels.iter().flatten().map(|label| (label.as_str(), 0)).collect();
        for (number, code) in (0..).zip(codes.values_mut()) {
            *code = number;
        }
        Self {
            classes: codes.keys().map(|&label| label.to_owned()).collect(),
            codes: labels
                .iter()
                .map(|label| label.as_deref().and_then(|label| codes.get(label).copied()))
                .collect(),
        }
    }

    /// Number of cells of each class.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for code in self.codes.iter().flatten() {
            counts[*code as usize] += 1;
        }
        counts
    }

    /// Number of cells without a label.
    pub fn n_missing(&self) -> usize {
        self.codes.iter().filter(|code| code.is_none()).count()
    }

    /// The name of a cell's class; `None` for a cell without a label.
    pub fn name(&self, cell: usize) -> Option<&str> {
        self.codes[cell].map(|code| self.classes[code as usize].as_str())
    }

    /// Takes the labels off all cells of classes with fewer than `min_cells`, and returns the names of
    /// these classes.
    pub fn drop_small(&mut self, min_cells: usize) -> Vec<String> {
        let counts = self.counts();
        let is_small = |code: u32| counts[code as usize] < min_cells;
        let (small, rest) = self.split(is_small);
        *self = rest;
        small.classes
    }

    /// Takes the labels off all cells of the classes `names`, and returns them as labels of the
    /// same cells, of which the others have none.
    ///
    /// # Errors
    /// If there is no such class.
    pub fn take(&mut self, names: &[String]) -> Result<Self> {
        if let Some(name) = names.iter().find(|name| !self.classes.contains(name)) {
            let similar = similar_names(name, self.classes.iter().map(String::as_str)).hint();
            return Err(Error::Option(format!(
                "no cell is labelled `{name}`, but {}{similar}",
                some_of(&self.classes)
            )));
        }
        let (taken, rest) = self.split(|code| names.contains(&self.classes[code as usize]));
        *self = rest;
        Ok(taken)
    }

    /// The labels of the wanted classes alone, and those of all others.
    fn split(&self, is_wanted: impl Fn(u32) -> bool) -> (Self, Self) {
        let of = |wanted: bool| {
            let label = |code: &Option<u32>| {
                let code = code.filter(|&code| is_wanted(code) == wanted)?;
                Some(self.classes[code as usize].clone())
            };
            Self::new(self.codes.iter().map(label).collect())
        };
        (of(true), of(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(column: Column) -> Frame {
        Frame { columns: vec![("type".into(), column)], ..Frame::default() }
    }

    #[test]
    fn classes_are_sorted_and_have_cells() {
        let column = Column::Categorical {
            codes: vec![Some(2), None, Some(0), Some(2)],
            categories: vec!["T".into(), "never".into(), "B".into()],
            ordered: false,
        };
        let labels = Labels::read(&frame(column), "type").unwrap();
        assert_eq!(labels.classes, ["B", "T"]);
        assert_eq!(labels.codes, [Some(0), None, Some(1), Some(0)]);
        assert_eq!((labels.counts(), labels.n_missing()), (vec![2, 1], 1));
        assert_eq!([labels.name(1), labels.name(2)], [None, Some("T")]);
    }

    #[test]
    fn what_are_no_labels_is_refused() {
        let message = |column| Labels::read(&frame(column), "type").unwrap_err().to_string();
        let advice = |values| Labels::read(&frame(values), "type").unwrap_err().hint().unwrap();
        assert!(message(Column::Integer(vec![Some(1)])).contains("holds numbers"));
        let whole = advice(Column::Float(vec![Some(f64::NAN), Some(1.0), None]));
        assert!(
            whole.ends_with(r#".astype("Int64").astype("string").astype("category")"#),
            "{whole}"
        );
        let real = advice(Column::Float(vec![Some(0.5)]));
        assert!(real.ends_with(r#"obs["type"].astype("string").astype("category")"#), "{real}");
        assert!(message(Column::Text(vec![None, Some(String::new())])).contains("no cell"));
        let error = Labels::read(&frame(Column::Text(vec![])), "tpye").unwrap_err();
        assert!(error.to_string().contains("`tpye` not found"));
    }

    #[test]
    fn small_classes_lose_their_labels() {
        let texts = ["a", "b", "b", "c"].map(|label| Some(label.to_owned()));
        let mut labels = Labels::new(texts.to_vec());
        assert_eq!(labels.drop_small(2), ["a", "c"]);
        assert_eq!(labels.classes, ["b"]);
        assert_eq!(labels.codes, [None, Some(0), Some(0), None]);
        let error = labels.take(&["B".into()]).unwrap_err().to_string();
        assert!(error.contains("similar names: b"), "{error}");
        let taken = labels.take(&["b".into()]).unwrap();
        assert_eq!((taken.codes[1], labels.codes[1]), (Some(0), None));
        assert!(labels.classes.is_empty());
    }
}
