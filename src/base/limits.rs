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
    /// Time for which a client may leave an answer unread before the connection is closed, in milliseconds.
    pub write_ms: u64,
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
    /// Most operations of one bulk request.
    pub bulk_operations: usize,
    /// Age at which a cursor expires, in seconds.
    pub cursor_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 16 * 1024 * 1024,
            body_read_ms: 30_000,
            request_ms: 30_000,
            write_ms: 30_000,
            page_size: 100,
            members_per_request: 100_000,
            members_in_patch_answer: 1_000,
            scan_ms: 5_000,
            scans: 4,
            bulk_operations: 1_000,
            cursor_seconds: 24 * 60 * 60,
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
/// Most bytes of large answers that wait for their clients at a time; a further one is answered 503.
pub const ANSWER_BYTES_IN_FLIGHT: usize = 256 * 1024 * 1024;
/// Largest answer that is not counted there, in bytes.
pub const SMALL_ANSWER_BYTES: usize = 64 * 1024;
/// Deepest nesting of JSON that is read, in levels.
pub const JSON_DEPTH: usize = 64;
/// Most values in one JSON text, objects and lists among them: each takes some hundred bytes of memory, however short it is written.
pub const JSON_VALUES: usize = 1_000_000;
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
/// Most places that a sort without an index keeps in mind: so far it can be paged into by `startIndex`. A walk needs a page of them.
pub const SORTED_PLACES: usize = 100_000;
/// Most resources of one type that a sort over several types reads at a time to pass over those before `startIndex`.
pub const MERGED_RESOURCES: u64 = 1_000;
/// Longest cursor that is looked at, in bytes: above what any key and any id come to, with every character escaped.
pub const CURSOR_BYTES: usize = 8 * 1024;
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
/// Most units of a bulk request that are planned and committed at once, so that other writers get their turn between them.
pub const BULK_RUN_UNITS: usize = 128;
/// Size of the units of a bulk request that are planned and committed at once, in bytes; the unit that passes it is the last.
pub const BULK_RUN_BYTES: usize = 1024 * 1024;
/// Longest time that a bulk request still waits for a commit when its time is up, in milliseconds.
pub const BULK_COMMIT_MS: u64 = 5_000;
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
/// Most resources whose index entries are added, and most entries that are removed, in one step between commits: some milliseconds
/// of work.
pub const INDEX_STEP_RESOURCES: u64 = 500;
/// Time after which a step in building an index is tried again that could not be committed, in milliseconds.
pub const INDEX_RETRY_MS: u64 = 1_000;
/// Time between two lines of the log about an index that is being built, in milliseconds.
pub const INDEX_REPORT_MS: u64 = 5_000;
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
/// Longest request id that is taken from a request, in bytes; for a longer one the server makes its own.
pub const REQUEST_ID_BYTES: usize = 128;
/// Lines of the log that may wait to be written; a further one is dropped.
pub const LOG_LINES_WAITING: usize = 65_536;
/// Seconds a client is asked to wait after 503.
pub const RETRY_AFTER_SECONDS: u64 = 1;
/// Longest password, in bytes; hashing a longer one is refused.
pub const PASSWORD_BYTES: usize = 1_024;
/// Most files of schemas and resource types.
pub const SCHEMA_FILES: usize = 1_000;
/// Largest such file, in bytes.
pub const SCHEMA_FILE_BYTES: u64 = 4 * 1024 * 1024;
/// Deepest folder in which such files are looked for, in levels.
pub const SCHEMA_FOLDER_DEPTH: usize = 8;
/// Most attributes of one schema, sub-attributes included.
pub const SCHEMA_ATTRIBUTES: usize = 2_000;
/// Most extensions of one resource type.
pub const EXTENSIONS_PER_TYPE: usize = 64;
/// Most resource types.
pub const RESOURCE_TYPES: usize = 256;
