-- A customer's endpoints that get another order: the place that each will have, and up to which record it counts already.
-- As long as this lasts every record shows what was told of it.
ALTER TABLE endpoints ADD COLUMN next_rank INTEGER;
CREATE TABLE reorders (
    customer_no INTEGER PRIMARY KEY REFERENCES customers,
    upto        INTEGER NOT NULL
) STRICT;
