//! Hears from other nodes that the log or the records have grown. News get lost; what they are about does not: each second it is read.

use super::Shared;
use super::outage::Outage;
use super::session::settle;
use crate::base::limits;
use crate::base::task::pause;
use sqlx::postgres::{PgListener, PgPoolOptions};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

const PATIENCE: Duration = Duration::from_millis(limits::LISTENER_PATIENCE_MS);
/// What the sequencer of this node has done, it says itself; who listens hears of it at the same time.
const COURTESY: Duration = Duration::from_millis(limits::LISTENER_COURTESY_MS);
const ANSWER: Duration = Duration::from_millis(limits::DATABASE_PATIENCE_MS);

/// Tells readers of a place or a number of changes that has been reached. Who comes late with an older one tells nobody.
pub(super) fn raise(sender: &watch::Sender<u64>, to: u64) {
    sender.send_if_modified(|reached| {
        let is_higher = *reached < to;
        *reached = to.max(*reached);
        is_higher
    });
}

/// Runs until it is dropped.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut outage = Outage::of("nothing is heard of other nodes");
    loop {
        let Err(error) = listen(&shared, &mut outage).await;
        shared.doubt();
        outage.began(&error);
        pause(Duration::from_millis(limits::DATABASE_RETRY_MS)).await;
    }
}

/// Listens over one connection after another until something fails that a new listener may mend.
async fn listen(shared: &Shared, outage: &mut Outage) -> sqlx::Result<std::convert::Infallible> {
    // A pool of its own, which the listener never gives back to: it takes no connection from the readers, and waits for none.
    let pool = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None).acquire_timeout(ANSWER);
    let pool = pool.after_connect(|connection, _| Box::pin(settle(connection)));
    let pool = pool.connect_lazy_with(shared.delivery.manager().options.clone());
    let mut listener = in_time(PgListener::connect_with(&pool)).await?;
    in_time(listener.listen(&shared.channel)).await?;
    // What happened before it listened, and now and then what it has not heard, and whether the connection still is one.
    let mut look_at = Instant::now();
    // The place that was heard of last, and when to look whether it is there.
    let mut heard: Option<(u64, Instant)> = None;
    loop {
        let is_still_news = |(place, at): (u64, Instant)| at <= Instant::now() && place > *shared.wake.borrow();
        if look_at <= Instant::now() || heard.is_some_and(is_still_news) {
            in_time(look(shared, &mut listener)).await?;
            outage.ended();
            look_at = Instant::now() + PATIENCE;
        }
        heard = heard.filter(|(place, at)| *at > Instant::now() && place > &*shared.wake.borrow());
        let until = heard.map_or(look_at, |(_, at)| at.min(look_at));
        match timeout_at(until, listener.try_recv()).await {
            Ok(Ok(Some(news))) => match hear(shared, news.payload()) {
                News::Log(place) => {
                    let at = heard.map_or_else(|| Instant::now() + COURTESY, |(_, at)| at);
                    heard = Some((place, at));
                }
                News::Records => look_at = Instant::now(),
                News::Nothing => {}
            },
            // The connection was lost and is there again: what was said in between nobody repeats.
            Ok(Ok(None)) => look_at = Instant::now(),
            Ok(Err(error)) => return Err(error),
            Err(_) => {}
        }
    }
}

/// What was said that this node did not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// The log has reached a place.
    Log(u64),
    /// Records have changed.
    Records,
    /// Nothing that has to be looked at.
    Nothing,
}

async fn in_time<T>(work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    timeout(ANSWER, work).await.map_err(|_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))?
}

/// Hears that the leases, the log or the records have changed; whether it is worth a look how far these are. Anybody who can connect to the
/// database can say anything: what is said is believed of nobody.
fn hear(shared: &Shared, said: &str) -> News {
    let more_than = |known: &watch::Sender<u64>, number: &str| number.parse().ok().filter(|number: &u64| number > &*known.borrow());
    match said.split_once(' ') {
        Some(("log", place)) => more_than(&shared.wake, place).map_or(News::Nothing, News::Log),
        Some(("records", changes)) => more_than(&shared.records_changed, changes).map_or(News::Nothing, |_| News::Records),
        _ => {
            if said == "leases" {
                shared.leases_changed.send_modify(|count| *count = count.wrapping_add(1));
            }
            News::Nothing
        }
    }
}

/// Reads how far the log and the records are, and whether they are those that this node knows.
async fn look(shared: &Shared, listener: &mut PgListener) -> sqlx::Result<()> {
    raise(&shared.records_changed, shared.past.look(listener).await?);
    Ok(())
}

#[cfg(all(test, feature = "servers"))]
mod tests;
