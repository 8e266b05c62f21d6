//! Settings of layers as TOML has them: what numbers may be, and what is said when they are not.

use crate::text::brief;
use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// Largest number in a layer's settings: products of four stay within 64 bits.
pub(crate) const LARGEST: usize = 65_535;

/// A layer's settings from its table; the message of an error names the key.
pub(crate) fn read<T: DeserializeOwned>(table: Table) -> Result<T, String> {
    table.try_into().map_err(|error: toml::de::Error| {
        // toml appends the place as a line of its own: in `stride`
        let text = error.to_string();
        match text.trim_end().rsplit_once("\nin ") {
            Some((problem, place)) => format!("{place}: {problem}"),
            None => text.trim_end().replace("missing field", "missing key"),
        }
    })
}

/// Settings as a table.
pub(crate) fn write<T: Serialize>(settings: &T) -> Table {
    match Table::try_from(settings) {
        Ok(table) => table,
        Err(error) => unreachable!("settings are numbers and words: {error}"),
    }
}

/// The keys that a settings struct knows, asked of its own `Deserialize`.
pub(crate) fn keys<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut found: &'static [&'static str] = &[];
    // Always an error: the answer is in the question.
    let _ = T::deserialize(FieldNames(&mut found));
    found
}

struct FieldNames<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = serde::de::value::Error;
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(Error::custom("only asking"))
    }
    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(Error::custom("not a struct"))
    }
    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// A value of a file within a line of an error.
pub(crate) fn shown(value: &Value) -> String {
    brief(&value.to_string())
}

/// Number of something, from `least`.
fn number(value: &Value, least: i64) -> Option<usize> {
    value.as_integer().filter(|number| (least..=LARGEST as i64).contains(number)).map(|number| number as usize)
}

fn rows_and_columns(value: &Value, least: i64) -> Option<[usize; 2]> {
    match value {
        Value::Array(both) => match both.as_slice() {
            [rows, columns] => Some([number(rows, least)?, number(columns, least)?]),
            _ => None,
        },
        one => number(one, least).map(|both| [both, both]),
    }
}

/// `deserialize_with`: a number from 1.
pub(crate) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let value = Value::deserialize(from)?;
    number(&value, 1)
        .ok_or_else(|| Error::custom(format!("expected a whole number from 1 to {LARGEST}, got {}", shown(&value))))
}

/// `deserialize_with`: a share from 0 up to, not including, 1.
pub(crate) fn share<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let value = Value::deserialize(from)?;
    let number = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
    number
        .filter(|rate| (0.0..1.0).contains(rate))
        .ok_or_else(|| Error::custom(format!("expected a number from 0 to below 1, got {}", shown(&value))))
}

/// `deserialize_with`: a number above 0 that `f32` has too.
pub(crate) fn positive<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let value = Value::deserialize(from)?;
    let number = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
    let is_fine = |number: &f64| (f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(number);
    number.filter(is_fine).ok_or_else(|| Error::custom(format!("expected a number above 0, got {}", shown(&value))))
}

/// `with`: rows and columns, as one number where they are equal.
pub(crate) mod pair {
    use super::*;
    use serde::Serializer;

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[usize; 2], D::Error> {
        let value = Value::deserialize(from)?;
        rows_and_columns(&value, 1).ok_or_else(|| {
            Error::custom(format!(
                "expected a whole number from 1 to {LARGEST}, or two as [rows, columns], got {}",
                shown(&value)
            ))
        })
    }

    pub fn serialize<S: Serializer>([rows, columns]: &[usize; 2], to: S) -> Result<S::Ok, S::Error> {
        if rows == columns { rows.serialize(to) } else { [rows, columns].serialize(to) }
    }
}

/// `with`: "valid", "same", or how many rows and columns of zeros.
pub(crate) mod padding {
    use super::*;
    use crate::shape::Padding;
    use serde::Serializer;

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Padding, D::Error> {
        let value = Value::deserialize(from)?;
        match value.as_str() {
            Some("valid") => Ok(Padding::Valid),
            Some("same") => Ok(Padding::Same),
            _ => rows_and_columns(&value, 0).map(Padding::Explicit).ok_or_else(|| {
                Error::custom(format!(
                    r#"expected "valid", "same", or a number of zeros, [rows, columns], got {}"#,
                    shown(&value)
                ))
            }),
        }
    }

    pub fn serialize<S: Serializer>(padding: &Padding, to: S) -> Result<S::Ok, S::Error> {
        match padding {
            Padding::Valid => "valid".serialize(to),
            Padding::Same => "same".serialize(to),
            Padding::Explicit(both) => both.serialize(to),
        }
    }
}

/// Rows and columns as people write them: `3x3`.
pub(crate) fn times([rows, columns]: [usize; 2]) -> String {
    format!("{rows}x{columns}")
}

/// `stride 1`, or `stride 1x2`.
pub(crate) fn stride([rows, columns]: [usize; 2]) -> String {
    if rows == columns { format!("stride {rows}") } else { format!("stride {rows}x{columns}") }
}
