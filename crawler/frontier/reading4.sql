-- What lies over a file of version 4 while it is read, so that it looks like one of version 5: nothing in it is changed.
CREATE TEMP VIEW queue AS
SELECT * FROM main.queue UNION ALL SELECT host, rank, request, 0.0, attempts, hop FROM main.lease;
