"""The sites that are crawled: two of Debian's documentation, and one of many hosts that is made up."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tests.servers import corpus, generated
from tests.servers.nginx import Nginx, find_nginx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.corpus import Section

HOSTS = 50
KEEPALIVE_REQUESTS = 1 << 30


class Served(NamedTuple):
    """A site while it is up: the page to begin with, and what the URL of each of its pages begins with."""

    start: str
    prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A site of one host that serves `sections`; without them, the one that is made up, of many hosts."""

    name: str
    title: str
    pages: str
    """What its pages are like, in words."""
    sections: tuple[Section, ...] = ()

    def lacking(self) -> list[str]:
        """The Debian packages that it needs and that are not installed."""
        return list(dict.fromkeys(corpus.missing(self.sections) + ([] if find_nginx() else ["nginx-light"])))

    @property
    def description(self) -> str:
        if not self.sections:
            return f"{HOSTS} hosts that link to one another, each a loopback address; made up by rule, {self.pages}"
        packages = dict.fromkeys(f"`{section.package}`" for section in self.sections)
        return f"the documentation in Debian's {', '.join(packages)}, on one host, {self.pages}"

    @contextmanager
    def served(self, folder: Path) -> Iterator[Served]:
        """Lay it out in `folder`, and serve it by nginx for as long as the `with` block lasts."""
        root = folder / "root"
        if self.sections:
            corpus.build(root, self.sections)
            with Nginx(root, folder, journal=False, keepalive_requests=KEEPALIVE_REQUESTS) as server:
                yield Served(server.url, server.url)
            return
        hosts = generated.addresses(HOSTS)
        with Nginx(root, folder, addresses=hosts, journal=False, keepalive_requests=KEEPALIVE_REQUESTS) as server:
            generated.build(root, hosts, server.port)
            yield Served(server.url, f"http://{generated.PREFIX}")


_PYTHON, _POSTGRESQL, _BOOST = corpus.SECTIONS
SITES = (
    Site(
        name="docs",
        title="Documentation",
        pages="15 KB and 24 links a page, 10 of them distinct",
        sections=(_POSTGRESQL, _BOOST),
    ),
    Site(
        name="heavy",
        title="Heavier pages",
        pages="27 KB and 66 links a page, 11 of them distinct",
        sections=(_PYTHON, _POSTGRESQL, _BOOST, corpus.LIBSTDCXX),
    ),
    Site(name="hosts", title="Many hosts", pages="13 KB and 33 links a page, 19 of them distinct"),
)
