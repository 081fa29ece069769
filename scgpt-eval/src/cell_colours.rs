//! [`CellColours`]: what the cells of a map are called, and by what they can be coloured.

use scgpt_data::{CellSource, Column, Frame};
use scgpt_report::{Category, ColourValues, Colouring};

/// Most categories of a column that colours can still tell apart, with names beside them.
const CATEGORIES: usize = 60;
/// Most columns of a map: each is a part of the page.
const COLUMNS: usize = 24;

/// Names of cells and the columns that can colour them, one entry a cell of a map.
///
/// ```
/// use scgpt_eval::CellColours;
/// use scgpt_report::Colouring;
///
/// let types = Colouring::labels("cell type", ["B", "T"].map(Some));
/// let colours = CellColours::new(vec!["AAC".into(), "AAG".into()], vec![types]);
/// assert_eq!((colours.names.len(), colours.columns.len()), (2, 1));
/// ```
#[derive(Clone, Debug, Default)]
pub struct CellColours {
    /// What each cell is called; none or one a cell.
    pub names: Vec<String>,
    /// The columns.
    pub columns: Vec<Colouring>,
    /// The column, by its position, that a map begins with.
    pub first: usize,
    /// Number of columns that could have coloured the cells, but are too many.
    pub n_left_out: usize,
}

impl CellColours {
    /// Of cells with those names and columns.
    pub fn new(names: Vec<String>, columns: Vec<Colouring>) -> Self {
        Self { names, columns, ..Self::default() }
    }

    /// The columns of `obs` of the cells `cells` of a source: column `first`, whatever it holds, and
    /// all others of numbers, of truth values or of 2 to 60 labels, at most 24 in the order of the
    /// file. Colours of categories are those that `uns` has for them, as scanpy writes them, if they
    /// can be read.
    ///
    /// # Panics
    /// If there is no such cell.
    pub fn of_obs(
        source: &dyn CellSource,
        obs: &Frame,
        cells: &[usize],
        first: Option<&str>,
    ) -> Self {
        let mut found = Self {
            names: cells.iter().map(|&cell| obs.index[cell].clone()).collect(),
            ..Self::default()
        };
        let is_first = |name: &str| Some(name) == first;
        let chosen = obs.columns.iter().filter(|(name, _)| is_first(name));
        let others = obs.columns.iter().filter(|(name, _)| !is_first(name));
        for (name, column) in chosen.chain(others) {
            let column = column.pick(cells);
            let Some(values) = values(&column, is_first(name)) else { continue };
            if found.columns.len() == COLUMNS {
                found.n_left_out += 1;
                continue;
            }
            let mut colouring = Colouring { name: name.clone(), values };
            if matches!(column, Column::Categorical { .. }) {
                let key = format!("{name}_colors");
                // Colours that cannot be read are no reason for no page: those of the palette serve.
                let own = source.read_lists(&key).ok().and_then(|mut lists| lists.remove(&key));
                colour(&mut colouring, &own.unwrap_or_default());
            }
            found.columns.push(colouring);
        }
        found
    }

    /// What a caption says of columns that are not there; nothing if all are.
    pub(crate) fn left_out(&self) -> String {
        match self.n_left_out {
            0 => String::new(),
            n => format!("; {n} further columns of obs are not in the menu"),
        }
    }
}

/// A column as colours; `None` if it tells nothing, unless it `is_wanted`.
fn values(column: &Column, is_wanted: bool) -> Option<ColourValues> {
    #[allow(clippy::cast_possible_truncation, reason = "seven digits are more than colours tell")]
    let numbers: Vec<f32> = match column {
        Column::Float(values) => {
            values.iter().map(|value| value.map_or(f32::NAN, |value| value as f32)).collect()
        }
        Column::Integer(values) => {
            values.iter().map(|value| value.map_or(f32::NAN, |value| value as f32)).collect()
        }
        Column::Categorical { codes, categories, .. } => {
            // An index of a cell is a column of as many categories as cells.
            let is_apt = is_wanted || (2..=CATEGORIES).contains(&categories.len());
            let category = |name: &String| Category { name: name.clone(), colour: None };
            let known =
                |code: &Option<u32>| code.filter(|&code| categories.get(code as usize).is_some());
            return is_apt.then(|| ColourValues::Categories {
                codes: codes.iter().map(known).collect(),
                categories: categories.iter().map(category).collect(),
            });
        }
        Column::Text(_) | Column::Boolean(_) => {
            let labels = column.labels();
            let values = Colouring::labels("", labels.iter().map(Option::as_deref)).values;
            let ColourValues::Categories { categories, .. } = &values else { return None };
            let is_apt = is_wanted || (2..=CATEGORIES).contains(&categories.len());
            return is_apt.then_some(values);
        }
        // A kind of columns that is newer than this.
        _ => return None,
    };
    let finite = || numbers.iter().copied().filter(|number| number.is_finite());
    let tells = finite().fold(f32::MAX, f32::min) < finite().fold(f32::MIN, f32::max);
    (is_wanted || tells).then_some(ColourValues::Numbers(numbers))
}

/// Gives categories the colours of a list, if it has one for each.
fn colour(colouring: &mut Colouring, own: &[String]) {
    if let ColourValues::Categories { categories, .. } = &mut colouring.values
        && own.len() == categories.len()
    {
        for (category, colour) in categories.iter_mut().zip(own) {
            // `#rrggbbaa` without its opacity.
            category.colour = Some(colour.chars().take(7).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use scgpt_data::{Csr, MemoryCells};

    use super::*;

    /// Cells whose file has colours.
    struct Coloured(MemoryCells<'static>);

    impl CellSource for Coloured {
        scgpt_data::forward!(0: summary, obs, var, read, read_obsm, unread);

        fn read_lists(&self, name: &str) -> scgpt_data::Result<BTreeMap<String, Vec<String>>> {
            let colours = ["#ff0000", "#00ff00ff"].map(String::from).to_vec();
            let is_there = name == "type_colors";
            Ok(is_there.then(|| (name.to_owned(), colours)).into_iter().collect())
        }
    }

    #[test]
    fn columns_of_obs_become_colours() {
        let column = |labels: [&str; 4]| Column::categorical(&labels.map(String::from));
        let columns: Vec<(&str, Column)> = vec![
            ("n", Column::Integer(vec![Some(4), None, Some(9), Some(5)])),
            ("constant", Column::Float(vec![Some(1.0); 4])),
            ("one", column(["a", "a", "a", "a"])),
            ("type", column(["T", "B", "T", "T"])),
            ("ok", Column::Boolean(vec![Some(true), Some(false), None, Some(true)])),
        ];
        let obs = Frame {
            columns: columns.into_iter().map(|(name, it)| (name.to_owned(), it)).collect(),
            ..Frame::of_names(["c0", "c1", "c2", "c3"])
        };
        let var = Frame::of_names(["gene"]);
        let matrix = Csr::of_rows(1, (0..4).map(|_| (vec![], vec![]))).unwrap();
        let cells = Coloured(MemoryCells::of(matrix, obs.clone(), var).unwrap());
        let found = CellColours::of_obs(&cells, &obs, &[1, 3], Some("type"));
        assert_eq!(found.names, ["c1", "c3"]);
        let names: Vec<&str> = found.columns.iter().map(|it| it.name.as_str()).collect();
        // The number of cell c1 is missing, so that one is left: it tells nothing.
        assert_eq!(names, ["type", "ok"]);
        let ColourValues::Categories { codes, categories } = &found.columns[0].values else {
            panic!()
        };
        assert_eq!(codes, &[Some(0), Some(1)]);
        let colours: Vec<_> = categories.iter().map(|it| it.colour.as_deref()).collect();
        assert_eq!(colours, [Some("#ff0000"), Some("#00ff00")]);
        let all = CellColours::of_obs(&cells, &obs, &[0, 1, 2, 3], None);
        let names: Vec<&str> = all.columns.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["n", "type", "ok"]);
    }
}
