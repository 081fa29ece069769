//! Converts a checkpoint, or adapters and the model they were made from, to safetensors.

use std::path::Path;

use anyhow::{Result, bail};
use scgpt_data::{GeneVocab, Place, check_apart, check_output};
use scgpt_model::{AdaptersFile, Strictness, Weights, save_tensors};
use scgpt_tasks::{open_model, write_model};
use serde_json::json;

use super::ConvertArgs;
use crate::{device, output::Printer};

pub(super) fn run(args: &ConvertArgs, input: &Path, printer: Printer) -> Result<()> {
    check_apart(&args.output, [input])?;
    check_output(&args.output, args.existing())?;
    let is_file = args.output.extension().is_some_and(|extension| extension == "safetensors");
    let n_tensors = match (input.is_dir(), is_file) {
        (true, false) => directory(args, input)?,
        (true, true) => file(args, open_model(input)?.weights())?,
        (false, true) => {
            let weights = Weights::open(input)?;
            if AdaptersFile::is_one(&weights) {
                adapted(args, input)?
            } else {
                file(args, &weights)?
            }
        }
        (false, false) => bail!(
            "`{}` is a file without configuration and vocabulary: name a `.safetensors` output, or convert its folder",
            input.display()
        ),
    };
    let output = args.output.display().to_string();
    printer.written(
        &json!({ "tensors": n_tensors, "output": output }),
        &[("tensors", n_tensors.to_string()), ("output", output.clone())],
    )
}

fn file(args: &ConvertArgs, weights: &Weights) -> Result<usize> {
    let place = Place::new(&args.output, args.existing())?;
    weights.save(&place.path())?;
    place.publish()?;
    Ok(weights.names().count())
}

/// Adapters of a model, merged into its weights.
fn adapted(args: &ConvertArgs, input: &Path) -> Result<usize> {
    let Some(base) = args.shards.model.as_deref() else {
        bail!(
            "`{}` holds adapters: name the model they were made from by --model",
            input.display()
        );
    };
    check_apart(&args.output, [base])?;
    let tensors = AdaptersFile::open(input)?.merged(&open_model(base)?)?;
    let n_tensors = tensors.len();
    let place = Place::new(&args.output, args.existing())?;
    save_tensors(&place.path(), tensors)?;
    place.publish()?;
    Ok(n_tensors)
}

fn directory(args: &ConvertArgs, input: &Path) -> Result<usize> {
    let model = open_model(input)?;
    // A directory that does not load, or whose vocabulary is broken, is not worth converting.
    let strictness = if args.partial { Strictness::Partial } else { Strictness::Strict };
    model.load(&device::open("auto")?, strictness)?;
    GeneVocab::from_json(model.vocab_path())?;
    let origin = format!(
        "Converted from `{}` (SHA-256 {}).",
        model.weights().path().display(),
        model.hash()?
    );
    write_model(
        &args.output,
        args.existing(),
        model.config(),
        model.preprocess(),
        &model.vocab_path(),
        &origin,
        |path| model.weights().save(path),
    )?;
    Ok(model.weights().names().count())
}
