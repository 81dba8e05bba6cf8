"""Which hosts have requests that wait, and when the first is due: read from the queue in steps of O(log n), without counting.

The rows of a host are next to each other in the queue, so the next host is one search away, however many rows this one has.
"""

from __future__ import annotations

# ruff: noqa: S608 - the statements are made of our own words

_IS_FREE = "queue.host = waiting.host AND NOT EXISTS (SELECT 1 FROM lease WHERE lease.request = queue.request)"

_DUE_AT = f"""
coalesce((SELECT 0.0 FROM queue WHERE {_IS_FREE} AND queue.not_before <= :now LIMIT 1),
         (SELECT min(not_before) FROM queue WHERE {_IS_FREE}))"""
"""0.0 if something is due, otherwise when the first request will be; NULL if there is nothing but what is leased."""

HOSTS_AFTER = f"""
WITH RECURSIVE waiting (host) AS (
    SELECT min(host) FROM queue WHERE host > :after
    UNION ALL
    SELECT (SELECT min(host) FROM queue WHERE host > waiting.host) FROM waiting WHERE host IS NOT NULL
),
answer (host, due_at) AS (SELECT host, {_DUE_AT} FROM waiting WHERE host IS NOT NULL)
SELECT host, due_at FROM answer WHERE due_at IS NOT NULL LIMIT :limit"""
"""Hosts that have requests waiting, in the order of their numbers."""

OF_HOSTS = f"""
WITH waiting (host) AS (SELECT value FROM json_each(:hosts)),
     answer (host, due_at) AS (SELECT host, {_DUE_AT} FROM waiting)
SELECT host, due_at FROM answer WHERE due_at IS NOT NULL"""
"""Those of the given hosts that have requests waiting."""
