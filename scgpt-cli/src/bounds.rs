//! Numbers beyond all reason are refused before they become sizes of buffers.

use anyhow::{Result, bail};

use crate::flags::{Asked, name};

/// The largest value of every flag that is a number, by its field. Least values, and what a number
/// means together with others, are checked by the libraries.
const MOST: [(&str, f64); 51] = [
    ("accumulate", 65_536.0),
    ("batch_size", 65_536.0),
    ("batches", 10_000.0),
    ("cells", 100_000_000.0),
    ("checkpoint_every", 1e12),
    ("coverage", 1.0),
    ("doubles", 1_000_000.0),
    ("edges", 1e9),
    ("epochs", 1_000_000.0),
    ("explain", 1_000_000.0),
    ("genes", 1_000_000.0),
    ("genes_per_pass", 1_000_000.0),
    ("genes_per_step", 1_000_000.0),
    ("hide", 1.0),
    ("hvg", 10_000_000.0),
    ("k", 100_000.0),
    ("keep", 1_000_000.0),
    ("known_share", 1.0),
    ("least_genes", 1_000_000.0),
    ("leiden", 1e6),
    ("lora", 65_536.0),
    ("lr", 10.0),
    ("max_cells", 100_000_000.0),
    ("max_length", 1_048_576.0),
    ("max_steps", 1e12),
    ("min_cells", 1e9),
    ("min_genes", 1.0),
    ("min_share", 1.0),
    ("neighbours", 10_000.0),
    ("other_features", 10_000_000.0),
    ("peaks", 10_000_000.0),
    ("permutations", 1_000_000.0),
    ("perturb", 100_000.0),
    ("pool", 65_536.0),
    ("programmes", 1000.0),
    ("proteins", 1_000_000.0),
    ("repeats", 1000.0),
    ("resolution", 1e6),
    ("rounds", 1_000_000.0),
    ("samples", 1_000_000.0),
    ("seed", u64::MAX as f64),
    ("shard_cells", 100_000_000.0),
    ("shuffle_window", 4_294_967_295.0),
    ("similar", 1_000_000.0),
    ("synergy", 1.0),
    ("test", 1.0),
    ("threads", 1024.0),
    ("threshold", 1.0),
    ("tissues", 1000.0),
    ("types", 10_000.0),
    ("validation", 1.0),
];

/// Checks every number that was given.
///
/// # Errors
/// Naming the flag and its bound.
pub(crate) fn check(asked: &Asked) -> Result<()> {
    for argument in asked.command.get_arguments() {
        let id = argument.get_id().as_str();
        let Some(most) = most(id) else { continue };
        let given = asked.matches.try_get_raw(id).ok().flatten();
        for raw in given.into_iter().flatten().filter_map(|raw| raw.to_str()) {
            // What is no number at all is the parser's to refuse.
            if raw.parse::<f64>().is_ok_and(|value| value > most || value.is_nan()) {
                bail!("{} is {raw}, expected at most {most}", name(argument));
            }
        }
    }
    Ok(())
}

fn most(id: &str) -> Option<f64> {
    MOST.iter().find(|it| it.0 == id).map(|it| it.1)
}

#[cfg(test)]
mod tests {
    use std::any::TypeId;

    use clap::{Command, CommandFactory as _};

    use super::*;
    use crate::{commands::Cli, flags::asked_for};

    fn walk(command: &Command, visit: &mut dyn FnMut(&Command)) {
        visit(command);
        command.get_subcommands().for_each(|inner| walk(inner, visit));
    }

    #[test]
    fn every_number_has_a_bound() {
        let numbers = [TypeId::of::<usize>(), TypeId::of::<u64>(), TypeId::of::<f64>()];
        let mut used = Vec::new();
        walk(&Cli::command(), &mut |command| {
            for argument in command.get_arguments() {
                let id = argument.get_id().as_str();
                let kind = argument.get_value_parser().type_id();
                if numbers.iter().any(|number| kind == *number) {
                    assert!(most(id).is_some(), "{} {id}: no bound", command.get_name());
                    used.push(id.to_owned());
                }
            }
        });
        assert!(used.len() > 60, "{used:?}");
        for (id, _) in MOST {
            assert!(used.iter().any(|it| it == id), "`{id}` is no flag");
        }
    }

    #[test]
    fn numbers_beyond_reason_are_named_with_their_bound() {
        let said = |args: &[&str]| {
            let args: Vec<_> = ["scgpt"].iter().chain(args).map(Into::into).collect();
            check(&asked_for(&Cli::command(), &args).unwrap()).map_err(|error| error.to_string())
        };
        let refused = |args: &[&str]| said(args).unwrap_err();
        let cells = refused(&["simulate", "-o", "x.h5ad", "--cells", "18446744073709551615"]);
        assert_eq!(cells, "--cells is 18446744073709551615, expected at most 100000000");
        let k = refused(&["map", "query", "x.h5ad", "-k", "99999999999"]);
        assert_eq!(k, "-k is 99999999999, expected at most 100000");
        assert!(refused(&["embed", "x.h5ad", "--threads=1000000"]).contains("1024"));
        assert!(refused(&["annotate", "train", "x.h5ad", "--lr", "nan"]).contains("--lr is nan"));
        said(&["embed", "x.h5ad", "--threads", "8", "--seed", "18446744073709551615"]).unwrap();
    }
}
