//! Which column of `obs` probably says what each cell is, where nobody has named one.

use scgpt_data::{Column, Frame};

/// Most categories of a column that is looked at.
const CATEGORIES: usize = 60;
/// Parts of names of columns that probably tell what a cell is, the likeliest first.
const LIKELY: [&str; 8] =
    ["cell_type", "celltype", "cell type", "annotation", "label", "louvain", "leiden", "cluster"];

/// The column that most probably has cell types, if one looks like it.
pub fn likely_types(obs: &Frame) -> Option<&str> {
    // The shortest: `cell_type`, not `cell_type_ontology_term_id`.
    LIKELY.iter().find_map(|part| {
        let named = few_categories(obs).filter(|name| name.to_lowercase().contains(part));
        named.min_by_key(|name| name.len())
    })
}

/// As [`likely_types`], or else any column with so few categories that colours tell them apart.
pub fn likely_colour(obs: &Frame) -> Option<&str> {
    likely_types(obs).or_else(|| few_categories(obs).next())
}

/// Columns with categories that colours can tell apart.
fn few_categories(obs: &Frame) -> impl Iterator<Item = &str> {
    let few = |column: &Column| match column {
        Column::Categorical { categories, .. } => (2..=CATEGORIES).contains(&categories.len()),
        _ => false,
    };
    obs.columns.iter().filter(move |(_, column)| few(column)).map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cell_types_colour_the_map() {
        let column = || Column::categorical(&["a".into(), "b".into()]);
        let frame = |names: &[&str]| Frame {
            columns: names.iter().map(|&name| (name.to_owned(), column())).collect(),
            ..Frame::default()
        };
        assert_eq!(likely_colour(&frame(&["batch", "my_CellType", "leiden"])), Some("my_CellType"));
        assert_eq!(
            likely_colour(&frame(&["cell_type_ontology_term_id", "cell_type"])),
            Some("cell_type")
        );
        assert_eq!(likely_colour(&frame(&["batch"])), Some("batch"));
        assert_eq!(likely_types(&frame(&["batch"])), None);
        assert_eq!(likely_colour(&frame(&[])), None);
    }
}
