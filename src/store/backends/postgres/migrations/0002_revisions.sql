-- How many changes of records have been asked for: a record begins with the number of the change that makes it. None is ever at a revision
-- above the number of the last change, so that none that is removed and made again comes to a revision that it had.
ALTER TABLE record_changes ADD COLUMN last_change bigint NOT NULL DEFAULT 0;
UPDATE record_changes SET last_change = coalesce((SELECT max(revision) FROM record), 0);

-- Changes records one after another, all or none, and tells the nodes. Returns how many changes there have been since the beginning.
CREATE OR REPLACE FUNCTION change_records(collections text[], ids text[], revisions bigint[], bodies text[], channel text) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    change_number bigint;
    last bigint;
    change record;
    written bigint;
BEGIN
    UPDATE record_changes c SET n = c.n + 1, last_change = c.last_change + cardinality(ids)
        RETURNING c.n, c.last_change - cardinality(ids) INTO change_number, last;
    FOR change IN
        SELECT * FROM unnest(collections, ids, revisions, bodies) WITH ORDINALITY AS c (collection, id, expected, body, position)
        ORDER BY c.position
    LOOP
        IF change.expected IS NULL AND change.body IS NULL THEN
            PERFORM WHERE NOT EXISTS (SELECT FROM record r WHERE r.collection = change.collection AND r.id = change.id);
        ELSIF change.expected IS NULL THEN
            INSERT INTO record (collection, id, revision, body)
                VALUES (change.collection, change.id, last + change.position, change.body) ON CONFLICT DO NOTHING;
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
