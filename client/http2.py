"""HTTP/2 on one connection: many requests at a time, each on a stream of its own (RFC 9113).

`Http2Protocol` is the transport's protocol. The library h2 keeps the state of connection and streams, compresses fields and
counts windows; it does no I/O, and is handed one frame at a time (`client.http2_frames` says why). What arrives for a stream
goes to its `Http2Stream`, which is what the connector lends, and what an exchange sees of all this.

Who decides what:

- *How many.* At most `MAX_STREAMS` streams, or fewer if the server says so, or shows it. The limits of hosts count requests, as ever.
- *Flow control.* A stream's window is opened again as its reader takes, so a slow one costs a window and no more. The
  connection's is opened at once: it is large, and no reader keeps the others waiting.
- *Errors.* What is wrong with one response ends its stream: the connection serves the others. What leaves the state of the
  connection unclear ends it. Of the requests on it, the one at fault is told what was wrong, the others that it was closed.
- *The end.* After GOAWAY no stream is begun. Those that the server will not look at fail, and may be repeated elsewhere; the
  rest go on, and the last closes the connection. So it is where a request was given up and the connection had been silent
  for most of that time: it may be dead, though nothing says so.
- *Bounds* on what the server may have us keep or do: the library's on field blocks (64 KiB, 64 CONTINUATION frames), ours
  on frames that bring nothing, on its table for our fields, and on answers that it does not read.
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
"""What RFC 9113 §6.5.2 would have servers allow at least."""
_FIRST_WINDOW: Final = 65_535
"""That of every connection, before anybody has said anything (§6.9.2)."""
_CONNECTION_WINDOW: Final = 16 * 1024 * 1024
_MAX_UNREAD_BYTES: Final = 1024 * 1024
"""How many bytes of answers may wait for a server that has us answer and does not read."""
_SENT_AT_ONCE: Final = 64 * 1024
"""How much content is handed to the transport before it is heard whether it can take more."""


class Http2Protocol(asyncio.Protocol):
    """One connection, of which streams are lent."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._h2 = make_connection()
        self._skipper = FieldSkipper(self._h2.decoder)
        self._cutter = FrameCutter()
        self._flood = FloodMeter()
        self._lent: set[Http2Stream] = set()
        self._streams: dict[int, Http2Stream] = {}  # those of them that carry an exchange
        self._is_greeted = False
        self._in_head = False  # whether a block of fields goes on in the next frame
        self._owed_bytes = 0  # received since the connection's window was opened last
        self._is_clogged = False
        self._unread_bytes = 0  # of answers, since the transport was clogged
        self._is_flushing = False
        self._is_lost = False
        self._lost: asyncio.Future[None] | None = None
        self._greeted: asyncio.Future[bool] | None = None
        self.transport: asyncio.Transport | None = None
        self.opening: Opening | None = None
        """What it took to open the connection; the connector notes it."""
        self.exchanges = 0
        """How many exchanges have begun."""
        self.received_at = 0.0
        """When something last came, on the loop's clock."""
        self.is_closed = False
        self.is_retired = False
        """Whether no exchange can begin here any more; those that have may go on."""
        self.on_free: Callable[[Http2Protocol], None] | None = None
        """Called when the last of the streams that were lent has come back, or was lost."""
        self.on_http1_required: Callable[[], object] = lambda: None
        """Called when the server wants a request to be made over HTTP/1.1."""
        self.on_refusal: Callable[[int], object] = lambda _taken: None
        """Called when the server refuses a request, though it has taken others, with how many these are."""
        self.most_shown = MAX_STREAMS
        """How many streams may be lent at once, going by what the server has refused."""

    # -- what the connector calls ---------------------------------------------------------------------------------

    @property
    def is_usable(self) -> bool:
        """Whether exchanges may begin here."""
        return not (self.is_closed or self.is_retired)

    @property
    def has_room(self) -> bool:
        """Whether another stream may be lent: one, until the server has said how many it allows."""
        return self.is_usable and len(self._lent) < (self.most if self._is_greeted else 1)

    @property
    def most(self) -> int:
        """How many streams may be lent at once, as far as is known."""
        return min(self.most_shown, self._h2.remote_settings.max_concurrent_streams)

    def lend(self) -> Http2Stream:
        """Lend a stream; it comes back by itself when its exchange is over, or is closed before that has begun."""
        stream = Http2Stream(self, self._loop)
        self._lent.add(stream)
        return stream

    def close(self) -> None:
        """Close the connection without waiting for the peer. Exchanges that are still going on fail."""
        if not self.is_closed:
            self._say_goodbye()
            self._abort()
            self._lose_all(ClientConnectionError("the connection was closed before the response was complete"))

    async def wait_lost(self) -> None:
        """Wait until the transport has let go of the connection that was closed."""
        if not self._is_lost and asyncio.get_running_loop() is self._loop:
            self._lost = self._lost or self._loop.create_future()
            await asyncio.shield(self._lost)

    def greeting(self) -> asyncio.Future[bool] | None:
        """Return what tells, as soon as that is known, whether the server has said what it allows; None if it is known."""
        if not (self._is_greeted or self.is_closed):
            self._greeted = self._greeted or self._loop.create_future()
        return self._greeted

    # -- what streams call ----------------------------------------------------------------------------------------

    def start(self, stream: Http2Stream, fields: Fields, *, ends: bool) -> int:
        """Send the head of a request, and its end if there is no body; return the number of the stream."""
        try:
            stream_id = self._h2.get_next_available_stream_id()
            self._h2.send_headers(stream_id, fields, end_stream=ends)
        except H2Error as error:  # the server has lowered its bound meanwhile, or there are no numbers left
            self.is_retired = True
            raise refusal(f"the connection takes no more requests: {error}") from error
        self.exchanges += 1
        self._streams[stream_id] = stream
        return stream_id

    def room_for(self, stream_id: int) -> int:
        """How much content may be sent at once in a stream."""
        if self._is_clogged:
            return 0
        return max(0, min(_SENT_AT_ONCE, self._h2.local_flow_control_window(stream_id)))

    def send(self, stream_id: int, data: bytes | memoryview, *, ends: bool = False) -> None:
        """Send content for which there is room. The next room is offered to other streams first."""
        self._streams[stream_id] = self._streams.pop(stream_id)
        step = self._h2.max_outbound_frame_size
        for start in range(0, len(data), step) or (0,):
            part = data[start : start + step]
            self._h2.send_data(stream_id, part, end_stream=ends and start + step >= len(data))
        self._flood.clear(self.received_at)  # a server that takes content has windows to open
        self.flush()

    def open_window(self, stream_id: int, size: int) -> None:
        """Let the server send so much more in a stream."""
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
        """A stream that was lent is over."""
        self._lent.discard(stream)
        self._streams.pop(stream.stream_id, None)
        if not self._streams and (self.is_retired or self.on_free is None):
            self.close()
        if not self._lent and self.on_free is not None:
            self.on_free(self)

    def is_alone(self, stream: Http2Stream) -> bool:
        """Whether nobody else has a stream here."""
        return self._lent == {stream}

    def flush_soon(self) -> None:
        """Hand what is to be sent to the transport at the end of this turn of the loop, with what others have to send till then."""
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self.flush)

    def flush(self) -> int:
        """Hand what is to be sent to the transport now; return how many bytes that was."""
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
        except Exception as error:  # a fault of the library is no reason to leave anybody waiting
            self._break(error, looked_at)
            return
        answered_bytes = self.flush()
        self._unread_bytes += answered_bytes if self._is_clogged else 0
        if self._unread_bytes > _MAX_UNREAD_BYTES:
            self._break(WireError("the server reads nothing of what it has us answer"), None)

    def eof_received(self) -> None:
        """The peer has sent all it will; `connection_lost` follows."""
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
        """Take one frame in."""
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
        """Whether a stream that carries nothing once did."""
        return bool(stream_id % 2) and not self._in_head and stream_id <= self._h2.highest_outbound_stream_id

    def _take(self, event: Event) -> bool:
        """Pass an event on to whom it concerns; whether it brought something."""
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
        """Open the connection's window again, now and then."""
        self._owed_bytes += size
        if self._owed_bytes >= _CONNECTION_WINDOW // 2:
            self._h2.increment_flow_control_window(self._owed_bytes)
            self._owed_bytes = 0

    def _heed(self, event: StreamReset) -> None:
        """Take what a reset says of other requests to heart."""
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

    # -- how it ends ----------------------------------------------------------------------------------------------

    def _break(self, error: Exception, frame: Frame | None) -> None:
        """Close the connection, on which the server did what makes no sense: in a frame, if that is what it was."""
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
        """Tell the server why the connection is closed (RFC 9113 §5.4.1). It may not hear it: nothing is waited for."""
        with suppress(H2Error):  # it has been said
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
