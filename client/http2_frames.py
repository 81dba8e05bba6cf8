"""Received frames of HTTP/2: splitting bytes into frames, and counting them (RFC 9113 §4).

The library behind `client.http2` is fed one frame at a time, for three reasons. An error that it raises is then about this
frame and its stream, and the frames before it are not lost. GOAWAY can be kept from the library, which accepts nothing on a
connection after that (§6.8 demands to go on). And a flood of frames without effect is stopped before they are processed.
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
"""The lowest possible maximum (RFC 9113 §4.2), and ours: we do not raise it."""


class Frame(NamedTuple):
    """One frame; `data` is the whole frame, with its header."""

    data: bytes
    kind: int
    flags: int
    stream_id: int

    @property
    def content_bytes(self) -> int:
        """The size of a DATA frame's content, without padding; negative if the padding is too long."""
        size = len(self.data) - _HEADER_BYTES
        if self.flags & PADDED:
            return size - 1 - self.data[_HEADER_BYTES] if size else -1
        return size

    @property
    def ends_stream(self) -> bool:
        """Whether the frame ends its stream; for DATA and HEADERS."""
        return bool(self.flags & END_STREAM)


class FrameCutter:
    """Splits received bytes into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Iterate over the complete frames. Raises `WireError` for one that is too large. Exhaust this before feeding more."""
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
    """Counts frames without effect on a response: pings, settings, priorities, window updates, resets, empty DATA.

    Each costs its sender nine bytes, and us some work and maybe an answer. Honest servers send a few for each response.
    `_MAX_IDLE_FRAMES` within `_PERIOD` seconds, without a response or content, are an attack (CVE-2019-9512 to 9518).
    """

    _MAX_IDLE_FRAMES: Final = 5_000
    _PERIOD: Final = 10.0

    def __init__(self) -> None:
        self._idle_frames = 0
        self._since = 0.0

    def count(self, now: float) -> None:
        """Count a frame without effect. Raises `WireError` if there are too many."""
        if now - self._since > self._PERIOD:
            self.clear(now)
        self._idle_frames += 1
        if self._idle_frames > self._MAX_IDLE_FRAMES:
            raise WireError(f"more than {self._MAX_IDLE_FRAMES} frames without effect")

    def clear(self, now: float) -> None:
        """Start counting anew: there was content or a response, in either direction."""
        self._idle_frames = 0
        self._since = now


def read_goaway(frame: Frame) -> tuple[int, int]:
    """Return the last stream that the peer has processed or may process, and the error code (RFC 9113 §6.8)."""
    payload = frame.data[_HEADER_BYTES:]
    if frame.stream_id or len(payload) < 8:
        raise WireError("a malformed GOAWAY")
    return int.from_bytes(payload[:4], "big") & 0x7FFF_FFFF, int.from_bytes(payload[4:8], "big")


def error_name(code: int) -> str:
    """Return the standard's name of an error code, for messages (RFC 9113 §7)."""
    try:
        return ErrorCodes(code).name
    except ValueError:
        return f"error {code:#x}"
