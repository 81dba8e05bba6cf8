-- Version 2: requests that stand aside, what is known and ordered of hosts, robots.txt, cookies, instructions.

ALTER TABLE host ADD COLUMN admitted INTEGER NOT NULL DEFAULT 0;
UPDATE host SET admitted = asked.requests
FROM (SELECT host, count(*) AS requests FROM request GROUP BY host) AS asked WHERE asked.host = host.id;

CREATE TABLE host_state (
    host          INTEGER PRIMARY KEY REFERENCES host,
    held          REAL,
    delay         REAL,
    per_host      INTEGER,
    budget        INTEGER,
    pace          REAL,
    latency       REAL,
    failures      INTEGER,
    resting_until REAL
);

CREATE TABLE robots (
    origin     TEXT PRIMARY KEY,
    fetched_at REAL NOT NULL,
    body       BLOB NOT NULL
);

CREATE TABLE cookie (
    domain TEXT NOT NULL,
    path   TEXT NOT NULL,
    name   TEXT NOT NULL,
    data   TEXT NOT NULL,
    PRIMARY KEY (domain, path, name)
) WITHOUT ROWID;

CREATE TABLE instruction (
    id       INTEGER PRIMARY KEY,
    at       REAL NOT NULL,
    what     TEXT NOT NULL,
    argument TEXT NOT NULL,
    done     REAL,
    answer   TEXT
);

CREATE TABLE aside (
    request  INTEGER PRIMARY KEY REFERENCES request,
    host     INTEGER NOT NULL,
    rank     INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    hop      TEXT,
    reason   TEXT NOT NULL,
    detail   TEXT,
    at       REAL NOT NULL
);

CREATE INDEX aside_redirected ON aside (request) WHERE hop IS NOT NULL;

ALTER TABLE count ADD COLUMN aside INTEGER NOT NULL DEFAULT 0;

DROP VIEW links;
CREATE VIEW links AS
SELECT request.url, referrer.url AS found_on, request.depth,
       CASE WHEN result.request IS NOT NULL THEN result.state WHEN lease.request IS NOT NULL THEN 'leased'
            WHEN aside.request IS NOT NULL THEN 'aside' ELSE 'queued' END AS state,
       result.reason AS skipped, coalesce(result.detail, aside.detail) AS detail, aside.reason AS aside
FROM request LEFT JOIN request AS referrer ON referrer.id = request.found_on
LEFT JOIN result ON result.request = request.id
LEFT JOIN lease ON lease.request = request.id
LEFT JOIN aside ON aside.request = request.id;

DROP VIEW hosts;
CREATE VIEW hosts AS
SELECT host.name AS host, count(result.request) AS ended, count(*) FILTER (WHERE result.state = 'done') AS done,
       count(*) FILTER (WHERE result.state = 'failed') AS failed,
       count(*) FILTER (WHERE result.state = 'skipped') AS skipped,
       (SELECT count(*) FROM queue WHERE queue.host = host.id) AS queued, coalesce(sum(result.size), 0) AS bytes,
       coalesce(apart.requests, 0) AS aside
FROM host LEFT JOIN request ON request.host = host.id LEFT JOIN result ON result.request = request.id
LEFT JOIN (SELECT host, count(*) AS requests FROM aside GROUP BY host) AS apart ON apart.host = host.id
GROUP BY host.id;
