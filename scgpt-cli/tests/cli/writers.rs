//! Every writer, killed at any moment, with too little room, twice at once, and where it must not write.
//!
//! `SCGPT_KILLS=50` kills each that often instead of a few times.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::Instant,
};

use crate::run::{Ended, Place, embedding, ended, tiny};

/// A command that writes.
#[derive(Clone, Copy)]
struct Writer {
    /// What makes the first output, without its name.
    first: &'static [&'static str],
    /// What makes another in its place.
    second: &'static [&'static str],
    output: &'static str,
}

const fn writer(
    first: &'static [&'static str],
    second: &'static [&'static str],
    output: &'static str,
) -> Writer {
    Writer { first, second, output }
}

const ONE: &str = "one/model";
const TWO: &str = "two/model";
const INDEX: [&str; 7] =
    ["map", "index", "embedded.h5ad", "--embedding", "X_scGPT", "--labels", "cell_type"];

const WRITERS: [Writer; 10] = [
    writer(
        &["convert", "cells.h5ad", "-o"],
        &["convert", "cells.h5ad", "--shard-cells", "10", "-o"],
        "shards",
    ),
    writer(&["convert", ONE, "-o"], &["convert", TWO, "-o"], "native"),
    writer(&["convert", ONE, "-o"], &["convert", TWO, "-o"], "weights.safetensors"),
    writer(
        &[INDEX[0], INDEX[1], INDEX[2], INDEX[3], INDEX[4], INDEX[5], INDEX[6], "-o"],
        &[INDEX[0], INDEX[1], INDEX[2], INDEX[3], INDEX[4], INDEX[5], "batch", "-o"],
        "index",
    ),
    writer(
        &["embed", "cells.h5ad", "--model", ONE, "-o"],
        &["embed", "cells.h5ad", "--model", TWO, "-o"],
        "out.h5ad",
    ),
    writer(
        &["embed", "cells.h5ad", "--model", ONE, "-o"],
        &["embed", "cells.h5ad", "--model", TWO, "-o"],
        "copy.zarr",
    ),
    writer(
        &["simulate", "--cells", "50", "--genes", "40", "-o"],
        &["simulate", "--cells", "60", "--genes", "40", "-o"],
        "simulated.zarr",
    ),
    writer(
        &["embed", "--genes", "--model", ONE, "-o"],
        &["embed", "--genes", "--model", TWO, "-o"],
        "genes.csv",
    ),
    writer(
        &["grn", "embedding", "--model", ONE, "--threshold", "0.1", "-o"],
        &["grn", "embedding", "--model", TWO, "--threshold", "0.1", "-o"],
        "net",
    ),
    writer(
        &[
            "grn",
            "attention",
            "cells.h5ad",
            "--model",
            ONE,
            "--hvg",
            "10",
            "--max-cells",
            "20",
            "-o",
        ],
        &[
            "grn",
            "attention",
            "cells.h5ad",
            "--model",
            TWO,
            "--hvg",
            "10",
            "--max-cells",
            "20",
            "-o",
        ],
        "looks",
    ),
];

/// Cells, with an embedding too, and two small models.
fn place() -> Place {
    let place = Place::new();
    place.done(&["simulate", "-o", "cells.h5ad", "--cells", "60", "--genes", "60"]);
    place.done(&["convert", "cells.h5ad", "-o", "tokens"]);
    let network = "n_layers = 1\ndropout = 0.1\nn_bins = 51";
    let settings = tiny("validation_share = 0.1\nmax_length = 40", network, "max_steps = 1");
    fs::write(place.path("tiny.toml"), settings).unwrap();
    for (name, seed) in [("one", "1"), ("two", "2")] {
        let pretrain = ["pretrain", "--data", "tokens", "--config", "tiny.toml", "-o", name];
        place.done(&[&pretrain[..], &["--seed", seed]].concat());
    }
    place.done(&["embed", "cells.h5ad", "--model", ONE, "-o", "embedded.h5ad", "--no-report"]);
    place
}

type Content = BTreeMap<String, Vec<u8>>;

/// What counts in an output, file by file; times of day and of computing do not.
fn content(path: &Path) -> Content {
    let mut content = Content::new();
    if path.extension().is_some_and(|extension| extension == "h5ad") {
        let rows = embedding(path).into_iter().flat_map(f32::to_le_bytes);
        content.insert("rows".into(), rows.collect());
    } else {
        add(path, "", &mut content);
    }
    content
}

fn add(path: &Path, name: &str, content: &mut Content) {
    if !path.is_dir() {
        content.insert(name.into(), fs::read(path).unwrap());
        return;
    }
    for entry in fs::read_dir(path).unwrap().flatten() {
        let entry_name = entry.file_name().to_string_lossy().into_owned();
        if !entry_name.starts_with("report.") && entry_name != "uns" {
            add(&entry.path(), &format!("{name}/{entry_name}"), content);
        }
    }
}

impl Writer {
    /// The first output, the second, and the first again in its place.
    fn outputs(&self, place: &Place) -> [Content; 2] {
        let path = place.path(self.output);
        place.done(&[self.second, &[self.output]].concat());
        let second = content(&path);
        self.begin_again(place);
        let first = content(&path);
        assert!(first != second, "{}", self.output);
        [first, second]
    }

    /// Puts the first output in its place.
    fn begin_again(&self, place: &Place) {
        place.done(&[self.first, &[self.output, "--force"]].concat());
    }

    /// That the output is the one or the other.
    fn assert_whole(&self, place: &Place, outputs: &[Content; 2], when: &str) {
        let found = content(&place.path(self.output));
        assert!(outputs.contains(&found), "{} {when}", self.output);
    }
}

/// Nothing of a killed writer is left, neither beside the output nor in it.
fn assert_tidy(place: &Place, output: &str) {
    let inside = fs::read_dir(place.path(output)).into_iter().flatten().flatten();
    for path in place.content().into_iter().chain(inside.map(|entry| entry.path())) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!name.starts_with(".scgpt-") && !name.ends_with(".partial"), "{output}: {name}");
    }
}

fn background(command: &mut Command) -> std::process::Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_killed_writer_leaves_the_old_output_or_the_new_one() {
    let place = place();
    let kills: u32 = std::env::var("SCGPT_KILLS").map_or(4, |kills| kills.parse().unwrap());
    for writer in WRITERS {
        let outputs = writer.outputs(&place);
        let args = [writer.second, &[writer.output, "--force"]].concat();
        let begin = Instant::now();
        place.done(&args);
        let time = begin.elapsed();
        for kill in 0..kills {
            writer.begin_again(&place);
            let mut child = background(&mut place.command(&args));
            // The end is where it writes.
            let share = 1.0 - f64::from(kill) / f64::from(kills) * f64::from(kill % 2 + 1) / 2.0;
            sleep(time.mul_f64(share));
            child.kill().unwrap();
            child.wait().unwrap();
            writer.assert_whole(&place, &outputs, &format!("killed after {share}"));
        }
        place.done(&args);
        assert!(content(&place.path(writer.output)) == outputs[1], "{}", writer.output);
        assert_tidy(&place, writer.output);
    }
}

/// Runs a command that can write no file larger than so many times 512 or 1024 bytes.
#[cfg(unix)]
fn cramped(place: &Place, args: &[&str], blocks: &str) -> Ended {
    let scgpt = place.command(args);
    // The signal for it is ignored, so that writing fails as it does on a full disk.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(scgpt.get_program()).args(scgpt.get_args());
    command.current_dir(scgpt.get_current_dir().unwrap()).stdin(Stdio::null());
    for (name, value) in scgpt.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    ended(&mut command)
}

#[cfg(unix)]
#[test]
fn without_room_the_old_output_stays_and_the_error_says_so() {
    let place = place();
    for writer in WRITERS {
        let outputs = writer.outputs(&place);
        let args = [writer.second, &[writer.output, "--force"]].concat();
        for blocks in ["0", "1", "4", "12", "40"] {
            let ended = cramped(&place, &args, blocks);
            let when = format!("{} with {blocks} blocks: {}", writer.output, ended.stderr);
            assert!(!ended.stderr.contains("panicked"), "{when}");
            if blocks == "0" || ended.code != 0 {
                assert_eq!(ended.code, 1, "{when}");
                let is_said = ["File too large", "cannot write"];
                assert!(is_said.iter().any(|part| ended.stderr.contains(part)), "{when}");
                writer.assert_whole(&place, &outputs, &when);
            } else {
                assert!(content(&place.path(writer.output)) == outputs[1], "{when}");
                writer.begin_again(&place);
            }
            assert_tidy(&place, writer.output);
        }
    }
}

#[cfg(unix)]
#[test]
fn training_without_room_ends_with_an_error_and_can_be_begun_again() {
    let place = place();
    let train = ["annotate", "train", "cells.h5ad", "--label", "cell_type", "--model", ONE];
    let train = [&train[..], &["--epochs", "1", "--no-baselines", "-o", "types"]].concat();
    let is_begun = |place: &Place| place.path("types/training/unfinished.json").exists();
    for blocks in ["0", "2", "8", "24", "60"] {
        let mut args = train.clone();
        if is_begun(&place) {
            args.push("--resume");
        }
        let ended = cramped(&place, &args, blocks);
        assert!(!ended.stderr.contains("panicked"), "{blocks}: {}", ended.stderr);
        if ended.code == 0 {
            break;
        }
        assert_eq!(ended.code, 1, "{blocks}: {}", ended.stderr);
    }
    let more = if is_begun(&place) { "--resume" } else { "--quiet" };
    let ended = place.run(&[&train[..], &[more]].concat());
    assert!(ended.code == 0 || ended.stderr.contains("it is finished"), "{}", ended.stderr);
    assert!(place.path("types/annotation.json").exists());
}

#[test]
fn of_two_at_once_one_writes_and_the_other_is_told() {
    let place = place();
    for writer in WRITERS {
        let args = [writer.second, &[writer.output]].concat();
        place.done(&args);
        let expected = content(&place.path(writer.output));
        // A new output: one makes it.
        for round in 0..2 {
            remove(&place, writer.output);
            let [one, two] = at_once(&place, &args);
            let failed = match (one.code, two.code) {
                (0, 1) => two,
                (1, 0) => one,
                _ => panic!("{} {round}: {one:?} {two:?}", writer.output),
            };
            let is_told = ["another scgpt", "exists"].map(|part| failed.stderr.contains(part));
            assert!(
                is_told.contains(&true) && failed.stderr.contains("hint: ") || is_told[1],
                "{}",
                failed.stderr
            );
            assert!(content(&place.path(writer.output)) == expected, "{}", writer.output);
            assert_tidy(&place, writer.output);
        }
        // One that is replaced: whoever comes last, it is whole.
        writer.begin_again(&place);
        let force = [&args[..], &["--force"]].concat();
        let ends = at_once(&place, &force);
        for ended in &ends {
            let is_told = ended.code == 1 && ended.stderr.contains("another scgpt");
            assert!(ended.code == 0 || is_told, "{}: {ended:?}", writer.output);
        }
        assert!(ends.iter().any(|ended| ended.code == 0), "{ends:?}");
        assert!(content(&place.path(writer.output)) == expected, "{}", writer.output);
        assert_tidy(&place, writer.output);
    }
}

/// Two trainings in one folder: with and without an artefact that one of them replaces.
#[test]
fn of_two_trainings_at_once_one_trains_and_the_other_is_told() {
    let place = place();
    let train = ["annotate", "train", "cells.h5ad", "--label", "cell_type", "--model", ONE];
    let train = [&train[..], &["--epochs", "3", "--no-baselines", "-o", "types"]].concat();
    for force in [&[][..], &["--force"], &["--force"]] {
        let ends = at_once(&place, &[&train[..], force].concat());
        let mut codes = ends.each_ref().map(|ended| ended.code);
        codes.sort_unstable();
        assert_eq!(codes, [0, 1], "{ends:?}");
        assert!(ends.iter().any(|ended| ended.stderr.contains("another scgpt")), "{ends:?}");
        let predict =
            ["annotate", "predict", "cells.h5ad", "-m", "types", "-o", "x.h5ad", "--force"];
        place.done(&predict);
        assert_tidy(&place, "types");
    }
}

fn at_once(place: &Place, args: &[&str]) -> [Ended; 2] {
    std::thread::scope(|scope| {
        [(); 2].map(|()| scope.spawn(|| place.run(args))).map(|running| running.join().unwrap())
    })
}

/// Removes an output and what lies beside it.
fn remove(place: &Place, output: &str) {
    let stem = output.split('.').next().unwrap();
    for path in place.content() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == output || name.starts_with(&format!("{stem}.")) {
            drop(fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path)));
        }
    }
}

#[test]
fn what_is_no_output_of_the_kind_is_never_replaced() {
    let place = place();
    fs::create_dir(place.path("work")).unwrap();
    fs::write(place.path("work/thesis.tex"), "years").unwrap();
    for writer in &WRITERS {
        let output = place.path(writer.output);
        let is_folder = !writer.output.contains('.')
            || Path::new(writer.output).extension().is_some_and(|it| it == "zarr");
        let args = [writer.first, &[writer.output, "--force"]].concat();
        // A folder of the user's under the name of the output.
        fs::create_dir(&output).unwrap();
        fs::write(output.join("thesis.tex"), "years").unwrap();
        place.refused(&args, &[writer.output, "is not written to", "hint: "]);
        fs::remove_dir_all(&output).unwrap();
        if is_folder {
            // An output in which the user keeps something, and a file.
            place.done(&args);
            fs::write(output.join("notes.txt"), "mine").unwrap();
            place.refused(&args, &["`notes.txt`", "is not written to"]);
            assert!(output.join("notes.txt").exists());
            fs::remove_dir_all(&output).unwrap();
            fs::write(&output, "mine").unwrap();
            place.refused(&args, &["it is a file", "is not written to"]);
            assert_eq!(fs::read_to_string(&output).unwrap(), "mine");
            fs::remove_file(&output).unwrap();
        }
        remove(&place, writer.output);
    }
    // What was called so by earlier versions belongs to the user.
    for writer in &WRITERS {
        let theirs = place.path(&format!("{}.partial", writer.output));
        fs::create_dir(&theirs).unwrap();
        fs::write(theirs.join("thesis.tex"), "years").unwrap();
        place.done(&[writer.first, &[writer.output]].concat());
        assert_eq!(fs::read_to_string(theirs.join("thesis.tex")).unwrap(), "years");
        remove(&place, writer.output);
    }
}

#[test]
fn an_input_is_never_written_to() {
    let place = place();
    place.done(&["convert", ONE, "-o", "one/native"]);
    #[cfg(unix)]
    std::os::unix::fs::symlink(place.path("one/native"), place.path("link")).unwrap();
    place.done(&["simulate", "-o", "in.zarr", "--cells", "60", "--genes", "60"]);
    let [native, tokens] = ["one/native", "tokens"].map(|input| content(&place.path(input)));
    let mut cases = vec![
        (vec!["convert", "one/native", "-o", "one/native"], "is the input"),
        (vec!["convert", "one/native", "-o", "two/../one/native"], "is the input"),
        (vec!["convert", "one/native", "-o", "one"], "holds the input"),
        (vec!["convert", "one/native", "-o", "one/native/new"], "lies in the input"),
        (vec!["convert", "cells.h5ad", "--model", ONE, "-o", ONE], "is the input"),
        (vec!["convert", "in.zarr", "-o", "in.zarr/shards"], "lies in the input"),
        (vec!["convert", "in.zarr", "-o", "in.zarr"], "is the input"),
        (vec!["embed", "in.zarr", "--model", ONE, "-o", "in.zarr"], "is the input"),
        (vec!["embed", "in.zarr", "--model", ONE, "-o", "in.zarr/x.h5ad"], "lies in the input"),
        (vec!["embed", "cells.h5ad", "--model", ONE, "-o", "cells.h5ad"], "is the input"),
        ([&INDEX[..], &["-o", "embedded.h5ad"]].concat(), "is the input"),
        (vec!["pretrain", "--data", "tokens", "-o", "tokens"], "is the input"),
        (vec!["pretrain", "--data", "tokens", "-o", "tokens/run"], "lies in the input"),
        (vec!["pretrain", "--data", "tokens", "-o", "tokens/new/deep/run"], "lies in the input"),
        (vec!["grn", "embedding", "--model", ONE, "-o", "one"], "holds the input"),
        (vec!["grn", "embedding", "--model", ONE, "-o", "one/model/new/net"], "lies in the input"),
        (
            vec!["grn", "attention", "in.zarr", "--model", ONE, "-o", "in.zarr/net"],
            "lies in the input",
        ),
        (vec!["perturb", "prepare", "cells.h5ad", "-o", "cells.h5ad"], "is the input"),
        (
            vec!["integrate", "cells.h5ad", "--batch-key", "batch", "-o", "cells.h5ad"],
            "is the input",
        ),
        (
            vec![
                "evaluate",
                "labels",
                "cells.h5ad",
                "--truth",
                "cell_type",
                "--prediction",
                "batch",
                "-o",
                "cells.h5ad",
            ],
            "is the input",
        ),
        (vec!["pretrain", "--data", "tokens", "--model", ONE, "-o", "one"], "holds the input"),
    ];
    #[cfg(unix)]
    cases.extend([
        (vec!["convert", "one/native", "-o", "link"], "is the input"),
        (vec!["convert", "link", "-o", "one/native"], "is the input"),
        (vec!["convert", "link", "-o", "one"], "holds the input"),
    ]);
    for (args, relation) in cases {
        place.refused(&[&args[..], &["--force"]].concat(), &[relation, "hint: "]);
    }
    assert!(content(&place.path("one/native")) == native);
    assert!(content(&place.path("tokens")) == tokens, "no folder was made in it either");
    assert!(!place.path("one/model/new").exists());
}

#[test]
fn a_folder_of_results_with_more_in_it_is_kept() {
    let place = place();
    let net = ["grn", "embedding", "--data", "cells.h5ad", "--model", ONE, "--threshold", "0.1"];
    let net = [&net[..], &["--no-cells", "-o", "net", "--force"]].concat();
    let looks = ["grn", "attention", "cells.h5ad", "--model", ONE, "--hvg", "10", "--force", "-o"];
    place.done(&net);
    place.done(&net);
    for theirs in ["net/notes.txt", "net/baselines/mine.csv", "net/old/edges.csv"] {
        let path = place.path(theirs);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "mine").unwrap();
        place.refused(&net, &["`net` is not written to: it holds", "hint: "]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        fs::remove_file(&path).unwrap();
        drop(fs::remove_dir(path.parent().unwrap()));
    }
    // That of another command is another kind.
    place.refused(&[&looks[..], &["net"]].concat(), &["not a folder of `scgpt grn attention`"]);
    place.done(&net);
    // The folders above a new one are made.
    place.done(&[&looks[..], &["new/deep/looks"]].concat());
    assert!(place.path("new/deep/looks/network.csv").exists());
}
