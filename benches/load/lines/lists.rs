//! Lists: a page of many users against bare axum, and a search that no index serves.

use super::reads::timed;
use crate::Result;
use crate::client::Connection;
use crate::lab::Lab;
use crate::limits::{self, Limit};
use crate::person::{self, Get, Person, Static};
use crate::report::{Line, median};
use crate::server::Server;
use serde_json::Value;
use std::sync::Arc;
use std::time::Instant;

/// The first page of [`limits::PAGE`] users, against bare axum that sends the same bytes.
pub(crate) async fn page(lab: &Lab, server: &Server) -> Result<Line> {
    let target = format!("/Users?count={}", limits::PAGE);
    let (page, body) = get(server, &target).await?;
    if page["itemsPerPage"] != limits::PAGE {
        return Err(format!("a page of {} users has {}", limits::PAGE, page["itemsPerPage"]).into());
    }
    let bare = Server::start_static(body)?;
    let traffic = Arc::new(Get(target));
    let (mut rounds, mut note) = (Vec::new(), String::new());
    for _ in 0..lab.scale.rounds {
        let (listed, listed_us) = timed(lab, server, &traffic).await?;
        let (fixed, fixed_us) = timed(lab, &bare, &Arc::new(Static)).await?;
        rounds.push((listed.rate, fixed.rate));
        note = format!("{listed}; server processor {listed_us:.0} us a request, bare {fixed_us:.0}");
    }
    bare.stop()?;
    let name = format!("a page of {} users / bare axum, requests/s", limits::PAGE);
    Ok(Line::of_rounds(name, &rounds, limits::PAGE_TO_STATIC, note))
}

/// One search at a time by an attribute that is not indexed and that nobody has so: every user is read.
pub(crate) async fn scan(lab: &Lab, server: &Server, people: &Arc<Vec<Person>>) -> Result<Line> {
    let target = "/Users?filter=title%20eq%20%22nobody%22";
    let mut times = Vec::new();
    server.settle().await?;
    for _ in 0..lab.scale.rounds {
        let start = Instant::now();
        let (found, _) = get(server, target).await?;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        if found["totalResults"] != 0 {
            return Err(format!("a search for nobody found {found}").into());
        }
    }
    let value = median(times);
    let name = format!("a filter that no index serves, {} users, ms", people.len());
    Ok(Line { name, value, baseline: None, judged: value, limit: Limit::Shown, note: "one client; every user is read".into() })
}

/// An answer, as JSON and as text.
async fn get(server: &Server, target: &str) -> Result<(Value, String)> {
    let mut connection = Connection::open(server.address).await?;
    let mut request = Vec::new();
    person::request(&mut request, "GET", format_args!("{target}"), "");
    connection.succeed(&request).await?;
    Ok((serde_json::from_slice(connection.body())?, std::str::from_utf8(connection.body())?.to_owned()))
}
