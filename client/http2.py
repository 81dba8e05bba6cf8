"""HTTP/2 on one connection: many requests at a time, each on its own stream (RFC 9113).

`Http2Protocol` is the transport's protocol. The library h2 keeps the state of connection and streams, compresses fields and
counts windows; it does no I/O, and is fed one frame at a time (`client.http2_frames` says why). Data for a stream goes to its
`Http2Stream`, which the connector lends, and which is all that an exchange sees.

The rules:

- *Streams.* At most `MAX_STREAMS`, or fewer if the server's settings or its refusals say so. The limits of hosts count requests.
- *Flow control.* A stream's window is opened again as its body is read, so a slow reader costs a window and no more. The
  connection's is opened at once: it is large, and no reader keeps the others waiting.
- *Errors.* An error in one response ends its stream: the connection serves the others. An error that leaves the state of the
  connection unclear ends the connection. The request at fault gets this error, the others one that the connection was closed.
- *The end.* After GOAWAY no stream is begun. Those that the server will not process fail, and may be repeated elsewhere; the
  rest go on, and the last one closes the connection. The same happens if a request was given up and the connection had been
  silent for most of that time: it may be dead without notice.
- *Bounds* on the memory and work that a server can cause: the library's on field blocks (64 KiB, 64 CONTINUATION frames), ours
  on frames without effect, on its table for our fields, and on answers that it does not read.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    InformationalResponseReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import DenialOfServiceError, H2Error, ProtocolError

from client.errors import ClientConnectionError, ClientOSError, ServerDisconnectedError
from client.exchange import HeadTooLarge, WireError
from client.http2_frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    PUSH_PROMISE,
    SETTINGS,
    FloodMeter,
    FrameCutter,
    error_name,
    read_goaway,
)
from client.http2_library import FieldSkipper, make_connection
from client.http2_stream import Http2Stream, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from h2.events import Event

    from client.http2_fields import Fields
    from client.http2_frames import Frame
    from client.timings import Opening

MAX_STREAMS: Final = 100
"""The number that RFC 9113 §6.5.2 recommends servers to allow at least."""
_FIRST_WINDOW: Final = 65_535
"""The initial window of every connection (§6.9.2)."""
_CONNECTION_WINDOW: Final = 16 * 1024 * 1024
_MAX_UNREAD_BYTES: Final = 1024 * 1024
"""How many bytes of our answers may wait for a server that does not read them."""
_SENT_AT_ONCE: Final = 64 * 1024
"""How much content is written to the transport at a time, before checking whether it can take more."""


class Http2Protocol(asyncio.Protocol):
    """One connection, whose streams are lent."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._h2 = make_connection()
        self._skipper = FieldSkipper(self._h2.decoder)
        self._cutter = FrameCutter()
        self._flood = FloodMeter()
        self._lent: set[Http2Stream] = set()
        self._streams: dict[int, Http2Stream] = {}  # those of them that carry an exchange
        self._is_greeted = False
        self._in_head = False  # whether a field block continues in the next frame
        self._owed_bytes = 0  # received since the connection's window was last opened
        self._is_clogged = False
        self._unread_bytes = 0  # of answers, since the transport was clogged
        self._is_flushing = False
        self._is_lost = False
        self._lost: asyncio.Future[None] | None = None
        self._greeted: asyncio.Future[bool] | None = None
        self.transport: asyncio.Transport | None = None
        self.opening: Opening | None = None
        """How long it took to open the connection; set by the connector."""
        self.exchanges = 0
        """How many exchanges have begun."""
        self.received_at = 0.0
        """When data last arrived, on the loop's clock."""
        self.is_closed = False
        self.is_retired = False
        """Whether no further exchange can begin here; those that have begun may go on."""
        self.on_free: Callable[[Http2Protocol], None] | None = None
        """Called when the last lent stream has been given back or lost."""
        self.on_http1_required: Callable[[], object] = lambda: None
        """Called when the server demands HTTP/1.1 for a request."""
        self.on_refusal: Callable[[int], object] = lambda _taken: None
        """Called when the server refuses a request but has taken others, with their number."""
        self.most_shown = MAX_STREAMS
        """How many streams may be lent at once, judging by the server's refusals."""

    # -- what the connector calls ---------------------------------------------------------------------------------

    @property
    def is_usable(self) -> bool:
        """Whether exchanges may begin here."""
        return not (self.is_closed or self.is_retired)

    @property
    def has_room(self) -> bool:
        """Whether another stream may be lent; only one until the server's settings have arrived."""
        return self.is_usable and len(self._lent) < (self.most if self._is_greeted else 1)

    @property
    def most(self) -> int:
        """How many streams may be lent at once, as far as is known."""
        return min(self.most_shown, self._h2.remote_settings.max_concurrent_streams)

    def lend(self) -> Http2Stream:
        """Lend a stream. It is given back automatically when its exchange is over, or when it is closed without one."""
        stream = Http2Stream(self, self._loop)
        self._lent.add(stream)
        return stream

    def close(self) -> None:
        """Close the connection without waiting for the peer. Exchanges in progress fail."""
        if not self.is_closed:
            self._say_goodbye()
            self._abort()
            self._lose_all(ClientConnectionError("the connection was closed before the response was complete"))

    async def wait_lost(self) -> None:
        """Wait until the transport has closed the socket, after `close`."""
        if not self._is_lost and asyncio.get_running_loop() is self._loop:
            self._lost = self._lost or self._loop.create_future()
            await asyncio.shield(self._lost)

    def greeting(self) -> asyncio.Future[bool] | None:
        """Return a future for whether the server's settings arrive; None if that is known."""
        if not (self._is_greeted or self.is_closed):
            self._greeted = self._greeted or self._loop.create_future()
        return self._greeted

    # -- what streams call ----------------------------------------------------------------------------------------

    def start(self, stream: Http2Stream, fields: Fields, *, ends: bool) -> int:
        """Send the head of a request, and its end if there is no body; return the number of the stream."""
        try:
            stream_id = self._h2.get_next_available_stream_id()
            self._h2.send_headers(stream_id, fields, end_stream=ends)
        except H2Error as error:  # the server has lowered its limit meanwhile, or there are no stream numbers left
            self.is_retired = True
            raise refusal(f"the connection takes no more requests: {error}") from error
        self.exchanges += 1
        self._streams[stream_id] = stream
        return stream_id

    def room_for(self, stream_id: int) -> int:
        """Return how much content may be sent on a stream now."""
        if self._is_clogged:
            return 0
        return max(0, min(_SENT_AT_ONCE, self._h2.local_flow_control_window(stream_id)))

    def send(self, stream_id: int, data: bytes | memoryview, *, ends: bool = False) -> None:
        """Send content for which there is room. Other streams get the next room first."""
        self._streams[stream_id] = self._streams.pop(stream_id)
        step = self._h2.max_outbound_frame_size
        for start in range(0, len(data), step) or (0,):
            part = data[start : start + step]
            self._h2.send_data(stream_id, part, end_stream=ends and start + step >= len(data))
        self._flood.clear(self.received_at)  # a server that receives content has to send window updates
        self.flush()

    def open_window(self, stream_id: int, size: int) -> None:
        """Let the server send `size` more bytes on a stream."""
        self._h2.increment_flow_control_window(size, stream_id)
        self.flush()

    def reset(self, stream_id: int, code: ErrorCodes) -> None:
        """End a stream on both sides."""
        if not self.is_closed:
            self._h2.reset_stream(stream_id, code)
            self.flush()

    def retire(self) -> None:
        """Begin no more exchanges here; close the connection with the last one."""
        self.is_retired = True

    def leave(self, stream: Http2Stream) -> None:
        """Take back a stream that is over."""
        self._lent.discard(stream)
        self._streams.pop(stream.stream_id, None)
        if not self._streams and (self.is_retired or self.on_free is None):
            self.close()
        if not self._lent and self.on_free is not None:
            self.on_free(self)

    def is_alone(self, stream: Http2Stream) -> bool:
        """Whether no other stream is lent."""
        return self._lent == {stream}

    def flush_soon(self) -> None:
        """Write pending data to the transport at the end of this loop iteration, together with what is added until then."""
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self.flush)

    def flush(self) -> int:
        """Write pending data to the transport now; return the number of bytes."""
        self._is_flushing = False
        data = self._h2.data_to_send()
        if data and self.transport is not None and not (self.transport.is_closing() or self._loop.is_closed()):
            self.transport.write(data)
        return len(data)

    # -- what the transport calls ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_CONNECTION_WINDOW - _FIRST_WINDOW)
        self.flush()

    def data_received(self, data: bytes) -> None:
        self.received_at = self._loop.time()
        looked_at: Frame | None = None
        try:
            for frame in self._cutter.feed(data):
                if self.is_closed:
                    return
                looked_at = frame
                self._receive(frame)
                looked_at = None
        except Exception as error:  # also a bug of the library, so that no request waits for ever
            self._break(error, looked_at)
            return
        answered_bytes = self.flush()
        self._unread_bytes += answered_bytes if self._is_clogged else 0
        if self._unread_bytes > _MAX_UNREAD_BYTES:
            self._break(WireError("the server does not read our answers"), None)

    def eof_received(self) -> None:
        """The peer will send no more; `connection_lost` follows."""
        self.is_retired = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = self._is_lost = True
        self._tell_of_greeting()
        if self._lost is not None:
            self._lost.set_result(None)
        error = ClientOSError(*exc.args) if isinstance(exc, OSError) else ServerDisconnectedError()
        error.__cause__ = exc
        self._lose_all(error)

    def pause_writing(self) -> None:
        self._is_clogged = True

    def resume_writing(self) -> None:
        self._is_clogged = False
        self._unread_bytes = 0
        self._tell_of_room()

    # -- what arrives ---------------------------------------------------------------------------------------------

    def _receive(self, frame: Frame) -> None:
        """Process one frame."""
        if not self._is_greeted and (frame.kind != SETTINGS or frame.flags & ACK):
            raise WireError("the server does not begin with its settings")
        if frame.kind == HEADERS and not frame.stream_id % 2:
            raise WireError("a stream that the server has opened")
        if frame.kind == GOAWAY and not (self._in_head or self._skipper.is_within):
            self._flood.count(self.received_at)
            self._take_goaway(frame)
            return
        stream = self._streams.get(frame.stream_id)
        if self._skipper.is_within or (frame.kind == HEADERS and stream is None and self._is_over(frame.stream_id)):
            self._flood.count(self.received_at)
            self._skipper.skip(frame)
            return
        if frame.kind == DATA and stream is not None and not self._in_head:
            stream.weigh(frame.content_bytes, ends=frame.ends_stream)
        events = self._h2.receive_data(frame.data)
        if frame.kind in (HEADERS, PUSH_PROMISE, CONTINUATION):
            self._in_head = not frame.flags & END_HEADERS
        is_useful = [self._take(event) for event in events]
        if not self._is_greeted:
            self._is_greeted = True
            self._tell_of_greeting()
        if any(is_useful):
            self._flood.clear(self.received_at)
        else:
            self._flood.count(self.received_at)

    def _is_over(self, stream_id: int) -> bool:
        """Whether a stream without an exchange once had one."""
        return bool(stream_id % 2) and not self._in_head and stream_id <= self._h2.highest_outbound_stream_id

    def _take(self, event: Event) -> bool:
        """Pass an event on to its stream; return whether it brought a response or content."""
        if isinstance(event, RemoteSettingsChanged | WindowUpdated):
            self._tell_of_room()
            return False
        if isinstance(event, DataReceived):
            self._count_received(event.flow_controlled_length or 0)
        stream = self._streams.get(getattr(event, "stream_id", None) or 0)
        if stream is None:
            return False
        if isinstance(event, DataReceived):
            stream.take_data(event.data or b"", event.flow_controlled_length or 0, ends=event.stream_ended is not None)
            return bool(event.data)
        if isinstance(event, ResponseReceived):
            stream.take_head(event.headers or [], ends=event.stream_ended is not None)
            return True
        if isinstance(event, InformationalResponseReceived):
            stream.take_interim(event.headers or [])
        elif isinstance(event, StreamEnded):
            stream.take_end()
        elif isinstance(event, StreamReset):
            self._heed(event)
            stream.take_reset(event.error_code or 0, is_remote=event.remote_reset)
        return False

    def _count_received(self, size: int) -> None:
        """Open the connection's window again, in large steps."""
        self._owed_bytes += size
        if self._owed_bytes >= _CONNECTION_WINDOW // 2:
            self._h2.increment_flow_control_window(self._owed_bytes)
            self._owed_bytes = 0

    def _heed(self, event: StreamReset) -> None:
        """Note what a reset means for other requests."""
        if event.error_code == ErrorCodes.HTTP_1_1_REQUIRED:
            self.is_retired = True
            self.on_http1_required()
        elif event.error_code == ErrorCodes.REFUSED_STREAM and len(self._streams) > 1:
            self.on_refusal(len(self._streams) - 1)

    def _take_goaway(self, frame: Frame) -> None:
        last_id, code = read_goaway(frame)
        self.is_retired = True
        refused = [stream for stream_id, stream in self._streams.items() if stream_id > last_id]
        if refused and self.exchanges > len(refused):
            self.on_refusal(self.exchanges - len(refused))
        for stream in refused:
            stream.refuse(f"the server takes no more requests on this connection ({error_name(code)})")
        if not self._streams:
            self.close()

    # -- the end --------------------------------------------------------------------------------------------------

    def _break(self, error: Exception, frame: Frame | None) -> None:
        """Close the connection because the server broke the protocol, in `frame` if there is one."""
        at_fault = self._streams.get(frame.stream_id) if frame is not None else None
        kind = HeadTooLarge if isinstance(error, DenialOfServiceError) else WireError
        reason = error if isinstance(error, WireError) else kind(f"malformed HTTP/2: {type(error).__name__}, {error}")
        reason.__cause__ = None if reason is error else error
        self._say_goodbye(error.error_code if isinstance(error, ProtocolError) else ErrorCodes.PROTOCOL_ERROR)
        self._abort()
        if at_fault is not None:
            at_fault.lose(reason)
            closed = ServerDisconnectedError(
                "the server broke HTTP/2 in another response, and the connection was closed"
            )
            closed.__cause__ = reason
            self._lose_all(closed)
        else:
            self._lose_all(reason)

    def _lose_all(self, error: Exception) -> None:
        for stream in list(self._streams.values()):
            stream.lose(error)

    def _say_goodbye(self, code: ErrorCodes = ErrorCodes.NO_ERROR) -> None:
        """Send GOAWAY with the reason for closing (RFC 9113 §5.4.1). It may not arrive, since we do not wait."""
        with suppress(H2Error):  # it has been sent already
            self._h2.close_connection(code)
        self.flush()

    def _abort(self) -> None:
        self.is_closed = True
        self._tell_of_greeting()
        if self.transport is not None and not self._loop.is_closed():
            self.transport.abort()

    def _tell_of_greeting(self) -> None:
        greeted, self._greeted = self._greeted, None
        if greeted is not None:
            greeted.set_result(self._is_greeted)

    def _tell_of_room(self) -> None:
        for stream in list(self._streams.values()):
            stream.wake()
