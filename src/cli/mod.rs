//! F6: the commands, a file each.

mod check;
mod client;
mod export;
mod import;
mod keys;
mod offline;
mod ready;
mod receive;
mod replay;
mod serve;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A SCIM 2.0 server that writes an event for every committed change.
#[derive(Debug, Parser)]
#[command(name = "carillon", version, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Arguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve SCIM over HTTP; also what happens without a command.
    Serve(serve::Arguments),
    /// Read the settings as serve would, show them and what they lead to, and touch nothing.
    Check(serve::Arguments),
    /// Write every resource as JSON lines, straight from the store that the settings name.
    Export(export::Arguments),
    /// Take resources over as they are, with their ids, straight into the store that the settings name.
    Import(Box<import::Arguments>),
    /// List and rotate the keys that a running gateway signs events with
    Keys(keys::Arguments),
    /// Whether a running gateway is ready to serve: ends with 0 or 1. For health checks
    Ready(ready::Arguments),
    /// Have a running gateway deliver events of a stream once more.
    Replay(replay::Arguments),
    /// Receive events: verify each SET, keep it once, acknowledge it then.
    Receive(Box<receive::Arguments>),
}

/// Runs the command that the arguments name. Ends with 2 when the arguments, the settings or the data folder forbid the start, and
/// with 1 for any other failure.
pub fn run() -> ExitCode {
    let line = CommandLine::parse();
    match line.command {
        Some(Command::Serve(arguments)) => serve::run(arguments),
        Some(Command::Check(arguments)) => check::run(arguments),
        Some(Command::Export(arguments)) => export::run(&arguments),
        Some(Command::Import(arguments)) => import::run(&arguments),
        Some(Command::Keys(arguments)) => keys::run(arguments),
        Some(Command::Ready(arguments)) => ready::run(arguments),
        Some(Command::Replay(arguments)) => replay::run(arguments),
        Some(Command::Receive(arguments)) => receive::run(*arguments),
        None => serve::run(line.serve),
    }
}
