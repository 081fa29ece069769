//! What is said: to whom, in which words, and that nobody's text can act on a terminal.

use scgpt_fixtures::Toy;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::run::{Place, cells, ended, model};

#[test]
fn names_cannot_act_on_a_terminal() {
    let place = Place::new();
    let name = "\u{1b}]0;gone\u{7}\u{202e}\ncells.h5ad";
    let message = place.refused(
        &["embed", name, "-m", &model(), "-o", "out.h5ad"],
        &["\\u{1b}]0;gone\\u{7}\\u{202e}\n    cells.h5ad"],
    );
    assert!(!message.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{message:?}");
    Toy { genes: vec!["TNFRSF4", "SSU72", "A\u{9b}31m", "A\u{9b}31m"], ..Toy::known() }
        .write_h5ad(&place.path(name));
    for json in [&[][..], &["--json"]] {
        let ended = place.done(&[&["inspect", name, "--model", &model()], json].concat());
        for said in [&ended.printed, &ended.stderr] {
            assert!(!said.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{said:?}");
        }
        assert!(ended.stdout.contains("gone"), "{}", ended.stdout);
    }
}

#[test]
fn where_nobody_listens_nothing_panics() {
    let place = Place::new();
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let deaf = |args: &[&str]| ended(place.command(args).stderr(full()));
    let (cells, model) = (cells(), model());
    assert_eq!(deaf(&["embed", "absent.h5ad", "-m", &model, "-o", "out.h5ad"]).code, 1);
    let mute = ended(place.command(&["inspect", &cells]).stdout(full()));
    assert_eq!(mute.code, 1, "{}", mute.stderr);
    assert!(mute.stderr.starts_with("error: ") && !mute.stderr.contains("panicked"));
    // A remark on stderr: a cell without genes.
    Toy::known().write_h5ad(&place.path("toy.h5ad"));
    let toy = ["embed", "toy.h5ad", "-m", &model, "-o", "out.h5ad", "--min-genes", "0"];
    assert_eq!(deaf(&toy).code, 0);
    for closed in ["inspect \"$1\" >&-", "inspect \"$1\" 2>&-", "inspect absent.h5ad 2>&- >&-"] {
        let shell = format!("\"$0\" {closed}");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &shell, env!("CARGO_BIN_EXE_scgpt"), &cells]);
        let ended = ended(command.current_dir(place.path(".")));
        assert_eq!(ended.code, i32::from(closed.contains("absent")), "{closed}: {}", ended.stderr);
    }
}

#[test]
fn numbers_beyond_reason_are_refused() {
    let place = Place::new();
    let (cells, model) = (cells(), model());
    let embed = ["embed", &cells, "-m", &model, "-o", "out.h5ad"];
    let refused = |args: &[&str], parts: &[&str]| place.refused(args, parts);
    refused(&[&embed[..], &["--batch-size", "99999999999"]].concat(), &["--batch-size", "65536"]);
    refused(&[&embed[..], &["--threads", "1000000"]].concat(), &["--threads", "1024"]);
    let simulate = ["simulate", "-o", "out.h5ad"];
    let most = u64::MAX.to_string();
    for flag in ["--cells", "--genes", "--types", "--batches", "--perturb"] {
        refused(&[&simulate[..], &[flag, &most]].concat(), &[flag, "at most"]);
    }
    refused(
        &[&simulate[..], &["--types", "9999", "--batches", "9999", "--genes", "999999"]].concat(),
        &["--types", "at most"],
    );
    fs::write(place.path("options.toml"), "batch_size = 99999999999\n").unwrap();
    let train = ["annotate", "train", &cells, "--label", "cell_type", "-o", "types"];
    refused(&[&train[..], &["--config", "options.toml"]].concat(), &["--batch-size", "65536"]);
}

/// Sources of the libraries, without their tests.
fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
            found.push((path, code));
        }
    }
}

#[test]
fn libraries_name_settings_and_only_the_program_names_flags() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    for library in ["scgpt-data", "scgpt-model", "scgpt-train", "scgpt-tasks"] {
        sources(&root.join(library).join("src"), &mut found);
    }
    let is_flag = |line: &str| {
        line.match_indices("--").any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + 2..].chars().next();
            after.is_some_and(|it| it.is_ascii_lowercase())
                && before.is_none_or(|it| " (`\"".contains(it))
        })
    };
    // Colours of charts are variables of their style sheet.
    found.retain(|(path, _)| !path.to_string_lossy().contains("report/chart"));
    for (path, code) in &found {
        for (number, line) in code.lines().enumerate() {
            let text = line.trim_start();
            // Comments may speak of flags; cards show how a program is called.
            if text.starts_with("//") || text.contains("Use: `scgpt ") || text.contains("var(--") {
                continue;
            }
            assert!(!is_flag(line), "{}:{}: {line}", path.display(), number + 1);
        }
    }
}
