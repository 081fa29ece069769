//! [`FolderAddress`]: where a folder is that is not on this machine.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{
    address::scheme,
    error::{Error, Result},
    hex::hex,
    setting::Advice,
};

/// The revision of a hub that is taken if none is named.
const MAIN: &str = "main";
/// Letters of a hash that stand for an address.
const LETTERS: usize = 16;

/// The address of a folder elsewhere: `hf://OWNER/NAME`, `hf://OWNER/NAME@REVISION/FOLDER`, or that of a folder of a
/// web server, `https://host/folder`.
///
/// ```
/// use std::path::Path;
///
/// use scgpt_data::FolderAddress;
///
/// let address = FolderAddress::parse(Path::new("hf://tdc/scGPT")).expect("an address")?;
/// assert_eq!(address.to_string(), "hf://tdc/scGPT");
/// assert!(FolderAddress::parse(Path::new("models/scGPT_human")).is_none());
/// # Ok::<(), scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderAddress(pub(super) Place);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Hub {
        /// `OWNER/NAME`
        repository: String,
        revision: String,
        /// A folder in the repository; its root is the empty text.
        folder: String,
    },
    Url(PathBuf),
}

impl FolderAddress {
    /// Reads an address; `None` for a path of this machine.
    ///
    /// # Errors
    /// Inside, if it is of another kind, or not well formed.
    pub fn parse(path: &Path) -> Option<Result<Self>> {
        let (scheme, rest) = scheme(path)?;
        let wrong = |problem: String| {
            let expected = "expected hf://OWNER/NAME, hf://OWNER/NAME@REVISION/FOLDER, or the address of a folder, \
                            https://host/folder";
            Error::unsuited(format!("`{}`: {problem}", path.display()), Advice::from(expected))
        };
        Some(match scheme {
            "hf" => hub(rest).map(Self).map_err(wrong),
            "http" | "https" => Ok(Self(Place::Url(path.into()))),
            other => Err(wrong(format!("models are not read from `{other}://`"))),
        })
    }

    /// The revision of a hub.
    pub(super) fn revision(&self) -> Option<&str> {
        match &self.0 {
            Place::Hub { revision, .. } => Some(revision),
            Place::Url(_) => None,
        }
    }

    /// The name of its folder in a cache.
    pub(super) fn slug(&self) -> String {
        match &self.0 {
            Place::Hub { repository, .. } => format!("hf--{}", repository.replace('/', "--")),
            Place::Url(url) => format!("url--{}", short(&url.display().to_string())),
        }
    }

    /// The name of a version of a hub in its folder in a cache.
    pub(super) fn version(&self, commit: &str) -> String {
        match &self.0 {
            Place::Hub { folder, .. } if !folder.is_empty() => {
                format!("{commit}-{}", folder.replace('/', "-"))
            }
            _ => commit.to_owned(),
        }
    }
}

impl fmt::Display for FolderAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Hub { repository, revision, folder } => {
                write!(f, "hf://{repository}")?;
                if revision != MAIN {
                    write!(f, "@{revision}")?;
                }
                if folder.is_empty() { Ok(()) } else { write!(f, "/{folder}") }
            }
            Place::Url(url) => write!(f, "{}", url.display()),
        }
    }
}

/// What stands behind `hf://`.
fn hub(rest: &str) -> Result<Place, String> {
    let mut parts = rest.trim_end_matches('/').splitn(3, '/');
    let (owner, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (name, revision) = name.split_once('@').unwrap_or((name, MAIN));
    let folder = parts.next().unwrap_or_default();
    let is_name = |text: &str| {
        !text.is_empty()
            && !text.starts_with('.')
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    if !(is_name(owner) && is_name(name)) {
        return Err(format!("`{rest}` is no name of a repository"));
    }
    if !is_name(revision) {
        return Err(format!("`{revision}` is no revision: a branch, a tag or a commit"));
    }
    if !folder.is_empty() && !folder.split('/').all(is_name) {
        return Err(format!("`{folder}` is no folder of a repository"));
    }
    let (revision, folder) = (revision.to_owned(), folder.to_owned());
    Ok(Place::Hub { repository: format!("{owner}/{name}"), revision, folder })
}

/// A short hash.
pub(super) fn short(text: &str) -> String {
    hex(&Sha256::digest(text))[..LETTERS].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_paths_and_from_what_is_none() {
        let read = |text: &str| FolderAddress::parse(Path::new(text));
        for text in ["hf://tdc/scGPT", "hf://a/b@v1.0/c/d", "https://host/a/model"] {
            assert_eq!(read(text).unwrap().unwrap().to_string(), text);
        }
        assert_eq!(read("hf://a/b@main/").unwrap().unwrap().to_string(), "hf://a/b");
        for path in ["scGPT_human", "./hf:/a", "/models/a"] {
            assert!(read(path).is_none(), "{path}");
        }
        for text in
            ["hf://scGPT", "hf://a/..", "hf://a/b@/c", "hf://a/b/../c", "s3://a/b", "hf://a/b@x?y"]
        {
            let error = read(text).unwrap().unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        let slugs = ["hf://a/b", "hf://a/b@v1", "https://a/b"]
            .map(|text| read(text).unwrap().unwrap().slug());
        assert_eq!(slugs[0], slugs[1]);
        assert_ne!(slugs[0], slugs[2]);
    }
}
