//! What can be wrong with a request, in the protocol's own words (RFC 7644 §3.12). `http::respond` maps each kind to its status.

use std::fmt;

/// The kinds of failure a client can be told of. The first ones are the `scimType`s of RFC 7644 Table 9 and RFC 9865 §2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The filter is malformed, or combines an attribute and an operator that do not go together.
    InvalidFilter,
    /// Answering would take more work than the server allows.
    TooMany,
    /// A unique attribute's value is taken.
    Uniqueness,
    /// The attribute may not be changed so.
    Mutability,
    /// The body is not JSON, or not the message that the endpoint takes.
    InvalidSyntax,
    /// The path of a PATCH operation is malformed or names no attribute.
    InvalidPath,
    /// The path of a PATCH operation selects nothing to change.
    NoTarget,
    /// A value is missing, of the wrong type, or not allowed.
    InvalidValue,
    /// The protocol version is not served.
    InvalidVersion,
    /// The request would put personal data into a URI.
    Sensitive,
    /// The cursor is none of ours, or was given for another query or another caller.
    InvalidCursor,
    /// The cursor is older than cursors may be.
    ExpiredCursor,
    /// The count is larger than a page of a walk may be, or not that of its first page.
    InvalidCount,
    /// No credential, or one that is not known.
    Unauthorized,
    /// This is not allowed here.
    Forbidden,
    /// The credential does not have the scope of this name, which the request needs.
    OutOfScope(&'static str),
    /// No such resource or endpoint.
    NotFound,
    /// The endpoint does not take this method.
    MethodNotAllowed,
    /// The request did not arrive in time.
    RequestTimeout,
    /// `If-Match` or `If-None-Match` does not allow this version.
    PreconditionFailed,
    /// What the operation refers to was not created.
    Conflict,
    /// The request is larger than a named limit.
    TooLarge,
    /// The body's media type is not JSON.
    UnsupportedMediaType,
    /// The event or cursor is no longer kept.
    Gone,
    /// The server cannot do this now; trying again later can help.
    Unavailable,
    /// The server does not do this.
    NotImplemented,
    /// The server failed. The detail says nothing of its inside.
    Internal,
}

/// A failure that is answered to the client: its kind, and a text that names the attribute, the parameter or the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// For people; never internal text, never a secret.
    pub detail: String,
}

/// The result of everything in this floor.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of this kind.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// 400 `invalidValue`.
    pub fn invalid_value(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidValue, detail)
    }

    /// 400 `invalidSyntax`.
    pub fn invalid_syntax(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidSyntax, detail)
    }

    /// 400 `invalidFilter`.
    pub fn invalid_filter(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidFilter, detail)
    }

    /// 400 `invalidPath`.
    pub fn invalid_path(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidPath, detail)
    }

    /// 400 `mutability`.
    pub fn mutability(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Mutability, detail)
    }

    /// 400 `noTarget`.
    pub fn no_target(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::NoTarget, detail)
    }

    /// 404 for a resource.
    pub fn resource_not_found(id: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("Resource {id} not found."))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.kind, self.detail)
    }
}

impl std::error::Error for Error {}
