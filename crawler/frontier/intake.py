"""The frontier's memory, and what it makes of what it is given: rows for the next group commit. No I/O, no await."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, assert_never

from crawler.frontier.batch import Batch
from crawler.frontier.protocol import Counts, Lease, Settlement
from crawler.frontier.rows import clean, extra_of, hop_of, redirects_of
from crawler.frontier.seen import SeenSet
from crawler.outcome import Failed, Fetched, Postponed, Redirected, Skip, Skipped
from crawler.request import Links, Request
from crawler.web.urls import fingerprint, fingerprints, host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from client.origin import HostKey
    from crawler.frontier.batch import Row


class Intake:
    """What has been seen, which hosts are known, how many requests are in which state; and the batch that pends.

    `on_queued(host, not_before)` hears of each request that now waits; `admit(url, depth)` may name a reason to skip one.
    """

    def __init__(self) -> None:
        self.counts = Counts()
        self.batch = Batch()
        self.seen = SeenSet()
        self.host_ids: dict[HostKey, int] = {}
        self.host_names: dict[int, HostKey] = {}
        self.next_request = 1
        self.next_item = 1
        self.on_queued: Callable[[HostKey, float], None] = lambda _host, _not_before: None
        self.admit: Callable[[str, int], Skip | None] = lambda _url, _depth: None

    def cut(self) -> Batch:
        """What is to be written now; what comes from here on pends for the next."""
        batch, self.batch = self.batch, Batch()
        return batch

    def know_host(self, number: int, host: HostKey) -> None:
        self.host_ids[host] = number
        self.host_names[number] = host

    def add(self, found: Iterable[Request | Links], *, depth: int, found_on: int | None) -> None:
        """Queue, or skip for a reason, those requests that were not seen before."""
        is_new = self.seen.add
        for wanted in found:
            extra = extra_of(wanted)
            if isinstance(wanted, Links):
                urls: Sequence[str] = wanted.urls
                marks = fingerprints(urls)
            else:
                urls = (wanted.url,)
                marks = [fingerprint(wanted.url, wanted.method, wanted.body)]
            again = isinstance(wanted, Request) and wanted.again
            for url, mark in zip(urls, marks, strict=True):
                if is_new(mark) or again:
                    self._append(url, depth, found_on, -wanted.priority, extra)

    def settle(self, settlement: Settlement) -> None:
        """Write down what became of a lease, its items, and the requests it led to."""
        lease, outcome = settlement.lease, settlement.outcome
        self.batch.settled.append(lease.id)
        self.counts.leased -= 1
        match outcome:
            case Fetched() | Failed():
                self._finish(lease, outcome)
            case Skipped():
                self._skip(lease.id, outcome.reason, outcome.detail, lease=lease)
            case Postponed():
                self.batch.attempts.append((lease.id, time.time(), clean(outcome.error)))
                self._requeue(lease, outcome.not_before, lease.attempts + 1)
            case Redirected():
                self._redirect(lease, outcome)
            case _:
                assert_never(outcome)
        if kept := settlement.kept:
            digest = kept.digest
            self.batch.bodies[digest] = kept.body
            self.batch.body_bytes += len(kept.body)
            self.batch.responses.append((lease.id, kept.headers, digest))
        if settlement.items:
            self._keep(lease.id, settlement.items)
        if settlement.found:
            self.add(settlement.found, depth=lease.depth + 1, found_on=lease.id)

    def _append(self, url: str, depth: int, found_on: int | None, rank: int, extra: str | None) -> None:
        number = self.next_request
        self.next_request += 1
        if reason := self.admit(url, depth):
            self.batch.requests.append((number, None, url, depth, found_on, extra))
            self._skip(number, reason)
            return
        host = host_of(url)
        host_id = self._host_id(host)
        self.batch.requests.append((number, host_id, url, depth, found_on, extra))
        self._enqueue(host, (host_id, rank, number, 0.0, 0, None))

    def _finish(self, lease: Lease, outcome: Fetched | Failed) -> None:
        if isinstance(outcome, Fetched):
            state, error = "done", None
            self.counts.done += 1
        else:
            state, error = "failed", clean(outcome.error)
            self.counts.failed += 1
        self.counts.bytes += outcome.size
        self.batch.results.append(
            (
                lease.id,
                state,
                outcome.status,
                outcome.final_url if outcome.final_url != lease.requested_url else None,
                clean(outcome.content_type),
                outcome.size,
                outcome.elapsed,
                outcome.fetched_at or None,
                lease.attempts,
                redirects_of(lease.redirects),
                None,
                error,
            )
        )

    def _skip(self, number: int, reason: Skip, detail: str = "", *, lease: Lease | None = None) -> None:
        final_url = redirects = None
        if lease and lease.redirects:
            final_url, redirects = lease.url, redirects_of(lease.redirects)
        self.counts.skipped += 1
        self.batch.results.append(
            (
                number,
                "skipped",
                None,
                final_url,
                None,
                None,
                None,
                None,
                lease.attempts if lease else 0,
                redirects,
                reason.value,
                clean(detail) or None,
            )
        )

    def _redirect(self, lease: Lease, outcome: Redirected) -> None:
        """Let the request go on at the target, unless that is known already or not to be fetched.

        A target within the request's own chain is no duplicate: sites set a cookie and send the visitor back. How often
        is bounded by the limit on redirects, which is the fetcher's.
        """
        keeps_method = outcome.method == lease.method
        mark = fingerprint(outcome.url, outcome.method, lease.body if keeps_method else None)
        left = (*lease.redirects, lease.url)
        reason = None
        if outcome.url not in left:
            reason = Skip.DUPLICATE if mark in self.seen else self.admit(outcome.url, lease.depth)
        lease.url, lease.method, lease.redirects = outcome.url, outcome.method, left
        if reason:
            self._skip(lease.id, reason, f"redirected ({outcome.status}) to {outcome.url}", lease=lease)
        else:
            self.seen.add(mark)
            self._requeue(lease, 0.0, 0)

    def _requeue(self, lease: Lease, not_before: float, attempts: int) -> None:
        host = host_of(lease.url)
        hop = hop_of(lease.url, lease.method, lease.redirects) if lease.redirects else None
        self._enqueue(host, (self._host_id(host), -lease.priority, lease.id, not_before, attempts, hop))

    def _enqueue(self, host: HostKey, row: Row) -> None:
        self.batch.queued.append(row)
        self.counts.queued += 1
        self.on_queued(host, row[3])

    def _keep(self, request: int, items: Sequence[str]) -> None:
        first = self.next_item
        self.next_item += len(items)
        self.counts.items += len(items)
        self.batch.items.extend((first + i, request, data) for i, data in enumerate(items))

    def _host_id(self, host: HostKey) -> int:
        number = self.host_ids.get(host)
        if number is None:
            number = len(self.host_ids) + 1
            self.know_host(number, host)
            self.batch.hosts.append((number, host))
            self.counts.hosts += 1
        return number
