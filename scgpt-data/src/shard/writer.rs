//! [`ShardWriter`]: cells of any sources to a folder of token shards.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::mpsc::{SyncSender, sync_channel},
    thread,
};

use sha2::{Digest, Sha256};

use super::{
    folder::ShardFolder,
    manifest::{
        LabelColumn, LabelKind, MANIFEST, Manifest, ShardPart, SourceEntry, VOCABULARY, VocabEntry,
    },
    pack::{self, Cell},
    schema::{self, FIXED},
    sink::{self, Sink},
};
use crate::{
    cell_source::{CellSource, ReadBlocks as _},
    csr::Csr,
    error::{Error, Result},
    frame::Frame,
    hex::hex,
    names::similar_names,
    output::{Existing, OutputKind, Place, check_apart},
    setting::{Advice, Setting},
    state::{InputState, StateDetector},
    summary::Layer,
    vocab::{Alignment, GeneNames, GeneVocab},
};

/// Cells read at a time.
const BLOCK: usize = 1024;
/// The first blocks, so many of them, whose values tell the input state.
const STATE_BLOCKS: usize = 2;

/// How token shards are made.
///
/// ```no_run
/// use scgpt_data::{GeneVocab, ShardOptions, Source, write_shards};
///
/// let vocab = GeneVocab::from_json("vocab.json")?;
/// let mut options = ShardOptions::default();
/// options.labels = vec!["batch".into()];
/// let manifest = write_shards([&mut Source::open("cells.h5ad")? as _], &vocab, "shards", options)?;
/// println!("{} shards", manifest.shards.len());
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ShardOptions {
    /// Most cells of a file.
    pub shard_cells: usize,
    /// The matrix that is read of every source.
    pub layer: Layer,
    /// Where the names of genes are, and how many genes have to be known.
    pub gene_names: GeneNames,
    /// Columns of `obs` to keep, as codes.
    pub labels: Vec<String>,
    /// Whether a source may lack columns of `labels`; its cells then have none.
    pub may_lack_labels: bool,
    /// Whether a cell is left out that expresses the genes of the vocabulary exactly as one before it, of
    /// whichever source: studies are published more than once. Memory: about 16 bytes a cell.
    pub unique: bool,
    /// What happens to a folder of token shards that exists.
    pub existing: Existing,
    /// Which part of the cells of its one source the folder is to have: cells are numbered among all, and there may be
    /// none. Such parts become one folder by [`join_shards`](super::join_shards).
    pub part: Option<ShardPart>,
}

impl Default for ShardOptions {
    fn default() -> Self {
        Self {
            shard_cells: 50_000,
            layer: Layer::X,
            gene_names: GeneNames::BEST,
            labels: Vec::new(),
            may_lack_labels: false,
            unique: false,
            existing: Existing::Refuse,
            part: None,
        }
    }
}

/// Writes a folder of token shards, which appears whole by [`finish`](Self::finish), or not at all.
///
/// Memory: a block of 1024 cells of the source, and a batch of at most 2048 cells.
#[allow(missing_debug_implementations, reason = "the writer of Arrow files cannot be printed")]
pub struct ShardWriter {
    folder: PathBuf,
    place: Place,
    vocab: GeneVocab,
    options: ShardOptions,
    manifest: Manifest,
    /// The code of every label, by column.
    codes: Vec<HashMap<String, i32>>,
    /// The shard under construction, and the state of its values.
    sink: Option<(Sink, InputState)>,
    /// What the cells so far express, if no two are to express the same.
    seen: HashSet<u64>,
    /// `id` of the next cell.
    next_id: u64,
}

impl ShardWriter {
    /// Begins a folder of token shards, whose gene tokens are those of `vocab`.
    ///
    /// # Errors
    /// [`Error::Exists`] if the folder exists and overwriting was not asked for; [`Error::Protected`]
    /// if what exists is something else than token shards, which is never replaced; [`Error::Option`]
    /// if an option cannot work; [`Error::Write`] if nothing can be written there.
    pub fn create(
        folder: impl AsRef<Path>,
        vocab: &GeneVocab,
        options: ShardOptions,
    ) -> Result<Self> {
        let folder = folder.as_ref();
        options.check()?;
        let place = Place::folder(folder, options.existing, OutputKind::SHARDS)?;
        let built = place.path();
        let failed = |error| Error::write(folder, error);
        std::fs::create_dir(&built).map_err(failed)?;
        vocab.write_json(built.join(VOCABULARY))?;
        let text = std::fs::read(built.join(VOCABULARY)).map_err(failed)?;
        let entry = VocabEntry {
            file: VOCABULARY.into(),
            n_tokens: vocab.len(),
            sha256: hex(&Sha256::digest(&text)),
        };
        let columns = options.labels.iter().cloned();
        let labels = columns.map(|column| LabelColumn { column, ..LabelColumn::default() });
        let mut manifest = Manifest::new(entry, labels.collect(), options.shard_cells as u64);
        manifest.part.clone_from(&options.part);
        let next_id = options.part.as_ref().map_or(0, |part| part.rows().start as u64);
        Ok(Self {
            folder: folder.into(),
            place,
            vocab: vocab.clone(),
            manifest,
            codes: vec![HashMap::new(); options.labels.len()],
            options,
            sink: None,
            seen: HashSet::new(),
            next_id,
        })
    }

    /// Appends all cells of a source, streaming. Genes that are not in the vocabulary are dropped,
    /// and so are cells that express none that is; both are counted.
    ///
    /// Rows hold gene tokens in ascending order, so tokens made from them are those made from the
    /// source, up to order and [`Sampling::Head`](crate::Sampling::Head).
    ///
    /// # Errors
    /// If the source cannot be read, has no cells or lacks a column, if too few of its genes are
    /// known, or if a file cannot be written. The writer is of no use then.
    pub fn add_source(&mut self, source: &mut dyn CellSource) -> Result<SourceEntry> {
        let layer = self.options.layer.clone();
        let (n_cells, n_genes) = source.summary().shape(&layer)?;
        let path = source.summary().path.clone();
        check_apart(&self.folder, [path.as_path()])?;
        let var = source.var(&layer)?;
        let alignment = self.vocab.align(&var, &self.options.gene_names)?;
        let codes = self.label_codes(&path, &source.obs()?, n_cells)?;
        let mut entry = SourceEntry {
            path: path.display().to_string(),
            format: source.summary().format.clone(),
            layer: layer.to_string(),
            input_state: InputState::Counts,
            first_id: self.next_id,
            cells: n_cells as u64,
            skipped_cells: 0,
            duplicates: 0,
            genes: n_genes,
            known_genes: alignment.matched(),
            gene_column: alignment.column.clone(),
            chosen: source.summary().chosen.clone(),
        };
        // Of a part it is what the values of all cells are.
        let told = source.summary().values.as_ref();
        let told = told.and_then(|(of, values)| (*of == layer).then_some(values.state));
        // The file is read while the cells before are written.
        let (sender, receiver) = sync_channel(1);
        thread::scope(|scope| {
            scope.spawn(move || read(source, &layer, &sender));
            // An error drops the receiver, and the reader stops at its next block.
            let mut blocks = receiver.into_iter();
            let head: Vec<_> = blocks.by_ref().take(STATE_BLOCKS).collect::<Result<_>>()?;
            let mut detector = StateDetector::default();
            for (_, block) in &head {
                detector.observe(block);
            }
            entry.input_state = told.unwrap_or_else(|| detector.state());
            if entry.input_state == InputState::Scaled {
                let problem = "has negative values, expected counts or log1p";
                let remedy =
                    Advice::from("choose the matrix before scaling by ") + Setting("layer");
                let place = self.options.layer.to_string();
                return Err(Error::invalid(&path, place, problem).with_hint(remedy));
            }
            for block in head.into_iter().map(Ok).chain(blocks) {
                let (first, block) = block?;
                let of = Block { cells: &block, first, alignment: &alignment, codes: &codes };
                let left_out = self.append(&of, entry.input_state)?;
                entry.skipped_cells += left_out.skipped;
                entry.duplicates += left_out.duplicates;
            }
            Ok::<_, Error>(())
        })?;
        self.next_id += n_cells as u64;
        self.manifest.sources.push(entry.clone());
        Ok(entry)
    }

    /// Leaves out further cells that express exactly what a cell of `others` does, which have the same
    /// vocabulary, such as those that a network has learned from; they are counted as duplicates.
    ///
    /// # Errors
    /// If the vocabularies differ, the shards are damaged, or cells need not be [`unique`](ShardOptions::unique).
    pub fn leave_out(&mut self, others: &ShardFolder) -> Result<()> {
        others.check_vocab(&self.vocab)?;
        if !self.options.unique {
            return Err(Setting("unique").wrong("is false, but cells are to be left out").into());
        }
        for cell in 0..others.n_cells() {
            let row = others.cell(cell)?;
            let tokens = row.indices.iter().copied().zip(row.values.iter().copied());
            self.seen.insert(pack::content(tokens));
        }
        Ok(())
    }

    /// Completes the folder and puts it in its place.
    ///
    /// # Errors
    /// If no cell was written, or the folder cannot be put in its place; nothing is left behind
    /// then.
    pub fn finish(mut self) -> Result<Manifest> {
        if let Some((sink, _)) = self.sink.take() {
            self.close(sink)?;
        }
        let sum = |of: fn(&super::ShardEntry) -> u64| self.manifest.shards.iter().map(of).sum();
        self.manifest.n_cells = sum(|shard| shard.cells);
        self.manifest.n_tokens = sum(|shard| shard.tokens);
        if self.manifest.n_cells == 0 && self.manifest.part.is_none() {
            return Err(Error::Option(format!(
                "`{}` would hold no cells: none expresses a gene of the vocabulary",
                self.folder.display()
            )));
        }
        let built = self.place.path();
        self.manifest
            .write(&built)
            .map_err(|error| Error::write(self.folder.join(MANIFEST), error))?;
        self.place.publish()?;
        Ok(self.manifest)
    }

    /// Appends a block; returns how many of its cells were left out.
    fn append(&mut self, block: &Block<'_>, state: InputState) -> Result<LeftOut> {
        let mut left_out = LeftOut::default();
        for (row, cell) in pack::cells(block.cells, block.alignment).iter().enumerate() {
            if cell.is_empty() {
                left_out.skipped += 1;
                continue;
            }
            if self.options.unique && !self.seen.insert(pack::content(cell.iter().copied())) {
                left_out.duplicates += 1;
                continue;
            }
            let number = block.first + row;
            let id = self.next_id + number as u64;
            self.push(id, cell, state, |column| block.codes[column][number])?;
        }
        Ok(left_out)
    }

    /// Appends a cell; `code` gives its code in a label column.
    pub(super) fn push(
        &mut self,
        id: u64,
        cell: &Cell,
        state: InputState,
        code: impl Fn(usize) -> i32,
    ) -> Result<()> {
        let mut sink = self.sink(state)?;
        sink.push(id, cell, code).map_err(|error| Error::write(&self.folder, error))?;
        if sink.cells() < self.options.shard_cells as u64 {
            self.sink = Some((sink, state));
            return Ok(());
        }
        self.close(sink)
    }

    /// Tells where the cells that were pushed are from.
    pub(super) fn describe(&mut self, source: SourceEntry) {
        self.manifest.sources.push(source);
    }

    /// The code here of every category of label columns that are called like those of this folder; new ones join.
    pub(super) fn codes_of(&mut self, labels: &[LabelColumn]) -> Vec<Vec<i32>> {
        let columns = self.manifest.labels.iter_mut().zip(&mut self.codes).zip(labels);
        columns
            .map(|((label, known), other)| {
                label.agree(known.is_empty(), other.kind);
                other.categories.iter().map(|name| code(label, known, name)).collect()
            })
            .collect()
    }

    /// The shard under construction, or a new one. All cells of a file are in the state that its
    /// metadata names.
    fn sink(&mut self, state: InputState) -> Result<Sink> {
        match self.sink.take() {
            Some((sink, of)) if of == state => return Ok(sink),
            Some((sink, _)) => self.close(sink)?,
            None => {}
        }
        let schema = schema::schema(&self.manifest.labels, &self.manifest.vocab.sha256, state);
        Sink::create(&self.place.path(), self.manifest.shards.len(), schema)
            .map_err(|error| Error::write(&self.folder, error))
    }

    /// Completes a shard.
    fn close(&mut self, sink: Sink) -> Result<()> {
        let entry = sink.finish().map_err(|error| Error::write(&self.folder, error))?;
        self.manifest.shards.push(entry);
        Ok(())
    }

    /// The code of every cell in every label column; new labels become categories.
    fn label_codes(&mut self, path: &Path, obs: &Frame, n_cells: usize) -> Result<Vec<Vec<i32>>> {
        let columns = self.manifest.labels.iter_mut().zip(&mut self.codes);
        columns
            .map(|(label, known)| {
                if self.options.may_lack_labels && obs.column(&label.column).is_none() {
                    return Ok(vec![-1; n_cells]);
                }
                let column = obs.column(&label.column).ok_or_else(|| {
                    let names: Vec<&str> = obs.names().collect();
                    let hint = similar_names(&label.column, names.iter().copied()).hint();
                    let problem = format!("no such column (there are: {}){hint}", names.join(", "));
                    Error::invalid(path, format!("obs/{}", label.column), problem).with_hint(
                        Advice::from("name columns by ") + Setting("obs") + " that every input has",
                    )
                })?;
                label.agree(known.is_empty(), LabelKind::of(column));
                let labels = column.labels();
                if labels.len() != n_cells {
                    return Err(Error::invalid(
                        path,
                        format!("obs/{}", label.column),
                        format!("{} rows for {n_cells} cells", labels.len()),
                    ));
                }
                Ok(labels
                    .into_iter()
                    .map(|name| name.map_or(-1, |name| code(label, known, &name)))
                    .collect())
            })
            .collect()
    }
}

impl LabelColumn {
    /// What its labels are, of which further ones are of some kind; it has none yet if `is_first`.
    fn agree(&mut self, is_first: bool, kind: LabelKind) {
        self.kind = if is_first || self.kind == kind { kind } else { LabelKind::Text };
    }
}

/// The code of a label among those that are known, one of which it is from now on.
fn code(column: &mut LabelColumn, known: &mut HashMap<String, i32>, name: &str) -> i32 {
    if let Some(&code) = known.get(name) {
        return code;
    }
    // There are fewer labels than cells, and fewer than 2³¹ of those at once.
    let next = i32::try_from(known.len()).unwrap_or(-1);
    known.insert(name.to_owned(), next);
    column.categories.push(name.to_owned());
    next
}

/// Writes all cells of `sources`, one after the other, as token shards of `vocab`.
///
/// # Errors
/// As [`ShardWriter`]; nothing is left behind then.
pub fn write_shards<'a>(
    sources: impl IntoIterator<Item = &'a mut dyn CellSource>,
    vocab: &GeneVocab,
    folder: impl AsRef<Path>,
    options: ShardOptions,
) -> Result<Manifest> {
    let mut writer = ShardWriter::create(folder, vocab, options)?;
    for source in sources {
        writer.add_source(source)?;
    }
    writer.finish()
}

/// How many cells were left out.
#[derive(Default)]
struct LeftOut {
    /// They express no known gene.
    skipped: u64,
    /// They express what another one does.
    duplicates: u64,
}

/// A block of a source, whose first cell is number `first` in it.
struct Block<'a> {
    cells: &'a Csr,
    first: usize,
    alignment: &'a Alignment,
    codes: &'a [Vec<i32>],
}

type Read = Result<(usize, Csr)>;

fn read(source: &mut dyn CellSource, layer: &Layer, sender: &SyncSender<Read>) {
    for block in source.blocks(layer, BLOCK) {
        if sender.send(block.map(|(cells, block)| (cells.start, block))).is_err() {
            return;
        }
    }
}

impl OutputKind {
    /// A folder of token shards.
    pub const SHARDS: Self = Self {
        name: "a folder of token shards",
        is_one: Manifest::is_in,
        holds: |entry| {
            let name = entry.file_name().unwrap_or_default().to_string_lossy();
            name == MANIFEST || name == VOCABULARY || sink::is_shard(&name)
        },
    };
}

impl ShardOptions {
    fn check(&self) -> Result<()> {
        if self.shard_cells == 0 {
            return Err(Setting("shard_cells").zero().into());
        }
        let mut seen = HashSet::from(FIXED);
        if let Some(twice) = self.labels.iter().find(|label| !seen.insert(label)) {
            return Err(Error::Option(format!(
                "label column `{twice}` is asked for twice, or is a column of every shard ({})",
                FIXED.join(", ")
            )));
        }
        Ok(())
    }
}
