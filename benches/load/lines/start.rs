//! The time from the start of the program to the first answer that it is ready.

use crate::Result;
use crate::client::Connection;
use crate::lab::Lab;
use crate::limits;
use crate::person;
use crate::replay;
use crate::report::{Line, median};
use crate::server::Server;
use std::time::Instant;

/// Over a new store, and over one with users: the median of some starts, in milliseconds.
pub(crate) async fn measure(lab: &Lab) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (name, count) in [("an empty store", 0), ("many users", lab.scale.users)] {
        let folder = lab.store(name, &replay::people(count))?;
        let mut times = Vec::new();
        for _ in 0..limits::STARTS {
            let start = Instant::now();
            let server = Server::start(&folder)?;
            let mut connection = Connection::open(server.address).await?;
            let mut request = Vec::new();
            person::request(&mut request, "GET", format_args!("/ready"), "");
            connection.succeed(&request).await?;
            times.push(start.elapsed().as_secs_f64() * 1000.0);
            server.stop()?;
        }
        std::fs::remove_dir_all(folder)?;
        let value = median(times);
        let name = format!("start to ready, {name}, ms");
        lines.push(Line { name, value, baseline: None, judged: value, limit: limits::START_MS, note: String::new() });
    }
    Ok(lines)
}
