//! `carillon import`: resources from a file or from an existing database, straight into the store.

mod lines;
mod tables;
#[cfg(test)]
mod tests;

use super::offline::{self, Opened, Place, Progress};
use super::serve::{CANNOT_START, secret};
use crate::app;
use crate::base::id::Tenant;
use crate::base::limits;
use crate::base::secret::Secret;
use crate::engine::import::{Imported, OnConflict, Origin, Record, Tally, Terms, Witness};
use crate::http;
use crate::scim::error::Error;
use crate::store::backends::Purpose;
use clap::{Args, ValueEnum};
use futures_util::future::{Either, select};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// What is imported, and how.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// JSON lines, a JSON array, or a `ListResponse`; - is the standard input
    #[arg(value_name = "FILE", default_value = "-", conflicts_with = "from")]
    file: PathBuf,
    /// Existing database to read instead, with a table of users and one of groups, each of an id and a JSON document: sqlite:FILE or
    /// postgresql://…. Others on this machine may see it here: rather use
    /// `IMPORT_FROM`
    #[arg(long, value_name = "URL", env = "IMPORT_FROM", hide_env_values = true, value_parser = secret)]
    from: Option<Secret>,
    /// Its table of users, in PostgreSQL also SCHEMA.TABLE (default: `USER_MODEL_NAME`)
    #[arg(long, value_name = "TABLE", requires = "from")]
    users_table: Option<String>,
    /// Its table of groups, in PostgreSQL also SCHEMA.TABLE (default: `GROUP_MODEL_NAME`)
    #[arg(long, value_name = "TABLE", requires = "from")]
    groups_table: Option<String>,
    /// What to do where an id is there with other content
    #[arg(long, value_enum, default_value_t = Conflict::Fail)]
    on_conflict: Conflict,
    /// Write a create event for each resource that is created
    #[arg(long)]
    announce: bool,
    /// Check everything that can be checked, and write no resource. It keeps some 30 bytes in memory for each resource, for its id and
    /// for each value of a unique attribute: about 900 MB for 10 million users
    #[arg(long)]
    dry_run: bool,
    /// Give resources without an id a new one. Begun again, such an import makes them once more, unless a unique attribute forbids it
    #[arg(long)]
    new_ids: bool,
    /// Errors after which to stop; 0 is never
    #[arg(long, value_name = "NUMBER", default_value_t = limits::IMPORT_REFUSALS)]
    max_errors: u64,
    /// Longest line, in MiB
    #[arg(long, value_name = "MIB", default_value_t = limits::IMPORT_LINE_BYTES / (1024 * 1024), value_parser = mebibytes)]
    max_line_mib: usize,
    #[command(flatten)]
    place: Place,
}

/// The choices of `--on-conflict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Conflict {
    /// It is an error
    Fail,
    /// What is there stays
    Skip,
    /// What is imported replaces it, as a PUT does
    Replace,
}

fn mebibytes(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|mib| (1..=1_024).contains(mib)).ok_or_else(|| "expected a whole number, from 1 to 1024".into())
}

impl Arguments {
    fn terms(&self) -> Terms {
        Terms {
            on_conflict: match self.on_conflict {
                Conflict::Fail => OnConflict::Refuse,
                Conflict::Skip => OnConflict::Skip,
                Conflict::Replace => OnConflict::Replace,
            },
            announce: self.announce,
            rehearse: self.dry_run,
            new_ids: self.new_ids,
            most_refusals: Some(self.max_errors).filter(|most| *most > 0),
        }
    }

    fn tables(&self, opened: &Opened) -> tables::Tables {
        let [users, groups] = opened.tables.clone();
        [("User", self.users_table.clone().unwrap_or(users)), ("Group", self.groups_table.clone().unwrap_or(groups))]
    }

    fn line_bytes(&self) -> usize {
        self.max_line_mib * 1024 * 1024
    }
}

/// Batches on their way to the engine.
type Feed = mpsc::Sender<io::Result<Vec<Record>>>;

/// Imports. Ends with 0 when every resource is there afterwards or was skipped as asked, with 1 when some are not or it could not go on,
/// and with 2 when it did not begin.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let file = match (&arguments.from, arguments.file.to_str()) {
        (Some(_), _) | (None, Some("-")) => None,
        (None, _) => match File::open(&arguments.file) {
            Ok(file) => Some(file),
            Err(error) => {
                eprintln!("Carillon cannot import:\n{}: {error}", arguments.file.display());
                return ExitCode::from(CANNOT_START);
            }
        },
    };
    let source = match arguments.from.as_ref().map(tables::Source::parse).transpose() {
        Ok(source) => source,
        Err(problem) => return refused(&problem),
    };
    let opened = match offline::open(&arguments.place, Purpose::Write) {
        Ok(opened) => opened,
        Err(code) => return code,
    };
    let source = match source.map(|source| opened.runtime.block_on(source.open(arguments.tables(&opened)))).transpose() {
        Ok(source) => source,
        Err(problem) => return refused(&problem),
    };
    let (feed, batches) = mpsc::channel(limits::IMPORT_BATCHES_WAITING);
    let read = Arc::new(AtomicU64::new(0));
    let length = file.as_ref().and_then(|file| file.metadata().ok()).filter(std::fs::Metadata::is_file).map(|about| about.len());
    let mut told = Told { progress: Progress::new(length, true), read: Arc::clone(&read), tally: Tally::default() };
    start(&opened, arguments.line_bytes(), (file, source), feed, read);
    let imported = opened.runtime.block_on(async {
        let stop = app::asked_to_stop().map_err(|error| error.to_string())?;
        let import = pin!(opened.engine.import(Tenant(0), batches, arguments.terms(), &mut told));
        match select(import, pin!(stop)).await {
            Either::Left((imported, _)) => imported.map_err(|failure| failure.to_string()),
            // What is being committed is committed or not, as a whole.
            Either::Right(_) => Err("it was asked to stop".to_owned()),
        }
    });
    // The store is closed before anything is said of what is in it.
    drop(opened);
    told.finish(imported, arguments)
}

fn refused(problem: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("Carillon cannot import:\n{}: {problem}", tables::FROM);
    ExitCode::from(CANNOT_START)
}

/// Starts to read, beside what works on it.
fn start(opened: &Opened, most: usize, from: (Option<File>, Option<tables::Opened>), feed: Feed, read: Arc<AtomicU64>) {
    match from {
        (_, Some(source)) => drop(opened.runtime.spawn(source.read(most, feed))),
        (Some(file), None) => spawn_lines(file, most, feed, read),
        (None, None) => spawn_lines(io::stdin(), most, feed, read),
    }
}

/// A thread of its own: a pipe may say nothing for long.
fn spawn_lines(input: impl Read + Send + 'static, most: usize, feed: Feed, read: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let mut batches = Batches::new(feed);
        for record in lines::Lines::new(Counted { input, read }, most) {
            let goes_on = match record {
                Ok(record) => batches.push_blocking(record),
                Err(error) => batches.fail_blocking(error),
            };
            if !goes_on {
                return;
            }
        }
        batches.end_blocking();
    });
}

/// Counts what is read.
struct Counted<R> {
    input: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Makes batches of records.
struct Batches {
    feed: Feed,
    records: Vec<Record>,
    bytes: usize,
}

impl Batches {
    fn new(feed: Feed) -> Self {
        Self { feed, records: Vec::new(), bytes: 0 }
    }

    /// Adds a record. Gives a batch that is full.
    fn add(&mut self, record: Record) -> Option<Vec<Record>> {
        self.bytes += record.text.as_ref().map_or(0, Vec::len);
        self.records.push(record);
        let is_full = self.records.len() >= limits::IMPORT_BATCH_RESOURCES || self.bytes >= limits::IMPORT_BATCH_BYTES;
        is_full.then(|| self.take())
    }

    fn take(&mut self) -> Vec<Record> {
        self.bytes = 0;
        std::mem::take(&mut self.records)
    }

    /// Whether anybody still wants more.
    fn push_blocking(&mut self, record: Record) -> bool {
        self.add(record).is_none_or(|batch| self.feed.blocking_send(Ok(batch)).is_ok())
    }

    /// What came before goes first.
    fn fail_blocking(&mut self, error: io::Error) -> bool {
        let rest = self.take();
        let _ = self.feed.blocking_send(Ok(rest)).and_then(|()| self.feed.blocking_send(Err(error)));
        false
    }

    fn end_blocking(mut self) {
        let rest = self.take();
        // Who is not there any more needs no rest.
        let _ = self.feed.blocking_send(Ok(rest));
    }
}

/// Tells people.
struct Told {
    progress: Progress,
    read: Arc<AtomicU64>,
    tally: Tally,
}

impl Witness for Told {
    fn refused(&mut self, origin: &Origin, error: &Error) {
        self.progress.note(&format!("{origin}: {}: {}", http::named(error), error.detail));
    }

    fn came_to(&mut self, tally: &Tally) {
        self.tally = *tally;
        self.progress.at(self.read.load(Ordering::Relaxed), tally.total(), &format!("{} of them new", tally.created));
    }
}

impl Told {
    fn finish(self, imported: Result<Imported, String>, arguments: &Arguments) -> ExitCode {
        let Tally { created, present, replaced, skipped, refused } = self.tally;
        let dry = if arguments.dry_run { "no resource is written; it would be: " } else { "" };
        let words = format!("{dry}{created} created, {present} present, {replaced} replaced, {skipped} skipped, {refused} refused");
        self.progress.finish(self.tally.total(), &words);
        match imported {
            Ok(Imported { is_stopped: true, .. }) => {
                eprintln!(
                    "Stopped after {refused} errors (--max-errors). What was created stays; begin again when they are mended"
                );
                ExitCode::from(1)
            }
            Ok(_) if refused > 0 => ExitCode::from(1),
            Ok(_) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("Carillon cannot go on: {failure}\nWhat was created stays; begin again and it is passed over");
                ExitCode::from(1)
            }
        }
    }
}
