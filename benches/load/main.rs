//! The load program: what the server does in a second, held against the least that could do the same.
//!
//! ```sh
//! cargo bench --bench load                          # all lines, about ten minutes
//! cargo bench --bench load -- --quick               # some seconds: shows that it works, its numbers mean little
//! cargo bench --bench load -- --only create,patch   # some lines: start, read, filter, list, create, bulk, patch, member, memory,
//!                                                   # and of delivery: poll, push, lanes, drain, wake, fair
//! cargo bench --bench load -- --only pg-patch       # of PostgreSQL, where CARILLON_POSTGRES_URL names a server: pg-patch, pg-get, pg-lag,
//!                                                   # pg-nodes, pg-member
//! cargo bench --bench load -- --only import         # a million users imported, only when it is named
//! cargo bench --bench load -- --users-large 200000  # a smaller large store
//! cargo bench --bench load -- --strict              # exit code 1 when a limit is missed
//! ```
//!
//! The server is the release binary as a child process, asked over loopback by hand-made clients in this process. Its
//! baselines run in the same run, in rounds by turns, and the median counts:
//!
//! - reads: bare axum, in a process of its own, that sends the same bytes;
//! - durable writes: a bare loop over rusqlite that commits the same rows, 64 users a transaction, into a copy of the same
//!   file. Only the transactions are counted, not what prepares their rows. What the rows are is learnt from the server's
//!   own database ([`learn`]), so that the loop cannot fall behind the schema;
//! - delivery: the same server without streams (`poll`: a stream that long-polls and acknowledges all the time; `push`: a stream that
//!   keeps pace, and how soon an event arrives when nothing else happens), a loop that renders and signs the same SETs in memory
//!   (`drain`), the same streams without a dead and a slow receiver among them (`fair`). `lanes` (a receiver that takes its time) and
//!   `wake` (many long polls, one commit) are held against amounts;
//! - PostgreSQL: loops over the server's own driver and pool, without HTTP: an update and an insert into an outbox (`pg-patch`), a select by
//!   key (`pg-get`); one node (`pg-nodes`).
//!
//! Limits and amounts: [`limits`].

mod baseline;
mod client;
mod lab;
mod learn;
mod limits;
mod lines;
mod person;
mod random;
mod receiver;
mod replay;
mod report;
mod server;
mod stream;

use lab::Lab;
use limits::Scale;
use report::Report;
use std::process::ExitCode;
use tokio::runtime::Builder;

/// What can go wrong here is told to a person and ends the run.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The lines that `--only` knows.
const LINES: [&str; 21] = [
    "start",
    "read",
    "filter",
    "list",
    "create",
    "bulk",
    "patch",
    "member",
    "memory",
    "poll",
    "push",
    "lanes",
    "drain",
    "wake",
    "fair",
    "pg-patch",
    "pg-get",
    "pg-lag",
    "pg-nodes",
    "pg-member",
    "import",
];

/// The line that takes too long to be run with the others.
const ONLY_WHEN_NAMED: &str = "import";

#[derive(Debug)]
struct Options {
    scale: Scale,
    strict: bool,
    only: Vec<String>,
}

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            scale: Scale::FULL,
            strict: false,
            only: LINES.map(str::to_owned).into_iter().filter(|line| line != ONLY_WHEN_NAMED).collect(),
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // What cargo itself adds.
                "--bench" => {}
                "--strict" => options.strict = true,
                "--quick" => options.scale = Scale::QUICK,
                "--users-large" => {
                    let count = arguments.next().ok_or("--users-large needs a number")?;
                    options.scale.users_large = count.parse().map_err(|_| format!("--users-large {count}: not a number"))?;
                }
                "--only" => {
                    let lines = arguments.next().ok_or("--only needs names of lines")?;
                    options.only = lines.split(',').map(str::to_owned).collect();
                }
                other => return Err(format!("unknown argument {other}").into()),
            }
        }
        match options.only.iter().find(|name| !LINES.contains(&name.as_str())) {
            Some(name) => Err(format!("--only {name}: there are {}", LINES.join(", ")).into()),
            None => Ok(options),
        }
    }

    fn wants(&self, names: &[&str]) -> bool {
        self.only.iter().any(|name| names.contains(&name.as_str()))
    }
}

fn main() -> ExitCode {
    let is_static = std::env::args().nth(1).is_some_and(|argument| argument == server::STATIC);
    // The clients are one thread, as those of wrk usually are: on few cores a second one would only take turns with the server's.
    let mut runtime = if is_static { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    let runtime = runtime.enable_all().build();
    let outcome = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run()));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether the run counts as passed.
async fn run() -> Result<bool> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|argument| argument == server::STATIC).is_some() {
        baseline::serve().await?;
        return Ok(true);
    }
    let options = Options::parse(arguments)?;
    // Before the first signature: the loop in memory signs as the server does.
    carillon::base::crypto::install_crypto();
    let lab = Lab::build(options.scale).await?;
    let mut report = Report::new();
    if options.wants(&["start"]) {
        for line in lines::start::measure(&lab).await? {
            report.push(line);
        }
    }
    if options.wants(&["read", "filter", "list", "member", "memory"]) {
        lines::many::measure(&lab, &options.only, &mut report).await?;
    }
    if options.wants(&["create", "bulk", "patch"]) {
        lines::writes::measure(&lab, &options.only, &mut report).await?;
    }
    if options.wants(&["poll", "push", "lanes", "drain", "wake", "fair"]) {
        lines::delivery::measure(&lab, &options.only, &mut report).await?;
    }
    if options.wants(&["pg-patch", "pg-get", "pg-lag", "pg-nodes", "pg-member"]) {
        lines::postgres::measure(&lab, &options.only, &mut report).await?;
    }
    if options.wants(&[ONLY_WHEN_NAMED]) {
        for line in lines::import::measure(&lab).await? {
            report.push(line);
        }
    }
    Ok(report.passes() || !options.strict)
}
