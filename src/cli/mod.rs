//! F6: the commands, a file each.

mod check;
mod client;
mod keys;
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
    /// List and rotate the keys that a running gateway signs events with
    Keys(keys::Arguments),
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
        Some(Command::Keys(arguments)) => keys::run(arguments),
        Some(Command::Replay(arguments)) => replay::run(arguments),
        Some(Command::Receive(arguments)) => receive::run(*arguments),
        None => serve::run(line.serve),
    }
}
