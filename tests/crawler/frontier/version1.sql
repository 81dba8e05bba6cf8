PRAGMA application_id = 1313884236;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE attempt (                  -- each try that failed and was not the last
    id      INTEGER PRIMARY KEY,
    request INTEGER NOT NULL REFERENCES request,
    at      REAL NOT NULL,
    error   TEXT NOT NULL
);
INSERT INTO "attempt" VALUES(1,4,1.79535149665436434746e+09,'timeout: 30 s');
CREATE TABLE body (
    digest  TEXT PRIMARY KEY,           -- BLAKE2b, 128 bits, hexadecimal, of the body as it was before compression
    data    BLOB NOT NULL               -- one zstd frame
);
CREATE TABLE count (                    -- one row, kept by the same transactions
    queued INTEGER NOT NULL, leased INTEGER NOT NULL, done INTEGER NOT NULL, failed INTEGER NOT NULL,
    skipped INTEGER NOT NULL, items INTEGER NOT NULL, bytes INTEGER NOT NULL, hosts INTEGER NOT NULL
);
INSERT INTO "count" VALUES(3,3,1,2,2,2,10,3);
CREATE TABLE export (                   -- how far each output file has come
    path   TEXT PRIMARY KEY,
    cursor TEXT NOT NULL                -- JSON: item (id of the last one written), bytes (written so far), …
) WITHOUT ROWID;
INSERT INTO "export" VALUES('/tmp/out.jsonl','{"item":2,"bytes":16}');
CREATE TABLE host (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE        -- with :port unless that is the default one
);
INSERT INTO "host" VALUES(1,'h.example');
INSERT INTO "host" VALUES(2,'other.example');
INSERT INTO "host" VALUES(3,'new.example');
CREATE TABLE item (
    id      INTEGER PRIMARY KEY,        -- in the order of commits, without gaps
    request INTEGER NOT NULL REFERENCES request,
    data    TEXT NOT NULL               -- JSON object, as the spider yielded it
);
INSERT INTO "item" VALUES(1,1,'{"n":1}');
INSERT INTO "item" VALUES(2,1,'{"n":2}');
CREATE TABLE lease (
    request    INTEGER PRIMARY KEY REFERENCES request,
    host       INTEGER NOT NULL,
    rank       INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    hop        TEXT,
    owner      TEXT NOT NULL,           -- the process that fetches it
    expires    REAL NOT NULL
);
INSERT INTO "lease" VALUES(7,1,0,0,NULL,'machine:1',1.79535509665340328212e+09);
INSERT INTO "lease" VALUES(8,1,-2,0,NULL,'machine:1',1.79535509665340328212e+09);
INSERT INTO "lease" VALUES(9,1,0,0,NULL,'machine:1',1.79535509665497326845e+09);
CREATE TABLE meta (                     -- what the crawl is: its spider
    key     TEXT PRIMARY KEY,
    value   TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "meta" VALUES('spider','test');
CREATE TABLE queue (
    host       INTEGER NOT NULL,        -- of the URL to fetch next, which a redirect may have changed
    rank       INTEGER NOT NULL,        -- minus the priority
    request    INTEGER NOT NULL REFERENCES request,
    not_before REAL NOT NULL,
    attempts   INTEGER NOT NULL,        -- failed ones so far
    hop        TEXT,                    -- JSON [url, method, [urls left behind]] after a redirect
    PRIMARY KEY (host, rank, request)
) WITHOUT ROWID;
INSERT INTO "queue" VALUES(1,0,4,4000000000.0,1,NULL);
INSERT INTO "queue" VALUES(2,0,11,0.0,0,NULL);
INSERT INTO "queue" VALUES(3,0,5,0.0,0,'["http://new.example/","GET",["http://h.example/4"]]');
CREATE TABLE request (
    id       INTEGER PRIMARY KEY,       -- in order of discovery
    host     INTEGER REFERENCES host,   -- NULL: it was skipped when it was found
    url      TEXT NOT NULL,             -- canonical
    depth    INTEGER NOT NULL,          -- links from a seed
    found_on INTEGER REFERENCES request,
    extra    TEXT                       -- JSON: method, headers, body, callback, context; NULL for a plain GET to `parse`
);
INSERT INTO "request" VALUES(1,1,'http://h.example/',0,NULL,NULL);
INSERT INTO "request" VALUES(2,1,'http://h.example/1',0,NULL,NULL);
INSERT INTO "request" VALUES(3,1,'http://h.example/2',0,NULL,NULL);
INSERT INTO "request" VALUES(4,1,'http://h.example/3',0,NULL,NULL);
INSERT INTO "request" VALUES(5,1,'http://h.example/4',0,NULL,NULL);
INSERT INTO "request" VALUES(6,1,'http://h.example/5',0,NULL,NULL);
INSERT INTO "request" VALUES(7,1,'http://h.example/6',0,NULL,NULL);
INSERT INTO "request" VALUES(8,1,'http://h.example/form',0,NULL,'{"callback":"detail","context":{"k":1},"method":"POST","body":"AHg="}');
INSERT INTO "request" VALUES(9,1,'http://h.example/child',1,1,NULL);
INSERT INTO "request" VALUES(10,NULL,'http://away.example/',1,1,NULL);
INSERT INTO "request" VALUES(11,2,'http://other.example/',1,1,NULL);
CREATE TABLE response (                 -- with keep_bodies, for each page that is done
    request INTEGER PRIMARY KEY REFERENCES request,
    headers TEXT NOT NULL,              -- JSON list of pairs
    body    TEXT NOT NULL REFERENCES body
);
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
INSERT INTO "result" VALUES(1,'done',200,NULL,'text/html',10,0.5,1700000000.0,0,NULL,NULL,NULL);
INSERT INTO "result" VALUES(2,'failed',503,NULL,'',0,0.0,NULL,0,NULL,NULL,'http: 503 Service Unavailable');
INSERT INTO "result" VALUES(3,'skipped',NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,'robots','Disallow: /2');
INSERT INTO "result" VALUES(6,'failed',NULL,'http://h.example/five','',0,0.0,NULL,0,'["http://h.example/5"]',NULL,'connect: refused');
INSERT INTO "result" VALUES(10,'skipped',NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,'scope',NULL);
CREATE TABLE run (                      -- one row each time it ran; an `ended` of NULL: it was killed, or runs now
    id      INTEGER PRIMARY KEY,
    started REAL NOT NULL,              -- seconds of the epoch (UTC), like every instant in this file
    seen    REAL NOT NULL,              -- when it last committed
    ended   REAL,
    why     TEXT                        -- finished, or what stopped it
);
INSERT INTO "run" VALUES(1,1.79535149663329672816e+09,1.79535149665557026868e+09,NULL,NULL);
CREATE TABLE seen (                     -- the seen-set as it was when the last large run was closed, to open the file fast
    part   INTEGER PRIMARY KEY,
    marks  BLOB NOT NULL,               -- crawler/frontier/seen.py
    upto   INTEGER NOT NULL             -- the last request it knows
);
CREATE INDEX queue_redirected ON queue (request) WHERE hop IS NOT NULL;
CREATE TRIGGER lease_leaves_queue AFTER INSERT ON lease BEGIN
    DELETE FROM queue WHERE host = NEW.host AND rank = NEW.rank AND request = NEW.request;
    UPDATE count SET queued = queued - 1, leased = leased + 1;
END;
CREATE INDEX result_redirected ON result (request) WHERE redirects IS NOT NULL;
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
       coalesce(result.state, CASE WHEN lease.request IS NULL THEN 'queued' ELSE 'leased' END) AS state,
       result.reason AS skipped, result.detail
FROM request LEFT JOIN request AS referrer ON referrer.id = request.found_on
LEFT JOIN result ON result.request = request.id
LEFT JOIN lease ON lease.request = request.id;
CREATE VIEW items AS
SELECT item.id, coalesce(result.final_url, request.url) AS url, item.data
FROM item JOIN request ON request.id = item.request LEFT JOIN result ON result.request = item.request;
CREATE VIEW hosts AS
SELECT host.name AS host, count(result.request) AS ended, count(*) FILTER (WHERE result.state = 'done') AS done,
       count(*) FILTER (WHERE result.state = 'failed') AS failed,
       count(*) FILTER (WHERE result.state = 'skipped') AS skipped,
       (SELECT count(*) FROM queue WHERE queue.host = host.id) AS queued, coalesce(sum(result.size), 0) AS bytes
FROM host LEFT JOIN request ON request.host = host.id LEFT JOIN result ON result.request = request.id
GROUP BY host.id;
CREATE VIEW errors AS
SELECT request.url, coalesce(result.final_url, request.url) AS final_url, result.status, result.detail AS error,
       result.attempts + 1 AS attempts, request.depth, referrer.url AS referrer,
       strftime('%Y-%m-%dT%H:%M:%fZ', result.fetched_at, 'unixepoch') AS at
FROM result JOIN request ON request.id = result.request
LEFT JOIN request AS referrer ON referrer.id = request.found_on
WHERE result.state = 'failed';
COMMIT;
