//! F6: the composition root: settings → store → engine → router; and the shutdown.

use crate::auth::Authenticator;
use crate::auth::key_file;
use crate::base::clock::{Clock, SystemClock};
use crate::base::id::{Ids, TimeOrderedIds};
use crate::base::limits::Limits;
use crate::base::secret::{Entropy, Secret, SystemEntropy};
use crate::config::Settings;
use crate::engine::{Engine, Parts, Switches};
use crate::http::{self, Context, Surface};
use crate::scim::schema::Registry;
use crate::store::backends::{self, Opening};
use crate::store::{Backend, StoreError};
use axum::Router;
use std::future::Future;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use tracing_subscriber::EnvFilter;

/// A gateway that can be embedded: as a router in a program's own server, or served by itself.
///
/// ```no_run
/// # fn main() -> Result<(), carillon::store::StoreError> {
/// use carillon::{app::Gateway, base::secret::Secret};
/// let gateway = Gateway::builder().api_key(Secret::new("a long random key")).build()?;
/// let router: axum::Router = gateway.router();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Gateway {
    context: Arc<Context>,
}

/// What a gateway is made of. What is not said is the default: the memory store, the system's clock, ids and randomness.
#[derive(Clone, Debug)]
pub struct Builder {
    backend: Option<Backend>,
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    entropy: Arc<dyn Entropy>,
    switches: Switches,
    surface: Surface,
    keys: Vec<Secret>,
}

impl Gateway {
    /// A gateway to be described.
    pub fn builder() -> Builder {
        Builder {
            backend: None,
            registry: registry(true),
            clock: Arc::new(SystemClock),
            ids: Arc::new(TimeOrderedIds),
            entropy: Arc::new(SystemEntropy),
            switches: Switches::default(),
            surface: Surface::default(),
            keys: Vec::new(),
        }
    }

    /// Every route.
    pub fn router(&self) -> Router {
        http::router(&self.context)
    }

    /// Serves until `shutdown` ends and the requests in flight are answered. Fails when the listener cannot be used.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        http::serve(listener, self.router(), self.context, shutdown).await
    }
}

impl Builder {
    /// The store and its ledger.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// What is served.
    #[must_use]
    pub fn registry(mut self, registry: Arc<Registry>) -> Self {
        self.registry = registry;
        self
    }

    /// The source of time.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The source of identifiers.
    #[must_use]
    pub fn ids(mut self, ids: Arc<dyn Ids>) -> Self {
        self.ids = ids;
        self
    }

    /// The source of random bytes.
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// How the engine acts.
    #[must_use]
    pub fn switches(mut self, switches: Switches) -> Self {
        self.switches = switches;
        self
    }

    /// How much and how long.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.surface.limits = limits;
        self
    }

    /// The prefix of every SCIM endpoint, such as `/scim/v2`, without a slash at its end.
    #[must_use]
    pub fn base_path(mut self, path: impl Into<String>) -> Self {
        self.surface.base_path = path.into();
        self
    }

    /// The base of absolute URIs, without a slash at its end; otherwise it is taken from each request's Host.
    #[must_use]
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.surface.public_url = Some(url.into());
        self
    }

    /// One more key that clients may use. Without any, every request that needs a caller is refused.
    #[must_use]
    pub fn api_key(mut self, key: Secret) -> Self {
        self.keys.push(key);
        self
    }

    /// Puts it together. Fails when the memory store, which stands in where none is given, does not open.
    pub fn build(mut self) -> Result<Gateway, StoreError> {
        let backend = match self.backend.take() {
            Some(backend) => backend,
            None => backends::open("memory", self.opening(PathBuf::new()))?,
        };
        self.surface.event_mode = self.switches.event_mode;
        let parts = Parts {
            backend,
            registry: self.registry,
            clock: self.clock,
            ids: self.ids,
            entropy: self.entropy,
            limits: self.surface.limits.clone(),
            switches: self.switches,
        };
        let authenticator = Authenticator::of_api_keys(&self.keys);
        Ok(Gateway { context: Arc::new(Context::new(Engine::new(parts), authenticator, self.surface)) })
    }

    fn opening(&self, data_path: PathBuf) -> Opening {
        Opening { data_path, registry: Arc::clone(&self.registry), ids: Arc::clone(&self.ids), limits: self.surface.limits.clone() }
    }
}

/// Why the program does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder is held by another process, was written by a newer program, or cannot be used.
    #[error("DATA_PATH {path}: {source}")]
    Store {
        /// The data folder.
        path: String,
        /// What the store says.
        source: StoreError,
    },
    /// The generated key can be neither read nor written.
    #[error("DATA_PATH {path}: the file api-key: {source}")]
    Key {
        /// The data folder.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The address cannot be listened on, or the runtime does not start.
    #[error("HOST {host}, PORT {port}: {source}")]
    Listener {
        /// The name or address.
        host: String,
        /// The port.
        port: u16,
        /// What the operating system says.
        source: io::Error,
    },
}

/// Starts from settings and serves until SIGTERM or SIGINT. Says on the standard output where it listens, and once the key that it
/// made.
pub fn run(settings: Settings) -> Result<(), StartError> {
    let filter = EnvFilter::new(format!("warn,carillon={}", settings.log_level.as_str()));
    // A second start in one process keeps the first one's log.
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).try_init();
    let (host, port) = (settings.server.host.clone(), settings.server.port);
    let base_path = settings.server.base_path.clone();
    let gateway = assemble(settings)?;
    serve(gateway, &host, port, &base_path).map_err(|source| StartError::Listener { host, port, source })
}

fn assemble(settings: Settings) -> Result<Gateway, StartError> {
    let Settings { server, store, switches, unique_group_names, limits, mut api_keys, .. } = settings;
    let mut builder =
        Gateway::builder().registry(registry(unique_group_names)).switches(switches).limits(limits).base_path(server.base_path);
    if let Some(url) = server.public_url {
        builder = builder.public_url(url);
    }
    let path = store.data_path.display().to_string();
    let refused = |source| StartError::Store { path: path.clone(), source };
    let backend = backends::open(store.backend, builder.opening(store.data_path.clone())).map_err(refused)?;
    if api_keys.is_empty() {
        let keeps = backend.store.capabilities().durable;
        let key = generated_key(keeps.then_some(&store.data_path), &*builder.entropy);
        api_keys.push(key.map_err(|source| StartError::Key { path: path.clone(), source })?);
    }
    api_keys.into_iter().fold(builder, Builder::api_key).backend(backend).build().map_err(refused)
}

/// The built-in resource types. That no two groups share a name is what clients expect, and the operator may say otherwise.
fn registry(unique_group_names: bool) -> Arc<Registry> {
    let registry = Registry::builtin();
    Arc::new(if unique_group_names { registry.with_unique("Group", "displayName") } else { registry })
}

/// The generated key: of the data folder, or of this run when nothing is kept.
fn generated_key(folder: Option<&PathBuf>, entropy: &dyn Entropy) -> io::Result<Secret> {
    let Some(folder) = folder else {
        let key = key_file::generate(entropy);
        say(&format!("API key of this run: {}", key.expose()));
        return Ok(key);
    };
    let generated = key_file::read_or_generate(folder, entropy)?;
    if generated.is_new {
        say(&format!("API key, shown this once and kept in {}: {}", generated.path.display(), generated.key.expose()));
    } else {
        say(&format!("API key: the one in {}", generated.path.display()));
    }
    Ok(generated.key)
}

fn serve(gateway: Gateway, host: &str, port: u16, base_path: &str) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((host, port))?;
        let address = listener.local_addr()?;
        let shutdown = shutdown_signal()?;
        say(&format!("Carillon listens on http://{address}{base_path}/"));
        gateway.serve(listener, shutdown).await
    })
}

/// Ends at the first SIGTERM or SIGINT; both are listened for from now on.
fn shutdown_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("shutting down");
    })
}

/// A line on the standard output, whoever reads it: a closed one stops nothing.
fn say(line: &str) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}
