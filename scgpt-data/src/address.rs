//! [`is_url`]: whether what is named is a file of this machine.
//!
//! Files are named by paths throughout; one that begins with a scheme, as `https://` or `s3://`, is the
//! address of cells elsewhere. It is told apart where a file is opened or written, and nowhere between.

use std::path::Path;

/// Whether a path is a URL: `https://host/cells.zarr`, `s3://bucket/cells.zarr`.
pub fn is_url(path: &Path) -> bool {
    scheme(path).is_some()
}

/// The scheme of a URL and what comes after `://`; `None` for a path of this machine.
pub(crate) fn scheme(path: &Path) -> Option<(&str, &str)> {
    let (scheme, rest) = path.to_str()?.split_once("://")?;
    let is_word = scheme.len() > 1 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_word.then_some((scheme, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_from_paths() {
        let parts = |path: &'static str| scheme(Path::new(path));
        assert_eq!(parts("https://host/a.zarr"), Some(("https", "host/a.zarr")));
        assert_eq!(parts("s3://bucket/a.zarr"), Some(("s3", "bucket/a.zarr")));
        for path in ["cells.h5ad", "/a//b", "C:/a", "c://a", "./s3:/a", "a b://c", "://a"] {
            assert_eq!(parts(path), None, "{path}");
        }
    }
}
