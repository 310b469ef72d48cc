//! What handlers take from a request: the caller, the base of absolute URIs, preconditions, the path's last segment, the body.

use super::respond::Failure;
use super::{BODY_UNIT_BYTES, Context, Shared, log, proxy};
use crate::auth::{Caller, Scope};
use crate::base::limits;
use crate::scim::error::{Error, ErrorKind, Result};
use crate::scim::json;
use crate::scim::version::Precondition;
use axum::BoxError;
use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::{self, HeaderMap, HeaderName};
use axum::http::request::Parts;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// The caller that the credential belongs to. Without one the answer is 401 (RFC 7644 §2).
pub(super) struct Authenticated(pub(super) Arc<Caller>);

impl<S: Shared + Sync> FromRequestParts<S> for Authenticated {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let unauthorized = |detail| Failure::from(Error::new(ErrorKind::Unauthorized, detail));
        let token = credential(&parts.headers)
            .ok_or_else(|| unauthorized("A credential is needed: an API key as bearer token, or in X-API-Key."))?;
        let caller = state.context().authenticator.authenticate(token);
        let caller = caller.ok_or_else(|| unauthorized("The credential is not known."))?;
        log::is_of(caller);
        Ok(Self(Arc::clone(caller)))
    }
}

/// A caller that has one scope: a handler's signature says which one it needs. Without it the answer is 403, and nothing else is said
/// of the request (RFC 6750 §3.1).
pub(super) trait Allowed {
    /// What the caller may do.
    const SCOPE: Scope;

    /// The caller.
    fn caller(&self) -> &Caller;
}

/// The callers that may do one thing.
macro_rules! allowed {
    ($($(#[$about:meta])* $name:ident: $scope:ident;)*) => {$(
        $(#[$about])*
        pub(super) struct $name(pub(super) Arc<Caller>);

        impl Allowed for $name {
            const SCOPE: Scope = Scope::$scope;

            fn caller(&self) -> &Caller {
                &self.0
            }
        }

        impl<S: Shared + Sync> FromRequestParts<S> for $name {
            type Rejection = Failure;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
                let Authenticated(caller) = Authenticated::from_request_parts(parts, state).await?;
                caller.needs(Self::SCOPE)?;
                Ok(Self(caller))
            }
        }
    )*};
}

allowed! {
    /// Reads and searches resources.
    ReadsScim: ScimRead;
    /// Writes resources.
    WritesScim: ScimWrite;
    /// Reads feeds and polls streams.
    ReadsEvents: EventsRead;
    /// Makes and changes streams.
    ManagesStreams: StreamsManage;
    /// Does everything.
    Administers: Admin;
}

/// `Authorization: Bearer …`, the scheme in any case (RFC 9110 §11.1), else `X-API-Key`.
fn credential(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
    });
    bearer.or_else(|| headers.get("x-api-key").and_then(|value| value.to_str().ok()).map(str::trim))
}

/// The base of absolute URIs, without a slash at its end: the public URL, else what trusted proxies or the request call this server,
/// and the base path.
pub(super) enum BaseUrl {
    /// Known from the start.
    Public(Arc<str>),
    /// As the request has it.
    Requested(String),
}

impl Deref for BaseUrl {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Public(base) => base,
            Self::Requested(base) => base,
        }
    }
}

impl<S: Shared + Sync> FromRequestParts<S> for BaseUrl {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let context = state.context();
        if let Some(base) = &context.public_base {
            return Ok(Self::Public(Arc::clone(base)));
        }
        let (surface, host) = (&context.surface, authority(parts)?);
        if surface.trusted_proxies.is_empty() {
            return Ok(Self::Requested(format!("http://{host}{}", surface.base_path)));
        }
        let said = proxy::said(parts, &surface.trusted_proxies);
        Ok(Self::Requested(said.base(host) + &surface.base_path))
    }
}

/// The target's authority, else the one `Host` (RFC 9112 §3.2). Nothing that could end an authority gets into a URI of ours.
fn authority(parts: &Parts) -> Result<&str> {
    let named = match parts.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => single(&parts.headers, &header::HOST),
    };
    named
        .filter(|host| proxy::is_authority(host))
        .ok_or_else(|| Error::invalid_syntax("The request needs one Host header: a host name or address, and a port if need be."))
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?;
    if lines.next().is_some() { None } else { line.to_str().ok() }
}

/// The preconditions of a request (RFC 9110 §13.1).
pub(super) struct Conditions {
    /// `If-Match`
    pub(super) if_match: Option<Precondition>,
    /// `If-None-Match`
    pub(super) if_none_match: Option<Precondition>,
}

impl<S: Sync> FromRequestParts<S> for Conditions {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(Self {
            if_match: precondition(&parts.headers, &header::IF_MATCH, "If-Match")?,
            if_none_match: precondition(&parts.headers, &header::IF_NONE_MATCH, "If-None-Match")?,
        })
    }
}

impl Conditions {
    /// The precondition of a write: one that is false is answered 412 (RFC 9110 §13.2.2).
    pub(super) fn of_write(self) -> Option<Precondition> {
        Precondition::of_write(self.if_match, self.if_none_match)
    }
}

/// Several lines of one header are one list (RFC 9110 §5.3).
fn precondition(headers: &HeaderMap, name: &HeaderName, shown: &str) -> Result<Option<Precondition>> {
    let mut lines = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default());
    let Some(first) = lines.next() else { return Ok(None) };
    let rest: Vec<&str> = lines.collect();
    if rest.is_empty() {
        return Precondition::parse(shown, first).map(Some);
    }
    Precondition::parse(shown, &format!("{first},{}", rest.join(","))).map(Some)
}

/// The segment of the path that a route leaves open, decoded.
pub(super) struct Segment(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(segment)) => Ok(Self(segment)),
            Err(_) => Err(Error::invalid_syntax("The path is not UTF-8 in percent-encoding.").into()),
        }
    }
}

/// The JSON body of a request, and the room that it takes while it is worked on.
pub(super) struct ScimJson(pub(super) Value, pub(super) OwnedSemaphorePermit);

impl<S: Shared + Sync> FromRequest<S> for ScimJson {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        check_media_type(&parts.headers)?;
        let context = state.context();
        let (bytes, room) = read(context, body, context.surface.limits.body_bytes).await?;
        Ok(Self(json::parse(&bytes)?, room))
    }
}

/// The JSON body of a poll: small, and named as what it is (RFC 8936 §2.2).
pub(super) struct PollJson(pub(super) Value);

impl<S: Shared + Sync> FromRequest<S> for PollJson {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        if !parts.headers.contains_key(header::CONTENT_TYPE) {
            let detail = "A poll needs the Content-Type application/json.";
            return Err(Error::new(ErrorKind::UnsupportedMediaType, detail).into());
        }
        check_media_type(&parts.headers)?;
        let context = state.context();
        let most = context.surface.limits.body_bytes.min(limits::POLL_BODY_BYTES);
        // The room is given back here: a poll may wait for long.
        let (bytes, _room) = read(context, body, most).await?;
        Ok(Self(json::parse(&bytes)?))
    }
}

/// SCIM's media type and JSON's, with any parameters; none at all is taken for JSON (7644-3.8-01).
fn check_media_type(headers: &HeaderMap) -> Result<()> {
    let unsupported = |detail| Err(Error::new(ErrorKind::UnsupportedMediaType, detail));
    if let Some(coding) = headers.get(header::CONTENT_ENCODING)
        && !coding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return unsupported("A request's body is not to be compressed: Content-Encoding is not supported.");
    }
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(super::SCIM_JSON) || essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    unsupported("The Content-Type must be application/scim+json or application/json.")
}

/// Reads a body within its limits of size and time (7644-3.7.4-01: the size is enforced while reading).
async fn read(context: &Context, body: Body, most: usize) -> Result<(Bytes, OwnedSemaphorePermit)> {
    let limits = &context.surface.limits;
    let too_large = || Error::new(ErrorKind::TooLarge, format!("The body is over the limit of {most} bytes."));
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    let collected = collect(context, Limited::new(body, most));
    match tokio::time::timeout(Duration::from_millis(limits.body_read_ms), collected).await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Error::invalid_syntax("The body broke off before its end.")),
        Err(_) => {
            let detail = format!("The body did not arrive within {} milliseconds.", limits.body_read_ms);
            Err(Error::new(ErrorKind::RequestTimeout, detail))
        }
    }
}

/// Takes room for what has arrived and for no more: a client that is slow, or sends less than it could, keeps none from others.
async fn collect(context: &Context, mut body: Limited<Body>) -> Result<Result<(Bytes, OwnedSemaphorePermit)>, BoxError> {
    let mut room = match room(context, 1) {
        Ok(room) => room,
        Err(busy) => return Ok(Err(busy)),
    };
    // Joined as they come: a part may be a byte, and each by itself takes more than that.
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let wanted = (bytes.len() + data.len()).div_ceil(BODY_UNIT_BYTES).saturating_sub(room.num_permits());
        match self::room(context, wanted) {
            Ok(more) => room.merge(more),
            Err(busy) => return Ok(Err(busy)),
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Ok((bytes.freeze(), room)))
}

/// Room for so many units of bodies.
fn room(context: &Context, units: usize) -> Result<OwnedSemaphorePermit> {
    let busy = |_| Error::new(ErrorKind::Unavailable, "The server is busy with other large requests; try again.");
    let units = u32::try_from(units).unwrap_or(u32::MAX);
    Arc::clone(&context.room).try_acquire_many_owned(units).map_err(busy)
}
