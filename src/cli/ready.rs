//! `carillon ready`: whether the gateway beside it can serve. What a container's health check runs, where there is no other client of HTTP.

use super::client::{innermost, origin_of};
use crate::base::crypto::install_crypto;
use crate::base::limits;
use crate::config::{Flags, Settings};
use clap::Args;
use reqwest::redirect;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// The flags that say which gateway is meant.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Address of the gateway, without a base path (default: where the settings make it listen)
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// File of settings (default carillon.toml, if it is there)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Ends with 0 when the gateway says that it is ready, and with 1 otherwise, with the reason on the standard error.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = runtime.map_err(|error| format!("the runtime does not start: {error}")).and_then(|runtime| {
        let origin = origin(arguments)?;
        runtime.block_on(ask(&origin))
    });
    match asked {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn origin(arguments: Arguments) -> Result<String, String> {
    if let Some(url) = arguments.url {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    let flags = Flags { config: arguments.config, ..Flags::default() };
    let settings = Settings::load(&flags, super::serve::environment()).map_err(|problems| problems.to_string())?;
    origin_of(&settings).map_err(|error| error.to_string())
}

async fn ask(origin: &str) -> Result<(), String> {
    install_crypto();
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .timeout(Duration::from_millis(limits::COMMAND_READY_MS))
        .build();
    let unreachable = |error: &reqwest::Error| format!("{origin}: {}", innermost(error));
    let client = client.map_err(|error| unreachable(&error))?;
    let answer = client.get(format!("{origin}/ready")).send().await.map_err(|error| unreachable(&error))?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("{origin} is not ready: {}", answer.status().as_u16())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// A gateway that answers one request.
    fn answering(status: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().expect("a connection");
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") {
                connection.read_exact(&mut byte).expect("a request");
                head.push(byte[0]);
            }
            assert!(head.starts_with(b"GET /ready HTTP/1.1\r\n"));
            connection.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).expect("an answer");
        });
        url
    }

    fn asked(url: String) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(ask(&origin(Arguments { url: Some(url), config: None })?))
    }

    #[test]
    fn ready_is_what_the_gateway_says() {
        assert_eq!(asked(answering("200 OK")), Ok(()));
        let url = answering("503 Service Unavailable");
        assert_eq!(asked(url.clone()), Err(format!("{} is not ready: 503", url.trim_end_matches('/'))));
    }

    #[test]
    fn nobody_there_is_not_ready() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        drop(listener);
        assert!(asked(url.clone()).is_err_and(|reason| reason.starts_with(&url)));
    }
}
