//! `carillon receive`: the reference receiver. Takes SETs by push (RFC 8935), by poll (RFC 8936) or by Server-Sent Events, verifies
//! them, keeps each once, and acknowledges it only then.

mod arguments;
mod faults;
mod fetch;
mod follow;
mod inbox;
mod journal;
mod keeper;
mod listen;
mod poll;
mod progress;
mod ring;
mod sse;
mod stop;
mod verify;
#[cfg(test)]
mod verify_tests;

pub(super) use arguments::Arguments;

use super::serve::CANNOT_START;
use crate::base::clock::{Clock, SystemClock};
use crate::base::crypto::install_crypto;
use crate::base::limits;
use arguments::{Plan, Way};
use follow::Follower;
use inbox::Inbox;
use keeper::{Keeper, Memory, Parts, Sink};
use poll::Poller;
use progress::{Reporter, Tally};
use reqwest::Client;
use ring::Ring;
use std::io::{self, IsTerminal as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use stop::{Ending, Stop};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Why the receiver did not do what it should.
enum Failed {
    /// The flags or a file forbid the start.
    Start(Vec<String>),
    /// It had to end.
    Run(String),
}

/// Receives until SIGTERM or SIGINT, or until the flags say that it is enough. Ends with 2 when the flags or a file forbid the start,
/// and with 1 for any other failure.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    let done = arguments.plan().map_err(Failed::Start).and_then(|plan| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failed::Run(error.to_string()))?;
        let done = runtime.block_on(receive(plan));
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Start(problems)) => {
            eprintln!("carillon receive cannot start:\n  {}", problems.join("\n  "));
            ExitCode::from(CANNOT_START)
        }
        Err(Failed::Run(error)) => {
            eprintln!("carillon receive ends: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn receive(plan: Plan) -> Result<(), Failed> {
    install_crypto();
    let client = fetch::client(&plan.network).map_err(|error| Failed::Start(vec![error]))?;
    let (stop, clock) = (Stop::new(), Arc::new(SystemClock) as Arc<dyn Clock>);
    let prints_lines = plan.output.is_none() && plan.command.is_none();
    // Lines and a bar on one terminal would run into each other.
    let has_bar = io::stderr().is_terminal() && !(prints_lines && io::stdout().is_terminal());
    let reporter = Arc::new(Reporter::new(has_bar));
    let tally = Arc::new(Tally::new(Arc::clone(&clock)));

    let (keeper, last) = open_keeper(&plan, &clock, &stop)?;
    let (sender, jobs) = mpsc::channel(limits::RECEIVE_BATCH_EVENTS);
    let (ended, kept_all) = oneshot::channel();
    let thread = std::thread::Builder::new().name("keeper".into()).spawn(move || {
        keeper.run(jobs);
        let _ = ended.send(());
    });
    thread.map_err(|error| Failed::Run(error.to_string()))?;
    let inbox = Arc::new(Inbox {
        expected: plan.expected,
        is_unverified: plan.is_unverified,
        keeps_set: plan.keeps_set,
        ring: Ring::new(plan.source, client.clone(), Arc::clone(&reporter)),
        keeper: sender,
        tally: Arc::clone(&tally),
        reporter: Arc::clone(&reporter),
        clock,
    });

    if plan.is_unverified {
        reporter.note("--unverified: anybody can make these events up");
    }
    heed_signals(&stop)?;
    let begun = Instant::now();
    let aside = tokio::spawn({
        let (reporter, tally, stop) = (Arc::clone(&reporter), Arc::clone(&tally), stop.clone());
        async move {
            let idle = async {
                match plan.idle {
                    Some(idle) => progress::watch_idle(&tally, idle, &stop).await,
                    None => stop.hang().await,
                }
            };
            tokio::join!(reporter.follow(&tally, plan.has_lines, &stop), idle);
        }
    });
    let done = go(plan.way, inbox, client, &stop, plan.count, last).await;
    // Whatever became of the way, nothing is left to wait for.
    stop.end(Ending::Signal);
    aside.abort();
    // A request that holds on past the shutdown is not waited for: what it brought is kept, or was not acknowledged.
    let _ = tokio::time::timeout(Duration::from_millis(limits::SHUTDOWN_MS), kept_all).await;
    reporter.finish(&tally, begun.elapsed().as_secs_f64());
    match (done, stop.ending()) {
        (Err(error), _) | (Ok(()), Some(Ending::Failed(error))) => Err(Failed::Run(error)),
        (Ok(()), _) => Ok(()),
    }
}

/// Opens the files; also says which event was kept last.
fn open_keeper(plan: &Plan, clock: &Arc<dyn Clock>, stop: &Stop) -> Result<(Keeper, Option<String>), Failed> {
    let forbid = |flag: &str, path: &Path| {
        let what = format!("{flag} {}", path.display());
        move |error: io::Error| Failed::Start(vec![format!("{what}: {error}")])
    };
    let mut memory = Memory::default();
    let sink = match &plan.output {
        Some(path) => Sink::File(memory.open_output(path).map_err(forbid("--output", path))?),
        None if plan.command.is_some() => Sink::Nowhere,
        None => Sink::Stdout,
    };
    let state = plan.state.as_ref().map(|path| memory.open_state(path).map_err(forbid("--state", path))).transpose()?;
    let last = memory.last.take();
    let (clock, stop) = (Arc::clone(clock), stop.clone());
    let parts = Parts { sink, state, memory, command: plan.command.clone(), count: plan.count, clock, stop };
    Ok((Keeper::new(parts), last))
}

fn heed_signals(stop: &Stop) -> Result<(), Failed> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).map_err(|error| Failed::Run(error.to_string()))?;
        let stop = stop.clone();
        tokio::spawn(async move {
            signals.recv().await;
            stop.end(Ending::Signal);
        });
    }
    Ok(())
}

/// Receives in the way that was chosen, until the end.
async fn go(
    way: Way,
    inbox: Arc<Inbox>,
    client: Client,
    stop: &Stop,
    count: Option<u64>,
    last: Option<String>,
) -> Result<(), String> {
    let reporter = Arc::clone(&inbox.reporter);
    match way {
        Way::Listen(address, listening) => {
            let listener = TcpListener::bind(address).map_err(|error| format!("cannot listen on {address}: {error}"))?;
            let address = listener.local_addr().map_err(|error| error.to_string())?;
            reporter.note(&format!("carillon receive listens on http://{address}/"));
            listen::run(listener, listening, inbox, stop.clone()).await.map_err(|error| error.to_string())?;
        }
        Way::Poll(endpoint) => {
            reporter.note(&format!("carillon receive polls {}", endpoint.url.origin().ascii_serialization()));
            Poller::new(endpoint, client, inbox, stop.clone(), count).run().await;
        }
        Way::Follow(endpoint) => {
            let origin = endpoint.url.origin().ascii_serialization();
            let after = if last.is_some() { ", after the last event that was kept" } else { "" };
            reporter.note(&format!("carillon receive follows {origin}{after}"));
            Follower::new(endpoint, client, inbox, stop.clone(), last).run().await;
        }
    }
    Ok(())
}
