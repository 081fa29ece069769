//! The Arrow schema of a shard, and what its metadata says.
//!
//! No column may hold nulls: what a training reads is a slice of the file as it is. The metadata
//! have the hash of the vocabulary, since tokens of another one would be read as other genes
//! without any error, and the [`InputState`] of the values.

use std::{collections::HashMap, sync::Arc};

use arrow_schema::{DataType, Field, Schema};

use super::manifest::LabelColumn;
use crate::state::InputState;

pub(super) const ID: &str = "id";
pub(super) const GENES: &str = "genes";
pub(super) const EXPRESSIONS: &str = "expressions";
/// Columns that are no labels.
pub(super) const FIXED: [&str; 3] = [ID, GENES, EXPRESSIONS];

/// Metadata keys.
pub(super) const VOCAB_SHA256: &str = "scgpt.vocab_sha256";
const INPUT_STATE: &str = "scgpt.input_state";

/// The schema of a shard whose cells are all in one state.
pub(super) fn schema(labels: &[LabelColumn], vocab_sha256: &str, state: InputState) -> Schema {
    let mut fields = vec![
        Field::new(ID, DataType::Int64, false),
        Field::new(GENES, DataType::List(item(DataType::UInt32)), false),
        Field::new(EXPRESSIONS, DataType::List(item(DataType::Float32)), false),
    ];
    fields.extend(labels.iter().map(|label| Field::new(&label.column, DataType::Int32, false)));
    let metadata = [(VOCAB_SHA256, vocab_sha256), (INPUT_STATE, state.as_str())];
    Schema::new_with_metadata(
        fields,
        HashMap::from(metadata.map(|(key, value)| (key.to_owned(), value.to_owned()))),
    )
}

/// The field of the items of a list.
pub(super) fn item(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new_list_field(data_type, false))
}

/// What is wrong with the schema of a file, compared with the manifest.
pub(super) fn check(
    found: &Schema,
    labels: &[LabelColumn],
    vocab_sha256: &str,
) -> Result<(), String> {
    let expected = schema(labels, vocab_sha256, InputState::Counts);
    if found.fields() != expected.fields() {
        let names = |schema: &Schema| {
            let fields = schema.fields().iter();
            fields
                .map(|field| format!("{}: {}", field.name(), field.data_type()))
                .collect::<Vec<_>>()
                .join(", ")
        };
        return Err(format!("columns are {}; expected {}", names(found), names(&expected)));
    }
    match found.metadata().get(VOCAB_SHA256) {
        Some(hash) if hash == vocab_sha256 => Ok(()),
        Some(hash) => Err(format!(
            "made with another vocabulary (SHA-256 {hash}, the folder's is {vocab_sha256})"
        )),
        None => Err(format!("metadata `{VOCAB_SHA256}` is missing")),
    }
}
