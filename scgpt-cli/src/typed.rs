//! [`typed`]: a TOML table as settings, with errors that name the key.

use std::fmt;

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, Error, IntoDeserializer, MapAccess, Unexpected, Visitor,
        value::{MapAccessDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use toml::{Table, Value, map::IntoIter};

/// Reads settings from a table.
pub(crate) fn typed<T: DeserializeOwned>(table: Table) -> Result<T, Misfit> {
    T::deserialize(Node(Value::Table(table)))
}

/// The keys that settings have; they refuse all others.
pub(crate) fn keys<T: DeserializeOwned>() -> &'static [&'static str] {
    let stray = Table::from_iter([(String::new(), Value::Boolean(true))]);
    let misfit = typed::<T>(stray).err();
    misfit.and_then(|misfit| misfit.unknown).map_or(&[], |(_, keys)| keys)
}

/// What is wrong with a table, and where.
#[derive(Debug)]
pub(crate) struct Misfit {
    /// Keys of the table, from the innermost outwards.
    path: Vec<String>,
    problem: String,
    /// A key that does not exist, and the keys that do.
    pub(crate) unknown: Option<(String, &'static [&'static str])>,
}

impl Misfit {
    fn under(mut self, key: String) -> Self {
        self.path.push(key);
        self
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
        match path.as_slice() {
            [] => f.write_str(&self.problem),
            path => write!(f, "`{}`: {}", path.join("."), self.problem),
        }
    }
}

impl std::error::Error for Misfit {}

impl Error for Misfit {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self { path: Vec::new(), problem: problem.to_string(), unknown: None }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let problem = format!("there is no such setting (has {})", expected.join(", "));
        Self { path: vec![field.into()], problem, unknown: Some((field.into(), expected)) }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(scgpt_data::unknown_choice(variant, expected))
    }
}

/// A value that is read, so that an error in it gets the key.
struct Node(Value);

impl<'de> Deserializer<'de> for Node {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::String(text) => visitor.visit_string(text),
            Value::Integer(number) => visitor.visit_i64(number),
            Value::Float(number) => visitor.visit_f64(number),
            Value::Boolean(truth) => visitor.visit_bool(truth),
            Value::Datetime(time) => visitor.visit_string(time.to_string()),
            Value::Array(values) => {
                visitor.visit_seq(SeqDeserializer::new(values.into_iter().map(Node)))
            }
            Value::Table(table) => visitor.visit_map(Entries::of(table)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(text.into_deserializer()),
            Value::Table(table) => {
                visitor.visit_enum(MapAccessDeserializer::new(Entries::of(table)))
            }
            other => {
                let expected = format!("one of {}", variants.join(", "));
                Err(Misfit::invalid_type(Unexpected::Other(other.type_str()), &&*expected))
            }
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl IntoDeserializer<'_, Misfit> for Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The entries of a table; an error in a value gets its key.
struct Entries {
    rest: IntoIter<String, Value>,
    next: Option<(String, Value)>,
}

impl Entries {
    fn of(table: Table) -> Self {
        Self { rest: table.into_iter(), next: None }
    }
}

impl<'de> MapAccess<'de> for Entries {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        self.next = self.rest.next();
        let Some((key, _)) = &self.next else { return Ok(None) };
        seed.deserialize(key.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let Some((key, value)) = self.next.take() else {
            return Err(Misfit::custom("a value without a key"));
        };
        seed.deserialize(Node(value)).map_err(|misfit| misfit.under(key))
    }
}

#[cfg(test)]
mod tests {
    use scgpt_train::{Part, Precision, Schedule, TrainConfig};

    use super::*;

    fn read(toml: &str) -> Result<TrainConfig, String> {
        typed(toml.parse().unwrap()).map_err(|misfit| misfit.to_string())
    }

    #[test]
    fn settings_are_read_as_they_are_written() {
        let settings = TrainConfig {
            max_steps: Some(3),
            precision: Precision::Bf16,
            freeze: vec![Part::Genes, Part::Blocks(2)],
            schedule: Schedule::EpochStep { gamma: 0.5, every: 2 },
            ..TrainConfig::default()
        };
        assert_eq!(read(&toml::to_string(&settings).unwrap()), Ok(settings));
        let older = read("freeze = ['values', { blocks = 6 }]\nclip_norm = 1").unwrap();
        assert_eq!(older.freeze, [Part::Values, Part::Blocks(6)]);
        assert_eq!(older.clip_norm, Some(1.0));
        assert_eq!(read("schedule = 'constant'").unwrap().schedule, Schedule::Constant);
    }

    #[test]
    fn mistakes_name_the_key() {
        for (toml, part) in [
            ("optimizer.learning = 3", "`optimizer.learning`: there is no such setting (has lr, "),
            ("epochs = 'x'", "`epochs`: invalid type: string \"x\", expected u64"),
            ("epochs = -1", "`epochs`: invalid value: integer `-1`"),
            (
                "precision = 'f8'",
                "`precision`: `f8` is not known, expected f32, bf16, bf16x3 or f16",
            ),
            ("freeze = ['gene']", "`freeze`: `gene` is not known"),
            ("freeze = 'genes'", "`freeze`: invalid type: string \"genes\", expected a sequence"),
            ("schedule.epoch_step = { gama = 1 }", "`schedule.epoch_step.gama`: there is no such"),
            ("schedule = 'cosine'", "`schedule`: `cosine` is not known, expected constant, "),
            ("schedule = 3", "`schedule`: invalid type: integer, expected one of constant, "),
        ] {
            let message = read(toml).unwrap_err();
            assert!(message.contains(part), "{toml}: {message}");
        }
    }

    #[test]
    fn keys_of_settings_are_known() {
        assert!(keys::<TrainConfig>().contains(&"least_steps"));
        assert!(keys::<scgpt_train::Objectives>().contains(&"dar"));
    }
}
