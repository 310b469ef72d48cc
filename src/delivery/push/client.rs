//! The HTTP client that SETs are sent by: it connects to addresses that it has checked, follows nobody, and reads little.

use super::endpoint::{Endpoint, Reach, Settings};
use crate::base::limits;
use crate::base::secret::Secret;
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One SET on its way to a receiver.
#[derive(Clone, Debug)]
pub(super) struct Request<'a> {
    /// To where.
    pub(super) endpoint: &'a Endpoint,
    /// The `Authorization` header.
    pub(super) authorization: Option<&'a Secret>,
    /// The media type of the body.
    pub(super) content_type: &'static str,
    /// The SET.
    pub(super) body: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The receiver answered.
    Answered {
        /// The HTTP status.
        status: u16,
        /// `Retry-After`, as it stands.
        retry_after: Option<String>,
        /// The beginning of the body; `None` when it broke off.
        body: Option<Vec<u8>>,
    },
    /// It did not.
    Failed(Failure),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The name has an address that may not be connected to.
    Address,
    /// No connection.
    Connect,
    /// A connection, but not to whom it should be, or no TLS that is safe.
    Tls,
    /// No answer in time.
    Timeout,
    /// The connection broke off.
    Cut,
    /// The request cannot be made: a fault of ours.
    Request,
}

/// Whoever takes SETs to receivers.
#[async_trait]
pub(super) trait Courier: Send + Sync + fmt::Debug {
    /// Sends one SET. Ends in [`limits::PUSH_REQUEST_MS`], whatever the receiver does.
    async fn send(&self, request: Request<'_>) -> Reply;
}

/// Whoever knows the addresses of names.
pub(super) trait Names: Send + Sync + fmt::Debug {
    /// Every address of a name.
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver.
#[derive(Clone, Copy, Debug)]
pub(super) struct SystemNames;

impl Names for SystemNames {
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })
    }
}

/// A name has an address that may not be connected to. It says neither which nor where.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the name has an address that this server does not send to")]
struct AddressRefused;

/// Resolves a name for a connection, which goes to one of these addresses and no other: nothing is looked up a second time between the
/// check and the connect.
#[derive(Clone, Debug)]
struct Guard {
    names: Arc<dyn Names>,
    reach: Reach,
    allow: Arc<[IpNet]>,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, addresses) = (self.clone(), self.names.addresses(name.as_str().to_owned()));
        Box::pin(async move {
            let addresses = addresses.await?;
            // One bad address condemns the name: who controls it would have us connect there sooner or later.
            if !addresses.iter().all(|address| guard.reach.includes(*address, &guard.allow)) {
                metrics::counter!("carillon_addresses_refused_total").increment(1);
                return Err(AddressRefused.into());
            }
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// Until there is a connection.
    pub(super) connect: Duration,
    /// Until the whole answer is there.
    pub(super) request: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { connect: Duration::from_millis(limits::PUSH_CONNECT_MS), request: Duration::from_millis(limits::PUSH_REQUEST_MS) }
    }
}

/// The HTTP clients: one for each reach, so that no connection is shared between them. Made when they are first needed.
#[derive(Debug)]
pub(super) struct Clients {
    names: Arc<dyn Names>,
    allow: Arc<[IpNet]>,
    authorities: Option<Vec<u8>>,
    timing: Timing,
    made: Mutex<Vec<(Reach, reqwest::Client)>>,
}

impl Clients {
    pub(super) fn new(names: Arc<dyn Names>, settings: &Settings, timing: Timing) -> Self {
        let (allow, authorities) = (settings.allow.as_slice().into(), settings.authorities.clone());
        Self { names, allow, authorities, timing, made: Mutex::default() }
    }

    fn client(&self, reach: Reach) -> Result<reqwest::Client, Failure> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = made.iter().find(|(of, _)| *of == reach) {
            return Ok(client.clone());
        }
        let client = self.make(reach).map_err(|error| {
            tracing::error!(%error, "no client for pushing can be made");
            Failure::Request
        })?;
        made.push((reach, client.clone()));
        Ok(client)
    }

    /// A client that connects to its reach alone. TLS 1.2 or newer (8935-5.3-01), the certificate checked for the name (8935-3-01).
    fn make(&self, reach: Reach) -> Result<reqwest::Client, Box<dyn StdError + Send + Sync>> {
        let tls = tls(self.authorities.as_deref())?;
        let guard = Guard { names: Arc::clone(&self.names), reach, allow: Arc::clone(&self.allow) };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(guard)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(self.timing.connect)
            .timeout(self.timing.request)
            .pool_max_idle_per_host(limits::PUSH_IDLE_CONNECTIONS)
            .pool_idle_timeout(Duration::from_millis(limits::PUSH_IDLE_MS))
            .tcp_nodelay(true)
            .http2_initial_stream_window_size(limits::PUSH_WINDOW_BYTES)
            .http2_keep_alive_interval(Duration::from_millis(limits::PUSH_PING_MS))
            .user_agent(concat!("Carillon/", env!("CARGO_PKG_VERSION")));
        Ok(client.build()?)
    }
}

/// TLS by the system's authorities and the configured ones. Nothing of it depends on what another part of the process has installed.
fn tls(authorities: Option<&[u8]>) -> Result<rustls::ClientConfig, Box<dyn StdError + Send + Sync>> {
    let mut roots = rustls::RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "some of the system's certificate authorities cannot be read");
    }
    roots.add_parsable_certificates(native.certs);
    for certificate in authorities.map(CertificateDer::pem_slice_iter).into_iter().flatten() {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[async_trait]
impl Courier for Clients {
    /// 8935-2.1-01
    async fn send(&self, request: Request<'_>) -> Reply {
        let client = match self.client(request.endpoint.reach) {
            Ok(client) => client,
            Err(failure) => return Reply::Failed(failure),
        };
        let mut message = client
            .post(request.endpoint.url.clone())
            .header(CONTENT_TYPE, request.content_type)
            .header(ACCEPT, "application/json")
            .header(ACCEPT_LANGUAGE, "en")
            .body(request.body);
        if let Some(authorization) = request.authorization {
            let Ok(mut value) = HeaderValue::from_str(authorization.expose()) else { return Reply::Failed(Failure::Request) };
            value.set_sensitive(true);
            message = message.header(AUTHORIZATION, value);
        }
        match message.send().await {
            Ok(response) => answer(response).await,
            Err(error) => Reply::Failed(failure(&error)),
        }
    }
}

/// The part of an answer that counts. A body that has not ended there is not read further, and its connection is let go.
async fn answer(mut response: reqwest::Response) -> Reply {
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let body = if status.is_success() {
        // The SET is accepted, whatever follows: what there is of a body is only read so that the connection may be used again.
        let patience = Duration::from_millis(limits::PUSH_ACCEPTED_BODY_MS);
        tokio::time::timeout(patience, beginning(&mut response)).await.unwrap_or_default()
    } else {
        beginning(&mut response).await
    };
    Reply::Answered { status: status.as_u16(), retry_after, body }
}

async fn beginning(response: &mut reqwest::Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        let room = limits::PUSH_ANSWER_BYTES - body.len();
        body.extend(chunk.iter().take(room));
        if chunk.len() >= room {
            break;
        }
    }
    Some(body)
}

fn failure(error: &reqwest::Error) -> Failure {
    let cause = error as &(dyn StdError + 'static);
    if is_because_of::<AddressRefused>(cause) {
        Failure::Address
    } else if is_because_of::<rustls::Error>(cause) {
        Failure::Tls
    } else if error.is_connect() {
        Failure::Connect
    } else if error.is_timeout() {
        Failure::Timeout
    } else if error.is_builder() {
        Failure::Request
    } else {
        Failure::Cut
    }
}

/// Whether an error of this type lies behind another. What an I/O error holds is not among its sources.
fn is_because_of<E: StdError + 'static>(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<E>() {
            return true;
        }
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = held.map_or_else(|| error.source(), |held| Some(held));
    }
    false
}
