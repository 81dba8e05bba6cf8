-- What lies over a file of version 1 while it is read, so that it looks like one of version 2: nothing in it is changed.
CREATE TEMP VIEW host AS SELECT *, 0 AS admitted FROM main.host;
CREATE TEMP VIEW count AS SELECT *, 0 AS aside FROM main.count;
CREATE TEMP TABLE host_state (host, held, delay, per_host, budget, pace, latency, failures, resting_until);
CREATE TEMP TABLE robots (origin, fetched_at, body);
CREATE TEMP TABLE aside (request, host, rank, attempts, hop, reason, detail, at);
