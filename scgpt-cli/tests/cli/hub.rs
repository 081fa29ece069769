//! Models by name: `scgpt models`, and `--model` with an address.

use std::{fs, process::Command};

use scgpt_fixtures::{Fault, Server};
use serde_json::{Value, json};

use crate::run::{Place, cells, embedding, ended, model};

const SHA: &str = "89abcdef0123456789abcdef0123456789abcdef";
const FILES: [&str; 3] = ["args.json", "best_model.pt", "vocab.json"];

/// A hub that has the model of the tests as `hf://lab/small`.
fn hub(place: &Place) -> Server {
    let api = place.path("web/api/models/lab/small");
    let files = place.path(&format!("web/lab/small/resolve/{SHA}"));
    for folder in [&api.join("revision"), &api.join("tree"), &files] {
        fs::create_dir_all(folder).unwrap();
    }
    let entries: Vec<Value> = FILES
        .iter()
        .map(|name| {
            let from = format!("{}/{name}", model());
            let bytes = fs::copy(from, files.join(name)).unwrap();
            json!({"type": "file", "path": name, "size": bytes, "oid": "1"})
        })
        .collect();
    fs::write(api.join("revision/main"), json!({"sha": SHA}).to_string()).unwrap();
    fs::write(api.join(format!("tree/{SHA}")), json!(entries).to_string()).unwrap();
    Server::new(&place.path("web"))
}

/// The program, with this hub and a cache in the place.
fn with_hub(place: &Place, server: &Server, args: &[&str]) -> Command {
    let mut command = place.command(args);
    for name in ["HF_TOKEN", "HF_HUB_OFFLINE", "XDG_CONFIG_HOME", "HF_HOME"] {
        command.env_remove(name);
    }
    command.env("HOME", place.path("home")).env("SCGPT_CACHE", place.path("cache"));
    command.env("HF_ENDPOINT", server.url("").display().to_string());
    command
}

#[test]
fn a_model_at_an_address_is_a_model() {
    let place = Place::new();
    let server = hub(&place);
    let (cells, model) = (cells(), model());
    place.done(&["embed", &cells, "-m", &model, "-o", "local.h5ad", "--no-report"]);
    let embed = ["embed", &cells, "--no-report", "-o"];
    let run = |args: &[&str]| ended(&mut with_hub(&place, &server, args));
    let first = run(&[&embed[..], &["hub.h5ad", "-m", "hf://lab/small"]].concat());
    assert_eq!(first.code, 0, "{}", first.stderr);
    let folder = place.path(&format!("cache/models/hf--lab--small/{SHA}"));
    assert!(first.stderr.contains(&folder.display().to_string()), "{}", first.stderr);
    assert_eq!(embedding(&place.path("hub.h5ad")), embedding(&place.path("local.h5ad")));
    let asked = server.asked().len();

    // A name of one's own, in a file of settings; nothing is fetched again.
    let names = json!({"small": {"address": "hf://lab/small"}});
    fs::write(place.path("models.json"), names.to_string()).unwrap();
    fs::write(place.path("embed.toml"), "model = 'small'\n").unwrap();
    let named = [&embed[..], &["named.h5ad", "--config", "embed.toml"]].concat();
    let named = ended(with_hub(&place, &server, &named).env("SCGPT_MODELS", "models.json"));
    assert_eq!(named.code, 0, "{}", named.stderr);
    assert!(server.asked().len() < asked && !named.stderr.contains("fetched now"));
    assert_eq!(embedding(&place.path("named.h5ad")), embedding(&place.path("local.h5ad")));

    // A training, whose settings name the model; and no server at all.
    server.answer(|_, _| Fault::Status(500));
    fs::write(place.path("train.toml"), "model = 'hf://lab/small'\nbatch_size = 16\n").unwrap();
    let train = ["annotate", "train", &cells, "--label", "batch", "--config", "train.toml"];
    let train = [&train[..], &["--max-steps", "1", "--no-baselines", "-o", "types"]].concat();
    let trained = ended(with_hub(&place, &server, &train).env("SCGPT_OFFLINE", "1"));
    assert_eq!(trained.code, 0, "{}", trained.stderr);
    assert!(trained.stderr.contains("offline mode"), "{}", trained.stderr);
    let report = fs::read_to_string(place.path("types/report.json")).unwrap();
    assert!(report.contains(SHA), "the report names the folder");
}

#[test]
fn models_are_pulled_listed_and_found() {
    let place = Place::new();
    let server = hub(&place);
    let run = |args: &[&str]| ended(&mut with_hub(&place, &server, args));
    let nowhere = run(&["models", "where", "hf://lab/small"]);
    assert_eq!(nowhere.code, 1);
    assert!(nowhere.stderr.contains("scgpt models pull hf://lab/small"), "{}", nowhere.stderr);
    let pulled = run(&["models", "pull", "hf://lab/small", "--json"]);
    let pulled: Value = serde_json::from_str(&pulled.stdout).unwrap();
    let sha256 = pulled["files"]["best_model.pt"]["sha256"].as_str().unwrap().to_owned();
    assert_eq!((pulled["version"].as_str(), sha256.len()), (Some(SHA), 64));
    let found = run(&["models", "where", "hf://lab/small"]).stdout;
    assert_eq!(Value::from(found.trim()), pulled["folder"]);
    let listed: Value = serde_json::from_str(&run(&["models", "list", "--json"]).stdout).unwrap();
    assert_eq!(listed["here"], json!([pulled]));
    assert_eq!(listed["known"][0]["address"], "hf://tdc/scGPT");
    let listed = run(&["models", "list"]).stdout;
    assert!(listed.contains("scgpt-human") && listed.contains("hf://lab/small"), "{listed}");

    // What is fetched is not told to those who want quiet, what is asked for is.
    let pulled = run(&["models", "pull", "hf://lab/small", "-q"]);
    assert_eq!((pulled.code, pulled.stdout.as_str(), pulled.stderr.as_str()), (0, "", ""));
    assert_eq!(run(&["models", "where", "hf://lab/small", "-q"]).stdout, found);
    assert_eq!(run(&["models", "list", "-q"]).stdout, listed);

    // A hash that is pinned.
    let pinned = |sha256: &str| {
        let names =
            json!({"small": {"address": "hf://lab/small", "sha256": {"best_model.pt": sha256}}});
        fs::write(place.path("models.json"), names.to_string()).unwrap();
        let args = ["models", "pull", "small"];
        ended(with_hub(&place, &server, &args).env("SCGPT_MODELS", "models.json"))
    };
    assert_eq!(pinned(&sha256).code, 0);
    let other = pinned(&"0".repeat(64));
    assert_eq!(other.code, 1);
    assert!(other.stderr.contains("is pinned") && other.stderr.contains(&sha256));
}

#[test]
fn what_is_no_model_is_said_before_anything_is_read() {
    let place = Place::new();
    let server = hub(&place);
    let cells = cells();
    let refused = |model: &str, parts: &[&str]| {
        let args = ["embed", &cells, "-m", model, "-o", "x.h5ad"];
        let ended = ended(&mut with_hub(&place, &server, &args));
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        for part in parts {
            assert!(ended.stderr.contains(part), "`{part}` is not in {}", ended.stderr);
        }
        assert!(!place.path("x.h5ad").exists());
    };
    refused("hf://lab/none", &["hf://lab/none", "404", "hint: check the name"]);
    refused("hf://small", &["no name of a repository", "hint: expected hf://OWNER/NAME"]);
    refused("s3://bucket/model", &["s3://", "hint: expected hf://"]);
    let folder = server.url("api").display().to_string();
    refused(&folder, &["has no weights", "best_model.pt"]);
    // What is only misspelled is no address, and no reason to ask a server.
    server.asked();
    refused("scgpt-humans", &["scgpt-humans"]);
    assert!(server.asked().is_empty());
    // An error in the command line comes first.
    let wrong = ended(&mut with_hub(&place, &server, &["embed", "-m", "hf://lab/small"]));
    assert_eq!(wrong.code, 2);
    assert!(server.asked().is_empty());
}
