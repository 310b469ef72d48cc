//! `carillon serve`: listens until SIGTERM or SIGINT.

use crate::app::{self, StartError};
use crate::base::secret::Secret;
use crate::config::{Flags, Settings};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// The status of a start that settings or the data folder forbid.
pub(super) const CANNOT_START: u8 = 2;

/// The flags of `serve`. Each wins over the environment, and that over the file.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Name or address to listen on (HOST, default 127.0.0.1)
    #[arg(long, value_name = "HOST")]
    hostname: Option<String>,
    /// Port to listen on, 0 for any free one (PORT, default 8000)
    #[arg(long)]
    port: Option<String>,
    /// File of settings (default carillon.toml, if it is there)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// API key that clients may use; repeatable. Others on this machine may see it: rather use a file and `API_KEY_FILE`
    #[arg(long, value_name = "KEY", value_parser = secret)]
    bearer_token: Vec<Secret>,
    /// Take the base of absolute URIs from the headers of proxies (`REVERSE_PROXY`, `TRUSTED_PROXIES`)
    #[arg(long)]
    reverse_proxy: bool,
    /// File or folder with schemas; repeatable, instead of `SCHEMA_PATH`
    #[arg(long, value_name = "PATH")]
    schema: Vec<PathBuf>,
    /// File or folder with resource types; repeatable, instead of `SCHEMA_PATH`
    #[arg(long, value_name = "PATH")]
    resource_type: Vec<PathBuf>,
    /// File that gets every resource, as JSON, when the server has stopped
    #[arg(long, value_name = "FILE")]
    dump_resources: Option<PathBuf>,
}

impl Arguments {
    /// What the settings are read from: these flags, and the environment.
    pub(super) fn sources(self) -> (Flags, impl Iterator<Item = (String, String)>) {
        let flags = Flags {
            hostname: self.hostname,
            port: self.port,
            config: self.config,
            bearer_tokens: self.bearer_token,
            reverse_proxy: self.reverse_proxy,
            schemas: self.schema,
            resource_types: self.resource_type,
            dump_resources: self.dump_resources,
        };
        (flags, environment())
    }
}

/// The environment of this process.
pub(super) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
}

/// Reads a secret from an argument.
#[expect(clippy::unnecessary_wraps, reason = "the shape that the parser of arguments asks for")]
pub(super) fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// Reads the settings, starts and serves.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    let (flags, environment) = arguments.sources();
    let settings = match Settings::load(&flags, environment) {
        Ok(settings) => settings,
        Err(problems) => {
            eprintln!("Carillon cannot start:\n{problems}");
            return ExitCode::from(CANNOT_START);
        }
    };
    match app::run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        // The log tells it. Whoever looks after the process starts it again.
        Err(StartError::SetBack { .. }) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("Carillon cannot start:\n{error}");
            ExitCode::from(if matches!(error, StartError::Listener { .. } | StartError::Dump { .. }) { 1 } else { CANNOT_START })
        }
    }
}
