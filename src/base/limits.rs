//! Every limit of the house, named, with its unit. What an operator may change is in [`Limits`]; the rest are constants.

mod database;

use std::time::Duration;

pub use database::*;

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
    /// Longest time that a request waits for events, in seconds; at most [`POLL_WAIT_SECONDS`].
    pub poll_wait_seconds: u64,
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
            poll_wait_seconds: 30,
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
/// Resources that an export reads at a time.
pub const EXPORT_PAGE_RESOURCES: u64 = 500;
/// Longest line that is imported when nothing else is said, in bytes: a group of half a million members.
pub const IMPORT_LINE_BYTES: usize = 64 * 1024 * 1024;
/// Most values in one line of an import: each takes some hundred bytes of memory.
pub const IMPORT_VALUES: usize = 4_000_000;
/// Most resources that an import reads, and commits, together.
pub const IMPORT_BATCH_RESOURCES: usize = 500;
/// Size at which such a batch ends early, in bytes.
pub const IMPORT_BATCH_BYTES: usize = 2 * 1024 * 1024;
/// Most bytes of text that an import works on at a time, unless one line alone is longer.
pub const IMPORT_BYTES_IN_FLIGHT: u32 = 32 * 1024 * 1024;
/// Batches that wait to be read by an import.
pub const IMPORT_BATCHES_WAITING: usize = 2;
/// Batches that an import commits at a time: while one waits for the disk, the next one is written.
pub const IMPORT_COMMITS: usize = 2;
/// Resources that an import looks up at a time.
pub const IMPORT_LOOKUPS: usize = 16;
/// Most memory of groups that an import keeps in mind until the resources they name have come, in bytes.
pub const IMPORT_WAITING_BYTES: usize = 256 * 1024 * 1024;
/// What one member of such a group takes of it, in bytes.
pub const IMPORT_MEMBER_BYTES: usize = 128;
/// Refusals after which an import ends when nothing else is said.
pub const IMPORT_REFUSALS: u64 = 100;
/// Time between two looks of the progress of an import or an export on a terminal, in milliseconds.
pub const TRANSFER_TICK_MS: u64 = 200;
/// Time between two lines that say how far it is where there is no terminal, in milliseconds.
pub const TRANSFER_LINE_MS: u64 = 10_000;
/// Times that a batch is tried when other nodes are faster with what it takes.
pub const BATCH_TRIES: usize = 8;
/// Parts of a counter in the database, so that writers do not wait for each other.
pub const COUNTER_SLOTS: i32 = 64;
/// How long a node may deliver a push stream after it has said so, in milliseconds.
pub const LEASE_MS: u64 = 30_000;
/// Time between two such claims, and how long before a lease runs out its holder stops by itself, in milliseconds.
pub const LEASE_RENEW_MS: u64 = 10_000;
/// Pause before a failed claim is made again, in milliseconds.
pub const LEASE_RETRY_MS: u64 = 1_000;
/// Longest name of a view: what PostgreSQL keeps of one.
pub const VIEW_NAME_BYTES: usize = 63;
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
/// Time that a start waits for nodes of another configuration to end, where it cannot go on beside them, in milliseconds.
pub const OTHER_NODES_MS: u64 = 30_000;
/// Most candidates that a search looks at without a turn among the scans.
pub const SEEK_CANDIDATES: u64 = 256;
/// Most resources that one statement of a scan reads.
pub const SCAN_STEP_RESOURCES: u64 = 16_384;
/// Time between two looks at which indexes are whole, where several nodes share a database, in milliseconds.
pub const INDEX_LOOK_MS: u64 = 1_000;
/// Time for which a node uses an index without having looked, in milliseconds.
pub const INDEX_TRUST_MS: u64 = 15_000;
/// Prepared statements that a connection keeps.
pub const PREPARED_STATEMENTS: usize = 128;
/// Memory for the pages that one transaction changes, in KiB.
pub const WRITER_CACHE_KIB: u32 = 16 * 1024;
/// Size of what one reading of the log returns, in bytes; the event that passes it is the last.
pub const LOG_PAGE_BYTES: usize = 8 * 1024 * 1024;
/// Events by which one may be in the log before another that is younger, when no clock was set back: those that are committed together.
pub const LOG_DISORDER_EVENTS: u64 = 1_024;
/// Most events that are read at once where a time is looked for among them.
pub const LOG_SEARCH_EVENTS: usize = 64;
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
/// Most unresolved events of a stream that are before its receiver at a time; a stream that has so many waits.
pub const WINDOW_EVENTS: usize = 1_000;
/// What those may come to, in bytes, about.
pub const WINDOW_BYTES: usize = 8 * 1024 * 1024;
/// Most events of the end of the log that are kept in memory for all streams.
pub const TAIL_EVENTS: usize = 8_192;
/// What those may come to, in bytes, about.
pub const TAIL_BYTES: usize = 32 * 1024 * 1024;
/// Most events that are read from the log at once, to follow it.
pub const TAIL_READ_EVENTS: usize = 2_048;
/// Time after which the end of the log is looked at without a wake-up, in milliseconds.
pub const TAIL_PATIENCE_MS: u64 = 1_000;
/// Time after which a log that could not be read is read again, in milliseconds.
pub const TAIL_RETRY_MS: u64 = 250;
/// Time that deliveries under way get on shutdown, in milliseconds.
pub const DELIVERY_STOP_MS: u64 = 10_000;
/// Time after which the streams that are kept are read again without a wake-up, in milliseconds.
pub const STREAMS_PATIENCE_MS: u64 = 30_000;
/// Most streams of an installation that are made by request.
pub const STREAMS: usize = 1_000;
/// Most events that are kept in the log when nothing else is said.
pub const RETAINED_EVENTS: u64 = 1_000_000;
/// Greatest age of an event in the log when nothing else is said, in milliseconds: 30 days.
pub const RETAINED_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// Time between two looks at what the log no longer needs to keep, in milliseconds.
pub const RETENTION_LOOK_MS: u64 = 1_000;
/// Most events that one commit takes from the beginning of the log: some milliseconds of work.
pub const RETENTION_STEP_EVENTS: u64 = 500;
/// Time that writers have for themselves between two such commits, in milliseconds.
pub const RETENTION_PAUSE_MS: u64 = 10;
/// Time between two changes of the gap of a disabled stream, which grows as the log is trimmed, in milliseconds.
pub const RETENTION_SETTLE_MS: u64 = 60_000;
/// Time between two looks at dead letters that are too old, in milliseconds.
pub const RETENTION_LETTERS_MS: u64 = 10_000;
/// Most streams of which `/metrics` tells how far each is.
pub const OBSERVED_STREAMS: usize = 1_000;
/// Most events that are looked at to find the oldest one that a stream has not resolved.
pub const OBSERVED_EVENTS: usize = 256;
/// Time for which what was seen of the streams is told again, in milliseconds.
pub const OBSERVE_MS: u64 = 1_000;
/// Time between two counts of what the histograms of `/metrics` hold, in milliseconds.
pub const METRICS_UPKEEP_MS: u64 = 5_000;
/// Most times that a change of a stream is tried again that somebody else's change made stale.
pub const STREAM_CHANGES: usize = 16;
/// Time that a reader who may just have written waits for the end of the log to be read, in milliseconds, before it reads by itself.
pub const TAIL_CATCH_UP_MS: u64 = 50;
/// Largest [`Limits::poll_wait_seconds`]: below what proxies let a connection be idle.
pub const POLL_WAIT_SECONDS: u64 = 60;
/// Largest body of a poll, in bytes.
pub const POLL_BODY_BYTES: usize = 1024 * 1024;
/// Most SETs that one poll may acknowledge and refuse together.
pub const POLL_ACKNOWLEDGEMENTS: usize = 1_000;
/// Most SETs in the answer to one poll.
pub const POLL_EVENTS: usize = 500;
/// What their events may come to, in bytes, about; the event that passes it is the last.
pub const POLL_BYTES: usize = 4 * 1024 * 1024;
/// Time between two looks of one stream, for a request that waits, at what other nodes were told, in milliseconds.
pub const POLL_REFRESH_MS: u64 = 1_000;
/// Time after which a SET that was polled and not acknowledged is delivered again, in milliseconds.
pub const POLL_LEASE_MS: u64 = 60_000;
/// Time that a poll which an event has woken waits for more of the same burst, in milliseconds.
pub const POLL_DEBOUNCE_MS: u64 = 20;
/// Most polls of one stream that wait at a time; a further one takes the place of the oldest, which is answered empty.
pub const POLL_WAITERS_PER_STREAM: usize = 2;
/// Most requests of a node that wait for events at a time; a further one is answered 503.
pub const POLL_WAITERS: usize = 20_000;
/// SETs that are rendered and signed in one piece of work; more of them are shared among the cores.
pub const POLL_RENDERED_TOGETHER: usize = 32;
/// Dead letters that are read at a time to be delivered once more.
pub const POLL_LETTERS: usize = 100;
/// Time after which what is kept in memory of a stream that nobody polls is forgotten, in milliseconds.
pub const POLL_IDLE_MS: u64 = 300_000;
/// Time between two moves of the cursors of polled streams over events that are not theirs, in milliseconds.
pub const POLL_KEEP_MS: u64 = 1_000;
/// Times that an acknowledgement is tried on a stream that is being replayed.
pub const POLL_TRIES: usize = 4;
/// Size of the pieces in which an answer to a poll is handed to its connection, in bytes: its SETs are out once the last one is.
pub const POLL_PIECE_BYTES: usize = 16 * 1024;
/// Longest error code of a refused SET that is kept, in bytes.
pub const SET_ERROR_BYTES: usize = 128;
/// Longest description of a refused SET that is kept, in bytes.
pub const SET_ERROR_DESCRIPTION_BYTES: usize = 1_024;
/// Most readers that follow feeds as Server-Sent Events at a time; a further one is answered 503.
pub const FEED_FOLLOWERS: usize = 1_000;
/// Events that are read at a time for such a reader.
pub const FEED_FOLLOWED_EVENTS: usize = 64;
/// Time between two signs of life to such a reader, in milliseconds.
pub const FEED_HEARTBEAT_MS: u64 = 15_000;
/// Longest description of a stream, in characters.
pub const STREAM_DESCRIPTION_CHARACTERS: usize = 1_024;
/// Most event URIs that a stream may ask for.
pub const STREAM_EVENTS: usize = 128;
/// Longest such URI, in characters.
pub const STREAM_EVENT_CHARACTERS: usize = 256;
/// Most feeds of one stream.
pub const STREAM_FEEDS: usize = 16;
/// Most attribute paths that a stream may allow, and most that it may deny.
pub const STREAM_ATTRIBUTES: usize = 256;
/// Most events of a stream that are pushed at a time.
pub const STREAM_LANES: u8 = 16;
/// How many are when nobody says.
pub const STREAM_LANES_DEFAULT: u8 = 4;
/// Longest URL of a receiver, in bytes.
pub const ENDPOINT_BYTES: usize = 2_048;
/// Longest `Authorization` header that is sent to a receiver, in bytes.
pub const AUTHORIZATION_BYTES: usize = 8_192;
/// Most audiences of one stream.
pub const AUDIENCES: usize = 16;
/// Longest audience, in characters.
pub const AUDIENCE_CHARACTERS: usize = 1_024;
/// Longest `state` of a verification event, and longest reason that somebody may give, in characters.
pub const STREAM_TEXT_CHARACTERS: usize = 1_024;
/// Most dead letters in one answer, and most that one request may name.
pub const DEAD_LETTERS: usize = 1_000;
/// Dead letters in one answer when `limit` is not given.
pub const DEAD_LETTERS_DEFAULT: usize = 100;
/// Most generations of a stream whose `jti`s are known beside those of the present one.
pub const STREAM_GENERATIONS: u32 = 16;
/// Most things that are wrong with a stream of which one answer tells.
pub const FAULTS_TOLD: usize = 8;
/// Longest name of a principal, in bytes.
pub const PRINCIPAL_BYTES: usize = 64;
/// Time for a command to reach the gateway it talks to, in milliseconds.
pub const COMMAND_CONNECT_MS: u64 = 10_000;
/// Time for the gateway to answer a command, in milliseconds.
pub const COMMAND_ANSWER_MS: u64 = 60_000;
/// Time for the gateway to say whether it is ready, in milliseconds.
pub const COMMAND_READY_MS: u64 = 5_000;
/// Largest answer that a command reads, in bytes.
pub const COMMAND_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// Age at which a copy of the JWK Set is fetched anew, in seconds: its `max-age`. A key is announced for twice as long before it signs.
pub const JWKS_AGE_SECONDS: u32 = 900;
/// Time after which the signing keys are looked at without a wake-up, in milliseconds.
pub const KEYS_PATIENCE_MS: u64 = 30_000;
/// What the signatures that are kept to be used again may take, in bytes, about.
pub const SIGNATURES_BYTES: u64 = 16 * 1024 * 1024;
/// Time to connect to a receiver, in milliseconds.
pub const PUSH_CONNECT_MS: u64 = 5_000;
/// Time for a receiver to answer, the connect and the answer's body included, in milliseconds.
pub const PUSH_REQUEST_MS: u64 = 10_000;
/// What is read of a receiver's answer, in bytes; then its connection is let go.
pub const PUSH_ANSWER_BYTES: usize = 16 * 1024;
/// Time for the body of an answer that accepts, in milliseconds; then its connection is let go.
pub const PUSH_ACCEPTED_BODY_MS: u64 = 1_000;
/// Most connections to one receiver that are kept open while nothing is sent.
pub const PUSH_IDLE_CONNECTIONS: usize = 16;
/// Time for which they are kept open, in milliseconds.
pub const PUSH_IDLE_MS: u64 = 60_000;
/// What a receiver may send on one stream of HTTP/2 before it is read, in bytes.
pub const PUSH_WINDOW_BYTES: u32 = 64 * 1024;
/// Time without a frame after which a connection of HTTP/2 with requests under way is probed, in milliseconds.
pub const PUSH_PING_MS: u64 = 5_000;
/// Most requests that may be under way at a time to receivers that answer soon.
pub const PUSH_IN_FLIGHT: usize = 192;
/// Most requests that may be under way at a time to receivers that answer late or not at all, beside those.
pub const PUSH_SLOW_IN_FLIGHT: usize = 64;
/// Requests below the most of either at which a stream begins none beside one that it has under way already: the rest is for streams that
/// have none.
pub const PUSH_SCARCE: usize = 48;
/// Time above which an answer is late, in milliseconds.
pub const PUSH_SLOW_MS: u64 = 1_000;
/// Most events that a push stream reads from the log at once.
pub const PUSH_READ_EVENTS: usize = 256;
/// Time that the requests of a stream get when it ends or changes, in milliseconds.
pub const PUSH_DRAIN_MS: u64 = 5_000;
/// Most push streams that are started at a time.
pub const PUSH_STARTS: usize = 16;
/// Time after which a task of the server that failed begins anew, in milliseconds.
pub const TASK_RESTART_MS: u64 = 1_000;
/// Time after which a push stream whose task failed is started again, in milliseconds.
pub const PUSH_RESTART_MS: u64 = 1_000;
/// Least time between two notes of a stream's cursor that has only passed events of others, in milliseconds.
pub const FOREIGN_NOTE_MS: u64 = 1_000;
/// Time for which resolved places are gathered before they are kept, in milliseconds.
pub const PERSIST_MS: u64 = 100;
/// Resolutions that are kept at once without waiting for more.
pub const PERSIST_SETS: usize = 256;
/// Rows of resolved places and dead letters above which no other stream's are kept by the same commit: some milliseconds of work.
pub const PERSIST_ROWS: usize = 256;
/// Time after which resolved places that could not be kept are tried again, in milliseconds.
pub const PERSIST_RETRY_MS: u64 = 250;
/// Time to keep what was resolved last, on shutdown, in milliseconds.
pub const PERSIST_STOP_MS: u64 = 5_000;
/// Most dead letters that are read at once to be sent once more.
pub const DEAD_LETTERS_READ: usize = 256;
/// What is kept of a receiver's description of an error, in bytes.
pub const ERROR_DESCRIPTION_BYTES: usize = 512;
/// What is kept of a receiver's error code, in bytes.
pub const ERROR_CODE_BYTES: usize = 64;
/// Largest SET that `carillon receive` takes, in bytes.
pub const RECEIVE_SET_BYTES: usize = 32 * 1024 * 1024;
/// Largest answer to a poll that it takes, in bytes; after a larger one it asks for fewer events.
pub const RECEIVE_POLL_BYTES: usize = 64 * 1024 * 1024;
/// Most events that it asks for at once when nothing else is said.
pub const RECEIVE_POLL_EVENTS: u64 = 100;
/// Most events that it has kept and tells from new ones; the oldest are forgotten first.
pub const RECEIVE_REMEMBERED_EVENTS: usize = 1_000_000;
/// Most events that it writes in one go.
pub const RECEIVE_BATCH_EVENTS: usize = 256;
/// Time for a command that it runs for an event, in milliseconds.
pub const RECEIVE_COMMAND_MS: u64 = 60_000;
/// Time to connect to a transmitter, in milliseconds.
pub const RECEIVE_CONNECT_MS: u64 = 10_000;
/// Time to fetch a set of keys, in milliseconds.
pub const RECEIVE_FETCH_MS: u64 = 10_000;
/// Time for a poll to be answered, and for a followed stream to say anything, in milliseconds: above the time for which either is held.
pub const RECEIVE_SILENCE_MS: u64 = 120_000;
/// Time for the last acknowledgement before it ends, in milliseconds.
pub const RECEIVE_FAREWELL_MS: u64 = 5_000;
/// Largest set of keys, in bytes.
pub const RECEIVE_KEY_SET_BYTES: usize = 1024 * 1024;
/// Time for which a set of keys is good that does not say so, in seconds.
pub const RECEIVE_KEY_SET_SECONDS: u64 = 300;
/// Time for which keys serve at most without being read again, in seconds.
pub const RECEIVE_STALE_KEYS_SECONDS: u64 = 24 * 60 * 60;
/// Time between two looks at a set of keys, in milliseconds.
pub const RECEIVE_REFETCH_MS: u64 = 5_000;
/// Time after which a set of keys that could not be read is looked at again, in milliseconds.
pub const RECEIVE_REFETCH_FAILED_MS: u64 = 1_000;
/// First time after which it asks a transmitter again that failed, in milliseconds.
pub const RECEIVE_RETRY_MS: u64 = 250;
/// Longest such time, in milliseconds.
pub const RECEIVE_LONGEST_RETRY_MS: u64 = 30_000;
/// Longest time that a transmitter may ask it to wait, in seconds.
pub const RECEIVE_RETRY_AFTER_SECONDS: u64 = 300;
/// First time after an answer to a poll that was empty and was not held, in milliseconds.
pub const RECEIVE_EMPTY_POLL_MS: u64 = 50;
/// Longest such time, in milliseconds; an answer that took longer was held.
pub const RECEIVE_LONGEST_EMPTY_POLL_MS: u64 = 1_000;
/// Largest body of an error of a transmitter that is read, in bytes.
pub const RECEIVE_REASON_BYTES: usize = 16 * 1024;
/// Time between two lines about its progress, in milliseconds.
pub const RECEIVE_PROGRESS_MS: u64 = 10_000;
/// Time between two looks of its progress on a terminal, in milliseconds.
pub const RECEIVE_TICK_MS: u64 = 250;
/// Longest time that a reader who may just have written waits for its events to get their places, in milliseconds.
pub const SETTLED_MS: u64 = 1_000;
/// Time for which a node that hears of a place waits for its own sequencer to tell of it, in milliseconds.
pub const LISTENER_COURTESY_MS: u64 = 2;
/// Time after which the end of the log is read though no news of it has come from other nodes, in milliseconds.
pub const LISTENER_PATIENCE_MS: u64 = 1_000;
/// Most times that the places of a stream are merged anew because another node has written them in between.
pub const RESOLVE_TRIES: usize = 16;
