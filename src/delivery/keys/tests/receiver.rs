use super::super::*;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde_json::json;

pub(super) fn claims() -> Value {
    json!({
        "iss": "https://scim.example.com", "iat": 1_800_000_000, "jti": "756E69717565206964656E746966696572", "aud": ["https://r.example.com"],
        "txn": "734f0614e3274f288f93ac74119dcf78", "sub_id": {"format": "scim", "uri": "/Users/2b2f880af6674ac284bae9381673d462"},
        "events": {"urn:ietf:params:scim:event:prov:create:notice": {"version": "\"1\"", "attributes": ["id", "name", "userName", "password", "emails"]}},
    })
}

pub(super) async fn published(keys: &Keys) -> JwkSet {
    serde_json::from_str(&keys.published().await.expect("a JWK set")).expect("a JWK set")
}

/// Verifies as a receiver does that knows the JWK Set alone: algorithm, issuer and audience are its own choice.
pub(super) fn verify(token: &str, set: &JwkSet) -> Result<Value, String> {
    let header = decode_header(token).map_err(|error| error.to_string())?;
    let key = set.find(header.kid.as_deref().unwrap_or_default()).ok_or("no such key")?;
    let algorithm = key.common.key_algorithm.ok_or("no alg")?.to_string().parse().map_err(|_| "not an algorithm of JWS")?;
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&["https://r.example.com"]);
    validation.set_issuer(&["https://scim.example.com"]);
    validation.set_required_spec_claims(&["iss", "aud"]);
    validation.validate_exp = false;
    let key = DecodingKey::from_jwk(key).map_err(|error| error.to_string())?;
    decode::<Value>(token, &key, &validation).map(|data| data.claims).map_err(|error| error.to_string())
}

pub(super) async fn states(keys: &Keys, algorithm: Algorithm) -> Vec<(State, String)> {
    let keys = keys.list().await.expect("keys");
    keys.into_iter().filter(|key| key.algorithm == algorithm).map(|key| (key.state, key.kid)).collect()
}

pub(super) fn header(token: &str) -> Value {
    let head = token.split('.').next().expect("a header");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).expect("base64url without padding")).expect("JSON")
}
