//! Every limit of the house, named, with its unit. What an operator may change is in [`Limits`]; the rest are constants.

use std::time::Duration;

/// Limits that the configuration may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest request body, in bytes.
    pub body_bytes: usize,
    /// Time for a request's body to arrive, in milliseconds.
    pub body_read_ms: u64,
    /// Time for a request to be answered once it has been read, in milliseconds.
    pub request_ms: u64,
    /// Most resources in one response.
    pub page_size: u64,
    /// Most members of a group that one request may name.
    pub members_per_request: usize,
    /// Above this many members a group's PATCH is answered 204, unless attributes are asked for.
    pub members_in_patch_answer: u64,
    /// Most time that the scan behind an unindexed filter may take, in milliseconds.
    pub scan_ms: u64,
    /// Most scans at a time.
    pub scans: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 16 * 1024 * 1024,
            body_read_ms: 30_000,
            request_ms: 30_000,
            page_size: 100,
            members_per_request: 100_000,
            members_in_patch_answer: 1_000,
            scan_ms: 5_000,
            scans: 4,
        }
    }
}

impl Limits {
    /// [`Limits::scan_ms`] as a duration.
    pub fn scan_time(&self) -> Duration {
        Duration::from_millis(self.scan_ms)
    }
}

/// Most bytes of request bodies that are worked on at a time; a further body is answered 503.
pub const BODY_BYTES_IN_FLIGHT: usize = 256 * 1024 * 1024;
/// Deepest nesting of JSON that is read, in levels.
pub const JSON_DEPTH: usize = 64;
/// Deepest nesting of a filter, in levels.
pub const FILTER_DEPTH: usize = 64;
/// Longest filter, in bytes.
pub const FILTER_BYTES: usize = 16 * 1024;
/// Most terms in one filter.
pub const FILTER_TERMS: usize = 256;
/// Longest attribute path, in bytes.
pub const PATH_BYTES: usize = 1024;
/// Most operations in one PATCH.
pub const PATCH_OPERATIONS: usize = 1_000;
/// Most operations of one PATCH that select members by more than their ids: each of them looks at every member.
pub const MEMBER_FILTERS_PER_PATCH: usize = 16;
/// Most values of a multi-valued attribute. Members are rows and have a limit of their own.
pub const VALUES_PER_ATTRIBUTE: usize = 2_000;
/// Most comparisons that the filters in the paths of one PATCH may take together: about half a second of work.
pub const COMPARISONS_PER_PATCH: usize = 500_000;
/// Size at which a page of resources ends early, in bytes.
pub const PAGE_BYTES: usize = 16 * 1024 * 1024;
/// Most attributes named by `attributes` or `excludedAttributes`.
pub const PROJECTED_ATTRIBUTES: usize = 256;
/// Longest resource id that is looked up, in bytes; a longer one names nothing.
pub const RESOURCE_ID_BYTES: usize = 256;
/// Longest value in an index, in bytes. A longer one stands there as its leading bytes and a SHA-256 digest of the whole: equality
/// is decided by these, order and longer prefixes by the document.
pub const INDEXED_VALUE_BYTES: usize = 512;
/// Deepest nesting of groups that `groups` follows, in levels.
pub const GROUP_DEPTH: usize = 32;
/// Most groups that `groups` of one resource lists.
pub const GROUPS_PER_RESOURCE: usize = 10_000;
/// Above this many members in one change its event is a notice, whatever the mode.
pub const MEMBERS_IN_FULL_EVENT: usize = 1_000;
/// Most times that a unit is planned anew after a stale fact.
pub const REPLANS: usize = 16;
/// Units that may wait for the writer; a further one is answered 503.
pub const WRITER_QUEUE_UNITS: usize = 1_024;
/// Most units in one commit.
pub const UNITS_PER_COMMIT: usize = 256;
/// Pages of the write-ahead log after which a commit moves them into the database.
pub const WAL_PAGES: u32 = 16_000;
/// Above this many times [`WAL_PAGES`] in the write-ahead log new scans wait until it begins anew, so that it does not grow for
/// as long as scans overlap.
pub const WAL_GROWTH: u32 = 4;
/// Commits between two looks at the length of the write-ahead log.
pub const WAL_LOOK_COMMITS: u32 = 8;
/// Time between two tries to empty a write-ahead log that is too long, in milliseconds.
pub const WAL_RETRY_MS: u64 = 100;
/// Time that one such try waits for reads to end, in milliseconds; no unit is committed meanwhile.
pub const WAL_RETRY_WAIT_MS: u64 = 10;
/// Time that a read may take on the thread that asked for it, in milliseconds; a longer one is begun anew among the scans.
pub const INLINE_READ_MS: u64 = 20;
/// Time to wait for another process that holds the database, in milliseconds.
pub const DATABASE_BUSY_MS: u64 = 2_000;
/// Prepared statements that a connection keeps.
pub const PREPARED_STATEMENTS: usize = 128;
/// Memory for the pages that one transaction changes, in KiB.
pub const WRITER_CACHE_KIB: u32 = 16 * 1024;
/// Size of what one reading of the log returns, in bytes; the event that passes it is the last.
pub const LOG_PAGE_BYTES: usize = 8 * 1024 * 1024;
/// Time without a write after which the write-ahead log is moved into the database, in milliseconds.
pub const WRITER_REST_MS: u64 = 100;
/// Most events in one answer of a feed.
pub const FEED_PAGE_EVENTS: usize = 1_000;
/// Events in one answer of a feed when `limit` is not given.
pub const FEED_PAGE_DEFAULT_EVENTS: usize = 100;
/// Largest request head, in bytes.
pub const HEADER_BYTES: usize = 32 * 1024;
/// Time for a request's head to arrive, in milliseconds; an idle connection is closed after it too.
pub const HEADER_READ_MS: u64 = 30_000;
/// Time for which a body that was refused is still read, so that the client sees the answer, in milliseconds.
pub const REFUSED_BODY_READ_MS: u64 = 1_000;
/// Time that requests in flight get on shutdown, in milliseconds.
pub const SHUTDOWN_MS: u64 = 10_000;
/// Seconds a client is asked to wait after 503.
pub const RETRY_AFTER_SECONDS: u64 = 1;
/// Longest password, in bytes; hashing a longer one is refused.
pub const PASSWORD_BYTES: usize = 1_024;
