//! Reading JSON from strangers: bounded depth, no duplicate names, no NUL (RFC 8259, RFC 7643 §2.1).

use super::Object;
use super::error::{Error, Result};
use crate::base::limits;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use std::cell::Cell;
use std::fmt;

/// Reads one JSON value. Malformed text, a depth of more than [`limits::JSON_DEPTH`], more than [`limits::JSON_VALUES`] values, a name
/// that stands twice in an object and a NUL character are refused with `invalidSyntax`, and the detail says where.
pub fn parse(bytes: &[u8]) -> Result<Value> {
    read(bytes, limits::JSON_VALUES).map_err(|error| describe(&error))
}

/// The same of a line that a file brings, with another limit of values. The detail tells the byte of the line.
pub fn parse_line(bytes: &[u8], most_values: usize) -> Result<Value> {
    read(bytes, most_values).map_err(|error| {
        let text = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let problem = text.strip_suffix(&place).unwrap_or(&text);
        Error::invalid_syntax(format!("It is not valid JSON: {problem} at byte {}.", error.column()))
    })
}

fn read(bytes: &[u8], most: usize) -> serde_json::Result<Value> {
    // Our bound on depth is below serde_json's own (128), so that ours gives the message.
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let values = Cell::new(0);
    let value = Bounded { depth: 0, values: &values, most }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

fn describe(error: &serde_json::Error) -> Error {
    Error::invalid_syntax(format!("The body is not valid JSON: {error}."))
}

#[derive(Clone, Copy)]
struct Bounded<'a> {
    depth: usize,
    /// How many values were begun so far.
    values: &'a Cell<usize>,
    /// How many there may be.
    most: usize,
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        // A value takes some hundred bytes, however few of the text.
        self.values.set(self.values.get() + 1);
        if self.values.get() > self.most {
            return Err(D::Error::custom(format_args!("more than {} values", self.most)));
        }
        deserializer.deserialize_any(self)
    }
}

impl Bounded<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= limits::JSON_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {} levels", limits::JSON_DEPTH)));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

fn without_nul<E: serde::de::Error>(text: String) -> Result<String, E> {
    if text.contains('\0') {
        return Err(E::custom("a string contains the character U+0000"));
    }
    Ok(text)
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is out of range"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        without_nul(value.to_owned()).map(Value::String)
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Value, E> {
        without_nul(value).map(Value::String)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Object::new();
        while let Some(name) = members.next_key::<String>()? {
            let name = without_nul(name)?;
            let value = members.next_value_seed(inner)?;
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!(
                    "the name '{}' stands twice in one object",
                    super::path::shorten(&name)
                )));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(text: &str) -> String {
        parse(text.as_bytes()).expect_err("this is refused").detail
    }

    #[test]
    fn well_formed_json_reads_as_serde_json_reads_it() {
        let text = r#"{"b":[1,-2,3.5,true,null,"x"],"a":{"ü":18446744073709551615}}"#;
        assert_eq!(parse(text.as_bytes()), Ok(serde_json::from_str(text).expect("JSON")));
        assert_eq!(parse(b"{}"), Ok(json!({})));
    }

    #[test]
    fn what_is_refused_says_why() {
        assert!(refused(r#"{"a":1,"a":2}"#).contains("'a' stands twice"));
        assert!(refused(&"[".repeat(10_000)).contains("nested deeper than 64 levels"));
        assert!(refused(&r#"{"a":"#.repeat(10_000)).contains("nested deeper than 64 levels"));
        assert!(refused(r#""a\u0000b""#).contains("U+0000"));
        assert!(refused("1e999").contains("number out of range"));
        assert!(refused("{} x").contains("trailing characters"));
        assert!(refused("").contains("EOF"));
        assert!(parse(b"\"\xff\xfe\"").expect_err("not UTF-8").detail.contains("unicode"));
    }

    #[test]
    fn the_values_of_a_text_are_counted() {
        let text = |count: usize| format!("[{}]", vec!["{\"a\":1}"; count].join(","));
        let most = (limits::JSON_VALUES - 1) / 2;
        assert!(parse(text(most).as_bytes()).is_ok());
        assert!(refused(&text(most + 1)).contains("more than 1000000 values"));
    }
}
