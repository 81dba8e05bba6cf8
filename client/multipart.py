"""Reading multipart bodies (RFC 2046 §5.1), part by part as they arrive.

The content of a part is itself a source of bytes, so a nested body is read by a reader over its part: each reader knows
only its own boundary. One piece of the source is held at a time, apart from parts that are read whole.

A body that ends without its closing delimiter is an error: a truncated part must not pass for a whole one.
"""

import asyncio
import base64
import binascii
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, Protocol, Self
from urllib.parse import parse_qsl

from multidict import CIMultiDict, CIMultiDictProxy

from client.decoding import decode_whole
from client.delimiters import PIECE_BYTES, ByteSource, Content, Scanner
from client.disposition import content_disposition_filename, parse_content_disposition, split_parameters
from client.errors import BodyTooLarge, ClientPayloadError
from client.media_type import known_charset, parse_media_type

__all__ = ["BodyPartReader", "MultipartReader"]

MAX_FIELD_BYTES: Final = 8190
MAX_HEADERS: Final = 128
MAX_PARTS: Final = 10_000
MAX_PART_BYTES: Final = 64 * 1024 * 1024

_FIELD: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*:(.*)", re.DOTALL)

_NOT_BASE64: Final = bytes(set(range(256)) - {*b"+/=0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"})
"""Bytes that base64 ignores, such as line breaks (RFC 2045 §6.8)."""

_MAX_GROUP_BYTES: Final = 1024
"""How many further bytes are read to complete a group of four."""


class MultipartResponse(Protocol):
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def content(self) -> ByteSource: ...


class BodyPartReader:
    """One part: its `headers` and its content, which can be read once. Made by `MultipartReader`.

    Reading raises `ClientPayloadError` if the multipart body is malformed or truncated, and `BodyTooLarge` if a part that is
    read whole exceeds the reader's bound.
    """

    def __init__(
        self,
        headers: CIMultiDictProxy[str],
        content: Content,
        *,
        is_form_data: bool = False,
        default_charset: str | None = None,
        max_bytes: int = MAX_PART_BYTES,
    ) -> None:
        self.headers = headers
        self._content = content
        self._is_form_data = is_form_data
        self._default_charset = default_charset
        self._max_bytes = max_bytes
        self._disposition = parse_content_disposition(headers.get("Content-Disposition"))[1]

    @property
    def name(self) -> str | None:
        """The name of a form's field."""
        return content_disposition_filename(self._disposition, "name")

    @property
    def filename(self) -> str | None:
        """The file's name, without folders."""
        return content_disposition_filename(self._disposition, "filename")

    def at_eof(self) -> bool:
        """Whether the part has been read to its end."""
        return self._content.has_ended

    def get_charset(self, default: str = "utf-8") -> str:
        """Return the charset that the part names, else that of its form, else `default`."""
        return parse_media_type(self.headers.get("Content-Type", "")).charset or self._default_charset or default

    async def read_chunk(self, size: int = 8192) -> bytes:
        """Return up to `size` bytes as they were sent; none at the end.

        For a part in base64, a few more are returned to complete a group of four characters, so that `decode` takes each chunk.
        """
        chunk = await self._content.read(size)
        return await self._in_groups(chunk) if self._transfer_encoding == "base64" else chunk

    async def readline(self) -> bytes:
        """Return the next line with its line end, as it was sent, or its first 64 KiB; nothing at the end."""
        return await self._content.readline(PIECE_BYTES)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if chunk := await self.read_chunk(PIECE_BYTES):
            return chunk
        raise StopAsyncIteration

    async def read(self, *, decode: bool = False) -> bytes:
        """Return the rest of the part, as it was sent, or with `decode` decoded."""
        data = bytearray()
        try:
            async for chunk in self:
                data += chunk
                if len(data) > self._max_bytes:
                    raise BodyTooLarge(f"a part exceeds {self._max_bytes} bytes")
        except asyncio.CancelledError:
            self._content.give_back(data)
            raise
        return self.decode(bytes(data)) if decode else bytes(data)

    async def release(self) -> None:
        """Read the part to its end and discard it."""
        while await self.read_chunk(PIECE_BYTES):
            pass

    async def text(self, *, encoding: str | None = None, errors: str = "strict") -> str:
        """Return the decoded part as text, in `encoding`, or else in the charset of `get_charset`."""
        data = await self.read(decode=True)
        return data.decode(encoding or self.get_charset(), errors)

    async def json(self, *, encoding: str | None = None, loads: Callable[[str], Any] = json.loads) -> Any:
        """Return the decoded part parsed as JSON, None for an empty one. Raises what `loads` raises."""
        text = await self.text(encoding=encoding)
        return loads(text) if text.strip() else None

    async def form(self, *, encoding: str | None = None) -> list[tuple[str, str]]:
        """Return the decoded part as the fields of a urlencoded form, in (name, value) pairs."""
        data = await self.read(decode=True)
        encoding = encoding or self.get_charset()
        text = data.decode(encoding).strip()
        return parse_qsl(text, keep_blank_values=True, encoding=encoding)

    def decode(self, data: bytes) -> bytes:
        """Undo the part's Content-Transfer-Encoding, and, except in forms, its Content-Encoding."""
        match self._transfer_encoding:
            case "base64":
                data = _decode_base64(data)
            case "quoted-printable":
                data = binascii.a2b_qp(data)
        if self._is_form_data:  # RFC 7578 §4.8
            return data
        return decode_whole(self.headers.get("Content-Encoding", ""), data, self._max_bytes)

    @property
    def _transfer_encoding(self) -> str:
        return self.headers.get("Content-Transfer-Encoding", "").strip().lower()

    async def _in_groups(self, chunk: bytes) -> bytes:
        """Return a chunk of base64 with the rest of its last group, if that follows within `_MAX_GROUP_BYTES`."""
        taken, signs = bytearray(chunk), _count_signs(chunk)
        try:
            while signs % 4 and len(taken) - len(chunk) < _MAX_GROUP_BYTES:
                if not (more := await self._content.read(4 - signs % 4)):
                    break
                taken += more
                signs += _count_signs(more)
        except asyncio.CancelledError:
            self._content.give_back(taken)
            raise
        return bytes(taken)


class MultipartReader:
    """Iterates over the parts of a multipart body: ``async for part in MultipartReader.from_response(resp)``.

    A part that is itself multipart comes as another `MultipartReader`. Getting the next part skips the unread rest of the last
    one. Raises `ClientPayloadError` if the body is not multipart, malformed or truncated, if a header line exceeds
    `max_field_size` bytes, or if there are more than `max_headers` headers in a part or `max_parts` parts. `max_part_bytes`
    bounds parts that are read whole.
    """

    def __init__(
        self,
        headers: Mapping[str, str],
        content: ByteSource,
        *,
        max_field_size: int = MAX_FIELD_BYTES,
        max_headers: int = MAX_HEADERS,
        max_parts: int = MAX_PARTS,
        max_part_bytes: int = MAX_PART_BYTES,
    ) -> None:
        self.headers = headers
        self._subtype, boundary = _parse_multipart_type(headers.get("Content-Type", ""))
        self._scanner = Scanner(content, boundary)
        self._max_field_size = max_field_size
        self._max_headers = max_headers
        self._max_parts = max_parts
        self._max_part_bytes = max_part_bytes
        self._parts = 0
        self._content: Content | None = None  # of the last part
        self._fields: list[bytes] | None = None  # the lines of its headers, until all of them have been read
        self._default_charset: str | None = None
        self._charset_part: BodyPartReader | None = None  # until it has been read
        self._at_eof = False

    @classmethod
    def from_response(cls, response: MultipartResponse) -> Self:
        """Return a reader for the body of a response."""
        return cls(response.headers, response.content)

    def at_eof(self) -> bool:
        """Whether there are no more parts."""
        return self._at_eof

    def __aiter__(self) -> "AsyncIterator[MultipartReader | BodyPartReader]":
        return self

    async def __anext__(self) -> "MultipartReader | BodyPartReader":
        if (part := await self.next()) is not None:
            return part
        raise StopAsyncIteration

    async def next(self) -> "MultipartReader | BodyPartReader | None":
        """Return the next part, or None after the last one."""
        part = self._charset_part or await self._next_part()
        while isinstance(part, BodyPartReader) and self._subtype == "form-data" and part.name == "_charset_":
            self._charset_part = part  # if this call is cancelled, the next one goes on there
            label = (await part.readline()).decode("latin-1")
            self._charset_part = None
            self._default_charset = known_charset(label.strip())  # RFC 7578 §4.6
            part = await self._next_part()
        return part

    async def release(self) -> None:
        """Read the body to its end and discard it."""
        self._at_eof = True
        if self._content is not None:
            self._content.abandon()
        await self._scanner.drain()

    async def _next_part(self) -> "MultipartReader | BodyPartReader | None":
        if self._at_eof:
            return None
        if self._content is None or self._fields is None:
            if self._content is not None:
                self._content.abandon()
            if await self._scanner.skip():
                await self.release()
                return None
            self._parts += 1
            if self._parts > self._max_parts:
                raise ClientPayloadError(f"more than {self._max_parts} parts in a multipart body")
            self._content, self._fields = Content(self._scanner), []
        try:
            headers = await self._read_headers(self._content, self._fields)
        except ClientPayloadError:
            self._fields = None
            raise
        self._fields = None
        if parse_media_type(headers.get("Content-Type", "")).name.startswith("multipart/"):
            return self._nested(headers, self._content)
        return BodyPartReader(
            headers,
            self._content,
            is_form_data=self._subtype == "form-data",
            default_charset=self._default_charset,
            max_bytes=self._max_part_bytes,
        )

    def _nested(self, headers: CIMultiDictProxy[str], content: Content) -> "MultipartReader":
        return MultipartReader(
            headers,
            content,
            max_field_size=self._max_field_size,
            max_headers=self._max_headers,
            max_parts=self._max_parts,
            max_part_bytes=self._max_part_bytes,
        )

    async def _read_headers(self, content: Content, fields: list[bytes]) -> CIMultiDictProxy[str]:
        """Read up to the empty line, or to the end of a part that has only headers (RFC 2046 §5.1, body-part).

        Lines that have been read are in `fields`: if this call is cancelled, the next one goes on there.
        """
        while line := (await content.readline(self._max_field_size + 2)).rstrip(b"\r\n"):
            if line[:1] in b" \t" and fields:  # folded, RFC 5322 §2.2.3
                line = fields.pop() + b" " + line.strip()
            fields.append(line)
            if len(line) > self._max_field_size:
                raise ClientPayloadError(f"a header of a part exceeds {self._max_field_size} bytes")
            if len(fields) > self._max_headers:
                raise ClientPayloadError(f"a part has more than {self._max_headers} headers")
        headers = CIMultiDict[str]()
        for field in fields:
            match = _FIELD.fullmatch(field)
            if match is None:
                raise ClientPayloadError(f"not a header of a part: {field[:80]!r}")
            headers.add(match[1].decode(), match[2].strip().decode("utf-8", "surrogateescape"))
        return CIMultiDictProxy(headers)


def _parse_multipart_type(content_type: str) -> tuple[str, bytes]:
    """Return the subtype and the boundary."""
    kind, _, parameters = content_type.partition(";")
    main, _, subtype = kind.strip().lower().partition("/")
    if main != "multipart":
        raise ClientPayloadError(f"not a multipart body: its type is {content_type!r}")
    boundary = dict(reversed(list(split_parameters(parameters)))).get("boundary")
    if not boundary:
        raise ClientPayloadError(f"a multipart body without a boundary: {content_type!r}")
    return subtype, boundary.encode("utf-8", "surrogateescape")


def _count_signs(data: bytes) -> int:
    return len(data.translate(None, _NOT_BASE64))


def _decode_base64(data: bytes) -> bytes:
    """Decode base64 (RFC 2045 §6.8): bytes outside the alphabet are ignored, and padding may be missing."""
    try:
        return base64.b64decode(data + b"==")
    except binascii.Error as error:
        raise ClientPayloadError(f"a part is not in base64: {error}") from error
