//! Names that look like one that is not there.

/// `; similar names: A, B, C`, for the end of a message, or nothing.
pub(crate) fn similar_names<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let upper = name.to_uppercase();
    let is_like = |other: &&str| {
        let other = other.to_uppercase();
        other == upper
            || (name.len() > 2 && (other.starts_with(&upper) || upper.starts_with(&other)))
    };
    let mut like: Vec<&str> = names
        .filter(|other| other.len() > 2 && !other.starts_with('<') && is_like(other))
        .collect();
    like.sort_by_key(|other| (other.len().abs_diff(name.len()), *other));
    like.truncate(3);
    match like.as_slice() {
        [] => String::new(),
        like => format!("; similar names: {}", like.join(", ")),
    }
}
