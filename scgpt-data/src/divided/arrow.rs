//! What Arrow calls the columns of a part: with it, readers of parquet know that lists have a fixed size.

use std::sync::Arc;

use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions};
use arrow_schema::{DataType, Field, Schema};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::frame::Column;

/// The key of the metadata that Arrow's readers of parquet look for.
pub(super) const ARROW: &str = "ARROW:schema";
/// Name of the values of a list.
pub(super) const ELEMENT: &str = "element";

/// Columns with their kinds, and matrices with their widths, as Arrow describes them: a message in base64, behind a
/// mark and its length.
pub(super) fn schema<'a>(
    columns: impl Iterator<Item = (&'a str, &'a Column)>,
    matrices: &[(String, usize)],
) -> String {
    let column = |(name, column): (&str, &Column)| {
        let kind = match column {
            Column::Float(_) => DataType::Float64,
            Column::Integer(_) => DataType::Int64,
            Column::Boolean(_) => DataType::Boolean,
            _ => DataType::Utf8,
        };
        Field::new(name, kind, true)
    };
    let element = Arc::new(Field::new(ELEMENT, DataType::Float32, false));
    let matrix = |(name, width): &(String, usize)| {
        let width = i32::try_from(*width).unwrap_or(i32::MAX);
        Field::new(name, DataType::FixedSizeList(Arc::clone(&element), width), false)
    };
    let fields: Vec<Field> = columns.map(column).chain(matrices.iter().map(matrix)).collect();
    let message = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(
        &Schema::new(fields),
        &mut DictionaryTracker::new(true),
        &IpcWriteOptions::default(),
    );
    let message = message.ipc_message;
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_le_bytes();
    BASE64_STANDARD.encode([&[0xff; 4], &length[..], &message].concat())
}
