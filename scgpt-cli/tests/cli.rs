//! The program as its users meet it: the built binary, real files, what it prints and leaves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "cli/adapters.rs"]
mod adapters;
#[path = "cli/annotation.rs"]
mod annotation;
#[path = "cli/bad_input.rs"]
mod bad_input;
#[path = "cli/bad_model.rs"]
mod bad_model;
#[path = "cli/behaviour.rs"]
mod behaviour;
#[path = "cli/carried_over.rs"]
mod carried_over;
#[path = "cli/cells.rs"]
mod cells;
#[path = "cli/choice.rs"]
mod choice;
#[path = "cli/chunks.rs"]
mod chunks;
#[cfg(feature = "cloud")]
#[path = "cli/cloud.rs"]
mod cloud;
#[path = "cli/config.rs"]
mod config;
#[path = "cli/corpus.rs"]
mod corpus;
#[path = "cli/evaluate_integration.rs"]
mod evaluate_integration;
#[path = "cli/explaining.rs"]
mod explaining;
#[path = "cli/fine_tuning.rs"]
mod fine_tuning;
#[cfg(unix)]
#[path = "cli/foreign_files.rs"]
mod foreign_files;
#[path = "cli/genes.rs"]
mod genes;
#[path = "cli/golden.rs"]
mod golden;
#[path = "cli/grn_attention.rs"]
mod grn_attention;
#[path = "cli/grn_embedding.rs"]
mod grn_embedding;
#[path = "cli/grn_methods.rs"]
mod grn_methods;
#[cfg(feature = "cloud")]
#[path = "cli/hub.rs"]
mod hub;
#[path = "cli/integration.rs"]
mod integration;
#[path = "cli/left_out.rs"]
mod left_out;
#[path = "cli/methods.rs"]
mod methods;
#[path = "cli/modalities.rs"]
mod modalities;
#[path = "cli/models.rs"]
mod models;
#[path = "cli/new_genes.rs"]
mod new_genes;
#[path = "cli/pages.rs"]
mod pages;
#[path = "cli/parts.rs"]
mod parts;
#[path = "cli/perturbation.rs"]
mod perturbation;
#[path = "cli/plan.rs"]
mod plan;
#[path = "cli/precision.rs"]
mod precision;
#[path = "cli/quiet.rs"]
mod quiet;
#[path = "cli/reproducible.rs"]
mod reproducible;
#[path = "cli/resuming.rs"]
mod resuming;
#[path = "cli/run.rs"]
mod run;
#[path = "cli/said.rs"]
mod said;
#[path = "cli/samples.rs"]
mod samples;
#[path = "cli/shards.rs"]
mod shards;
#[path = "cli/silent_commands.rs"]
mod silent_commands;
#[path = "cli/states.rs"]
mod states;
#[path = "cli/study.rs"]
mod study;
#[path = "cli/system.rs"]
mod system;
#[path = "cli/training.rs"]
mod training;
#[path = "cli/warned.rs"]
mod warned;
#[path = "cli/workers.rs"]
mod workers;
#[path = "cli/writers.rs"]
mod writers;
