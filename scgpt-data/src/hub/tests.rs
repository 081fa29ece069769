use std::time::Duration;

use scgpt_fixtures::{Asked, Fault, Server};
use serde_json::json;
use tempfile::TempDir;

use super::*;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
const WANTED: [WantedFile<'static>; 3] = [
    WantedFile {
        what: "weights",
        names: &["model.safetensors", "best_model.pt"],
        is_required: true,
    },
    WantedFile { what: "configuration", names: &["config.json"], is_required: true },
    WantedFile { what: "vocabulary", names: &["vocab.json"], is_required: false },
];
const QUICK: Patience = Patience {
    connection: Duration::from_secs(2),
    answer: Duration::from_secs(2),
    retries: 2,
    pause: Duration::from_millis(5),
};

/// A hub with one model, whose weights have two million bytes.
struct Hub {
    place: TempDir,
    server: Server,
    weights: Vec<u8>,
}

impl Hub {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let weights: Vec<u8> = (0..2_000_000_u32).map(|at| (at % 251).to_le_bytes()[0]).collect();
        let hub = Self { server: Server::new(&place.path().join("web")), place, weights };
        hub.serve(SHA, &hex_of(&hub.weights));
        hub
    }

    /// Publishes the model as a commit.
    fn serve(&self, commit: &str, sha256: &str) {
        let write = |path: &str, bytes: &[u8]| {
            let path = self.place.path().join("web").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        let api = "api/models/tdc/scGPT";
        write(&format!("{api}/revision/main"), json!({"sha": commit}).to_string().as_bytes());
        let large = json!({"oid": sha256, "size": self.weights.len()});
        let tree = json!([
            {"type": "directory", "path": "more", "oid": "1"},
            {"type": "file", "path": "config.json", "size": 7, "oid": "2"},
            {"type": "file", "path": "model.safetensors", "size": 130, "oid": "3", "lfs": large},
            {"type": "file", "path": "best_model.pt", "size": 99, "oid": "4"},
        ]);
        write(&format!("{api}/tree/{commit}"), tree.to_string().as_bytes());
        write(&format!("tdc/scGPT/resolve/{commit}/config.json"), b"{\"a\":1}");
        write(&format!("tdc/scGPT/resolve/{commit}/model.safetensors"), &self.weights);
    }

    fn cache(&self) -> FolderCache {
        let mut cache = FolderCache::new(&self.place.path().join("cache"));
        cache.endpoint = self.server.url("").display().to_string();
        cache.patience = QUICK;
        cache
    }
}

fn hex_of(bytes: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    crate::hex::hex(&Sha256::digest(bytes))
}

fn address(text: &str) -> FolderAddress {
    FolderAddress::parse(Path::new(text)).unwrap().unwrap()
}

fn fetch(cache: &FolderCache, text: &str) -> Result<Fetched> {
    cache.fetch(&address(text), &WANTED, |_, _| true)
}

fn said(error: &Error) -> String {
    format!(
        "{error:?} {error} {}",
        error.hint().map_or_else(String::new, |hint| format!("{hint:?}"))
    )
}

#[test]
fn a_model_is_fetched_once_and_its_files_are_what_the_hub_says() {
    let hub = Hub::new();
    let cache = hub.cache();
    let first = fetch(&cache, "hf://tdc/scGPT").unwrap();
    assert_eq!((first.folder.version.as_str(), first.bytes), (SHA, 2_000_007));
    let names: Vec<&str> = first.folder.files.keys().map(String::as_str).collect();
    assert_eq!(names, ["config.json", "model.safetensors"]);
    assert_eq!(fs::read(first.folder.folder.join("model.safetensors")).unwrap(), hub.weights);
    assert_eq!(first.folder.files["model.safetensors"].sha256, hex_of(&hub.weights));
    hub.server.asked();
    let again = fetch(&cache, "hf://tdc/scGPT").unwrap();
    assert_eq!((&again.folder, again.bytes), (&first.folder, 0));
    assert!(hub.server.asked().iter().all(|asked| asked.path.starts_with("/api/")));
    assert_eq!(cache.all(), std::slice::from_ref(&first.folder));

    // Without a server, and without asking it, what is there serves.
    let mut offline = cache.clone();
    offline.is_offline = true;
    assert_eq!(fetch(&offline, "hf://tdc/scGPT").unwrap().folder, first.folder);
    let error = fetch(&offline, "hf://tdc/other").unwrap_err();
    assert!(said(&error).contains("offline mode"), "{error}");
    hub.server.answer(|_, _| Fault::Status(500));
    let kept = fetch(&cache, "hf://tdc/scGPT").unwrap();
    assert!(kept.unasked.unwrap().contains("500"));
    assert_eq!(kept.folder, first.folder);

    // A newer version is another folder.
    hub.server.answer(|_, _| Fault::None);
    let newer = "f".repeat(40);
    hub.serve(&newer, &hex_of(&hub.weights));
    assert_eq!(fetch(&cache, "hf://tdc/scGPT").unwrap().folder.version, newer);
    assert_eq!(cache.all().len(), 2);
    assert_eq!(fetch(&offline, "hf://tdc/scGPT").unwrap().folder.version, newer);
}

#[test]
fn a_transfer_that_breaks_goes_on_where_it_was() {
    let hub = Hub::new();
    let cache = hub.cache();
    let stop = |done: u64, _: u64| done < 1_000_000;
    let stopped = cache.fetch(&address("hf://tdc/scGPT"), &WANTED, stop).unwrap_err();
    assert!(matches!(stopped, Error::Cancelled), "{stopped}");
    assert!(cache.all().is_empty() && cache.find(&address("hf://tdc/scGPT")).is_none());
    hub.server.asked();
    let is_weights = |asked: &Asked| asked.path.ends_with("model.safetensors");
    hub.server.answer(
        move |asked, before| {
            if is_weights(asked) && before == 0 { Fault::Broken } else { Fault::None }
        },
    );
    let fetched = fetch(&cache, "hf://tdc/scGPT").unwrap();
    assert!(fetched.bytes < 1_100_000, "{}", fetched.bytes);
    assert_eq!(fs::read(fetched.folder.folder.join("model.safetensors")).unwrap(), hub.weights);
    let asked = hub.server.asked();
    assert!(asked.iter().filter(|asked| is_weights(asked)).all(|asked| asked.range.is_some()));

    // A server that sends no parts of files begins anew.
    let whole = FolderCache { folder: hub.place.path().join("whole"), ..hub.cache() };
    hub.server.answer(|_, _| Fault::None);
    whole.fetch(&address("hf://tdc/scGPT"), &WANTED, stop).unwrap_err();
    hub.server.answer(|_, _| Fault::Whole);
    let fetched = fetch(&whole, "hf://tdc/scGPT").unwrap();
    assert_eq!(fs::read(fetched.folder.folder.join("model.safetensors")).unwrap(), hub.weights);
}

#[test]
fn a_token_goes_to_the_hub_and_not_to_where_it_sends_one() {
    let hub = Hub::new();
    let elsewhere = Server::new(&hub.place.path().join("web"));
    let port = elsewhere.port();
    hub.server.answer(move |asked, _| match asked {
        Asked { is_signed: false, .. } => Fault::Status(401),
        Asked { path, .. } if path.ends_with("model.safetensors") => Fault::Redirect(port),
        _ => Fault::None,
    });
    let mut cache = hub.cache();
    let denied = said(&fetch(&cache, "hf://tdc/scGPT").unwrap_err());
    assert!(denied.contains("401 Unauthorized") && denied.contains("HF_TOKEN"), "{denied}");
    cache.token = Some("hf_secret".into());
    let fetched = fetch(&cache, "hf://tdc/scGPT").unwrap();
    assert_eq!(fs::read(fetched.folder.folder.join("model.safetensors")).unwrap(), hub.weights);
    let there = elsewhere.asked();
    assert!(!there.is_empty() && there.iter().all(|asked| !asked.is_signed), "{there:?}");
}

#[test]
fn what_is_not_there_or_not_what_it_should_be_is_said() {
    let hub = Hub::new();
    let cache = hub.cache();
    let refused = |text: &str, parts: &[&str]| {
        let said = said(&fetch(&cache, text).unwrap_err());
        for part in parts {
            assert!(said.contains(part), "`{part}` is not in {said}");
        }
    };
    refused("hf://tdc/none", &["404", "check the name"]);
    refused("hf://tdc/scGPT@v9", &["404", "revision/v9"]);
    hub.serve(SHA, &"0".repeat(64));
    refused("hf://tdc/scGPT", &["model.safetensors", "SHA-256", "try again"]);
    // Nothing stays of the file that was wrong.
    hub.serve(SHA, &hex_of(&hub.weights));
    assert_eq!(fetch(&cache, "hf://tdc/scGPT").unwrap().bytes, 2_000_007);
    fs::write(hub.place.path().join("web/api/models/tdc/scGPT/revision/main"), "<html>").unwrap();
    fs::remove_dir_all(&cache.folder).unwrap();
    refused("hf://tdc/scGPT", &["not answered as a hub does"]);
}

#[test]
fn a_folder_of_a_web_server_is_fetched_too() {
    let hub = Hub::new();
    let url = hub.server.url(&format!("tdc/scGPT/resolve/{SHA}")).display().to_string();
    let cache = hub.cache();
    let fetched = fetch(&cache, &url).unwrap();
    assert_eq!(fetched.folder.files.len(), 2);
    assert_eq!(fetch(&cache, &url).unwrap().bytes, 0);
    let nothing = hub.server.url("tdc/none").display().to_string();
    let refused = said(&fetch(&cache, &nothing).unwrap_err());
    assert!(refused.contains("has no weights, model.safetensors or best_model.pt"), "{refused}");
}
