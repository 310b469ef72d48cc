//! An engine without a server, for commands that work on the store by themselves.

use super::{Gateway, StartError};
use crate::config::Settings;
use crate::engine::{Engine, Parts};
use crate::store::backends::{self, Opening, Purpose};
use std::sync::Arc;
use tracing_appender::non_blocking::WorkerGuard;

/// Opens the store that the settings name. What the log has to say goes to the standard error while what is returned is kept.
pub(crate) async fn open(settings: Settings, purpose: Purpose) -> Result<(Arc<Engine>, WorkerGuard), StartError> {
    let log = super::log::start(settings.log_level, settings.log_format);
    let Settings { store, switches, mut limits, schemas, .. } = settings;
    // A group that has grown by many requests comes and goes as a whole.
    limits.members_per_request = usize::MAX;
    let builder = Gateway::builder().registry(Arc::new(schemas.registry)).limits(limits.clone());
    let opened = backends::open(store.backend, Opening { purpose, ..builder.opening(&store) }).await;
    let backend = opened.map_err(|source| match &store.database_url {
        Some(_) => StartError::Database { source },
        None => StartError::Store { path: store.data_path.display().to_string(), source },
    })?;
    let (clock, ids, entropy) = (builder.clock, builder.ids, builder.entropy);
    Ok((Arc::new(Engine::new(Parts { backend, clock, ids, entropy, limits, switches })), log))
}
