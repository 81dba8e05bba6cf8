-- What `crawl repair` makes of the rows it could read, so that all that holds in a crawl file holds again. The functions
-- host_of(url) and the temporary table `unclear` (requests whose `extra` could not be read) are there when it runs.

-- Requests that are lost, but of which something else tells: they are over, and what they brought is kept.
CREATE TEMP TABLE ghost AS
    SELECT request FROM result UNION SELECT request FROM item UNION SELECT request FROM response
    EXCEPT SELECT id FROM request;
INSERT INTO request
    SELECT ghost.request, NULL, coalesce(json_extract(result.redirects, '$[0]'), 'lost:' || ghost.request), 1, NULL, NULL
    FROM ghost LEFT JOIN result ON result.request = ghost.request;
UPDATE request SET found_on = NULL WHERE found_on NOT IN (SELECT id FROM request);
UPDATE offered SET found_on = NULL WHERE found_on NOT IN (SELECT id FROM request);
DELETE FROM queue WHERE request NOT IN (SELECT id FROM request) OR request IN (SELECT request FROM ghost);
DELETE FROM aside WHERE request NOT IN (SELECT id FROM request) OR request IN (SELECT request FROM ghost);
DELETE FROM attempt WHERE request NOT IN (SELECT id FROM request);
DELETE FROM body WHERE pack IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM pack WHERE pack.id = body.pack AND start >= 0 AND body.size >= 0 AND start + body.size <= pack.size);
DELETE FROM response WHERE body NOT IN (SELECT digest FROM body);

-- Results that are lost. What brought items or links, or was kept, was done, for all of a page is committed at once.
-- What never had a host was skipped when it was found.
CREATE TEMP TABLE over AS SELECT id AS request, host, id IN (SELECT request FROM unclear) AS is_unclear FROM request
    WHERE id NOT IN (SELECT request FROM result)
    AND (id IN (SELECT request FROM unclear)
        OR id NOT IN (SELECT request FROM queue UNION ALL SELECT request FROM aside)
        AND (host IS NULL OR id IN (SELECT request FROM item) OR id IN (SELECT request FROM response)
            OR id IN (SELECT found_on FROM request WHERE found_on IS NOT NULL)));
INSERT INTO result (request, state, attempts, reason, detail)
    SELECT request, CASE WHEN is_done THEN 'done' WHEN is_unclear THEN 'failed' ELSE 'skipped' END, 0,
           CASE WHEN NOT is_done AND NOT is_unclear THEN 'scope' END,
           CASE WHEN is_done THEN 'damaged: how it ended' WHEN is_unclear THEN 'damaged: how it was to be asked for'
                ELSE 'damaged: why it was skipped' END
    FROM (SELECT *, request IN (SELECT request FROM item) OR request IN (SELECT request FROM response)
                 OR request IN (SELECT found_on FROM request WHERE found_on IS NOT NULL) AS is_done FROM over);

-- Hosts, by the URLs they were found in.
INSERT OR IGNORE INTO host (id, name)
    SELECT DISTINCT host, host_of(url) FROM request WHERE host BETWEEN 1 AND (SELECT count(*) FROM request);
INSERT OR IGNORE INTO host (name) SELECT DISTINCT host_of(url) FROM request WHERE host IS NOT NULL;
UPDATE request SET host = here.id FROM host AS here
    WHERE request.host IS NOT NULL AND here.name = host_of(request.url) AND request.host <> here.id;
DELETE FROM host_state WHERE host NOT IN (SELECT id FROM host);

-- Places: what is over is over; what stands aside stays there; whatever has no place is queued.
DELETE FROM aside WHERE request IN (SELECT request FROM result);
DELETE FROM queue WHERE request IN (SELECT request FROM result) OR request IN (SELECT request FROM aside);
CREATE TEMP TABLE waiting AS SELECT request, min(rank) AS rank, not_before, attempts, hop FROM queue GROUP BY request;
INSERT INTO waiting SELECT id, 0, 0, 0, NULL FROM request
    WHERE id NOT IN (SELECT request FROM result) AND id NOT IN (SELECT request FROM aside)
    AND id NOT IN (SELECT request FROM waiting);
CREATE TEMP TABLE stand AS
    SELECT waiting.*, host_of(coalesce(json_extract(hop, '$[0]'), url)) AS host, url FROM waiting JOIN request ON id = request;
INSERT OR IGNORE INTO host (name) SELECT DISTINCT host FROM stand;
DELETE FROM queue;
INSERT INTO queue SELECT host.id, rank, request, not_before, attempts, hop FROM stand JOIN host ON host.name = stand.host
    ORDER BY host.id, rank, request;
INSERT OR IGNORE INTO host (name)
    SELECT DISTINCT host_of(coalesce(json_extract(hop, '$[0]'), url)) FROM aside JOIN request ON id = request;
UPDATE aside SET host = here.id FROM request, host AS here
    WHERE request.id = aside.request AND here.name = host_of(coalesce(json_extract(aside.hop, '$[0]'), request.url));
UPDATE host SET admitted = 0;
UPDATE host SET admitted = let_in.requests FROM (
    SELECT host, count(*) AS requests FROM (
        SELECT host FROM queue UNION ALL SELECT host FROM request JOIN result ON result.request = request.id)
    GROUP BY host) AS let_in WHERE let_in.host = host.id;

-- Items without gaps in their numbers, and exports that have come as far as before.
UPDATE export SET cursor = json_set(cursor, '$.item',
    (SELECT count(*) FROM item WHERE id <= json_extract(export.cursor, '$.item')));
CREATE TEMP TABLE numbered AS SELECT id AS old, row_number() OVER (ORDER BY id) AS new FROM item;
UPDATE item SET id = numbered.new FROM numbered WHERE numbered.old = item.id AND numbered.new <> numbered.old;

UPDATE count SET
    queued = (SELECT count(*) FROM queue), leased = 0, aside = (SELECT count(*) FROM aside),
    done = (SELECT count(*) FROM result WHERE state = 'done'),
    failed = (SELECT count(*) FROM result WHERE state = 'failed'),
    skipped = (SELECT count(*) FROM result WHERE state = 'skipped'),
    items = (SELECT count(*) FROM item), bytes = (SELECT coalesce(sum(size), 0) FROM result),
    hosts = (SELECT count(*) FROM host);
