-- How many changes of records there have been: a record begins with the number of the change that makes it. None is ever at a revision above
-- the number of the last change, so that none that is removed and made again comes to a revision that it had.
INSERT INTO meta (name, value) SELECT 'record_changes', coalesce(max(revision), 0) FROM record;
