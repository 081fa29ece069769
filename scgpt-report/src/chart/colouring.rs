//! [`Colouring`]: a column that can colour points, from plain data.

use std::collections::{BTreeMap, BTreeSet};

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
