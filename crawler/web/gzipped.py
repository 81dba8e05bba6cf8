"""Bodies that are gzip (RFC 1952) even without their content coding: files such as `sitemap.xml.gz`, and what servers compress twice.

A body is undone in layers, as a stream, in parts of bounded size. Each layer is bounded, and so are the layers and the members of each:
otherwise a layer of nothing but empty members, which itself compresses a thousandfold, would be read for hours and give nothing.
"""

from __future__ import annotations

import zlib
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_LAYERS = 3
"""A file, compressed by its server, and once more by a proxy."""
_MAX_MEMBERS = 10_000
"""Of one layer. Programs that write members of their own for each block of a file make some hundred of 50 MiB."""

_START = b"\x1f\x8b"
_PART_BYTES = 64 * 1024


class Unreadable(Exception):
    """Why a body is not read any further, in words."""


def is_gzip(body: bytes) -> bool:
    return body.startswith(_START)


def unpacked(body: bytes, max_bytes: int) -> Iterator[bytes]:
    """The body without its layers of gzip, if it has any, in parts. None of the layers is read much further than to `max_bytes`.

    Raises Unreadable after everything that could be read.
    """
    parts: Iterator[bytes] = (body[start : start + _PART_BYTES] for start in range(0, len(body), _PART_BYTES))
    for _ in range(MAX_LAYERS):
        start, parts = _begun(parts)
        if not is_gzip(start):
            break
        parts = _undone(parts, max_bytes)
    else:
        start, parts = _begun(parts)
        if is_gzip(start):
            raise Unreadable(f"it is compressed more than {MAX_LAYERS} times")
    yield from parts


def whole(body: bytes, max_bytes: int) -> tuple[bytes, str | None]:
    """The same in one piece of at most `max_bytes`; and why that is not all, None if it is."""
    found = bytearray()
    try:
        for part in unpacked(body, max_bytes):
            found += part
    except Unreadable as error:
        return bytes(found[:max_bytes]), str(error)
    return bytes(found), None


def _begun(parts: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The start of something, enough to recognise gzip; and all of it."""
    start = b""
    for part in parts:
        start += part
        if len(start) >= len(_START):
            break
    return start, chain((start,), parts)


def _undone(parts: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    """What is in one layer."""
    try:
        size = 0
        for part in _members(parts):
            yield part
            size += len(part)
            if size > max_bytes:
                raise Unreadable(f"it is longer than {max_bytes} bytes")
    except zlib.error as error:
        raise Unreadable(f"it is not valid gzip: {error}") from None


def _members(parts: Iterable[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    members = 1
    is_within = True
    for part in parts:
        rest = part
        while rest:
            yield member.decompress(rest, _PART_BYTES)
            rest, is_within = member.unconsumed_tail, not member.eof
            if member.eof:
                rest, member = member.unused_data, zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
                members += 1
                if rest and not rest.startswith(_START[: len(rest)]):
                    return  # padding, which gzip allows
                if members > _MAX_MEMBERS:
                    raise Unreadable(f"it has more than {_MAX_MEMBERS} parts that are compressed by themselves")
    yield member.flush()
    if is_within:
        raise Unreadable("it is compressed, and cut short")
