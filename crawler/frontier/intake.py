"""The frontier's memory, which turns requests and outcomes into rows for the next group commit. No I/O, no await."""

from __future__ import annotations

import time
from array import array
from typing import TYPE_CHECKING, assert_never

from msgspec.structs import replace

from client.origin import HostKey
from crawler.frontier.batch import Batch
from crawler.frontier.leftout import IS_NAMED, NAMES, REDIRECTED
from crawler.frontier.marks import words_of
from crawler.frontier.protocol import Counts, HostState, Lease, Settlement
from crawler.frontier.rows import (
    NOT_MODIFIED,
    clean,
    clean_content_type,
    extra_of,
    hop_of,
    priority_of,
    redirects_of,
    result_text,
)
from crawler.frontier.sieve import Sieve
from crawler.outcome import Aside, Failed, Fetched, Postponed, Redirected, SetAside, Skip, Skipped
from crawler.request import Links, Request
from crawler.web.urls import fingerprint, fingerprints, host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from crawler.frontier.protocol import Admit
    from crawler.frontier.rows import Offer, Row

_OVER_BUDGET = SetAside(Aside.BUDGET)

_UNLIMITED = 1 << 62

_LATELY = 4_900
"""How many of the latest links are recognised by their URLs: those in a site's template, which are on each of its pages. To bound memory,
URLs of more than `_LONGEST` characters are not among them. With slightly more links, Python's set would take four times the memory."""
_LONGEST = 300


class Intake:
    """What has been seen, which hosts are known, how many requests are in each state, and the pending batch.

    `on_queued(host, not_before)` is called for each request that now waits; `admit` (see `crawler.frontier.protocol.Admit`) may return
    a reason to skip a new one, or to set it aside. `admitted`: how many requests of each host are admitted: queued, leased or over, but
    not aside. `remembered`: how many requests memory knows exactly (sieve.py).
    """

    def __init__(self, remembered: int) -> None:
        self.counts = Counts()
        self.batch = Batch()
        self.sieve = Sieve(remembered)
        self._lately: set[str] = set()
        self.host_ids: dict[HostKey, int] = {}
        self.host_names: list[HostKey] = [HostKey("")]  # by number, from 1
        self.admitted = array("q", [0])
        self.host_states: dict[HostKey, HostState] = {}
        self.next_request = 1
        self.next_item = 1
        self.next_pack = 1
        self.next_offer = self.first_offer = 1
        self.on_queued: Callable[[HostKey, float], None] = lambda _host, _not_before: None
        self.admit: Admit = lambda *_: None
        self.max_pages_per_host = 0
        self.leaves_out = False
        """Whether pages were left out for canonical URLs that may turn out to bring no page."""
        self.lost: set[str] = set()
        """Canonical URLs that brought no page: a page that names one of them is taken."""

    def cut(self) -> Batch:
        """Take the pending batch, to be written now; another one begins."""
        batch, self.batch = self.batch, Batch()
        return batch

    def know_host(self, number: int, host: HostKey, admitted: int = 0) -> None:
        """Add a host, with a number above all others; a repaired file may lack numbers between them."""
        if lacking := number - len(self.host_names):
            self.host_names.extend([HostKey("")] * lacking)
            self.admitted.extend([0] * lacking)
        self.host_ids[host] = number
        self.host_names.append(host)
        self.admitted.append(admitted)

    def add(self, found: Iterable[Request | Links], *, depth: int, found_on: Lease | None) -> None:
        """Take in the requests that were not seen before: queue them, skip them or set them aside. Those that may have been seen are stored,
        to be checked later."""
        for wanted in found:
            if isinstance(wanted, Links) and self._lately.issuperset(wanted.urls):  # true of nearly all pages of a site
                continue
            extra = extra_of(wanted)  # before anything is learned, as it may raise
            if isinstance(wanted, Links):
                urls = [url for url in wanted.urls if url not in self._lately]
                marks = words_of(b"".join(fingerprints(urls)))
                new, doubtful = self.sieve.sort(marks)
                if len(self._lately) + len(urls) > _LATELY:
                    self._lately.clear()
                self._lately.update([url for url in urls if len(url) <= _LONGEST])
            else:
                urls = [wanted.url]
                marks = words_of(fingerprint(wanted.url, wanted.method, wanted.body))
                new, doubtful = ([0], []) if wanted.again else self.sieve.sort(marks)
            if new or doubtful:
                self._take_in_or_store(wanted, urls, marks, new, doubtful, extra=extra, depth=depth, found_on=found_on)

    def _take_in_or_store(
        self,
        wanted: Request | Links,
        urls: Sequence[str],
        marks: array[int],
        new: list[int],
        doubtful: Sequence[int],
        *,
        extra: str | None,
        depth: int,
        found_on: Lease | None,
    ) -> None:
        """Take in the requests that are new, given by their indexes, and store the doubtful ones."""
        is_alone = isinstance(wanted, Request)
        number, page = (found_on.id, found_on.url) if found_on else (None, None)
        if doubtful:
            self.batch.offered.append((self.next_offer, depth, number, is_alone, extra, [urls[at] for at in doubtful]))
            self.next_offer += 1
            self.batch.volume += len(extra or "") + sum(len(urls[at]) for at in doubtful)
        refusals: dict[int, Skip | SetAside | None] = {}
        try:
            for at in new:
                refusals[at] = self.admit(urls[at], depth, page, is_alone)
        finally:  # whatever `admit`, which is not ours, raises: what was admitted is kept
            added = self.sieve.add_new(marks, list(refusals))
            rank, first = -wanted.priority, self.next_request
            rows = [self._take_in(urls[at], rank, refusals[at]) for at in (refusals if is_alone else added)]
            if rows:
                self.batch.requests.append((first, depth, number, extra, rows))
                self.batch.volume += len(extra or "") + sum(map(len, rows))

    def take_offers(self, offers: Iterable[Offer], upto: int) -> None:
        """Take in those of the stored links that turned out to be new. All offers up to the number `upto` are checked."""
        for offer in offers:
            rank = -priority_of(offer.extra)
            for url, mark in zip(offer.urls, offer.marks, strict=True):
                if self.sieve.add(words_of(mark)):
                    row = self._take_in(url, rank, self.admit(url, offer.depth, offer.page, offer.is_alone))
                    self.batch.requests.append((self.next_request - 1, offer.depth, offer.found_on, offer.extra, [row]))
        self.batch.sifted = upto
        self.first_offer = upto + 1

    def settle(self, settlement: Settlement) -> None:
        """Record the outcome of a lease, its items, and the requests that it led to."""
        if settlement.alias:
            settlement = self._recognised(settlement, settlement.alias)
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
                self._requeue(lease, outcome.not_before, lease.attempts + outcome.is_charged)
            case Redirected():
                self._redirect(lease, outcome)
            case SetAside():
                host_id = self.host_id(lease.host)
                self.let_in(host_id, -1)
                self.put_aside((lease.id, host_id, -lease.priority, lease.attempts, _hop_of(lease)), outcome)
            case _:
                assert_never(outcome)
        if kept := settlement.kept:
            digest = kept.digest
            self.batch.bodies[digest] = kept.body
            self.batch.volume += len(kept.body)
            self.batch.responses.append(f'"{lease.id:<20}{digest}":{kept.headers}')
        if settlement.items:
            self._keep(lease.id, settlement.items)
        if settlement.found:
            depth = lease.depth + 1 if settlement.depth is None else settlement.depth
            self.add(settlement.found, depth=depth, found_on=lease)

    def note_host(self, host: HostKey, **known: float | None) -> None:
        """Set fields of the state of a host."""
        state = self.host_states.get(host)
        if state is None:
            state = self.host_states[host] = HostState()
        for name, value in known.items():
            setattr(state, name, value)
        self.batch.host_states[self.host_id(host)] = state

    def _recognised(self, settlement: Settlement, alias: str) -> Settlement:
        """The settlement of a page with another URL, `alias`. If that was seen before, the page is a duplicate, unless the alias brought no
        page (`Moves.take_instead`). If not, it counts as seen from now on, as a request of its own that is over. Seeds and requests made
        `again` were asked for explicitly, so they are never duplicates."""
        lease = settlement.lease
        mark = words_of(fingerprint(alias))
        if alias in self.lost:
            self.lost.discard(alias)
        elif not self.sieve.knows(mark):
            self.sieve.add(mark)
            number = self._next_number()
            self.batch.requests.append((number, lease.depth, lease.id, None, [f"0 {alias}"]))
            self.batch.barrier = number
            self._skip(number, Skip.DUPLICATE, IS_NAMED.format(lease.url))
        elif lease.depth and not lease.again:
            self.leaves_out = True
            outcome = Skipped(reason=Skip.DUPLICATE, final_url=lease.url, detail=NAMES.format(alias))
            return replace(settlement, outcome=outcome, items=(), kept=None)
        return settlement

    def _next_number(self) -> int:
        number = self.next_request
        self.next_request += 1
        return number

    def _take_in(self, url: str, rank: int, refusal: Skip | SetAside | None) -> str:
        """Give a new request the next number, and queue it, skip it or set it aside. Returns its host's number and its URL as in
        `Batch.requests`."""
        number, batch = self.next_request, self.batch
        self.next_request = number + 1
        if isinstance(refusal, Skip):
            self.counts.skipped += 1
            batch.extend(batch.refused, number, refusal.value)
            return f"0 {url}"
        host = host_of(url)
        host_id = self.host_ids.get(host) or self.host_id(host)
        if aside := refusal or (None if self.room(host, host_id) else _OVER_BUDGET):
            self.put_aside((number, host_id, rank, 0, None), aside)
            batch.barrier = number
        else:
            self.admitted[host_id] = batch.admitted[host_id] = self.admitted[host_id] + 1
            batch.extend(batch.fresh, number, rank)
            self.counts.queued += 1
            self.on_queued(host, 0.0)
        return f"{host_id} {url}"

    def _over_budget(self, host: HostKey, host_id: int) -> SetAside | None:
        return None if self.room(host, host_id) else _OVER_BUDGET

    def room(self, host: HostKey, host_id: int) -> int:
        """How many more requests of a host may be admitted."""
        budget = self.max_pages_per_host
        if (state := self.host_states.get(host)) and state.budget is not None:
            budget = state.budget
        return max(0, budget - self.admitted[host_id]) if budget else _UNLIMITED

    def let_in(self, host_id: int, requests: int = 1) -> None:
        """Count this many more requests of a host as admitted."""
        self.admitted[host_id] = self.batch.admitted[host_id] = self.admitted[host_id] + requests

    def put_aside(self, row: Row, why: SetAside) -> None:
        """`row`: request, host, rank, attempts, hop."""
        self.batch.aside.append((*row, why.reason.value, clean(why.detail) or None, time.time()))
        self.counts.aside += 1

    def _finish(self, lease: Lease, outcome: Fetched | Failed) -> None:
        counts = self.counts
        if isinstance(outcome, Fetched):
            state, detail = "done", NOT_MODIFIED if outcome.not_modified else None
            counts.done += 1
        else:
            state, detail = "failed", clean(outcome.error)
            counts.failed += 1
        counts.bytes += outcome.size
        shared = (
            state,
            outcome.status,
            outcome.final_url if outcome.final_url != lease.requested_url else None,
            clean_content_type(outcome.content_type),
            lease.attempts,
            redirects_of(lease.redirects) if lease.redirects else None,
            None,
            detail,
        )
        text = result_text(lease.id, outcome.size, outcome.elapsed, outcome.fetched_at)
        results = self.batch.results
        if shared in results:
            results[shared].append(text)
        else:
            results[shared] = [text]

    def _skip(self, number: int, reason: Skip, detail: str = "", *, lease: Lease | None = None) -> None:
        final_url = redirects = None
        if lease and lease.redirects:
            final_url, redirects = lease.url, redirects_of(lease.redirects)
        self.counts.skipped += 1
        attempts = lease.attempts if lease else 0
        shared = ("skipped", None, final_url, None, attempts, redirects, reason.value, clean(detail) or None)
        self.batch.results.setdefault(shared, []).append(str(number))

    def _redirect(self, lease: Lease, outcome: Redirected) -> None:
        """Continue the request at the target, unless the redirect is an alias of a URL seen before, or the target is not admitted. A request
        that is made `again` is also made again at the target.

        A target in the request's own chain is not a duplicate: sites set a cookie and send the visitor back. The fetcher's limit on
        redirects bounds how often.
        """
        mark = _mark_of_target(lease, outcome)
        left = (*lease.redirects, lease.url)
        refusal: Skip | SetAside | None = None
        if outcome.url not in left:
            is_known = outcome.is_alias and not lease.again and self.sieve.knows(mark)
            refusal = Skip.DUPLICATE if is_known else self.admit(outcome.url, lease.depth, None, True)
        lease.url, lease.method, lease.redirects = outcome.url, outcome.method, left
        if isinstance(refusal, Skip):
            self._skip(lease.id, refusal, REDIRECTED.format(outcome.status, outcome.url), lease=lease)
            return
        self.sieve.add(mark)
        host = host_of(lease.url)
        host_id = self.host_id(host)
        if host != lease.host:  # otherwise it is admitted already
            refusal = refusal or self._over_budget(host, host_id)
            self.let_in(host_id)
        if refusal:
            self.let_in(host_id, -1)
            self.put_aside((lease.id, host_id, -lease.priority, 0, _hop_of(lease)), refusal)
        else:
            self._requeue(lease, 0.0, 0)

    def _requeue(self, lease: Lease, not_before: float, attempts: int) -> None:
        host = host_of(lease.url)
        row = (self.host_id(host), -lease.priority, lease.id, not_before, attempts, _hop_of(lease))
        self.enqueue(host, row)

    def enqueue(self, host: HostKey, row: Row) -> None:
        """`row`: host, rank, request, not_before, attempts, hop."""
        self.batch.queued.append(row)
        self.counts.queued += 1
        self.on_queued(host, row[3])

    def _keep(self, request: int, items: Sequence[str]) -> None:
        batch, number = self.batch, len(items)
        if not batch.items:
            batch.first_item = self.next_item
        self.next_item += number
        self.counts.items += number
        batch.items += items
        batch.volume += sum(map(len, items))
        batch.owners += [request] * number

    def host_id(self, host: HostKey) -> int:
        """The number of a host; a new host gets one."""
        number = self.host_ids.get(host)
        if number is None:
            number = len(self.host_names)
            self.know_host(number, host)
            self.batch.hosts.append((number, host))
            self.counts.hosts += 1
        return number


def marks_of(settlement: Settlement) -> list[array[int]]:
    """The marks of the other requests of which a settlement must know whether they were seen."""
    marks = [words_of(fingerprint(settlement.alias))] if settlement.alias else []
    if isinstance(settlement.outcome, Redirected):
        marks.append(_mark_of_target(settlement.lease, settlement.outcome))
    return marks


def _mark_of_target(lease: Lease, outcome: Redirected) -> array[int]:
    keeps_method = outcome.method == lease.method
    return words_of(fingerprint(outcome.url, outcome.method, lease.body if keeps_method else None))


def _hop_of(lease: Lease) -> str | None:
    return hop_of(lease.url, lease.method, lease.redirects) if lease.redirects else None
