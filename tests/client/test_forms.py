"""Forms, as a server's parsers see them: the standard library's, not ours."""

import asyncio
import io
import re
import tempfile
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict, MultiDictProxy

from client import ClientSession
from client.body import BytesBody
from client.forms import FormData
from client.multipart_writer import MultipartWriter


async def sent(form: FormData) -> tuple[str, bytes]:
    """The type and the bytes of a form."""
    body = form.body()
    data = b"".join([part async for part in body.parts()])
    assert body.size in (None, len(data))
    assert body.in_memory() in (None, data)
    return body.content_type or "", data


async def urlencoded(form: FormData) -> list[tuple[str, str]]:
    content_type, data = await sent(form)
    assert content_type == "application/x-www-form-urlencoded"
    return parse_qsl(data.decode("ascii"), keep_blank_values=True, strict_parsing=bool(data))


async def multipart(form: FormData) -> list[dict[str, Any]]:
    """The headers of each part in lower case, its name, file name and content."""
    content_type, data = await sent(form)
    assert content_type.startswith("multipart/form-data; boundary=")
    message = message_from_bytes(b"Content-Type: %s\r\n\r\n%s" % (content_type.encode(), data), policy=policy.HTTP)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return [
        {
            "name": part.get_param("name", header="content-disposition"),
            "filename": part.get_filename(),
            "type": part["content-type"],
            "data": part.get_payload(decode=True),
        }
        for part in message.iter_parts()
    ]


# ---- urlencoded


@pytest.mark.parametrize(
    "fields",
    [
        {"a": "1", "b": "\u00e4 &="},
        [("a", "1"), ("b", "\u00e4 &=")],
        (("a", "1"), ["b", "\u00e4 &="]),
        MultiDict([("a", "1"), ("b", "\u00e4 &=")]),
        MultiDictProxy(MultiDict([("a", "1"), ("b", "\u00e4 &=")])),
        [{"a": 1}, ("b", "\u00e4 &=")],
    ],
)
async def test_fields_in_every_shape(fields: Any) -> None:
    form = FormData(fields)
    assert not form.is_multipart
    assert await urlencoded(form) == [("a", "1"), ("b", "\u00e4 &=")]


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
            st.text(st.characters(exclude_categories=["Cs"])),
        )
    )
)
async def test_urlencoding_is_undone_by_parsing(fields: list[tuple[str, str]]) -> None:
    assert await urlencoded(FormData(fields)) == fields


async def test_repeated_and_listed_values() -> None:
    assert await urlencoded(FormData(MultiDict([("a", "1"), ("a", "2")]))) == [("a", "1"), ("a", "2")]
    assert await urlencoded(FormData({"a": ["1", "2"], "b": 1.5})) == [("a", "1"), ("a", "2"), ("b", "1.5")]


async def test_another_charset() -> None:
    assert await sent(FormData({"a": "\u00e4"}, charset="latin-1")) == (
        "application/x-www-form-urlencoded; charset=latin-1",
        b"a=%E4",
    )


async def test_an_empty_form() -> None:
    assert await urlencoded(FormData()) == []


# ---- multipart


async def test_a_file_makes_the_form_multipart(tmp_path: Path) -> None:
    path = tmp_path / "r\u00e4tes.csv"
    path.write_bytes(b"a;b\r\n" * 100_000)
    with path.open("rb") as file:
        form = FormData({"title": "Rates \u20ac", "file": file})
        assert form.is_multipart
        assert form.body().in_memory() is None
        for _ in range(2):  # as when a redirect sends it again
            assert await multipart(form) == [
                {"name": "title", "filename": None, "type": None, "data": "Rates \u20ac".encode()},
                {"name": "file", "filename": "r\u00e4tes.csv", "type": "text/csv", "data": b"a;b\r\n" * 100_000},
            ]


async def test_files_are_recognised_by_reading() -> None:
    with tempfile.NamedTemporaryFile(suffix=".txt") as named, tempfile.TemporaryFile() as unnamed:
        named.write(b"one")
        named.seek(0)
        form = FormData([("a", io.BytesIO(b"two")), ("b", io.StringIO("\u00e4")), ("c", unnamed)])
        form.add_fields(named, io.BytesIO(b"three"))
        parts = await multipart(form)
        assert [(part["name"], part["filename"]) for part in parts] == [
            ("a", "a"),
            ("b", "b"),
            ("c", "c"),
            (Path(named.name).name, Path(named.name).name),
            ("unknown", "unknown"),
        ]
        assert [part["data"] for part in parts] == [b"two", "\u00e4".encode(), b"", b"one", b"three"]
        assert parts[3]["type"] == "text/plain"


async def test_a_field_can_say_its_type_and_file_name() -> None:
    form = FormData()
    form.add_field("a", "{}", content_type="application/json")
    form.add_field("b", b"\0", filename="x.png")
    form.add_field("c", "text", filename="y.bin", content_type="text/plain")
    form.add_field("d", BytesBody(b"1", "application/pdf"))
    form.add_field("e", BytesBody(b"2", "application/pdf"), filename="z.html")
    assert await multipart(form) == [
        {"name": "a", "filename": None, "type": "application/json", "data": b"{}"},
        {"name": "b", "filename": "x.png", "type": "image/png", "data": b"\0"},
        {"name": "c", "filename": "y.bin", "type": "text/plain", "data": b"text"},
        {"name": "d", "filename": None, "type": "application/pdf", "data": b"1"},
        {"name": "e", "filename": "z.html", "type": "application/pdf", "data": b"2"},
    ]


async def test_a_generator_is_sent_as_it_comes() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    form = FormData({"a": chunks()})
    body = form.body()
    assert body.size is None
    assert not body.can_replay
    (part,) = await multipart(form)
    assert part["data"] == b"onetwo"


async def test_multipart_without_a_file() -> None:
    form = FormData({"a": "1", "b": 2, "c": 1.5}, default_to_multipart=True)
    assert [(part["name"], part["type"], part["data"]) for part in await multipart(form)] == [
        ("a", None, b"1"),
        ("b", None, b"2"),
        ("c", None, b"1.5"),
    ]


async def test_a_charset_is_named_in_each_part() -> None:
    form = FormData({"a": "\u00e4"}, charset="latin-1", default_to_multipart=True)
    _, data = await sent(form)
    assert b"Content-Type: text/plain; charset=latin-1\r\n\r\n\xe4\r\n" in data


@pytest.mark.parametrize("charset", ["koi8-r", "utf-16", "iso2022_jp"])
async def test_text_is_sent_in_the_charset_that_its_type_names(charset: str, tmp_path: Path) -> None:
    """Who reads it goes by that; a file may be kept in another."""
    text = "текст" if charset != "iso2022_jp" else "日本"
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    content_type = f"text/plain; charset={charset}"
    with (tmp_path / "a.txt").open(encoding="utf-8") as file:
        form = FormData()
        for name, value in (("field", text), ("memory", io.StringIO(text)), ("disk", file)):
            form.add_field(name, value, content_type=content_type)
        writer = MultipartWriter()
        writer.append(text, {"Content-Type": content_type})
        _, body = await sent(form)
        assert body.count(b"\r\n\r\n%s\r\n" % text.encode(charset)) == 3
        assert text.encode(charset) in await writer.as_bytes()


async def test_text_that_the_charset_has_no_signs_for() -> None:
    """It is not sent as what it is not."""
    form = FormData()
    form.add_field("a", "текст", content_type="text/plain; charset=latin-1")
    with pytest.raises(ValueError, match="latin-1"):
        await sent(form)


async def test_names_are_escaped_as_browsers_do() -> None:
    """WHATWG HTML, "multipart/form-data encoding algorithm"."""
    form = FormData(default_to_multipart=True)
    form.add_field('a"\r\nX: y', "1", filename='b"\\%.txt')
    _, data = await sent(form)
    assert b'Content-Disposition: form-data; name="a%22%0D%0AX: y"; filename="b%22\\%.txt"\r\n' in data


async def test_names_can_be_escaped_with_backslashes() -> None:
    form = FormData({'a"b': "1"}, quote_fields=False, default_to_multipart=True)
    _, data = await sent(form)
    assert rb'name="a\"b"' in data
    with pytest.raises(ValueError, match="line break"):
        FormData({"a\nb": "1"}, quote_fields=False)


async def test_a_form_can_grow_after_it_was_sent() -> None:
    form = FormData({"a": "1"})
    assert await urlencoded(form) == [("a", "1")]
    assert form.body() is form.body() is form()
    form.add_field("b", "2")
    assert await urlencoded(form) == [("a", "1"), ("b", "2")]
    form.add_field("c", io.BytesIO(b"3"))
    assert len(await multipart(form)) == 3


async def test_a_form_within_a_multipart_body() -> None:
    writer = MultipartWriter()
    writer.append(FormData({"a": "1"}).body())
    assert b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=1" in await writer.as_bytes()


# ---- what aiohttp deprecates, and what nobody can send


async def test_bytes_without_a_file_name_are_deprecated() -> None:
    with pytest.warns(DeprecationWarning, match="filename"):
        form = FormData({"a": b"1"})
    (part,) = await multipart(form)
    assert (part["name"], part["filename"], part["data"]) == ("a", "a", b"1")


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "binary"])
async def test_a_transfer_encoding_is_deprecated_and_honoured(encoding: str) -> None:
    form = FormData()
    with pytest.warns(DeprecationWarning, match="content_transfer_encoding"):
        form.add_field("a", b"\xff=\n", content_transfer_encoding=encoding)
    _, data = await sent(form)
    assert f"Content-Transfer-Encoding: {encoding}\r\n".encode() in data
    (part,) = await multipart(form)
    assert part["data"] == b"\xff=\n"


@pytest.mark.parametrize("fields", ["text", 1, None, [1], [("a", "b", "c")], ["ab"]])
def test_what_is_no_field(fields: Any) -> None:
    with pytest.raises(TypeError, match="a form takes"):
        FormData(fields)


def test_names_and_types_are_text() -> None:
    form = FormData()
    for wrong in ({"name": 1}, {"filename": 1}, {"content_type": 1}, {"content_transfer_encoding": 1}):
        with pytest.raises(TypeError, match="text, not 1"):
            form.add_field(**{"name": "a", "value": "b", **wrong})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown content_transfer_encoding"):
        form.add_field("a", "b", content_transfer_encoding="x")


def test_a_value_that_cannot_be_sent() -> None:
    with pytest.raises(TypeError):
        FormData({"a": object()}, default_to_multipart=True).body()


# ---- over a real socket


async def test_a_form_reaches_a_server(tmp_path: Path) -> None:
    """With a file that is too large for any one write."""
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(range(256)) * 8192)
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"Content-Length: ([0-9]+)", head)[1])  # type: ignore[index]
        received.append(head + await reader.readexactly(length))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, ClientSession() as session:
        with path.open("rb") as file:
            async with session.post(f"http://{host}:{port}/", data={"title": "\u00e4", "file": file}) as response:
                assert response.status == 204
        async with session.post(f"http://{host}:{port}/", data={"a": "\u00e4"}) as response:
            assert response.status == 204
    message = message_from_bytes(received[0].partition(b"\r\n")[2], policy=policy.HTTP)
    assert [part.get_payload(decode=True) for part in message.iter_parts()] == ["\u00e4".encode(), path.read_bytes()]
    assert received[1].endswith(b"\r\n\r\na=%C3%A4")
