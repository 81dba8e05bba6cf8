"""The configuration of the library h2 for `client.http2`, with our bounds where it has none, or wider ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings
from hpack import Encoder
from hyperframe.frame import Frame as LibraryFrame

from client.exchange import HeadTooLarge, WireError
from client.http2_frames import CONTINUATION, END_HEADERS, HEADERS

if TYPE_CHECKING:
    from hpack import Decoder

    from client.http2_frames import Frame

STREAM_WINDOW: Final = 512 * 1024
"""How much a server may send ahead of the reader. This also bounds the throughput of a stream: so much in each round trip."""
_TABLE_BYTES: Final = 4096
"""The largest table of the fields that we have sent, even if the server allows more: searching it takes linear time."""


class _Connection(H2Connection):
    """The library's connection, but remembering fewer closed streams: enough for frames that may still arrive for them."""

    MAX_CLOSED_STREAMS = 1024


class _BoundedEncoder(Encoder):
    """Compresses fields with a table of at most `_TABLE_BYTES`."""

    @property
    def header_table_size(self) -> int:
        size: int = self.header_table.maxsize
        return size

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        size = min(value, _TABLE_BYTES)
        if size != self.header_table.maxsize:
            self.header_table.maxsize = size
            smallest = min(size, *self.table_size_changes, size)
            self.table_size_changes = [smallest, size] if smallest < size else [size]  # RFC 7541 §4.2


def make_connection() -> H2Connection:
    """Return a connection of the library. Fields are checked and normalized by `client.http2_fields` instead."""
    connection = _Connection(
        H2Configuration(
            client_side=True,
            header_encoding=None,
            validate_inbound_headers=False,
            normalize_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
    )
    connection.encoder = _BoundedEncoder()
    connection.local_settings = Settings(
        client=True,
        initial_values={
            SettingCodes.ENABLE_PUSH: 0,
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_HEADER_LIST_SIZE: connection.DEFAULT_MAX_HEADER_LIST_SIZE,
        },
    )
    return connection


class FieldSkipper:
    """Decodes the fields of closed streams, which is only needed to update the table of fields.

    The library would do this, but has a bug (in 4.4): a 1xx head that crosses our reset ends the connection.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._block = b""
        self._stream_id = 0
        self.is_within = False
        """Whether a field block continues in the next frame."""

    def skip(self, frame: Frame) -> None:
        """Process a frame: HEADERS, or the next one while `is_within` a block. Raises `WireError`, and what the library does."""
        if self.is_within and (frame.kind != CONTINUATION or frame.stream_id != self._stream_id):
            raise WireError("another frame inside a field block")
        parsed, _size = LibraryFrame.parse_frame_header(memoryview(frame.data[:9]))
        parsed.parse_body(memoryview(frame.data[9:]))
        data: bytes = parsed.data  # type: ignore[attr-defined]  # of HEADERS, without padding and priority
        self._block = self._block + data if frame.kind != HEADERS else data
        if len(self._block) > H2Connection.DEFAULT_MAX_HEADER_LIST_SIZE:
            raise HeadTooLarge("a field block that is too large")
        self._stream_id = frame.stream_id
        self.is_within = not frame.flags & END_HEADERS
        if not self.is_within:
            self._decoder.decode(self._block, raw=True)
