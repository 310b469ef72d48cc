//! What the verifier accepts and refuses.
#![allow(clippy::needless_pass_by_value, reason = "a json! literal is given as it is written")]

use super::verify::{Code, Expected, Header, Keys, PUBLIC_KEY_ALGORITHMS};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: i64 = 1_800_000_000;
const SECRET: &[u8] = b"a secret of more than thirty-two bytes";

fn key(algorithm: Algorithm) -> EncodingKey {
    let random = SystemRandom::new();
    match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => {
            let curve =
                if algorithm == Algorithm::ES256 { &ECDSA_P256_SHA256_FIXED_SIGNING } else { &ECDSA_P384_SHA384_FIXED_SIGNING };
            EncodingKey::from_ec_der(EcdsaKeyPair::generate_pkcs8(curve, &random).expect("a key").as_ref())
        }
        Algorithm::EdDSA => EncodingKey::from_ed_der(Ed25519KeyPair::generate_pkcs8v1(&random).expect("a key").as_ref()),
        Algorithm::HS256 => EncodingKey::from_secret(SECRET),
        _ => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
            let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().expect("its form");
            let pem = pem_of(der.as_ref());
            EncodingKey::from_rsa_pem(pem.as_bytes()).expect("a key")
        }
    }
}

fn pem_of(der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|from| &text[from..text.len().min(from + 64)]).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

fn jwk(key: &EncodingKey, algorithm: Algorithm, kid: &str) -> Value {
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(key, algorithm).expect("a JWK")).expect("JSON");
    jwk["kid"] = kid.into();
    jwk
}

fn keys(jwks: &[Value]) -> Keys {
    Keys::of_jwks(json!({"keys": jwks}).to_string().as_bytes()).expect("a JWK set")
}

fn claims() -> Value {
    json!({"iss": "https://i", "aud": ["https://a", "https://b"], "iat": NOW - 5, "jti": "1", "txn": "t",
           "sub_id": {"format": "scim", "uri": "/Users/1"}, "events": {"urn:ietf:params:scim:event:prov:delete": {}}})
}

fn with(change: Value) -> Value {
    let mut claims = claims();
    for (name, value) in change.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().expect("an object").remove(name);
    claims
}

fn sign(header: &Value, claims: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).expect("a signature");
    format!("{message}.{signature}")
}

fn expected(algorithms: &[Algorithm]) -> Expected {
    Expected { issuers: vec!["https://i".into()], audiences: vec!["https://b".into()], algorithms: algorithms.to_vec() }
}

/// What a receiver with every public-key algorithm says; `None` when it accepts.
fn verdict(set: &str, keys: &Keys) -> Option<Code> {
    expected(&PUBLIC_KEY_ALGORITHMS).verify(set, keys, NOW).err().map(|refusal| refusal.code)
}

/// A signer of ES256, and what a receiver with its key says to a header and claims.
struct Signer {
    key: EncodingKey,
    keys: Keys,
}

impl Signer {
    fn new() -> Self {
        let key = key(Algorithm::ES256);
        let keys = keys(&[jwk(&key, Algorithm::ES256, "k")]);
        Self { key, keys }
    }

    fn set(&self, header: Value, claims: &Value) -> String {
        sign(&header, &claims.to_string(), &self.key, Algorithm::ES256)
    }

    fn on_header(&self, header: Value) -> Option<Code> {
        verdict(&self.set(header, &claims()), &self.keys)
    }

    fn on_claims(&self, claims: &Value) -> Option<Code> {
        verdict(&self.set(json!({"typ": "secevent+jwt", "alg": "ES256", "kid": "k"}), claims), &self.keys)
    }
}

/// 8935-2-05
#[test]
fn every_algorithm_is_verified() {
    for algorithm in [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA, Algorithm::RS256, Algorithm::PS256] {
        let key = key(algorithm);
        let known = keys(&[jwk(&key, algorithm, "other"), jwk(&key, algorithm, "k")]);
        let header = json!({"typ": "secevent+jwt", "alg": format!("{algorithm:?}"), "kid": "k"});
        let set = sign(&header, &claims().to_string(), &key, algorithm);
        let accepted = expected(&PUBLIC_KEY_ALGORITHMS).verify(&set, &known, NOW).expect("accepted");
        assert_eq!((accepted.jti.as_str(), Value::Object(accepted.claims)), ("1", claims()), "{algorithm:?}");
        let (message, signature) = set.rsplit_once('.').expect("a signature");
        assert_eq!(verdict(&format!("{message}.{}", "A".repeat(signature.len())), &known), Some(Code::InvalidKey));
    }
    let header = json!({"typ": "secevent+jwt", "alg": "HS256", "kid": "any"});
    let set = sign(&header, &claims().to_string(), &EncodingKey::from_secret(SECRET), Algorithm::HS256);
    let secret = Keys::of_secret(SECRET).expect("long enough");
    assert!(expected(&[Algorithm::HS256]).verify(&set, &secret, NOW).is_ok());
    assert!(Keys::of_secret(&SECRET[..31]).is_err());
}

/// 8725-3.1-01
#[test]
fn the_receiver_chooses_the_algorithm_and_a_public_key_is_no_secret() {
    let signer = Signer::new();
    let Value::Object(public) = jwk(&signer.key, Algorithm::ES256, "k") else { panic!("an object") };
    let coordinates = ["x", "y"].map(|name| BASE64.decode(public[name].as_str().expect("text")).expect("bytes")).concat();
    let document = json!({"keys": [public]}).to_string();
    for secret in [&coordinates[..], &[&[4][..], &coordinates].concat(), document.as_bytes()] {
        let header = json!({"typ": "secevent+jwt", "alg": "HS256", "kid": "k"});
        let forged = sign(&header, &claims().to_string(), &EncodingKey::from_secret(secret), Algorithm::HS256);
        assert_eq!(verdict(&forged, &signer.keys), Some(Code::InvalidKey));
        // Not even a receiver that takes both mixes them up.
        let both = expected(&[Algorithm::HS256, Algorithm::ES256]);
        assert_eq!(both.verify(&forged, &signer.keys, NOW).err().map(|refusal| refusal.code), Some(Code::InvalidKey));
    }
    for none in ["none", "None", "NONE", ""] {
        let header = BASE64.encode(json!({"typ": "secevent+jwt", "alg": none}).to_string());
        let payload = BASE64.encode(claims().to_string());
        assert_eq!(verdict(&format!("{header}.{payload}."), &signer.keys), Some(Code::InvalidKey));
        assert_eq!(signer.on_header(json!({"typ": "secevent+jwt", "alg": none, "kid": "k"})), Some(Code::InvalidKey));
    }
    assert_eq!(signer.on_header(json!({"typ": "secevent+jwt", "kid": "k"})), Some(Code::InvalidKey));
    assert_eq!(signer.on_header(json!({"typ": "secevent+jwt", "alg": "RS256", "kid": "k"})), Some(Code::InvalidKey));
    let set = signer.set(json!({"typ": "secevent+jwt", "alg": "ES256", "kid": "k"}), &claims());
    let narrow = expected(&[Algorithm::EdDSA]).verify(&set, &signer.keys, NOW);
    assert_eq!(narrow.err().map(|refusal| refusal.code), Some(Code::InvalidKey));
}

#[test]
fn a_header_says_what_it_is() {
    let signer = Signer::new();
    for typ in ["secevent+jwt", "application/secevent+jwt", "SecEvent+JWT"] {
        assert_eq!(signer.on_header(json!({"typ": typ, "alg": "ES256", "kid": "k"})), None, "{typ}");
    }
    for typ in [json!("JWT"), json!("at+jwt"), json!(""), json!(null), json!(1), json!("text/secevent+jwt")] {
        assert_eq!(signer.on_header(json!({"typ": typ, "alg": "ES256", "kid": "k"})), Some(Code::InvalidRequest), "{typ}");
    }
    assert_eq!(signer.on_header(json!({"alg": "ES256", "kid": "k"})), Some(Code::InvalidRequest));
    let critical = json!({"typ": "secevent+jwt", "alg": "ES256", "kid": "k", "crit": ["b64"], "b64": false});
    assert_eq!(signer.on_header(critical), Some(Code::InvalidRequest));
    assert_eq!(signer.on_header(json!({"typ": "secevent+jwt", "alg": "ES256", "kid": 1})), Some(Code::InvalidRequest));
    assert_eq!(signer.on_header(json!({"typ": "secevent+jwt", "alg": "ES256", "kid": "other"})), Some(Code::InvalidKey));
    assert_eq!(signer.on_header(json!({"typ": "secevent+jwt", "alg": "ES256"})), None);
}

#[test]
fn keys_are_those_for_signatures() {
    let key = key(Algorithm::ES256);
    let own = jwk(&key, Algorithm::ES256, "k");
    let header = Header { algorithm: Algorithm::ES256, kid: Some("k".into()) };
    let changed = |name: &str, value: Value| {
        let mut jwk = own.clone();
        jwk[name] = value;
        keys(&[jwk]).knows(&header)
    };
    assert!(changed("use", "sig".into()) && changed("key_ops", json!(["verify"])));
    assert!(!changed("use", "enc".into()) && !changed("key_ops", json!(["sign"])) && !changed("crv", "P-521".into()));
    assert!(!changed("kid", "K".into()) && !changed("kty", "oct".into()) && !changed("x", "?".into()));
    let secret = json!({"kty": "oct", "k": BASE64.encode(SECRET), "kid": "k", "alg": "HS256"});
    let weak = json!({"kty": "RSA", "n": BASE64.encode([0xff; 128]), "e": "AQAB", "kid": "k"});
    assert!(!keys(&[secret, weak, json!(1), json!({})]).knows(&header));
    // An `alg` narrows what the key is for, and another key of the same name is tried too.
    let mut wrong = own.clone();
    wrong["alg"] = "ES384".into();
    let set = sign(&json!({"typ": "secevent+jwt", "alg": "ES256", "kid": "k"}), &claims().to_string(), &key, Algorithm::ES256);
    assert_eq!(verdict(&set, &keys(&[wrong.clone()])), Some(Code::InvalidKey));
    assert_eq!(verdict(&set, &keys(&[wrong, jwk(&super::verify_tests::key(Algorithm::ES256), Algorithm::ES256, "k"), own])), None);
    for text in ["", "[]", "{}", r#"{"keys": {}}"#] {
        assert!(Keys::of_jwks(text.as_bytes()).is_err(), "{text}");
    }
}

/// 8935-2-05
#[test]
fn issuer_and_audience_are_the_receivers() {
    let signer = Signer::new();
    for issuer in [json!("https://I"), json!(["https://i"]), json!(null), json!("https://i/")] {
        assert_eq!(signer.on_claims(&with(json!({"iss": issuer}))), Some(Code::InvalidIssuer), "{issuer}");
    }
    assert_eq!(signer.on_claims(&without("iss")), Some(Code::InvalidIssuer));
    assert_eq!(signer.on_claims(&with(json!({"aud": "https://b"}))), None);
    for audience in [json!("https://a"), json!([]), json!(["https://b/"]), json!({"https://b": 1}), json!(null)] {
        assert_eq!(signer.on_claims(&with(json!({"aud": audience}))), Some(Code::InvalidAudience), "{audience}");
    }
    assert_eq!(signer.on_claims(&without("aud")), Some(Code::InvalidAudience));
}

/// 8417-4.1-01
#[test]
fn claims_have_the_shape_of_an_event_and_need_no_end() {
    let signer = Signer::new();
    assert_eq!(signer.on_claims(&claims()), None);
    assert_eq!(signer.on_claims(&with(json!({"iat": 1.5, "toe": 1, "exp": NOW - 30}))), None);
    let wrong = [
        json!({"jti": ""}),
        json!({"jti": 1}),
        json!({"jti": "a\nb"}),
        json!({"jti": "x".repeat(1025)}),
        json!({"iat": "1"}),
        json!({"exp": NOW - 100}),
        json!({"exp": "never"}),
        json!({"events": {}}),
        json!({"events": []}),
        json!({"events": {"delete": {}}}),
        json!({"events": {"urn:x": null}}),
        json!({"events": {"urn:x": {}, "urn:y": []}}),
        json!({"sub_id": "1"}),
        json!({"sub_id": {"uri": "/Users/1"}}),
    ];
    for change in wrong {
        assert_eq!(signer.on_claims(&with(change.clone())), Some(Code::InvalidRequest), "{change}");
    }
    for name in ["jti", "iat", "events", "sub_id"] {
        assert_eq!(signer.on_claims(&without(name)), Some(Code::InvalidRequest), "{name}");
    }
    // An ID Token is no event, whatever its header says.
    let id_token = json!({"iss": "https://i", "aud": "https://b", "sub": "1", "iat": NOW, "exp": NOW + 60, "jti": "1"});
    assert_eq!(signer.on_claims(&id_token), Some(Code::InvalidRequest));
}

#[test]
fn a_name_stands_once_and_a_set_has_three_parts() {
    let signer = Signer::new();
    let header = json!({"typ": "secevent+jwt", "alg": "ES256", "kid": "k"});
    let twice = claims().to_string().replacen('{', r#"{"jti":"2","#, 1);
    let inside = claims().to_string().replace(r#""format":"scim""#, r#""format":"scim","format":"x""#);
    for claims in [twice.as_str(), &inside, "[]", "1", "", "{"] {
        let set = sign(&header, claims, &signer.key, Algorithm::ES256);
        assert_eq!(verdict(&set, &signer.keys), Some(Code::InvalidRequest), "{claims}");
    }
    let set = signer.set(header, &claims());
    for text in ["", ".", "..", "...", "a.b.c", "{}", &format!("{set}."), &set.replacen('.', "=.", 1), &set[..set.len() / 3]] {
        assert_eq!(verdict(text, &signer.keys), Some(Code::InvalidRequest), "{text}");
    }
}

#[test]
fn an_unverified_event_still_has_its_shape() {
    let open = Expected { issuers: vec![], audiences: vec![], algorithms: vec![] };
    let set = format!("e30.{}.", BASE64.encode(claims().to_string()));
    for text in [claims().to_string(), set] {
        assert_eq!(open.read_unverified(&text, NOW).map(|accepted| Value::Object(accepted.claims)), Ok(claims()));
    }
    for text in ["{}", "a.b", "x", &with(json!({"events": {}})).to_string()] {
        assert!(open.read_unverified(text, NOW).is_err(), "{text}");
    }
    let choosy = expected(&[]).read_unverified(&with(json!({"iss": "x"})).to_string(), NOW);
    assert_eq!(choosy.err().map(|refusal| refusal.code), Some(Code::InvalidIssuer));
}

proptest! {
    #[test]
    fn any_text_is_refused(text in "([a-zA-Z0-9_-]{0,20}\\.){0,3}[a-zA-Z0-9_{}\":-]{0,20}") {
        let keys = Keys::of_secret(SECRET).expect("long enough");
        prop_assert!(expected(&PUBLIC_KEY_ALGORITHMS).verify(&text, &keys, NOW).is_err());
    }

    #[test]
    fn a_changed_byte_is_noticed(place in any::<prop::sample::Index>(), byte in 0u8..128) {
        let secret = EncodingKey::from_secret(SECRET);
        let header = json!({"typ": "secevent+jwt", "alg": "HS256"});
        let mut set = sign(&header, &claims().to_string(), &secret, Algorithm::HS256).into_bytes();
        let place = place.index(set.len());
        prop_assume!(set[place] != byte);
        set[place] = byte;
        let set = String::from_utf8(set).expect("ASCII");
        let keys = Keys::of_secret(SECRET).expect("long enough");
        prop_assert!(expected(&[Algorithm::HS256]).verify(&set, &keys, NOW).is_err());
    }
}
