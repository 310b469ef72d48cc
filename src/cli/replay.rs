//! `carillon replay`: has a running gateway deliver events of a stream once more.

use super::client::{self, Connection};
use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use std::process::ExitCode;

/// Which stream, and from where on.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("from").required(true).args(["after", "since"])))]
pub(super) struct Arguments {
    /// The stream: its `stream_id`, which is its name where the settings made it
    stream: String,
    /// Begin after the event of this jti
    #[arg(long, value_name = "JTI")]
    after: Option<String>,
    /// Begin with the events of this time, such as 2026-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Give the events new jtis, so that a receiver that knows the old ones takes them for new
    #[arg(long)]
    fresh: bool,
    /// JSON as the gateway answers it, instead of a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Asks the gateway, and says what the stream does now.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    let Arguments { stream, after, since, fresh, json, connection } = arguments;
    let path = format!("/Events/Streams/{}/Replay", utf8_percent_encode(&stream, NON_ALPHANUMERIC));
    let from = [("after", after), ("since", since)].into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
    let body: Map<String, Value> = from.chain([("fresh".to_owned(), fresh.into())]).collect();
    client::run(connection, |client| async move {
        let answer = client.post(&path, &body.into()).await?;
        let status = answer["status"].as_str().unwrap_or_default();
        let line = match status {
            "enabled" => format!("{stream} is replayed"),
            status => format!("{stream} is replayed once it is enabled; it is {status}"),
        };
        Ok(if json { format!("{answer}\n") } else { format!("{line}\n") })
    })
}
