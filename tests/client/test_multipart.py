"""Multipart bodies: read in any pieces, written by us and by the standard library, nested, cut short and hostile."""

import asyncio
import base64
import contextlib
import gzip
import io
import quopri
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client import ClientSession
from client.body import BytesBody, IterableBody, TextBody
from client.errors import BodyTooLarge, ClientPayloadError, ContentEncodingError
from client.multipart import BodyPartReader, MultipartReader
from client.multipart_writer import MultipartWriter

Headers = Mapping[str, str]
TYPE = {"Content-Type": "multipart/mixed; boundary=b"}
FORM = {"Content-Type": "multipart/form-data; boundary=b"}


T = TypeVar("T")


class Pieces:
    """A network that delivers a body in the pieces given."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter([piece for piece in pieces if piece])
        self._rest = b""

    async def read(self, n: int, /) -> bytes:
        data = self._rest or next(self._pieces, b"")
        self._rest = data[n:]
        return data[:n]


class Hesitant(Pieces):
    """Has whoever reads cancelled once before each piece, as when `wait_for` has waited enough."""

    is_late = False

    async def read(self, n: int, /) -> bytes:
        self.is_late = not self.is_late
        if self.is_late:
            raise asyncio.CancelledError
        return await super().read(n)


async def insist(call: Callable[[], Awaitable[T]]) -> T:
    """Call again whenever it is cancelled."""
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            return await call()


def reader_of(body: bytes, headers: Headers = TYPE, *, step: int | None = None, **limits: int) -> MultipartReader:
    step = step or len(body) or 1
    pieces = [body[start : start + step] for start in range(0, len(body), step)]
    return MultipartReader(headers, Pieces(pieces), **limits)


async def read_all(reader: MultipartReader) -> list[Any]:
    """The contents of all parts, nested lists for nested bodies."""
    return [await read_all(part) if isinstance(part, MultipartReader) else await part.read() async for part in reader]


async def first_part(body: bytes, headers: Headers = TYPE, **limits: int) -> BodyPartReader:
    part = await reader_of(body, headers, **limits).next()
    assert isinstance(part, BodyPartReader)
    return part


# ---- where parts end

BODIES = [
    (b"--b\r\n\r\none\r\n--b\r\nA: B\r\n\r\ntwo\r\n--b--\r\n", [b"one", b"two"]),
    (b"preamble\r\n--b\r\n\r\none\r\n--b--\r\nepilogue", [b"one"]),
    (b"\r\n--b\r\n\r\none\r\n--b--", [b"one"]),
    (b"--b \t \r\n\r\none\r\n--b-- \t\r\n", [b"one"]),
    (b"--b\n\none\n--b\nA: B\n\ntwo\n--b--\n", [b"one", b"two"]),
    (b"--b\r\n\r\n\r\n--b--\r\n", [b""]),
    (b"--b\r\n\r\n--b--\r\n", [b""]),
    (b"--b\r\nA: B\r\n\r\n--b--\r\n", [b""]),
    (b"--b\r\nA: B\r\n--b--\r\n", [b""]),
    (b"--b--\r\n", []),
    (b"--b\r\n\r\n\r\n\r\n\r\n--b--\r\n", [b"\r\n\r\n"]),
    (b"--b\r\n\r\n--bb\r\n--b-\r\n--b---\r\n--b x\r\n --b\r\n-b\r\n\r--b\n-\r\n--b--\r\n",
     [b"--bb\r\n--b-\r\n--b---\r\n--b x\r\n --b\r\n-b\r\n\r--b\n-"]),
    (b"--b\r\n\r\nx--b\r\n--b--", [b"x--b"]),
    (b"--b\r\n\r\none\r\n--b--\r\n--b\r\n\r\nnot a part\r\n--b--", [b"one"]),
]  # fmt: skip


@pytest.mark.parametrize(("body", "contents"), BODIES)
async def test_parts_are_found_in_any_pieces(body: bytes, contents: list[bytes]) -> None:
    for step in (None, 1, 2, 3, 5, 7):
        assert await read_all(reader_of(body, step=step)) == contents


async def test_a_nested_body_whose_boundary_begins_like_the_outer_one() -> None:
    body = (
        b"--b\r\nContent-Type: multipart/alternative; boundary=bb\r\n\r\n"
        b"--bb\r\n\r\none\r\n--bb\r\n\r\ntwo\r\n--bb--\r\n"
        b"\r\n--b\r\n\r\nthree\r\n--b--\r\n"
    )
    for step in (None, 1, 3):
        assert await read_all(reader_of(body, step=step)) == [[b"one", b"two"], b"three"]


@given(
    st.lists(
        st.lists(st.sampled_from([b"\r", b"\n", b"--b", b"-", b"b", b"\r\n--b", b"x", b" "]), max_size=12).map(
            b"".join
        ),
        max_size=4,
    ),
    st.integers(1, 20),
)
async def test_any_content_without_a_delimiter_comes_back(contents: list[bytes], step: int) -> None:
    contents = [content for content in contents if not has_delimiter(content)]
    body = b"".join(b"--b\r\n\r\n" + content + b"\r\n" for content in contents) + b"--b--\r\n"
    assert await read_all(reader_of(body, step=step)) == contents


def has_delimiter(content: bytes) -> bool:
    """By the definition: a line that is the boundary, hyphens or not, and white space."""
    lines = (b"\n" + content + b"\r\n").split(b"\n")
    return any(line.rstrip(b" \t\r") in (b"--b", b"--b--") for line in lines[1:])


@pytest.mark.parametrize("body", [body for body, _ in BODIES if b"--b---" not in body])
async def test_a_body_cut_short_is_an_error(body: bytes) -> None:
    for cut in range(body.index(b"--b--") + 4):
        with pytest.raises(ClientPayloadError, match=r"ends without its closing delimiter|not a header"):
            await read_all(reader_of(body[:cut]))


# ---- reading one part


async def test_reading_by_chunks_lines_and_the_rest() -> None:
    part = await first_part(b"--b\r\n\r\none\r\ntwo\nthree, four\r\n--b--", step=4)
    assert await part.readline() == b"one\r\n"
    assert await part.read_chunk(2) == b"tw"
    assert await part.readline() == b"o\n"
    assert not part.at_eof()
    assert [chunk async for chunk in part] != []
    assert part.at_eof()
    assert await part.readline() == await part.read() == await part.read_chunk() == b""
    with pytest.raises(ValueError, match="cannot read 0 bytes"):
        await part.read_chunk(0)


async def test_what_was_not_read_is_passed_over() -> None:
    body = b"--b\r\n\r\n" + b"one\n" * 50_000 + b"\r\n--b\r\n\r\ntwo\r\n--b--"
    reader = reader_of(body, step=1000)
    first = await reader.next()
    assert isinstance(first, BodyPartReader)
    assert await first.readline() == b"one\n"
    second = await reader.next()
    assert isinstance(second, BodyPartReader)
    assert first.at_eof()
    assert await first.read() == b""
    await second.release()
    assert second.at_eof()
    assert await reader.next() is None
    assert reader.at_eof()
    assert await reader.next() is None


async def test_a_reader_can_be_released_at_any_time() -> None:
    source = Pieces([b"--b\r\n\r\none", b" and more", b"\r\n--b\r\n\r\ntwo\r\n--b--", b"epilogue"])
    reader = MultipartReader(TYPE, source)
    part = await reader.next()
    assert isinstance(part, BodyPartReader)
    await reader.release()
    assert part.at_eof()
    assert await reader.next() is None
    assert await source.read(1) == b""


async def test_the_source_is_read_to_its_end_after_the_last_part() -> None:
    """So that the connection below is free again."""
    source = Pieces([b"--b\r\n\r\none\r\n--b--\r\n", b"epi", b"logue"])
    assert await read_all(MultipartReader(TYPE, source)) == [b"one"]
    assert await source.read(1) == b""


async def test_headers_and_names() -> None:
    part = await first_part(
        b'--b\r\nContent-Disposition: form-data; name="a\xc3\xa4"; filename="/x/b.txt"\r\ncontent-TYPE : text/plain\r\n'
        b"Folded: one\r\n  two\r\n\tthree\r\nX: 1\r\nX: \xff2\r\n\r\n\r\n--b--",
        FORM,
    )
    assert (part.name, part.filename) == ("a\u00e4", "b.txt")
    assert part.headers["Content-Type"] == "text/plain"
    assert part.headers["Folded"] == "one two three"
    assert part.headers.getall("X") == ["1", "\udcff2"]


async def test_a_part_without_a_disposition_has_no_name() -> None:
    part = await first_part(b"--b\r\n\r\n\r\n--b--")
    assert (part.name, part.filename) == (None, None)


@pytest.mark.parametrize(
    ("header", "content", "text"),
    [
        (b"A: B", "\u00e4".encode(), "\u00e4"),
        (b"Content-Type: text/plain; charset=latin-1", b"\xe4", "\u00e4"),
        (b"Content-Type: text/plain; charset=unheard-of", "\u00e4".encode(), "\u00e4"),
        (b"Content-Transfer-Encoding: BASE64", b"w6Q\r\n=", "\u00e4"),
        (b"Content-Transfer-Encoding: base64", b"w6Q", "\u00e4"),
        (b"Content-Transfer-Encoding: quoted-printable", b"=C3=\r\n=A4=3D", "\u00e4="),
        (b"Content-Transfer-Encoding: 8bit", "\u00e4".encode(), "\u00e4"),
        (b"Content-Encoding: gzip", gzip.compress(b"page", mtime=0), "page"),
        (
            b"Content-Encoding: gzip\r\nContent-Transfer-Encoding: base64",
            base64.b64encode(gzip.compress(b"page", mtime=0)),
            "page",
        ),
    ],
)
async def test_decoding(header: bytes, content: bytes, text: str) -> None:
    body = b"--b\r\n" + header + b"\r\n\r\n" + content + b"\r\n--b--"
    assert await (await first_part(body)).text() == text
    assert await (await first_part(body)).read() == content


@pytest.mark.parametrize("size", [1, 4, 7, 100])
async def test_base64_is_decoded_chunk_by_chunk(size: int) -> None:
    """Each by itself, wherever lines end, and whoever is cancelled meanwhile."""
    content = bytes(range(50))
    coded = base64.encodebytes(content).replace(b"\n", b"\r\n") + b"!"
    body = b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + coded + b"\r\n--b--"
    for step in (1, 3, len(body)):
        pieces = Hesitant([body[start : start + step] for start in range(0, len(body), step)])
        reader = MultipartReader(TYPE, pieces)
        part = await insist(reader.next)
        assert isinstance(part, BodyPartReader)
        chunks: list[bytes] = []
        while not part.at_eof():
            chunks.append(await insist(lambda part=part: part.read_chunk(size)))  # type: ignore[misc]
        assert b"".join(chunks) == coded
        assert b"".join(map(part.decode, chunks)) == content
        assert max(map(len, chunks)) < size + 8


async def test_base64_whose_groups_do_not_end() -> None:
    """Whoever reads it in chunks gets no more than a little above what was asked for."""
    blanks = b" " * 100_000
    part = await first_part(b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\nA" + blanks + b"\r\n--b--")
    chunk = await part.read_chunk(10)
    assert 10 < len(chunk) < 2000
    with pytest.raises(ClientPayloadError):
        part.decode(chunk)
    assert len(chunk + await part.read()) == 1 + len(blanks)


async def test_parts_and_chunks_are_iterators() -> None:
    """One of them at a time is to be had, and what is left of them in a second loop."""
    reader = reader_of(b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--", step=1)
    first = await anext(reader)
    assert isinstance(first, BodyPartReader)
    assert await anext(first) == b"o"
    assert [chunk async for chunk in first] == [b"n", b"e"]
    assert len([part async for part in reader]) == 1
    with pytest.raises(StopAsyncIteration):
        await anext(reader)


async def test_a_forms_part_has_no_content_encoding() -> None:
    """RFC 7578 §4.8: such headers are to be ignored."""
    part = await first_part(b"--b\r\nContent-Encoding: gzip\r\n\r\nplain\r\n--b--", FORM)
    assert await part.text() == "plain"


async def test_json_and_forms_in_parts() -> None:
    body = b'--b\r\n\r\n{"a": [1]}\r\n--b\r\n\r\na=1&b=%C3%A4&c=\r\n--b\r\n\r\n \r\n--b--'
    reader = reader_of(body)
    read = []
    for method in (BodyPartReader.json, BodyPartReader.form, BodyPartReader.json):
        part = await reader.next()
        assert isinstance(part, BodyPartReader)
        read.append(await method(part))
    assert read == [{"a": [1]}, [("a", "1"), ("b", "\u00e4"), ("c", "")], None]


async def test_a_form_names_its_charset() -> None:
    """RFC 7578 §4.6; the field is not one of the form's own."""
    field = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    body = (
        field % (b"_charset_", b"iso-8859-1") + field % (b"a", b"\xe4") + field % (b"_charset_", b"nonsense") + b"--b--"
    )
    reader = reader_of(body, FORM)
    part = await reader.next()
    assert isinstance(part, BodyPartReader)
    assert part.name == "a"
    assert await part.text() == "\u00e4"
    assert await reader.next() is None


@pytest.mark.parametrize(
    "body",
    [
        b'--b\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\nzlib\r\n'
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nhi\r\n--b--',
        b"--b\r\nContent-Type: text/plain; charset=punycode\r\n\r\nhi\r\n--b--",
        b"--b\r\nContent-Type: text/plain; charset*=a''b; charset*0=c\r\n\r\nhi\r\n--b--",
    ],
)
async def test_what_is_no_charset_is_as_none(body: bytes) -> None:
    part = await reader_of(body, FORM).next()
    assert isinstance(part, BodyPartReader)
    assert await part.text() == "hi"


# ---- what is refused


@pytest.mark.parametrize(
    ("content_type", "complaint"),
    [
        ("", "not a multipart body"),
        ("text/html; boundary=b", "not a multipart"),
        ("multipart/mixed", "without a boundary"),
    ],
)
def test_a_body_that_is_not_multipart(content_type: str, complaint: str) -> None:
    with pytest.raises(ClientPayloadError, match=complaint):
        reader_of(b"", {"Content-Type": content_type})


@pytest.mark.parametrize("content_type", ['multipart/mixed; boundary="b"', "Multipart/Mixed;BOUNDARY=b; boundary=c; x"])
async def test_forms_of_the_boundary_parameter(content_type: str) -> None:
    assert await read_all(reader_of(BODIES[0][0], {"Content-Type": content_type})) == [b"one", b"two"]


@pytest.mark.parametrize("head", [b"no colon", b": x", b"a b: c", b" folded", b"\xff: x"])
async def test_malformed_headers(head: bytes) -> None:
    with pytest.raises(ClientPayloadError, match="not a header"):
        await read_all(reader_of(b"--b\r\n" + head + b"\r\n\r\n\r\n--b--"))


@pytest.mark.parametrize(
    ("head", "complaint"),
    [
        (b"A: " + b"x" * 100, "exceeds 50 bytes"),
        (b"A: x\r\n" + b" " + b"x" * 48, "exceeds 50 bytes"),
        (b"A: x\r\n" * 4, "more than 3 headers"),
    ],
)
async def test_headers_are_bounded(head: bytes, complaint: str) -> None:
    with pytest.raises(ClientPayloadError, match=complaint):
        await read_all(reader_of(b"--b\r\n" + head + b"\r\n\r\n\r\n--b--", max_field_size=50, max_headers=3))


async def test_parts_are_bounded() -> None:
    body = b"--b\r\n\r\nx\r\n" * 3 + b"--b--"
    assert await read_all(reader_of(body, max_parts=3)) == [b"x"] * 3
    with pytest.raises(ClientPayloadError, match="more than 2 parts"):
        await read_all(reader_of(body, max_parts=2))


async def test_a_part_read_whole_is_bounded() -> None:
    body = b"--b\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"x" * 1000) + b"\r\n--b--"
    part = await first_part(body, max_part_bytes=100)
    with pytest.raises(BodyTooLarge):
        await part.read(decode=True)
    part = await first_part(body, max_part_bytes=10)
    with pytest.raises(BodyTooLarge, match="a part exceeds 10 bytes"):
        await part.read()


@pytest.mark.parametrize("header", [b"Content-Transfer-Encoding: base64", b"Content-Encoding: gzip"])
async def test_parts_that_do_not_decode(header: bytes) -> None:
    part = await first_part(b"--b\r\n" + header + b"\r\n\r\nabcde\r\n--b--")
    with pytest.raises(ClientPayloadError) as caught:
        await part.text()
    assert isinstance(caught.value, ContentEncodingError) is header.startswith(b"Content-Encoding")


@given(
    st.lists(
        st.sampled_from([b"--b", b"--", b"\r\n", b"\n", b"A: B", b"Content-Type: multipart/x; boundary=b", b"x", b" "]),
        max_size=30,
    )
)
async def test_noise_is_read_or_refused(tokens: list[bytes]) -> None:
    try:
        await read_all(reader_of(b"".join(tokens), step=3))
    except ClientPayloadError as error:
        assert str(error)  # noqa: PT017  success is fine too


# ---- writing


async def lines() -> AsyncIterator[bytes]:
    yield b"one\n"
    yield b"two\n"


async def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(b"a,b\r\n" * 50_000)
    with (tmp_path / "data.csv").open("rb") as file, MultipartWriter() as writer:
        writer.append("text \u00e4")
        writer.append(b"bytes", {"X-Header": "\u00e4"})
        writer.append_json({"a": 1})
        writer.append_form([("a", "b c"), ("d", "\u00e4")])
        writer.append(file).set_content_disposition("attachment", filename="\u00e4.csv")
        writer.append(lines())
        assert len(writer) == len(list(writer)) == 6
        assert writer
        assert writer.size is None
        assert writer.in_memory() is None
        assert not writer.can_replay
        body = await writer.as_bytes()
    assert writer.content_type is not None
    reader = reader_of(body, {"Content-Type": writer.content_type}, step=10_000)
    parts = [(dict(part.headers), await part.read()) async for part in reader if isinstance(part, BodyPartReader)]
    assert parts == [
        ({"Content-Type": "text/plain; charset=utf-8", "Content-Length": "7"}, "text \u00e4".encode()),
        ({"X-Header": "\u00e4", "Content-Type": "application/octet-stream", "Content-Length": "5"}, b"bytes"),
        ({"Content-Type": "application/json", "Content-Length": "8"}, b'{"a": 1}'),
        ({"Content-Type": "application/x-www-form-urlencoded", "Content-Length": "14"}, b"a=b+c&d=%C3%A4"),
        (
            {
                "Content-Type": "text/csv",
                "Content-Disposition": "attachment; filename*=utf-8''%C3%A4.csv",
                "Content-Length": "250000",
            },
            b"a,b\r\n" * 50_000,
        ),
        ({"Content-Type": "application/octet-stream"}, b"one\ntwo\n"),
    ]


@pytest.mark.parametrize("subtype", ["mixed", "form-data"])
@given(st.lists(st.tuples(st.binary(max_size=50), st.text('ab\u00e4 "', max_size=5)), max_size=4))
async def test_the_size_is_known_beforehand(subtype: str, parts: list[tuple[bytes, str]]) -> None:
    writer = MultipartWriter(subtype)
    for data, name in parts:
        writer.append(data).set_content_disposition("form-data", name=name)
    body = await writer.as_bytes()
    assert writer.size == len(body)
    assert writer.in_memory() == body
    assert writer.can_replay
    assert await writer.as_bytes() == body


async def test_nested_writers() -> None:
    outer, inner = MultipartWriter("mixed"), MultipartWriter("alternative")
    inner.append("one")
    inner.append("two")
    outer.append(inner)
    outer.append("three")
    assert outer.content_type is not None
    body = await outer.as_bytes()
    assert outer.size == len(body)
    assert await read_all(reader_of(body, {"Content-Type": outer.content_type})) == [[b"one", b"two"], b"three"]


@pytest.mark.parametrize("coding", ["identity", "gzip", "deflate"])
@pytest.mark.parametrize("transfer", ["binary", "base64", "quoted-printable"])
@given(
    pieces=st.lists(st.one_of(st.binary(max_size=70), st.sampled_from([b" \r\n", b"\n", b".", b"=" * 100])), max_size=8)
)
async def test_encodings_are_undone_by_reading(coding: str, transfer: str, pieces: list[bytes]) -> None:
    async def source() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    writer = MultipartWriter(boundary="b")
    writer.append(IterableBody(source()), {"Content-Encoding": coding, "Content-Transfer-Encoding": transfer})
    body = await writer.as_bytes()
    assert await (await first_part(body)).read(decode=True) == b"".join(pieces)
    if coding == "identity" and transfer != "binary":
        encoded = await (await first_part(body)).read()
        undo = base64.decodebytes if transfer == "base64" else quopri.decodestring
        assert undo(encoded) == b"".join(pieces)
        assert all(len(line) <= 76 for line in encoded.split(b"\r\n"))


async def test_an_independent_reader_understands_what_is_written() -> None:
    writer = MultipartWriter("mixed", boundary='odd "boundary"')
    writer.append(TextBody("text \u00e4"), {"Content-Transfer-Encoding": "base64"})
    writer.append(BytesBody(b"\0\r\n=\xff" * 30), {"Content-Transfer-Encoding": "quoted-printable"})
    inner = MultipartWriter("alternative")
    inner.append("inner")
    writer.append(inner)
    head = f"Content-Type: {writer.content_type}\r\n\r\n".encode()
    message = message_from_bytes(head + await writer.as_bytes(), policy=policy.HTTP)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    leaves = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    assert leaves == ["text \u00e4".encode(), b"\0\r\n=\xff" * 30, b"inner"]


async def test_what_an_independent_writer_writes_is_understood() -> None:
    message = EmailMessage(policy=policy.SMTP)
    message.set_content("text \u00e4\n" * 20)
    message.add_attachment(b"\0\xff" * 100, maintype="application", subtype="x", filename="\u00e4 b.bin")
    body = message.as_bytes().partition(b"\r\n\r\n")[2]
    reader = reader_of(body, {"Content-Type": message["Content-Type"]}, step=11)
    text, data = await reader.next(), None
    assert isinstance(text, BodyPartReader)
    assert await text.text() == "text \u00e4\r\n" * 20
    data = await reader.next()
    assert isinstance(data, BodyPartReader)
    assert data.filename == "\u00e4 b.bin"
    assert await data.read(decode=True) == b"\0\xff" * 100
    assert await reader.next() is None


@pytest.mark.parametrize(("subtype", "kind"), [("mixed", "attachment"), ("form-data", "form-data")])
async def test_files_are_called_by_their_names(subtype: str, kind: str, tmp_path: Path) -> None:
    """What a file is called goes along, unless the headers say something else; what has no name is called nothing."""
    writer = MultipartWriter(subtype, "b")
    with (tmp_path / "\u00e4.csv").open("w+b") as file:
        part = writer.append(file)
        assert (part.filename, part.headers["Content-Disposition"].partition(";")[0]) == ("\u00e4.csv", kind)
        assert writer.append(file, {"Content-Disposition": "inline"}).filename is None
    assert writer.append(io.BytesIO(b"")).filename is None


@pytest.mark.parametrize("step", [1, 7, 1000])
async def test_a_reader_that_gives_up_loses_nothing(step: int) -> None:
    """Neither parts nor their heads, nor anything in them."""
    body = b"--b\r\nX-A: 1\r\nX-B: 2\r\n folded\r\n\r\nfirst\nsecond\r\n--b\r\n\r\nthird\r\n--b--\r\n"
    reader = MultipartReader(TYPE, Hesitant([body[at : at + step] for at in range(0, len(body), step)]))
    part = await insist(reader.next)
    assert isinstance(part, BodyPartReader)
    assert dict(part.headers) == {"X-A": "1", "X-B": "2 folded"}
    assert await insist(part.readline) == b"first\n"
    assert await insist(part.read) == b"second"
    part = await insist(reader.next)
    assert isinstance(part, BodyPartReader)
    assert (dict(part.headers), await insist(part.read)) == ({}, b"third")
    assert await insist(reader.next) is None


@pytest.mark.parametrize("step", [1, 7, 1000])
async def test_a_reader_that_gives_up_at_the_charset_of_a_form_knows_it_later(step: int) -> None:
    """In however many pieces it arrives."""
    field = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    body = field % (b"_charset_", b"iso-8859-1") + field % (b"a", b"\xe4") + b"--b--"
    reader = MultipartReader(FORM, Hesitant([body[at : at + step] for at in range(0, len(body), step)]))
    part = await insist(reader.next)
    assert isinstance(part, BodyPartReader)
    assert (part.name, await insist(part.text)) == ("a", "\u00e4")


async def test_a_form_has_names_and_no_lengths() -> None:
    """RFC 7578 §4.2 and §4.8."""
    writer = MultipartWriter("form-data", "b")
    writer.append("one")
    writer.append("two").set_content_disposition("form-data", name="mine", filename="f")
    assert [part.filename for part in writer] == [None, "f"]
    reader = reader_of(await writer.as_bytes(), FORM)
    parts = [part async for part in reader if isinstance(part, BodyPartReader)]
    assert [part.name for part in parts] == ["section-0", "mine"]
    assert not any("Content-Length" in part.headers for part in parts)


async def test_write_awaits_the_writer() -> None:
    class Collector:
        data = b""

        async def write(self, data: bytes, /) -> None:
            await asyncio.sleep(0)
            self.data += data

    collector = Collector()
    writer = MultipartWriter()
    writer.append("one")
    await writer.write(collector)
    assert collector.data == await writer.as_bytes()


@pytest.mark.parametrize("boundary", ["", "a\n", "\u00e4", "a ", "\x7f"])
def test_boundaries_that_cannot_be(boundary: str) -> None:
    with pytest.raises(ValueError, match="boundary"):
        MultipartWriter(boundary=boundary)


def test_a_part_is_compressed_once() -> None:
    """Its size is asked for again and again; headers may be changed in between, until it is sent."""
    part = MultipartWriter().append(b"x" * 1000, {"Content-Encoding": "gzip"})
    assert part._encoded_body() is part._encoded_body()
    assert part.size is not None
    assert part.size < 200
    part.headers["Content-Encoding"] = "identity"
    assert part.size > 1000
    part.headers["Content-Encoding"] = "deflate"
    assert part.size < 200


@pytest.mark.parametrize("headers", [{"Content-Encoding": "br"}, {"Content-Transfer-Encoding": "x-uuencode"}])
def test_encodings_that_are_not_written(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        MultipartWriter().append("x", headers)


@pytest.mark.parametrize("headers", [{"A b": "c"}, {"A": "b\r\nC: d"}, {"A": "\0"}])
async def test_headers_that_would_break_out_are_refused(headers: dict[str, str]) -> None:
    writer = MultipartWriter()
    writer.append("x", headers)
    with pytest.raises(ValueError, match="header"):
        await writer.as_bytes()


async def test_a_body_may_ask_for_headers() -> None:
    class Described(BytesBody):
        @property
        def headers(self) -> dict[str, str]:
            return {"Content-Language": "en", "X": "theirs"}

    writer = MultipartWriter(boundary="b")
    writer.append(Described(b"1"), {"X": "ours"})
    part = await first_part(await writer.as_bytes())
    assert (part.headers["Content-Language"], part.headers.getall("X")) == ("en", ["ours"])


def test_things_that_cannot_be_parts() -> None:
    with pytest.raises(TypeError):
        MultipartWriter().append(object())


# ---- over a real socket


async def test_parts_arrive_while_the_server_still_sends() -> None:
    """A part is there as soon as the next delimiter is, not when the body ends (as in a stream of pictures)."""
    got_first = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"--b\r\n\r\none\r\n--b\r\n")
        await writer.drain()
        await got_first.wait()
        writer.write(b"\r\ntwo\r\n--b--\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        source, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        reader = MultipartReader(TYPE, source)
        contents = []
        async with asyncio.timeout(10):
            async for part in reader:
                assert isinstance(part, BodyPartReader)
                contents.append(await part.read())
                got_first.set()
        writer.close()
        await writer.wait_closed()
    assert contents == [b"one", b"two"]


async def test_a_response_of_several_parts() -> None:
    writer = MultipartWriter("mixed", boundary="between")
    assert writer.boundary == "between"
    writer.append("one")
    writer.append(b"two" * 100_000)
    body = await writer.as_bytes()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed; boundary=between\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, ClientSession() as session, session.get(f"http://{host}:{port}/") as response:
        assert await read_all(MultipartReader.from_response(response)) == [b"one", b"two" * 100_000]
        assert response.content.at_eof()
