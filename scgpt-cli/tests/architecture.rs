//! The walls of the house: arrows between crates and modules point down, burn stays where tensors are,
//! and files stay small.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "architecture/modules.rs"]
mod modules;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Lines of a file, its tests included.
const MOST_LINES: usize = 500;

/// Each crate, and those it may stand on.
const LAYERS: [(&str, &[&str]); 10] = [
    ("scgpt-kernels", &[]),
    ("scgpt-data", &[]),
    ("scgpt-report", &[]),
    ("scgpt-model", &["scgpt-kernels"]),
    ("scgpt-stats", &["scgpt-data"]),
    ("scgpt-eval", &["scgpt-data", "scgpt-report", "scgpt-stats"]),
    ("scgpt-train", &["scgpt-data", "scgpt-model"]),
    (
        "scgpt-tasks",
        &["scgpt-data", "scgpt-eval", "scgpt-model", "scgpt-report", "scgpt-stats", "scgpt-train"],
    ),
    (
        "scgpt-cli",
        &[
            "scgpt-data",
            "scgpt-eval",
            "scgpt-kernels",
            "scgpt-model",
            "scgpt-report",
            "scgpt-stats",
            "scgpt-tasks",
            "scgpt-train",
        ],
    ),
    ("scgpt-py", &["scgpt-cli", "scgpt-data", "scgpt-model", "scgpt-tasks"]),
];

/// Crates that know no tensors.
const WITHOUT_BURN: [&str; 5] =
    ["scgpt-data", "scgpt-report", "scgpt-stats", "scgpt-eval", "scgpt-kernels"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn toml(path: &Path) -> toml::Table {
    fs::read_to_string(path).unwrap().parse().unwrap()
}

/// What a crate stands on when it is built for others.
fn dependencies(name: &str) -> BTreeSet<String> {
    let manifest = toml(&workspace().join(name).join("Cargo.toml"));
    let of_targets = manifest.get("target").and_then(toml::Value::as_table);
    let tables = of_targets.into_iter().flat_map(|targets| targets.values());
    let tables = tables.filter_map(|target| target.get("dependencies"));
    let tables = tables.chain(manifest.get("dependencies")).filter_map(toml::Value::as_table);
    tables.flat_map(|table| table.keys().cloned()).collect()
}

/// The Rust files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The lines of a file that are code of the crate itself: no comments, and nothing from its tests on.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]");
    lines.filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn every_crate_has_its_layer() {
    let members = toml(&workspace().join("Cargo.toml"))["workspace"]["members"].clone();
    let members: BTreeSet<String> =
        members.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
    let layers: BTreeSet<String> = LAYERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let others: Vec<&String> = members.difference(&layers).collect();
    assert_eq!(others, ["benches", "fixtures"], "a crate that no layer names");
    assert!(layers.is_subset(&members));
}

#[test]
fn arrows_between_crates_point_down() {
    for (name, below) in LAYERS {
        let ours = dependencies(name).into_iter().filter(|it| it.starts_with("scgpt-"));
        for other in ours {
            assert!(below.contains(&other.as_str()), "`{name}` stands on `{other}`");
        }
        for path in files(&workspace().join(name).join("src")) {
            let text = fs::read_to_string(&path).unwrap();
            for (other, _) in LAYERS.iter().filter(|(it, _)| *it != name && !below.contains(it)) {
                let path_of = format!("{}::", other.replace('-', "_"));
                let found = code(&text).find(|line| line.contains(&path_of));
                assert_eq!(found, None, "{} names `{other}`", path.display());
            }
        }
    }
}

#[test]
fn burn_stays_where_tensors_are() {
    for name in WITHOUT_BURN {
        let burn = dependencies(name).into_iter().find(|it| it.starts_with("burn"));
        assert_eq!(burn, None, "`{name}` stands on it");
        for path in files(&workspace().join(name).join("src")) {
            let text = fs::read_to_string(&path).unwrap();
            let found = code(&text).find(|line| line.contains("burn::"));
            assert_eq!(found, None, "{}", path.display());
        }
    }
}

#[test]
fn files_are_small() {
    let long = files(&workspace()).into_iter().filter_map(|path| {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        (lines > MOST_LINES).then(|| format!("{}: {lines} lines", path.display()))
    });
    assert_eq!(long.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn modules_use_each_other_in_one_direction() {
    for (name, _) in LAYERS {
        let circles = modules::circles(&workspace().join(name).join("src"));
        assert_eq!(circles, Vec::<String>::new(), "in `{name}`");
    }
}
