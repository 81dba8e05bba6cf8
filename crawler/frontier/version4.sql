-- Version 4: what was seen is in sorted runs, and links that may be known are put by. The runs are made again from the requests.

DROP TABLE seen;

CREATE TABLE offered (
    id       INTEGER PRIMARY KEY,
    depth    INTEGER NOT NULL,
    found_on INTEGER REFERENCES request,
    alone    INTEGER NOT NULL,
    extra    TEXT,
    urls     TEXT NOT NULL
);

CREATE TABLE seen (
    id     INTEGER PRIMARY KEY,
    marks  BLOB NOT NULL,
    upto   INTEGER NOT NULL
);

CREATE TABLE sketch (
    part   INTEGER PRIMARY KEY,
    bits   BLOB NOT NULL
);
