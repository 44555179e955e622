-- What is wrong with an endpoint, as its imports told it: a row ends with the import that tells it no more.
CREATE TABLE alerts (
    endpoint_no INTEGER NOT NULL REFERENCES endpoints,
    about       TEXT NOT NULL,
    -- the kind of error, of a failed import
    kind        TEXT NOT NULL DEFAULT '',
    message     TEXT NOT NULL,
    since       INTEGER NOT NULL,
    -- so many imports in a row
    times       INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (endpoint_no, about)
) STRICT, WITHOUT ROWID;
INSERT INTO alerts (endpoint_no, about, kind, message, since)
SELECT endpoint_no, 'import-failed', coalesce(report ->> 'error_kind', ''), coalesce(report ->> 'error', ''), finished_at
FROM runs r WHERE report ->> 'outcome' = 'failed' AND finished_at IS NOT NULL AND run_no =
    (SELECT max(run_no) FROM runs WHERE endpoint_no = r.endpoint_no AND report ->> 'outcome' IN ('done', 'held', 'failed'));

-- When the cursor was stored, and up to when its endpoint declares it to be good.
ALTER TABLE endpoints ADD COLUMN cursor_at INTEGER;
ALTER TABLE endpoints ADD COLUMN cursor_ends INTEGER;

-- What somebody made of a notice, and up to which cause.
CREATE TABLE answers (
    customer_no INTEGER NOT NULL REFERENCES customers,
    notice      TEXT NOT NULL,
    cause       INTEGER NOT NULL,
    cause_more  INTEGER NOT NULL,
    dismissed   INTEGER NOT NULL,
    by          TEXT NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (customer_no, notice)
) STRICT, WITHOUT ROWID;

-- Actions that were asked for. In the feed each stands behind the event that was the last one then.
CREATE TABLE actions (
    action_no   INTEGER PRIMARY KEY,
    customer_no INTEGER NOT NULL REFERENCES customers,
    position    INTEGER NOT NULL,
    request     BLOB NOT NULL,
    record      BLOB NOT NULL,
    action      TEXT NOT NULL,
    by          TEXT NOT NULL,
    endpoint    TEXT,
    at          INTEGER NOT NULL,
    -- null: it was about to be sent, and nobody noted what became of it
    result      TEXT,
    reason      TEXT,
    UNIQUE (customer_no, request, record)
) STRICT;
CREATE INDEX actions_by_position ON actions (customer_no, position, action_no);
CREATE INDEX actions_of_record ON actions (customer_no, record, position, action_no);

-- In the order in which feeds tell them.
CREATE INDEX quarantine_by_time ON quarantine (endpoint_no, since);
CREATE INDEX conflicts_by_time ON conflicts (customer_no, found_at, record_no, other_no);
