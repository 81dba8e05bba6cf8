"""WARC 1.1 (ISO 28500:2017): the pages that a crawl kept, as an archive for tools that index and replay web archives.

Records hold less than what went over the wire, since less is kept. Where they depart from the standard, the file itself says so, in
its `warcinfo` record:

- The status line is rebuilt from the status (§6.3 wants the response as it was received).
- Bodies no longer have transfer and content codings. Fields that describe these are renamed `X-Archive-Orig-…`, as archives name
  fields of the original that do not hold for the copy; Content-Length is that of the body.
- There are no `request` records, and none of redirects, failures and robots.txt. A page is recorded under the URL where its redirects
  ended.

Of equal bodies the first is written; the others are `revisit` records that refer to it (§6.7.2), as long as it is among the last
65,536 distinct ones. Bodies are compared by SHA-256, so nobody can make one that passes for another.
"""

from __future__ import annotations

import gzip
import re
import uuid
from base64 import b32encode
from collections import OrderedDict
from datetime import UTC, datetime
from hashlib import sha256
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from crawler.errors import UsageError
from crawler.exports.files import check_writable, replacement
from crawler.paths import expanded
from crawler.settings import DEFAULT_USER_AGENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crawler.page import Page

_BODIES_REMEMBERED = 1 << 16
"""Their digests and records take some 30 MB."""

_REVISIT = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"

_ABOUT = {
    "software": DEFAULT_USER_AGENT,
    "format": "WARC File Format 1.1",
    "conformsTo": "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/",
    "description": "Pages as a crawler kept them: the status line is rebuilt; bodies are without transfer and content coding, and "
    "the header fields that told of these and of the length are named X-Archive-Orig-*; there are no records of requests "
    "and redirects",
}

_OF_THE_WIRE = {"content-encoding", "transfer-encoding", "content-length"}
"""Fields that describe how a body was sent."""

_ends_line = re.compile(r"[\r\n]+")


class _Original(NamedTuple):
    """The record in which a body was first written."""

    id: str
    url: str
    date: str


def write_warc(path: str, pages: Iterable[Page], rules: Mapping[str, Any]) -> int:
    """Write pages to a WARC file, with each record compressed by itself if its name ends in .gz; returns how many. `rules`: those of
    the crawl, of which `user_agent` and `robots` are recorded.

    An existing file is replaced in one step, when everything is written. Raises UsageError and StorageError.
    """
    file = expanded(path).resolve()
    check_writable(file)
    written = 0
    with replacement(file) as target:
        archive = _Archive(target, file.name, rules)
        for page in pages:
            archive.add(page)
            written += 1
        if not written:
            raise UsageError(f"cannot write {path}: no page was kept; crawl run --keep-bodies keeps them")
    return written


class _Archive:
    """A WARC file that is being written. It begins with a record that describes it."""

    def __init__(self, target: IO[bytes], name: str, rules: Mapping[str, Any]) -> None:
        self._target = target
        self._is_packed = name.lower().endswith(".gz")
        self._originals: OrderedDict[bytes, _Original] = OrderedDict()
        fields = {
            "WARC-Filename": name,
            "WARC-Date": _date(datetime.now(UTC)),
            "Content-Type": "application/warc-fields",
        }
        self._info = self._record("warcinfo", fields, _lines((_ABOUT | _crawl_fields(rules)).items()))

    def add(self, page: Page) -> None:
        """Write a page."""
        date = _date(datetime.fromtimestamp(page.fetched_at - page.elapsed, UTC))  # §5.4: when it began to be captured
        digest = sha256(page.body).digest()
        fields = {
            "WARC-Target-URI": page.url,
            "WARC-Date": date,
            "WARC-Warcinfo-ID": self._info,
            "WARC-Payload-Digest": f"sha256:{b32encode(digest).decode()}",
            "Content-Type": "application/http;msgtype=response",
        }
        if original := self._originals.get(digest):
            self._originals.move_to_end(digest)
            self._record("revisit", fields | _references(original), _head(page))
            return
        record = self._record("response", fields, _head(page) + page.body)
        self._originals[digest] = _Original(record, page.url, date)
        if len(self._originals) > _BODIES_REMEMBERED:
            self._originals.popitem(last=False)

    def _record(self, kind: str, fields: Mapping[str, str], block: bytes) -> str:
        """Write a record; returns its id."""
        identifier = f"<{uuid.uuid4().urn}>"
        head = {"WARC-Type": kind, "WARC-Record-ID": identifier, **fields, "Content-Length": str(len(block))}
        record = b"".join((b"WARC/1.1\r\n", _lines(head.items()), b"\r\n", block, b"\r\n\r\n"))
        self._target.write(gzip.compress(record, 6, mtime=0) if self._is_packed else record)
        return identifier


def _crawl_fields(rules: Mapping[str, Any]) -> dict[str, str]:
    if "user_agent" not in rules:  # by an older version
        return {}
    return {"http-header-user-agent": rules["user_agent"], "robots": "classic" if rules["robots"] else "ignore"}


def _references(original: _Original) -> dict[str, str]:
    return {
        "WARC-Profile": _REVISIT,
        "WARC-Refers-To": original.id,
        "WARC-Refers-To-Target-URI": original.url,
        "WARC-Refers-To-Date": original.date,
    }


def _head(page: Page) -> bytes:
    """The head of a response whose body is the one that is kept."""
    fields = [
        (f"X-Archive-Orig-{name}" if name.lower() in _OF_THE_WIRE else str(name), value)
        for name, value in page.headers.items()
    ]
    fields.append(("Content-Length", str(len(page.body))))
    return f"HTTP/1.1 {page.status} {_phrase(page.status)}\r\n".encode() + _lines(fields) + b"\r\n"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _lines(fields: Iterable[tuple[str, str]]) -> bytes:
    return "".join(f"{name}: {_ends_line.sub(' ', value)}\r\n" for name, value in fields).encode()


def _date(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
