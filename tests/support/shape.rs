//! What is the same in every answer but its value, such as a time: recognised, so that whole answers can be compared.

use serde_json::Value;

/// Whether a text is RFC 3339 in UTC with milliseconds and `Z`: `2026-01-02T03:04:05.678Z`.
pub fn is_house_time(text: &str) -> bool {
    let shape = |c: char| if c.is_ascii_digit() { '0' } else { c };
    text.chars().map(shape).collect::<String>() == "0000-00-00T00:00:00.000Z"
}

/// A value with every text in it changed; names stay.
pub fn map_texts(value: &Value, change: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => change(text).into(),
        Value::Array(values) => values.iter().map(|value| map_texts(value, change)).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), map_texts(value, change))).collect(),
        other => other.clone(),
    }
}
