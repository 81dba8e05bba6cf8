-- One crawl, one file. Tables are named in the singular and are the crawler's; views are named in the plural and are
-- for everybody. A request is in exactly one of three places: queue (it waits, or is being fetched), aside (it is kept, and
-- fetched only when released), result (it is over). Rows of request, item and attempt are only ever appended.

CREATE TABLE meta (                     -- what the crawl is: its spider
    key     TEXT PRIMARY KEY,
    value   TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE run (                      -- one row each time it ran; an `ended` of NULL: it was killed, or runs now
    id      INTEGER PRIMARY KEY,
    started REAL NOT NULL,              -- seconds of the epoch (UTC), like every instant in this file
    seen    REAL NOT NULL,              -- when it last committed
    ended   REAL,
    why     TEXT                        -- finished, or what stopped it
);

CREATE TABLE host (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,      -- with :port unless that is the default one
    admitted INTEGER NOT NULL DEFAULT 0 -- requests of it that were ever queued, for its budget
);

CREATE TABLE host_state (               -- of hosts for which there is anything to say
    host          INTEGER PRIMARY KEY REFERENCES host,
    held          REAL,                 -- orders: since when none of it is to be fetched,
    delay         REAL,                 -- the least seconds between two starts,
    per_host      INTEGER,              -- connections at once,
    budget        INTEGER,              -- requests in all; NULL: no order, the settings hold
    pace          REAL,                 -- learned: seconds between two starts that suit it,
    latency       REAL,                 -- how long it takes to answer,
    failures      INTEGER,              -- how often in a row it could not be reached,
    resting_until REAL                  -- until when it is left alone
);

CREATE TABLE robots (                   -- each robots.txt as it was fetched last
    origin     TEXT PRIMARY KEY,        -- scheme://authority
    fetched_at REAL NOT NULL,
    body       BLOB NOT NULL
);

CREATE TABLE cookie (                   -- the jar
    domain TEXT NOT NULL,
    path   TEXT NOT NULL,
    name   TEXT NOT NULL,
    data   TEXT NOT NULL,               -- JSON
    PRIMARY KEY (domain, path, name)
) WITHOUT ROWID;

CREATE TABLE instruction (              -- orders to the process that crawls with this file, from any other
    id       INTEGER PRIMARY KEY,
    at       REAL NOT NULL,
    what     TEXT NOT NULL,
    argument TEXT NOT NULL,             -- JSON
    done     REAL,                      -- when it was carried out
    answer   TEXT                       -- what came of it
);

CREATE TABLE request (
    id       INTEGER PRIMARY KEY,       -- in order of discovery
    host     INTEGER REFERENCES host,   -- NULL: it was skipped when it was found
    url      TEXT NOT NULL,             -- canonical
    depth    INTEGER NOT NULL,          -- links from a seed
    found_on INTEGER REFERENCES request,
    extra    TEXT                       -- JSON: all else that a `Request` is given; NULL for a plain GET to `parse`
);

CREATE TABLE queue (
    host       INTEGER NOT NULL,        -- of the URL to fetch next, which a redirect may have changed
    rank       INTEGER NOT NULL,        -- minus the priority
    request    INTEGER NOT NULL REFERENCES request,
    not_before REAL NOT NULL,
    attempts   INTEGER NOT NULL,        -- failed ones so far
    hop        TEXT,                    -- JSON [url, method, [urls left behind]] after a redirect
    PRIMARY KEY (host, rank, request)
) WITHOUT ROWID;

CREATE INDEX queue_redirected ON queue (request) WHERE hop IS NOT NULL;

CREATE TABLE aside (
    request  INTEGER PRIMARY KEY REFERENCES request,
    host     INTEGER NOT NULL,          -- as in queue, like the next three
    rank     INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    hop      TEXT,
    reason   TEXT NOT NULL,             -- budget, trap, host
    detail   TEXT,
    at       REAL NOT NULL
);

CREATE INDEX aside_redirected ON aside (request) WHERE hop IS NOT NULL;

CREATE TABLE result (
    request      INTEGER PRIMARY KEY REFERENCES request,
    state        TEXT NOT NULL,         -- done, failed, skipped
    status       INTEGER,               -- of the last response
    final_url    TEXT,                  -- NULL: the request's own
    content_type TEXT,
    size         INTEGER,               -- bytes of the decoded body
    elapsed      REAL,                  -- seconds, from the request's start to the body's end
    fetched_at   REAL,
    attempts     INTEGER NOT NULL,      -- failed ones before this end
    redirects    TEXT,                  -- JSON list of the URLs left behind
    reason       TEXT,                  -- of a skip: scope, depth, robots, duplicate
    detail       TEXT                   -- the error, or the skip in words
);

CREATE INDEX result_redirected ON result (request) WHERE redirects IS NOT NULL;

CREATE TABLE response (                 -- with keep_bodies, for each page that is done
    request INTEGER PRIMARY KEY REFERENCES request,
    headers TEXT NOT NULL,              -- JSON list of pairs
    body    TEXT NOT NULL REFERENCES body
);

CREATE TABLE body (
    digest  TEXT PRIMARY KEY,           -- the first 128 bits of its SHA-256, hexadecimal, before compression
    data    BLOB NOT NULL,              -- one zstd frame, if it lies alone; else empty
    pack    INTEGER DEFAULT NULL REFERENCES pack,
    start   INTEGER DEFAULT NULL,       -- where in the pack it begins
    size    INTEGER DEFAULT NULL        -- if it is in a pack: how long it is
);

CREATE TABLE pack (                     -- bodies that were committed together, one behind the other
    id      INTEGER PRIMARY KEY,
    size    INTEGER NOT NULL,           -- of them all, before compression
    data    BLOB NOT NULL               -- one zstd frame
);

CREATE TABLE attempt (                  -- each try that failed and was not the last
    id      INTEGER PRIMARY KEY,
    request INTEGER NOT NULL REFERENCES request,
    at      REAL NOT NULL,
    error   TEXT NOT NULL
);

CREATE TABLE item (
    id      INTEGER PRIMARY KEY,        -- in the order of commits, without gaps
    request INTEGER NOT NULL REFERENCES request,
    data    TEXT NOT NULL               -- JSON object, as the spider yielded it
);

CREATE TABLE export (                   -- how far each output file has come
    path   TEXT PRIMARY KEY,
    cursor TEXT NOT NULL                -- JSON: item (id of the last one written), bytes (written so far), …
) WITHOUT ROWID;

CREATE TABLE offered (                  -- links that may have been seen before: what is new among them is found out later
    id       INTEGER PRIMARY KEY,
    depth    INTEGER NOT NULL,          -- as in request, like the next
    found_on INTEGER REFERENCES request,
    alone    INTEGER NOT NULL,          -- 1: asked for by itself
    extra    TEXT,                      -- as in request
    urls     TEXT NOT NULL              -- JSON list
);

CREATE TABLE seen (                     -- what was seen and is too much for memory, in runs of 256 parts (crawler/frontier/runs.py)
    id     INTEGER PRIMARY KEY,         -- 256 times the run, plus the first byte of its marks
    marks  BLOB NOT NULL,               -- fingerprints of 16 bytes, sorted
    upto   INTEGER NOT NULL             -- the last request that it may know
);

CREATE TABLE sketch (                   -- the filter over what is in `seen`, in parts (crawler/frontier/sieve.py)
    part   INTEGER PRIMARY KEY,
    bits   BLOB NOT NULL
);

CREATE TABLE count (                    -- one row, kept by the same transactions
    queued INTEGER NOT NULL, leased INTEGER NOT NULL, done INTEGER NOT NULL, failed INTEGER NOT NULL,
    skipped INTEGER NOT NULL, items INTEGER NOT NULL, bytes INTEGER NOT NULL, hosts INTEGER NOT NULL,
    aside INTEGER NOT NULL DEFAULT 0
);
INSERT INTO count VALUES (0, 0, 0, 0, 0, 0, 0, 0, 0);

CREATE VIEW pages AS
SELECT request.url, coalesce(result.final_url, request.url) AS final_url, result.status, request.depth,
       referrer.url AS referrer,
       CASE result.state WHEN 'failed' THEN result.detail END AS error,
       result.reason AS skipped,
       strftime('%Y-%m-%dT%H:%M:%fZ', result.fetched_at, 'unixepoch') AS fetched_at,
       result.elapsed, result.size, result.content_type
FROM result JOIN request ON request.id = result.request
LEFT JOIN request AS referrer ON referrer.id = request.found_on;

CREATE VIEW links AS
SELECT request.url, referrer.url AS found_on, request.depth,
       CASE WHEN result.request IS NOT NULL THEN result.state WHEN aside.request IS NOT NULL THEN 'aside'
            ELSE 'queued' END AS state,
       result.reason AS skipped, coalesce(result.detail, aside.detail) AS detail, aside.reason AS aside
FROM request LEFT JOIN request AS referrer ON referrer.id = request.found_on
LEFT JOIN result ON result.request = request.id
LEFT JOIN aside ON aside.request = request.id;

CREATE VIEW items AS
SELECT item.id, coalesce(result.final_url, request.url) AS url, item.data
FROM item JOIN request ON request.id = item.request LEFT JOIN result ON result.request = item.request;

CREATE VIEW hosts AS
SELECT host.name AS host, count(result.request) AS ended, count(*) FILTER (WHERE result.state = 'done') AS done,
       count(*) FILTER (WHERE result.state = 'failed') AS failed,
       count(*) FILTER (WHERE result.state = 'skipped') AS skipped,
       (SELECT count(*) FROM queue WHERE queue.host = host.id) AS queued, coalesce(sum(result.size), 0) AS bytes,
       coalesce(apart.requests, 0) AS aside
FROM host LEFT JOIN request ON request.host = host.id LEFT JOIN result ON result.request = request.id
LEFT JOIN (SELECT host, count(*) AS requests FROM aside GROUP BY host) AS apart ON apart.host = host.id
GROUP BY host.id;

CREATE VIEW errors AS
SELECT request.url, coalesce(result.final_url, request.url) AS final_url, result.status, result.detail AS error,
       result.attempts + 1 AS attempts, request.depth, referrer.url AS referrer,
       strftime('%Y-%m-%dT%H:%M:%fZ', result.fetched_at, 'unixepoch') AS at
FROM result JOIN request ON request.id = result.request
LEFT JOIN request AS referrer ON referrer.id = request.found_on
WHERE result.state = 'failed';
