-- Users that nobody owns, by what they are recognised by: an endpoint that brings the same person adopts them. Without
-- a row here an import looks for nobody.
CREATE TABLE natural_keys (
    record_no   INTEGER PRIMARY KEY,
    customer_no INTEGER NOT NULL REFERENCES customers,
    address     TEXT NOT NULL,
    -- first and last name; null while one is not known
    names       TEXT
) STRICT;
CREATE INDEX natural_keys_by_address ON natural_keys (customer_no, address);

-- The ids that the objects of adopted records would have founded: they lead to the record that is there.
CREATE TABLE adopted_ids (
    record_no INTEGER NOT NULL,
    id        BLOB NOT NULL,
    PRIMARY KEY (record_no, id)
) STRICT, WITHOUT ROWID;

-- Only records that nobody owns are in `local_records` from now on: who is adopted leaves it.
DELETE FROM local_records WHERE record_no IN (SELECT record_no FROM objects WHERE record_no <> object_no);

-- Memberships made by hand, by the numbers of records.
CREATE TABLE manual_members (
    customer_no INTEGER NOT NULL,
    group_no    INTEGER NOT NULL,
    member_no   INTEGER NOT NULL,
    PRIMARY KEY (customer_no, group_no, member_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX manual_members_back ON manual_members (member_no, group_no);

-- The host's tags, to be found by; the records have them too, as a local value.
CREATE TABLE tags (
    customer_no INTEGER NOT NULL,
    tag         TEXT NOT NULL,
    record_no   INTEGER NOT NULL,
    PRIMARY KEY (customer_no, tag, record_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_of_record ON tags (record_no);

-- Records that contradict each other, as they were told.
CREATE TABLE conflicts (
    customer_no INTEGER NOT NULL,
    record_no   INTEGER NOT NULL,
    other_no    INTEGER NOT NULL,
    reason      INTEGER NOT NULL,
    found_at    INTEGER NOT NULL,
    PRIMARY KEY (customer_no, record_no, other_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX conflicts_of_other ON conflicts (other_no);

-- The verified web domains of customers, in the form in which they are compared.
CREATE TABLE customer_domains (
    domain      TEXT NOT NULL,
    customer_no INTEGER NOT NULL REFERENCES customers,
    PRIMARY KEY (domain, customer_no)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO customer_domains
SELECT lower(rtrim(trim(value), '.')), customer_no FROM customers, json_each(domains);

-- Addresses of which somebody said whose they are.
CREATE TABLE assignments (
    address     TEXT PRIMARY KEY,
    customer_no INTEGER NOT NULL REFERENCES customers
) STRICT, WITHOUT ROWID;
