"""Which of the requests that are found are made: scope, depth and suspicion, checked once for each, when it is new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from crawler.outcome import Aside, SetAside, Skip
from crawler.web.scope import Scope, with_twin
from crawler.web.urls import host_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from client.origin import HostKey
    from crawler.selection.traps import Traps


class Admission:
    """The rules of one crawl. Seeds are always admitted, and so is what they redirect to; their hosts are in scope."""

    def __init__(self, scope: Any, max_depth: int, traps: Traps | None = None) -> None:
        self._max_depth = max_depth
        self._traps = traps
        self._seeds: set[HostKey] = set()
        declared = Scope.parse(scope)
        self._hosts = set(declared.hosts)
        self.scope = replace(declared, hosts=self._hosts)

    @property
    def seed_names(self) -> frozenset[str]:
        """The host names of the seeds, without port and brackets."""
        return frozenset(urlsplit(f"//{host}").hostname or "" for host in self._seeds)

    def extend(self, seeds: Iterable[str]) -> None:
        """Add seeds, as canonical URLs."""
        for url in seeds:
            host = host_of(url)
            if host not in self._seeds:
                self._seeds.add(host)
                self._hosts.update(with_twin(host))

    def visited(self, url: str, digest: int, found_on: str | None, *, requested_url: str | None = None) -> None:
        """Note a page that has come, before the requests found on it are judged; `digest` is that of its body."""
        if self._traps:
            self._traps.visited(url, digest, found_on, requested_url=requested_url)

    def remember(self, urls: Iterable[str]) -> None:
        """Take note of URLs (canonical) that earlier runs let in."""
        if self._traps:
            self._traps.remember(urls)

    def refuse(self, url: str, depth: int, page: str | None = None, is_alone: bool = False) -> Skip | SetAside | None:
        """Why a new request is not to be made, or not now: see `crawler.frontier.protocol.Admit`."""
        if depth == 0:
            self.extend([url])
            return None
        if not self.scope.admits(url):
            return Skip.SCOPE
        if self._max_depth and depth > self._max_depth:
            return Skip.DEPTH
        if self._traps and (suspicion := self._traps.suspicion(url, page, depth=depth, is_alone=is_alone)):
            return SetAside(Aside.TRAP, suspicion)
        return None
