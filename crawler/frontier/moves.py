"""Moves by order: requests that are set aside, released, retried, or given another priority.

A move reads rows of the file and hands them to the intake, chunk by chunk. Each chunk is committed before the next, with the file's
turn held, so that nobody takes a request out of the queue in between. A move that is cut short is half done, and can be ordered
again: every request is where it was, or where it was to go.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from crawler.frontier.leftout import REDIRECTED, TAKEN_INSTEAD, lost
from crawler.frontier.rows import clean, hop_of, method_and_body, priority_of
from crawler.outcome import Aside
from crawler.web.urls import host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from client.origin import HostKey
    from crawler.frontier.commits import GroupCommit
    from crawler.frontier.file import CrawlFile
    from crawler.frontier.intake import Intake
    from crawler.frontier.rows import Row
    from crawler.outcome import SetAside

_ROWS_AT_ONCE = 20_000

_MOST_OF_EACH = 1 << 40
"""More pages than are ever left out for one URL."""

_REDIRECTED = REDIRECTED.partition("{")[0]

_KEPT_BY_REDIRECTS = ("GET", "HEAD")
"""Methods that stay what they are (RFC 9110 §15.4)."""

# The statements below are made of our own words.
# ruff: noqa: S608

_IS_FREE = "NOT EXISTS (SELECT 1 FROM lease WHERE lease.request = queue.request)"

_OF_QUEUE = f"SELECT rank, request, attempts, hop FROM queue WHERE host = :host AND {_IS_FREE} LIMIT :limit"

_LAST_OF_QUEUE = f"""
SELECT rank, request, attempts, hop FROM queue WHERE host = :host AND {_IS_FREE}
ORDER BY rank DESC, request DESC LIMIT min(:limit, :beyond)"""

_OF_ASIDE = """
SELECT aside.request, aside.host, aside.rank, aside.attempts, aside.hop
FROM aside JOIN request ON request.id = aside.request
WHERE (:host IS NULL OR aside.host = :host) AND (:reason IS NULL OR aside.reason = :reason)
AND (:url IS NULL OR request.url = :url)
ORDER BY aside.request LIMIT :limit"""

_LIMITED = "SELECT DISTINCT host FROM aside WHERE reason = 'budget' AND host = coalesce(?, host)"

_WITHIN_BUDGET = """
SELECT request, host, rank, attempts, hop FROM (
    SELECT aside.*, json_extract(wanted.value, '$[1]') AS room,
           row_number() OVER (PARTITION BY aside.host ORDER BY aside.rank, aside.request) AS place
    FROM json_each(:rooms) AS wanted JOIN aside ON aside.host = json_extract(wanted.value, '$[0]')
    WHERE aside.reason = 'budget')
WHERE place <= room LIMIT :limit"""

_TO_RETRY = """
SELECT result.request, request.url, request.extra, result.final_url, result.redirects, result.size, result.fetched_at,
       result.detail, result.reason
FROM result JOIN request ON request.id = result.request
WHERE result.request > :after AND {} AND (:host IS NULL OR request.host = :host)
AND (:takes_any OR result.status IN (SELECT value FROM json_each(:statuses))
     OR substr(result.detail, 1, instr(result.detail, ':') - 1) IN (SELECT value FROM json_each(:kinds)))
ORDER BY result.request LIMIT :limit"""

_OF_FAILED = _TO_RETRY.format("result.state = 'failed'")

_OF_REDIRECTED = _TO_RETRY.format("""
    result.state IN ('failed', 'skipped') AND result.redirects IS NOT NULL
    AND substr(result.final_url, 1, length(:redirected_to)) = :redirected_to""")

_REPRIORITISE = f"""
UPDATE queue SET rank = :rank
WHERE rank <> :rank AND {_IS_FREE}
AND (:like IS NULL OR (SELECT url FROM request WHERE id = queue.request) LIKE :like ESCAPE '\\')"""

_REPRIORITISE_HOST = f"{_REPRIORITISE} AND host = :host"
"""A statement of its own: if the host were optional in it, SQLite would read the whole queue."""


class Moves:
    """Carries out the moves that `crawler.frontier.protocol.Frontier` describes."""

    def __init__(self, intake: Intake, file: CrawlFile, commits: GroupCommit) -> None:
        self._intake = intake
        self._file = file
        self._commits = commits
        self._each = 1

    async def set_aside(self, host: HostKey, why: SetAside) -> int:
        number = self._intake.host_ids.get(host, 0)

        def take(rows: Sequence[Row]) -> None:
            for rank, request, attempts, hop in rows:
                self._intake.batch.unqueued.append((number, rank, request))
                self._intake.put_aside((request, number, rank, attempts, hop), why)
            self._intake.counts.queued -= len(rows)
            self._intake.let_in(number, -len(rows))

        if why.reason is Aside.BUDGET:
            return await self._move(
                _LAST_OF_QUEUE, lambda: {"host": number, "beyond": self._beyond(host, number)}, take
            )
        return await self._move(_OF_QUEUE, lambda: {"host": number}, take)

    def _beyond(self, host: HostKey, number: int) -> int:
        """How many requests of a host have been let in beyond its own budget."""
        state = self._intake.host_states.get(host)
        return max(0, self._intake.admitted[number] - state.budget) if state and state.budget else 0

    async def release(self, host: HostKey | None, reason: Aside | None, url: str | None) -> int:
        wanted = {"host": self._number_of(host), "reason": reason.value if reason else None, "url": url}
        return await self._move(_OF_ASIDE, lambda: wanted, self._take_back)

    async def fill_budgets(self, host: HostKey | None) -> int:
        intake = self._intake
        if not intake.counts.aside:
            return 0
        limited = await self._file.read(_LIMITED, (self._number_of(host),))
        hosts = [number for (number,) in limited]

        def rooms() -> Mapping[str, Any]:
            each = ((number, intake.room(intake.host_names[number], number)) for number in hosts)
            return {"rooms": msgspec.json.encode([(number, room) for number, room in each if room]).decode()}

        return await self._move(_WITHIN_BUDGET, rooms, self._take_back)

    def _take_back(self, rows: Sequence[Row]) -> None:
        intake = self._intake
        for request, number, rank, attempts, hop in rows:
            intake.batch.released.append(request)
            intake.counts.aside -= 1
            intake.let_in(number)
            intake.enqueue(intake.host_names[number], (number, rank, request, 0.0, attempts, hop))

    async def retry(
        self,
        statuses: Iterable[int] | None,
        kinds: Iterable[str] | None,
        host: HostKey | None,
        redirected_to: str | None,
    ) -> int:
        def take(rows: Sequence[Row]) -> None:
            wanted["after"] = rows[-1][0]
            now = time.time()
            counts = self._intake.counts
            for request, url, extra, final_url, redirects, size, fetched_at, detail, reason in rows:
                self._intake.batch.retried.append(request)
                has_failed = reason is None  # otherwise it was skipped
                text = detail if has_failed else clean(f"{reason}: {detail}")
                self._intake.batch.attempts.append((request, fetched_at or now, text))
                counts.failed -= has_failed
                counts.skipped -= not has_failed
                counts.bytes -= size or 0
                # Skipped for where a redirect led, it has not been there: led there again, it is skipped once more.
                been_to = final_url if has_failed or not (detail or "").startswith(_REDIRECTED) else None
                self._enqueue_anew(request, url, extra, been_to, redirects, starts_over=redirected_to is not None)

        wanted = {
            "after": 0,  # otherwise all results would be read for each chunk
            "takes_any": statuses is None and kinds is None,
            "statuses": msgspec.json.encode(list(statuses or ())).decode(),
            "kinds": msgspec.json.encode(list(kinds or ())).decode(),
            "host": self._number_of(host),
        }
        if redirected_to is None:
            return await self._move(_OF_FAILED, lambda: wanted, take)
        wanted["redirected_to"] = redirected_to
        return await self._move(_OF_REDIRECTED, lambda: wanted, take)

    async def take_instead(self) -> int:
        """Queue again pages that were left out for a canonical URL that came to nothing, to be taken themselves: first one page for
        each such URL, then, if that does not help, twice as many, and so on. Returns how many; 0 if there are none."""
        intake = self._intake
        async with self._file.turn:
            await self._commits.commit()
            rows = await lost(self._file, each=self._each, most=_ROWS_AT_ONCE)
            intake.lost = {named for _, named, *_ in rows}
            for request, named, url, extra, final_url, redirects in rows:
                intake.batch.retried.append(request)
                intake.batch.attempts.append((request, time.time(), clean(TAKEN_INSTEAD.format(named))))
                intake.counts.skipped -= 1
                self._enqueue_anew(request, url, extra, final_url, redirects)
            await self._commits.commit()
        if len(rows) < _ROWS_AT_ONCE:  # otherwise the first pages for some of the URLs have not been queued yet
            self._each = min(2 * self._each, _MOST_OF_EACH)
        intake.leaves_out = bool(rows)
        return len(rows)

    async def reprioritise(self, host: HostKey | None, url_like: str | None, priority: int) -> int:
        wanted = {"rank": -priority, "host": self._number_of(host), "like": url_like}
        async with self._file.turn:
            await self._commits.commit()
            return await self._file.change(_REPRIORITISE if host is None else _REPRIORITISE_HOST, wanted)

    def _enqueue_anew(
        self,
        request: int,
        url: str,
        extra: str | None,
        final_url: str | None,
        redirects: str | None,
        *,
        starts_over: bool = False,
    ) -> None:
        stands, hop = _where_to_retry(url, extra, final_url or url, redirects, starts_over=starts_over)
        host = host_of(stands)
        self._intake.enqueue(host, (self._intake.host_id(host), -priority_of(extra), request, 0.0, 0, hop))

    def _number_of(self, host: HostKey | None) -> int | None:
        """The number of a host; 0, which no host has, for an unknown one; None, which stands for any host, for None."""
        return None if host is None else self._intake.host_ids.get(host, 0)

    async def _move(
        self, select: str, wanted: Callable[[], Mapping[str, Any]], take: Callable[[Sequence[Row]], None]
    ) -> int:
        """Give `take` the rows of `select`, chunk by chunk, until there are none left; returns how many there were. The commit after
        each chunk must remove its rows from what `select` finds. `wanted` gives the parameters for each chunk."""
        moved = 0
        async with self._file.turn:
            await self._commits.commit()
            while rows := await self._file.read(select, {**wanted(), "limit": _ROWS_AT_ONCE}):
                take(rows)
                await self._commits.commit()
                moved += len(rows)
        return moved


def _where_to_retry(
    url: str, extra: str | None, final_url: str, redirects: str | None, *, starts_over: bool
) -> tuple[str, str | None]:
    """The URL to request next for a request that failed, and its hop.

    That is the URL to which redirects had led. But the method that was used there is known only if no redirect could have changed it.
    Otherwise, and with `starts_over`, all redirects are followed again; the URLs that it has been to stay in the chain, so that it does not
    count as their duplicate. Each of them is there once, however often it starts over, since there is a limit on redirects.
    """
    if redirects is None:
        return url, None
    method = method_and_body(extra)[0] if extra else "GET"
    left = tuple(msgspec.json.decode(redirects))
    if method in _KEPT_BY_REDIRECTS and not starts_over:
        return final_url, hop_of(final_url, method, left)
    been_to = dict.fromkeys((*left, final_url))
    been_to.pop(url, None)  # it is left for the first of them
    return url, hop_of(url, method, tuple(been_to)) if been_to else None
