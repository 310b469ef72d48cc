//! Formats of values, canonical values, and the identity of values.
#![expect(clippy::needless_pass_by_value, reason = "a json! literal is given as it is written")]

use super::*;

/// A certificate of a key of its own.
const CERTIFICATE: &str = concat!(
    "MIIBMjCB5aADAgECAhRZeBubafSZWyXljUPu84xO6b5mizAFBgMrZXAwDjEMMAoGA1UEAwwDQW5uMCAXDTI2MTEyMjA4MzYwNFoYDzIxMjYxMDI5MDgzNjA0WjAO",
    "MQwwCgYDVQQDDANBbm4wKjAFBgMrZXADIQA9C7Ace5Wh3qQMTJghMkgKTNpZPzMizph+I6w0pkldF6NTMFEwHQYDVR0OBBYEFDnqN3FdpXc78lpqC0Kl+0htwwbe",
    "MB8GA1UdIwQYMBaAFDnqN3FdpXc78lpqC0Kl+0htwwbeMA8GA1UdEwEB/wQFMAMBAf8wBQYDK2VwA0EAIF3ONcfhswwy96m4K9Ivzfr0b7C8f7ZmDWmMLzWzyQ0E",
    "QyQQuF8QP8/2hpdPUypRKHmfIkhw6W8sPB16558rDw==",
);

/// Built-in users, where clients may be loose.
fn loose() -> ResourceType {
    ResourceType::clone(Registry::builtin().with_loose_formats().by_name("User").expect("User"))
}

/// What is stored of an attribute; `None` when it is refused.
fn stored(kind: &ResourceType, name: &str, value: Value) -> Option<Value> {
    create(kind, &user(json!({name: value}))).ok().map(|validated| validated.document[name].clone())
}

fn bytes(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    value::BASE64.decode(text).expect("base64")
}

fn text(bytes: &[u8]) -> String {
    use base64::Engine as _;
    value::BASE64.encode(bytes)
}

/// 7643-4.1.2-04
#[test]
fn a_certificate_is_exactly_one() {
    let of = |kind: &ResourceType, value: &str| stored(kind, "x509Certificates", json!([{"value": value}])).is_some();
    let strict = kind("User");
    let unpadded = CERTIFICATE.trim_end_matches('=');
    assert!(of(&strict, CERTIFICATE) && of(&strict, unpadded) && of(&loose(), CERTIFICATE));
    let chain = text(&[bytes(CERTIFICATE), bytes(CERTIFICATE)].concat());
    let envelope = text(&[&[0x30, 0x82, 1, 0x61, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2, 0xa0][..], &[0; 20]].concat());
    for several in [chain, envelope] {
        assert!(!of(&strict, &several) && !of(&loose(), &several));
        let detail = "Attribute 'x509Certificates.value' must be one X.509 certificate, as DER in base64, and no chain of them.";
        assert_eq!(refused(json!({"x509Certificates": [{"value": several}]})), invalid_value(detail));
    }
    for other in ["", "MA==", &text(&bytes(CERTIFICATE)[..100]), &text(b"-----BEGIN CERTIFICATE-----\n")] {
        assert!(!of(&strict, other) && of(&loose(), other), "{other}");
    }
    assert!(!of(&loose(), "*") && !of(&loose(), "M A=") && !of(&loose(), "MB=="));
}

/// 7643-4.1.2-02
#[test]
fn a_country_is_a_code_of_two_letters() {
    let of = |kind: &ResourceType, text: &str| {
        stored(kind, "addresses", json!([{"country": text}]))
            .map(|stored| stored[0]["country"].as_str().expect("a text").to_owned())
    };
    let strict = kind("User");
    assert_eq!([of(&strict, "DE"), of(&strict, "nl")], [Some("DE".into()), Some("NL".into())]);
    for text in ["", "DEU", "Germany", "ZZ", "UK", "D", "ÅX"] {
        let detail = "Attribute 'addresses.country' must be a country code of two letters (ISO 3166-1 alpha-2) such as \"DE\".";
        assert_eq!(refused(json!({"addresses": [{"country": text}]})), invalid_value(detail), "{text}");
    }
    for (sent, kept) in [("us", "US"), ("DEU", "DE"), ("Germany", "DE"), ("UK", "GB"), ("Narnia", "Narnia"), ("Korea", "Korea")] {
        assert_eq!(of(&loose(), sent).as_deref(), Some(kept));
    }
}

/// 7643-4.1.1-08 7643-4.1.1-09
#[test]
fn languages_and_time_zones_have_their_syntax() {
    let rows: [(&str, &[&str], &[&str]); 3] = [
        (
            "preferredLanguage",
            &["en", "en-US", "en-US, fr;q=0.5", "*", "da, en-gb;q=0.8,en ; q=1.000", "zh-Hant-TW"],
            &["", "en_US", "en-US;", "en;q=2", "en;q=0.1234", "en,,fr", "english language", "-en", "1en", "en;q=1.001"],
        ),
        (
            "locale",
            &["en-US", "en_US", "de", "zh-Hant_TW", "sl-rozaj-biske", "x-private"],
            &["", "en US", "en-", "_", "en_US.UTF-8"],
        ),
        (
            "timezone",
            &["America/Los_Angeles", "europe/berlin", "UTC", "Etc/GMT+5"],
            &["", "Europe", "W. Europe Standard Time", "+01:00", "Mars/Olympus"],
        ),
    ];
    for (name, fitting, others) in rows {
        for text in fitting {
            assert_eq!(stored(&kind("User"), name, json!(text)), Some(json!(text)), "{name} {text}");
        }
        for text in others {
            assert_eq!(stored(&kind("User"), name, json!(text)), None, "{name} {text}");
            assert_eq!(stored(&loose(), name, json!(text)), Some(json!(text)), "{name} {text}");
        }
    }
}

/// 7643-2.3.7-01 7643-4.1.1-03
#[test]
fn a_reference_is_a_uri_whatever_a_client_may_be_loose_about() {
    for kind in [ResourceType::clone(&kind("User")), loose()] {
        let of = |name: &str, value: Value| stored(&kind, name, value).is_some();
        assert!(of("profileUrl", json!("https://example.com/~ann")) && of("photos", json!([{"value": "../ann.png"}])));
        for text in ["", "not a link", "https://example.com/\u{1}", "http://a b"] {
            assert!(!of("profileUrl", json!(text)) && !of("photos", json!([{"value": text}])), "{text}");
            assert!(!of(ENTERPRISE_USER, json!({"manager": {"value": "1", "$ref": text}})), "{text}");
        }
    }
    let detail = "Attribute 'profileUrl' must be an absolute or relative URI (RFC 3986).";
    assert_eq!(refused(json!({"profileUrl": "not a link"})), invalid_value(detail));
}

#[test]
fn a_format_belongs_to_an_attribute_and_not_to_its_name() {
    let country = json!({"name": "extra", "type": "complex", "subAttributes": [{"name": "country"}]});
    assert_eq!(stored(&user_with(country), "extra", json!({"country": "Narnia"})), Some(json!({"country": "Narnia"})));
    let zone = user_with(json!({"name": "extra", "format": "timeZone"}));
    assert_eq!(stored(&zone, "extra", json!("Mars/Olympus")), None);
    let published = serde_json::to_value(&*zone.schema).expect("a schema");
    assert!(!published.to_string().contains("\"format\""));
}

/// 7643-2.3.1-01 7643-7-03
#[test]
fn canonical_values_are_suggestions_in_the_schemas_spelling() {
    let emails = json!([{"value": "a", "type": "WORK"}, {"value": "b", "type": "Holiday"}]);
    let expected = json!([{"value": "a", "type": "work"}, {"value": "b", "type": "Holiday"}]);
    assert_eq!(created(json!({"emails": emails}))["emails"], expected);
    let exact = user_with(json!({"name": "extra", "caseExact": true, "canonicalValues": ["work"]}));
    assert_eq!(stored(&exact, "extra", json!("WORK")), Some(json!("WORK")));
}

/// 7643-2.4-04
#[test]
fn the_same_type_and_value_stand_once() {
    let emails = json!([
        {"value": "Ann@example.com", "type": "work", "display": "A"},
        {"value": "ann@EXAMPLE.com", "type": "WORK", "display": "B", "primary": true},
        {"value": "ann@example.com", "type": "home"},
        {"value": "ann@example.com"},
        {"value": "ann@example.com", "primary": false},
        {"type": "work"},
        {"type": "home"},
    ]);
    let expected = json!([
        {"value": "Ann@example.com", "type": "work", "display": "B", "primary": true},
        {"value": "ann@example.com", "type": "home"},
        {"value": "ann@example.com"},
        {"type": "work"},
        {"type": "home"},
    ]);
    assert_eq!(created(json!({"emails": emails}))["emails"], expected);
    let photos = json!([{"value": "HTTP://x.example/A"}, {"value": "http://X.example/A"}, {"value": "http://x.example/a"}]);
    let expected = json!([{"value": "HTTP://x.example/A"}, {"value": "http://x.example/a"}]);
    assert_eq!(created(json!({"photos": photos}))["photos"], expected);
    let certificates = json!([{"value": CERTIFICATE}, {"value": CERTIFICATE.trim_end_matches('=')}]);
    assert_eq!(created(json!({"x509Certificates": certificates}))["x509Certificates"], json!([{"value": CERTIFICATE}]));
    let twice = json!([{"value": "a", "primary": true}, {"value": "A", "primary": true}]);
    assert_eq!(created(json!({"emails": twice}))["emails"], json!([{"value": "a", "primary": true}]));
    let simple = user_with(json!({"name": "extra", "multiValued": true}));
    assert_eq!(stored(&simple, "extra", json!(["a", "A", "b"])), Some(json!(["a", "b"])));
}

/// 7643-2.4-05 7643-7-04
#[test]
fn an_immutable_reference_may_be_repeated_with_another_version_of_the_api() {
    let kind = user_with(json!({"name": "sponsor", "type": "reference", "mutability": "immutable", "referenceTypes": ["User"]}));
    let before = user(json!({"sponsor": "https://example.com/v2/Users/1"})).as_object().expect("an object").clone();
    let put = |sponsor: &str| replace(&kind, &before, &user(json!({"sponsor": sponsor}))).is_ok();
    assert!(put("https://example.com/Users/1") && put("https://example.com/v3/Users/1"));
    assert!(!put("https://example.com/Users/2"));
}
