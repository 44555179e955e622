-- How far the index of each customer is.
CREATE TABLE customers (
    customer_no INTEGER PRIMARY KEY,
    -- 0 being cleared, 1 being built, 2 following the events
    phase       INTEGER NOT NULL,
    -- the largest record number that was looked at
    at          INTEGER NOT NULL,
    -- the last event that is in the index
    position    INTEGER NOT NULL,
    -- the last event that any row may have been read behind: rows agree with each other where it equals the position
    target      INTEGER NOT NULL,
    -- the endpoints as records were put together from them
    endpoints   TEXT NOT NULL,
    -- the segment that ends with the position: a state file in which it is another one has another history
    mark        TEXT
) STRICT;

CREATE TABLE entries (
    record_no   INTEGER PRIMARY KEY,
    customer_no INTEGER NOT NULL,
    kind        INTEGER NOT NULL,
    -- sort keys, each with the record's number at its end: no two are equal; all are in `orders` as well
    k1          BLOB,
    k2          BLOB,
    k3          BLOB,
    -- the words that are searched, folded
    text        TEXT NOT NULL,
    -- what it is filtered by
    facets      BLOB NOT NULL
) STRICT;

-- The sort keys in their order. Apart from the entries, so that those of many records go in in their order.
CREATE TABLE orders (
    customer_no INTEGER NOT NULL,
    -- 1 to 3; every record has the second
    by          INTEGER NOT NULL,
    kind        INTEGER NOT NULL,
    key         BLOB NOT NULL,
    record_no   INTEGER NOT NULL,
    PRIMARY KEY (customer_no, by, kind, key)
) STRICT, WITHOUT ROWID;

-- Segments of events that follow each other, up to this event: the last event of each, eight bytes.
CREATE TABLE runs (
    customer_no INTEGER NOT NULL,
    upto        INTEGER NOT NULL,
    places      INTEGER NOT NULL,
    -- so many bits of a hash tell its slot
    bits        INTEGER NOT NULL,
    segments    BLOB NOT NULL,
    PRIMARY KEY (customer_no, upto)
) STRICT;

-- Of whom the segments of a run tell: hashes in order, each with the number of a segment.
CREATE TABLE touched (
    customer_no INTEGER NOT NULL,
    upto        INTEGER NOT NULL,
    slot        INTEGER NOT NULL,
    places      BLOB NOT NULL,
    PRIMARY KEY (customer_no, upto, slot)
) STRICT, WITHOUT ROWID;

-- Whose an address is: by a hash of it, folded. Who is found has to be looked at.
CREATE TABLE addresses (
    customer_no INTEGER NOT NULL,
    hash        INTEGER NOT NULL,
    record_no   INTEGER NOT NULL,
    PRIMARY KEY (customer_no, hash, record_no)
) STRICT, WITHOUT ROWID;

-- The records that have a term: 65536 numbers to a row, packed.
CREATE TABLE postings (
    customer_no INTEGER NOT NULL,
    term        BLOB NOT NULL,
    chunk       INTEGER NOT NULL,
    bits        BLOB NOT NULL,
    PRIMARY KEY (customer_no, term, chunk)
) STRICT;
