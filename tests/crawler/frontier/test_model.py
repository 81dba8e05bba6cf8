"""The frontier against a dictionary: whatever is asked of it, and whenever its process dies."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from client.origin import HostKey
from crawler.frontier import Lease, Settlement, SqliteFrontier
from crawler.outcome import Aside, Failed, Fetched, Postponed, Redirected, SetAside, Skip, Skipped
from crawler.request import Links
from crawler.web.urls import host_of
from tests.proof.crawlfile import INVARIANTS

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from crawler.outcome import Outcome

Given = TypeVar("Given")

HOSTS = [HostKey(f"{name}.example") for name in "abc"]
NEVER = 9e9

urls = st.builds("http://{}/{}".format, st.sampled_from(HOSTS), st.integers(0, 5))
some_urls = st.lists(urls, max_size=8, unique=True)
hosts = st.sampled_from(HOSTS)
a_host_or_all = st.none() | hosts


@dataclass
class Known:
    """A request as the model has it: where it stands, and for which URL."""

    url: str
    place: str = "queued"
    not_before: float = 0.0
    rank: int = 0
    attempts: int = 0
    chain: tuple[str, ...] = ()
    reason: str | None = None
    errors: tuple[str, ...] = ()
    """Of the tries that failed and were not the last."""

    @property
    def host(self) -> HostKey:
        return host_of(self.url)


@dataclass
class Model:
    """What the frontier should hold. Requests are numbered in the order in which they were found."""

    requests: dict[int, Known] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    admitted: dict[HostKey, int] = field(default_factory=lambda: dict.fromkeys(HOSTS, 0))
    budgets: dict[HostKey, int] = field(default_factory=dict)
    items: int = 0

    def add(self, found: list[str], budget: int) -> None:
        for url in found:
            if url not in self.seen:
                self.seen.add(url)
                self.requests[len(self.requests) + 1] = known = Known(url)
                self.let_in(known, budget)

    def let_in(self, known: Known, budget: int) -> None:
        budget = self.budgets.get(known.host, budget)
        if budget and self.admitted[known.host] >= budget:
            known.place, known.reason = "aside", "budget"
        else:
            known.place = "queued"
            self.admitted[known.host] += 1

    def those(self, place: str, host: HostKey | None = None) -> dict[int, Known]:
        return {
            number: known
            for number, known in self.requests.items()
            if known.place == place and host in (None, known.host)
        }

    def attempts(self) -> list[tuple[int, str]]:
        return [(number, error) for number, known in self.requests.items() for error in known.errors]

    def places(self) -> list[tuple[int, str]]:
        """As the file has them: what is leased is in the queue there."""
        return [(number, known.place.replace("leased", "queued")) for number, known in self.requests.items()]


_PLACES = """
SELECT request, 'queued' FROM queue UNION ALL SELECT request, 'aside' FROM aside UNION ALL SELECT request, state FROM result ORDER BY request"""


class FrontierAndModel(RuleBasedStateMachine):
    """Each rule does the same to both. `durable` is the model as of the last commit: what a crash leaves."""

    @initialize(budget=st.sampled_from([0, 0, 3]), remembered=st.sampled_from([4, 1000]))
    def begin(self, budget: int, remembered: int) -> None:
        self.budget = budget
        self.remembered = remembered
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "model.crawl"
        self.runner = asyncio.Runner()
        self.model = Model()
        self.durable = Model()
        self.leases: list[Lease] = []
        self.open()

    def open(self) -> None:
        self.frontier = self.run(
            SqliteFrontier.open(self.path, spider="model", commit_pages=1000, remembered=self.remembered)
        )
        self.heard = 0
        self.frontier.attach(admit=lambda *_: None, on_queued=self.on_queued, max_pages_per_host=self.budget)

    def on_queued(self, _host: HostKey, _not_before: float) -> None:
        self.heard += 1

    def run(self, work: Coroutine[Any, Any, Given]) -> Given:
        return self.runner.run(work)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.run(self.frontier.close())
            self.runner.close()
            self.folder.cleanup()

    def committed(self) -> None:
        self.durable = deepcopy(self.model)

    # ------------------------------------------------------------------ the life of requests

    @rule(found=some_urls)
    def add(self, found: list[str]) -> None:
        before = len(self.model.requests)
        self.model.add(found, self.budget)
        assert self.run(self.frontier.add([Links(found)])) == len(self.model.requests) - before
        self.committed()

    @rule(host=hosts, limit=st.integers(1, 4))
    def lease(self, host: HostKey, limit: int) -> None:
        waiting = self.model.those("queued", host).items()
        if host not in self.frontier.intake.host_ids:
            assert not waiting
            return
        due = sorted((known.rank, number) for number, known in waiting if known.not_before < NEVER)
        is_pending = bool(self.frontier.intake.batch)
        leases = self.run(self.frontier.lease([host], limit))
        assert [-lease.priority for lease in leases] == [rank for rank, _ in due[:limit]]
        assert {lease.id for lease in leases} <= {number for _, number in due}
        if not is_pending:  # else what is not in the file yet may come after others of its priority
            assert [lease.id for lease in leases] == [number for _, number in due[:limit]]
        for lease in leases:
            known = self.model.requests[lease.id]
            assert (lease.url, lease.attempts, lease.redirects) == (known.url, known.attempts, known.chain)
            known.place = "leased"
        self.leases += leases
        if not self.frontier.intake.batch:
            self.committed()

    def settle(self, data: st.DataObject, outcome: Outcome, **found: Any) -> Known | None:
        if not self.leases:
            return None
        lease = self.leases.pop(data.draw(st.integers(0, len(self.leases) - 1)))
        self.run(self.frontier.settle(Settlement(lease=lease, outcome=outcome, **found)))
        return self.model.requests[lease.id]

    @rule(data=st.data(), found=some_urls, items=st.integers(0, 2))
    def fetched(self, data: st.DataObject, found: list[str], items: int) -> None:
        outcome = Fetched(status=200, final_url="http://a.example/", content_type="", size=3, elapsed=1, fetched_at=1)
        if known := self.settle(data, outcome, items=["{}"] * items, found=[Links(found)]):
            known.place = "done"
            self.model.items += items
            self.model.add(found, self.budget)

    @rule(data=st.data(), kind=st.sampled_from(["dns", "http"]))
    def failed(self, data: st.DataObject, kind: str) -> None:
        if known := self.settle(data, Failed(error=f"{kind}: no", final_url="http://a.example/", size=5)):
            known.place, known.reason = "failed", kind

    @rule(data=st.data())
    def skipped(self, data: st.DataObject) -> None:
        if known := self.settle(data, Skipped(reason=Skip.ROBOTS, final_url="")):
            known.place = "skipped"

    @rule(data=st.data(), not_before=st.sampled_from([0.0, NEVER]))
    def postponed(self, data: st.DataObject, not_before: float) -> None:
        if known := self.settle(data, Postponed(error="timeout: 1 s", not_before=not_before)):
            known.place, known.not_before, known.attempts = "queued", not_before, known.attempts + 1
            known.errors += ("timeout: 1 s",)

    @rule(data=st.data(), towards=urls)
    def redirected(self, data: st.DataObject, towards: str) -> None:
        known = self.settle(data, Redirected(status=302, url=towards, method="GET"))
        if known is None:
            return
        asked, known.chain = known.host, (*known.chain, known.url)
        known.url, known.attempts, known.not_before = towards, 0, 0.0
        if towards in self.model.seen and towards not in known.chain:
            known.place = "skipped"
        elif known.host == asked:
            known.place = "queued"
        else:
            self.model.let_in(known, self.budget)
        self.model.seen.add(towards)

    @rule(data=st.data())
    def trapped(self, data: st.DataObject) -> None:
        if known := self.settle(data, SetAside(Aside.TRAP, "a calendar")):
            known.place, known.reason = "aside", "trap"
            self.model.admitted[known.host] -= 1

    # ------------------------------------------------------------------ orders

    @rule(host=hosts)
    def set_aside(self, host: HostKey) -> None:
        waiting = self.model.those("queued", host)
        for known in waiting.values():
            known.place, known.reason, known.not_before = "aside", "host", 0.0
        self.model.admitted[host] -= len(waiting)
        assert self.run(self.frontier.set_aside(host, Aside.HOST, "dead")) == len(waiting)
        self.committed()

    @rule(host=a_host_or_all, reason=st.none() | st.sampled_from(Aside))
    def release(self, host: HostKey | None, reason: Aside | None) -> None:
        released = [
            known
            for known in self.model.those("aside", host).values()
            if reason is None or known.reason == reason.value
        ]
        for known in released:
            known.place = "queued"
            self.model.admitted[known.host] += 1
        heard = self.heard
        assert self.run(self.frontier.release(host=host, reason=reason)) == len(released)
        assert self.heard - heard == len(released)
        self.committed()

    @rule(kinds=st.none() | st.sampled_from([["dns"], ["dns", "http"]]))
    def retry(self, kinds: list[str] | None) -> None:
        failed = [known for known in self.model.those("failed").values() if kinds is None or known.reason in kinds]
        for known in failed:
            known.place, known.rank, known.attempts, known.not_before = "queued", 0, 0, 0.0
            known.errors += (f"{known.reason}: no",)
            if known.chain:  # what it failed at is in its result
                known.url = "http://a.example/"
        assert self.run(self.frontier.retry(kinds=kinds)) == len(failed)
        self.committed()

    @rule(host=a_host_or_all, last=st.none() | st.integers(0, 5), priority=st.integers(-1, 1))
    def reprioritise(self, host: HostKey | None, last: int | None, priority: int) -> None:
        first_urls = dict(self.frontier_urls())
        moved = [
            known
            for number, known in self.model.those("queued", host).items()
            if known.rank != -priority and (last is None or first_urls[number].endswith(f"/{last}"))
        ]
        for known in moved:
            known.rank = -priority
        like = None if last is None else f"%/{last}"
        assert self.run(self.frontier.reprioritise(host=host, url_like=like, priority=priority)) == len(moved)
        self.committed()

    @rule(host=hosts, budget=st.integers(0, 4))
    def allow(self, host: HostKey, budget: int) -> None:
        self.frontier.note_host(host, budget=budget)
        self.model.budgets[host] = budget

    # ------------------------------------------------------------------ the life of the process

    @rule()
    def flush(self) -> None:
        self.run(self.frontier.flush())
        self.committed()

    @rule(kill=st.booleans())
    def end_and_begin_again(self, kill: bool) -> None:
        if kill:
            self.run(self.frontier._file.close())
            self.frontier._lock.release()
            self.model = deepcopy(self.durable)
        else:
            self.run(self.frontier.close())
        for known in self.model.those("leased").values():
            known.place = "queued"
        self.leases = []
        self.open()
        self.committed()
        due = {host: [known.not_before for known in self.model.those("queued", host).values()] for host in HOSTS}
        now = self.frontier.now()
        waiting = {host: min(0.0 if at <= now else at for at in instants) for host, instants in due.items() if instants}
        assert dict(self.run(self.frontier.hosts())) == waiting

    # ------------------------------------------------------------------ what always holds

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as db:
            return db.execute(sql).fetchall()

    def frontier_urls(self) -> list[tuple[int, str]]:
        self.run(self.frontier.flush())
        return self.ask("SELECT id, url FROM request")

    @invariant()
    def the_file_holds_what_is_durable(self) -> None:
        if hasattr(self, "frontier"):
            assert self.ask(_PLACES) == self.durable.places()
            assert self.ask("SELECT request, error FROM attempt ORDER BY request, id") == self.durable.attempts()
            for name in (
                "each request is in exactly one place",
                "the counts are true",
                "every reference leads somewhere",
            ):
                assert self.ask(INVARIANTS[name]) == [], name

    @invariant()
    def the_memory_holds_what_was_taken_in(self) -> None:
        if hasattr(self, "frontier"):
            counts, model = self.frontier.counts, self.model
            for place in ("queued", "leased", "aside", "done", "failed", "skipped"):
                assert getattr(counts, place) == len(model.those(place)), place
            assert counts.items == model.items
            intake = self.frontier.intake
            admitted = {host: intake.admitted[number] for host, number in intake.host_ids.items()}
            assert {host: number for host, number in model.admitted.items() if host in admitted} == admitted


TestFrontierAndModel = FrontierAndModel.TestCase
TestFrontierAndModel.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
