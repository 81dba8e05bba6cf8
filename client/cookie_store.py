"""The storage of cookies: found by host, expired by time, bounded in number (RFC 6265bis §5.7 and §5.8.3).

Theory. A jar may hold the cookies of a hundred thousand hosts, and is queried before every request. So cookies are kept
in buckets by domain, and a request looks only into those of its host and of the host's parents. A heap holds the times of
expiry, so that no scan is needed to find that nothing has expired. A heap entry becomes stale when its cookie is
replaced; there are never more stale entries than cookies, plus a few.

Order is counted, not timed: creation and last access are values of one counter, because clocks stand still and jump.

`_below` maps each domain to the buckets below it, for the one rule that looks down the tree of names: an insecure cookie
for a domain must not overlay a secure one of a host within that domain.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from client.set_cookie import SameSite, is_ip_address, path_matches

_KEPT_SHARE: Final = 0.9
"""The share of a full store that eviction leaves. Evicting a tenth at a time is cheap, one at a time would not be."""

_STALE_ENTRIES: Final = 64
"""So many stale heap entries are not worth rebuilding the heap."""


@dataclass(slots=True, kw_only=True)
class Cookie:
    """A cookie in a store. Its identity is (name, domain, host_only, path)."""

    name: str
    value: str
    domain: str
    """Canonical. Empty for a cookie that the user gave for every host."""
    path: str
    host_only: bool
    """Whether only `domain` itself receives it, not the hosts below."""
    expires: float | None
    """UTC epoch seconds; None: kept until cleared."""
    secure: bool
    http_only: bool
    same_site: SameSite
    created: int = 0
    """Set by the store: place in the order of creation."""
    accessed: int = 0
    """Set by the store: place in the order of last use."""

    def has_expired(self, now: float) -> bool:
        return self.expires is not None and self.expires <= now

    def says_the_same(self, other: "Cookie") -> bool:
        """Whether replacing `other`, which has the same identity, by this one would change nothing."""
        return (self.value, self.expires, self.secure, self.http_only, self.same_site) == (
            other.value,
            other.expires,
            other.secure,
            other.http_only,
            other.same_site,
        )


_Key = tuple[str, str, bool]  # path, name, host_only
_Bucket = dict[_Key, Cookie]


def _key(cookie: Cookie) -> _Key:
    return cookie.path, cookie.name, cookie.host_only


def _parents(domain: str) -> Iterator[str]:
    """``b.example.com`` → ``example.com``, ``com``. An address has none."""
    if is_ip_address(domain):
        return
    while dot := domain.find(".") + 1:
        domain = domain[dot:]
        yield domain


class CookieStore:
    """A bounded set of cookies. `now` is always UTC epoch seconds."""

    on_change: Callable[[Cookie, bool], None] | None = None
    """Called with each cookie that is added, changed or removed, and whether it was removed."""

    def __init__(self, *, max_per_domain: int, max_total: int) -> None:
        if max_per_domain < 1 or max_total < 1:
            raise ValueError(
                f"cookie limits must be positive, not {max_per_domain} per domain and {max_total} in total"
            )
        self._max_per_domain = max_per_domain
        self._max_total = max_total
        self.clear()

    def clear(self) -> None:
        if self.on_change:
            for cookie in self:
                self.on_change(cookie, True)
        self._buckets: dict[str, _Bucket] = {}
        self._below: dict[str, set[str]] = {}
        self._expiries: list[tuple[float, int, Cookie]] = []  # a heap; the number only breaks ties
        self.size = 0
        """How many cookies there are."""
        self._ticks = 0

    def __iter__(self) -> Iterator[Cookie]:
        """Iterate over a snapshot of the cookies, in order of creation."""
        return iter(sorted((c for bucket in self._buckets.values() for c in bucket.values()), key=lambda c: c.created))

    def put(self, cookie: Cookie, now: float) -> None:
        """Insert a cookie, replacing the one with the same identity, if any; an expired one only removes that.

        The new cookie takes over the place in the order of creation (§5.7 step 23). If a limit is exceeded, others are evicted.
        """
        bucket = self._buckets.get(cookie.domain)
        old = bucket.get(_key(cookie)) if bucket else None
        if cookie.has_expired(now):
            if old is not None:
                self.remove(old)
            return
        self._ticks += 1
        cookie.accessed = self._ticks
        cookie.created = self._ticks if old is None else old.created
        if bucket is None:
            bucket = self._open_bucket(cookie.domain)
        bucket[_key(cookie)] = cookie
        if cookie.expires is not None:
            self._schedule(cookie, cookie.expires)
        if self.on_change and not (old and old.says_the_same(cookie)):
            self.on_change(cookie, False)
        if old is None:
            self.size += 1
            self._enforce_limits(bucket, now)

    def remove(self, cookie: Cookie) -> None:
        """Remove a cookie that is in the store."""
        bucket = self._buckets[cookie.domain]
        del bucket[_key(cookie)]
        self.size -= 1
        if not bucket:
            self._close_bucket(cookie.domain)
        if self.on_change:
            self.on_change(cookie, True)

    def expire(self, now: float) -> None:
        """Remove the cookies that have expired."""
        while self._expiries and self._expiries[0][0] <= now:
            cookie = heapq.heappop(self._expiries)[2]
            if self._holds(cookie):
                self.remove(cookie)

    def matching(self, host: str, path: str, *, secure: bool) -> list[Cookie]:
        """Return the cookies for a request in the order to send them, and mark them as used (§5.8.3 steps 1 to 3).

        `secure` says whether the connection is secure. Without a host, these are the cookies for every host. Call `expire`
        first.
        """
        domains = (host, *_parents(host), "") if host else ("",)
        found = [
            cookie
            for domain in domains
            if (bucket := self._buckets.get(domain))
            for cookie in bucket.values()
            if (secure or not cookie.secure)
            and (domain == host or not cookie.host_only)
            and path_matches(path, cookie.path)
        ]
        found.sort(key=lambda cookie: (-len(cookie.path), cookie.created))
        for cookie in found:
            self._ticks += 1
            cookie.accessed = self._ticks
        return found

    def within(self, domain: str) -> list[Cookie]:
        """Return the cookies of a domain and of the domains below it."""
        return [cookie for name in (domain, *self._below.get(domain, ())) for cookie in self._bucket(name)]

    def overlays_secure(self, cookie: Cookie) -> bool:
        """Whether a cookie would hide, or be mistaken for, a secure one in the store (§5.7 step 16)."""
        above = (other for domain in _parents(cookie.domain) for other in self._bucket(domain))
        return any(
            other.secure and other.name == cookie.name and path_matches(cookie.path, other.path)
            for others in (self.within(cookie.domain), above)
            for other in others
        )

    def _bucket(self, domain: str) -> Iterable[Cookie]:
        return self._buckets.get(domain, {}).values()

    def _holds(self, cookie: Cookie) -> bool:
        return self._buckets.get(cookie.domain, {}).get(_key(cookie)) is cookie

    def _open_bucket(self, domain: str) -> _Bucket:
        for parent in _parents(domain):
            self._below.setdefault(parent, set()).add(domain)
        return self._buckets.setdefault(domain, {})

    def _close_bucket(self, domain: str) -> None:
        del self._buckets[domain]
        for parent in _parents(domain):
            below = self._below[parent]
            below.remove(domain)
            if not below:
                del self._below[parent]

    def _schedule(self, cookie: Cookie, expires: float) -> None:
        if len(self._expiries) > 2 * self.size + _STALE_ENTRIES:
            self._expiries = [entry for entry in self._expiries if self._holds(entry[2])]
            heapq.heapify(self._expiries)
        heapq.heappush(self._expiries, (expires, self._ticks, cookie))

    def _enforce_limits(self, bucket: _Bucket, now: float) -> None:
        """Evict in the standard's order: expired cookies; then those of a domain above its limit, insecure ones first; then any.

        Among equals, the least recently used are evicted first.
        """
        if len(bucket) <= self._max_per_domain and self.size <= self._max_total:
            return
        self.expire(now)
        if len(bucket) > self._max_per_domain:
            self.remove(min(bucket.values(), key=lambda cookie: (cookie.secure, cookie.accessed)))
        if self.size > self._max_total:
            excess = self.size - max(1, int(self._max_total * _KEPT_SHARE))
            for cookie in heapq.nsmallest(excess, self, key=lambda cookie: cookie.accessed):
                self.remove(cookie)
