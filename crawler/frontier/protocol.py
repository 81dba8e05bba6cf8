"""What the crawler requires of a frontier: `add`, `lease`, `settle`; batches in, batches out.

A request is *queued*, then *leased*, then over (*done*, *failed* or *skipped*); or it is set *aside*, out of the way until somebody
releases it. Only `settle` ends a lease; if the process dies, it is as if its leases had never been given. Everything a page did is
settled in one transaction: its outcome, its items, the requests it led to, and what was noted meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - msgspec reads the annotations of what is sent
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from client.origin import HostKey
    from crawler.outcome import Aside, Outcome, SetAside, Skip
    from crawler.request import Links, Request
    from crawler.store import Kept


class Errand(Struct):
    """The parts of a lease that are needed to fetch it, or that a spider can see. `url` and `method` are those after the redirects taken
    so far."""

    url: str
    method: str
    depth: int
    requested_url: str
    referrer: str | None = None
    callback: str | None = None
    priority: int = 0
    headers: Mapping[str, str] | None = None
    body: bytes | None = None
    context: Mapping[str, Any] | None = None
    redirects: tuple[str, ...] = ()
    """The redirect chain: the URLs left behind, oldest first."""
    read_timeout: float | None = None
    total_timeout: float | None = None
    max_attempts: int | None = None
    """If not None, this replaces the setting of the same name, as do the two timeouts (seconds)."""


class Lease(Errand, kw_only=True):
    """One request, ours to fetch.

    Tens of thousands of leases are in memory at a time; the garbage collector ignores a `Struct` of plain values.
    """

    id: int
    host: HostKey
    again: bool = False
    """Whether it is made although the same request was made before; this also holds wherever redirects lead."""
    attempts: int = 0
    """How many attempts have failed."""


class Settlement(Struct, kw_only=True):
    """Everything that came of one lease. `items` are JSON texts, one per item, as the spider yielded them."""

    lease: Lease
    outcome: Outcome
    items: Sequence[str] = ()
    found: Sequence[Request | Links] = ()
    kept: Kept | None = None
    """The response, if it is to be kept."""
    alias: str | None = None
    """Another (canonical) URL of the page. If that was found before, the page is a duplicate and its items are not kept, except for
    a seed and a request that is made `again`. If not, it counts as found from now on."""
    depth: int | None = None
    """The depth of `found`; None: one link deeper than the lease."""


class Counts(Struct, kw_only=True):
    """How many requests are in each state, and what they brought: items, bytes of decoded bodies, hosts."""

    queued: int = 0
    leased: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0
    items: int = 0
    bytes: int = 0
    hosts: int = 0
    aside: int = 0


class HostQueue(NamedTuple):
    """A host that has requests waiting, and when the first of them is due by the frontier's clock; 0.0: now."""

    host: HostKey
    due_at: float


class HostState(Struct, kw_only=True):
    """What is kept about a host beyond its requests; None for what is not known or ordered. Instants are seconds of the epoch."""

    held: float | None = None
    """By order: since when nothing is to be fetched from it."""
    delay: float | None = None
    """By order: the least seconds between two starts."""
    per_host: int | None = None
    """By order: connections at once."""
    budget: int | None = None
    """By order: how many of its requests may be queued in all; 0: any number."""
    pace: float | None = None
    """Learned: the seconds between two starts that suit it."""
    latency: float | None = None
    """Learned: seconds it takes to answer."""
    failures: int | None = None
    """Learned: how often in a row it could not be reached."""
    resting_until: float | None = None
    """Learned: until when it is left alone."""


class CookieRow(NamedTuple):
    """One cookie of the jar, as it is kept: `data` is JSON, None if the cookie is gone."""

    domain: str
    path: str
    name: str
    data: str | None


Admit: TypeAlias = "Callable[[str, int, str | None, bool], Skip | SetAside | None]"
"""Called with a new request's URL, its depth, the URL of the page it was found on (None if on no page), and whether it is a single
request, as opposed to one of many `Links`. Returns why the request is not to be made, or not now; None if it is."""


class Frontier(Protocol):
    """Where requests wait."""

    @property
    def counts(self) -> Counts: ...

    def attach(
        self,
        *,
        admit: Admit,
        on_queued: Callable[[HostKey, float], None],
        max_pages_per_host: int = 0,
    ) -> None:
        """Say who decides which new requests are skipped or set aside (`admit`), and who is called with the host of each request that
        now waits, and the instant (seconds of the epoch) before which it is not due (`on_queued`). Requests of a host beyond the
        first `max_pages_per_host`, or beyond the host's own budget, are set aside; 0: there is no such limit.
        """

    async def add(self, found: Iterable[Request | Links], *, depth: int = 0) -> int:
        """Take in the requests that are new; returns how many are known to be. Durable when it returns."""

    @property
    def is_undecided(self) -> bool:
        """Whether some of the links that were offered may be new, which is not decided for each by itself; or whether some of the pages
        that were left out may be wanted after all."""

    async def decide(self) -> None:
        """Decide for all links whether they are new, and queue again pages that were left out for a canonical URL that came to
        nothing. To be called when nothing else is left, since it takes time. `on_queued` is called for what is found."""

    async def lease(self, hosts: Sequence[HostKey], limit: int) -> list[Lease]:
        """Up to `limit` requests of each host that are due, in order: by priority, then as they were found. Among requests of equal
        priority, those queued lately may come after some that were found later."""

    async def settle(self, settlement: Settlement) -> None:
        """Take in what came of a lease. Returns once it is accepted, in order, for the next group commit; waits while too
        much is uncommitted. Raises StorageError when an earlier commit failed."""

    async def flush(self) -> None:
        """Return once everything settled and noted so far is durable."""

    def now(self) -> float:
        """The frontier's clock, which all instants refer to before which something is not due: seconds of the epoch that neither jump
        nor run backwards, within a run and from one run to the next, whatever the system's clock does."""

    async def hosts(self, *, after: HostKey | None = None, limit: int | None = None) -> list[HostQueue]:
        """Up to `limit` hosts that have requests waiting, in the order in which they became known; only those after `after`."""

    async def waiting(self, hosts: Iterable[HostKey]) -> list[HostQueue]:
        """Those of `hosts` that have requests waiting; requests that were queued since the last `lease` may be missed."""

    async def close(self, why: str) -> None:
        """Commit what was settled, and note why the run ended. What is leased waits for the next run."""

    # ------------------------------------------------------------------ what is kept beside the requests

    def note_host(self, host: HostKey, **known: float | None) -> None:
        """Keep fields of `HostState`; those not named stay as they are. Written with the next group commit, like all notes."""

    def note_robots(self, origin: str, fetched_at: float, body: bytes) -> None:
        """Keep the robots.txt of an origin (`scheme://authority`) in place of an earlier one."""

    def note_cookies(self, changed: Iterable[CookieRow]) -> None:
        """Keep cookies, in place of earlier ones of the same domain, path and name."""

    def host_states(self) -> Mapping[HostKey, HostState]:
        """What is known about hosts, including what has only been noted."""

    async def robots_of(self, origin: str) -> tuple[float, bytes] | None:
        """When the robots.txt of an origin was fetched, and its body, as of the last commit."""

    async def cookies(self) -> list[CookieRow]:
        """All cookies, as of the last commit."""

    # ------------------------------------------------------------------ moves by order; each durable when it returns

    async def set_aside(self, host: HostKey, reason: Aside, detail: str = "") -> int:
        """Set aside everything that is queued for a host, including what is not due yet; for `Aside.BUDGET` only what exceeds the
        host's own budget, the last in its order. Returns how many."""

    async def release(self, *, host: HostKey | None = None, reason: Aside | None = None, url: str | None = None) -> int:
        """Queue again what was set aside: of one host, for one reason, one URL, or everything; returns how many. These requests count
        against the budget of their host, but are not bound by it."""

    async def fill_budgets(self, *, host: HostKey | None = None) -> int:
        """Queue again what was set aside for a budget that now leaves room, of one host or of all, the first in the order of each;
        returns how many."""

    async def retry(
        self,
        *,
        statuses: Iterable[int] | None = None,
        kinds: Iterable[str] | None = None,
        host: HostKey | None = None,
        redirected_to: str | None = None,
    ) -> int:
        """Queue failed requests again, as if they had never been tried, with the priority they were found with: those with one of
        `statuses` or one of `kinds` of error, or all if neither is given. A redirected request goes on where it failed. With
        `redirected_to`, only those that were redirected to a URL that begins with this, and also those that were skipped there, as
        duplicates or out of scope, say; these start over. Returns how many."""

    async def reprioritise(self, *, host: HostKey | None = None, url_like: str | None = None, priority: int) -> int:
        """Give queued requests another priority: those of a host, those with a URL that matches an SQL LIKE pattern, in which `\\`
        escapes, or all. Returns for how many it changed."""
