"""The crawl's cookies, in its file: a crawl that goes on is the same visitor as before."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from client import CookieJar
from crawler.frontier.protocol import CookieRow

if TYPE_CHECKING:
    from client.cookie_file import CookieRecord
    from crawler.frontier.protocol import Frontier

_log = logging.getLogger(__name__)


async def open_jar(frontier: Frontier) -> CookieJar:
    """A jar with the cookies of earlier runs that have not expired. What changes in it goes with the next commit."""
    jar = CookieJar(unsafe=True)
    rows = await frontier.cookies()
    try:
        jar.restore(msgspec.json.decode(row.data) for row in rows if row.data is not None)
    except (ValueError, msgspec.DecodeError) as error:
        _log.warning("the crawl goes on without the cookies in its file: %s", error)
    jar.watch(lambda record, is_gone: frontier.note_cookies([_row_of(record, is_gone=is_gone)]))
    return jar


def _row_of(record: CookieRecord, *, is_gone: bool) -> CookieRow:
    """The dot before a domain says that the hosts below it receive the cookie as well: those are cookies of their own."""
    return CookieRow(
        domain=record["domain"] if record["host_only"] else f".{record['domain']}",
        path=record["path"],
        name=record["name"],
        data=None if is_gone else msgspec.json.encode(record).decode(),
    )
