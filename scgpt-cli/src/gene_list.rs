//! Files with one gene a line.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// The text of a file, without the byte-order mark that some editors put before it.
pub(crate) fn text(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The genes of a file in its order; blank lines are none.
pub(crate) fn read(path: &Path) -> Result<Vec<String>> {
    let text = text(path)?;
    let genes = text.lines().map(str::trim).filter(|gene| !gene.is_empty());
    let genes: Vec<String> = genes.map(str::to_owned).collect();
    if genes.is_empty() {
        bail!("`{}` names no gene, expected one a line", path.display());
    }
    Ok(genes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_blank_lines_are_no_genes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("genes.txt");
        std::fs::write(&path, "\u{feff}CD3D\r\n\r\n LYZ \n").unwrap();
        assert_eq!(read(&path).unwrap(), ["CD3D", "LYZ"]);
        std::fs::write(&path, "\u{feff}\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("names no gene"));
    }
}
