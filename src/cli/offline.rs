//! What commands share that work on the store without a server: the settings, the store itself, and how far they are.

use super::serve::{CANNOT_START, environment};
use crate::app::{self, StartError};
use crate::base::limits;
use crate::config::{Flags, Settings};
use crate::engine::Engine;
use crate::store::backends::Purpose;
use crate::store::{StoreError, StoreErrorKind};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::Cell;
use std::io::{IsTerminal as _, stderr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::Instant;

/// The flags that say which store is meant, and what it holds: those of `serve`.
#[derive(Clone, Debug, Args)]
pub(super) struct Place {
    /// File of settings (default carillon.toml, if it is there)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File or folder with schemas; repeatable, instead of `SCHEMA_PATH`
    #[arg(long, value_name = "PATH")]
    schema: Vec<PathBuf>,
    /// File or folder with resource types; repeatable, instead of `SCHEMA_PATH`
    #[arg(long, value_name = "PATH")]
    resource_type: Vec<PathBuf>,
}

/// An open store.
#[derive(Debug)]
pub(super) struct Opened {
    // It is dropped first: the store ends while its tasks still can.
    pub(super) engine: Arc<Engine>,
    /// The base of absolute URIs; where none is set, that of relative ones.
    pub(super) base: String,
    /// The names of the tables of users and groups that an earlier system has.
    pub(super) tables: [String; 2],
    pub(super) runtime: Runtime,
    _log: Box<dyn std::fmt::Debug>,
}

/// Opens the store. Says what is in the way, and with which status to end.
pub(super) fn open(place: &Place, purpose: Purpose) -> Result<Opened, ExitCode> {
    let Place { config, schema, resource_type } = place.clone();
    let flags = Flags { config, schemas: schema, resource_types: resource_type, ..Flags::default() };
    let settings = Settings::load(&flags, environment()).map_err(|problems| refused(&problems))?;
    let path = settings.store.data_path.display().to_string();
    let base = format!("{}{}", settings.server.public_url.clone().unwrap_or_default(), settings.server.base_path);
    let tables = settings.store.views.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| refused(&format!("the runtime does not start: {error}")))?;
    match runtime.block_on(app::open(settings, purpose)) {
        Ok((engine, _)) if !engine.is_durable() => Err(refused(&"STORE: this store keeps nothing without a server")),
        Ok((engine, log)) => Ok(Opened { runtime, engine, base, tables, _log: Box::new(Held(log)) }),
        Err(StartError::Store { source, .. }) if source.kind == StoreErrorKind::InUse => {
            let problem = "another process, such as a running server, has this store open (it holds the file carillon.lock). An embedded \
                 store belongs to one process at a time: stop that one first";
            Err(refused(&format!("DATA_PATH {path}: {problem}")))
        }
        Err(StartError::Store { source: StoreError { kind: StoreErrorKind::Refused, source: Some(problem), .. }, .. }) => {
            Err(refused(&format!("DATA_PATH {path}: {problem}")))
        }
        Err(StartError::Database { source: StoreError { kind: StoreErrorKind::Refused, source: Some(problem), .. } }) => {
            Err(refused(&format!("DATABASE_URL: {problem}")))
        }
        Err(error) => Err(refused(&error)),
    }
}

/// What is kept until the command ends.
struct Held<T>(T);

impl<T> std::fmt::Debug for Held<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Held(…)")
    }
}

fn refused(problem: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("Carillon cannot start:\n{problem}");
    ExitCode::from(CANNOT_START)
}

/// How far a command is: a bar where the standard error is a terminal, now and then a line where it is none, and a line at the end.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    length: Option<u64>,
    begun: Instant,
    /// When the last line was said.
    told: Cell<Instant>,
}

impl Progress {
    /// With how much there is in all, if that is known, and whether it is in bytes.
    pub(super) fn new(length: Option<u64>, is_bytes: bool) -> Self {
        let bar = match length {
            _ if !stderr().is_terminal() => ProgressBar::hidden(),
            Some(length) => {
                let amount = if is_bytes { "{bytes}/{total_bytes}" } else { "{human_pos}/{human_len}" };
                let template = format!("{{wide_bar}} {amount} {{msg}} ETA {{eta}}");
                let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
                ProgressBar::new(length).with_style(style)
            }
            None => {
                let style = ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
                ProgressBar::new_spinner().with_style(style)
            }
        };
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(limits::TRANSFER_TICK_MS));
        }
        let begun = Instant::now();
        Self { bar, length, begun, told: Cell::new(begun) }
    }

    /// Shows how far it is, and that in words.
    pub(super) fn at(&self, position: u64, done: u64, words: &str) {
        if !self.bar.is_hidden() {
            self.bar.set_position(position);
            self.bar.set_message(format!("{words} ({}/s)", self.rate(done)));
        } else if self.told.get().elapsed() >= Duration::from_millis(limits::TRANSFER_LINE_MS) {
            self.told.set(Instant::now());
            let part =
                self.length.filter(|length| *length > 0).map(|length| format!(" ({} %)", position.saturating_mul(100) / length));
            eprintln!("so far {done}{}, {words} ({}/s)", part.unwrap_or_default(), self.rate(done));
        }
    }

    /// Says something that is worth a line.
    pub(super) fn note(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
    }

    /// The last line.
    pub(super) fn finish(&self, done: u64, words: &str) {
        self.bar.finish_and_clear();
        eprintln!("{words} in {:.1} s ({}/s)", self.begun.elapsed().as_secs_f64(), self.rate(done));
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "shown as a whole number"
    )]
    fn rate(&self, done: u64) -> u64 {
        (done as f64 / self.begun.elapsed().as_secs_f64().max(0.001)) as u64
    }
}
