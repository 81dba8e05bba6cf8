"""The body of a request as it goes over the wire: as many bytes as its Content-Length says, or chunks (RFC 9112 §6, §7.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from client.body import close

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

LAST_CHUNK: Final = b"0\r\n\r\n"
"""The end of a body in chunks, without trailers."""


def chunk(data: bytes) -> bytes:
    """Return data as a chunk; nothing for no data, since an empty chunk would end the body."""
    return b"%x\r\n%s\r\n" % (len(data), data) if data else b""


def chunks(data: bytes, step: int) -> Iterator[bytes]:
    """Iterate over the chunks of a part of a body, each with at most `step` bytes; 0 means all of them in one."""
    if not step or step >= len(data):
        yield chunk(data)
        return
    for start in range(0, len(data), step):
        yield chunk(data[start : start + step])


async def counted(parts: AsyncIterator[bytes], length: int | None) -> AsyncGenerator[bytes, None]:
    """Iterate over the parts of a body. Raises `ValueError` if they do not have this length; None means any."""
    left = length
    try:
        async for given in parts:
            part = _flat(given)
            if left is not None:
                left -= len(part)
                if left < 0:
                    raise ValueError("the body is longer than its Content-Length")
            yield part
    finally:
        await close(parts)
    if left:
        raise ValueError(f"the body ended {left} bytes short of its Content-Length")


def _flat(part: bytes | bytearray | memoryview) -> bytes:
    """Return the same bytes; a copy if they are memory with larger elements or in another order, so that `len` counts bytes."""
    if not isinstance(part, bytes | bytearray):
        part = memoryview(part)
        if part.ndim != 1 or part.itemsize != 1 or not part.c_contiguous:
            return part.tobytes()
    return cast("bytes", part)
