//! [`block`]: the one gate through which the cells of every format pass.

use std::{ops::Range, path::Path};

use crate::{
    csr::Csr,
    error::{Error, Result},
    setting::{Advice, Setting},
};

const NOT_FINITE: &str = "remove or repair these cells before reading, for example with numpy.nan_to_num, or use another layer";

/// Cells `rows` of the matrix at `place`, once their values are known to be finite and not below
/// `least`; `gene` names a column for the message.
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
    // `!(value >= least)` is also true for NaN.
    #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "NaN must be caught too")]
    let bad = values.iter().position(|&value| !(value >= least) || value.is_infinite());
    if let Some(at) = bad {
        let cell = rows.start + indptr.partition_point(|&begin| begin <= at).saturating_sub(1);
        let column = indices.get(at).map_or(0, |&column| column as usize);
        let name = gene(column).map_or_else(String::new, |name| format!(" (`{name}`)"));
        let value = values[at];
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
            format!("{kind} in cell {cell}, gene {column}{name}; counts or log-normalised values are expected"),
        )
        .with_hint(hint));
    }
    Csr::new(n_genes, indptr, indices, values).map_err(|problem| {
        let place_in_file =
            format!("cells {}..{} (row 0 is cell {})", rows.start, rows.end, rows.start);
        Error::invalid(path, place, format!("{place_in_file}: {problem}"))
    })
}

/// Offsets, gene indices and values of some cells; the first offset is 0.
pub(crate) type Rows = (Vec<usize>, Vec<u32>, Vec<f32>);
