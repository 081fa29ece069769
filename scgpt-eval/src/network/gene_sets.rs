//! [`GeneSets`]: pathways and other sets of genes, from GMT files.

use std::{collections::HashSet, fs, path::Path};

use scgpt_data::Result;

/// A named set of genes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneSet {
    /// Its name.
    pub name: String,
    /// Its genes, each once, in the order of the file.
    pub genes: Vec<String>,
}

/// The sets of one file.
///
/// ```
/// use std::collections::BTreeSet;
/// use scgpt_data::Silent;
/// use scgpt_eval::network::{Background, GeneSet, GeneSets, enrich};
///
/// let genes = |names: [&str; 3]| names.map(String::from).to_vec();
/// let set = GeneSet { name: "T cell".into(), genes: genes(["CD3D", "CD3E", "CD2"]) };
/// let sets = GeneSets { library: "types".into(), sets: vec![set] };
/// let list: Vec<String> = genes(["CD3D", "CD3E", "ACTB"]);
/// let found = enrich(&[list], &sets, &Background::Number(20_000), &Silent)?;
/// assert!(found[0].genes == ["CD3D", "CD3E"] && found[0].p < 1e-4);
/// # Ok::<(), scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneSets {
    /// The name of the file, without its ending.
    pub library: String,
    /// The sets, in the order of the file.
    pub sets: Vec<GeneSet>,
}

impl GeneSets {
    /// Reads a GMT file: a set a line, of its name, a description and genes, separated by tabs. As in
    /// Enrichr's files a gene may be followed by a comma and a weight, which is not used.
    ///
    /// # Errors
    /// If the file cannot be read, has no set, or a line is no set.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).map_err(|error| scgpt_data::Error::open(path, error))?;
        let mut sets = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() {
                continue;
            }
            let mut fields = line.split('\t').map(str::trim);
            let name = fields.next().unwrap_or_default();
            let mut seen = HashSet::new();
            let genes: Vec<String> = fields
                .skip(1)
                .map(|gene| gene.split(',').next().unwrap_or_default())
                .filter(|gene| !gene.is_empty() && seen.insert(*gene))
                .map(str::to_owned)
                .collect();
            if name.is_empty() || genes.is_empty() {
                let n = line.split('\t').count();
                let problem = format!("a line of {n} fields without a name or without genes");
                let hint =
                    "a GMT file has a set a line: name, description and genes, separated by tabs";
                return Err(scgpt_data::Error::invalid(path, format!("line {number}"), problem)
                    .with_hint(hint));
            }
            sets.push(GeneSet { name: name.into(), genes });
        }
        if sets.is_empty() {
            return Err(scgpt_data::Error::invalid(path, "line 1", "there is no set"));
        }
        let library = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { library, sets })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read_and_other_files_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hallmark.v7.gmt");
        fs::write(&path, "\u{feff}A b\thttp://x\tCD3D\tCD3E\tCD3D\t\r\n\nC\t\tX,1.0\tY\n").unwrap();
        let sets = GeneSets::read(&path).unwrap();
        assert_eq!(sets.library, "hallmark.v7");
        let genes: Vec<_> = sets.sets.iter().map(|set| set.genes.join(" ")).collect();
        assert_eq!(genes, ["CD3D CD3E", "X Y"]);
        for (text, expected) in
            [("A\tb\tCD3D\nCD3D CD3E\n", "line 2"), ("A\tb\n", "2 fields"), ("", "no set")]
        {
            fs::write(&path, text).unwrap();
            assert!(GeneSets::read(&path).unwrap_err().to_string().contains(expected), "{text}");
        }
    }
}
