//! Answers: the one table from errors to statuses, and the shapes of success.

use super::SCIM_JSON;
use super::preferences::Return;
use crate::base::limits;
use crate::scim::error::{Error, ErrorKind};
use crate::scim::message;
use crate::scim::version;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::Value;

/// What a handler gives back.
pub(super) type Answer = Result<Response, Failure>;

/// An error on its way to the client.
#[derive(Debug)]
pub(super) struct Failure(Error);

impl Failure {
    /// What kind of failure it is.
    pub(super) fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// The one table: kind → status and `scimType` (RFC 7644 §3.12 Tables 8 and 9; 7644-3.12-02).
fn status_of(kind: ErrorKind) -> (StatusCode, Option<&'static str>) {
    match kind {
        ErrorKind::InvalidFilter => (StatusCode::BAD_REQUEST, Some("invalidFilter")),
        ErrorKind::TooMany => (StatusCode::BAD_REQUEST, Some("tooMany")),
        ErrorKind::Uniqueness => (StatusCode::CONFLICT, Some("uniqueness")),
        ErrorKind::Mutability => (StatusCode::BAD_REQUEST, Some("mutability")),
        ErrorKind::InvalidSyntax => (StatusCode::BAD_REQUEST, Some("invalidSyntax")),
        ErrorKind::InvalidPath => (StatusCode::BAD_REQUEST, Some("invalidPath")),
        ErrorKind::NoTarget => (StatusCode::BAD_REQUEST, Some("noTarget")),
        ErrorKind::InvalidValue => (StatusCode::BAD_REQUEST, Some("invalidValue")),
        ErrorKind::InvalidVersion => (StatusCode::BAD_REQUEST, Some("invalidVers")),
        ErrorKind::Sensitive => (StatusCode::FORBIDDEN, Some("sensitive")),
        ErrorKind::InvalidCursor => (StatusCode::BAD_REQUEST, Some("invalidCursor")),
        ErrorKind::ExpiredCursor => (StatusCode::BAD_REQUEST, Some("expiredCursor")),
        ErrorKind::InvalidCount => (StatusCode::BAD_REQUEST, Some("invalidCount")),
        ErrorKind::Unauthorized => (StatusCode::UNAUTHORIZED, None),
        ErrorKind::Forbidden | ErrorKind::OutOfScope(_) => (StatusCode::FORBIDDEN, None),
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, None),
        ErrorKind::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, None),
        ErrorKind::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, None),
        ErrorKind::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, None),
        ErrorKind::Conflict => (StatusCode::CONFLICT, None),
        ErrorKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, None),
        ErrorKind::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, None),
        ErrorKind::Gone => (StatusCode::GONE, None),
        ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, None),
        ErrorKind::NotImplemented => (StatusCode::NOT_IMPLEMENTED, None),
        ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, None),
    }
}

/// The status of an error, and its body.
pub(super) fn error_of(error: &Error) -> (StatusCode, Value) {
    let (status, scim_type) = status_of(error.kind);
    (status, message::error_body(status.as_u16(), scim_type, &error.detail))
}

/// The status of an error and its `scimType` in a few words, for who reads no JSON: `409 uniqueness`.
pub fn named(error: &Error) -> String {
    match status_of(error.kind) {
        (status, Some(scim_type)) => format!("{} {scim_type}", status.as_u16()),
        (status, None) => status.as_u16().to_string(),
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, body) = error_of(&self.0);
        let mut response = json(status, body.to_string());
        match self.0.kind {
            // 7644-2-01
            ErrorKind::Unauthorized => {
                set(&mut response, header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"carillon\""));
            }
            // RFC 6750 §3.1. The name of a scope is always a header.
            ErrorKind::OutOfScope(scope) => {
                let challenge = format!("Bearer realm=\"carillon\", error=\"insufficient_scope\", scope=\"{scope}\"");
                if let Ok(challenge) = HeaderValue::try_from(challenge) {
                    set(&mut response, header::WWW_AUTHENTICATE, challenge);
                }
            }
            ErrorKind::Unavailable => {
                set(&mut response, header::RETRY_AFTER, HeaderValue::from(limits::RETRY_AFTER_SECONDS));
            }
            _ => {}
        }
        response
    }
}

/// A SCIM message.
pub(super) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, HeaderValue::from_static(SCIM_JSON));
    response
}

/// One resource, with its version and its address (7644-3.14-01, 7644-3.9-05).
pub(super) fn resource(status: StatusCode, version: u64, location: String, body: Bytes) -> Response {
    let mut response = json(status, body);
    set_version(&mut response, version);
    set_location(&mut response, location);
    response
}

/// A resource that was created, for a client that does not want to see it (RFC 7240 §4.2).
pub(super) fn created(version: u64, location: String) -> Response {
    let mut response = without_body(StatusCode::CREATED, Some(version));
    set_location(&mut response, location);
    response
}

/// Says which preference was honoured (RFC 7240 §3).
pub(super) fn set_applied(response: &mut Response, returns: Return) {
    set(response, HeaderName::from_static("preference-applied"), returns.applied());
}

/// An address that no header can hold is still in the body's `meta.location`.
pub(super) fn set_location(response: &mut Response, location: String) {
    if let Ok(location) = HeaderValue::try_from(location) {
        set(response, header::LOCATION, location);
    }
}

/// No body: 204, or 304 to a client that has this version already (7644-3.14-02).
pub(super) fn without_body(status: StatusCode, version: Option<u64>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if let Some(version) = version {
        set_version(&mut response, version);
    }
    response
}

fn set_version(response: &mut Response, version: u64) {
    if let Ok(tag) = HeaderValue::try_from(version::etag(version)) {
        set(response, header::ETAG, tag);
    }
}

fn set(response: &mut Response, name: HeaderName, value: HeaderValue) {
    response.headers_mut().insert(name, value);
}

/// Any path that no route has. One that names a version of the protocol other than 2 is told so (7644-3.13-01).
pub(super) async fn not_found(uri: Uri) -> Failure {
    let is_version = |segment: &str| {
        let number = segment.strip_prefix(['v', 'V']).unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) && number != "2"
    };
    match uri.path().split('/').find(|segment| is_version(segment)) {
        Some(version) => {
            let version = crate::scim::path::shorten(version);
            Error::new(ErrorKind::InvalidVersion, format!("Version '{version}' of the protocol is not served; v2 is.")).into()
        }
        None => Error::new(ErrorKind::NotFound, "There is no such endpoint.").into(),
    }
}

/// A method that a route does not have. The router adds `Allow` (RFC 9110 §15.5.6); for OPTIONS that is the whole answer (§9.3.7).
pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Answer {
    if method == Method::OPTIONS {
        return Ok(without_body(StatusCode::NO_CONTENT, None));
    }
    let detail = format!("{method} is not allowed at {}.", crate::scim::path::shorten(uri.path()));
    Err(Error::new(ErrorKind::MethodNotAllowed, detail).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ErrorKind::*;

    /// 7644-3.12-02 7644-3.3-07
    #[test]
    fn every_kind_of_error_has_its_status() {
        let kinds = [
            InvalidFilter,
            TooMany,
            Uniqueness,
            Mutability,
            InvalidSyntax,
            InvalidPath,
            NoTarget,
            InvalidValue,
            InvalidVersion,
            Sensitive,
            InvalidCursor,
            ExpiredCursor,
            InvalidCount,
            Unauthorized,
            Forbidden,
            OutOfScope("admin"),
            NotFound,
            MethodNotAllowed,
            RequestTimeout,
            PreconditionFailed,
            Conflict,
            TooLarge,
            UnsupportedMediaType,
            Gone,
            Unavailable,
            NotImplemented,
            Internal,
        ];
        let table: Vec<String> = kinds
            .into_iter()
            .map(|kind| {
                let (status, scim_type) = status_of(kind);
                format!("{kind:?} {} {}", status.as_u16(), scim_type.unwrap_or("-"))
            })
            .collect();
        insta::assert_snapshot!(table.join("\n"), @r#"
        InvalidFilter 400 invalidFilter
        TooMany 400 tooMany
        Uniqueness 409 uniqueness
        Mutability 400 mutability
        InvalidSyntax 400 invalidSyntax
        InvalidPath 400 invalidPath
        NoTarget 400 noTarget
        InvalidValue 400 invalidValue
        InvalidVersion 400 invalidVers
        Sensitive 403 sensitive
        InvalidCursor 400 invalidCursor
        ExpiredCursor 400 expiredCursor
        InvalidCount 400 invalidCount
        Unauthorized 401 -
        Forbidden 403 -
        OutOfScope("admin") 403 -
        NotFound 404 -
        MethodNotAllowed 405 -
        RequestTimeout 408 -
        PreconditionFailed 412 -
        Conflict 409 -
        TooLarge 413 -
        UnsupportedMediaType 415 -
        Gone 410 -
        Unavailable 503 -
        NotImplemented 501 -
        Internal 500 -
        "#);
    }
}
