//! `carillon keys`: lists and rotates the keys of a running gateway, and takes one out of use.

use super::check::table;
use super::client::{self, Client, Connection, Failed};
use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::process::ExitCode;

/// The columns, as the gateway names them.
const COLUMNS: [&str; 8] = ["kid", "alg", "state", "created", "activates", "activated", "retired", "leaves"];

/// What is to be done, and where.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Every key: which one signs, which one is next, which ones are still published
    List(Shown),
    /// Publish a new key, which signs half an hour later, when every receiver can know it
    Rotate(Rotation),
    /// Take a key out of use at once, as when it was stolen. What it signed can no longer be verified
    Retire(Retirement),
}

#[derive(Debug, Args)]
struct Shown {
    /// JSON as the gateway answers it, instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
struct Rotation {
    /// ES256, `EdDSA` or RS256 (default: the algorithm of the settings)
    #[arg(long, value_name = "ALGORITHM")]
    alg: Option<String>,
    /// Sign with the new key at once; receivers that keep a copy of the keys may refuse events until they look again
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Debug, Args)]
struct Retirement {
    /// The key, as `list` shows it
    // One in 64 begins with a hyphen.
    #[arg(allow_hyphen_values = true)]
    kid: String,
    #[command(flatten)]
    shown: Shown,
}

/// Asks the gateway, and shows the keys that there are then.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    match arguments.action {
        Action::List(Shown { json, connection }) => {
            client::run(connection, |client| async move { show(&client.get("/Events/Keys").await?, json) })
        }
        Action::Rotate(Rotation { alg, now, shown: Shown { json, connection } }) => {
            let body = json!({"alg": alg, "now": now});
            client::run(connection, |client| asked(client, "/Events/Keys/Rotate".into(), body, json))
        }
        Action::Retire(Retirement { kid, shown: Shown { json, connection } }) => {
            let path = format!("/Events/Keys/{}/Retire", utf8_percent_encode(&kid, NON_ALPHANUMERIC));
            client::run(connection, |client| asked(client, path, json!({}), json))
        }
    }
}

async fn asked(client: Client, path: String, body: Value, json: bool) -> Result<String, Failed> {
    show(&client.post(&path, &body).await?, json)
}

/// The answer for people or for machines.
fn show(answer: &Value, json: bool) -> Result<String, Failed> {
    let strange = || Failed::Strange { url: "/Events/Keys".into(), what: "no list of keys".into() };
    if json {
        return Ok(format!("{answer}\n"));
    }
    let keys = answer["Resources"].as_array().ok_or_else(strange)?;
    if keys.is_empty() {
        return Ok("No keys yet: the first one is made when it is needed\n".into());
    }
    let cell = |key: &Value, column: &str| key[column].as_str().unwrap_or("-").to_owned();
    let head = COLUMNS.map(str::to_uppercase).to_vec();
    let rows = keys.iter().map(|key| COLUMNS.iter().map(|column| cell(key, column)).collect());
    Ok(table(&std::iter::once(head).chain(rows).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shown_in_columns_or_as_they_came() {
        let answer =
            json!({"Resources": [{"kid": "abc", "alg": "ES256", "state": "active", "created": "2026-01-01T00:00:00.000Z"}]});
        let expected = "  KID  ALG    STATE   CREATED                   ACTIVATES  ACTIVATED  RETIRED  LEAVES\n  \
                        abc  ES256  active  2026-01-01T00:00:00.000Z  -          -          -        -\n";
        assert_eq!(show(&answer, false).expect("a table"), expected);
        assert_eq!(show(&answer, true).expect("JSON"), format!("{answer}\n"));
        assert_eq!(
            show(&json!({"Resources": []}), false).expect("a text"),
            "No keys yet: the first one is made when it is needed\n"
        );
        assert!(show(&json!({}), false).is_err());
    }
}
