//! The data of a map as JSON inside a page, from which the script of the page draws it.
//!
//! ```text
//! first    the column that is shown first
//! field    where points are: this, or the number of an earlier map that has the same
//!   axes     [horizontal, vertical]
//!   range    [[lowest, highest] horizontal, vertical]
//!   places   base64 of u16, two a point: 0 is the lowest, 65535 the highest
//! told     what is known of them: this, or the number of an earlier map that has the same
//!   names    a text a point, or none
//!   columns  name, and either legend [[name, points, number in the palette or colour]] and codes,
//!            base64 of u16, or scale [lowest, highest] and values, base64 of f32
//! ```
//!
//! Numbers are little-endian. A code of 65535 and a value that is not a number are not known.
#![allow(clippy::format_push_string, reason = "written once, and reads best in its order")]

use crate::chart::{Paint, Painted, PaintedMap, range};

/// The code of a point whose category is not known.
const UNKNOWN: u16 = u16::MAX;

/// The data of the maps of a page. What several of them have in common is written once: maps of the same
/// cells by other embeddings have the same names and columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Islands {
    /// What each map has of its own; empty where an earlier one has the same.
    fields: Vec<String>,
    told: Vec<String>,
}

impl Islands {
    /// The data of the next map as JSON that may stand in a `script` element whatever names it has.
    pub(crate) fn add(&mut self, map: &PaintedMap<'_>) -> String {
        let field = shared(&mut self.fields, field(map));
        let told = shared(&mut self.told, told(map));
        format!("{{\"first\":{},\"field\":{field},\"told\":{told}}}", map.first)
    }

    /// Whether there is no map.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

/// A text, or the number of the earlier one that is the same.
fn shared(all: &mut Vec<String>, text: String) -> String {
    if let Some(number) = all.iter().position(|earlier| *earlier == text) {
        all.push(String::new());
        return number.to_string();
    }
    all.push(text.clone());
    text
}

/// Where the points of a map are.
fn field(map: &PaintedMap<'_>) -> String {
    let ranges = [0, 1].map(|axis| range(&map.places, axis));
    let mut places = Vec::with_capacity(4 * map.places.len());
    for place in &map.places {
        for axis in 0..2 {
            let (low, high) = ranges[axis];
            let share = (f64::from(place[axis]) - low) / (high - low);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1")]
            let step = (share * f64::from(u16::MAX)).round() as u16;
            places.extend(step.to_le_bytes());
        }
    }
    let [x, y] = ranges;
    format!(
        "{{\"axes\":[{}],\"range\":[[{},{}],[{},{}]],\"places\":\"{}\"}}",
        list(map.axes.iter().map(|axis| text(axis))),
        x.0,
        x.1,
        y.0,
        y.1,
        base64(&places),
    )
}

/// What is known of the points of a map.
fn told(map: &PaintedMap<'_>) -> String {
    let columns = map.columns.iter().map(|(name, painted)| column(name, painted));
    format!(
        "{{\"names\":[{}],\"columns\":[{}]}}",
        list(map.names.iter().map(|name| text(name))),
        list(columns)
    )
}

fn column(name: &str, painted: &Painted) -> String {
    let name = text(name);
    match painted {
        Painted::Categories { legend, codes } => {
            let entry = |(name, n, paint): &(String, usize, Paint)| match paint {
                Paint::Palette(number) => format!("[{},{n},{number}]", text(name)),
                Paint::Fixed(colour) => format!("[{},{n},{}]", text(name), text(colour)),
            };
            let code = |code: &Option<usize>| {
                code.and_then(|code| u16::try_from(code).ok()).unwrap_or(UNKNOWN).to_le_bytes()
            };
            let codes: Vec<u8> = codes.iter().flat_map(code).collect();
            let legend = list(legend.iter().map(entry));
            format!("{{\"name\":{name},\"legend\":[{legend}],\"codes\":\"{}\"}}", base64(&codes))
        }
        Painted::Numbers { scale: [low, high], values } => {
            let values: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            format!(
                "{{\"name\":{name},\"scale\":[{low},{high}],\"values\":\"{}\"}}",
                base64(&values)
            )
        }
    }
}

/// Entries with commas between them.
fn list(entries: impl Iterator<Item = String>) -> String {
    entries.collect::<Vec<_>>().join(",")
}

/// A JSON text in which nothing ends a `script` element or begins a comment.
fn text(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                json.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            c if c.is_control() => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

/// Bytes as text (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit <= group.len() { DIGITS[value as usize] as char } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{Colouring, PointMap};

    #[test]
    fn base64_is_that_of_the_standard() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn hostile_names_are_text() {
        let hostile = ["</script><script>alert(1)</script>", "<!--", "\"\\\n\u{0}\u{2028}é😀"];
        let names = [hostile[0].to_owned(), hostile[1].to_owned(), hostile[2].to_owned()];
        let columns = [
            Colouring::labels(hostile[0], hostile.map(Some)),
            Colouring::numbers(hostile[2], vec![0.5, f32::NAN, f32::INFINITY]),
        ];
        let map = PointMap {
            places: &[[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]],
            names: &names,
            axes: [hostile[0], hostile[1]],
            columns: &columns,
            first: 0,
        };
        let mut islands = Islands::default();
        let json = islands.add(&PaintedMap::new(&map));
        assert!(!json.contains(['<', '>', '&', '\n', '\u{2028}']), "{json}");
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["told"]["names"], serde_json::json!(names));
        assert_eq!(read["told"]["columns"][0]["name"], hostile[0]);
        assert_eq!(read["told"]["columns"][1]["scale"], serde_json::json!([0.5, 0.5]));
        // Around the one place of all points.
        assert_eq!(read["field"]["range"][1], serde_json::json!([-1, 2]));
        // Other places of the same cells, and then the same again.
        let moved = PointMap { places: &[[0.0, 2.0], [1.0, 1.0], [2.0, 1.0]], first: 1, ..map };
        for (places, expected) in [(moved.places, 1), (map.places, 0)] {
            let json = islands.add(&PaintedMap::new(&PointMap { places, ..moved }));
            let read: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!((&read["first"], &read["told"]), (&1.into(), &0.into()));
            assert_eq!(read["field"].is_number(), expected == 0);
        }
        assert!(!islands.is_empty());
    }
}
