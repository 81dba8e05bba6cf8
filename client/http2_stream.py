"""One exchange over an HTTP/2 connection, on its own stream (RFC 9113 §5, §8.1).

An `Http2Stream` is lent in place of an HTTP/1.1 connection and has the same interface for an exchange. Closing it resets the
stream, and the connection goes on serving others. A stream carries only one exchange. One that has not begun it holds its
connection open: this is how idle connections are kept.
"""

from __future__ import annotations

from copy import copy
from math import inf
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from h2.errors import ErrorCodes

from client.deadlines import Deadlines
from client.errors import (
    ClientConnectionError,
    ClientConnectionResetError,
    ClientError,
    ClientPayloadError,
    ServerDisconnectedError,
)
from client.exchange import Asked, Exchange, ReadPolicy, WireError
from client.http2_fields import content_length, may_carry, request_fields, response_head
from client.http2_frames import error_name
from client.http2_library import STREAM_WINDOW

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from client.errors import ServerTimeoutError
    from client.http2_fields import Fields
    from client.timings import Opening

_SUSPICIOUS_SECONDS: Final = 1.0
"""If a caller gives up a request that has waited so long, its connection may be dead."""


class Shared(Protocol):
    """The connection, as its streams see it; the methods are documented in `client.http2`."""

    opening: Opening | None
    transport: asyncio.Transport | None

    @property
    def exchanges(self) -> int: ...
    @property
    def received_at(self) -> float: ...
    @property
    def is_closed(self) -> bool: ...
    @property
    def is_usable(self) -> bool: ...
    def start(self, stream: Http2Stream, fields: Fields, *, ends: bool) -> int: ...
    def room_for(self, stream_id: int) -> int: ...
    def send(self, stream_id: int, data: bytes | memoryview, *, ends: bool = False) -> None: ...
    def open_window(self, stream_id: int, size: int) -> None: ...
    def reset(self, stream_id: int, code: ErrorCodes) -> None: ...
    def retire(self) -> None: ...
    def leave(self, stream: Http2Stream) -> None: ...
    def is_alone(self, stream: Http2Stream) -> bool: ...
    def flush_soon(self) -> None: ...
    def flush(self) -> int: ...
    def close(self) -> None: ...
    async def wait_lost(self) -> None: ...


class Http2Stream(Deadlines):
    """The stream of one exchange: its `client.carrier.Carrier`, and the `client.body_buffer.Flow` of its body."""

    takes_chunks: ClassVar = False
    is_upgraded: ClassVar = False
    unread: ClassVar = b""

    def __init__(self, connection: Shared, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._connection = connection
        self._on_done: Callable[[], None] | None = None
        self._is_over = False
        self._has_ended = False  # whether the server has ended its side
        self._is_reset = False  # by the server, or the library
        self._missing_bytes: int | None = None  # of the content; None if its length is not known
        self._is_paused = False
        self._owed_bytes = 0  # received since the window was opened last
        self._room: asyncio.Future[None] | None = None
        self.stream_id = 0
        self.opening = connection.opening
        self.idle_since = loop.time()

    # -- what the connector calls ---------------------------------------------------------------------------------

    @property
    def transport(self) -> asyncio.Transport | None:
        return self._connection.transport

    @transport.setter
    def transport(self, transport: asyncio.Transport | None) -> None:
        self._connection.transport = transport

    @property
    def exchanges(self) -> int:
        return self._connection.exchanges

    @property
    def is_idle(self) -> bool:
        """Whether an exchange may begin here."""
        return not (self.stream_id or self._is_over) and self._connection.is_usable

    @property
    def is_closed(self) -> bool:
        """Whether no exchange can begin or go on here."""
        return self._is_over or self._connection.is_closed

    def is_quiet(self) -> bool:
        """True: frames that arrive are known to belong to other streams."""
        return True

    async def wait_lost(self) -> None:
        await self._connection.wait_lost()

    # -- what the user of the stream calls ------------------------------------------------------------------------

    def begin(  # noqa: PLR0917  as for HTTP/1.1
        self,
        request: Asked,
        data: bytes,
        policy: ReadPolicy,
        is_whole: bool = True,
        deadline_at: float = inf,
        sock_read: float | None = None,
        on_done: Callable[[], None] | None = None,
    ) -> Exchange:
        """Send the head of a request, serialized for HTTP/1.1, with its body if that is whole and there is room for it."""
        connection = self._connection
        if not self.is_idle:
            raise refusal("the server closed the connection while it was idle")
        if not may_carry(request, data):
            raise refusal("the request needs HTTP/1.1, but the connection uses HTTP/2")
        fields, content = request_fields(data)
        self.stream_id = connection.start(self, fields, ends=is_whole and not content)
        is_sent = is_whole and len(content) <= connection.room_for(self.stream_id)
        if is_sent and content:
            connection.send(self.stream_id, content, ends=True)
        else:
            connection.flush_soon()
        now = self._loop.time()
        silence = sock_read or 0.0
        self._exchange = exchange = Exchange(request, policy, silence, now, is_sent, self._loop)
        self._on_done = on_done
        self._deadline_at = deadline_at
        self._silence_at = now + silence if silence and is_sent else inf
        self._set_timer()
        return exchange

    def hand_over(self) -> None:
        self._connection.flush()

    async def write(self, exchange: Exchange, data: bytes) -> None:
        """Send a part of the request's body, waiting for the server's window and the transport until all of it is sent.

        Raises `ClientConnectionResetError` if the exchange is over.
        """
        rest = memoryview(data)
        while self._exchange is exchange:
            if not rest:
                return
            if room := self._connection.room_for(self.stream_id):
                self._silence_at = inf  # we have more to send
                self._connection.send(self.stream_id, rest[:room])
                rest = rest[room:]
            else:
                self._put_off_silence()
                self._room = self._loop.create_future()
                await self._room
        raise ClientConnectionResetError("the exchange ended while the request was being sent")

    def end(self, exchange: Exchange) -> None:
        """Report that the whole request has been sent."""
        if self._exchange is exchange:
            exchange.is_sent = True
            self._connection.send(self.stream_id, b"", ends=True)
            self.withhold(exchange)

    def withhold(self, exchange: Exchange) -> None:
        """Report that no more of the request will be sent: from now on, the peer is awaited."""
        exchange.may_continue = None
        self._put_off_silence()

    def fail(self, error: Exception) -> None:
        """Give up the exchange; it ends with `error`."""
        self._finish(error, ErrorCodes.CANCEL)

    def close(self) -> None:
        """Reset the stream if its exchange is in progress. If it has not begun one and is the only stream, close the connection."""
        if self._is_over:
            return
        if self._exchange is not None:
            if self._loop.time() - self._exchange.sent_at >= _SUSPICIOUS_SECONDS:
                self._suspect(self._exchange)
            kind = ClientConnectionError if self._exchange.body is None else ClientPayloadError
            self.fail(kind("the response was closed before it was complete"))
            return
        if self._connection.is_alone(self):
            self._connection.close()
        self._is_over = True
        self._connection.leave(self)

    def pause_reading(self) -> None:
        self._is_paused = True
        self._silence_at = inf  # the peer is not to blame for the silence

    def resume_reading(self) -> None:
        self._is_paused = False
        if not self._is_over:
            self._put_off_silence()
            self._open_window()

    # -- what arrives ---------------------------------------------------------------------------------------------

    def take_interim(self, fields: Iterable[tuple[bytes, bytes]]) -> None:
        """Take a 1xx head that has arrived."""
        if (exchange := self._heard()) is not None:
            try:
                status, _head = response_head(fields)
                if status == 101:
                    raise WireError("101 (Switching Protocols), which HTTP/2 does not have")
                exchange.take_interim(status)
            except WireError as error:
                self._finish(error, ErrorCodes.PROTOCOL_ERROR)

    def take_head(self, fields: Iterable[tuple[bytes, bytes]], *, ends: bool) -> None:
        """Take the head of the final response; `ends` says whether it ends the stream."""
        self._has_ended = ends
        exchange = self._heard()
        if exchange is None:
            return
        try:
            status, head = response_head(fields)
            length = content_length(head)
            exchange.take_head(status, head, self)
        except WireError as error:
            self._finish(error, ErrorCodes.PROTOCOL_ERROR)
            return
        # Without `read_until_eof`, the exchange may think that there is no body; but in HTTP/2 every body has an end.
        if exchange.request.method != "HEAD" and status not in (204, 304):
            self._missing_bytes = length
        elif not ends:
            self._finish(None, ErrorCodes.CANCEL)  # there must be no content, whatever the server sends

    def weigh(self, size: int, *, ends: bool) -> None:
        """Check that content of this size agrees with the Content-Length (RFC 9113 §8.1.1)."""
        missing = self._missing_bytes
        if missing is None or size < 0:
            return
        self._missing_bytes = missing = missing - size
        if missing < 0 or (ends and missing):
            what = "more than" if missing < 0 else f"{missing} bytes less than"
            error = ClientPayloadError(f"the content is {what} its Content-Length says")
            self._finish(error, ErrorCodes.PROTOCOL_ERROR)

    def take_data(self, data: bytes, size: int, *, ends: bool) -> None:
        """Take content; `ends` says whether it is the last. With its padding, it takes `size` bytes of the window."""
        self._has_ended = ends
        exchange = self._heard()
        if exchange is None:
            return
        body = exchange.body
        if body is None:
            self._finish(WireError("content before a head"), ErrorCodes.PROTOCOL_ERROR)
            return
        self._owed_bytes += size
        if data:
            body.feed_data(data)
            if error := body.exception():
                self.fail(error)
                return
        if not self._is_paused:
            self._open_window()

    def take_end(self) -> None:
        """Take the end of the stream: the response is complete, unless content is missing."""
        self._has_ended = True  # possibly with trailers
        if self._exchange is None:
            return
        if self._missing_bytes:
            error = ClientPayloadError(f"the content ended {self._missing_bytes} bytes short of its Content-Length")
            self._finish(error, ErrorCodes.PROTOCOL_ERROR)
        else:
            self._finish(None, ErrorCodes.NO_ERROR)

    def take_reset(self, code: int, *, is_remote: bool) -> None:
        """Take a reset of the stream: by the server, or by the library because the server broke HTTP/2."""
        name = error_name(code)
        self._is_reset = True
        if not is_remote:
            self.lose(WireError(f"malformed HTTP/2: {name}"))
        elif code in (ErrorCodes.REFUSED_STREAM, ErrorCodes.HTTP_1_1_REQUIRED):
            self.refuse(f"the server refused the request ({name})")
        else:
            self.lose(ServerDisconnectedError(f"the server reset the stream ({name})"))

    # -- the end --------------------------------------------------------------------------------------------------

    def refuse(self, reason: str) -> None:
        """End the exchange: the server says that it has not processed the request (RFC 9113 §8.7)."""
        self.lose(refusal(reason))

    def lose(self, error: Exception) -> None:
        """End the exchange incomplete, because of the server or the connection."""
        exchange = self._exchange
        if exchange is None:
            return
        if exchange.body is not None:
            received = f"after {exchange.body.total_bytes} bytes of the body"
            payload_error = ClientPayloadError(f"{error}, {received}")
            payload_error.__cause__ = error
            self._finish(payload_error, ErrorCodes.CANCEL)
            return
        own = copy(error) if isinstance(error, ClientError) else error  # each error names its own request
        own.__cause__ = error.__cause__
        self._finish(own, ErrorCodes.CANCEL)

    def _finish(self, error: Exception | None, code: ErrorCodes) -> None:
        """End the exchange. If the stream is still open on either side, it is reset."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        self._is_over = True
        self._silence_at = self._deadline_at = inf
        self._stop_timer()
        if not (self._is_reset or (self._has_ended and exchange.is_sent)):
            self._connection.reset(self.stream_id, code)
        self.wake()
        if error is not None:
            exchange.fail(error)
        else:
            assert exchange.body is not None
            exchange.is_complete = True
            exchange.done_at = self._loop.time()
            exchange.body.feed_eof()
        self._connection.leave(self)
        on_done, self._on_done = self._on_done, None
        if on_done is not None:
            on_done()

    def _suspect(self, exchange: Exchange) -> None:
        """If the connection was silent for at least half of this exchange's time, begin no more exchanges on it, unless we had
        paused reading."""
        now = self._loop.time()
        if not self._is_paused and now - self._connection.received_at >= (now - exchange.sent_at) / 2:
            self._connection.retire()

    # -- internals ------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Let `write` look again: there may be room for more of the body, or the exchange may be over."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _heard(self) -> Exchange | None:
        """Note that data has arrived for the exchange; return the exchange, or None if it is over."""
        exchange = self._exchange
        if exchange is not None:
            exchange.first_byte_at = exchange.first_byte_at or self._loop.time()
            self._put_off_silence()
        return exchange

    def _open_window(self) -> None:
        """Let the server send as much again as has been received, in large steps."""
        if self._owed_bytes >= STREAM_WINDOW // 2 and not self._has_ended and self._exchange is not None:
            self._connection.open_window(self.stream_id, self._owed_bytes)
            self._owed_bytes = 0

    def _put_off_silence(self) -> None:
        """Count the peer's silence from now on, if the peer is awaited."""
        exchange = self._exchange
        if exchange is not None and exchange.sock_read and not self._is_paused:
            is_ours = exchange.may_continue is not None and self._connection.room_for(self.stream_id)
            self._silence_at = inf if is_ours else self._loop.time() + exchange.sock_read
            self._set_timer()

    def _give_up(self, exchange: Exchange, error: ServerTimeoutError) -> None:
        self._suspect(exchange)
        self.fail(error)


def refusal(reason: str) -> ServerDisconnectedError:
    """Return the error for a request that the server has not processed."""
    error = ServerDisconnectedError(reason)
    error.is_unprocessed = True
    return error
