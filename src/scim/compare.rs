//! Comparison keys: the one form in which values are compared, by the evaluator, by every index and by every database
//! (RFC 7644 §3.4.2.2, §5). Rust computes them, so that all stores agree.

use super::schema::{Attribute, Type};
use super::uri;
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
                Some(Self::Text(comparable_text(attribute, text).into_owned()))
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

/// The form in which a text of this attribute is compared: folded unless the attribute is case-exact; a reference as
/// [`uri::comparable`] has it; base64 without the padding that may be left out (7643-2.3.6-01).
pub fn comparable_text<'a>(attribute: &Attribute, text: &'a str) -> Cow<'a, str> {
    match TextForm::of(attribute) {
        TextForm::Unpadded => Cow::Borrowed(text.trim_end_matches('=')),
        TextForm::Uri => uri::comparable(text, false),
        TextForm::Resource => uri::comparable(text, true),
        TextForm::Exact => Cow::Borrowed(text),
        TextForm::Folded => fold(text),
    }
}

/// What is done to a text before it is compared: all of its attribute's definition that decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextForm {
    /// Nothing.
    Exact,
    /// See [`fold`].
    Folded,
    /// Base64 without its padding.
    Unpadded,
    /// A reference: see [`uri::comparable`].
    Uri,
    /// A reference to a SCIM resource.
    Resource,
}

impl TextForm {
    /// The form of an attribute's texts.
    pub fn of(attribute: &Attribute) -> Self {
        let is_resource = |kind: &String| kind != "external" && kind != "uri";
        match attribute.kind {
            Type::Binary => Self::Unpadded,
            Type::Reference if attribute.reference_types.iter().any(is_resource) => Self::Resource,
            Type::Reference => Self::Uri,
            _ if attribute.is_case_exact() => Self::Exact,
            _ => Self::Folded,
        }
    }
}

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

    /// 7644-5-01 7644-3.4.2.2-10
    #[test]
    fn case_width_and_composition_do_not_tell_strings_apart() {
        assert_eq!(fold("BJensen@Example.COM"), "bjensen@example.com");
        assert_eq!(fold("ＢＪｅｎｓｅｎ"), "bjensen");
        assert_eq!(fold("Zoe\u{308}"), fold("ZOË"));
        assert_eq!(fold("İ").as_ref(), fold(&fold("İ")).as_ref());
        assert_eq!(fold("ΟΔΟΣ"), fold("οδος"));
        assert!(fold("ΟΔΟΣΑ").starts_with(fold("ΟΔΟΣ").as_ref()));
    }

    /// 7643-2.4-05
    #[test]
    fn the_form_of_a_text_follows_from_the_definition() {
        let of = |definition: serde_json::Value| TextForm::of(&serde_json::from_value(definition).expect("an attribute"));
        let reference = |to: &str| serde_json::json!({"name": "r", "type": "reference", "referenceTypes": [to]});
        assert_eq!(
            [of(reference("uri")), of(reference("external")), of(reference("User"))],
            [TextForm::Uri, TextForm::Uri, TextForm::Resource]
        );
        assert_eq!(of(serde_json::json!({"name": "b", "type": "binary"})), TextForm::Unpadded);
        let text = |is_exact: bool| of(serde_json::json!({"name": "t", "type": "string", "caseExact": is_exact}));
        assert_eq!([text(true), text(false)], [TextForm::Exact, TextForm::Folded]);
    }

    #[test]
    fn whole_numbers_and_fractions_are_one_order() {
        let mut numbers =
            vec![Comparable::Decimal(1.5), Comparable::Integer(2), Comparable::Integer(-1), Comparable::Decimal(-0.5)];
        numbers.sort();
        assert_eq!(numbers, [Comparable::Integer(-1), Comparable::Decimal(-0.5), Comparable::Decimal(1.5), Comparable::Integer(2)]);
    }
}
