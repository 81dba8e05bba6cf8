"""The pages that a crawl kept, read back from its file."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from crawler.frontier.integrity import damaged, making_sense
from crawler.frontier.rows import lease_of
from crawler.headers import headers_from_json
from crawler.page import Page
from crawler.store import decompress
from crawler.web.directives import OBEDIENT, Obedience
from crawler.web.urls import host_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.frontier.protocol import Lease
    from crawler.frontier.statefile import StateFile

_KEPT = """
SELECT request.id, request.url, request.depth, referrer.url, request.extra,
       coalesce(result.final_url, request.url), result.redirects, result.status, result.fetched_at, result.elapsed,
       response.headers, body.data, body.pack, body.start, body.size
FROM response JOIN body ON body.digest = response.body
JOIN request ON request.id = response.request JOIN result ON result.request = response.request
LEFT JOIN request AS referrer ON referrer.id = request.found_on
ORDER BY request.id"""

_IN_PACK = "SELECT count(*) FROM response JOIN body ON body.digest = response.body WHERE body.pack = ?"

_PACKS_AT_HAND = 64
"""How many packs, 32 MiB in all, stay decompressed. Pages are read in the order in which they were found, which is not the order in
which they were fetched if hosts took turns: with fifty hosts, a page takes 630 µs with 8 packs at hand, and 57 with 64."""


def kept_pages(file: StateFile) -> Iterator[tuple[Lease, Page]]:
    """Each page that was kept, with the lease under which it was fetched, in the order of discovery. What pages say to robots is
    obeyed as the last run did.

    Raises StateDamaged when a body, or its record, cannot be read.
    """
    obedience = _obedience(file)
    bodies = Bodies(file)
    for row in file.query(_KEPT):
        number, _, _, _, _, final_url, redirects, status, fetched_at, elapsed, headers, *place = row
        with making_sense(file.path):
            lease = lease_of((number, 0, 0, 0, None, *row[1:5]), host_of(final_url))
            lease.url = final_url
            lease.redirects = tuple(msgspec.json.decode(redirects)) if redirects else ()
            fields = headers_from_json(headers)
        try:
            body = bodies.read(*place)
        except ValueError as error:
            raise damaged(file.path, f"the body of {lease.requested_url} is lost, {error}") from None
        yield (
            lease,
            Page(
                lease,
                url=final_url,
                status=status,
                headers=fields,
                body=body,
                fetched_at=fetched_at,
                elapsed=elapsed,
                obedience=obedience,
            ),
        )


class Bodies:
    """The bodies that a crawl kept. The packs that were read last stay in memory."""

    def __init__(self, file: StateFile) -> None:
        self._file = file
        self._pack = lru_cache(maxsize=_PACKS_AT_HAND)(self._read_pack)

    def of(self, url: str, digest: str) -> bytes:
        """The body of the page at `url`, by its digest. Raises StateDamaged when it cannot be read."""
        try:
            for place in self._file.look_up("SELECT data, pack, start, size FROM body WHERE digest = ?", (digest,)):
                return self.read(*place)
            raise ValueError("it is gone")
        except ValueError as error:
            raise damaged(self._file.path, f"the body of {url} is lost, {error}") from None

    def read(self, data: bytes, pack: int | None, start: int, size: int) -> bytes:
        """The body that a row of the table `body` describes: in `data` if it is stored alone, otherwise a part of its pack. Raises
        ValueError when it is damaged, which says what else is lost with it."""
        if pack is None:
            return decompress(data)
        try:
            whole = self._pack(pack)
            if not 0 <= start <= start + size <= len(whole):
                raise ValueError("it is too short")
        except (ValueError, TypeError) as error:
            ((pages,),) = self._file.query(_IN_PACK, (pack,))
            raise ValueError(f"with all {pages:,} that are kept in pack {pack}: {error}") from None
        return whole[start : start + size]

    def _read_pack(self, pack: int) -> bytes:
        for (data,) in self._file.look_up("SELECT data FROM pack WHERE id = ?", (pack,)):
            return decompress(data)
        raise ValueError("it is gone")


def _obedience(file: StateFile) -> Obedience:
    """The obedience of the last run; the default for a file that is too old to say."""
    rules = file.described("rules")
    if "nofollow" not in rules:
        return OBEDIENT
    return Obedience.of(**{name: rules[name] for name in ("user_agent", "robots", "nofollow")})
