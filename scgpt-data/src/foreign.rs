//! Files that no reader takes: what they are, found by content, and how to make cells of them.
//!
//! People name what they have: the file a repository gave them, often by another tool or compressed
//! as a whole. "Not a file of cells" leaves them there, so each kind that is met in the field has a
//! name and one line that makes cells of it.
//!
//! ```text
//! gzip, bzip2, xz, Zstandard, tar    around a file: what it is inside, and how to unpack it
//! RDX, X, A                          R: a saved workspace, or one object
//! PAR1, ARROW1, NUMPY                tables and arrays without names of cells and genes
//! h5Seurat, molecule_info            HDF5 of another layout
//! text with commas or tabs           a table of counts
//! ```
//!
//! Nothing is guessed from the ending of a name. The remedies are commands for a shell, R or
//! Python.

use std::{io::Read, path::Path};

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result};

/// Bytes of a file that tell what it is.
const HEAD: usize = 1024;

const UNZIP: &str = "decompress it first";
const FROM_R: &str = "convert it in R: library(zellkonverter); writeH5AD(as.SingleCellExperiment(readRDS(\"cells.rds\")), \"cells.h5ad\") (a SingleCellExperiment needs no as.…)";
const FROM_R_WORKSPACE: &str = "convert it in R: load(\"cells.rds\") says which objects are in it; library(zellkonverter); writeH5AD(as.SingleCellExperiment(OBJECT), \"cells.h5ad\")";
const FROM_SEURAT: &str =
    "convert it in R: library(SeuratDisk); Convert(\"cells.h5seurat\", dest = \"h5ad\")";
const FROM_MOLECULES: &str = "use the counts of the same Cell Ranger run: filtered_feature_bc_matrix.h5, or the folder filtered_feature_bc_matrix";
const FROM_TABLE: &str = "convert it in Python, cells in rows: import anndata; anndata.io.read_csv(\"cells.csv\").write_h5ad(\"cells.h5ad\"), with .T before .write_h5ad if cells are in columns";
const FROM_ARROW: &str = "convert it in Python: import anndata, pandas; anndata.AnnData(pandas.read_parquet(\"cells.parquet\")).write_h5ad(\"cells.h5ad\")";
const FROM_NUMPY: &str = "names of cells and genes are missing in it; make an AnnData of both in Python and save it with write_h5ad";

/// What the file begins like, if it is no format that is read and not HDF5.
///
/// `head` is its beginning, about a thousand bytes. A gzipped Matrix Market file is read, and so is
/// none.
///
/// # Errors
/// [`Error::Open`] if the file has to be looked into and cannot be.
pub(crate) fn of_file(path: &Path, head: &[u8]) -> Result<Option<Error>> {
    let unsupported = |what: &str, remedy: String| Ok(Some(Error::unsupported(path, what, remedy)));
    let name = || path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if head.is_empty() {
        return unsupported("an empty file", "copy it again from its source".into());
    }
    if head.starts_with(&[0x1f, 0x8b]) {
        let mut inside = Vec::new();
        let file = crate::regular::open(path).map_err(|cause| Error::open(path, cause))?;
        // What is broken further on does not matter for what it is.
        let _ = MultiGzDecoder::new(file).take(HEAD as u64).read_to_end(&mut inside);
        let gunzip = || format!("decompress it first: gunzip {}", name());
        return match inside.as_slice() {
            inside if inside.starts_with(b"%%MatrixMarket") => Ok(None),
            inside if inside.starts_with(b"\x89HDF") => unsupported("gzipped HDF5", gunzip()),
            inside if inside.starts_with(b"PK\x03\x04") => unsupported("a gzipped zip", gunzip()),
            inside if inside.get(257..262) == Some(b"ustar") => unsupported(
                "a tar archive",
                format!("unpack it first: tar xzf {}, and name what was in it", name()),
            ),
            inside => match plain(inside) {
                Some((what, remedy)) => unsupported(&format!("{what}, gzipped"), remedy.into()),
                None => Ok(None),
            },
        };
    }
    for (magic, what, tool) in [
        (&b"BZh"[..], "compressed by bzip2", "bunzip2"),
        (b"\xfd7zXZ\0", "compressed by xz", "unxz"),
        (b"\x28\xb5\x2f\xfd", "compressed by Zstandard", "unzstd"),
    ] {
        if head.starts_with(magic) {
            return unsupported(what, format!("{UNZIP}: {tool} {}", name()));
        }
    }
    if head.get(257..262) == Some(b"ustar") {
        let remedy = format!("unpack it first: tar xf {}, and name what was in it", name());
        return unsupported("a tar archive", remedy);
    }
    match plain(head) {
        Some((what, remedy)) => unsupported(what, remedy.into()),
        None => Ok(None),
    }
}

/// What uncompressed bytes are.
///
/// The name of it and what to do, if it is known. Text is a table if its first line has commas,
/// tabs or semicolons.
fn plain(head: &[u8]) -> Option<(&'static str, &'static str)> {
    for (magic, what, remedy) in [
        (&b"RDX"[..], "R data", FROM_R_WORKSPACE),
        (b"RDA", "R data", FROM_R_WORKSPACE),
        (b"X\n\0\0", "an R object (rds)", FROM_R),
        (b"A\n3\n", "an R object (rds)", FROM_R),
        (b"A\n2\n", "an R object (rds)", FROM_R),
        (b"PAR1", "a parquet table", FROM_ARROW),
        (b"ARROW1", "an Arrow table", FROM_ARROW),
        (b"\x93NUMPY", "a NumPy array", FROM_NUMPY),
    ] {
        if head.starts_with(magic) {
            return Some((what, remedy));
        }
    }
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let is_text = !head.is_empty()
        && head.iter().all(|&byte| byte >= b' ' || matches!(byte, b'\t' | b'\r' | b'\n'));
    let is_table = is_text && line.iter().any(|byte| matches!(byte, b',' | b'\t' | b';'));
    is_table.then_some(("a table of text, not a file of cells", FROM_TABLE))
}

/// What an HDF5 file with such `members` is, if it is no format that is read.
pub(crate) fn of_hdf5(path: &Path, members: &[String]) -> Option<Error> {
    let has = |name: &str| members.iter().any(|member| member == name);
    if has("assays") && (has("cell.names") || has("meta.data")) {
        return Some(Error::unsupported(path, "an h5Seurat file", FROM_SEURAT));
    }
    if has("barcode_idx") && (has("umi") || has("count")) {
        let what = "a molecule_info file of Cell Ranger: molecules, not counts of cells";
        return Some(Error::unsupported(path, what, FROM_MOLECULES));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    #[test]
    fn what_is_not_read_is_named_with_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cells.rds");
        let said = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            of_file(&path, &content[..content.len().min(HEAD)])
                .unwrap()
                .map(|error| format!("{error} ({})", error.hint().unwrap_or_default()))
        };
        let gzip = |content: &[u8]| {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(content).unwrap();
            gzip.finish().unwrap()
        };
        let mut tar = vec![b'a'; 600];
        tar[257..262].copy_from_slice(b"ustar");
        for (content, parts) in [
            (gzip(b"\x89HDF\r\n\x1a\n"), ["gzipped HDF5", "gunzip cells.rds"]),
            (gzip(b"X\n\0\0\0\x03"), ["R object", "writeH5AD"]),
            (gzip(b"RDX3\nX\n"), ["R data", "load(\"cells.rds\")"]),
            (gzip(&tar), ["tar archive", "tar xzf cells.rds"]),
            (gzip(b",cell,cell\nCD3E,1,2\n"), ["a table of text", "read_csv"]),
            (b"gene\tcell\nCD3E\t1\n".to_vec(), ["a table of text", "read_csv"]),
            (b"BZh91AY".to_vec(), ["bzip2", "bunzip2 cells.rds"]),
            (b"PAR1....".to_vec(), ["parquet", "read_parquet"]),
            (Vec::new(), ["empty", "copy it again"]),
        ] {
            let said = said(&content).unwrap();
            assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        }
        for content in [gzip(b"%%MatrixMarket matrix"), b"\x89HDF\r\n\x1a\n".to_vec(), gzip(b"\0")]
        {
            assert_eq!(said(&content), None);
        }
    }
}
