//! [`PointMap`]: points that a reader points at, zooms into and colours anew, from plain data.

use super::{
    colouring::{ColourValues, Colouring},
    palette::{Paint, Palette},
};

/// Points on a plane, with their names and the columns that can colour them.
///
/// A category has one colour in all columns of a map, and, as far as its name goes, on all pages: its
/// name says which colour of the palette it asks for first.
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
        let mut palette = Palette::new(map.columns);
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

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!((legend[0].0.as_str(), legend[0].1), ("T", 2));
        assert_eq!(codes, &[Some(1), Some(0), None, Some(0)]);
        let Painted::Numbers { scale: of, .. } = &painted.columns[1].1 else { panic!() };
        assert_eq!(of, &[0.0, 2.0]);
        let mut many: Vec<f32> = (0..=100_u8).map(f32::from).collect();
        many.push(1e9);
        assert_eq!(scale(&many)[1], 100.0);
        assert_eq!(scale(&[f32::NAN]), [0.0, 1.0]);
    }
}
