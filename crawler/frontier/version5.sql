-- Version 5: what is being fetched stays in the queue, and only its process knows which requests these are.

INSERT INTO queue SELECT host, rank, request, 0.0, attempts, hop FROM lease;
UPDATE count SET queued = queued + leased, leased = 0;

DROP VIEW links;
DROP TABLE lease;

CREATE VIEW links AS
SELECT request.url, referrer.url AS found_on, request.depth,
       CASE WHEN result.request IS NOT NULL THEN result.state WHEN aside.request IS NOT NULL THEN 'aside'
            ELSE 'queued' END AS state,
       result.reason AS skipped, coalesce(result.detail, aside.detail) AS detail, aside.reason AS aside
FROM request LEFT JOIN request AS referrer ON referrer.id = request.found_on
LEFT JOIN result ON result.request = request.id
LEFT JOIN aside ON aside.request = request.id;
