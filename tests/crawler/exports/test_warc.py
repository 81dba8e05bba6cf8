"""WARC files as the reference library reads them: whole, true to what was kept, and honest about what was not."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from base64 import b32encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import pytest
from warcio.archiveiterator import ArchiveIterator

from crawler import Crawl, Settings
from crawler.errors import StorageError, UsageError
from crawler.exports import warc
from crawler.exports.warc import write_warc
from crawler.frontier.kept import kept_pages
from crawler.frontier.statefile import StateFile
from spiders.site import SiteSpider
from tests.crawler.test_exports import full_disk
from tests.sites import page, redirect, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crawler.page import Page

HOME = page("Home", "/packed", "/copy", "/moved", "/empty", "/gone")
PACKED = gzip.compress(b"a text that was sent compressed", mtime=0)
SITE = {
    "/": (HOME[0], {"Set-Cookie": "a=1"}, HOME[2]),
    "/packed": (200, {"Content-Type": "text/plain", "Content-Encoding": "gzip"}, PACKED),
    "/copy": (200, {"Content-Type": "text/plain"}, "a text that was sent compressed"),
    "/moved": redirect("/new"),
    "/new": page("New"),
    "/empty": (200, {}, ""),
    "/gone": (404, {}, ""),
}
RULES = {"user_agent": "tester/1.0", "robots": False}


class Record(NamedTuple):
    """One record, read to its end. `http`: the status line and the fields of the response in it."""

    kind: str
    fields: dict[str, str]
    status: str
    http: dict[str, str]
    body: bytes


def records_of(path: Path) -> list[Record]:
    """The records of a file, whose digests are true."""
    with path.open("rb") as file:
        return [
            Record(
                record.rec_type,
                dict(record.rec_headers.headers),
                f"{record.http_headers.protocol} {record.http_headers.statusline}" if record.http_headers else "",
                dict(record.http_headers.headers) if record.http_headers else {},
                record.raw_stream.read(),
            )
            for record in ArchiveIterator(file, check_digests="raise")
        ]


@pytest.fixture
async def state(tmp_path: Path) -> StateFile:
    """The file of a crawl that kept its pages."""
    path = tmp_path / "s.crawl"
    async with serve(SITE) as site, asyncio.timeout(60):
        settings = Settings(robots=False, keep_bodies=True, user_agent="tester/1.0")
        await Crawl(SiteSpider(start_urls=[f"{site.url}/"]), settings, state=path).run()
    return StateFile(path)


def pages_of(state: StateFile) -> Iterator[Page]:
    return (page for _, page in kept_pages(state))


def test_every_page_that_was_kept_is_a_record(state: StateFile, tmp_path: Path) -> None:
    path = tmp_path / "out.warc.gz"
    with state:
        pages = list(pages_of(state))
        assert write_warc(str(path), pages, RULES) == len(pages) == 5
    info, *records = records_of(path)
    assert info.kind == "warcinfo"
    assert info.fields["WARC-Filename"] == "out.warc.gz"
    assert b"http-header-user-agent: tester/1.0\r\nrobots: ignore\r\n" in info.body
    assert [record.fields["WARC-Target-URI"] for record in records] == [page.url for page in pages]
    assert len({record.fields["WARC-Record-ID"] for record in (info, *records)}) == 6
    for record, kept in zip(records, pages, strict=True):
        assert record.fields["WARC-Warcinfo-ID"] == info.fields["WARC-Record-ID"]
        assert record.fields["WARC-Payload-Digest"] == f"sha256:{b32encode(sha256(kept.body).digest()).decode()}"
        at = datetime.fromisoformat(record.fields["WARC-Date"])
        assert abs(datetime.fromtimestamp(kept.fetched_at - kept.elapsed, UTC) - at) < timedelta(milliseconds=1)
        assert record.http["Content-Length"] == str(len(kept.body))
        assert record.body == (kept.body if record.kind == "response" else b"")


def test_heads_are_those_of_the_bodies_as_they_are_kept(state: StateFile, tmp_path: Path) -> None:
    path = tmp_path / "out.warc"
    with state:
        pages = list(pages_of(state))
    pages[-1].status = 299
    write_warc(str(path), pages, {})
    records = {record.fields["WARC-Target-URI"].rpartition("/")[2]: record for record in records_of(path)[1:]}
    home = records[""]
    assert home.status == "HTTP/1.1 200 OK"
    assert home.http["Set-Cookie"] == "a=1"
    packed = records["packed"]
    assert packed.http["X-Archive-Orig-Content-Encoding"] == "gzip"
    assert packed.http["X-Archive-Orig-Content-Length"] == str(len(PACKED))
    assert "Content-Encoding" not in packed.http
    assert packed.http["Content-Type"] == "text/plain"
    assert records["empty"].body == b""
    assert [record.status for record in records.values()] == ["HTTP/1.1 200 OK"] * 4 + ["HTTP/1.1 299"]
    assert "new" in records
    assert "moved" not in records


def test_an_equal_body_is_a_revisit_of_the_first(state: StateFile, tmp_path: Path) -> None:
    path = tmp_path / "out.warc"
    with state:
        write_warc(str(path), pages_of(state), RULES)
    first = next(record for record in records_of(path)[1:] if record.body == b"a text that was sent compressed")
    (again,) = [record for record in records_of(path) if record.kind == "revisit"]
    assert again.fields["WARC-Profile"] == "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
    assert again.fields["WARC-Refers-To"] == first.fields["WARC-Record-ID"]
    assert again.fields["WARC-Refers-To-Target-URI"] == first.fields["WARC-Target-URI"]
    assert again.fields["WARC-Refers-To-Date"] == first.fields["WARC-Date"]
    assert again.fields["WARC-Payload-Digest"] == first.fields["WARC-Payload-Digest"]
    assert again.status == "HTTP/1.1 200 OK"


def test_only_so_many_bodies_are_remembered(state: StateFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warc, "_BODIES_REMEMBERED", 2)
    with state:
        a, b, _, c, *_ = pages_of(state)
        write_warc(str(tmp_path / "out.warc"), [a, b, a, c, a, b], RULES)
    kinds = [record.kind for record in records_of(tmp_path / "out.warc")[1:]]
    assert kinds == ["response", "response", "revisit", "response", "revisit", "response"]


def test_each_record_is_compressed_by_itself(state: StateFile, tmp_path: Path) -> None:
    """So that an index can lead to any of them."""
    path = tmp_path / "out.warc.gz"
    with state:
        write_warc(str(path), pages_of(state), RULES)
    rest, members = path.read_bytes(), list[bytes]()
    while rest:
        inflater = zlib.decompressobj(wbits=31)
        members.append(inflater.decompress(rest))
        rest = inflater.unused_data
    assert len(members) == 6
    assert all(member.startswith(b"WARC/1.1\r\nWARC-Type: ") and member.endswith(b"\r\n\r\n") for member in members)


def test_a_file_is_replaced_only_once_the_new_one_is_complete(state: StateFile, tmp_path: Path) -> None:
    path = tmp_path / "out.warc.gz"
    path.write_text("before")

    def interrupted() -> Iterator[Page]:
        yield next(pages_of(state))
        raise KeyboardInterrupt

    with state:
        before = sorted(tmp_path.iterdir())
        with pytest.raises(KeyboardInterrupt):
            write_warc(str(path), interrupted(), RULES)
        with full_disk(100), pytest.raises(StorageError, match=r"cannot write .*out\.warc\.gz: File too large"):
            write_warc(str(path), pages_of(state), RULES)
        with pytest.raises(UsageError, match="no page was kept; crawl run --keep-bodies keeps them"):
            write_warc(str(path), [], RULES)
        assert path.read_text() == "before"
        assert sorted(tmp_path.iterdir()) == before
