//! Kills the real program with requests in flight, again and again, and checks that nothing acknowledged is lost, that the log
//! tells exactly what happened (I1, I2), and that every receiver gets every event, each subject's in order (I4, I5).
//!
//! `CARILLON_CRASH_CYCLES` says how often (5), `CARILLON_CRASH_SEED` repeats a run's choices.
#![allow(clippy::panic, reason = "a suite fails by panicking")]
#![allow(unreachable_pub, reason = "a test program exports nothing")]

#[path = "../support/mod.rs"]
mod support;

mod bulk;
mod receivers;
mod worker;
mod world;

use std::time::Instant;
use support::server::Settings;
use world::World;

/// Clients, each with a connection of its own.
const CLIENTS: usize = 32;
/// Cycles when nothing else is said.
const CYCLES: usize = 5;
/// The history is checked after so many cycles, and at the end.
const CHECK_EVERY_CYCLES: usize = 10;

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    assert!(text.parse::<T>().is_ok(), "{name} must be a number, not '{text}'");
    text.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    run(Settings::default().store("sqlite"), 1, setting("CARILLON_CRASH_CYCLES").unwrap_or(CYCLES)).await;
}

/// I1 I2 I4 I5: of two nodes on one database one is killed, whichever it is, and the other goes on.
#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_one_of_two_nodes_is_killed() {
    run(
        Settings::default().store("postgres"),
        2,
        setting("CARILLON_CRASH_CYCLES").map_or(CYCLES, |cycles: usize| cycles.div_ceil(2)),
    )
    .await;
}

/// I1 I2 I4 I5: the database ends at once and begins anew, while two nodes write.
#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_database_begins_anew() {
    let database = support::database::Database::start();
    let seed = setting("CARILLON_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..));
    let restarts = setting("CARILLON_CRASH_CYCLES").map_or(CYCLES, |cycles: usize| cycles.div_ceil(10));
    println!("crash test: {restarts} restarts of the database, CARILLON_CRASH_SEED={seed}");
    let mut world = World::new(seed, CLIENTS, Settings::default().database(&database.url), 2).await;
    world.has_outages();
    for restart in 1..=restarts {
        println!("restart {restart}/{restarts}: {}", world.outage(|| database.restart()).await);
    }
    println!("checked: {}", world.check().await);
    println!("{}", world.finish().await);
}

async fn run(store: Settings, nodes: usize, cycles: usize) {
    let seed = setting("CARILLON_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("crash test: {nodes} nodes, {CLIENTS} clients, {cycles} cycles, CARILLON_CRASH_SEED={seed}");
    let begun = Instant::now();
    let mut world = World::new(seed, CLIENTS, store, nodes).await;
    for cycle in 1..=cycles {
        let told = world.cycle().await;
        println!("cycle {cycle}/{cycles}: {told}");
        if cycle % CHECK_EVERY_CYCLES == 0 || cycle == cycles {
            println!("checked: {}", world.check().await);
        }
    }
    println!("{} in {:.1} s", world.finish().await, begun.elapsed().as_secs_f64());
}
