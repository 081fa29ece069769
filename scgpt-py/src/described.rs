//! [`commands`]: all commands and their options, from which the functions of the package are made.

use std::{any::TypeId, path::PathBuf};

use clap::{Arg, ArgAction, Command, builder::PossibleValue};
use pyo3::prelude::*;
use serde_json::{Value, json};

/// All commands with their options, as JSON.
#[pyfunction]
pub(crate) fn commands() -> String {
    let mut found = Vec::new();
    let program = scgpt_cli::command();
    let of_all: Vec<_> = program.get_arguments().filter(|it| it.is_global_set()).collect();
    collect(&program, &of_all, &mut Vec::new(), &mut found);
    Value::from(found).to_string()
}

fn collect(command: &Command, of_all: &[&Arg], words: &mut Vec<String>, found: &mut Vec<Value>) {
    let inner: Vec<_> = command.get_subcommands().collect();
    if inner.is_empty() {
        found.push(described(command, of_all, words));
    }
    for command in inner {
        words.push(command.get_name().to_owned());
        collect(command, of_all, words, found);
        words.pop();
    }
}

fn described(command: &Command, of_all: &[&Arg], words: &[String]) -> Value {
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string);
    let arguments = command.get_arguments().chain(of_all.iter().copied());
    let arguments: Vec<_> = arguments.map(argument).collect();
    json!({ "words": words, "about": about, "arguments": arguments })
}

fn argument(argument: &Arg) -> Value {
    let possible: Vec<_> = argument.get_possible_values();
    let values: Vec<_> = possible.iter().map(PossibleValue::get_name).collect();
    let defaults = argument.get_default_values().iter().map(|value| value.to_string_lossy());
    let takes_value = argument.get_action().takes_values();
    let n = argument.get_num_args();
    json!({
        "id": argument.get_id().as_str(),
        "long": argument.get_long(),
        "short": argument.get_short(),
        "help": argument.get_help().map(ToString::to_string),
        "kind": if takes_value { kind(argument) } else { "flag" },
        "values": if takes_value { values } else { Vec::new() },
        "default": defaults.collect::<Vec<_>>(),
        "is_required": argument.is_required_set(),
        "is_repeated": matches!(argument.get_action(), ArgAction::Append)
            || n.is_some_and(|n| n.max_values() > 1),
        "may_be_bare": takes_value && n.is_some_and(|n| n.min_values() == 0),
        "delimiter": argument.get_value_delimiter(),
    })
}

/// What the values of an option are.
fn kind(argument: &Arg) -> &'static str {
    let is = |types: &[TypeId]| types.iter().any(|it| argument.get_value_parser().type_id() == *it);
    macro_rules! of {
        ($($kind:ty),*) => { is(&[$(TypeId::of::<$kind>()),*]) };
    }
    if of!(usize, u64, u32, u16, u8, i64, i32) {
        "int"
    } else if of!(f64, f32) {
        "float"
    } else if of!(PathBuf) {
        "path"
    } else if of!(bool) {
        "bool"
    } else {
        "str"
    }
}
