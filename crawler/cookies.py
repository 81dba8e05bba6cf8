"""The crawl's cookies, in its file: a crawl that goes on is the same visitor as before."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import msgspec

from client import CookieJar
from crawler.frontier.protocol import CookieRow

if TYPE_CHECKING:
    from client.cookie_file import CookieRecord
    from crawler.frontier.protocol import Frontier

_log = logging.getLogger(__name__)


class _Kept(msgspec.Struct):
    """A cookie as the column `data` holds it, in ASCII JSON: bytes from a server that are not UTF-8 are escaped. `place`: of two
    cookies that rank equal, the one with the lower place is sent first."""

    place: int
    cookie: dict[str, object]


async def open_jar(frontier: Frontier) -> CookieJar:
    """A jar with the cookies of earlier runs that have not expired. Changes to it are written with the next commit."""
    jar = CookieJar(unsafe=True)
    last = 0
    try:
        rows = [msgspec.convert(json.loads(row.data or ""), _Kept) for row in await frontier.cookies()]
        rows.sort(key=lambda kept: kept.place)
        jar.restore(kept.cookie for kept in rows)
        last = rows[-1].place if rows else 0
    except (ValueError, msgspec.DecodeError) as error:
        _log.warning("the crawl goes on without the cookies in its file: %s", error)

    def note(record: CookieRecord, place: int | None) -> None:
        data = None if place is None else json.dumps({"place": last + place, "cookie": dict(record)})
        frontier.note_cookies([_row_of(record, data)])

    jar.watch(note)
    return jar


def _row_of(record: CookieRecord, data: str | None) -> CookieRow:
    """The row of a cookie; None as `data` deletes it. A dot before the domain marks a cookie that hosts below it receive as well,
    which is another cookie than the one without. What is not UTF-8 is escaped as Python does it, since this is only a key."""
    domain = record["domain"] if record["host_only"] else f".{record['domain']}"
    domain, path, name = (
        text.encode("utf-8", "backslashreplace").decode() for text in (domain, record["path"], record["name"])
    )
    return CookieRow(domain=domain, path=path, name=name, data=data)
