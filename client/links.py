"""The Link header (RFC 8288)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from multidict import MultiDict, MultiDictProxy
from yarl import URL

from client.urls import parse_url

if TYPE_CHECKING:
    from collections.abc import Iterable

Link = MultiDictProxy[str | URL]

_TARGET: Final = re.compile(r"<([^<>]*)>")
_PARAMETER: Final = re.compile(r"""\s*;\s*([^\s=;,"]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?""")


def parse_links(values: Iterable[str], base: URL) -> MultiDictProxy[Link]:
    """Parse Link headers. Return, by relation type (by target if there is none), each link's parameters and absolute `url`.

    A link whose target is not a URL is left out; text that cannot be parsed is skipped up to the next target.
    """
    links: MultiDict[Link] = MultiDict()
    for value in values:
        at = 0
        while target := _TARGET.search(value, at):
            at = target.end()
            link: MultiDict[str | URL] = MultiDict()
            while parameter := _PARAMETER.match(value, at):
                at = parameter.end()
                name, quoted, plain = parameter.groups()
                link.add(name.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain or "")
            try:
                link.add("url", base.join(parse_url(target[1])))
            except ValueError:
                continue
            links.add(str(link.get("rel", target[1])), MultiDictProxy(link))
    return MultiDictProxy(links)
