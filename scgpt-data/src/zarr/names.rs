//! [`check_name`]: names that lead nowhere but into a hierarchy.

use std::io;

use crate::regular::refusal;

/// What to do about a hierarchy that AnnData never writes.
pub(super) const MAKE_ANEW: &str = "save it again with anndata";
/// Most levels of folders within folders.
pub(super) const DEEPEST: usize = 64;

/// Checks that a name, which `whose` gives, stays in the folder that it is in, and is not nested
/// beyond [`DEEPEST`].
pub(super) fn check_name(name: &str, whose: &str) -> io::Result<()> {
    let is_outside = name.starts_with('/')
        || name.contains(['\\', '\0', ':'])
        || name.split('/').any(|part| part == "..");
    if is_outside {
        let problem =
            format!("{whose} names an entry `{name}`, which is no place in a zarr hierarchy");
        return Err(refusal(problem, "pack the folder again"));
    }
    if name.split('/').count() > DEEPEST {
        return Err(refusal(format!("{whose} nests folders more than {DEEPEST} deep"), MAKE_ANEW));
    }
    Ok(())
}
