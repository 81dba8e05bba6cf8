-- What lies over a file of version 2 while it is read, so that it looks like one of version 3: nothing in it is changed.
CREATE TEMP VIEW body AS SELECT *, NULL AS pack, NULL AS start, NULL AS size FROM main.body;
CREATE TEMP TABLE pack (id, size, data);
