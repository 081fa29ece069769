//! What the readers of models, and of what tasks leave behind, do with an input. Whether it is an
//! error does not matter; that it ends does, without panic and within bounds.

#[path = "../../scgpt-cli/src/settings.rs"]
#[allow(dead_code, reason = "the program uses all of it")]
mod settings;
#[path = "../../scgpt-cli/src/typed.rs"]
mod typed;

use std::{fs, path::Path};

use burn::prelude::Device;
use scgpt_data::Silent;
use scgpt_model::{ModelDir, Strictness, Weights};
use scgpt_tasks::{
    NetworkConfig, Recipe,
    annotate::{AnnotateConfig, Artefact},
    integrate::{IntegrateArtefact, IntegrateConfig},
    map::ReferenceIndex,
    perturb::{PerturbArtefact, PerturbConfig},
    pretrain::Preset,
};
use settings::layered;

use crate::pack;

/// Beside the weights of a target that changes nothing else.
const ARGS: &str = include_str!("../../fixtures/checkpoint_variants/args.json");
const VOCABULARY: &str = include_str!("../../fixtures/checkpoint_variants/vocab.json");
/// Neighbours that are asked for.
const NEIGHBOURS: usize = 10;
/// The largest index that is searched, in numbers.
const MOST_SEARCHED: usize = 1 << 24;

/// Gives `bytes` to one of the targets.
///
/// # Panics
/// If there is no such target, or there is a fault in a reader.
pub(crate) fn run(target: &str, bytes: &[u8]) {
    let place = tempfile::tempdir().expect("a folder for temporary files");
    let folder = place.path();
    let write = |name: &str, bytes: &[u8]| {
        fs::write(folder.join(name), bytes).expect("room for temporary files");
    };
    match target {
        "checkpoint" => {
            write("args.json", ARGS.as_bytes());
            write("vocab.json", VOCABULARY.as_bytes());
            write("best_model.pt", bytes);
            model(folder, "best_model.pt");
        }
        "safetensors" => {
            pack::unpack(bytes, folder);
            model(folder, "model.safetensors");
        }
        "index" => {
            pack::unpack(bytes, folder);
            index(folder);
        }
        "artefacts" => {
            pack::unpack(bytes, folder);
            artefacts(folder);
        }
        "settings" => {
            write("settings.toml", bytes);
            settings(&folder.join("settings.toml"));
        }
        _ => panic!("no target `{target}`"),
    }
}

/// All tensors, and the network.
fn model(folder: &Path, weights: &str) {
    if let Ok(weights) = Weights::open(&folder.join(weights)) {
        let _ = weights.n_parameters();
        for name in weights.names() {
            let _ = weights.read(name);
        }
        let _ = weights.save(&folder.join("saved.safetensors"));
    }
    if let Ok(directory) = ModelDir::open(folder) {
        let _ = directory.load(&Device::flex(), Strictness::Partial);
    }
}

/// Neighbours of a cell, and their labels.
fn index(folder: &Path) {
    let Ok(index) = ReferenceIndex::open(folder) else { return };
    let manifest = index.manifest();
    let k = NEIGHBOURS.min(manifest.n_cells);
    if manifest.width.saturating_mul(manifest.n_cells) > MOST_SEARCHED {
        return;
    }
    let mut query = vec![0.0; manifest.width];
    if let Some(first) = query.first_mut() {
        *first = 1.0;
    }
    for neighbours in index.search(&query, k, &Silent).into_iter().flatten() {
        for found in neighbours {
            for (column, labels) in manifest.labels.iter().enumerate() {
                if let Some(code) = index.label(found.cell, column) {
                    let _ = labels.names[code as usize].len();
                }
            }
        }
    }
}

/// What each of the tasks opens.
fn artefacts(folder: &Path) {
    for record in ["annotation.json", "integration.json", "perturbation.json"] {
        pack::mend(&folder.join(record), |record| {
            let Some(files) = record.get_mut("files") else { return };
            let names = files.as_object().into_iter().flat_map(serde_json::Map::keys);
            for name in names.cloned().collect::<Vec<_>>() {
                if let Some(path) = pack::inside(folder, &name) {
                    pack::replace(files, &name, pack::sha256(&path));
                }
            }
        });
    }
    let device = Device::flex();
    let _ = Artefact::open(folder, &device);
    let _ = IntegrateArtefact::open(folder, &device);
    let _ = PerturbArtefact::open(folder, &device);
}

/// The settings of every task that has any.
fn settings(path: &Path) {
    for recipe in [Recipe::Scratch, Recipe::FineTune(NetworkConfig::RELEASED)] {
        if let Ok(settings) = layered(&AnnotateConfig::of(recipe), &[path], &[]) {
            let _ = settings.validate();
        }
        if let Ok(settings) = layered(&IntegrateConfig::of(recipe), &[path], &[]) {
            let _ = settings.validate(Some("cell_type"));
        }
        if let Ok(settings) = layered(&PerturbConfig::of(recipe), &[path], &[]) {
            let _ = settings.validate();
        }
    }
    if let Ok(settings) = layered(&Preset::Laptop.config(), &[path], &[]) {
        let _ = settings.validate();
    }
}
