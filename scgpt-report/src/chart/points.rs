//! [`PointMap`]: points that a reader points at, zooms into and colours anew, from plain data.

use std::collections::{BTreeMap, BTreeSet};

/// Points on a plane, with their names and the columns that can colour them.
///
/// A category has one colour in all columns of a map, and one on all maps whose columns have the
/// same categories, as the palette is dealt in alphabetical order.
///
/// ```
/// use scgpt_report::{Colouring, Page, PointMap};
///
/// let map = PointMap {
///     places: &[[0.0, 1.0], [4.0, 2.0], [5.0, 2.5]],
///     names: &["AAC", "AAG", "AAT"].map(String::from),
///     axes: ["UMAP 1", "UMAP 2"],
///     columns: &[
///         Colouring::labels("cell type", ["B", "T", "T"].map(Some)),
///         Colouring::numbers("genes", vec![812.0, 954.0, 1020.0]),
///     ],
///     first: 0,
/// };
/// let mut page = Page::new("Cells", "");
/// assert!(page.point_map(&map, "Cells by type.").to_html().contains("<script"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PointMap<'a> {
    /// Where they are, horizontal and vertical; one that is not finite is left out.
    pub places: &'a [[f32; 2]],
    /// What each is called; either none or one a point.
    pub names: &'a [String],
    /// What the axes are called.
    pub axes: [&'a str; 2],
    /// What can colour them.
    pub columns: &'a [Colouring],
    /// The column, by its position, that colours them at first, and for good where no script runs.
    pub first: usize,
}

/// A column that can colour points.
#[derive(Clone, Debug, PartialEq)]
pub struct Colouring {
    /// Its name in the menu of colours.
    pub name: String,
    /// What it says of each point.
    pub values: ColourValues,
}

/// What a column says of each point.
#[derive(Clone, Debug, PartialEq)]
pub enum ColourValues {
    /// One of a few kinds, each of which has a colour.
    Categories {
        /// The kind of each point, by its position in `categories`; `None` where it is not known.
        codes: Vec<Option<u32>>,
        /// The kinds.
        categories: Vec<Category>,
    },
    /// A number on a scale of colours; one that is not finite is not known.
    Numbers(Vec<f32>),
}

/// A kind of points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// Its name.
    pub name: String,
    /// Its colour as `#rrggbb`, if it has one of its own; anything else is taken for none.
    pub colour: Option<String>,
}

impl Colouring {
    /// A column of the labels of the points.
    pub fn labels<'l>(name: &str, labels: impl IntoIterator<Item = Option<&'l str>>) -> Self {
        let labels: Vec<Option<&str>> = labels.into_iter().collect();
        let names: BTreeSet<&str> = labels.iter().copied().flatten().collect();
        let places: BTreeMap<&str, u32> = names.iter().copied().zip(0..).collect();
        let codes = labels.iter().map(|label| label.map(|label| places[label])).collect();
        let categories =
            names.iter().map(|&name| Category { name: name.into(), colour: None }).collect();
        Self { name: name.into(), values: ColourValues::Categories { codes, categories } }
    }

    /// A column of numbers of the points.
    pub fn numbers(name: &str, numbers: Vec<f32>) -> Self {
        Self { name: name.into(), values: ColourValues::Numbers(numbers) }
    }
}

/// The colour of a category.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Paint {
    /// A colour of the style sheet and a mark, both by this number.
    Palette(usize),
    /// `#rrggbb`.
    Fixed(String),
}

/// A column as it is drawn.
#[derive(Clone, Debug)]
pub(crate) enum Painted {
    /// Its categories that occur, the largest first, each with its number of points and its colour,
    /// and the category of each point by its position among these.
    Categories { legend: Vec<(String, usize, Paint)>, codes: Vec<Option<usize>> },
    /// Its numbers, and the two between which colours change.
    Numbers { scale: [f32; 2], values: Vec<f32> },
}

/// A map as it is drawn: points that are somewhere, and columns with their colours.
#[derive(Clone, Debug)]
pub(crate) struct PaintedMap<'a> {
    pub(crate) places: Vec<[f32; 2]>,
    pub(crate) names: Vec<&'a str>,
    pub(crate) axes: [&'a str; 2],
    pub(crate) columns: Vec<(&'a str, Painted)>,
    pub(crate) first: usize,
}

impl<'a> PaintedMap<'a> {
    /// # Panics
    /// If there are names, but not one a point, or a column has not one value a point.
    pub(crate) fn new(map: &PointMap<'a>) -> Self {
        let n = map.places.len();
        assert!(map.names.is_empty() || map.names.len() == n, "a name for each point");
        let drawn: Vec<usize> =
            (0..n).filter(|&i| map.places[i].iter().all(|x| x.is_finite())).collect();
        let mut palette = Palette::default();
        let column = |column: &'a Colouring| (&*column.name, painted(column, &drawn, &mut palette));
        Self {
            places: drawn.iter().map(|&i| map.places[i]).collect(),
            names: drawn.iter().filter_map(|&i| map.names.get(i)).map(String::as_str).collect(),
            axes: map.axes,
            columns: map.columns.iter().map(column).collect(),
            first: map.first,
        }
    }
}

/// The column of the points `drawn`.
fn painted<'a>(column: &'a Colouring, drawn: &[usize], palette: &mut Palette<'a>) -> Painted {
    match &column.values {
        ColourValues::Numbers(values) => {
            let values: Vec<f32> = drawn.iter().map(|&i| values[i]).collect();
            Painted::Numbers { scale: scale(&values), values }
        }
        ColourValues::Categories { codes, categories } => {
            let paints = palette.deal(categories);
            let mut sizes = vec![0; categories.len()];
            let codes: Vec<Option<u32>> = drawn.iter().map(|&i| codes[i]).collect();
            for &code in codes.iter().flatten() {
                sizes[code as usize] += 1;
            }
            let mut order: Vec<usize> = (0..sizes.len()).filter(|&i| sizes[i] > 0).collect();
            order.sort_by_key(|&i| (std::cmp::Reverse(sizes[i]), &categories[i].name));
            let mut position = vec![0; sizes.len()];
            for (place, &category) in order.iter().enumerate() {
                position[category] = place;
            }
            let legend =
                order.iter().map(|&i| (categories[i].name.clone(), sizes[i], paints[i].clone()));
            let place = |code: &Option<u32>| code.map(|code| position[code as usize]);
            Painted::Categories {
                legend: legend.collect(),
                codes: codes.iter().map(place).collect(),
            }
        }
    }
}

/// From the first to the last percentile of what is finite: a few cells out of range would leave
/// all others one colour.
fn scale(values: &[f32]) -> [f32; 2] {
    let mut sorted: Vec<f32> = values.iter().copied().filter(|x| x.is_finite()).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return [0.0, 1.0] };
    let (low, high) = (sorted[last / 100], sorted[last - last / 100]);
    if low < high { [low, high] } else { [sorted[0], sorted[last]] }
}

/// The colours of the categories that have been met.
#[derive(Debug, Default)]
struct Palette<'a> {
    known: BTreeMap<&'a str, Paint>,
}

impl<'a> Palette<'a> {
    /// A colour for each category: its own, or that which its name has in an earlier column, or
    /// else the first of the palette that no other category of the column has.
    fn deal(&mut self, categories: &'a [Category]) -> Vec<Paint> {
        for Category { name, colour } in categories {
            if let Some(colour) = colour.as_deref().filter(|colour| is_hexadecimal(colour)) {
                self.known.entry(name).or_insert_with(|| Paint::Fixed(colour.to_lowercase()));
            }
        }
        let names: BTreeSet<&str> = categories.iter().map(|it| &*it.name).collect();
        let taken: BTreeSet<Paint> =
            names.iter().filter_map(|&name| self.known.get(name)).cloned().collect();
        let mut free = (0..).map(Paint::Palette).filter(|paint| !taken.contains(paint));
        for name in names {
            self.known.entry(name).or_insert_with(|| free.next().unwrap_or(Paint::Palette(0)));
        }
        categories.iter().map(|it| self.known[&*it.name].clone()).collect()
    }
}

/// Whether a text is a colour as `#rrggbb`.
fn is_hexadecimal(colour: &str) -> bool {
    let digits = colour.strip_prefix('#').unwrap_or_default();
    digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn category(name: &str, colour: Option<&str>) -> Category {
        Category { name: name.into(), colour: colour.map(Into::into) }
    }

    #[test]
    fn a_category_keeps_its_colour() {
        let mut palette = Palette::default();
        let truth = ["T", "B", "NK"].map(|name| category(name, None));
        let deal = palette.deal(&truth);
        assert_eq!(deal, [2, 0, 1].map(Paint::Palette), "by name");
        // In the next column, and beside a name that is new.
        let predicted = ["A", "T"].map(|name| category(name, None));
        assert_eq!(palette.deal(&predicted), [0, 2].map(Paint::Palette));
        // One of its own; what is no colour is not written into the page.
        let own = [category("x", Some("#00FFaa")), category("y", Some("red\"><script>"))];
        let fixed = Paint::Fixed("#00ffaa".into());
        assert_eq!(palette.deal(&own), [fixed, Paint::Palette(0)]);
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "values are taken over as they are")]
    fn categories_are_counted_and_outliers_do_not_stretch_the_scale() {
        let labels = Colouring::labels("type", [Some("B"), Some("T"), None, Some("T"), Some("T")]);
        let mut numbers: Vec<f32> = (0..5_u8).map(f32::from).collect();
        numbers[4] = f32::NAN;
        let columns = [labels, Colouring::numbers("n", numbers)];
        let places = [[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [f32::NAN, 0.0], [3.0, 3.0]];
        let map =
            PointMap { places: &places, names: &[], axes: ["", ""], columns: &columns, first: 0 };
        let painted = PaintedMap::new(&map);
        assert_eq!(painted.places.len(), 4);
        let Painted::Categories { legend, codes } = &painted.columns[0].1 else { panic!() };
        assert_eq!(legend[0], ("T".into(), 2, Paint::Palette(1)));
        assert_eq!(codes, &[Some(1), Some(0), None, Some(0)]);
        let Painted::Numbers { scale: of, .. } = &painted.columns[1].1 else { panic!() };
        assert_eq!(of, &[0.0, 2.0]);
        let mut many: Vec<f32> = (0..=100_u8).map(f32::from).collect();
        many.push(1e9);
        assert_eq!(scale(&many)[1], 100.0);
        assert_eq!(scale(&[f32::NAN]), [0.0, 1.0]);
    }
}
