//! Cells and shards at URLs, as a user names them.

use std::{fs, process::Command};

use scgpt_fixtures::{Fault, Server};

use crate::run::{Place, cells, embedding, ended, model, tiny};

/// A place whose folder `web` is served; in it `cells.zarr`, by the program itself.
fn served() -> (Place, Server) {
    let place = Place::new();
    fs::create_dir_all(place.path("web/bucket")).unwrap();
    place.done(&[
        "embed",
        &cells(),
        "-m",
        &model(),
        "-o",
        "web/bucket/cells.zarr",
        "--key",
        "X_old",
    ]);
    let server = Server::new(&place.path("web"));
    (place, server)
}

/// The program with no credentials and no proxy but those of a test.
fn alone(place: &Place, args: &[&str]) -> Command {
    let mut command = place.command(args);
    for (name, _) in std::env::vars_os() {
        let is_of_network = name.to_string_lossy().to_uppercase();
        if is_of_network.starts_with("AWS_") || is_of_network.ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    command
}

fn done(command: &mut Command) -> String {
    let ended = ended(command);
    assert_eq!(ended.code, 0, "{command:?}: {}", ended.stderr);
    ended.stderr
}

#[test]
fn embeddings_of_a_url_are_those_of_the_folder() {
    let (place, server) = served();
    let model = model();
    let local = "web/bucket/cells.zarr";
    place.done(&["embed", local, "-m", &model, "-o", "local.h5ad"]);
    let url = server.url("bucket/cells.zarr").display().to_string();
    server.answer(|asked, before| {
        // Once each, whatever is a chunk breaks off.
        let is_chunk =
            !asked.path.contains("/.z") && asked.query.is_empty() && asked.range.is_none();
        if is_chunk && before == 0 { Fault::Broken } else { Fault::None }
    });
    let said = done(&mut alone(&place, &["embed", &url, "-m", &model, "-o", "remote.h5ad"]));
    // What nobody lists is said to be missing.
    assert!(said.contains("not carried over: members of layers, obsm"), "{said}");
    assert_eq!(embedding(&place.path("remote.h5ad")), embedding(&place.path("local.h5ad")));

    let s3 = |args: &[&str], has_key: bool| {
        let mut command = alone(&place, args);
        command.env("AWS_ENDPOINT_URL", server.url("").display().to_string());
        if has_key {
            command.env("AWS_ACCESS_KEY_ID", "me").env("AWS_SECRET_ACCESS_KEY", "secret");
        }
        command
    };
    server.asked();
    let address = "s3://bucket/cells.zarr";
    let said = done(&mut s3(&["embed", address, "-m", &model, "-o", "signed.h5ad"], true));
    assert!(!said.contains("not carried over"), "{said}");
    assert!(server.asked().iter().all(|asked| asked.is_signed));
    done(&mut s3(&["embed", address, "-m", &model, "-o", "public.h5ad"], false));
    assert!(server.asked().iter().all(|asked| !asked.is_signed));
    // Where all can be listed nothing is lost.
    let told = |name: &str| place.done(&["inspect", name, "--json"]).stdout.replace(name, "");
    for name in ["signed.h5ad", "public.h5ad"] {
        assert_eq!(embedding(&place.path(name)), embedding(&place.path("local.h5ad")));
        assert_eq!(told(name), told("local.h5ad"));
    }
    let some = ["embed", address, "-m", &model, "-o", "some.zarr", "--where", "batch = 'batch0'"];
    done(&mut s3(&some, true));
    server.answer(|_, _| Fault::Status(403));
    for (command, hint) in [
        (s3(&["inspect", address], false), "AWS_ACCESS_KEY_ID"),
        (alone(&place, &["inspect", &url]), "everyone may read"),
    ] {
        let mut command = command;
        let refused = ended(&mut command);
        assert_eq!(refused.code, 1, "{}", refused.stderr);
        for part in ["403 Forbidden", hint] {
            assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
        }
    }
}

#[test]
fn what_a_url_cannot_be_is_said_at_once() {
    let (place, server) = served();
    let (cells, model) = (cells(), model());
    let url = |path: &str| server.url(path).display().to_string();
    let refused = |args: &[&str], parts: &[&str]| {
        let before = place.content();
        let ended = ended(&mut alone(&place, args));
        assert_eq!(ended.code, 1, "{args:?}: {}", ended.stderr);
        assert_eq!(before, place.content());
        for part in parts {
            assert!(ended.stderr.contains(part), "`{part}` is not in: {}", ended.stderr);
        }
    };
    let output = "s3://bucket/out.h5ad";
    refused(&["embed", &cells, "-m", &model, "-o", output], &["not to a URL", "aws s3 cp"]);
    let nothing = url("bucket/none.zarr");
    refused(
        &["embed", &nothing, "-m", &model, "-o", "x.h5ad"],
        &["404", "none.zarr/zarr.json", "hint: name the folder of an AnnData-zarr store"],
    );
    refused(&["inspect", "gs://bucket/cells.zarr"], &["`gs://` are not read", "googleapis.com"]);
    refused(&["inspect", "https://host.invalid/cells.h5ad"], &["download it first"]);
}

#[test]
fn shards_of_a_url_train_as_those_of_a_folder() {
    let place = Place::new();
    fs::create_dir(place.path("web")).unwrap();
    place.done(&["convert", &cells(), "-m", &model(), "--obs", "batch", "-o", "web/shards"]);
    let server = Server::new(&place.path("web"));
    let settings = tiny("batch_size = 8\nmax_length = 40", "n_layers = 1", "max_steps = 3");
    fs::write(place.path("tiny.toml"), settings).unwrap();
    let url = server.url("shards").display().to_string();
    let train = |data: &str, run: &str| {
        let args = ["pretrain", "--data", data, "--config", "tiny.toml", "-o", run];
        let mut command = alone(&place, &args);
        let said = done(command.env("XDG_CACHE_HOME", place.path("caches")));
        (said, fs::read(place.path(run).join("model/model.safetensors")).unwrap())
    };
    let (said, learned) = train(&url, "a");
    let folder = place.path("caches/scgpt/shards").display().to_string();
    assert!(said.contains(&folder) && said.contains("MB of them fetched now"), "{said}");
    assert!(server.asked().len() > 2);
    assert!(learned == train("web/shards", "b").1);
    let (said, again) = train(&url, "c");
    assert!(said.contains("0 MB of them fetched now"), "{said}");
    assert!(learned == again && server.asked().len() == 1);
    let mut show = alone(&place, &["corpus", "show", &url, "--by", "batch"]);
    done(show.env("SCGPT_CACHE", place.path("other")));
    let mut small = alone(&place, &["corpus", "show", &url]);
    let refused = ended(small.env("SCGPT_CACHE", place.path("small")).env("SCGPT_CACHE_GB", "0"));
    assert!(refused.stderr.contains("SCGPT_CACHE_GB"), "{}", refused.stderr);
}
