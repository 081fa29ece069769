//! [`Palette`]: which colour a category has, on every page the same.
//!
//! The colours are those of the style sheet: ten hues, and two rows of others that are as far from them and from each
//! other as there is room for, each row with a mark of its own. All of them stand out from paper by 3 : 1 (WCAG 2.2,
//! 1.4.11), in the light and in the dark theme. A name says which of
//! the thirty it asks for, so that a type has its colour whatever other types a file has; only where two ask for the
//! same has one of them another.

use std::collections::{BTreeMap, BTreeSet};

use super::colouring::{Category, ColourValues, Colouring};

/// Fonts, colours of paper and ink, and the palette, for light, dark and print.
pub(crate) const STYLE: &str = include_str!("../style.css");
/// Hues of the palette, and colours of each of its rows.
pub(super) const HUES: usize = 10;
/// Colours of the palette; a further category has one of an earlier one.
pub(super) const COLOURS: usize = 30;
/// Colours of the scale of numbers.
pub(super) const STEPS: usize = 16;
/// How opaque points are, so that those below show through. The script of pages has the same.
pub(super) const OPACITY: f64 = 0.85;

/// The colour of a category.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Paint {
    /// A colour of the style sheet and a mark, both by this number.
    Palette(usize),
    /// `#rrggbb`.
    Fixed(String),
}

impl Paint {
    /// The colour in the words of the style sheet, so that it changes with the theme.
    pub(super) fn css(&self) -> String {
        match self {
            Self::Palette(number) => format!("var(--c{})", number % COLOURS),
            Self::Fixed(colour) => colour.clone(),
        }
    }

    /// The colour as `#rrggbb`, on white paper.
    fn hexadecimal(&self) -> String {
        match self {
            Self::Palette(number) => of_style(*number).into(),
            Self::Fixed(colour) => colour.clone(),
        }
    }
}

/// The colours of the categories that have been met.
#[derive(Debug, Default)]
pub(super) struct Palette<'a> {
    known: BTreeMap<&'a str, Paint>,
}

impl<'a> Palette<'a> {
    /// With the colours that categories of any column have of their own; of several the first.
    pub(super) fn new(columns: &'a [Colouring]) -> Self {
        let mut palette = Self::default();
        for column in columns {
            let ColourValues::Categories { categories, .. } = &column.values else { continue };
            palette.keep(categories);
        }
        palette
    }

    fn keep(&mut self, categories: &'a [Category]) {
        for category in categories.iter().filter(|it| !is_numbered(&it.name)) {
            if let Some(paint) = category.own_paint() {
                self.known.entry(&category.name).or_insert(paint);
            }
        }
    }

    /// A colour for each category: its own, or that which its name has in another column, or else the one of the
    /// palette that its name asks for. A number is no name: cluster 0 of one column is not that of another, which may
    /// have colours of its own.
    ///
    /// Of two that ask for the same, the one that asked for it first keeps it, or if both did, that of the lower
    /// hash; the other asks for the next. So who is moved does not depend on the order of the names, and a name that
    /// comes or goes moves few others (deferred acceptance, Gale and Shapley 1962).
    pub(super) fn deal(&mut self, categories: &'a [Category]) -> Vec<Paint> {
        let numbered = categories.iter().filter(|it| is_numbered(&it.name));
        let own: BTreeMap<&str, Paint> =
            numbered.filter_map(|it| Some((&*it.name, it.own_paint()?))).collect();
        let names = categories.iter().map(|it| &*it.name).filter(|name| !own.contains_key(name));
        let names: BTreeSet<&str> = names.collect();
        let (known, new): (Vec<&str>, Vec<&str>) =
            names.into_iter().partition(|name| self.known.contains_key(name));
        let taken: BTreeSet<&Paint> =
            known.iter().map(|name| &self.known[name]).chain(own.values()).collect();
        let is_free: Vec<bool> =
            (0..COLOURS).map(|number| !taken.contains(&Paint::Palette(number))).collect();
        // Who has a colour: how often that name had asked before, its hash, and the name.
        let mut held: [Option<(usize, u64, &str)>; COLOURS] = [None; COLOURS];
        let mut asking: Vec<(usize, u64, &str)> =
            new.iter().map(|name| (0, hash(name), *name)).collect();
        while let Some((step, hash, name)) = asking.pop() {
            let Some(number) = slot(hash, step) else { continue };
            let asks = (step, hash, name);
            match held[number] {
                _ if !is_free[number] => asking.push((step + 1, hash, name)),
                None => held[number] = Some(asks),
                Some(other) if asks < other => {
                    held[number] = Some(asks);
                    asking.push((other.0 + 1, other.1, other.2));
                }
                Some(_) => asking.push((step + 1, hash, name)),
            }
        }
        // More names than colours: the others share.
        for name in new {
            self.known.insert(name, Paint::Palette(slot(hash(name), 0).unwrap_or(0)));
        }
        for (number, (_, _, name)) in
            held.iter().enumerate().filter_map(|(n, it)| Some((n, (*it)?)))
        {
            self.known.insert(name, Paint::Palette(number));
        }
        let paint = |name: &str| own.get(name).unwrap_or_else(|| &self.known[name]).clone();
        categories.iter().map(|it| paint(&it.name)).collect()
    }
}

impl Category {
    /// The colour that it has of its own, if it has one.
    fn own_paint(&self) -> Option<Paint> {
        let colour = self.colour.as_deref().filter(|colour| is_hexadecimal(colour))?;
        let colour = colour.to_lowercase();
        // Of an output of ours: it has a mark, and one for dark paper, too.
        let number = (0..COLOURS).find(|&number| of_style(number) == colour);
        Some(number.map_or(Paint::Fixed(colour), Paint::Palette))
    }
}

/// Whether a category is a number, as clusters are.
fn is_numbered(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// The colours, as `#rrggbb` on white paper, that the categories of each column have on a map with
/// these columns; none of a column of numbers. Whatever else draws them so agrees with the page.
///
/// ```
/// use scgpt_report::{Colouring, category_colours};
///
/// let types = Colouring::labels("type", ["B", "T"].map(Some));
/// let colours = category_colours(&[types, Colouring::numbers("genes", vec![1.0, 2.0])]);
/// assert_eq!((colours[0].len(), colours[1].len()), (2, 0));
/// ```
pub fn category_colours<'c>(columns: &'c [Colouring]) -> Vec<Vec<String>> {
    let mut palette = Palette::new(columns);
    let of = |column: &'c ColourValues| match column {
        ColourValues::Numbers(_) => Vec::new(),
        ColourValues::Categories { categories, .. } => {
            palette.deal(categories).iter().map(Paint::hexadecimal).collect()
        }
    };
    columns.iter().map(|column| &column.values).map(of).collect()
}

/// The colours of things that are called like categories of `columns`, as a map with these columns has them; `None` for
/// what is called otherwise.
pub(super) fn colours_of<'a>(
    names: impl IntoIterator<Item = &'a str>,
    columns: &'a [Colouring],
) -> Vec<Option<Paint>> {
    let mut palette = Palette::new(columns);
    let mut found: BTreeMap<&str, Paint> = BTreeMap::new();
    for column in columns {
        if let ColourValues::Categories { categories, .. } = &column.values {
            for (category, paint) in categories.iter().zip(palette.deal(categories)) {
                found.entry(&category.name).or_insert(paint);
            }
        }
    }
    names.into_iter().map(|name| found.get(name).cloned()).collect()
}

/// The place of the palette that a name with that hash asks for after so many others, until it has asked for all.
fn slot(hash: u64, step: usize) -> Option<usize> {
    #[allow(clippy::cast_possible_truncation, reason = "below thirty")]
    let own = (hash % COLOURS as u64) as usize;
    // Seven is prime to thirty: all are met, and another hue is asked for each time.
    (step < COLOURS).then(|| (own + 7 * step) % COLOURS)
}

/// A hash of the bytes of a name (FNV-1a of 64 bits, and the first half of MurmurHash3's finish, without which short
/// names have few values).
fn hash(name: &str) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

/// A colour of the style sheet, on white paper.
fn of_style(number: usize) -> &'static str {
    named(STYLE, &format!("--c{number}: "))
}

/// What follows a name in a sheet, up to the next semicolon.
fn named<'s>(sheet: &'s str, name: &str) -> &'s str {
    let value = sheet.split_once(name).map_or("", |(_, rest)| rest);
    value.split(';').next().unwrap_or("")
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

    fn column(names: &[&str]) -> Vec<Category> {
        names.iter().map(|name| category(name, None)).collect()
    }

    #[test]
    fn a_category_keeps_its_colour_on_every_page() {
        let (few, many) = (column(&["T", "B", "NK"]), column(&["T", "plasma"]));
        let mut palette = Palette::default();
        let dealt = palette.deal(&few);
        assert_eq!(dealt.iter().collect::<BTreeSet<_>>().len(), 3);
        // In the next column, and on a page of other types.
        assert_eq!(palette.deal(&many)[0], dealt[0]);
        assert_eq!(Palette::default().deal(&many)[0], dealt[0]);
        // All colours are dealt before one is dealt twice.
        let names: Vec<String> = (0..40).map(|i| format!("type {i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let categories = column(&names[..COLOURS]);
        let dealt: BTreeSet<Paint> = Palette::default().deal(&categories).into_iter().collect();
        assert_eq!(dealt, (0..COLOURS).map(Paint::Palette).collect());
        assert_eq!(Palette::default().deal(&column(&names)).len(), 40);
        // In whichever order they come.
        let turned: Vec<&str> = names.iter().copied().rev().collect();
        let mut back = Palette::default().deal(&column(&turned));
        back.reverse();
        assert_eq!(back, Palette::default().deal(&column(&names)));
    }

    #[test]
    fn types_keep_their_colours_in_files_with_other_types() {
        let types = [
            "B cell",
            "CD14 monocyte",
            "CD16 monocyte",
            "CD4 T cell",
            "CD8 T cell",
            "NK cell",
            "dendritic cell",
            "erythrocyte",
            "megakaryocyte",
            "plasma cell",
            "astrocyte",
            "microglia",
            "oligodendrocyte",
            "pericyte",
            "fibroblast",
            "endothelial cell",
            "hepatocyte",
            "Kupffer cell",
            "basophil",
            "neutrophil",
            "mast cell",
            "gd T cell",
        ];
        let all: BTreeMap<String, Paint> = types
            .iter()
            .map(|name| ((*name).to_owned(), Palette::default().deal(&column(&[name]))[0].clone()))
            .collect();
        // Files with twelve of the types each: a type that is alone has the colour that it asks for.
        let (mut kept, mut of) = (0, 0);
        for file in 0..22 {
            let some: Vec<&str> = (0..12).map(|i| types[(file + 5 * i) % types.len()]).collect();
            let categories = column(&some);
            for (name, paint) in some.iter().zip(Palette::default().deal(&categories)) {
                of += 1;
                kept += usize::from(all[*name] == paint);
            }
        }
        assert!(kept * 100 >= of * 80, "{kept} of {of}");
        // One that comes moves at most one other here, and those that it does not meet stay.
        for n in 1..types.len() {
            let (before, after) = (column(&types[..n]), column(&types[..=n]));
            let [before, after] = [&before, &after].map(|it| Palette::default().deal(it));
            let moved = before.iter().zip(&after).filter(|(a, b)| a != b).count();
            assert!(moved <= 2, "{moved} of {n} moved");
        }
    }

    #[test]
    fn colours_of_the_file_come_first_wherever_they_are() {
        let labels = |name: &str| Colouring::labels(name, [Some("x"), Some("y")]);
        let mut own = labels("file");
        let ColourValues::Categories { categories, .. } = &mut own.values else { panic!() };
        categories[0].colour = Some("#00FFaa".into());
        // What is no colour is not written into the page.
        categories[1].colour = Some("red\"><script>".into());
        let colours = category_colours(&[labels("predicted"), own]);
        assert_eq!(colours[0][0], "#00ffaa");
        assert_eq!(colours[0], colours[1]);
        // Those of an output of ours are of the palette again.
        let dealt = category_colours(&[labels("a")]);
        let mut again = labels("a");
        let ColourValues::Categories { categories, .. } = &mut again.values else { panic!() };
        for (category, colour) in categories.iter_mut().zip(&dealt[0]) {
            category.colour = Some(colour.clone());
        }
        let ColourValues::Categories { categories, .. } = &again.values else { panic!() };
        let paints = Palette::new(std::slice::from_ref(&again)).deal(categories);
        assert!(paints.iter().all(|paint| matches!(paint, Paint::Palette(_))));
    }

    #[test]
    fn clusters_of_one_column_are_not_those_of_another() {
        let clusters = |name: &str| Colouring::labels(name, [Some("0"), Some("1"), Some("B cell")]);
        let mut louvain = clusters("louvain");
        let ColourValues::Categories { categories, .. } = &mut louvain.values else { panic!() };
        for (category, colour) in categories.iter_mut().zip(["#d6bcc0", "#bec1d4", "#00ff00"]) {
            category.colour = Some(colour.into());
        }
        let alone = category_colours(&[clusters("leiden")]);
        let colours = category_colours(&[clusters("leiden"), louvain.clone()]);
        assert_eq!(colours[0][..2], alone[0][..2]);
        assert_eq!(colours[1], ["#d6bcc0", "#bec1d4", "#00ff00"]);
        assert_eq!(colours[0][2], "#00ff00");
        // Bars of clusters have the colours of the first column that has such a one.
        let paints = colours_of(["0", "2"], &[louvain, clusters("leiden")]);
        assert_eq!(paints, [Some(Paint::Fixed("#d6bcc0".into())), None]);
    }

    /// Red, green and blue of `#rrggbb`, 0 to 1.
    fn rgb(colour: &str) -> [f64; 3] {
        let part = |at: usize| u8::from_str_radix(&colour[at..at + 2], 16).unwrap();
        [1, 3, 5].map(|at| f64::from(part(at)) / 255.0)
    }

    /// A channel of sRGB in proportion to light.
    fn linear(c: f64) -> f64 {
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    }

    /// Relative luminance (WCAG 2.2).
    fn luminance(colour: [f64; 3]) -> f64 {
        let [r, g, b] = colour.map(linear);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    /// Lightness and the two opponent axes of a colour (OKLab, Ottosson 2020).
    fn oklab(colour: [f64; 3]) -> [f64; 3] {
        let times = |m: [[f64; 3]; 3], v: [f64; 3]| {
            m.map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum::<f64>())
        };
        let cones = [
            [0.412_221, 0.536_333, 0.051_446],
            [0.211_903, 0.680_700, 0.107_397],
            [0.088_302, 0.281_719, 0.629_979],
        ];
        let axes = [
            [0.210_454, 0.793_618, -0.004_072],
            [1.977_998, -2.428_592, 0.450_594],
            [0.025_904, 0.782_772, -0.808_676],
        ];
        times(axes, times(cones, colour.map(linear)).map(f64::cbrt))
    }

    #[test]
    fn every_colour_can_be_told_from_the_others() {
        let (light, dark) = STYLE.split_once("@media screen").unwrap();
        for theme in [light, dark] {
            let colours: Vec<[f64; 3]> = (0..COLOURS)
                .map(|number| oklab(rgb(named(theme, &format!("--c{number}: ")))))
                .collect();
            for (a, one) in colours.iter().enumerate() {
                for (b, other) in colours.iter().enumerate().skip(a + 1) {
                    let apart = one.iter().zip(other).map(|(x, y)| (x - y).powi(2)).sum::<f64>();
                    // 0.02 is about what an eye can just tell of large areas.
                    assert!(apart.sqrt() > 0.044, "{a} and {b}: {}", apart.sqrt());
                }
            }
        }
    }

    #[test]
    fn every_colour_stands_out_from_paper() {
        let (light, dark) = STYLE.split_once("@media screen").unwrap();
        for theme in [light, dark] {
            let paper = rgb(named(theme, "--paper: "));
            let palette = (0..COLOURS).map(|number| format!("--c{number}: "));
            let ramp = (0..STEPS).map(|step| format!("--r{step}: "));
            for name in palette.chain(ramp).chain(["--other: ".to_owned()]) {
                let ink = rgb(named(theme, &name));
                let seen = [0, 1, 2].map(|at| OPACITY * ink[at] + (1.0 - OPACITY) * paper[at]);
                let (a, b) = (luminance(seen) + 0.05, luminance(paper) + 0.05);
                let contrast = (a / b).max(b / a);
                assert!(contrast >= 3.0, "{name}{contrast} on {paper:?}");
            }
        }
    }
}
