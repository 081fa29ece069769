//! Attribute values of an HDF5 file as JSON.

use std::collections::HashMap;

use hdf5_pure::AttrValue;
use serde_json::{Value, json};

use crate::write::element::Attrs;

/// The attributes that JSON can hold. A list of one text comes as the text; where AnnData has a list
/// it is made one again.
pub(in crate::write) fn json(attrs: HashMap<String, AttrValue>) -> Attrs {
    attrs
        .into_iter()
        .filter_map(|(name, attr)| match value(&attr)? {
            Value::String(text) if name == "column-order" => Some((name, json!([text]))),
            value => Some((name, value)),
        })
        .collect()
}

fn value(attr: &AttrValue) -> Option<Value> {
    if let Some(text) = attr.as_str() {
        return Some(json!(text));
    }
    if let Some(texts) = attr.as_strings() {
        return Some(json!(texts));
    }
    if let Some(number) = attr.as_i64() {
        return Some(json!(number));
    }
    if let Some(number) = attr.as_u64() {
        return Some(json!(number));
    }
    if let Some(number) = attr.as_f64() {
        return Some(json!(number));
    }
    if let Some(numbers) = attr.to_i64s() {
        return Some(json!(numbers));
    }
    if let Some(numbers) = attr.to_u64s() {
        return Some(json!(numbers));
    }
    attr.to_f64s().map(|numbers| json!(numbers))
}
