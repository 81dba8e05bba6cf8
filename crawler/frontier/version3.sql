-- Version 3: bodies in packs. Those that are there stay as they are, each alone, under the BLAKE2b that they had.

CREATE TABLE pack (
    id      INTEGER PRIMARY KEY,
    size    INTEGER NOT NULL,
    data    BLOB NOT NULL
);

ALTER TABLE body ADD COLUMN pack INTEGER DEFAULT NULL REFERENCES pack;
ALTER TABLE body ADD COLUMN start INTEGER DEFAULT NULL;
ALTER TABLE body ADD COLUMN size INTEGER DEFAULT NULL;
