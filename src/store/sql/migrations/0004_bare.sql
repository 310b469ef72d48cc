-- The resources that have no value of an indexed attribute which holds at most one: an index knows only those that have, and a page in
-- its order shows both.
CREATE TABLE bare (
    tenant INTEGER NOT NULL,
    type INTEGER NOT NULL,
    path INTEGER NOT NULL,
    id NOT NULL,
    PRIMARY KEY (tenant, type, path, id)
) WITHOUT ROWID;
