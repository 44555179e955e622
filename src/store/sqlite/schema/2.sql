-- Up to which event the outbox has been emptied: who stands before it can no longer be told what it missed.
ALTER TABLE customers ADD COLUMN dropped INTEGER NOT NULL DEFAULT 0;

-- Endpoints whose removal has begun, and how far it has come.
CREATE TABLE releases (
    endpoint_no     INTEGER PRIMARY KEY REFERENCES endpoints,
    -- stands in the events where that of an import would
    run             BLOB NOT NULL,
    archive         INTEGER NOT NULL,
    at              INTEGER NOT NULL,
    phase           INTEGER NOT NULL DEFAULT 0,
    position        INTEGER NOT NULL DEFAULT 0,
    records         INTEGER NOT NULL DEFAULT 0,
    members_removed INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Records that no endpoint owned when they were handed over: no endpoint counts them.
CREATE TABLE local_records (
    record_no   INTEGER PRIMARY KEY,
    customer_no INTEGER NOT NULL REFERENCES customers,
    kind        INTEGER NOT NULL
) STRICT;

-- What is still to be done to the file itself.
CREATE TABLE chores (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

-- Who is deleted has a row in `sleeping`, also an empty one; who merely left the scope is still a member where a group
-- lists it. Files of the first layout had rows of the deleted only.
ALTER TABLE sleeping ADD COLUMN deleted INTEGER NOT NULL DEFAULT 1;

-- Objects whose record another object founded: few, and asked for with every membership.
CREATE INDEX joined_by_object ON objects (endpoint_no, object_no) WHERE record_no <> object_no;
