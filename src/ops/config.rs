//! Settings of layers in TOML: reading, writing, the allowed values, and error messages.

use crate::text::brief;
use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// Largest number in a layer's settings; a product of four such numbers fits in 64 bits.
pub(crate) const LARGEST: usize = 65_535;

/// Reads a layer's settings from its table; the message of an error names the key.
pub(crate) fn read<T: DeserializeOwned>(table: Table) -> Result<T, String> {
    table.try_into().map_err(|error: toml::de::Error| {
        // toml names the key on a separate last line: in `stride`
        let text = error.to_string();
        match text.trim_end().rsplit_once("\nin ") {
            Some((problem, place)) => format!("{place}: {problem}"),
            None => text.trim_end().replace("missing field", "missing key"),
        }
    })
}

/// Writes settings to a table.
pub(crate) fn write<T: Serialize>(settings: &T) -> Table {
    match Table::try_from(settings) {
        Ok(table) => table,
        Err(error) => unreachable!("settings are numbers and strings: {error}"),
    }
}

/// The keys of a settings struct, as its `Deserialize` implementation declares them.
pub(crate) fn keys<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut found: &'static [&'static str] = &[];
    // Always returns an error, after `deserialize_struct` has stored the names.
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
        Err(Error::custom("only the names of the fields are needed"))
    }
    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(Error::custom("not a struct"))
    }
    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// A value of a file, shortened for an error message.
pub(crate) fn shown(value: &Value) -> String {
    brief(&value.to_string())
}

/// A whole number from `least` to [`LARGEST`].
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

/// `deserialize_with`: a whole number, at least 1.
pub(crate) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let value = Value::deserialize(from)?;
    number(&value, 1)
        .ok_or_else(|| Error::custom(format!("expected a whole number from 1 to {LARGEST}, got {}", shown(&value))))
}

/// `deserialize_with`: a fraction of at least 0 and less than 1.
pub(crate) fn share<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let value = Value::deserialize(from)?;
    let number = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
    number
        .filter(|rate| (0.0..1.0).contains(rate))
        .ok_or_else(|| Error::custom(format!("expected a number of at least 0 and below 1, got {}", shown(&value))))
}

/// `deserialize_with`: a number greater than 0, in the range of normal `f32` numbers.
pub(crate) fn positive<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let value = Value::deserialize(from)?;
    let number = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
    let is_fine = |number: &f64| (f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(number);
    number.filter(is_fine).ok_or_else(|| Error::custom(format!("expected a number above 0, got {}", shown(&value))))
}

/// `with`: rows and columns, written as one number if they are equal.
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

/// `with`: "valid", "same", or the numbers of rows and columns of zeros.
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
                    r#"expected "valid", "same", a number of zeros, or [rows, columns] of zeros, got {}"#,
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

/// Rows and columns as text: `3x3`.
pub(crate) fn times([rows, columns]: [usize; 2]) -> String {
    format!("{rows}x{columns}")
}

/// A stride as text: `stride 1`, or `stride 1x2` if rows and columns differ.
pub(crate) fn stride([rows, columns]: [usize; 2]) -> String {
    if rows == columns { format!("stride {rows}") } else { format!("stride {rows}x{columns}") }
}
