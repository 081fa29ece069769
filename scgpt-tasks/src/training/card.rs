//! Parts of model cards, which are Markdown.

/// A table in Markdown: headings, and the cells of each row.
pub(crate) fn card_table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|{}\n", "---|".repeat(headings.len()));
    let rows = rows.into_iter().map(|row| line(&row));
    let heading = format!("| {} |\n", headings.join(" | "));
    [heading, rule].into_iter().chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_rule_below_its_headings() {
        let rows = [["B cell", "7"], ["T cell", "12"]].map(|row| row.map(String::from).to_vec());
        let expected = "| class | cells |\n|---|---|\n| B cell | 7 |\n| T cell | 12 |\n";
        assert_eq!(card_table(&["class", "cells"], rows), expected);
    }
}
