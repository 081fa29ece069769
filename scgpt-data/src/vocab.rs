//! [`GeneVocab`]: gene names ↔ [`GeneToken`]s, with the special tokens.

mod align;
mod extend;
mod gene_table;
mod names;
mod renaming;
mod unknown;

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    sync::Arc,
};

use serde::{Deserialize, Serialize, de};
use serde_json::Value;

#[cfg(feature = "mudata")]
pub(crate) use self::names::count_rows;
pub use self::{
    align::{Alignment, AlignmentSummary, Candidate, Duplicate},
    extend::ExtendedVocab,
    gene_table::GeneNameKind,
    names::GeneNames,
    renaming::Renamed,
    unknown::{absent_gene, unknown_gene},
};
use crate::{
    error::{Error, Result},
    narrow::narrow,
    output::{Existing, Place},
};

/// Index of a gene, or of a special token, in a vocabulary: a row of the embedding table.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
#[repr(transparent)]
pub struct GeneToken(pub u32);

/// A token that is no gene.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpecialToken {
    /// Fills short cells up to the longest of their batch.
    Pad,
    /// Stands in front of every cell; its state becomes the cell embedding.
    Cls,
    /// End of cell: part of every released vocabulary, used by nothing.
    Eoc,
}

impl SpecialToken {
    /// All of them, in the order in which they are appended to a vocabulary that lacks them.
    pub const ALL: [Self; 3] = [Self::Pad, Self::Cls, Self::Eoc];

    /// Its text in a vocabulary file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pad => "<pad>",
            Self::Cls => "<cls>",
            Self::Eoc => "<eoc>",
        }
    }
}

/// A bijection between names and the tokens `0..n`, which always holds the special tokens.
///
/// # Reference
/// `scgpt/tokenizer/gene_tokenizer.py`, `GeneVocab`. Differs: two tokens that
/// share an index are an error instead of shifting earlier tokens, an unknown name is `None`
/// instead of the index of `<pad>`, and a vocabulary made from a list keeps its order.
///
/// ```
/// use scgpt_data::{GeneToken, GeneVocab};
///
/// let vocab = GeneVocab::from_names(["<pad>", "<cls>", "CD4"])?;
/// assert_eq!(vocab.token("CD4"), Some(GeneToken(2)));
/// assert_eq!(vocab.token("CD8A"), None);
/// # Ok::<_, scgpt_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GeneVocab {
    names: Vec<Arc<str>>,
    tokens: HashMap<Arc<str>, GeneToken>,
    specials: [GeneToken; 3],
}

impl GeneVocab {
    /// Reads a JSON object `name -> index`, in any order of keys; missing special tokens are
    /// appended as `<pad>`, `<cls>`, `<eoc>`.
    ///
    /// # Errors
    /// If the file cannot be read, is no JSON object, or its indices are not `0..n`, each once.
    pub fn from_json(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::from_bytes(
            path,
            &crate::regular::read(path).map_err(|error| Error::open(path, error))?,
        )
    }

    /// As [`from_json`](Self::from_json), for a file whose content is at hand.
    pub(crate) fn from_bytes(path: &Path, text: &[u8]) -> Result<Self> {
        let wrong = |problem| Error::Vocabulary { path: path.into(), problem };
        let Entries(entries) =
            serde_json::from_slice(text).map_err(|error| wrong(error.to_string()))?;
        Self::new(order(entries).map_err(wrong)?).map_err(wrong)
    }

    /// A vocabulary of `names` in their order; missing special tokens are appended.
    ///
    /// # Errors
    /// If there is no name, or a name occurs twice.
    pub fn from_names<S: Into<Arc<str>>>(names: impl IntoIterator<Item = S>) -> Result<Self> {
        Self::new(names.into_iter().map(Into::into).collect())
            .map_err(|problem| Error::Option(format!("gene vocabulary: {problem}")))
    }

    fn new(mut names: Vec<Arc<str>>) -> Result<Self, String> {
        if names.is_empty() {
            return Err("holds no token".into());
        }
        let n = i32::try_from(names.len() + SpecialToken::ALL.len())
            .map_err(|_| format!("holds {} tokens, too many", names.len()))?;
        let mut tokens = HashMap::with_capacity(n.unsigned_abs() as usize);
        for (index, name) in (0..).zip(&names) {
            if tokens.insert(name.clone(), GeneToken(index)).is_some() {
                return Err(format!("token `{name}` occurs twice"));
            }
        }
        let specials = SpecialToken::ALL.map(|special| {
            let next = GeneToken(narrow(tokens.len()));
            *tokens.entry(special.as_str().into()).or_insert_with_key(|name| {
                names.push(name.clone());
                next
            })
        });
        Ok(Self { names, tokens, specials })
    }

    /// Number of tokens, special ones included.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are no tokens; never, as the special tokens are always there.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The token of a gene, or of a special token by its text; `None` if the name is unknown.
    pub fn token(&self, name: &str) -> Option<GeneToken> {
        self.tokens.get(name).copied()
    }

    /// The token of a special token, which every vocabulary has.
    pub fn special(&self, token: SpecialToken) -> GeneToken {
        self.specials[token as usize]
    }

    /// Whether the token is special, and so no gene.
    pub fn is_special(&self, token: GeneToken) -> bool {
        self.specials.contains(&token)
    }

    /// The name of a token; `None` if the vocabulary has no such token.
    pub fn name(&self, token: GeneToken) -> Option<&str> {
        self.names.get(token.0 as usize).map(AsRef::as_ref)
    }

    /// The name of a token that is known to be of this vocabulary.
    ///
    /// # Panics
    /// If it is not of this vocabulary.
    pub fn own_name(&self, token: GeneToken) -> &str {
        &self.names[token.0 as usize]
    }

    /// All names in the order of their tokens.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }

    /// Writes the JSON object that [`from_json`](Self::from_json) reads, sorted by index. The file
    /// appears whole or not at all.
    ///
    /// # Errors
    /// If the folder does not exist or cannot be written.
    pub fn write_json(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let place = Place::new(path, Existing::Replace)?;
        File::create_new(place.path())
            .and_then(|file| self.write_object(BufWriter::new(&file)))
            .map_err(|error| Error::write(path, error))?;
        place.publish()
    }

    fn write_object(&self, mut to: BufWriter<&File>) -> std::io::Result<()> {
        for (index, name) in self.names().enumerate() {
            write!(to, "{}\n  ", if index == 0 { "{" } else { "," })?;
            serde_json::to_writer(&mut to, name)?;
            write!(to, ": {index}")?;
        }
        to.write_all(b"\n}\n")?;
        to.flush()
    }
}

/// The entries of a JSON object as they stand, duplicate keys included.
struct Entries(Vec<(Arc<str>, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object that maps every token to its index")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some((name, index)) = map.next_entry::<String, Value>()? {
                    entries.push((name.into(), index));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// Names in the order of their indices, which must be `0..n`.
fn order(entries: Vec<(Arc<str>, Value)>) -> Result<Vec<Arc<str>>, String> {
    let n = entries.len();
    let mut names: Vec<Option<Arc<str>>> = vec![None; n];
    for (name, index) in entries {
        let slot = index
            .as_u64()
            .and_then(|index| names.get_mut(usize::try_from(index).ok()?))
            .ok_or_else(|| {
                format!(
                    "token `{name}` has the index {index}, but the {n} tokens must have the indices 0 to {} without gaps",
                    n - 1
                )
            })?;
        match slot {
            Some(other) if *other == name => return Err(format!("token `{name}` occurs twice")),
            Some(other) => {
                return Err(format!("tokens `{other}` and `{name}` share index {index}"));
            }
            None => *slot = Some(name),
        }
    }
    // n tokens on n distinct places of 0..n: every place is taken.
    Ok(names.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "exact by construction")]

    use super::*;

    fn read(text: &str) -> Result<GeneVocab> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vocab.json");
        std::fs::write(&path, text).unwrap();
        GeneVocab::from_json(path)
    }

    #[test]
    fn keys_in_any_order_and_missing_specials_are_appended() {
        let vocab = read(r#"{"B": 1, "<cls>": 2, "A": 0}"#).unwrap();
        assert_eq!(vocab.names().collect::<Vec<_>>(), ["A", "B", "<cls>", "<pad>", "<eoc>"]);
        assert_eq!(vocab.token("B"), Some(GeneToken(1)));
        assert_eq!(vocab.token("C"), None);
        assert_eq!(vocab.special(SpecialToken::Cls), GeneToken(2));
        assert_eq!(vocab.special(SpecialToken::Pad), GeneToken(3));
        assert!(vocab.is_special(GeneToken(4)) && !vocab.is_special(GeneToken(1)));
        assert_eq!(vocab.name(GeneToken(9)), None);
    }

    #[test]
    fn what_is_no_bijection_is_refused_by_name() {
        for (text, expected) in [
            (r#"{"A": 0, "B": 2}"#, "token `B` has the index 2"),
            (r#"{"A": 0, "B": -1}"#, "token `B` has the index -1"),
            (r#"{"A": 0, "B": 0.5}"#, "token `B` has the index 0.5"),
            (r#"{"A": "zero"}"#, "token `A` has the index \"zero\""),
            (r#"{"A": 0, "B": 1, "C": 1}"#, "`B` and `C` share index 1"),
            (r#"{"A": 0, "A": 0}"#, "token `A` occurs twice"),
            (r#"{"A": 0, "A": 1}"#, "token `A` occurs twice"),
            ("[1, 2]", "expected an object"),
            (r#"{"A": 0, "B":"#, "EOF"),
            ("{}", "no token"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
            assert!(error.hint().is_some());
        }
        let error = GeneVocab::from_json("/nowhere/vocab.json").unwrap_err();
        assert!(error.to_string().contains("/nowhere/vocab.json"), "{error}");
    }

    #[test]
    fn writing_and_reading_is_the_identity() {
        let vocab = GeneVocab::from_names(["A\"", "ü", "<pad>"]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vocab.json");
        vocab.write_json(&path).unwrap();
        let again = GeneVocab::from_json(&path).unwrap();
        assert!(vocab.names().eq(again.names()));
        assert!(vocab.write_json(folder.path().join("no/vocab.json")).is_err());
        assert!(GeneVocab::from_names(["A", "A"]).is_err());
    }
}
