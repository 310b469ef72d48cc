//! Comparison keys: the one form in which values are compared, by the evaluator, by every index and by every database
//! (RFC 7644 §3.4.2.2, §5). Rust computes them, so that all stores agree.

use super::schema::{Attribute, Type};
use crate::base::clock::Timestamp;
use serde_json::Value;
use std::borrow::Cow;
use std::cmp::Ordering;
use unicode_normalization::UnicodeNormalization;

/// A value in the form in which it is compared.
#[derive(Clone, Debug)]
pub enum Comparable {
    /// A boolean.
    Boolean(bool),
    /// A whole number, or a time in milliseconds since the epoch.
    Integer(i64),
    /// Any other number.
    Decimal(f64),
    /// A string: folded unless the attribute is case-exact. Compared bytewise.
    Text(String),
}

impl Comparable {
    /// The key of a value of this attribute; `None` when the value is not of the attribute's type, or has no order (complex).
    pub fn of(attribute: &Attribute, value: &Value) -> Option<Self> {
        match (attribute.kind, value) {
            (Type::Boolean, Value::Bool(value)) => Some(Self::Boolean(*value)),
            (Type::Integer, Value::Number(number)) => number.as_i64().map(Self::Integer),
            (Type::Decimal, Value::Number(number)) => {
                number.as_i64().map(Self::Integer).or_else(|| number.as_f64().map(Self::Decimal))
            }
            (Type::DateTime, Value::String(text)) => Timestamp::parse(text).map(|time| Self::Integer(time.0)),
            (Type::String | Type::Reference | Type::Binary, Value::String(text)) => {
                Some(Self::Text(if attribute.is_case_exact() { text.clone() } else { fold(text).into_owned() }))
            }
            _ => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Boolean(_) => 0,
            Self::Integer(_) | Self::Decimal(_) => 1,
            Self::Text(_) => 2,
        }
    }
}

impl Ord for Comparable {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a whole number meets a fraction only in decimals, which are approximate (RFC 7643 §2.3.3)"
    )]
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Boolean(left), Self::Boolean(right)) => left.cmp(right),
            (Self::Integer(left), Self::Integer(right)) => left.cmp(right),
            (Self::Integer(left), Self::Decimal(right)) => (*left as f64).total_cmp(right),
            (Self::Decimal(left), Self::Integer(right)) => left.total_cmp(&(*right as f64)),
            (Self::Decimal(left), Self::Decimal(right)) => left.total_cmp(right),
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Comparable {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Comparable {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Comparable {}

/// Prepares a string for comparison without regard to case: the mappings of `UsernameCaseMapped` (RFC 8265 §3.3.2), which are
/// width mapping, lower case and NFC. A string that the profile would refuse is still compared.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Cow::Owned(text.to_ascii_lowercase());
        }
        return Cow::Borrowed(text);
    }
    // A final sigma is a sigma, wherever it stands: lower case by position would make "ΟΔΟΣ" no prefix of "ΟΔΟΣΑ".
    let lower = text.chars().flat_map(narrow).flat_map(char::to_lowercase).map(|letter| if letter == 'ς' { 'σ' } else { letter });
    Cow::Owned(lower.nfc().collect())
}

/// Maps a full-width or half-width character to its decomposition (RFC 8264 §5.2.1).
fn narrow(character: char) -> impl Iterator<Item = char> {
    let is_wide = matches!(character, '\u{3000}' | '\u{ff01}'..='\u{ffee}');
    let decomposed = is_wide.then(|| std::iter::once(character).nfkd());
    let kept = (!is_wide).then_some(character);
    decomposed.into_iter().flatten().chain(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_width_and_composition_do_not_tell_strings_apart() {
        // 7644-5-01 7644-3.4.2.2-10
        assert_eq!(fold("BJensen@Example.COM"), "bjensen@example.com");
        assert_eq!(fold("ＢＪｅｎｓｅｎ"), "bjensen");
        assert_eq!(fold("Zoe\u{308}"), fold("ZOË"));
        assert_eq!(fold("İ").as_ref(), fold(&fold("İ")).as_ref());
        assert_eq!(fold("ΟΔΟΣ"), fold("οδος"));
        assert!(fold("ΟΔΟΣΑ").starts_with(fold("ΟΔΟΣ").as_ref()));
    }

    #[test]
    fn whole_numbers_and_fractions_are_one_order() {
        let mut numbers =
            vec![Comparable::Decimal(1.5), Comparable::Integer(2), Comparable::Integer(-1), Comparable::Decimal(-0.5)];
        numbers.sort();
        assert_eq!(numbers, [Comparable::Integer(-1), Comparable::Decimal(-0.5), Comparable::Decimal(1.5), Comparable::Integer(2)]);
    }
}
