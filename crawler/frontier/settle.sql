-- A group commit is one INSERT into this view: SQLite runs all of it as one statement and so as one transaction, in one
-- call into its thread, and without Python's lock. Each column is a JSON array of arrays, in the order of the columns
-- that its table takes, or of numbers of requests; `requests`, `fresh`, `refused`, `results`, `items` and `responses` are told in
-- another way (crawler/frontier/batch.py). Where arrays are within arrays, `LIMIT -1` has SQLite take each apart only once, and ask for its
-- text only once: for each `value` that is read, it is written anew.

-- What is being fetched stays in `queue`; which requests these are, and how they stand there, is in a table of this connection's
-- own. So to lease a request writes nothing, and a process that is killed leaves nothing leased.

CREATE TEMP TABLE lease (
    request INTEGER PRIMARY KEY,
    host    INTEGER NOT NULL,
    rank    INTEGER NOT NULL
);

CREATE TEMP TRIGGER over AFTER DELETE ON lease BEGIN
    DELETE FROM queue WHERE host = OLD.host AND rank = OLD.rank AND request = OLD.request;
END;

CREATE TEMP VIEW settlement AS
SELECT NULL AS hosts, NULL AS admitted, NULL AS host_states, NULL AS requests, NULL AS fresh, NULL AS refused, NULL AS results,
       NULL AS queued, NULL AS aside, NULL AS settled, NULL AS unqueued, NULL AS released, NULL AS retried, NULL AS attempts,
       NULL AS items, NULL AS responses, NULL AS cookies, NULL AS exports, NULL AS offered, NULL AS sifted, NULL AS counts, NULL AS seen,
       NULL AS packs, NULL AS alone, NULL AS frames;

CREATE TEMP TRIGGER settle INSTEAD OF INSERT ON settlement BEGIN
    INSERT INTO host (id, name)
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(NEW.hosts);

    UPDATE host SET admitted = json_extract(now.value, '$[1]')
        FROM json_each(NEW.admitted) AS now WHERE host.id = json_extract(now.value, '$[0]');

    INSERT OR REPLACE INTO host_state  -- host, held, delay, per_host, budget, pace, latency, failures, resting_until
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
               json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
               json_extract(value, '$[6]'), json_extract(value, '$[7]'), json_extract(value, '$[8]')
        FROM json_each(NEW.host_states);

    INSERT INTO request  -- id, host, url, depth, found_on, extra
        SELECT run.first + new.key, nullif(CAST(new.value AS INTEGER), 0), substr(new.value, instr(new.value, ' ') + 1),
               run.depth, run.found_on, run.extra
        FROM (SELECT json_extract(value, '$[0]') AS first, json_extract(value, '$[1]') AS depth,
                     json_extract(value, '$[2]') AS found_on, json_extract(value, '$[3]') AS extra,
                     json_extract(value, '$[4]') AS texts
              FROM (SELECT value FROM json_each(NEW.requests) LIMIT -1) LIMIT -1) AS run CROSS JOIN json_each(run.texts) AS new;

    INSERT INTO queue  -- host, rank, request, not_before, attempts, hop
        SELECT request.host, run.rank, request.id, 0.0, 0, NULL
        FROM (SELECT json_extract(value, '$[0]') AS first, json_extract(value, '$[1]') AS last, json_extract(value, '$[2]') AS rank
              FROM json_each(NEW.fresh) LIMIT -1) AS run CROSS JOIN request
        ON request.id BETWEEN run.first AND run.last WHERE request.host IS NOT NULL;

    INSERT INTO result (request, state, attempts, reason)
        SELECT request.id, 'skipped', 0, run.reason
        FROM (SELECT json_extract(value, '$[0]') AS first, json_extract(value, '$[1]') AS last, json_extract(value, '$[2]') AS reason
              FROM json_each(NEW.refused) LIMIT -1) AS run CROSS JOIN request
        ON request.id BETWEEN run.first AND run.last WHERE request.host IS NULL;

    DELETE FROM queue WHERE (host, rank, request) IN (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
        FROM json_each(NEW.unqueued));

    DELETE FROM lease WHERE request IN (SELECT value FROM json_each(NEW.settled));  -- and with it from `queue`

    DELETE FROM aside WHERE request IN (SELECT value FROM json_each(NEW.released));

    DELETE FROM result WHERE request IN (SELECT value FROM json_each(NEW.retried));

    INSERT INTO queue  -- host, rank, request, not_before, attempts, hop
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
               json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]')
        FROM json_each(NEW.queued);

    INSERT INTO aside  -- request, host, rank, attempts, hop, reason, detail, at
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
               json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
               json_extract(value, '$[6]'), json_extract(value, '$[7]')
        FROM json_each(NEW.aside);

    INSERT INTO result  -- request, state, status, final_url, content_type, size, elapsed, fetched_at, attempts, redirects, reason, detail
        SELECT CAST(new.value AS INTEGER), run.state, run.status, run.final_url, run.content_type,
               CAST(nullif(substr(new.value, 13, 12), '') AS INTEGER), CAST(nullif(substr(new.value, 25, 12), '') AS INTEGER) / 1e6,
               nullif(CAST(substr(new.value, 37) AS INTEGER), 0) / 1e6, run.attempts, run.redirects, run.reason, run.detail
        FROM (SELECT json_extract(value, '$[0]') AS state, json_extract(value, '$[1]') AS status,
                     json_extract(value, '$[2]') AS final_url, json_extract(value, '$[3]') AS content_type,
                     json_extract(value, '$[4]') AS attempts, json_extract(value, '$[5]') AS redirects,
                     json_extract(value, '$[6]') AS reason, json_extract(value, '$[7]') AS detail,
                     json_extract(value, '$[8]') AS rows
              FROM (SELECT value FROM json_each(NEW.results) LIMIT -1) LIMIT -1) AS run CROSS JOIN json_each(run.rows) AS new;

    INSERT INTO attempt (request, at, error)
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
        FROM json_each(NEW.attempts);

    INSERT INTO item (request, data) SELECT key, value FROM json_each(NEW.items);  -- each gets the number after the last

    INSERT INTO pack  -- id, size, data: what lies in `frames` at [2], as long as [3]
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'),
               substr(NEW.frames, json_extract(value, '$[2]'), json_extract(value, '$[3]'))
        FROM json_each(NEW.packs);

    INSERT INTO body  -- digest, data, pack, start, size: those that lie in packs
        SELECT place.key, x'', run.pack, CAST(place.value AS INTEGER), CAST(substr(place.value, 13) AS INTEGER)
        FROM (SELECT json_extract(value, '$[0]') AS pack, json_extract(value, '$[4]') AS places
              FROM (SELECT value FROM json_each(NEW.packs) LIMIT -1) LIMIT -1) AS run CROSS JOIN json_each(run.places) AS place;

    INSERT INTO body  -- digest, data: those that lie alone, as above, at [1]
        SELECT json_extract(value, '$[0]'), substr(NEW.frames, json_extract(value, '$[1]'), json_extract(value, '$[2]')),
               NULL, NULL, NULL
        FROM json_each(NEW.alone);

    INSERT OR REPLACE INTO response  -- request, headers, body
        SELECT CAST(key AS INTEGER), value, substr(key, 21) FROM json_each(NEW.responses);

    DELETE FROM cookie WHERE (domain, path, name) IN (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
        FROM json_each(NEW.cookies));

    INSERT INTO cookie  -- domain, path, name, data
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
               json_extract(value, '$[3]')
        FROM json_each(NEW.cookies) WHERE json_extract(value, '$[3]') IS NOT NULL;

    INSERT OR REPLACE INTO export
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(NEW.exports);

    DELETE FROM offered WHERE id <= NEW.sifted;

    INSERT INTO offered  -- id, depth, found_on, alone, extra, urls
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
               json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]')
        FROM json_each(NEW.offered);

    UPDATE count SET (queued, leased, done, failed, skipped, items, bytes, hosts, aside) = (
        SELECT json_extract(NEW.counts, '$[0]'), json_extract(NEW.counts, '$[1]'), json_extract(NEW.counts, '$[2]'),
               json_extract(NEW.counts, '$[3]'), json_extract(NEW.counts, '$[4]'), json_extract(NEW.counts, '$[5]'),
               json_extract(NEW.counts, '$[6]'), json_extract(NEW.counts, '$[7]'), json_extract(NEW.counts, '$[8]'));

    UPDATE run SET seen = NEW.seen WHERE ended IS NULL AND id = (SELECT max(id) FROM run);
END;
