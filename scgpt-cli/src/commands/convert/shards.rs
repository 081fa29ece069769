//! Converts cells to token shards.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, CommandFactory as _};
use scgpt_data::{
    CellSource as _, ChosenCells, DividedCells, Existing, Frame, GeneNames, GeneVocab, InputState,
    JoinedTable, Manifest, Observer as _, PartNumber, SAMPLE, ShardOptions, ShardPart, ShardWriter,
    Source, SourceEntry, SpecialToken, Watched, check_apart, check_output, check_shard_part,
    obs_column,
};
use scgpt_tasks::{Error, open_model};

use crate::{
    better::Again,
    cells_output::which_part,
    choice::ChoiceArgs,
    commands::Cli,
    matrix::MatrixArgs,
    output::{Printer, some_of},
    progress::Bar,
    sample::SampleArgs,
    warnings::Warnings,
};

/// How cells become shards.
#[derive(Debug, Args)]
pub(crate) struct ShardArgs {
    /// Vocabulary of the gene tokens [default: the model's, else all genes of the data]
    #[arg(long, value_name = "FILE")]
    pub(crate) vocab: Option<PathBuf>,
    /// Model directory whose vocabulary is used
    #[arg(long, short, value_name = "DIR", env = "SCGPT_MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// Columns of obs to keep, for example tissue,assay,study
    #[arg(long, value_name = "NAMES", value_delimiter = ',', env = "SCGPT_OBS")]
    pub(crate) obs: Vec<String>,
    /// Most cells per file
    #[arg(long, value_name = "N", default_value_t = SHARD_CELLS, env = "SCGPT_SHARD_CELLS")]
    pub(crate) shard_cells: usize,
    #[command(flatten)]
    pub(crate) sample: SampleArgs,
    #[command(flatten)]
    pub(crate) matrix: MatrixArgs,
}

/// Large enough that there are few files, small enough to be copied again after a failure.
pub(crate) const SHARD_CELLS: usize = 50_000;

/// What becomes shards, and how.
pub(crate) struct Conversion<'a> {
    pub(crate) inputs: &'a [PathBuf],
    pub(crate) output: &'a Path,
    pub(crate) shards: &'a ShardArgs,
    pub(crate) existing: Existing,
    /// Whether the inputs are many studies: some may lack a column, and cells occur in several.
    pub(crate) is_corpus: bool,
    /// Which part of the cells of the one input, if not all; the output is a folder of that part.
    pub(crate) part: Option<PartNumber>,
}

pub(crate) fn run(args: &Conversion<'_>, printer: Printer) -> Result<()> {
    let inputs = args.inputs;
    let others = args.shards.vocab.iter().chain(&args.shards.model);
    check_apart(args.output, inputs.iter().chain(others).map(PathBuf::as_path))?;
    // A part that is there already is looked at later.
    check_output(args.output, if args.part.is_some() { Existing::Replace } else { args.existing })?;
    let mut warnings = Warnings::new(printer);
    let Prepared { vocab, n_cells, inputs } = prepare(args, inputs, &mut warnings)?;
    let mut options = ShardOptions::default();
    options.shard_cells = args.shards.shard_cells;
    options.layer = args.shards.matrix.layer();
    options.gene_names = args.shards.matrix.gene_names();
    options.labels = args.labels();
    options.may_lack_labels = args.is_corpus;
    options.unique = args.is_corpus;
    options.existing = args.existing;
    options.part = args.part.map(|part| part_of(part, args, &inputs)).transpose()?;
    if options.part.is_some() && args.existing == Existing::Refuse && args.output.exists() {
        let manifest = check_shard_part(args.output, &vocab, &options)?;
        return say(args, &manifest, true, warnings, printer);
    }
    let part = options.part.clone();
    let writer = ShardWriter::create(args.output, &vocab, options)?;
    let bar = Bar::new(printer);
    bar.begin("converting", n_cells);
    let manifest = write(args, inputs, part.as_ref(), writer, &bar)?;
    bar.finish();
    say(args, &manifest, false, warnings, printer)
}

/// Prints what there is now.
fn say(
    args: &Conversion<'_>,
    manifest: &Manifest,
    was_there: bool,
    mut warnings: Warnings,
    printer: Printer,
) -> Result<()> {
    remark_on(manifest, &mut warnings);
    let mut record = serde_json::to_value(manifest)?;
    record["output"] = args.output.display().to_string().into();
    let mut rows = summary(manifest, args.is_corpus);
    let there = if was_there { " (it was there, of the same run)" } else { "" };
    rows.push(("output", format!("{}{there}", args.output.display())));
    printer.written(&warnings.beside(&record), &rows)
}

/// The part of the cells that are to be converted.
fn part_of(part: PartNumber, args: &Conversion<'_>, inputs: &[Input]) -> Result<ShardPart> {
    let [input] = inputs else {
        bail!("--part {part} divides the cells of one file: convert each by a run of its own")
    };
    let source = input.source(&args.shards.matrix.choice)?;
    let of = DividedCells::of(&source, &args.shards.matrix.layer())?;
    if part.rows(of.n_cells).is_empty() {
        bail!("--part {part} has no cells, as there are {}: make fewer parts", of.n_cells);
    }
    let again = Again::this_run(Cli::command(), "convert");
    let line = again.map_or_else(String::new, |again| again.with("part", "I/N").line());
    Ok(ShardPart { part, of, line })
}

/// What is known before anything is written.
struct Prepared {
    vocab: GeneVocab,
    n_cells: usize,
    inputs: Vec<Input>,
}

/// An input that has cells to be read.
struct Input {
    path: PathBuf,
    sample: Option<String>,
    /// Which of its cells, if not all.
    chosen: Option<ChosenCells>,
}

impl Input {
    /// All of its cells, with the columns of a table, if there is one.
    fn open(
        path: &Path,
        sample: Option<&str>,
        choice: &ChoiceArgs,
    ) -> scgpt_data::Result<(Source, Option<JoinedTable>)> {
        let mut source = Source::open(path)?;
        if let Some(sample) = sample {
            source = source.of_sample(sample)?;
        }
        choice.annotated(source)
    }

    /// The cells that were chosen.
    fn source(&self, choice: &ChoiceArgs) -> scgpt_data::Result<Source> {
        let (source, _) = Self::open(&self.path, self.sample.as_deref(), choice)?;
        Ok(match &self.chosen {
            Some(chosen) => source.only(chosen.clone()),
            None => source,
        })
    }
}

impl Conversion<'_> {
    /// Columns of obs that shards keep.
    fn labels(&self) -> Vec<String> {
        let mut labels = self.shards.obs.clone();
        if self.shards.sample.are_named() && !labels.iter().any(|label| label == SAMPLE) {
            labels.push(SAMPLE.into());
        }
        labels
    }
}

/// Opens the inputs for their vocabulary and number of cells. Everything that can be refused is refused here, not
/// after hours of writing.
fn prepare(args: &Conversion<'_>, inputs: &[PathBuf], warnings: &mut Warnings) -> Result<Prepared> {
    let path = match (&args.shards.vocab, &args.shards.model) {
        (Some(path), _) => Some(path.clone()),
        (None, Some(model)) => Some(open_model(model)?.vocab_path()),
        (None, None) => None,
    };
    let given = path.map(GeneVocab::from_json).transpose()?;
    let names = args.shards.matrix.gene_names();
    let layer = args.shards.matrix.layer();
    let samples = args.shards.sample.of_each(inputs.len())?;
    let kept = args.labels();
    let mut tables: Vec<Frame> = Vec::new();
    let (mut n_cells, mut with_cells) = (0, Vec::new());
    // Columns that no input has.
    let mut lacking = if args.is_corpus { kept.clone() } else { Vec::new() };
    let numbered = inputs.iter().zip(samples).zip(1..);
    for ((input, sample), is_last) in numbered.map(|(it, n)| (it, n == inputs.len())) {
        let (source, joined) = Input::open(input, sample, &args.shards.matrix.choice)?;
        warnings.joined(joined.as_ref());
        let of_all = source.summary().shape(&layer)?.0;
        let mut chosen = args.shards.matrix.choice.choose(&source)?;
        if is_last && with_cells.is_empty() {
            chosen = chosen.map(|chosen| chosen.some_of(input)).transpose()?;
        }
        if let Some(chosen) = &chosen {
            warnings.chosen(input, chosen);
            // Of several files, some may have none.
            if chosen.cells.is_empty() {
                continue;
            }
        }
        n_cells += chosen.as_ref().map_or(of_all, |chosen| chosen.cells.len());
        if !kept.is_empty() {
            let mut obs = source.obs()?;
            if let Some(chosen) = &chosen {
                obs = obs.pick(&chosen.cells);
            }
            let mut labels: Vec<&str> = kept.iter().map(String::as_str).collect();
            if args.is_corpus {
                labels.retain(|name| obs.column(name).is_some());
                lacking.retain(|name| !labels.contains(&name.as_str()));
            }
            for name in &labels {
                obs_column(&obs, name)?;
            }
            warnings.doubts(&obs, &labels, None);
        }
        let var = source.var(&layer)?;
        if let Some(vocab) = &given {
            vocab.align(&var, &names)?;
        } else {
            // Of many files, only the names are held.
            tables.push(names.genes(&var)?);
        }
        with_cells.push(Input { path: input.clone(), sample: sample.map(Into::into), chosen });
    }
    if !lacking.is_empty() {
        bail!("no input has a column {} of obs (--obs)", some_of(&lacking));
    }
    let vocab = match given {
        Some(vocab) => vocab,
        None => GeneVocab::from_genes(&tables, &GeneNames::of_column("index"))?,
    };
    Ok(Prepared { vocab, n_cells, inputs: with_cells })
}

fn write(
    args: &Conversion<'_>,
    inputs: Vec<Input>,
    part: Option<&ShardPart>,
    mut writer: ShardWriter,
    bar: &Bar,
) -> Result<Manifest, Error> {
    for input in inputs {
        let mut source = input.source(&args.shards.matrix.choice)?;
        if let Some(part) = part {
            source = source.part(part.rows(), &args.shards.matrix.layer())?;
        }
        writer.add_source(&mut Watched { source: &mut source, observer: bar })?;
    }
    bar.check_cancelled()?;
    Ok(writer.finish()?)
}

/// Tells what may be wrong with cells that are token shards now.
pub(crate) fn remark_on(manifest: &Manifest, warnings: &mut Warnings) {
    for source in &manifest.sources {
        if source.input_state != InputState::Counts {
            warnings.tell(format!(
                "`{}`: the values look like {}, not raw counts; name the layer with counts by --layer if there is one",
                source.path, source.input_state
            ));
        }
        warnings.without_genes_of(&source.path, source.skipped_cells, "they are left out");
    }
}

/// What there is to say of token shards, but for where they are.
pub(crate) fn summary(manifest: &Manifest, is_corpus: bool) -> Vec<(&'static str, String)> {
    let genes = |source: &SourceEntry| {
        format!(
            "{} of {} known, named by `{}`; {} of the {} of the vocabulary",
            source.known_genes,
            source.genes,
            source.gene_column,
            source.known_genes,
            manifest.vocab.n_tokens.saturating_sub(SpecialToken::ALL.len())
        )
    };
    let genes = match manifest.sources.as_slice() {
        [source] => genes(source),
        sources => {
            let lines = sources.iter().map(|source| format!("{}: {}", source.path, genes(source)));
            lines.collect::<Vec<_>>().join("\n")
        }
    };
    let labels = manifest
        .labels
        .iter()
        .map(|label| format!("{} ({})", label.column, label.categories.len()))
        .collect::<Vec<_>>();
    let bytes: u64 = manifest.shards.iter().map(|shard| shard.bytes).sum();
    let mut rows = vec![
        ("cells", manifest.n_cells.to_string()),
        (
            "tokens",
            format!(
                "{} ({:.0} per cell on average)",
                manifest.n_tokens,
                manifest.n_tokens as f64 / manifest.n_cells.max(1) as f64
            ),
        ),
        ("genes", genes),
        ("vocabulary", format!("{} tokens", manifest.vocab.n_tokens)),
        ("shards", format!("{} of {:.1} MB in all", manifest.shards.len(), bytes as f64 / 1e6)),
    ];
    let duplicates: u64 = manifest.sources.iter().map(|source| source.duplicates).sum();
    if is_corpus {
        rows.push(("left out", format!("{duplicates} cells that express what another one does")));
    }
    if !labels.is_empty() {
        rows.push(("labels", labels.join(", ")));
    }
    if let Some(ShardPart { part, of, .. }) = &manifest.part {
        rows.insert(0, ("part", which_part(*part, of.n_cells)));
    }
    rows
}
