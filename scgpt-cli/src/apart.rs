//! Tables that annotate cells are inputs, which no output replaces.

use std::path::PathBuf;

use anyhow::Result;
use scgpt_data::check_apart;

use crate::flags::Asked;

/// Outputs of commands, by their fields.
const OUTPUTS: [&str; 2] = ["output", "complete"];
/// The table whose columns join `obs`.
const TABLE: &str = "obs_from";

/// Checks that the table is none of the outputs, and in none that is a folder.
///
/// # Errors
/// If it is.
pub(crate) fn check(asked: &Asked) -> Result<()> {
    let path = |id: &str| asked.matches.try_get_one::<PathBuf>(id).ok().flatten();
    for output in OUTPUTS.into_iter().filter_map(path) {
        check_apart(output, path(TABLE).map(PathBuf::as_path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{any::TypeId, ffi::OsString};

    use clap::{Command, CommandFactory as _};

    use super::*;
    use crate::{commands::Cli, flags::asked_for};

    fn with_table(command: &Command, found: &mut Vec<Command>) {
        if command.get_arguments().any(|argument| argument.get_id() == TABLE) {
            found.push(command.clone());
        }
        command.get_subcommands().for_each(|inner| with_table(inner, found));
    }

    #[test]
    fn every_command_with_a_table_has_its_outputs_compared() {
        let mut found = Vec::new();
        with_table(&Cli::command(), &mut found);
        assert!(found.len() > 10, "{found:?}");
        let paths = TypeId::of::<PathBuf>();
        for command in &found {
            let of = |id: &str| command.get_arguments().find(|argument| argument.get_id() == id);
            for output in OUTPUTS.into_iter().filter_map(of) {
                assert!(output.get_value_parser().type_id() == paths, "{}", command.get_name());
            }
        }
        // These write nothing but results to stdout.
        let writes = |command: &&Command| command.get_arguments().any(|it| it.get_id() == "output");
        let silent: Vec<_> = found.iter().filter(|it| !writes(it)).map(Command::get_name).collect();
        assert_eq!(silent, ["inspect"]);
    }

    #[test]
    fn a_table_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("donors.h5ad");
        std::fs::write(&table, "cell,donor\n").unwrap();
        let spelled = folder.path().join("./donors.h5ad");
        let said = |output: &std::path::Path| {
            let args = ["scgpt", "embed", "cells.h5ad", "-m", "model", "--force", "--obs-from"];
            let mut args: Vec<OsString> = args.iter().map(OsString::from).collect();
            args.extend([table.clone().into(), "-o".into(), output.into()]);
            check(&asked_for(&Cli::command(), &args).unwrap()).map_err(|error| error.to_string())
        };
        assert!(said(&spelled).unwrap_err().contains("it is the input"));
        said(&folder.path().join("out.h5ad")).unwrap();
    }
}
