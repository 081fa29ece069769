//! [`Manifest`]: what a folder of shards holds, and where it came from.

use std::{ops::Range, path::Path};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    divided::DividedCells,
    error::{Error, Result},
    frame::Column,
    hex::hex,
    part_number::PartNumber,
    regular,
    state::InputState,
    summary::CellChoice,
};

/// Names of files in a folder of shards.
pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const VOCABULARY: &str = "vocab.json";

/// The word by which a manifest is known.
const FORMAT: &str = "scgpt-shards";
/// The version this program writes, and the only one it reads.
const VERSION: u32 = 1;

const REMEDY: &str = "make the shards again with `scgpt convert`";

/// What a folder of shards holds: `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// `scgpt-shards`.
    pub format: String,
    /// Version of the format.
    pub version: u32,
    /// Program that wrote it, with its version.
    pub program: String,
    /// Most cells of a shard, as it was asked for.
    pub shard_cells: u64,
    /// Number of cells.
    pub n_cells: u64,
    /// Number of gene tokens of all cells.
    pub n_tokens: u64,
    /// The vocabulary.
    pub vocab: VocabEntry,
    /// The files, in the order of their cells.
    pub shards: Vec<ShardEntry>,
    /// The kept columns of `obs`.
    pub labels: Vec<LabelColumn>,
    /// Where the cells come from, in order.
    pub sources: Vec<SourceEntry>,
    /// Which part of a source these cells are, if they are not all that there are to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<ShardPart>,
}

/// Which part of the cells of a source a folder of shards has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardPart {
    /// Its number, and of how many.
    pub part: PartNumber,
    /// The cells that are divided.
    pub of: DividedCells,
    /// The command line, with `I/N` for the part.
    pub line: String,
}

impl ShardPart {
    /// Its rows among the cells that are divided.
    pub fn rows(&self) -> Range<usize> {
        self.part.rows(self.of.n_cells)
    }
}

/// The vocabulary of a folder of shards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VocabEntry {
    /// Name of the file in the folder.
    pub file: String,
    /// Number of tokens, special ones included.
    pub n_tokens: usize,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// One shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardEntry {
    /// Name of the file in the folder.
    pub file: String,
    /// Number of cells.
    pub cells: u64,
    /// Number of gene tokens.
    pub tokens: u64,
    /// Length of the file.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// A kept column of `obs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelColumn {
    /// Name of the column.
    pub column: String,
    /// Distinct labels; a code is an index into them.
    pub categories: Vec<String>,
    /// What they are, as far as all sources agree.
    #[serde(default, skip_serializing_if = "LabelKind::is_text")]
    pub kind: LabelKind,
}

/// What the labels of a column are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelKind {
    /// Text.
    #[default]
    Text,
    /// Real numbers.
    Float,
    /// Whole numbers.
    Integer,
    /// Truth values.
    Boolean,
}

impl LabelKind {
    /// That of the labels of a column.
    pub(super) fn of(column: &Column) -> Self {
        match column {
            Column::Float(_) => Self::Float,
            Column::Integer(_) => Self::Integer,
            Column::Boolean(_) => Self::Boolean,
            Column::Text(_) | Column::Categorical { .. } => Self::Text,
        }
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_text(&self) -> bool {
        *self == Self::Text
    }
}

/// One source of cells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceEntry {
    /// Path of the file or folder.
    pub path: String,
    /// Its format, in words.
    pub format: String,
    /// Name of the matrix that was read.
    pub layer: String,
    /// What its values are, judged by its first cells.
    pub input_state: InputState,
    /// `id` of its first cell.
    pub first_id: u64,
    /// Number of all its cells.
    pub cells: u64,
    /// Number of its cells that express no known gene, and are left out.
    pub skipped_cells: u64,
    /// Number of its cells that express what another cell of the folder does, and are left out, if such are.
    #[serde(default, skip_serializing_if = "is_none")]
    pub duplicates: u64,
    /// Number of its genes.
    pub genes: usize,
    /// Number of its genes that are in the vocabulary.
    pub known_genes: usize,
    /// Where the names of its genes were found.
    pub gene_column: String,
    /// Which of its cells were read, if they were chosen by a condition; `cells` counts these alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<CellChoice>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none(number: &u64) -> bool {
    *number == 0
}

impl Manifest {
    pub(super) fn new(vocab: VocabEntry, labels: Vec<LabelColumn>, shard_cells: u64) -> Self {
        Self {
            format: FORMAT.into(),
            version: VERSION,
            program: concat!("scgpt ", env!("CARGO_PKG_VERSION")).into(),
            shard_cells,
            n_cells: 0,
            n_tokens: 0,
            vocab,
            shards: Vec::new(),
            labels,
            sources: Vec::new(),
            part: None,
        }
    }

    /// Reads the manifest of a folder and checks that its numbers agree.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST);
        let text = regular::read(&path).map_err(|error| Error::open(&path, error))?;
        Self::of(&path, &text)
    }

    /// The manifest with this text, and whether its numbers agree. `path` is for messages.
    pub(super) fn of(path: &Path, text: &[u8]) -> Result<Self> {
        let broken = |problem: String| Error::invalid(path, "manifest", problem).with_hint(REMEDY);
        // The word and the version first: another version may have other members.
        let head: Head = serde_json::from_slice(text)
            .map_err(|error| broken(format!("no manifest of token shards: {error}")))?;
        if head.format != FORMAT {
            return Err(broken(format!("format is `{}`, expected `{FORMAT}`", head.format)));
        }
        if head.version != VERSION {
            return Err(broken(format!(
                "format version {}, this program reads version {VERSION}",
                head.version
            )));
        }
        let manifest: Self =
            serde_json::from_slice(text).map_err(|error| broken(error.to_string()))?;
        let sum = |of: fn(&ShardEntry) -> u64| {
            manifest.shards.iter().try_fold(0_u64, |sum, shard| sum.checked_add(of(shard)))
        };
        for (what, said, counted) in [
            ("n_cells", manifest.n_cells, sum(|shard| shard.cells)),
            ("n_tokens", manifest.n_tokens, sum(|shard| shard.tokens)),
        ] {
            if counted != Some(said) {
                return Err(broken(format!(
                    "{what} is {said}, but the shards add up to another number"
                )));
            }
        }
        // A name is joined to the folder, and must not lead out of it.
        let files = manifest.shards.iter().map(|shard| &shard.file);
        for file in files.chain([&manifest.vocab.file]) {
            if Path::new(file).file_name() != Some(file.as_ref()) {
                return Err(broken(format!("`{file}` is no plain file name")));
            }
        }
        Ok(manifest)
    }

    /// SHA-256 of the tokens and columns of all shards, in lower-case hexadecimal: equal for equal shards, wherever
    /// they are.
    pub fn content_hash(&self) -> String {
        let mut hash = Sha256::new();
        self.shards.iter().for_each(|shard| hash.update(&shard.sha256));
        hex(&hash.finalize())
    }

    /// Whether a folder says that it holds token shards, of any version.
    pub(super) fn is_in(folder: &Path) -> bool {
        std::fs::read(folder.join(MANIFEST))
            .ok()
            .and_then(|text| serde_json::from_slice::<Head>(&text).ok())
            .is_some_and(|head| head.format == FORMAT)
    }

    pub(super) fn write(&self, folder: &Path) -> std::io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        std::fs::write(folder.join(MANIFEST), text)
    }
}

#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}
