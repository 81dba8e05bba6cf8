"""Writing multipart bodies (RFC 2046 §5.1, RFC 7578), part by part: files on disk are not held in memory."""

import asyncio
import base64
import binascii
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Final, Protocol, Self
from urllib.parse import urlencode

from multidict import CIMultiDict

from client.body import Body, BytesBody, FileBody, close, compress_body, make_body, name_of
from client.disposition import (
    content_disposition_filename,
    format_content_disposition,
    parse_content_disposition,
)
from client.fields import write_headers
from client.grammar import is_token, quoted
from client.media_type import parse_media_type

__all__ = ["MultipartWriter", "Part"]

TRANSFER_ENCODINGS: Final = ("base64", "quoted-printable", "binary", "8bit", "7bit")
"""The values of Content-Transfer-Encoding (RFC 2045 §6.1); the last three have no effect."""

_BASE64_LINE_BYTES: Final = 57
"""So many bytes make a line of 76 characters, the longest that RFC 2045 §6.8 allows."""


class Writer(Protocol):
    """The destination of `MultipartWriter.write`."""

    async def write(self, data: bytes, /) -> object: ...


class Part:
    """One part: a body and its headers, which may be changed until it is sent."""

    __slots__ = ("_compressed", "_is_form_data", "body", "headers")

    def __init__(self, body: Body, headers: CIMultiDict[str], *, is_form_data: bool) -> None:
        self.body = body
        self.headers = headers
        self._is_form_data = is_form_data
        self._compressed: tuple[Body, str, Body] | None = None  # a body, its coding, and the compressed body

    @property
    def filename(self) -> str | None:
        """The file name in Content-Disposition, as the recipient will read it."""
        return content_disposition_filename(parse_content_disposition(self.headers.get("Content-Disposition"))[1])

    @property
    def size(self) -> int | None:
        """The number of bytes including the headers, or None if that is not known."""
        body = self._encoded_body()
        return None if body.size is None or self._transfer_encoding() else len(self._head(body)) + body.size

    async def measure(self) -> None:
        """Make the size known, as `Body.measure` does."""
        await self.body.measure()
        body = self._encoded_body()
        if body.size is None and body is not self.body and self.body.in_memory() is not None:
            coding = self._content_coding
            compressed = await asyncio.to_thread(compress_body, self.body, coding, keeps_size=True)
            self._compressed = (self.body, coding, compressed)

    def set_content_disposition(self, disptype: str, quote_fields: bool = True, **params: str) -> None:
        """Set the Content-Disposition header; see `format_content_disposition`."""
        self.headers["Content-Disposition"] = format_content_disposition(disptype, params, quote_fields=quote_fields)

    def set_names(self, name: str, filename: str | None) -> None:
        """Set the same header: in a form to the name of the field, and for a file to the name of the file."""
        if self._is_form_data:
            names = {"name": name} if filename is None else {"name": name, "filename": filename}
            self.headers["Content-Disposition"] = format_content_disposition("form-data", names)
        elif filename is not None:
            self.set_content_disposition("attachment", filename=filename)

    async def parts(self) -> AsyncIterator[bytes]:
        """Iterate over the bytes: the headers, then the body in its encodings."""
        body = self._encoded_body()
        yield self._head(body)
        chunks = body.parts()
        match self._transfer_encoding():
            case "base64":
                chunks = _encode_base64(chunks)
            case "quoted-printable":
                chunks = _encode_quoted_printable(chunks)
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            await close(chunks)

    def in_memory(self) -> bytes | None:
        """Return all bytes if they are in memory anyway; else None."""
        body = self._encoded_body()
        data = None if self._transfer_encoding() else body.in_memory()
        return None if data is None else self._head(body) + data

    def _head(self, body: Body) -> bytes:
        """Return the headers as they are sent, in UTF-8 (RFC 7578 §5.1). Raises ValueError for those that would break a line."""
        headers = self.headers.copy()
        if not self._is_form_data and body.size is not None and not self._transfer_encoding():
            headers.setdefault("Content-Length", str(body.size))
        return f"{write_headers(headers)}\r\n".encode("utf-8", "surrogateescape")

    @property
    def _content_coding(self) -> str:
        return self.headers.get("Content-Encoding", "identity").lower()

    def _encoded_body(self) -> Body:
        coding = self._content_coding
        if coding == "identity":
            return self.body
        if self._compressed is None or self._compressed[:2] != (self.body, coding):
            self._compressed = (self.body, coding, compress_body(self.body, coding))
        return self._compressed[2]

    def _transfer_encoding(self) -> str | None:
        encoding = self.headers.get("Content-Transfer-Encoding", "binary").lower()
        return encoding if encoding in ("base64", "quoted-printable") else None


class MultipartWriter(Body):
    """A body of several parts, which may be multipart themselves. Give it as `data=`, or append it to another.

    `subtype` is that of ``multipart/``; `boundary` is random unless it is given. Raises ValueError for one that is not of
    printable ASCII characters.
    """

    def __init__(self, subtype: str = "mixed", boundary: str | None = None) -> None:
        boundary = uuid.uuid4().hex if boundary is None else boundary
        if not (boundary and boundary.isascii() and boundary.isprintable()) or boundary.endswith(" "):
            raise ValueError(f"a boundary must be printable ASCII characters and not end in a space: {boundary!r}")
        self._boundary = boundary
        self._is_form_data = subtype == "form-data"
        self._parts: list[Part] = []
        self.content_type = f"multipart/{subtype}; boundary={boundary if is_token(boundary) else quoted(boundary)}"

    @property
    def boundary(self) -> str:
        return self._boundary

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Do nothing: ``with`` only shows where the parts are added."""

    def __iter__(self) -> Iterator[Part]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __bool__(self) -> bool:
        return True

    def append(self, obj: Any, headers: Mapping[str, str] | None = None) -> Part:
        """Add a part and return it. `obj` is anything that can be sent as `data=`, including a `Body`, except forms.

        Text is sent in the charset that Content-Type names, or in UTF-8. If the headers include Content-Encoding (``gzip``,
        ``deflate``, ``identity``) or Content-Transfer-Encoding (``base64``, ``quoted-printable``, or one without effect), the
        part is encoded accordingly; ValueError is raised for others. Without a Content-Disposition, a file gets one with its
        name, and in ``form-data`` every part gets one with a name.
        """
        all_headers = CIMultiDict(headers or {})
        body = make_body(obj, parse_media_type(all_headers.get("Content-Type", "")).charset or "utf-8")
        if body.content_type is not None:
            all_headers.setdefault("Content-Type", body.content_type)
        for name, value in body.headers.items():
            all_headers.setdefault(name, value)
        _check(all_headers, "Content-Encoding", ("gzip", "deflate", "identity"))
        _check(all_headers, "Content-Transfer-Encoding", TRANSFER_ENCODINGS)
        part = Part(body, all_headers, is_form_data=self._is_form_data)
        if "Content-Disposition" not in all_headers:
            part.set_names(f"section-{len(self._parts)}", name_of(obj) if isinstance(body, FileBody) else None)
        self._parts.append(part)
        return part

    def append_json(
        self, obj: Any, headers: Mapping[str, str] | None = None, *, dumps: Callable[[Any], str] = json.dumps
    ) -> Part:
        """Add a part of type ``application/json``."""
        return self.append(BytesBody(dumps(obj).encode(), "application/json"), headers)

    def append_form(
        self, obj: Mapping[str, Any] | list[tuple[str, Any]], headers: Mapping[str, str] | None = None
    ) -> Part:
        """Add a part of type ``application/x-www-form-urlencoded``."""
        body = BytesBody(urlencode(obj, doseq=True).encode(), "application/x-www-form-urlencoded")
        return self.append(body, headers)

    @property
    def size(self) -> int | None:
        """The number of bytes, or None if that is not known before they are sent."""
        total = len(self._end())
        for part in self._parts:
            size = part.size
            if size is None:
                return None
            total += len(self._start()) + size + 2
        return total

    async def measure(self) -> None:
        """Make the size known as far as the parts allow it."""
        for part in self._parts:
            await part.measure()

    @property
    def can_replay(self) -> bool:
        """Whether every part can be sent again."""
        return all(part.body.can_replay for part in self._parts)

    async def parts(self) -> AsyncIterator[bytes]:
        """Iterate over the bytes."""
        for part in self._parts:
            start = self._start()
            chunks = part.parts()
            try:
                async for chunk in chunks:
                    yield start + chunk
                    start = b""
            finally:
                await close(chunks)
            yield b"\r\n"
        yield self._end()

    def in_memory(self) -> bytes | None:
        """Return the whole body if all of it is in memory anyway; else None."""
        chunks = []
        for part in self._parts:
            data = part.in_memory()
            if data is None:
                return None
            chunks += [self._start(), data, b"\r\n"]
        return b"".join([*chunks, self._end()])

    async def write(self, writer: Writer) -> None:
        """Write the body to an object with an asynchronous `write`."""
        async for chunk in self.parts():
            await writer.write(chunk)

    def _start(self) -> bytes:
        return f"--{self._boundary}\r\n".encode()

    def _end(self) -> bytes:
        return f"--{self._boundary}--\r\n".encode()


def _check(headers: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> None:
    value = headers.get(name)
    if value is not None and value.lower() not in allowed:
        raise ValueError(f"{name} cannot be {value!r}, only one of {', '.join(allowed)}")


async def _encode_base64(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Encode in base64 (RFC 2045 §6.8)."""
    rest = b""
    try:
        async for chunk in chunks:
            rest += chunk
            whole = len(rest) - len(rest) % _BASE64_LINE_BYTES
            yield base64.encodebytes(rest[:whole]).replace(b"\n", b"\r\n")
            rest = rest[whole:]
    finally:
        await close(chunks)
    yield base64.b64encode(rest)


async def _encode_quoted_printable(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Encode binary data (RFC 2045 §6.7): its line breaks are encoded too, and those in the output are soft."""
    try:
        async for chunk in chunks:
            encoded = binascii.b2a_qp(chunk, istext=False)
            yield encoded.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + b"=\r\n"
    finally:
        await close(chunks)
