"""URLs that lead to each other: neither may be left out for the other.

A site sets a cookie on a page that sends the visitor back; or a URL redirects to another, whose page names the first as its canonical
URL. By itself, each could be left out as another name of the other; but if both were, neither would be fetched.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_DETOURS = 4096
_LONGEST = 2048
"""How many are remembered, and how many characters their URLs may have: 16 MiB at most."""

_STEPS = 10
"""Longer cycles are not searched for."""


class Detours:
    """Which URLs were lately left out for which. It is bounded, and forgets the oldest."""

    def __init__(self) -> None:
        self._led_to: OrderedDict[str, str] = OrderedDict()

    def leads_back(self, url: str, other: str) -> bool:
        """Note that `url` is to be left out for `other`; returns whether that was itself left out for `url`, directly or by way of
        others: then `url` must not be."""
        self._note(url, other)
        at: str | None = other
        for _ in range(_STEPS):
            if at is None or at == url:
                break
            at = self._led_to.get(at)
        return at == url and other != url

    def remember(self, steps: Iterable[tuple[str, str]]) -> None:
        """Take up which URLs were left out for which in earlier runs."""
        for url, other in steps:
            self._note(url, other)

    def _note(self, url: str, other: str) -> None:
        if len(url) <= _LONGEST and len(other) <= _LONGEST:
            self._led_to[url] = other
            self._led_to.move_to_end(url)
            if len(self._led_to) > MOST_DETOURS:
                self._led_to.popitem(last=False)
