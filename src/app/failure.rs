//! Why the program ends without having been asked to.

use crate::delivery::{KeysError, StartFailure};
use crate::store::StoreError;
use std::io;

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
    /// The database cannot be reached, or was written by a newer program.
    #[error("DATABASE_URL: {source}")]
    Database {
        /// What the store says. It never shows the address, which may hold a password.
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
    /// The file of `--dump-resources` cannot be written.
    #[error("--dump-resources {path}: {source}")]
    Dump {
        /// The file.
        path: String,
        /// What the operating system or the store says.
        source: io::Error,
    },
    /// What is sealed in the store cannot be opened, or the signing keys cannot be read.
    #[error("{place}: signing keys: {source}")]
    SigningKeys {
        /// The setting that says where the store is.
        place: String,
        /// What is wrong with them.
        source: KeysError,
    },
    /// What is kept of delivery cannot be read, or a stream of the configuration cannot be as it says.
    #[error("{source}")]
    Delivery {
        /// What is in the way.
        source: StartFailure,
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
    /// It ran, and the database was set back.
    #[error("DATABASE_URL: {source}")]
    SetBack {
        /// What was seen.
        source: SetBack,
    },
}

/// The database was set back, by a failover or a restore: what the process knows of its log is void, and it has to begin anew.
#[derive(Debug, thiserror::Error)]
#[error("the database was set back: {0}")]
pub struct SetBack(pub(super) String);
