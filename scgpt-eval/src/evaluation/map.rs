//! [`LabelMap`]: true and predicted labels over a picture of the cells.

use scgpt_report::{Group, Page};
use serde::{Deserialize, Serialize};

use super::PredictedLabels;
use crate::cell_map::{AXES, CellMap};

/// Some cells on a plane, on which cells with similar embeddings are near each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelMap {
    /// The cells.
    pub cells: Vec<MapCell>,
}

/// One cell of a map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapCell {
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
}

impl LabelMap {
    /// Numbers of the cells that a map of `n` cells draws, ascending: all, or a sample of them.
    pub fn sample(n: usize, seed: u64) -> Vec<usize> {
        CellMap::sample(n, seed)
    }

    /// A map of some `cells` of a prediction with embeddings `rows`, `[cells, d]`.
    ///
    /// # Panics
    /// If there is no such cell, or a class has no name.
    pub fn new(of: &PredictedLabels<'_>, cells: &[usize], rows: &[f32]) -> Self {
        let (n, d) = (cells.len(), rows.len() / cells.len().max(1));
        let map = CellMap::of_cells(cells.to_vec(), n, rows, d, 0);
        let cell = |(cell, at): (usize, [f32; 2])| {
            let class = of.truth[cell] as usize;
            MapCell {
                at,
                truth: of.names[class].clone(),
                predicted: of.names[of.predicted[cell] as usize].clone(),
                is_known_class: of.is_known_class.is_none_or(|known| known[class]),
                is_unknown: of.is_unknown.map(|unknown| unknown[cell]),
            }
        };
        Self { cells: map.points().map(cell).collect() }
    }

    /// Draws the map on the page three times: by true type, by predicted type, and by what was
    /// found unknown. A type has one colour in all of them.
    pub fn describe(&self, page: &mut Page) {
        let mut scatter = |what: &str, groups: &[Group]| {
            let caption = format!("Cells by their embeddings, coloured by {what}.");
            page.scatter(groups, AXES, &caption);
        };
        let by = |name: fn(&MapCell) -> &str| {
            Group::of(self.cells.iter().map(|cell| (name(cell).to_owned(), cell.at)))
        };
        let truth = by(|cell| &cell.truth);
        scatter("true type", &truth);
        let mut rest = by(|cell| &cell.predicted);
        let mut take = |Group { name, .. }: &Group| {
            let place = rest.iter().position(|group| group.name == *name);
            let none = || Group { name: name.clone(), points: Vec::new() };
            place.map_or_else(none, |place| rest.remove(place))
        };
        let mut predicted: Vec<Group> = truth.iter().map(&mut take).collect();
        predicted.extend(rest);
        scatter("predicted type", &predicted);
        if self.cells.iter().any(|cell| cell.is_unknown.is_some()) {
            scatter("whether they were called unknown", &by(MapCell::fate));
        }
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
            let map = LabelMap::new(of, &[1, 2, 3], &rows);
            let mut page = Page::new("", "");
            map.describe(&mut page);
            (map, page.to_html())
        };
        let (map, html) = drawn(&of);
        assert_eq!([&*map.cells[0].truth, &*map.cells[0].predicted], ["T", "B"]);
        // The type that was never predicted keeps its colour, and those after it theirs.
        assert!(html.contains("new: 0") && html.contains("B: 1"));
        for text in ["known, called unknown: 1", "new, called unknown: 1", "new, not noticed: 1"] {
            assert!(html.contains(text), "{text}");
        }
        of.is_unknown = None;
        assert_eq!(drawn(&of).1.matches("<figure>").count(), 2);
        assert!(LabelMap::new(&of, &[], &[]).cells.is_empty());
    }
}
