-- What delivery keeps: documents such as streams and signing keys.
CREATE TABLE record (
    collection TEXT NOT NULL,
    id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (collection, id)
) WITHOUT ROWID;

-- The places that each stream has resolved: a cursor, and the few ranges above it.
CREATE TABLE resolved (
    stream TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    places TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE dead_letter (
    stream TEXT NOT NULL,
    place INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    status INTEGER,
    error TEXT NOT NULL,
    description TEXT,
    retry INTEGER NOT NULL,
    PRIMARY KEY (stream, place)
) WITHOUT ROWID;
