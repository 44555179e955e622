CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;

-- New or changed objects; the key is object number * 4 + facet.
CREATE TABLE objects (
    stage_no      INTEGER PRIMARY KEY,
    -- see `Disposition`
    disposition   INTEGER NOT NULL,
    kind          INTEGER NOT NULL,
    source_id     BLOB NOT NULL,
    container     TEXT,
    anchors       TEXT,
    -- null unknown, empty none, else a source id
    primary_group BLOB,
    body          BLOB NOT NULL,
    fingerprint   BLOB NOT NULL,
    observations  BLOB,
    observed      INTEGER NOT NULL,
    -- what the guard counts: names of cleared attributes, 'state' for a suspension
    losses        TEXT,
    -- those of them that the guard holds
    held          TEXT
) STRICT;
-- Few lose anything, and the rows are long.
CREATE INDEX objects_with_losses ON objects (stage_no) WHERE losses IS NOT NULL;

-- Facets of objects that were not listed before: looked at again when the listing has ended.
CREATE TABLE early_facets (number INTEGER PRIMARY KEY, patch TEXT NOT NULL) STRICT;

-- Numbers of known objects that were listed.
CREATE TABLE seen (batch INTEGER PRIMARY KEY, numbers BLOB NOT NULL) STRICT;
-- Numbers of known objects of which a listing named no more than the id.
CREATE TABLE listed (batch INTEGER PRIMARY KEY, numbers BLOB NOT NULL) STRICT;
-- Listed, and then withdrawn.
CREATE TABLE withdrawn (object_no INTEGER PRIMARY KEY) STRICT;

-- Memberships listed, of groups that are open or differ from what is stored.
CREATE TABLE edge_blocks (
    block_no  INTEGER PRIMARY KEY,
    group_key BLOB NOT NULL,
    via       INTEGER NOT NULL,
    members   BLOB NOT NULL
) STRICT;
CREATE INDEX edge_blocks_of_group ON edge_blocks (group_key, via);

-- Groups with blocks; closed ones were listed to their end.
CREATE TABLE groups (
    staged_no INTEGER PRIMARY KEY,
    group_key BLOB NOT NULL,
    via       INTEGER NOT NULL,
    closed    INTEGER NOT NULL,
    UNIQUE (group_key, via)
) STRICT;

-- Memberships that the directory itself said have ended.
CREATE TABLE edge_ends (
    group_via INTEGER NOT NULL,
    member_no INTEGER NOT NULL,
    -- its source id, so that nobody has to read it again
    member_id BLOB NOT NULL,
    PRIMARY KEY (group_via, member_no)
) STRICT, WITHOUT ROWID;

-- Memberships that a delta began and, on a later page, ended again.
CREATE TABLE retracted (
    group_key  BLOB NOT NULL,
    via        INTEGER NOT NULL,
    member_key BLOB NOT NULL,
    PRIMARY KEY (group_key, via, member_key)
) STRICT, WITHOUT ROWID;

-- Members that are gone for good and were not there as objects: what ends are their memberships.
CREATE TABLE gone (object_no INTEGER PRIMARY KEY) STRICT;

CREATE TABLE quarantine (
    kind      INTEGER NOT NULL,
    source_id BLOB NOT NULL,
    reason    TEXT NOT NULL,
    PRIMARY KEY (kind, source_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE unreadable (scope TEXT PRIMARY KEY, reason TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Objects that may have to go: see `Verdict`.
CREATE TABLE candidates (
    object_no INTEGER PRIMARY KEY,
    kind      INTEGER NOT NULL,
    container INTEGER,
    source_id BLOB NOT NULL,
    -- how it stands in the state file
    standing  INTEGER NOT NULL,
    verdict   INTEGER NOT NULL,
    held      INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Objects known by an address that leads to another one by now, as a look-up told it; once it is settled that they are one
-- object, with the number under which the other is staged, and with what was staged of it before.
CREATE TABLE renames (
    old_no    INTEGER PRIMARY KEY,
    patch     TEXT NOT NULL,
    new_no    INTEGER UNIQUE,
    body      BLOB,
    container TEXT,
    anchors   TEXT
) STRICT;

-- Candidates of kinds that were not listed to their end: looked up for their other address, and for nothing else.
CREATE TABLE doubtful (object_no INTEGER PRIMARY KEY) STRICT;

-- Memberships that may have to end: sorted member numbers by group.
CREATE TABLE edge_losses (
    group_via INTEGER PRIMARY KEY,
    -- ended with their member, which is proven gone
    explained BLOB NOT NULL,
    -- confirmed, or stated by the directory
    going     BLOB NOT NULL,
    -- to be read a second time
    doubted   BLOB NOT NULL,
    -- held back by the guard
    held      BLOB NOT NULL
) STRICT;
CREATE INDEX edge_doubts ON edge_losses (group_via) WHERE length(doubted) > 0;

-- What an apply leaves for its later steps, by subject (see `Subject`) and range.
CREATE TABLE notes (
    block_no INTEGER PRIMARY KEY,
    subject  INTEGER NOT NULL,
    range    INTEGER NOT NULL,
    notes    BLOB NOT NULL
) STRICT;
CREATE INDEX notes_by_range ON notes (subject, range);
