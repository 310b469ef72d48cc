//! F6: the composition root: settings → store → engine → router; and the shutdown.

mod failure;
mod log;
mod offline;

use crate::auth::key_file;
use crate::auth::{Authenticator, Credential};
use crate::base::clock::{Clock, SystemClock};
use crate::base::id::{Ids, Tenant, TimeOrderedIds};
use crate::base::limits::Limits;
use crate::base::secret::{Entropy, Secret, SystemEntropy};
use crate::config::{self, Settings};
use crate::delivery::{self, Delivery, Running, StartFailure};
use crate::engine::{Engine, Parts, Switches};
use crate::http::{self, Context, Page, PatchAnswer, Surface};
use crate::scim::schema::Registry;
use crate::store::backends::{self, Opening};
use crate::store::{Backend, StoreError};
use axum::Router;
use ipnet::IpNet;
use std::fs::File;
use std::future::Future;
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use failure::{SetBack, StartError};
pub(crate) use offline::open;

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
    delivery: delivery::Settings,
    surface: Surface,
    credentials: Vec<Credential>,
}

impl Gateway {
    /// A gateway to be described.
    pub fn builder() -> Builder {
        Builder {
            backend: None,
            registry: Arc::new(Registry::builtin().with_loose_formats().with_unique("Group", "displayName")),
            clock: Arc::new(SystemClock),
            ids: Arc::new(TimeOrderedIds),
            entropy: Arc::new(SystemEntropy),
            switches: Switches::default(),
            delivery: delivery::Settings::default(),
            surface: Surface::default(),
            credentials: Vec::new(),
        }
    }

    /// Every route.
    pub fn router(&self) -> Router {
        http::router(&self.context)
    }

    /// Begins to deliver events: for a router in a program's own server, within a tokio runtime. [`serve`](Self::serve) does it by
    /// itself. `origin` is where that server can be reached, such as `http://127.0.0.1:8000`: it names this installation in events unless
    /// a public URL or an issuer is set. Keep what is returned, and [stop](Running::stop) it when the last request has been answered;
    /// [`close`](Self::close) before that ends the requests that wait for events. Fails when the ledger cannot be
    /// used, and when a stream of the configuration cannot be as it says.
    ///
    /// ```no_run
    /// # async fn example(gateway: carillon::app::Gateway) -> Result<(), Box<dyn std::error::Error>> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    /// let running = gateway.start("http://127.0.0.1:8000").await?;
    /// let router: axum::Router = gateway.router();
    /// // … serve it; when it is told to stop:
    /// gateway.close();
    /// // … and when every request has been answered:
    /// running.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn start(&self, origin: &str) -> Result<Running, StartFailure> {
        self.context.delivery.listens_at(origin);
        self.context.delivery.start().await
    }

    /// Answers every request that waits for events, now and from now on.
    pub fn close(&self) {
        self.context.delivery.close();
    }

    /// Serves and delivers until `shutdown` ends, the requests in flight are answered and what was delivered is kept. Fails when the
    /// listener or the ledger cannot be used; and, at once, with [`SetBack`] when the database was.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let running = self.start(&format!("http://{}", listener.local_addr()?)).await.map_err(io::Error::other)?;
        self.serve_started(listener, running, shutdown).await
    }

    async fn serve_started(
        self,
        listener: TcpListener,
        running: Running,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let context = Arc::clone(&self.context);
        tokio::select! {
            served = http::serve(listener, self.router(), self.context, shutdown) => {
                running.stop().await;
                served
            }
            // As if it were killed: nothing that is to be kept yet may be.
            seen = context.delivery.set_back() => Err(io::Error::other(SetBack(seen))),
        }
    }
}

impl Builder {
    /// The store and its ledger.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// What is served, unless a [backend](Self::backend) brings what it was opened with.
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

    /// How events are delivered. What the [switches](Self::switches), the base path and the public URL say of it counts before this.
    #[must_use]
    pub fn delivery(mut self, settings: delivery::Settings) -> Self {
        self.delivery = settings;
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

    /// No interactive page at `/`.
    #[must_use]
    pub fn without_page(mut self) -> Self {
        self.surface.page = Page::Off;
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
    pub fn api_key(self, key: Secret) -> Self {
        self.credential(Credential::of_api_key(key))
    }

    /// One more key that a client of its own name may use.
    #[must_use]
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credentials.push(credential);
        self
    }

    /// Where proxies are whose `Forwarded` and `X-Forwarded-*` headers count. The address of a connection's peer has to be handed
    /// to the router (`into_make_service_with_connect_info`); [`Gateway::serve`] does.
    #[must_use]
    pub fn trusted_proxies(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.surface.trusted_proxies = networks.into_iter().collect();
        self
    }

    /// What a PATCH is answered with.
    #[must_use]
    pub fn patch_answer(mut self, answer: PatchAnswer) -> Self {
        self.surface.patch_answer = answer;
        self
    }

    /// Time between saying that the server is not ready and closing the listener, in milliseconds; 0 by default.
    #[must_use]
    pub fn shutdown_delay_ms(mut self, milliseconds: u64) -> Self {
        self.surface.shutdown_delay_ms = milliseconds;
        self
    }

    /// Whether `/metrics` needs no credential; by default it needs one that may do everything.
    #[must_use]
    pub fn metrics_public(mut self, is_public: bool) -> Self {
        self.surface.metrics_public = is_public;
        self
    }

    /// Puts it together, and makes the process record what `/metrics` tells, unless the program has installed a recorder of metrics
    /// before: that one stays, and the gateway records there. Fails when the memory store, which stands in where none is given, does not open.
    pub fn build(mut self) -> Result<Gateway, StoreError> {
        let backend = match self.backend.take() {
            Some(backend) => backend,
            None => backends::memory::open(self.opening(&config::Store::default())),
        };
        self.surface.event_mode = self.switches.event_mode;
        let delivery = Delivery::new(delivery::Parts {
            ledger: Arc::clone(&backend.ledger),
            registry: Arc::clone(&backend.registry),
            clock: Arc::clone(&self.clock),
            ids: Arc::clone(&self.ids),
            entropy: Arc::clone(&self.entropy),
            settings: delivery::Settings {
                issuer: self.switches.issuer.clone(),
                audience: self.switches.audience.clone(),
                mode: self.switches.event_mode,
                base_path: self.surface.base_path.clone(),
                public_url: self.surface.public_url.clone(),
                ..self.delivery
            },
        });
        let parts = Parts {
            backend,
            clock: self.clock,
            ids: self.ids,
            entropy: self.entropy,
            limits: self.surface.limits.clone(),
            switches: self.switches,
        };
        let authenticator = Authenticator::new(self.credentials);
        Ok(Gateway { context: Arc::new(Context::new(Engine::new(parts), Arc::new(delivery), authenticator, self.surface)) })
    }

    fn opening(&self, store: &config::Store) -> Opening {
        Opening {
            purpose: backends::Purpose::Serve,
            data_path: store.data_path.clone(),
            database_url: store.database_url.clone(),
            views: store.views.clone(),
            registry: Arc::clone(&self.registry),
            ids: Arc::clone(&self.ids),
            limits: self.surface.limits.clone(),
        }
    }
}

/// Starts from settings and serves until SIGTERM or SIGINT. Says on the standard output where it listens, and once the key that it
/// made.
pub fn run(settings: Settings) -> Result<(), StartError> {
    let _log = log::start(settings.log_level, settings.log_format);
    let (host, port) = (settings.server.host.clone(), settings.server.port);
    let base_path = settings.server.base_path.clone();
    let dump = settings.dump_resources.clone().as_deref().map(Dump::open).transpose()?;
    let place = settings.store.place();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|source| StartError::Listener { host: host.clone(), port, source })?;
    let gateway = runtime.block_on(assemble(settings))?;
    warn_of_retired(&gateway);
    let failed = |failure| match failure {
        StartFailure::Keys(source) => StartError::SigningKeys { place: place.clone(), source },
        source => StartError::Delivery { source },
    };
    let served = runtime.block_on(serve(&gateway, (&host, port), &base_path, dump, failed));
    drop(gateway);
    served
}

/// Types that are no longer configured: their resources stay, and nobody can reach them.
fn warn_of_retired(gateway: &Gateway) {
    for record in gateway.context.engine.registry().all_retired() {
        tracing::warn!(
            resource_type = record.name,
            "this resource type is no longer configured; what there is of it stays unserved"
        );
    }
}

/// The file that is to hold every resource when the server has stopped. That it can be written is seen at the start.
struct Dump {
    path: String,
    file: File,
}

impl Dump {
    fn open(path: &Path) -> Result<Self, StartError> {
        let mut options = File::options();
        // What it holds until then is kept.
        let file = options.create(true).write(true).truncate(false).mode(0o600).open(path);
        let path = path.display().to_string();
        match file {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(StartError::Dump { path, source }),
        }
    }

    async fn write(self, gateway: &Gateway, base: &str) -> Result<(), StartError> {
        let Self { path, file } = self;
        let written = async {
            file.set_len(0)?;
            let mut output = io::BufWriter::new(file);
            gateway.context.engine.dump(Tenant(0), base, &mut output).await?;
            output.flush()
        };
        written.await.map_err(|source| StartError::Dump { path, source })
    }
}

async fn assemble(settings: Settings) -> Result<Gateway, StartError> {
    let Settings {
        server, store, switches, delivery, patch_answer, limits, schemas, mut api_keys, me_user_name, named_keys, ..
    } = settings;
    let mut builder = Gateway::builder().registry(Arc::new(schemas.registry)).switches(switches).delivery(delivery);
    builder = builder.limits(limits).base_path(server.base_path);
    builder = builder
        .trusted_proxies(server.trusted_proxies)
        .patch_answer(patch_answer)
        .shutdown_delay_ms(server.shutdown_delay_ms)
        .metrics_public(server.metrics_public);
    if let Some(url) = server.public_url {
        builder = builder.public_url(url);
    }
    if !server.page {
        builder = builder.without_page();
    }
    let path = store.data_path.display().to_string();
    let refused = |source| match &store.database_url {
        Some(_) => StartError::Database { source },
        None => StartError::Store { path: path.clone(), source },
    };
    let backend = backends::open(store.backend, builder.opening(&store)).await.map_err(refused)?;
    if api_keys.is_empty() && named_keys.is_empty() {
        let keeps = backend.store.capabilities().durable;
        let key = generated_key(keeps.then_some(&store.data_path), &*builder.entropy);
        api_keys.push(key.map_err(|source| StartError::Key { path: path.clone(), source })?);
    }
    let unnamed = api_keys.into_iter().map(|key| Credential { user_name: me_user_name.clone(), ..Credential::of_api_key(key) });
    unnamed.chain(named_keys).fold(builder, Builder::credential).backend(backend).build().map_err(refused)
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

async fn serve(
    gateway: &Gateway,
    (host, port): (&str, u16),
    base_path: &str,
    dump: Option<Dump>,
    failed: impl Fn(StartFailure) -> StartError,
) -> Result<(), StartError> {
    let refused = |source| StartError::Listener { host: host.to_owned(), port, source };
    let listener = TcpListener::bind((host, port)).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let running = gateway.start(&format!("http://{address}")).await.map_err(failed)?;
    let asked = asked_to_stop().map_err(refused)?;
    let shutdown = async {
        asked.await;
        tracing::info!("shutting down");
    };
    say(&format!("Carillon listens on http://{address}{base_path}/"));
    let ended = |source: io::Error| match source.downcast::<SetBack>() {
        Ok(source) => StartError::SetBack { source },
        Err(source) => refused(source),
    };
    gateway.clone().serve_started(listener, running, shutdown).await.map_err(ended)?;
    let Some(dump) = dump else { return Ok(()) };
    let origin = gateway.context.surface.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    dump.write(gateway, &format!("{origin}{base_path}")).await
}

/// Ends at the first SIGTERM or SIGINT; both are listened for from now on.
pub(crate) fn asked_to_stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// A line on the standard output, whoever reads it: a closed one stops nothing.
fn say(line: &str) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}
