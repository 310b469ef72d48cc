//! Limits of a store in a database on a server.

/// Writers of one node, each with a connection of its own to the database: while one waits for the disk, another fills its batch.
pub const DATABASE_WRITERS: usize = 2;
/// Longest wait for a connection to the database, in milliseconds.
pub const DATABASE_CONNECT_MS: u64 = 5_000;
/// Time to wait for another process that holds the database, in milliseconds.
pub const DATABASE_BUSY_MS: u64 = 2_000;
/// Connections for reads of one node to a database on another machine, beside one for each scan.
pub const DATABASE_READERS: usize = 12;
/// Connections of one node for the log and for what delivery keeps there.
pub const DATABASE_DELIVERY: usize = 4;
/// Time after which a connection for reads ends once its read has, in milliseconds: no memory of the database grows for ever.
pub const DATABASE_LIFETIME_MS: u64 = 1_800_000;
/// Time to wait for a connection, in milliseconds; then the answer is 503.
pub const DATABASE_ACQUIRE_MS: u64 = 3_000;
/// Time without use after which a connection is tried before it is used, in milliseconds.
pub const DATABASE_IDLE_CHECK_MS: u64 = 1_000;
/// Longest time that one statement may take there, in milliseconds, but for those that prepare the database at the start.
pub const DATABASE_STATEMENT_MS: u64 = 30_000;
/// Longest time that a transaction may be left alone there, in milliseconds: so long a node that hangs can hold up the others.
pub const DATABASE_IDLE_TRANSACTION_MS: u64 = 10_000;
/// Longest wait for a row that another transaction holds, in milliseconds: longer than a node that hangs can hold it.
pub const DATABASE_LOCK_MS: u64 = 12_000;
/// The same when a batch has just waited so long, for each of its units alone and for the next batch, in milliseconds.
pub const DATABASE_LOCK_ALONE_MS: u64 = 100;
/// Longest time for a whole batch, or for what the log is asked, in milliseconds. A connection that is silent for longer is given up.
pub const DATABASE_BATCH_MS: u64 = 35_000;
/// Time that a start waits for a database that does not answer yet, in milliseconds.
pub const DATABASE_START_MS: u64 = 60_000;
/// Time between two tries to reach it, in milliseconds.
pub const DATABASE_START_RETRY_MS: u64 = 500;
/// Most events that get their places at once.
pub const SEQUENCER_EVENTS: u64 = 2_000;
/// Size of the data of these events, in bytes; the commit that passes it is the last.
pub const SEQUENCER_BYTES: usize = 8 * 1024 * 1024;
/// Time between two notes of how far staged events have gone, in milliseconds.
pub const SEQUENCER_KEEP_MS: u64 = 1_000;
/// Time between two such batches while they are not full, in milliseconds: an event waits so long at most, and its writers share a sync.
pub const SEQUENCER_PACE_MS: u64 = 10;
/// Time after which a node that has committed nothing looks for events that others have left, in milliseconds.
pub const SEQUENCER_IDLE_MS: u64 = 250;
/// Time after which a task that could not reach the database tries again, in milliseconds.
pub const DATABASE_RETRY_MS: u64 = 250;
/// Time for the database to answer a task that asks for little, in milliseconds; then its connection is let go.
pub const DATABASE_PATIENCE_MS: u64 = 10_000;
