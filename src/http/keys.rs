//! The JWK Set that receivers verify with, and the signing keys for whoever administers them.

use super::Context;
use super::extract::{Administers, ScimJson, Segment};
use super::respond::{self, Answer};
use crate::base::limits;
use crate::delivery::SigningKey;
use crate::delivery::stream::Algorithm;
use crate::scim::error::{Error, Result};
use crate::scim::message;
use crate::scim::path::shorten;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The media type of a JWK Set (RFC 7517 §8.5.2).
const JWK_SET: &str = "application/jwk-set+json";

/// The public keys (RFC 7517 §5). Whoever got a SET may verify it: no credential.
pub(super) async fn published(State(context): State<Arc<Context>>) -> Answer {
    let keys = context.within(context.delivery.published_keys()).await?;
    let age = format!("public, max-age={}", limits::JWKS_AGE_SECONDS);
    let age = HeaderValue::try_from(age).unwrap_or(HeaderValue::from_static("no-cache"));
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(JWK_SET)), (header::CACHE_CONTROL, age)];
    Ok((headers, keys.to_string()).into_response())
}

/// Every key, without what is secret.
pub(super) async fn list(State(context): State<Arc<Context>>, _: Administers) -> Answer {
    Ok(shown(&context.within(context.delivery.signing_keys()).await?))
}

/// A new key: `alg`, if not the usual one; `now`, if it is to sign at once.
pub(super) async fn rotate(State(context): State<Arc<Context>>, _: Administers, ScimJson(body, _room): ScimJson) -> Answer {
    let (algorithm, now) = rotation(&body)?;
    Ok(shown(&context.within(context.delivery.rotate_keys(algorithm, now)).await?))
}

/// Takes a key out of use at once.
pub(super) async fn retire(State(context): State<Arc<Context>>, _: Administers, Segment(kid): Segment) -> Answer {
    Ok(shown(&context.within(context.delivery.retire_key(&kid)).await?))
}

/// What a rotation is asked for.
fn rotation(body: &Value) -> Result<(Option<Algorithm>, bool)> {
    let members = body.as_object().ok_or_else(|| Error::invalid_syntax("The body must be a JSON object."))?;
    if let Some(unknown) = members.keys().find(|name| !["alg", "now"].contains(&name.as_str())) {
        return Err(Error::invalid_syntax(format!("'{}' is not a member of a rotation: alg and now are.", shorten(unknown))));
    }
    let algorithm = match members.get("alg") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) if let Some(algorithm) = named(name) => Some(algorithm),
        Some(_) => return Err(Error::invalid_value("'alg' must be ES256, EdDSA or RS256.")),
    };
    let now = match members.get("now") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(now)) => *now,
        Some(_) => return Err(Error::invalid_value("'now' must be true or false.")),
    };
    Ok((algorithm, now))
}

fn named(name: &str) -> Option<Algorithm> {
    Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)
}

fn shown(keys: &[SigningKey]) -> axum::response::Response {
    let keys: Vec<Vec<u8>> = keys.iter().map(|key| described(key).to_string().into_bytes()).collect();
    let total = keys.len();
    respond::json(StatusCode::OK, message::list_response(total as u64, 1, &keys))
}

fn described(key: &SigningKey) -> Value {
    let times = [
        ("created", Some(key.created)),
        ("activates", key.activates),
        ("activated", key.activated),
        ("retired", key.retired),
        ("leaves", key.leaves),
    ];
    let mut shown = Map::from_iter([
        ("kid".to_owned(), json!(key.kid)),
        ("alg".to_owned(), json!(key.algorithm.name())),
        ("state".to_owned(), json!(key.state.name())),
    ]);
    shown.extend(times.into_iter().filter_map(|(name, time)| Some((name.to_owned(), json!(time?.to_string())))));
    Value::Object(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_says_which_algorithm_and_when() {
        assert_eq!(rotation(&json!({})), Ok((None, false)));
        assert_eq!(rotation(&json!({"alg": "EdDSA", "now": true})), Ok((Some(Algorithm::EdDsa), true)));
        assert_eq!(rotation(&json!({"alg": null, "now": null})), Ok((None, false)));
        let refused = |body: Value| rotation(&body).expect_err("refused").detail;
        assert_eq!(refused(json!([])), "The body must be a JSON object.");
        assert_eq!(refused(json!({"kid": "x"})), "'kid' is not a member of a rotation: alg and now are.");
        assert_eq!(refused(json!({"now": "yes"})), "'now' must be true or false.");
        for wrong in [json!("none"), json!("es256"), json!(1)] {
            assert_eq!(refused(json!({"alg": wrong})), "'alg' must be ES256, EdDSA or RS256.");
        }
    }
}
