//! [`ModalityArgs`]: which files bring which modalities, and [`InputCells`], what they open to.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use scgpt_data::{
    Additions, CellSource, Existing, Layer, MultimodalCells, MultimodalInput, MultimodalOptions,
    Observer as _, Place, Source, SpooledCells, VariableFlavour, Watched, make_cells_table,
    make_copy, make_export, make_mudata_part, make_slots,
};
use scgpt_tasks::{
    Error,
    integrate::{CellModalities, Completed, GeneratedModality, IntegrateReport, ModalitySize},
};

use crate::{
    cells_output::{CellsOutput, note_slots},
    choice::{ChoiceArgs, instead},
    output::{Printer, check_cells_output, check_new, is_table},
    progress::Bar,
    run::Run,
    sample::SampleArgs,
    training::Training,
    warnings::Warnings,
};

/// Options of cells that were measured in several modalities.
#[derive(Debug, Args)]
#[command(next_help_heading = "Modalities")]
pub(super) struct ModalityArgs {
    #[command(flatten)]
    sample: SampleArgs,
    /// Column of var that tells modalities [default: feature_types, where a file has several]
    #[arg(long, value_name = "NAME", env = "SCGPT_MODALITY_KEY")]
    modality_key: Option<String>,
    /// Modalities to use [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    modalities: Vec<String>,
    /// Matrix in obsm with the features of a modality, such as Protein=protein_expression
    #[arg(long, value_name = "MODALITY=NAME")]
    obsm: Option<String>,
    /// What is put before the names of a modality's features, such as Protein=p_
    #[arg(long, value_name = "MODALITY=PREFIX", value_delimiter = ',')]
    prefix: Vec<String>,
    /// Features of every modality but genes that vary most; 0 for all [default: 4000 with --model and for a
    /// mosaic, else 300]
    #[arg(long, value_name = "N")]
    pub(super) other_features: Option<usize>,
    /// Features of single modalities that vary most, such as RNA=1200,ATAC=4000; 0 for all [default:
    /// those of --hvg and --other-features]
    #[arg(long, value_name = "MODALITY=N", value_delimiter = ',')]
    features: Vec<String>,
    /// Measure by which features of open chromatin are chosen [default: tfidf for a new network of a mosaic,
    /// else that of genes]
    #[arg(long, value_name = "MEASURE", value_enum)]
    pub(super) peak_flavour: Option<VariableFlavour>,
    /// Table of which peaks belong to which genes, such as those near them, by which a new network begins:
    /// columns peak, gene and, if the genes of a peak count differently, weight
    #[arg(long, value_name = "FILE")]
    pub(super) links: Option<PathBuf>,
    /// Also write a .h5ad of value bins in all modalities, those that cells were not measured in
    /// generated from the others
    #[arg(long, value_name = "FILE")]
    complete: Option<PathBuf>,
    /// The same cells, measured in everything, with which generated values are compared
    #[arg(long, value_name = "FILE", requires = "complete")]
    truth: Option<PathBuf>,
}

/// Cells of one modality or several.
pub(super) enum InputCells {
    One(Box<Source>, PathBuf),
    Several(Box<MultimodalCells>, Vec<MultimodalInput>),
}

impl ModalityArgs {
    /// Whether options or inputs name modalities.
    pub(super) fn are_named(&self, inputs: &[String]) -> bool {
        let is_mudata =
            |input: &String| Path::new(input).extension().is_some_and(|name| name == "h5mu");
        inputs.len() > 1
            || inputs.iter().any(|input| is_mudata(input) || modality_of(input).is_some())
            || self.sample.are_named()
            || self.modality_key.is_some()
            || self.obsm.is_some()
            || !self.modalities.is_empty()
            || !self.prefix.is_empty()
    }

    /// Opens the inputs, and chooses among their cells.
    pub(super) fn open(
        &self,
        inputs: &[String],
        choice: &ChoiceArgs,
        warnings: &mut Warnings,
    ) -> Result<InputCells> {
        Ok(match self.open_all(inputs)? {
            InputCells::One(source, path) => {
                InputCells::One(Box::new(choice.of(*source, warnings)?), path)
            }
            InputCells::Several(cells, inputs) => {
                InputCells::Several(Box::new(choice.of_several(*cells, warnings)?), inputs)
            }
        })
    }

    /// Opens the inputs; a single file for which no modality is named has several if it says so
    /// itself.
    fn open_all(&self, inputs: &[String]) -> Result<InputCells> {
        // Inputs that name what they measure may be of the same cells.
        let samples = if inputs.iter().any(|input| modality_of(input).is_some()) {
            self.sample.of_inputs(inputs.len())?
        } else {
            self.sample.of_each(inputs.len())?
        };
        let named = |(input, sample): (&String, Option<&str>)| {
            let (modality, path) = match modality_of(input) {
                Some((modality, path)) => (Some(modality.into()), path),
                None => (None, input.as_str()),
            };
            MultimodalInput { path: path.into(), modality, sample: sample.map(Into::into) }
        };
        let inputs: Vec<MultimodalInput> = inputs.iter().zip(samples).map(named).collect();
        if let [only] = inputs.as_slice()
            && only.modality.is_none()
            && !self.are_named(std::slice::from_ref(&only.path.display().to_string()))
        {
            let source = Source::open(&only.path).map_err(|error| instead(&only.path, error))?;
            // Of 10x files other features are left out unless they are asked for.
            if !matches!(source, Source::AnnData(_)) {
                return Ok(InputCells::One(Box::new(source), only.path.clone()));
            }
            let cells = MultimodalCells::open(&inputs, &self.options()?);
            return match cells {
                Ok(cells) if cells.modalities().names().len() > 1 => {
                    Ok(InputCells::Several(Box::new(cells), inputs))
                }
                Err(error @ scgpt_data::Error::Modalities { .. }) => Err(error.into()),
                _ => Ok(InputCells::One(Box::new(source), only.path.clone())),
            };
        }
        if inputs.is_empty() {
            bail!("the cells are needed: name a file");
        }
        let cells = MultimodalCells::open(&inputs, &self.options()?)?;
        Ok(InputCells::Several(Box::new(cells), inputs))
    }

    /// Numbers of features of single modalities.
    pub(super) fn features(&self) -> Result<BTreeMap<String, usize>> {
        let number = |text: &String| {
            let expected = || format!("--features {text}: expected MODALITY=N, such as ATAC=4000");
            let (name, n) = text.split_once('=').with_context(expected)?;
            Ok((name.trim().to_owned(), n.trim().parse().with_context(expected)?))
        };
        self.features.iter().map(number).collect()
    }

    fn options(&self) -> Result<MultimodalOptions> {
        let pair = |text: &str, what: &str| -> Result<(String, String)> {
            let (modality, value) = text
                .split_once('=')
                .with_context(|| format!("--{what} {text}: expected MODALITY=…"))?;
            Ok((modality.to_owned(), value.to_owned()))
        };
        let prefixes: Result<BTreeMap<_, _>> =
            self.prefix.iter().map(|text| pair(text, "prefix")).collect();
        let mut options = MultimodalOptions::default();
        options.modality_key.clone_from(&self.modality_key);
        options.obsm = self.obsm.as_deref().map(|text| pair(text, "obsm")).transpose()?;
        options.prefixes = prefixes?;
        options.keep.clone_from(&self.modalities);
        Ok(options)
    }

    /// Whether modalities that were not measured are to be generated.
    pub(super) fn completes(&self) -> bool {
        self.complete.is_some()
    }

    /// Path of the cells with which generated values are compared.
    pub(super) fn truth(&self) -> Option<&Path> {
        self.truth.as_deref()
    }

    /// Path of the completed cells, and the cells with which they are compared.
    pub(super) fn completion(
        &self,
        cells: &InputCells,
        training: &Training,
    ) -> Result<(Option<&Path>, Option<MultimodalCells>)> {
        let Some(path) = self.complete.as_deref() else { return Ok((None, None)) };
        if matches!(cells, InputCells::One(..)) {
            bail!(
                "--complete: the cells were measured in one modality, there is nothing to complete"
            );
        }
        training.check(path, |existing| {
            check_cells_output(path, cells.paths().chain(self.truth()), existing)
        })?;
        let input =
            |path: &PathBuf| MultimodalInput { path: path.clone(), modality: None, sample: None };
        let truth = self.truth.as_ref().map(|path| -> Result<MultimodalCells> {
            Ok(MultimodalCells::open(&[input(path)], &self.options()?)?)
        });
        Ok((Some(path), truth.transpose()?))
    }
}

/// `RNA=cells.h5ad` → `RNA` and the file. A path may have an equals sign behind a slash.
fn modality_of(input: &str) -> Option<(&str, &str)> {
    let (modality, path) = input.split_once('=')?;
    (!modality.contains(['/', '.']) && !modality.is_empty()).then_some((modality, path))
}

impl InputCells {
    pub(super) fn source(&self) -> &dyn CellSource {
        match self {
            Self::One(source, _) => source.as_ref(),
            Self::Several(cells, _) => cells.as_ref(),
        }
    }

    pub(super) fn source_mut(&mut self) -> &mut dyn CellSource {
        match self {
            Self::One(source, _) => source.as_mut(),
            Self::Several(cells, _) => cells.as_mut(),
        }
    }

    /// Paths of the inputs.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        let (one, several) = match self {
            Self::One(_, path) => (Some(path.as_path()), [].as_slice()),
            Self::Several(_, inputs) => (None, inputs.as_slice()),
        };
        one.into_iter().chain(several.iter().map(|input| input.path.as_path()))
    }

    /// What the features measure and in what each cell was measured, if there are several
    /// modalities.
    pub(super) fn modalities(&mut self, layer: &Layer) -> Result<Option<CellModalities>> {
        let Self::Several(cells, _) = self else { return Ok(None) };
        let measured = cells.measured(layer)?;
        Ok(Some(CellModalities { modalities: cells.modalities().clone(), measured }))
    }

    fn is_mudata(&self) -> bool {
        matches!(self, Self::Several(cells, _) if cells.summary().format == "MuData")
    }

    /// Checks that the output can be written; MuData can be written only for an input of MuData.
    pub(super) fn check_output<'a>(
        &self,
        output: &Path,
        inputs: impl Iterator<Item = &'a Path>,
        existing: Existing,
    ) -> Result<()> {
        if self.is_mudata() && output.extension().is_some_and(|extension| extension == "h5mu") {
            return Ok(check_new(output, inputs, existing)?);
        }
        if is_table(output) {
            return Ok(check_new(output, inputs, existing)?);
        }
        check_cells_output(output, inputs, existing)
    }

    /// A copy of the one input, or the joined cells of several, with what was found; to be
    /// published by the caller.
    pub(super) fn make(
        &mut self,
        output: &Path,
        layer: &Layer,
        existing: Existing,
        mut additions: Additions,
        bar: &Bar,
        printer: Printer,
    ) -> Result<Place> {
        let is_mudata = self.is_mudata();
        match self {
            Self::One(source, input) => {
                let cells = CellsOutput { input, output, layer, existing };
                Ok(cells.make(source, additions, bar, printer)?.0)
            }
            Self::Several(cells, inputs) if is_table(output) => {
                Run::current().writes(&additions);
                let input = inputs[0].path.as_path();
                Ok(make_cells_table(&cells.obs()?, &additions, input, output, existing)?)
            }
            Self::Several(cells, inputs) => {
                note_slots(cells.as_ref(), cells.joined(), &mut additions, printer)?;
                if Run::current().host.takes_slots() {
                    return Ok(make_slots(cells.as_ref(), &additions, output, existing)?);
                }
                let to_mudata = output.extension().is_some_and(|extension| extension == "h5mu");
                // Other formats, those of 10x, have no room for an embedding.
                let can_copy = |path| matches!(Source::open(path), Ok(Source::AnnData(_)));
                let place = match (inputs.as_slice(), cells.chosen()) {
                    ([only], chosen)
                        if is_mudata == to_mudata
                            && only.sample.is_none()
                            && (is_mudata || chosen.is_none() && can_copy(&only.path)) =>
                    {
                        bar.begin("writing", 0);
                        let input = only.path.as_path();
                        let (place, report) = match chosen {
                            Some(chosen) => {
                                make_mudata_part(input, chosen, output, &additions, existing)?
                            }
                            None => make_copy(input, output, &additions, existing)?,
                        };
                        for element in report.skipped {
                            printer.lacking(&element);
                        }
                        place
                    }
                    _ => {
                        bar.begin("writing", cells.summary().n_cells);
                        let mut source = Watched { source: cells.as_mut(), observer: bar };
                        make_export(&mut source, layer, output, &additions, existing)
                            .map_err(Error::from)?
                    }
                };
                bar.finish();
                Ok(place)
            }
        }
    }
}

/// The value bins of all modalities as a file, to be published by the caller.
pub(super) fn make_completed(
    completed: Completed,
    source: &dyn CellSource,
    path: &Path,
    existing: Existing,
) -> Result<Place> {
    let mut cells = SpooledCells::new(source.obs()?, completed.features, completed.rows);
    Ok(make_export(&mut cells, &Layer::X, path, &Additions::default(), existing)?)
}

/// Lines of the summary about modalities.
pub(super) fn summary(report: &IntegrateReport) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let sizes = report.data.modalities.iter().map(|modality| {
        let cells: usize = modality.cells.iter().sum();
        let ModalitySize { name, features, .. } = modality;
        format!("{name}: {features} features{}, {cells} cells", modality.chosen_by())
    });
    let sizes: Vec<String> = sizes.collect();
    if !sizes.is_empty() {
        lines.push(("modalities", sizes.join("\n")));
    }
    lines.extend(report.data.links.as_ref().map(|links| ("links", links.sentence())));
    lines.extend(report.mosaic.as_ref().map(|mosaic| ("mosaic", mosaic.to_string())));
    let line = |modality: &GeneratedModality| {
        let GeneratedModality { modality, by, scores, ridge, type_mean, foscttm, .. } = modality;
        let scores = (*scores)?;
        let mut line = format!(
            "{modality} of {} cells by {by}: error {:.2}, correlation {:.3} (the mean: {:.2}",
            scores.cells, scores.error, scores.correlation, scores.mean_error
        );
        for (name, scores) in [("ridge", ridge), ("means of types", type_mean)] {
            if let Some(scores) = scores {
                let _ = write!(line, "; {name}: {:.2}, {:.3}", scores.error, scores.correlation);
            }
        }
        line.push(')');
        if let Some(share) = foscttm {
            let _ = write!(line, ", FOSCTTM {share:.3}");
        }
        Some(line)
    };
    let generated: Vec<String> = report.generated.iter().filter_map(line).collect();
    if !generated.is_empty() {
        lines.push(("generated", generated.join("\n")));
    }
    lines
}
