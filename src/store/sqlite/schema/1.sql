CREATE TABLE customers (
    customer_no INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    domains     TEXT NOT NULL DEFAULT '[]',
    sequence    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE endpoints (
    endpoint_no INTEGER PRIMARY KEY,
    customer_no INTEGER NOT NULL REFERENCES customers,
    name        TEXT NOT NULL,
    title       TEXT NOT NULL,
    -- the name of the endpoint's own group as last told; null before its first import
    group_title TEXT,
    kind        TEXT NOT NULL,
    -- place in the customer's order: decides whose value counts
    rank        INTEGER NOT NULL,
    -- counts the runs begun: an older run can no longer write
    epoch       INTEGER NOT NULL DEFAULT 0,
    digest_seed INTEGER NOT NULL,
    coverage    TEXT,
    cursor      BLOB,
    yielded     TEXT NOT NULL DEFAULT '[]',
    listed_at   INTEGER,
    UNIQUE (customer_no, name)
) STRICT;

-- How many live objects and memberships an endpoint has.
CREATE TABLE counts (
    endpoint_no INTEGER NOT NULL REFERENCES endpoints,
    what        INTEGER NOT NULL,
    count       INTEGER NOT NULL,
    PRIMARY KEY (endpoint_no, what)
) STRICT, WITHOUT ROWID;

CREATE TABLE numbers (
    name TEXT PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO numbers VALUES ('object', 1);

-- All that a listing of unchanged objects reads: narrow, in the order of the key.
CREATE TABLE probes (
    endpoint_no INTEGER NOT NULL,
    source_key  BLOB NOT NULL,
    facet       INTEGER NOT NULL,
    object_no   INTEGER NOT NULL,
    -- kind and state in one number: see `Standing`
    standing    INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    -- hash of the observations last stored
    observed    INTEGER NOT NULL,
    -- where it lies: to find the siblings of what seems to be gone
    container_no INTEGER,
    PRIMARY KEY (endpoint_no, source_key, facet)
) STRICT, WITHOUT ROWID;

CREATE TABLE objects (
    object_no     INTEGER PRIMARY KEY,
    endpoint_no   INTEGER NOT NULL REFERENCES endpoints,
    record_no     INTEGER NOT NULL,
    primary_group INTEGER,
    missing_since INTEGER,
    source_id     BLOB NOT NULL,
    anchors       TEXT,
    body          BLOB NOT NULL
) STRICT;
-- Only records of several objects need a way from the record to its objects.
CREATE INDEX objects_joined ON objects (record_no) WHERE record_no <> object_no;

-- Attributes that are read apart from the core ones.
CREATE TABLE facets (
    object_no INTEGER NOT NULL,
    facet     INTEGER NOT NULL,
    read_at   INTEGER NOT NULL,
    body      BLOB NOT NULL,
    PRIMARY KEY (object_no, facet)
) STRICT, WITHOUT ROWID;

CREATE TABLE observations (
    object_no INTEGER NOT NULL,
    facet     INTEGER NOT NULL,
    body      BLOB NOT NULL,
    PRIMARY KEY (object_no, facet)
) STRICT, WITHOUT ROWID;

-- When each facet was last read to its end.
CREATE TABLE freshness (
    endpoint_no INTEGER NOT NULL,
    scope       TEXT NOT NULL,
    facet       INTEGER NOT NULL,
    read_at     INTEGER NOT NULL,
    PRIMARY KEY (endpoint_no, scope, facet)
) STRICT, WITHOUT ROWID;

CREATE TABLE containers (
    container_no INTEGER PRIMARY KEY,
    endpoint_no  INTEGER NOT NULL,
    path         TEXT NOT NULL,
    UNIQUE (endpoint_no, path)
) STRICT;

CREATE TABLE records (
    record_no   INTEGER PRIMARY KEY,
    customer_no INTEGER NOT NULL REFERENCES customers,
    id          BLOB NOT NULL,
    kind        INTEGER NOT NULL,
    -- 0 live, 1 removed and restorable, 2 removed
    state       INTEGER NOT NULL DEFAULT 0,
    archived_at INTEGER,
    -- values set by local editors: they survive the record's going and coming back
    local       BLOB
) STRICT;

-- From id to record. Apart from the records, so that many new ones go in in the order of their ids.
CREATE TABLE record_ids (
    id        BLOB PRIMARY KEY,
    record_no INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Members of one group by one way of being a member: key is group number * 2 + way.
CREATE TABLE group_members (
    group_via INTEGER PRIMARY KEY,
    count     INTEGER NOT NULL,
    digest    BLOB NOT NULL,
    members   BLOB NOT NULL
) STRICT;

-- The same the other way round.
CREATE TABLE member_groups (
    member_no INTEGER PRIMARY KEY,
    groups    BLOB NOT NULL
) STRICT;

-- Memberships of restorable objects, to be woken with them: the groups it was in, and the members it had.
CREATE TABLE sleeping (
    object_no INTEGER PRIMARY KEY,
    groups    BLOB NOT NULL,
    members   BLOB NOT NULL
) STRICT;

-- Events, many to a row.
CREATE TABLE outbox (
    customer_no    INTEGER NOT NULL,
    last_sequence  INTEGER NOT NULL,
    first_sequence INTEGER NOT NULL,
    time           INTEGER NOT NULL,
    segment        BLOB NOT NULL,
    PRIMARY KEY (customer_no, last_sequence)
) STRICT;

CREATE TABLE consumers (
    customer_no INTEGER NOT NULL,
    name        TEXT NOT NULL,
    position    INTEGER NOT NULL,
    PRIMARY KEY (customer_no, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
    run_no      INTEGER PRIMARY KEY,
    id          BLOB NOT NULL UNIQUE,
    endpoint_no INTEGER NOT NULL REFERENCES endpoints,
    epoch       INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    -- how far its apply has come: phase and position, committed with the data
    phase       INTEGER NOT NULL DEFAULT 0,
    position    INTEGER NOT NULL DEFAULT 0,
    applied     TEXT,
    report      TEXT
) STRICT;
CREATE INDEX runs_of_endpoint ON runs (endpoint_no, run_no);

-- Changes held back for approval.
CREATE TABLE parked (
    endpoint_no INTEGER NOT NULL,
    plan_id     TEXT NOT NULL,
    parked_at   INTEGER NOT NULL,
    summary     TEXT NOT NULL,
    items       BLOB NOT NULL,
    PRIMARY KEY (endpoint_no, plan_id)
) STRICT;

-- What went without approval, for the limits over 24 hours.
CREATE TABLE losses (
    endpoint_no INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    run_no      INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    count       INTEGER NOT NULL,
    PRIMARY KEY (endpoint_no, at, run_no, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
    endpoint_no INTEGER NOT NULL,
    kind        INTEGER NOT NULL,
    -- the source id as stored, or a digest of the reason where there is none
    source_id   BLOB NOT NULL,
    reason      TEXT NOT NULL,
    since       INTEGER NOT NULL,
    PRIMARY KEY (endpoint_no, kind, source_id)
) STRICT, WITHOUT ROWID;
