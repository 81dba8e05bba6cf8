"""Forms and multipart bodies, as others understand them."""

from __future__ import annotations

import asyncio
import io
from email import message_from_bytes
from typing import TYPE_CHECKING, Any

import pytest

from client import (
    BodyPartReader,
    BodyTooLarge,
    ClientPayloadError,
    ClientSession,
    FormData,
    MultipartReader,
    MultipartWriter,
)
from tests.client.reference.seen import seen
from tests.client.reference.table import exercises

if TYPE_CHECKING:
    from email.message import Message
    from pathlib import Path


async def _parsed(session: ClientSession, asgi: str, data: Any) -> list[Message[str, str]]:
    """Send a multipart body, and return its parts as the standard library reads them."""
    async with session.post(f"{asgi}echo", data=data) as response:
        request = await seen(response)
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    message = message_from_bytes(head + request.body)
    assert message.is_multipart()
    return message.get_payload()  # type: ignore[return-value]


# -- forms


@exercises("FormData", "FormData(fields)", "FormData.add_field", "FormData.add_fields", "FormData.is_multipart")
async def test_a_form_with_a_file_is_multipart(session: ClientSession, httpbin: str, tmp_path: Path) -> None:
    form = FormData([("name", "Käse"), ("count", "3")])
    assert not form.is_multipart
    form.add_fields(("tag", "a"), {"tag": "b"})
    (tmp_path / "notes.txt").write_text("notes")
    with (tmp_path / "notes.txt").open("rb") as file:
        form.add_field("file", file, filename="ours.txt", content_type="text/plain")
        assert form.is_multipart
        async with session.post(f"{httpbin}post", data=form) as response:
            answer = await response.json()
    assert answer["form"] == {"name": "Käse", "count": "3", "tag": ["a", "b"]}
    assert answer["files"] == {"file": "notes"}
    assert answer["headers"]["Content-Type"].startswith("multipart/form-data; boundary=")


@exercises("FormData(charset)")
async def test_a_form_may_have_another_charset(session: ClientSession, asgi: str) -> None:
    async with session.post(f"{asgi}echo", data=FormData({"name": "Käse"}, charset="latin-1")) as response:
        request = await seen(response)
    assert request.body == b"name=K%E4se"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded; charset=latin-1"


@exercises("FormData(default_to_multipart)", "FormData.is_multipart")
async def test_a_form_can_be_multipart_from_the_start(session: ClientSession, asgi: str) -> None:
    form = FormData({"name": "value"}, default_to_multipart=True)
    assert form.is_multipart
    (part,) = await _parsed(session, asgi, form)
    assert part.get_param("name", header="Content-Disposition") == "name"
    assert part.get_payload() == "value"


@exercises("FormData(quote_fields)")
@pytest.mark.parametrize(("quotes", "written"), [(True, 'name="say %22hi%22"'), (False, 'name="say \\"hi\\""')])
async def test_names_are_escaped_as_browsers_do_or_not(
    session: ClientSession, asgi: str, quotes: bool, written: str
) -> None:
    form = FormData(quote_fields=quotes, default_to_multipart=True)
    form.add_field('say "hi"', "value")
    (part,) = await _parsed(session, asgi, form)
    assert part["Content-Disposition"] == f"form-data; {written}"


# -- multipart bodies of other kinds


@exercises(
    "MultipartWriter",
    "MultipartWriter(subtype)",
    "MultipartWriter(boundary)",
    "MultipartWriter.append",
    "MultipartWriter.append_json",
    "MultipartWriter.append_form",
)
async def test_a_body_of_parts_is_understood_by_others(session: ClientSession, asgi: str) -> None:
    with MultipartWriter("related", boundary="here") as body:
        body.append("Käse")
        body.append(io.BytesIO(b"\0bytes"), {"Content-Type": "image/gif", "Content-Transfer-Encoding": "base64"})
        body.append_json({"a": 1})
        body.append_form({"b": "2"})
    assert body.content_type == "multipart/related; boundary=here"
    parts = await _parsed(session, asgi, body)
    assert [part.get_content_type() for part in parts] == [
        "text/plain",
        "image/gif",
        "application/json",
        "application/x-www-form-urlencoded",
    ]
    assert [part.get_payload(decode=True) for part in parts] == ["Käse".encode(), b"\0bytes", b'{"a": 1}', b"b=2"]


@exercises("BodyPartReader.form")
async def test_what_is_written_can_be_read(session: ClientSession, asgi: str) -> None:
    with MultipartWriter() as body:
        body.append_form([("b", "2"), ("c", "")])
    reader = await _reader(session, asgi, body)
    part = await reader.next()
    assert isinstance(part, BodyPartReader)
    assert await part.form() == [("b", "2"), ("c", "")]


@exercises(*(f"MultipartReader({name})" for name in ("max_field_size", "max_headers", "max_parts", "max_part_bytes")))
@pytest.mark.parametrize(
    ("bound", "error"),
    [
        ({"max_field_size": 20}, ClientPayloadError),
        ({"max_headers": 1}, ClientPayloadError),
        ({"max_parts": 1}, ClientPayloadError),
        ({"max_part_bytes": 4}, BodyTooLarge),
    ],
    ids=str,
)
async def test_multipart_bodies_are_bounded(
    session: ClientSession, asgi: str, bound: dict[str, int], error: type[Exception]
) -> None:
    with MultipartWriter() as body:
        body.append(b"first", {"X-Ours": "1"})
        body.append(b"second", {"X-Ours": "2"})
    reader = await _reader(session, asgi, body, **bound)
    with pytest.raises(error):
        async for part in reader:
            assert isinstance(part, BodyPartReader)
            await part.read()


async def _reader(session: ClientSession, asgi: str, body: MultipartWriter, **bounds: int) -> MultipartReader:
    """Have a body carried to a server and back, and return a reader of it."""
    async with session.post(f"{asgi}echo", data=body) as response:
        request = await seen(response)
    content = asyncio.StreamReader()
    content.feed_data(request.body)
    content.feed_eof()
    return MultipartReader(request.headers, content, **bounds)
