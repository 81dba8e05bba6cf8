"""Frames of HTTP/2 as they arrive: cut out of what is received, and counted (RFC 9113 §4).

The library behind `client.http2` is handed one frame at a time, for three reasons. What it raises is then known to be about
this frame and its stream, and loses nothing of the frames before; GOAWAY can be kept from it, since it takes no more of a
connection after that (§6.8 has us go on); and whoever sends frames that bring nothing is stopped before they have been looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from h2.errors import ErrorCodes

from client.exchange import WireError

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA: Final = 0
HEADERS: Final = 1
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
GOAWAY: Final = 7
CONTINUATION: Final = 9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8

_HEADER_BYTES: Final = 9
_MAX_PAYLOAD_BYTES: Final = 16_384
"""The least bound there is (RFC 9113 §4.2), and ours: we ask for no more."""


class Frame(NamedTuple):
    """One frame; `data` is all of it."""

    data: bytes
    kind: int
    flags: int
    stream_id: int

    @property
    def content_bytes(self) -> int:
        """How much content a DATA frame has, its padding not counted; negative where that cannot be."""
        size = len(self.data) - _HEADER_BYTES
        if self.flags & PADDED:
            return size - 1 - self.data[_HEADER_BYTES] if size else -1
        return size

    @property
    def ends_stream(self) -> bool:
        """For DATA and HEADERS."""
        return bool(self.flags & END_STREAM)


class FrameCutter:
    """Cuts frames out of bytes as they arrive."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Iterate over the frames that are complete; `WireError` for one that is too large. Feed no more before the end."""
        if self._rest:
            data = self._rest + data
        at = 0
        while len(data) - at >= _HEADER_BYTES:
            size = int.from_bytes(data[at : at + 3], "big")
            if size > _MAX_PAYLOAD_BYTES:
                raise WireError(f"a frame of {size} bytes")
            end = at + _HEADER_BYTES + size
            if end > len(data):
                break
            stream_id = int.from_bytes(data[at + 5 : at + 9], "big") & 0x7FFF_FFFF
            yield Frame(data[at:end], data[at + 3], data[at + 4], stream_id)
            at = end
        self._rest = data[at:]


class FloodMeter:
    """Counts frames that bring nothing: pings, settings, priorities, window updates, resets, empty DATA.

    Each costs its sender nine bytes, and us a look and maybe an answer. Honest servers send a few for each response;
    `_MAX_IDLE_FRAMES` within `_PERIOD` seconds, without a response or content among them, are an attack (CVE-2019-9512 to 9518).
    """

    _MAX_IDLE_FRAMES: Final = 5_000
    _PERIOD: Final = 10.0

    def __init__(self) -> None:
        self._idle_frames = 0
        self._since = 0.0

    def count(self, now: float) -> None:
        """A frame that brought nothing; `WireError` for one too many."""
        if now - self._since > self._PERIOD:
            self.clear(now)
        self._idle_frames += 1
        if self._idle_frames > self._MAX_IDLE_FRAMES:
            raise WireError(f"more than {self._MAX_IDLE_FRAMES} frames that bring nothing")

    def clear(self, now: float) -> None:
        """There was something, one way or the other."""
        self._idle_frames = 0
        self._since = now


def read_goaway(frame: Frame) -> tuple[int, int]:
    """Return the last stream that the peer has looked at, or may yet, and the error code (RFC 9113 §6.8)."""
    payload = frame.data[_HEADER_BYTES:]
    if frame.stream_id or len(payload) < 8:
        raise WireError("a malformed GOAWAY")
    return int.from_bytes(payload[:4], "big") & 0x7FFF_FFFF, int.from_bytes(payload[4:8], "big")


def error_name(code: int) -> str:
    """Return what the standard calls an error code, for people (RFC 9113 §7)."""
    try:
        return ErrorCodes(code).name
    except ValueError:
        return f"error {code:#x}"
