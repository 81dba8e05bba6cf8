"""URLs that lead to each other: neither may be left out for the other.

A site sets a cookie on a page that sends the visitor back; or a URL redirects to another whose page calls it by the first. Each
alone is another name for the other, and need not be fetched twice. Both together would be fetched not once.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_DETOURS = 4096
_LONGEST = 2048
"""So many are remembered, of URLs of so many characters: 16 MiB at the most."""

_STEPS = 10
"""Longer ways round are not looked for."""


class Detours:
    """Where URLs led lately that may be left out for it. It is bounded, and forgets what was noted longest ago."""

    def __init__(self) -> None:
        self._led_to: OrderedDict[str, str] = OrderedDict()

    def leads_back(self, url: str, other: str) -> bool:
        """Note that `url` is to be left out for another; whether that was itself to be left out for `url`, at once or by way of
        others."""
        self._note(url, other)
        at: str | None = other
        for _ in range(_STEPS):
            if at is None or at == url:
                break
            at = self._led_to.get(at)
        return at == url and other != url

    def remember(self, steps: Iterable[tuple[str, str]]) -> None:
        """Take note of where URLs led in earlier runs."""
        for url, other in steps:
            self._note(url, other)

    def _note(self, url: str, other: str) -> None:
        if len(url) <= _LONGEST and len(other) <= _LONGEST:
            self._led_to[url] = other
            self._led_to.move_to_end(url)
            if len(self._led_to) > MOST_DETOURS:
                self._led_to.popitem(last=False)
