//! [`Condition`]: what was done to a cell.

use std::fmt;

use scgpt_data::{Error, Result};

/// The name of the control in conditions.
pub const CONTROL: &str = "ctrl";

/// The genes that were perturbed in a cell, in alphabetical order; a control cell has no such
/// genes.
///
/// Written as in GEARS: `ctrl`, `A+ctrl`, `A+B`.
///
/// ```
/// use scgpt_eval::perturbation::Condition;
///
/// let condition = Condition::parse("KLF1+BAK1", "+", "ctrl")?;
/// assert_eq!((condition.genes().len(), condition.to_string().as_str()), (2, "BAK1+KLF1"));
/// assert!(Condition::parse("ctrl", "+", "ctrl")?.is_control());
/// # Ok::<(), scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Condition {
    genes: Vec<String>,
}

impl Condition {
    /// The condition in which `genes` are perturbed.
    pub fn new(genes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut genes: Vec<String> = genes.into_iter().map(Into::into).collect();
        genes.sort();
        genes.dedup();
        Self { genes }
    }

    /// Reads a condition: gene names with `separator` between them. `control` is a name of the
    /// control besides `ctrl`.
    ///
    /// # Errors
    /// If a gene has no name.
    pub fn parse(text: &str, separator: &str, control: &str) -> Result<Self> {
        let is_gene = |name: &&str| *name != CONTROL && *name != control;
        // The control's own name may have the separator in it, as in `non-targeting`.
        if text.trim() == control {
            return Ok(Self::default());
        }
        let genes: Vec<&str> = text.split(separator).map(str::trim).filter(is_gene).collect();
        if genes.iter().any(|gene| gene.is_empty()) {
            return Err(Error::Option(format!(
                "condition `{text}` has a gene without a name, expected `{CONTROL}`, `A{separator}{CONTROL}` or `A{separator}B`"
            )));
        }
        Ok(Self::new(genes))
    }

    /// Whether nothing was perturbed.
    pub fn is_control(&self) -> bool {
        self.genes.is_empty()
    }

    /// The perturbed genes, in alphabetical order.
    pub fn genes(&self) -> &[String] {
        &self.genes
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.genes.as_slice() {
            [] => f.write_str(CONTROL),
            [gene] => write!(f, "{gene}+{CONTROL}"),
            genes => f.write_str(&genes.join("+")),
        }
    }
}

/// The conditions in which each of `genes` is perturbed alone, ascending, each once.
///
/// # Errors
/// If there are no genes.
pub fn singles(genes: &[String]) -> Result<Vec<Condition>> {
    if genes.is_empty() {
        return Err(Error::Option(
            "there are no candidate genes: name at least one, a line each".into(),
        ));
    }
    let mut all: Vec<Condition> =
        genes.iter().map(|gene| Condition::new([gene.as_str()])).collect();
    all.sort();
    all.dedup();
    Ok(all)
}

/// The conditions in which each of `genes` is perturbed alone and every two together, ascending,
/// each once.
///
/// # Errors
/// If there are no genes.
pub fn singles_and_pairs(genes: &[String]) -> Result<Vec<Condition>> {
    let mut all = singles(genes)?;
    for (place, one) in genes.iter().enumerate() {
        let with = |other: &String| Condition::new([one.as_str(), other.as_str()]);
        all.extend(genes[place + 1..].iter().map(with));
    }
    all.sort();
    all.dedup();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read() {
        let parse = |text| Condition::parse(text, "+", CONTROL).unwrap().to_string();
        assert_eq!(parse("ctrl"), "ctrl");
        assert_eq!(parse("B+ctrl"), "B+ctrl");
        assert_eq!(parse("ctrl+B"), "B+ctrl");
        assert_eq!(parse("B"), "B+ctrl");
        assert_eq!(parse("B+A"), "A+B");
        let other = Condition::parse("B_non-targeting", "_", "non-targeting").unwrap();
        assert_eq!(other.to_string(), "B+ctrl");
        let control = Condition::parse("non_targeting", "_", "non_targeting").unwrap();
        assert!(control.is_control());
        assert!(Condition::parse("A+", "+", CONTROL).unwrap_err().to_string().contains("`A+`"));
    }

    #[test]
    fn candidates_are_singles_and_pairs() {
        let genes: Vec<String> = ["B", "A", "C", "A"].map(String::from).to_vec();
        let all = singles_and_pairs(&genes).unwrap();
        let names: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["A+ctrl", "A+B", "A+C", "B+ctrl", "B+C", "C+ctrl"]);
        assert_eq!(singles(&genes).unwrap().len(), 3);
        assert!(singles(&[]).is_err());
        // The article's twenty genes: with the control of each, C(21, 2).
        let twenty: Vec<String> = (0..20).map(|gene| format!("G{gene}")).collect();
        assert_eq!(singles_and_pairs(&twenty).unwrap().len(), 210);
    }
}
