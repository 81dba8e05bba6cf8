-- What lies over a file of version 3 while it is read, so that it looks like one of version 4: nothing in it is changed.
CREATE TEMP TABLE offered (id, depth, found_on, alone, extra, urls);
