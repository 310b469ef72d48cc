-- Codes of attribute paths, so that no index repeats their text.
CREATE TABLE path (code INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

-- A rowid table: a wide row in a clustered index costs a fifth of the throughput. One index serves reads by key and lists in id
-- order; that an id is unique over all types is checked with one seek per type on create, which costs less than a second index.
CREATE TABLE resource (
    tenant INTEGER NOT NULL,
    type INTEGER NOT NULL,
    id NOT NULL,
    version INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    member_count INTEGER NOT NULL,
    external_id TEXT,
    display TEXT,
    secrets TEXT,
    body BLOB NOT NULL
);
CREATE UNIQUE INDEX resource_key ON resource (tenant, type, id);

-- `value` has no affinity, so that a comparison key keeps its kind.
CREATE TABLE unique_key (
    tenant INTEGER NOT NULL,
    type INTEGER NOT NULL,
    path INTEGER NOT NULL,
    value NOT NULL,
    id NOT NULL,
    PRIMARY KEY (tenant, type, path, value)
) WITHOUT ROWID;

CREATE TABLE lookup (
    tenant INTEGER NOT NULL,
    type INTEGER NOT NULL,
    path INTEGER NOT NULL,
    value NOT NULL,
    id NOT NULL,
    PRIMARY KEY (tenant, type, path, value, id)
) WITHOUT ROWID;

CREATE TABLE member (
    tenant INTEGER NOT NULL,
    group_id NOT NULL,
    member_id NOT NULL,
    kind TEXT,
    display TEXT,
    PRIMARY KEY (tenant, group_id, member_id)
) WITHOUT ROWID;
CREATE INDEX member_groups ON member (tenant, member_id, group_id);

CREATE TABLE counter (
    tenant INTEGER NOT NULL,
    type INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (tenant, type)
) WITHOUT ROWID;

-- Read in the order of places, which is that of the rows: with one tenant every row read is wanted. A tree more on each commit is
-- only worth it to tell tenants apart: add an index (tenant, place) when a second tenant exists.
CREATE TABLE event (
    place INTEGER PRIMARY KEY,
    event_id BLOB NOT NULL UNIQUE,
    tenant INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    type INTEGER NOT NULL,
    id NOT NULL,
    external_id TEXT,
    version INTEGER NOT NULL,
    txn TEXT NOT NULL,
    at INTEGER NOT NULL,
    attributes TEXT NOT NULL,
    data TEXT
);

CREATE TABLE secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
