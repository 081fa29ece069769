//! [`ModelStore`]: models by name or address, fetched once and kept on this machine.
//!
//! A name is one of the known models: those that the program comes with, and those of a file of one's own,
//! `models.json`, where hashes can be pinned:
//!
//! ```json
//! { "ours": { "address": "hf://our-lab/scgpt@v2", "what": "fine-tuned on lung",
//!             "sha256": { "model.safetensors": "9f86d0…" } } }
//! ```

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use scgpt_data::{Fetched, FetchedFolder, FolderAddress, FolderCache, WantedFile};
use serde::Deserialize;

use crate::error::{Error, Result};

/// The models that the program comes with.
const KNOWN: &str = include_str!("models/known.json");

/// The files of a model.
const WANTED: [WantedFile<'static>; 5] = [
    WantedFile {
        what: "weights",
        names: &["model.safetensors", "best_model.pt"],
        is_required: true,
    },
    WantedFile { what: "configuration", names: &["config.json", "args.json"], is_required: true },
    WantedFile { what: "vocabulary", names: &["vocab.json"], is_required: false },
    WantedFile { what: "preprocessing", names: &["preprocess.json"], is_required: false },
    WantedFile { what: "card", names: &["README.md"], is_required: false },
];

/// A model that has a name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct KnownModel {
    /// Where it is.
    pub address: String,
    /// What it is, in words.
    #[serde(default)]
    pub what: String,
    /// Hashes that its files must have, by their names.
    #[serde(default)]
    pub sha256: BTreeMap<String, String>,
}

/// Models elsewhere, and those of them that are on this machine.
#[derive(Clone, Debug)]
pub struct ModelStore {
    cache: FolderCache,
    known: BTreeMap<String, KnownModel>,
}

impl ModelStore {
    /// A store in `cache`, with the models that the program comes with and those of a `file` of one's own.
    ///
    /// # Errors
    /// If the file cannot be read, or is no list of models.
    pub fn new(cache: FolderCache, file: Option<&Path>) -> Result<Self> {
        let mut known = parsed(Path::new("known.json"), KNOWN)?;
        if let Some(file) = file {
            let text =
                fs::read_to_string(file).map_err(|error| scgpt_data::Error::open(file, error))?;
            known.extend(parsed(file, &text)?);
        }
        Ok(Self { cache, known })
    }

    /// The store of the user: in the folder of caches, with `HF_ENDPOINT`, `HF_TOKEN` (or what `huggingface-cli
    /// login` has left), `SCGPT_OFFLINE` or `HF_HUB_OFFLINE`, and `SCGPT_MODELS` or `models.json` among the settings
    /// of the user.
    ///
    /// # Errors
    /// If there is no folder for caches, or as [`new`](Self::new).
    pub fn of_user() -> Result<Self> {
        let mut cache = FolderCache::new(&cache_folder()?.join("models"));
        if let Some(endpoint) = text("HF_ENDPOINT") {
            cache.endpoint = endpoint;
        }
        let saved = || {
            let home = path("HF_HOME").or_else(|| Some(home()?.join(".cache/huggingface")))?;
            fs::read_to_string(home.join("token")).ok()
        };
        cache.token = text("HF_TOKEN").or_else(saved).map(|token| token.trim().to_owned());
        let is_set =
            |name| text(name).is_some_and(|value| !matches!(value.as_str(), "0" | "false"));
        cache.is_offline = is_set("SCGPT_OFFLINE") || is_set("HF_HUB_OFFLINE");
        let usual = || {
            let settings = path("XDG_CONFIG_HOME").or_else(|| Some(home()?.join(".config")))?;
            Some(settings.join("scgpt/models.json")).filter(|file| file.is_file())
        };
        Self::new(cache, path("SCGPT_MODELS").or_else(usual).as_deref())
    }

    /// The folder in which models are kept.
    pub fn folder(&self) -> &Path {
        &self.cache.folder
    }

    /// Models by their names.
    pub fn known(&self) -> &BTreeMap<String, KnownModel> {
        &self.known
    }

    /// Models that are on this machine.
    pub fn kept(&self) -> Vec<FetchedFolder> {
        self.cache.all()
    }

    /// The address that `model` is, or is the name of; `None` for a path of this machine. A folder wins over a
    /// name.
    ///
    /// # Errors
    /// Inside, if an address is not well formed.
    pub fn address(&self, model: &Path) -> Option<Result<FolderAddress>> {
        let named = || {
            let known = self.known.get(model.to_str()?)?;
            FolderAddress::parse(Path::new(&known.address)).filter(|_| !model.exists())
        };
        let address = FolderAddress::parse(model).or_else(named)?;
        Some(address.map_err(Error::from))
    }

    /// The folder of a model on this machine, if it was fetched.
    pub fn find(&self, address: &FolderAddress) -> Option<FetchedFolder> {
        self.cache.find(address)
    }

    /// Fetches a model, unless the newest version of it is here. `progress` is told of the bytes there are, and of
    /// all, and ends it by `false`.
    ///
    /// # Errors
    /// As [`FolderCache::fetch`]; if a file has another hash than the one that is pinned.
    pub fn pull(
        &self,
        address: &FolderAddress,
        progress: impl Fn(u64, u64) -> bool + Sync,
    ) -> Result<Fetched> {
        let fetched = self.cache.fetch(address, &WANTED, progress)?;
        let shown = address.to_string();
        let pins = self.known.values().filter(|known| known.address == shown);
        for (name, pinned) in pins.flat_map(|known| &known.sha256) {
            let found = fetched.folder.files.get(name).map(|file| file.sha256.as_str());
            if found != Some(pinned.as_str()) {
                return Err(Error::Incompatible {
                    path: fetched.folder.folder.join(name),
                    problem: format!(
                        "SHA-256 is {}, and {pinned} is pinned for `{shown}`",
                        found.unwrap_or("not there")
                    ),
                    remedy: "name the revision that was pinned, as in hf://OWNER/NAME@REVISION; if the new version \
                             is meant, pin its hash"
                        .into(),
                });
            }
        }
        Ok(fetched)
    }
}

/// `SCGPT_CACHE`, else a folder among the caches of the user.
///
/// # Errors
/// If there is neither.
pub fn cache_folder() -> Result<PathBuf> {
    if let Some(folder) = path("SCGPT_CACHE") {
        return Ok(folder);
    }
    let caches = path("XDG_CACHE_HOME")
        .or_else(|| path("LOCALAPPDATA"))
        .or_else(|| Some(home()?.join(".cache")));
    let caches = caches
        .ok_or_else(|| Error::option("there is no folder for caches: name one by SCGPT_CACHE"))?;
    Ok(caches.join("scgpt"))
}

fn parsed(file: &Path, text: &str) -> Result<BTreeMap<String, KnownModel>> {
    let known: BTreeMap<String, KnownModel> = serde_json::from_str(text)
        .map_err(|error| scgpt_data::Error::invalid(file, "models", error.to_string()))?;
    for (name, model) in &known {
        let address = FolderAddress::parse(Path::new(&model.address));
        let address = address.unwrap_or_else(|| {
            let problem = format!("`{}` is no address", model.address);
            Err(scgpt_data::Error::invalid(file, name.as_str(), problem))
        })?;
        if address.to_string() != model.address {
            let problem = format!("write `{}` as `{address}`", model.address);
            return Err(scgpt_data::Error::invalid(file, name.as_str(), problem).into());
        }
    }
    Ok(known)
}

fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn home() -> Option<PathBuf> {
    path("HOME").or_else(|| path("USERPROFILE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_addresses_and_paths_are_told_apart() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("models.json");
        fs::write(&file, r#"{"ours": {"address": "hf://lab/ours@v2"}}"#).unwrap();
        let cache = FolderCache::new(place.path());
        let store = ModelStore::new(cache.clone(), Some(&file)).unwrap();
        let address = |model: &str| Some(store.address(Path::new(model))?.unwrap().to_string());
        assert_eq!(address("scgpt-human").as_deref(), Some("hf://tdc/scGPT"));
        assert_eq!(address("ours").as_deref(), Some("hf://lab/ours@v2"));
        assert_eq!(address("hf://a/b").as_deref(), Some("hf://a/b"));
        assert_eq!(address("scGPT_human"), None);
        assert_eq!(address(file.to_str().unwrap()), None);
        assert!(store.address(Path::new("s3://a/b")).unwrap().is_err());
        for (text, part) in [
            ("[]", "models.json"),
            (r#"{"a": {"address": "models/a"}}"#, "is no address"),
            (r#"{"a": {"address": "hf://a/b@main"}}"#, "write `hf://a/b@main` as `hf://a/b`"),
            (r#"{"a": {"address": "hf://a/b", "sha": {}}}"#, "unknown field"),
        ] {
            fs::write(&file, text).unwrap();
            let error = ModelStore::new(cache.clone(), Some(&file)).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
