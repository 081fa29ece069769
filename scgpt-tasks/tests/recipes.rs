//! The settings of every recipe, number by number: what was trained by one is to be trained by it again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use scgpt_tasks::{
    NetworkConfig, Recipe,
    annotate::AnnotateConfig,
    integrate::{IntegrateConfig, Pairing},
    perturb::PerturbConfig,
    pretrain::Preset,
};
use serde::Serialize;
use serde_json::Value;

/// Settings as a file of settings has them: without those that are not set.
fn of_file(settings: &impl Serialize) -> Value {
    fn set(value: Value) -> Value {
        let Value::Object(fields) = value else { return value };
        let is_set = |field: &(String, Value)| !field.1.is_null();
        fields.into_iter().filter(is_set).map(|(name, value)| (name, set(value))).collect()
    }
    // By way of text, which has numbers of any width alike.
    set(serde_json::from_str(&serde_json::to_string(settings).unwrap()).unwrap())
}

#[test]
fn recipes_have_the_settings_they_had() {
    let expected: Value = serde_json::from_str(include_str!("recipes.json")).unwrap();
    let modalities = |pairing| of_file(&IntegrateConfig::of_modalities(Recipe::Scratch, pairing));
    let released = Recipe::FineTune(NetworkConfig::RELEASED);
    for (name, settings) in [
        ("annotate, released", of_file(&AnnotateConfig::of(released))),
        ("annotate, scratch", of_file(&AnnotateConfig::of(Recipe::Scratch))),
        ("integrate, released", of_file(&IntegrateConfig::of(released))),
        ("integrate, scratch", of_file(&IntegrateConfig::of(Recipe::Scratch))),
        ("integrate, paired", modalities(Pairing::Paired)),
        ("integrate, mosaic", modalities(Pairing::Mosaic)),
        ("integrate, apart", modalities(Pairing::Apart)),
        ("integrate, linked", modalities(Pairing::Linked)),
        ("perturb, released", of_file(&PerturbConfig::of(released))),
        ("perturb, scratch", of_file(&PerturbConfig::of(Recipe::Scratch))),
        ("pretrain, laptop", of_file(&Preset::Laptop.config())),
        ("pretrain, paper", of_file(&Preset::Paper.config())),
    ] {
        assert_eq!(settings, expected[name], "{name}");
    }
}
