//! Token shards: cells as gene tokens and values in memory-mapped Arrow files, for training.
//!
//! ```text
//! shards/
//!   manifest.json         what there is: shards with their hashes, sources, labels
//!   vocab.json            the vocabulary of the gene tokens
//!   shard-00000.arrow     Arrow IPC file, uncompressed
//!     id           int64            number of the cell among all cells of all sources
//!     genes        list<uint32>     gene tokens, ascending
//!     expressions  list<float32>    values as in the source, none zero
//!     <column>     int32            code of a label of `obs`, −1 if missing
//! ```
//!
//! Values are neither binned nor masked, nor are genes sampled: all that is decided anew in every
//! epoch.

mod domains;
#[cfg(feature = "cloud")]
mod fetched;
mod file;
mod folder;
mod joined;
mod manifest;
mod order;
mod pack;
mod permutation;
mod schema;
mod sink;
mod writer;

#[cfg(feature = "cloud")]
pub use self::fetched::{FetchedShards, ShardCache};
pub use self::{
    domains::{DomainBatches, DomainOrder},
    folder::{ShardFolder, ShardLabels},
    joined::{check_shard_part, find_shard_parts, join_shards},
    manifest::{LabelColumn, LabelKind, Manifest, ShardEntry, ShardPart, SourceEntry, VocabEntry},
    order::{CellSplit, EpochOrder},
    writer::{ShardOptions, ShardWriter, write_shards},
};

#[cfg(test)]
mod tests;
