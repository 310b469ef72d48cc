-- Resource types by the codes under which resources and events are kept. A code is never used again: the events of a type that is
-- no longer served are told with the endpoint it had. Names are compared without regard to case, as in URIs and requests.
CREATE TABLE type (
    code INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    endpoint TEXT NOT NULL
);
INSERT INTO type (code, name, endpoint) VALUES (1, 'User', '/Users'), (2, 'Group', '/Groups');
