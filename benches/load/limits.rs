//! What must hold, and how much work each measurement may do: every number of the load program in one file.

use std::time::Duration;

/// The ratio or amount that a line must reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// The measured number must be at least this.
    AtLeast(f64),
    /// The measured number must be at most this.
    AtMost(f64),
    /// Printed for information.
    Shown,
}

/// GET of one user with authentication, in requests a second, to bare axum that sends the same bytes.
pub(crate) const READ_TO_STATIC: Limit = Limit::AtLeast(0.5);
/// `userName eq` in requests a second with many users, to the same with few.
pub(crate) const FILTER_MANY_TO_FEW: Limit = Limit::AtLeast(0.8);
/// A page of [`PAGE`] users in requests a second, to bare axum that sends the same bytes.
pub(crate) const PAGE_TO_STATIC: Limit = Limit::AtLeast(0.15);
/// From the start of the program to its first answer that it is ready, in milliseconds.
pub(crate) const START_MS: Limit = Limit::AtMost(100.0);
/// Durable POST in users a second, to a bare loop that commits the same rows.
pub(crate) const CREATE_TO_BARE: Limit = Limit::AtLeast(0.4);
/// Bulk requests that create users, in users a second, to a bare loop that commits the same rows.
pub(crate) const BULK_TO_BARE: Limit = Limit::AtLeast(0.4);
/// Durable PATCH of `active` in users a second, to a bare loop that commits the same rows.
pub(crate) const PATCH_TO_BARE: Limit = Limit::AtLeast(0.4);
/// Time to add one member to a large group, to the time for a small group.
pub(crate) const MEMBER_LARGE_TO_SMALL: Limit = Limit::AtMost(1.5);
/// Anonymous resident memory of the server after loading the users and reading them all, in MB (10^6 bytes).
pub(crate) const MEMORY_MB: Limit = Limit::AtMost(60.0);
/// Durable POST in users a second with a poll stream that is caught up, to the same without any stream.
pub(crate) const POLL_TO_NONE: Limit = Limit::AtLeast(0.85);
/// Durable POST in users a second until the last of them is pushed, to the same without any stream.
pub(crate) const PUSH_TO_NONE: Limit = Limit::AtLeast(0.5);
/// From the commit of a write to the arrival of its event at a push receiver when nothing else happens, 99th percentile in milliseconds.
pub(crate) const PUSH_IDLE_MS: Limit = Limit::AtMost(15.0);
/// SETs a second of one push stream of [`LANES`] lanes to a receiver that takes [`RECEIVER_TAKES`] for each.
pub(crate) const PUSH_LANES: Limit = Limit::AtLeast(600.0);
/// Draining a feed by poll in SETs a second, to a loop that renders and signs the same SETs in memory on one core.
pub(crate) const DRAIN_TO_MEMORY: Limit = Limit::AtLeast(0.5);
/// From a commit to the answers of all who wait, 99th percentile in milliseconds.
pub(crate) const WAKE_MS: Limit = Limit::AtMost(250.0);
/// How late healthy push streams are beside a dead and a slow receiver, 99th percentile, to the same without these two.
pub(crate) const FAIR_LATE: Limit = Limit::AtMost(1.5);
/// The time of a SCIM POST beside a dead and a slow receiver, median, to the same without these two: what is above 1 is noise.
pub(crate) const FAIR_WRITE: Limit = Limit::AtMost(1.2);

/// `userName eq` and the first page in requests a second after an import of many users, to the same after one of few.
pub(crate) const IMPORTED_MANY_TO_FEW: Limit = Limit::AtLeast(0.8);

/// PATCH with its event over PostgreSQL in users a second, to a loop that updates a row and inserts one into an outbox.
pub(crate) const POSTGRES_PATCH_TO_RAW: Limit = Limit::AtLeast(0.5);
/// GET of one user over PostgreSQL in requests a second, to a loop that selects the document by its key.
pub(crate) const POSTGRES_GET_TO_RAW: Limit = Limit::AtLeast(0.5);
/// From the answer to a write to its event's place in the log that can be read, under full load, 99th percentile in milliseconds.
pub(crate) const POSTGRES_LAG_MS: Limit = Limit::AtMost(100.0);
/// PATCH and GET by turns in requests a second over two nodes, to the same over one on the same processors.
pub(crate) const POSTGRES_TWO_NODES_TO_ONE: Limit = Limit::AtLeast(0.9);
/// Clients of the lines over PostgreSQL, and connections of the wide one of the bare loops' two pools.
pub(crate) const POSTGRES_CLIENTS: usize = 32;

/// Lanes of a push stream, and of the one that must keep pace with all the writes that there can be.
pub(crate) const LANES: u8 = 8;
pub(crate) const LANES_BESIDE_WRITES: u8 = 16;
/// How long the receiver of [`PUSH_LANES`] takes for each SET.
pub(crate) const RECEIVER_TAKES: Duration = Duration::from_millis(10);
/// How long the slow receiver of [`FAIR_LATE`] takes.
pub(crate) const SLOW_RECEIVER_TAKES: Duration = Duration::from_secs(5);
/// How often somebody writes while fairness is measured.
pub(crate) const FAIR_WRITE_EVERY: Duration = Duration::from_millis(50);
/// Writes before the latency of a push counts.
pub(crate) const PUSH_WARM_UP: usize = 5;
/// A stream keeps pace when its last event arrives so soon after the last write of a round.
pub(crate) const KEEPING_PACE: Duration = Duration::from_secs(1);
/// Longest that a receiver may wait for everything that was written.
pub(crate) const CATCHING_UP: Duration = Duration::from_mins(2);

/// Users of a page.
pub(crate) const PAGE: usize = 100;
/// Starts of the program of which the median counts.
pub(crate) const STARTS: usize = 5;
/// Clients of the reads, and of the durable writes.
pub(crate) const CLIENTS: usize = 64;
/// Users that one bulk request creates.
pub(crate) const USERS_IN_BULK: u32 = 1_000;
/// Rows of the bare loop in one transaction.
pub(crate) const ROWS_PER_TRANSACTION: usize = 64;
/// Writers that run beside the reads in one of the lines, and how often each changes a user: 300 changes a second together.
pub(crate) const WRITERS_BESIDE_READS: usize = 6;
pub(crate) const WRITE_BESIDE_READS_EVERY: Duration = Duration::from_millis(20);
/// Longest that a server may take to start or to stop.
pub(crate) const START_STOP: Duration = Duration::from_mins(1);
/// How often a server is asked whether it has come to rest between two measurements, and how many times at most.
pub(crate) const SETTLE_STEP: Duration = Duration::from_millis(100);
pub(crate) const SETTLE_STEPS: usize = 50;
/// Longest that loading users over HTTP, or reading them all, may take.
pub(crate) const LOADING: Duration = Duration::from_mins(10);
/// Longest that one answer may take.
pub(crate) const ANSWER: Duration = Duration::from_mins(1);

/// How much work a run does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Rounds of each measurement, server and baseline in turn. The median counts.
    pub(crate) rounds: usize,
    /// Longest time of one measurement of one round.
    pub(crate) round_time: Duration,
    /// Most requests, or rows, of one measurement of one round.
    pub(crate) round_requests: u64,
    /// Users of the reads, the filter and the memory.
    pub(crate) users: usize,
    /// Users of the small side of the filter, and of the store in which PATCH starts.
    pub(crate) users_few: usize,
    /// Users of the large store in which POST and PATCH are measured.
    pub(crate) users_large: usize,
    /// Members of the large group.
    pub(crate) members_large: usize,
    /// Members of the small group.
    pub(crate) members_small: usize,
    /// Members added to each group in one round.
    pub(crate) members_added: usize,
    /// Writes whose events' way to a push receiver is timed.
    pub(crate) pushes_idle: usize,
    /// Events of the backlog that is pushed over lanes.
    pub(crate) backlog: usize,
    /// Events of the feed that is drained.
    pub(crate) drained: usize,
    /// Streams that wait for one commit.
    pub(crate) waiting: usize,
    /// Push streams of the measurement of fairness, the dead and the slow one among them.
    pub(crate) streams: usize,
    /// How long somebody writes in one run of it.
    pub(crate) fair_time: Duration,
}

impl Scale {
    /// The run whose numbers count.
    pub(crate) const FULL: Self = Self {
        rounds: 5,
        round_time: Duration::from_secs(3),
        round_requests: 500_000,
        users: 100_000,
        users_few: 1_000,
        users_large: 1_000_000,
        members_large: 100_000,
        members_small: 10,
        members_added: 100,
        pushes_idle: 200,
        backlog: 5_000,
        drained: 50_000,
        waiting: 500,
        streams: 100,
        fair_time: Duration::from_secs(6),
    };

    /// A run of some seconds that only shows that the program works: the numbers mean little.
    pub(crate) const QUICK: Self = Self {
        rounds: 1,
        round_time: Duration::from_millis(400),
        round_requests: 20_000,
        users: 1_000,
        users_few: 200,
        users_large: 5_000,
        members_large: 1_000,
        members_small: 10,
        members_added: 10,
        pushes_idle: 5,
        backlog: 200,
        drained: 2_000,
        waiting: 50,
        streams: 12,
        fair_time: Duration::from_millis(400),
    };
}
