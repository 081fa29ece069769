//! [`block`]: the one gate through which the cells of every format pass.

use std::{
    collections::BTreeSet,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::{
    csr::Csr,
    error::{Error, Result},
    setting::{Advice, Setting},
};

const NOT_FINITE: &str = "remove or repair these cells before reading, for example with numpy.nan_to_num, or use another layer";

/// Matrices for which the warning about values that are added up was given.
static SAID: Mutex<BTreeSet<(PathBuf, String)>> = Mutex::new(BTreeSet::new());

/// A block of the cells `rows` of the matrix at `place`, after their values are found to be finite
/// and not below `least`; `gene` names a column for messages. Values of a gene that occurs several
/// times in a cell are added up, and a warning is logged, once for each matrix.
///
/// # Errors
/// [`Error::Invalid`] naming the first bad value with its cell and gene, or what [`Csr::new`] found.
pub(crate) fn block(
    path: &Path,
    place: &str,
    rows: &Range<usize>,
    (n_genes, least): (usize, f32),
    (indptr, indices, values): Rows,
    gene: impl FnOnce(usize) -> Option<String>,
) -> Result<Csr> {
    let (csr, twice) = Csr::adding_up(n_genes, indptr, indices, values).map_err(|problem| {
        let place_in_file =
            format!("cells {}..{} (row 0 is cell {})", rows.start, rows.end, rows.start);
        Error::invalid(path, place, format!("{place_in_file}: {problem}"))
    })?;
    let named = |column: usize| {
        let name = gene(column).map_or_else(String::new, |name| format!(" (`{name}`)"));
        format!("gene {column}{name}")
    };
    // `!(value >= least)` is also true for NaN.
    #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "NaN must be caught too")]
    let bad = csr.values().iter().position(|&value| !(value >= least) || value.is_infinite());
    if let Some(at) = bad {
        let cell =
            rows.start + csr.indptr().partition_point(|&begin| begin <= at).saturating_sub(1);
        let gene = named(csr.indices()[at] as usize);
        let value = csr.values()[at];
        let (kind, hint) = if value < 0.0 && value.is_finite() {
            let hint = Advice::from("the matrix looks scaled; use raw counts, such as ")
                + Setting("layer")
                + " raw or "
                + Setting("layer")
                + " counts: `scgpt inspect` lists what the file has";
            (format!("negative value {value}"), hint)
        } else {
            (format!("value {value}"), NOT_FINITE.into())
        };
        return Err(Error::invalid(
            path,
            place,
            format!("{kind} in cell {cell}, {gene}; counts or log-normalised values are expected"),
        )
        .with_hint(hint));
    }
    if let Some((row, column)) = twice {
        let matrix = (path.to_owned(), place.to_owned());
        if SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(matrix) {
            log::warn!(
                "`{}`: `{place}`: {} occurs more than once in cell {}; the values of a gene in a cell are added up",
                path.display(),
                named(column as usize),
                rows.start + row
            );
        }
    }
    Ok(csr)
}

/// Offsets, gene indices and values of some cells; the first offset is 0.
pub(crate) type Rows = (Vec<usize>, Vec<u32>, Vec<f32>);
