-- Which indexes there are, in which form, and how far each is built: `clear` while entries of another form are removed, `drop` likewise
-- for one that is no longer asked for, `fill` while entries are added, `whole` when it holds every resource.
CREATE TABLE indexed (
    type INTEGER NOT NULL,
    path INTEGER NOT NULL,
    definition TEXT NOT NULL,
    phase TEXT NOT NULL,
    PRIMARY KEY (type, path)
) WITHOUT ROWID;

-- The resource whose entries were added last, of all indexes that are filled together.
CREATE TABLE index_progress (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    tenant INTEGER NOT NULL,
    type INTEGER NOT NULL,
    id NOT NULL,
    visited INTEGER NOT NULL
);
