-- Up to which of its objects an endpoint is in `join_keys`; -1 where all of them are. Customers with one endpoint never are.
ALTER TABLE endpoints ADD COLUMN keyed INTEGER NOT NULL DEFAULT 0;

-- What objects may be joined by, hashed: anchors, and addresses of users. What is found here is compared before it is believed.
CREATE TABLE join_keys (
    customer_no INTEGER NOT NULL,
    key         INTEGER NOT NULL,
    object_no   INTEGER NOT NULL,
    PRIMARY KEY (customer_no, key, object_no)
) STRICT, WITHOUT ROWID;

-- Why an object is in the record that it is in: because of which other one, and since when.
CREATE TABLE joins (
    object_no INTEGER NOT NULL,
    with_no   INTEGER NOT NULL,
    -- see `JoinReason`
    reason    INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    -- null: by a local editor
    run       BLOB,
    PRIMARY KEY (object_no, with_no)
) STRICT, WITHOUT ROWID;

-- Records that turned out to be others: their rows, in state 3, keep what was local, for the day on which somebody takes them
-- apart again.
CREATE TABLE absorbed (
    record_no INTEGER PRIMARY KEY,
    -- the record that is there
    into_no   INTEGER NOT NULL,
    -- the one that absorbed it, which may have been absorbed since
    parent_no INTEGER NOT NULL,
    -- the object with which it leaves again
    object_no INTEGER NOT NULL
) STRICT;
CREATE INDEX absorbed_into ON absorbed (into_no);

-- Objects of which somebody said that they are not the same; each pair both ways.
CREATE TABLE apart (
    object_no INTEGER NOT NULL,
    other_no  INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (object_no, other_no)
) STRICT, WITHOUT ROWID;
