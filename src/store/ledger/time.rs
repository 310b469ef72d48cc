//! Finding a time in the log, whose order is that of commits.

use super::{Ledger, Logged, Place};
use crate::base::clock::Timestamp;
use crate::base::id::Tenant;
use crate::base::limits;
use crate::store::Result;

/// See [`Ledger::place_before`].
pub(super) async fn place_before(ledger: &(impl Ledger + ?Sized), tenant: Tenant, time: Timestamp) -> Result<Place> {
    let first = ledger.read(tenant, Place(0), 1).await?;
    let Some(oldest) = first.events.first() else { return Ok(first.through) };
    if oldest.event.at >= time {
        return Ok(before(oldest));
    }
    // The event at `earlier` is from before the time; what is at `later` or behind it is not, or is not there.
    let (mut earlier, mut later) = (oldest.place, Place((*ledger.wake().borrow()).max(first.through.0) + 1));
    while later.0.saturating_sub(earlier.0) > limits::LOG_DISORDER_EVENTS {
        let middle = Place(earlier.0.midpoint(later.0));
        let found = ledger.read(tenant, Place(middle.0 - 1), 1).await?;
        match found.events.first() {
            Some(logged) if logged.event.at < time => earlier = logged.place,
            _ => later = middle,
        }
    }
    // Those that were committed together are not in the order of time: look at them one by one.
    let mut after = Place(earlier.0.saturating_sub(limits::LOG_DISORDER_EVENTS));
    loop {
        let read = ledger.read(tenant, after, limits::LOG_SEARCH_EVENTS).await?;
        if let Some(logged) = read.events.iter().find(|logged| logged.event.at >= time) {
            return Ok(before(logged));
        }
        if !read.more {
            return Ok(read.through);
        }
        after = read.through;
    }
}

fn before(logged: &Logged) -> Place {
    Place(logged.place.0.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ledger::Trim;
    use crate::store::tests::Fixture;

    /// A log whose times go up, but for those of about the same time.
    #[tokio::test]
    async fn a_time_is_found_among_many_events_as_if_all_were_read() {
        let store = Fixture::new("memory");
        let ledger = &store.backend.ledger;
        let times: Vec<i64> = (0..3_000).map(|number| number * 10 + (number * 7_919 % 100) * 20).collect();
        for (number, at) in times.iter().enumerate() {
            store.happens(u32::from(number % 50 == 7), *at, &format!("u{number}")).await;
        }
        for floor in [0, 700] {
            ledger
                .trim(Place(0), Trim { through: Place(floor), before: Timestamp(i64::MIN), limit: 10_000 })
                .await
                .expect("trimmed");
            for tenant in [0, 1] {
                let own = times.iter().enumerate().skip(usize::try_from(floor).expect("small"));
                let own: Vec<(u64, i64)> = own
                    .filter(|(number, _)| u32::from(number % 50 == 7) == tenant)
                    .map(|(number, at)| (number as u64 + 1, *at))
                    .collect();
                for time in (-50..33_000).step_by(731).chain([i64::MIN, i64::MAX]) {
                    let first = own.iter().find(|(_, at)| *at >= time);
                    let expected = first.map_or(3_000, |(place, _)| place - 1);
                    let found = place_before(ledger.as_ref(), Tenant(tenant), Timestamp(time)).await.expect("a place");
                    assert_eq!(found, Place(expected), "{time} of {tenant} after {floor}");
                }
            }
        }
    }
}
