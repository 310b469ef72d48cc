//! The interactive page: its own three files, and those of Swagger UI that it needs.

use crate::http::extract::Segment;
use crate::http::respond::Answer;
use crate::http::{Context, Page, SCIM_JSON};
use crate::scim::error::{Error, ErrorKind};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

/// Swagger UI sets styles on its elements and draws with `data:` pictures; scripts and requests are of this origin alone.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page's files, in `/docs/`.
const OWN: [(&str, &str, &str); 2] = [
    ("page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
    ("page.js", "text/javascript; charset=utf-8", include_str!("page/page.js")),
];
/// Those of Swagger UI that it loads.
const OF_SWAGGER_UI: [(&str, &str); 3] = [
    ("swagger-ui.css", "text/css; charset=utf-8"),
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("favicon-32x32.png", "image/png"),
];

static INDEX: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(Bytes::from_static(include_bytes!("page/index.html")), "text/html; charset=utf-8"));

static ASSETS: LazyLock<Vec<(&'static str, Asset)>> = LazyLock::new(|| {
    let own = OWN.into_iter().map(|(name, kind, text)| (name, Asset::new(Bytes::from_static(text.as_bytes()), kind)));
    let configuration = Arc::new(utoipa_swagger_ui::Config::default());
    let vendored = OF_SWAGGER_UI.into_iter().filter_map(|(name, kind)| {
        let file = utoipa_swagger_ui::serve(name, Arc::clone(&configuration)).ok().flatten()?;
        let bytes = match file.bytes {
            Cow::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
            Cow::Owned(bytes) => bytes.into(),
        };
        Some((name, Asset::new(bytes, kind)))
    });
    own.chain(vendored).collect()
});

/// A file with its type and its entity tag.
#[derive(Clone, Debug)]
pub(super) struct Asset {
    bytes: Bytes,
    kind: &'static str,
    /// A strong one: of the bytes themselves.
    tag: HeaderValue,
}

impl Asset {
    pub(super) fn new(bytes: Bytes, kind: &'static str) -> Self {
        let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&Sha256::digest(&bytes)[..15]));
        // Base64 is safe in a header.
        let tag = HeaderValue::try_from(tag).unwrap_or_else(|_| HeaderValue::from_static("\"\""));
        Self { bytes, kind, tag }
    }

    /// The file, or 304 to a client that has it (RFC 9110 §13.1.2).
    pub(super) fn answer(&self, known: Option<&HeaderValue>) -> Response {
        let is_known = known.and_then(|known| known.to_str().ok()).is_some_and(|known| self.is_in(known));
        let mut response = Response::new(if is_known { Body::empty() } else { Body::from(self.bytes.clone()) });
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        if !is_known {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        }
        headers.insert(header::ETAG, self.tag.clone());
        let fixed = [
            (header::CACHE_CONTROL, "no-cache"),
            (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
            (header::REFERRER_POLICY, "no-referrer"),
        ];
        headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
        response
    }

    /// Whether a list of entity tags names this file. The comparison is the weak one: a proxy that compresses may have weakened
    /// the tag.
    fn is_in(&self, known: &str) -> bool {
        let is_this = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == self.tag.as_bytes();
        known.split(',').map(str::trim).any(|tag| tag == "*" || is_this(tag))
    }
}

/// Whether a request for `/` is for the page where the root query has its place there too: not when it filters or asks for SCIM.
pub(in crate::http) fn wants_page(context: &Context, headers: &HeaderMap, uri: &Uri) -> bool {
    if context.surface.page == Page::Off {
        return false;
    }
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let names_scim = |types: &str| types.split(',').any(|kind| kind.split(';').next().is_some_and(is_scim));
    let mut parameters = uri.query().unwrap_or_default().split('&');
    !accepted.any(names_scim) && !parameters.any(|pair| pair.split('=').next() == Some("filter"))
}

fn is_scim(kind: &str) -> bool {
    kind.trim().eq_ignore_ascii_case(SCIM_JSON)
}

/// The page itself. Everything it names is relative, so that it works under a proxy's prefix.
pub(in crate::http) async fn page(State(context): State<Arc<Context>>, headers: HeaderMap) -> Answer {
    match context.surface.page {
        Page::Served => Ok(INDEX.answer(headers.get(header::IF_NONE_MATCH))),
        Page::Off => Err(Error::new(ErrorKind::NotFound, "There is no such endpoint.").into()),
    }
}

/// `/docs/{name}`: a file of the page.
pub(in crate::http) async fn asset(State(context): State<Arc<Context>>, Segment(name): Segment, headers: HeaderMap) -> Answer {
    let asset = ASSETS.iter().find(|(known, _)| *known == name && context.surface.page == Page::Served);
    match asset {
        Some((_, asset)) => Ok(asset.answer(headers.get(header::IF_NONE_MATCH))),
        None => Err(Error::new(ErrorKind::NotFound, "There is no such endpoint.").into()),
    }
}
