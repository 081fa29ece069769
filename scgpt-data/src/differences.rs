//! [`each_difference`] and [`differences`]: where two documents differ.

use std::collections::BTreeSet;

use serde_json::Value;

/// Calls `visit` with the name of every field in which two documents differ, such as `training.epochs`, and what either
/// has there: null where it has nothing.
pub(crate) fn each_difference<'v>(
    one: &'v Value,
    other: &'v Value,
    visit: &mut dyn FnMut(&str, &'v Value, &'v Value),
) {
    compare("", one, other, visit);
}

/// A sentence for every field that differs between the settings that were and those that are.
pub fn differences(was: &Value, is: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    each_difference(was, is, &mut |field, was, is| {
        differences.push(format!("`{field}` was {was}, is {is}"));
    });
    differences
}

fn compare<'v>(
    field: &str,
    one: &'v Value,
    other: &'v Value,
    visit: &mut dyn FnMut(&str, &'v Value, &'v Value),
) {
    if let (Value::Object(one), Value::Object(other)) = (one, other) {
        let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
        for name in names {
            let at = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
            let [one, other] = [one, other].map(|map| map.get(name).unwrap_or(&Value::Null));
            compare(&at, one, other, visit);
        }
    } else if one != other {
        visit(field, one, other);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_named_with_both_values() {
        let one = json!({"a": {"b": 1, "c": [1, 2]}, "d": null});
        let other = json!({"a": {"b": 2, "c": [1, 2]}, "e": "x"});
        let mut found = Vec::new();
        each_difference(&one, &other, &mut |field, one, other| {
            found.push(format!("{field}: {one}, {other}"));
        });
        assert_eq!(found, ["a.b: 1, 2", "e: null, \"x\""]);
    }
}
