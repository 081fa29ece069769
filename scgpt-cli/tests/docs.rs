//! The examples of `docs/` and of the first `README.md`, run as they are written, in order, one page after the other in
//! one folder, as a reader would; what they print is what the page says, numbers about so.
//!
//! With `SCGPT_DOCS=write` the pages get what is printed instead.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(unix)]
#[path = "docs/first_page.rs"]
mod first_page;
#[path = "docs/page.rs"]
mod page;
#[path = "docs/tokens.rs"]
mod tokens;

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use self::{page::Example, tokens::first_difference};

/// Pages, in an order in which each finds what it needs.
const PAGES: [&str; 11] = [
    "README.md",
    "pretraining.md",
    "embedding.md",
    "engines.md",
    "generation.md",
    "annotation.md",
    "mapping.md",
    "integration.md",
    "evaluation.md",
    "perturbation.md",
    "networks.md",
];

/// Pages whose examples are run elsewhere, or cannot be run without a network.
const OTHER_PAGES: [(&str, &str); 5] = [
    (
        "many-workers.md",
        "its examples need a launcher and a cluster; `tests/mpi.rs` runs small ones",
    ),
    ("python.md", "its functions are run by the tests of the package, in `scgpt-py/tests`"),
    ("results.md", "its numbers are of real cells"),
    ("studies.md", "its studies take hours; `tests/cli/study.rs` runs small ones"),
    ("models.md", "it needs a hub; `tests/cli/hub.rs` has one"),
];

/// Parts of commands that are not run, and why.
const NOT_RUN: [(&str, &str); 8] = [
    ("s3://", "it needs a network"),
    ("https://", "it needs a network"),
    ("scGPT_human", "it needs the released checkpoint"),
    ("pbmc68k.h5ad", "it needs cells of others"),
    ("mouse_val.h5ad", "it needs cells of others"),
    ("--new-genes spectral", "it is of real nuclei"),
    ("tuned.", "it takes ten minutes; `tests/cli/grn_embedding.rs` runs a small one"),
    ("near.csv", "it needs coordinates of genes"),
];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// Remarks that pages may show: the progress of a training, warnings and errors. Others depend on the machine.
const SHOWN: [&str; 3] = ["step ", "warning: ", "error: "];

/// Runs a command line in `folder`, with variables of the environment, and returns the exit code and what was printed.
fn run(line: &str, folder: &Path, variables: &[(&str, &str)]) -> (i32, String) {
    let binary = Path::new(env!("CARGO_BIN_EXE_scgpt")).parent().unwrap();
    let path = env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(binary.to_owned()).chain(env::split_paths(&path));
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(folder).env("PATH", env::join_paths(paths).unwrap());
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("SCGPT_") {
            command.env_remove(name);
        }
    }
    command.envs(variables.iter().copied());
    let ended = command.output().unwrap();
    let remarks = String::from_utf8(ended.stderr).unwrap();
    let shown = remarks.lines().filter(|line| SHOWN.iter().any(|begin| line.starts_with(begin)));
    let mut text: String = shown.flat_map(|line| [line, "\n"]).collect();
    text.push_str(&String::from_utf8(ended.stdout).unwrap());
    (ended.status.code().unwrap_or(-1), text)
}

fn is_run(line: &str) -> bool {
    !NOT_RUN.iter().any(|(part, _)| line.contains(part))
}

#[test]
fn every_page_is_run_or_says_why_not() {
    let there: BTreeSet<String> = fs::read_dir(docs())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_some_and(|it| it == "md"))
        .collect();
    let known = PAGES.iter().chain(OTHER_PAGES.iter().map(|(name, _)| name));
    assert_eq!(there, known.map(ToString::to_string).collect());
    let all: String =
        PAGES.iter().map(|name| fs::read_to_string(docs().join(name)).unwrap()).collect();
    for (part, why) in NOT_RUN {
        assert!(all.contains(part), "`{part}` is in no page: {why}");
    }
}

#[cfg(unix)]
#[test]
fn what_the_pages_say_is_what_is_printed() {
    let place = tempfile::tempdir().unwrap();
    let writes = env::var("SCGPT_DOCS").is_ok_and(|value| value == "write");
    let mut wrong = Vec::new();
    for name in PAGES {
        let path = docs().join(name);
        let mut text = fs::read_to_string(&path).unwrap();
        for example in Example::all(&text) {
            if !is_run(&example.line) {
                continue;
            }
            let (code, printed) = run(&example.line, place.path(), &[]);
            let expected_code = i32::from(example.output.starts_with("error: "));
            if code != expected_code {
                wrong.push(format!("{name}: `{}` ended with {code}:\n{printed}", example.line));
            } else if let Some(difference) = first_difference(&example.output, &printed) {
                wrong.push(format!("{name}: `{}`: {difference}\n{printed}", example.line));
                if writes {
                    text = example.with_output(&text, &printed);
                }
            }
        }
        if writes {
            fs::write(&path, text).unwrap();
        }
    }
    assert!(writes || wrong.is_empty(), "{}", wrong.join("\n\n"));
}
