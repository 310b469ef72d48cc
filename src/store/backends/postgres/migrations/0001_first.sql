-- Ids and comparison keys are bytes whose order is that of the values they stand for (see `column.rs`), so that no collation of the
-- database has a say in it. Times are milliseconds since 1970.

-- Codes of attribute paths, so that no index repeats their text.
CREATE TABLE path (code integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY, name text NOT NULL UNIQUE);

-- Resource types by the codes under which resources and events are kept. A code is never used again.
CREATE TABLE type (code integer PRIMARY KEY, name text NOT NULL, endpoint text NOT NULL);
CREATE UNIQUE INDEX type_name ON type (lower(name));
INSERT INTO type (code, name, endpoint) VALUES (1, 'User', '/Users'), (2, 'Group', '/Groups');

-- Rows leave room for the next version beside them: a change of no indexed column then touches no index.
CREATE TABLE resource (
    tenant integer NOT NULL,
    type integer NOT NULL,
    id bytea NOT NULL,
    version bigint NOT NULL,
    revision bigint NOT NULL,
    created bigint NOT NULL,
    modified bigint NOT NULL,
    member_count bigint NOT NULL,
    external_id text,
    display text,
    secrets text,
    body text NOT NULL,
    PRIMARY KEY (tenant, type, id)
) WITH (fillfactor = 85);

CREATE TABLE unique_key (
    tenant integer NOT NULL,
    type integer NOT NULL,
    path integer NOT NULL,
    value bytea NOT NULL,
    id bytea NOT NULL,
    PRIMARY KEY (tenant, type, path, value) INCLUDE (id)
);

CREATE TABLE lookup (
    tenant integer NOT NULL,
    type integer NOT NULL,
    path integer NOT NULL,
    value bytea NOT NULL,
    id bytea NOT NULL,
    PRIMARY KEY (tenant, type, path, value, id)
);

-- The resources that have no value of an indexed attribute which holds at most one.
CREATE TABLE bare (
    tenant integer NOT NULL,
    type integer NOT NULL,
    path integer NOT NULL,
    id bytea NOT NULL,
    PRIMARY KEY (tenant, type, path, id)
);

CREATE TABLE member (
    tenant integer NOT NULL,
    group_id bytea NOT NULL,
    member_id bytea NOT NULL,
    kind text,
    display text,
    PRIMARY KEY (tenant, group_id, member_id)
);
CREATE INDEX member_groups ON member (tenant, member_id, group_id);

-- How many resources of a type there are, in parts, so that writers do not wait for each other: the sum over all slots is the number.
CREATE TABLE counter (
    tenant integer NOT NULL,
    type integer NOT NULL,
    slot integer NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (tenant, type, slot)
) WITH (fillfactor = 50);

-- Events as they are committed, in the order in which their writers held the resource. The sequencer moves them to `event`, where they
-- get their places.
-- What one statement stages has one number, so that the events of a transaction stay beside each other.
CREATE SEQUENCE staged_number_seq;
CREATE TABLE staged (
    number bigint NOT NULL DEFAULT nextval('staged_number_seq'),
    ordinal bigint NOT NULL DEFAULT 1,
    event_id uuid NOT NULL,
    tenant integer NOT NULL,
    kind integer NOT NULL,
    type integer NOT NULL,
    id bytea NOT NULL,
    external_id text,
    version bigint NOT NULL,
    txn text NOT NULL,
    at bigint NOT NULL,
    attributes text NOT NULL,
    data text,
    -- When it was staged: how long it then waits for its place is measured.
    staged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (number, ordinal)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);

CREATE TABLE event (
    place bigint PRIMARY KEY,
    event_id uuid NOT NULL UNIQUE,
    tenant integer NOT NULL,
    kind integer NOT NULL,
    type integer NOT NULL,
    id bytea NOT NULL,
    external_id text,
    version bigint NOT NULL,
    txn text NOT NULL,
    at bigint NOT NULL,
    attributes text NOT NULL,
    data text,
    -- The latest time of this event and of all that were kept before it. It never falls, so that a time is found by halving the log.
    latest bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02);

-- One row, written about once a second: up to this number nothing is staged, nor ever will be. Nobody reads through the rows that went
-- from there and cannot be swept away while an old snapshot is open, that of a backup say. Such a snapshot keeps every version of a row:
-- that is why none is written with every batch, not even one for the last place.
CREATE TABLE staged_floor (one boolean PRIMARY KEY DEFAULT true CHECK (one), number bigint NOT NULL) WITH (fillfactor = 50);
INSERT INTO staged_floor (number) VALUES (0);

-- A transaction has an id before it takes a number: what the mark of `give_places` rests on.
CREATE FUNCTION begin_staging() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_current_xact_id();
    RETURN NULL;
END
$$;
CREATE TRIGGER staging BEFORE INSERT ON staged FOR EACH STATEMENT EXECUTE FUNCTION begin_staging();

-- One row: events up to this place are no longer kept.
CREATE TABLE log_floor (one boolean PRIMARY KEY DEFAULT true CHECK (one), place bigint NOT NULL) WITH (fillfactor = 50);
INSERT INTO log_floor (place) VALUES (0);

-- The last place given: that of the last event, or the floor when all are gone. It looks at nothing below the floor, where events that
-- went may still be in the way.
CREATE VIEW log AS SELECT coalesce(
    (SELECT e.place FROM event e WHERE e.place > (SELECT f.place FROM log_floor f) ORDER BY e.place DESC LIMIT 1),
    (SELECT f.place FROM log_floor f)) AS last_place;

-- Which server this is, and on which timeline of it: what it holds is another past where either is another one. Null while it follows
-- another server. Where one of the two may not be asked for it is left out.
CREATE FUNCTION server_identity() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    timeline text;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN NULL;
    END IF;
    timeline := left(pg_walfile_name(pg_current_wal_lsn()), 8);
    RETURN (SELECT s.system_identifier FROM pg_control_system() s) || '/' || timeline;
EXCEPTION WHEN insufficient_privilege OR undefined_function OR feature_not_supported THEN
    RETURN coalesce(timeline, '');
END
$$;

CREATE TABLE secret (name text PRIMARY KEY, value bytea NOT NULL);

-- Which indexes there are, in which form, and how far each is built; as in the embedded store.
CREATE TABLE indexed (
    type integer NOT NULL,
    path integer NOT NULL,
    definition text NOT NULL,
    phase text NOT NULL,
    PRIMARY KEY (type, path)
);
CREATE TABLE index_progress (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    tenant integer NOT NULL,
    type integer NOT NULL,
    id bytea NOT NULL,
    visited bigint NOT NULL
);

-- One row: which indexes are asked for, the epoch since which they are, and the least epoch that may still write (see `epoch.rs`).
CREATE TABLE configuration (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch bigint NOT NULL,
    fence bigint NOT NULL,
    definition text NOT NULL
);
INSERT INTO configuration (epoch, fence, definition) VALUES (0, 0, '');

-- What delivery keeps: documents such as streams and signing keys.
CREATE TABLE record (
    collection text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    revision bigint NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (collection, id)
);

-- One row: counts the changes of records, so that whoever has missed the news of one sees it. Who changes records holds its lock.
CREATE TABLE record_changes (one boolean PRIMARY KEY DEFAULT true CHECK (one), n bigint NOT NULL) WITH (fillfactor = 50);
INSERT INTO record_changes (n) VALUES (0);

-- The places that each stream has resolved: a cursor, and the few ranges above it. `revision` is another one with every change, and none
-- is ever used again: what was read of a life before does not pass for what is kept of the next one.
CREATE TABLE resolved (
    stream text COLLATE "C" PRIMARY KEY,
    epoch bigint NOT NULL,
    places text NOT NULL,
    revision bigint NOT NULL
) WITH (fillfactor = 50);
CREATE SEQUENCE resolved_revision;

-- What a receiver said is kept as the bytes of its text: it may hold what a text here cannot, a NUL.
CREATE TABLE dead_letter (
    stream text COLLATE "C" NOT NULL,
    place bigint NOT NULL,
    event_id uuid NOT NULL,
    at bigint NOT NULL,
    attempts bigint NOT NULL,
    status integer,
    error bytea NOT NULL,
    description bytea,
    retry boolean NOT NULL,
    PRIMARY KEY (stream, place)
);
-- They go by the place of their event and by their age, whatever their stream.
CREATE INDEX dead_letter_place ON dead_letter (place);
CREATE INDEX dead_letter_at ON dead_letter (at);

-- Who does what only one node is to do at a time. An epoch is never used again, for no name: what an owner of before still writes is
-- refused by it.
CREATE TABLE lease (
    name text COLLATE "C" PRIMARY KEY,
    owner text NOT NULL,
    epoch bigint NOT NULL,
    until timestamptz NOT NULL
) WITH (fillfactor = 50);
CREATE SEQUENCE lease_epoch;

-- Gives the next staged events their places, and tells the nodes: so many events or so many bytes, but at least those of one number. All
-- of it happens in the server: a client that stops keeps no lock. `turn` is the key of the lock that only one holds at a time; `moved` is
-- null when somebody else does. The order of one resource is that of its numbers, because a writer takes them while it holds the
-- resource; whoever sees a later change of it sees the earlier ones too.
--
-- What is `settled` the caller remembers (null: as it is kept in `staged_floor`), and the `mark`: it is settled once every transaction that
-- may hold a number up to there is over, which is when `mark_transaction` and all before it are, and nothing is left up to there. That is
-- so whether or not this call is committed; with `keep` it is kept.
CREATE FUNCTION give_places(most bigint, most_bytes bigint, channel text, turn bigint, keep boolean, INOUT settled bigint,
    INOUT mark bigint, INOUT mark_transaction bigint, OUT moved bigint, OUT is_full boolean, OUT reached bigint,
    OUT longest_wait double precision)
LANGUAGE plpgsql
-- A plan made while the table was empty reads it from end to end ever after. What that makes of the costs is no reason to compile it.
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    last_place bigint;
    last_time bigint;
    numbers_taken bigint;
    first_number bigint;
    is_over boolean := mark_transaction < pg_snapshot_xmin(pg_current_snapshot())::text::bigint;
BEGIN
    IF settled IS NULL THEN
        SELECT f.number INTO settled FROM staged_floor f;
    END IF;
    IF NOT EXISTS (SELECT FROM staged s WHERE s.number > settled) THEN
        SELECT 0, false, l.last_place INTO moved, is_full, reached FROM log l;
        IF is_over THEN
            settled := greatest(settled, mark);
            mark := NULL;
        END IF;
        RETURN;
    END IF;
    -- Read before this transaction gets its id, with the first row that it writes: whoever has taken one of these numbers has a lower one.
    IF pg_current_xact_id_if_assigned() IS NULL THEN
        SELECT CASE WHEN s.is_called THEN s.last_value ELSE 0 END INTO numbers_taken FROM staged_number_seq s;
    END IF;
    -- First the lock, and only then the snapshots of what follows: they see everything that the last holder did.
    IF NOT pg_try_advisory_xact_lock(turn) THEN
        RETURN;
    END IF;
    -- At one moment: who trims raises the floor as the events go.
    SELECT coalesce(e.place, f.place), coalesce(e.latest, -9223372036854775808) INTO last_place, last_time
    FROM log_floor f LEFT JOIN LATERAL (
        SELECT l.place, l.latest FROM event l WHERE l.place > f.place ORDER BY l.place DESC LIMIT 1
    ) AS e ON true;
    WITH gone AS (
        DELETE FROM staged WHERE ctid = ANY (ARRAY(
            SELECT sized.ctid FROM (
                SELECT w.ctid, coalesce(sum(w.bytes) OVER (ORDER BY w.number GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
                    AS bytes_before
                FROM (
                    SELECT s.ctid, s.number, octet_length(s.attributes) + coalesce(octet_length(s.data), 0) AS bytes
                    FROM staged s WHERE s.number > settled ORDER BY s.number FETCH FIRST most ROWS WITH TIES
                ) AS w
            ) AS sized WHERE sized.bytes_before < most_bytes
        )) RETURNING *
    ), placed AS (
        INSERT INTO event
            (place, event_id, tenant, kind, type, id, external_id, version, txn, at, attributes, data, latest)
        SELECT last_place + row_number() OVER numbers, g.event_id, g.tenant, g.kind, g.type, g.id, g.external_id, g.version,
            g.txn, g.at, g.attributes, g.data, greatest(last_time, max(g.at) OVER numbers)
        FROM gone g WINDOW numbers AS (ORDER BY g.number, g.ordinal)
        RETURNING event.place AS place
    )
    SELECT count(*), coalesce(max(p.place), last_place), (SELECT min(g.number) FROM gone g),
        count(*) >= most
            OR coalesce((SELECT sum(octet_length(g.attributes) + coalesce(octet_length(g.data), 0)) FROM gone g), 0) >= most_bytes,
        extract(epoch FROM clock_timestamp() - (SELECT min(g.staged_at) FROM gone g))
    INTO moved, reached, first_number, is_full, longest_wait FROM placed p;
    -- They go in the order of their numbers: when the first is behind the mark, nothing is left up to it.
    IF is_over AND (first_number IS NULL OR first_number > mark) THEN
        settled := greatest(settled, mark);
        mark := NULL;
    END IF;
    IF moved > 0 THEN
        IF mark IS NULL AND numbers_taken IS NOT NULL THEN
            mark := numbers_taken;
            mark_transaction := pg_current_xact_id()::text::bigint;
        END IF;
        IF keep THEN
            UPDATE staged_floor SET number = settled WHERE number < settled;
        END IF;
        PERFORM pg_notify(channel, 'log ' || reached);
    END IF;
END
$$;

-- Changes records one after another, all or none, and tells the nodes. Returns how many changes there have been since the beginning.
CREATE FUNCTION change_records(collections text[], ids text[], revisions bigint[], bodies text[], channel text) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    change_number bigint;
    change record;
    written bigint;
BEGIN
    UPDATE record_changes SET n = n + 1 RETURNING n INTO change_number;
    FOR change IN
        SELECT * FROM unnest(collections, ids, revisions, bodies) WITH ORDINALITY AS c (collection, id, expected, body, position)
        ORDER BY c.position
    LOOP
        IF change.expected IS NULL AND change.body IS NULL THEN
            PERFORM WHERE NOT EXISTS (SELECT FROM record r WHERE r.collection = change.collection AND r.id = change.id);
        ELSIF change.expected IS NULL THEN
            INSERT INTO record (collection, id, revision, body) VALUES (change.collection, change.id, 1, change.body)
                ON CONFLICT DO NOTHING;
        ELSIF change.body IS NULL THEN
            DELETE FROM record r
            WHERE r.collection = change.collection AND r.id = change.id AND r.revision = change.expected;
        ELSE
            UPDATE record r SET body = change.body, revision = r.revision + 1
            WHERE r.collection = change.collection AND r.id = change.id AND r.revision = change.expected;
        END IF;
        GET DIAGNOSTICS written = ROW_COUNT;
        IF written = 0 THEN
            RAISE EXCEPTION 'a record is not as its change supposes' USING ERRCODE = 'serialization_failure';
        END IF;
    END LOOP;
    PERFORM pg_notify(channel, 'records ' || change_number);
    RETURN change_number;
END
$$;

-- Changes records, and with them a stream begins a life or, without one, is no more; all or none. It takes its locks in the order in which
-- whoever keeps places takes them: leases, places, letters, and what counts the changes of records last.
CREATE FUNCTION renew_stream(collections text[], ids text[], revisions bigint[], bodies text[], channel text, stream_name text,
    lease_name text, life bigint, life_places text) RETURNS bigint
LANGUAGE plpgsql
AS $$
BEGIN
    IF life IS NULL THEN
        DELETE FROM lease l WHERE l.name = lease_name;
        DELETE FROM resolved r WHERE r.stream = stream_name;
    ELSE
        INSERT INTO resolved AS r (stream, epoch, places, revision)
            VALUES (stream_name, life, life_places, nextval('resolved_revision'))
            ON CONFLICT (stream) DO UPDATE SET epoch = excluded.epoch, places = excluded.places, revision = excluded.revision;
    END IF;
    DELETE FROM dead_letter d WHERE d.stream = stream_name;
    IF cardinality(collections) > 0 THEN
        RETURN change_records(collections, ids, revisions, bodies, channel);
    END IF;
    RETURN NULL;
END
$$;
