//! [`LabelMap`]: true and predicted labels over a picture of the cells.

use std::collections::BTreeSet;

use scgpt_data::{Observer, Result};
use scgpt_report::{Category, ColourValues, Colouring, Page, PointMap};
use serde::{Deserialize, Serialize};

use super::PredictedLabels;
use crate::{
    cell_colours::CellColours,
    cell_map::{AXES, CellMap},
};

/// Some cells on a plane, on which cells with similar embeddings are near each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelMap {
    /// The cells.
    pub cells: Vec<MapCell>,
    /// Names of all classes, whether a cell of the map has them or not, so that a class has one
    /// colour on all maps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
}

/// One cell of a map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapCell {
    /// What it is called, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its place on the plane.
    pub at: [f32; 2],
    /// Its true label.
    pub truth: String,
    /// Its predicted label.
    pub predicted: String,
    /// Whether its label could be predicted.
    pub is_known_class: bool,
    /// Whether it was said to be unlike all labels; `None` if nothing was said.
    pub is_unknown: Option<bool>,
    /// How sure the prediction is, 0 to 1, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// How unlike all labels it was said to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strangeness: Option<f32>,
}

impl LabelMap {
    /// Numbers of the cells that a map of `n` cells draws, ascending: all, or a sample of them.
    pub fn sample(n: usize, seed: u64) -> Vec<usize> {
        CellMap::sample(n, seed)
    }

    /// A map of some `cells` of a prediction with embeddings `rows`, `[cells, d]`.
    ///
    /// # Errors
    /// [`Error::Cancelled`](scgpt_data::Error::Cancelled) if the observer says so.
    ///
    /// # Panics
    /// If there is no such cell, or a class has no name.
    pub fn new(
        of: &PredictedLabels<'_>,
        cells: &[usize],
        rows: &[f32],
        observer: &dyn Observer,
    ) -> Result<Self> {
        let (n, d) = (cells.len(), rows.len() / cells.len().max(1));
        let map = CellMap::of_cells(cells.to_vec(), n, rows, d, 0, observer)?;
        let cell = |(cell, at): (usize, [f32; 2])| {
            let class = of.truth[cell] as usize;
            MapCell {
                name: None,
                at,
                truth: of.names[class].clone(),
                predicted: of.names[of.predicted[cell] as usize].clone(),
                is_known_class: of.is_known_class.is_none_or(|known| known[class]),
                is_unknown: of.is_unknown.map(|unknown| unknown[cell]),
                confidence: of.confidence.map(|confidence| confidence[cell]),
                strangeness: of.strangeness.map(|strangeness| strangeness[cell]),
            }
        };
        Ok(Self { cells: map.points().map(cell).collect(), classes: of.names.to_vec() })
    }

    /// The map with the names of its cells, in their order.
    #[must_use]
    pub fn with_names(mut self, names: impl IntoIterator<Item = String>) -> Self {
        for (cell, name) in self.cells.iter_mut().zip(names) {
            cell.name = Some(name);
        }
        self
    }

    /// Draws the map on the page three times: by true type, by predicted type, and by what was
    /// found unknown. A type has one colour in all of them. In a browser each is coloured by
    /// confidence and strangeness, too, and by the columns of `more`, which has an entry a cell, or is
    /// empty.
    pub fn describe(&self, page: &mut Page, more: &CellColours) {
        let mut columns = vec![
            self.types("true type", |cell| &cell.truth),
            self.types("predicted type", |cell| &cell.predicted),
        ];
        if self.cells.iter().any(|cell| cell.is_unknown.is_some()) {
            let fates = self.cells.iter().map(|cell| Some(cell.fate()));
            columns.push(Colouring::labels("whether they were called unknown", fates));
        }
        let n_drawn = columns.len();
        columns.extend(self.numbers("confidence", |cell| cell.confidence));
        columns.extend(self.numbers("strangeness", |cell| cell.strangeness));
        columns.extend(more.columns.iter().cloned());
        let places: Vec<[f32; 2]> = self.cells.iter().map(|cell| cell.at).collect();
        let names: Option<Vec<String>> = self.cells.iter().map(|cell| cell.name.clone()).collect();
        let names = names.unwrap_or_else(|| more.names.clone());
        for first in 0..n_drawn {
            let map =
                PointMap { places: &places, names: &names, axes: AXES, columns: &columns, first };
            let what = &columns[first].name;
            let said = more.said();
            page.point_map(&map, &format!("Cells by their embeddings, coloured by {what}{said}."));
        }
    }

    /// A column of numbers, if a cell has one.
    fn numbers(&self, name: &str, of: fn(&MapCell) -> Option<f32>) -> Option<Colouring> {
        let values: Vec<Option<f32>> = self.cells.iter().map(of).collect();
        let any = values.iter().any(Option::is_some);
        let values = values.into_iter().map(|value| value.unwrap_or(f32::NAN)).collect();
        any.then(|| Colouring::numbers(name, values))
    }

    /// A column of types, with all classes.
    fn types(&self, name: &str, of: fn(&MapCell) -> &str) -> Colouring {
        let found = self.cells.iter().map(of);
        let names: BTreeSet<&str> = self.classes.iter().map(String::as_str).chain(found).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let code = |cell: &MapCell| {
            names.binary_search(&of(cell)).ok().and_then(|place| u32::try_from(place).ok())
        };
        let category = |name: &&str| Category { name: (*name).to_owned(), colour: None };
        let values = ColourValues::Categories {
            codes: self.cells.iter().map(code).collect(),
            categories: names.iter().map(category).collect(),
        };
        Colouring { name: name.into(), values }
    }
}

impl MapCell {
    /// Whether its label could be predicted, and whether it was noticed that it could not.
    fn fate(&self) -> &'static str {
        match (self.is_known_class, self.is_unknown == Some(true)) {
            (true, false) => "known type",
            (true, true) => "known, called unknown",
            (false, true) => "new, called unknown",
            (false, false) => "new, not noticed",
        }
    }
}

#[cfg(test)]
mod tests {
    use scgpt_data::Silent;

    use super::*;

    #[test]
    fn cells_are_drawn_by_what_they_are_and_were_said_to_be() {
        let names = ["B", "T", "new"].map(str::to_owned);
        let mut of = PredictedLabels {
            names: &names,
            truth: &[0, 1, 2, 2],
            predicted: &[0, 0, 1, 1],
            is_unknown: Some(&[false, true, true, false]),
            is_known_class: Some(&[true, true, false]),
            ..PredictedLabels::default()
        };
        let rows = [0.0, 1.0, 1.0, 0.0, 5.0, 5.0];
        let drawn = |of: &PredictedLabels<'_>| {
            let map = LabelMap::new(of, &[1, 2, 3], &rows, &Silent).unwrap();
            let mut page = Page::new("", "");
            map.describe(&mut page, &CellColours::default());
            (map, page.to_html())
        };
        let (map, html) = drawn(&of);
        assert_eq!([&*map.cells[0].truth, &*map.cells[0].predicted], ["T", "B"]);
        // The type that was never predicted keeps its colour, and those after it theirs.
        assert!(
            html.contains("[\"new\",2,18]") && html.contains("[\"T\",2,17],[\"B\",1,0]"),
            "{html}"
        );
        for text in ["known, called unknown: 1", "new, called unknown: 1", "new, not noticed: 1"] {
            assert!(html.contains(text), "{text}");
        }
        of.is_unknown = None;
        assert_eq!(drawn(&of).1.matches("<figure>").count(), 2);
        assert!(LabelMap::new(&of, &[], &[], &Silent).unwrap().cells.is_empty());
    }
}
