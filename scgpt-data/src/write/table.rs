//! Tables of the first AnnData versions: one array of records in HDF5, one field a column.

use hdf5_pure::{Datatype, DatatypeByteOrder, File};
use serde_json::json;

use super::{
    anndata,
    element::{Dtype, Sink, array},
};
use crate::error::{Error, Result};

/// Writes the array of records at `place` of `file` as what AnnData has there today, so that
/// columns can be added: a table (`obs`, `var`) or a dictionary of arrays (`obsm`). Integer columns
/// with names in `uns/<column>_categories` become categoricals.
///
/// Fields that have no counterpart are added to `skipped`.
pub(super) fn split(
    file: &File,
    place: &str,
    sink: &mut dyn Sink,
    skipped: &mut Vec<String>,
) -> Result<()> {
    let failed = |error| Error::read("", place, error);
    let dataset = file.dataset(place).map_err(failed)?;
    let Datatype::Compound { size, members } = dataset.datatype().map_err(failed)? else {
        return Err(Error::invalid("", place, "a table or a group was expected"));
    };
    let bytes = dataset.read_raw().map_err(failed)?;
    let records: Vec<&[u8]> = bytes.chunks_exact(size.max(1) as usize).collect();
    let is_table = !place.ends_with('m');
    let mut attrs = anndata::dict();
    if is_table {
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        attrs = anndata::encoding("dataframe", "0.2.0");
        attrs.insert("_index".into(), json!(names.first()));
        attrs.insert("column-order".into(), json!(names.get(1..)));
    }
    sink.remove(place)?;
    sink.group(place, &attrs)?;
    for member in &members {
        let begin = usize::try_from(member.byte_offset).unwrap_or(usize::MAX);
        let field = begin..begin.saturating_add(member.datatype.type_size() as usize);
        let cells = records.iter().filter_map(|record| record.get(field.clone()));
        let path = format!("{place}/{}", member.name);
        let mut shape = vec![records.len() as u64];
        let kind = match &member.datatype {
            Datatype::Array { base_type, dimensions } => {
                shape.extend(dimensions.iter().map(|&length| u64::from(length)));
                base_type.as_ref()
            }
            kind => kind,
        };
        if let Datatype::String { .. } = kind {
            let texts: Vec<String> = cells.map(text).collect();
            sink.strings(&path, &shape, &texts, &anndata::text_array())?;
            continue;
        }
        let Some(dtype) = dtype(kind) else {
            skipped.push(format!("{path}: a field of this type has no column"));
            continue;
        };
        let values: Vec<u8> = cells.flatten().copied().collect();
        let names = format!("uns/{}_categories", member.name);
        let categories = file.dataset(&names).and_then(|dataset| dataset.read_string());
        match categories {
            Ok(categories) if is_table && dtype == Dtype::I8 => {
                let codes = (path.as_str(), dtype, values.as_slice());
                anndata::categories_of(sink, codes, &categories, false)?;
                sink.remove(&names)?;
            }
            _ => array(sink, &path, dtype, &shape, &values, &anndata::dense())?,
        }
    }
    Ok(())
}

/// Text of fixed size, padded with zeros.
fn text(bytes: &[u8]) -> String {
    let padding = bytes.iter().rev().take_while(|byte| **byte == 0).count();
    String::from_utf8_lossy(&bytes[..bytes.len() - padding]).into_owned()
}

/// The type of arrays that can be written as they are read.
pub(super) fn dtype(datatype: &Datatype) -> Option<Dtype> {
    match datatype {
        Datatype::Enumeration { size: 1, members, .. }
            if members.iter().map(|member| member.name.as_str()).eq(["FALSE", "TRUE"]) =>
        {
            Some(Dtype::Bool)
        }
        Datatype::FixedPoint { size, byte_order: DatatypeByteOrder::LittleEndian, layout } => {
            match (size, layout.signed) {
                (1, true) => Some(Dtype::I8),
                (2, true) => Some(Dtype::I16),
                (4, true) => Some(Dtype::I32),
                (8, true) => Some(Dtype::I64),
                (1, false) => Some(Dtype::U8),
                (2, false) => Some(Dtype::U16),
                (4, false) => Some(Dtype::U32),
                (8, false) => Some(Dtype::U64),
                _ => None,
            }
        }
        Datatype::FloatingPoint { size, byte_order: DatatypeByteOrder::LittleEndian, .. } => {
            match size {
                4 => Some(Dtype::F32),
                8 => Some(Dtype::F64),
                _ => None,
            }
        }
        _ => None,
    }
}
