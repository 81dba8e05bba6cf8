"""HTTP/1.1 on one connection: one request and its response after the other (RFC 9112).

`Http1Protocol` is both the transport's protocol and the target of the parser's callbacks (llhttp, through httptools). At any
time it carries one `Exchange` or none; it never pipelines. Bytes that arrive while it carries none belong to no response and
end the connection, and so do bytes after a complete response: the response is valid, but the connection is not used again.
Before the next request, the socket is checked for bytes that have arrived (`is_quiet`); later ones cannot be told from its
response.

The responsibilities:

- *Framing* is llhttp's (RFC 9112 §6.3), except that it cannot know that a response answers HEAD or CONNECT: those
  end at their head, and the parser is replaced. A body delimited by the end of the connection ends in `connection_lost`.
- *Bounds* are ours. llhttp has none, so bytes are counted while a head is incomplete (including 1xx heads before it), and in
  a body those that are not content: chunk sizes, extensions, trailers.
- *Leniency* is that of browsers. In heads, a bare LF ends a line, folded lines are joined, a Content-Length may be repeated
  with the same value, and control characters in values count as spaces (the parser is strict, and `tidy_head` normalizes
  heads that it refused). Transfer-Encoding overrides Content-Length, but then the connection is not used again. White space
  may follow a chunk size. Any HTTP version number is accepted, but HTTP/0.9 is refused, unlike in browsers.
"""

from __future__ import annotations

import asyncio
import select
from math import inf
from typing import TYPE_CHECKING, ClassVar, cast

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpResponseParser

from client.deadlines import Deadlines
from client.errors import (
    ClientConnectionError,
    ClientConnectionResetError,
    ClientOSError,
    ClientPayloadError,
    ServerDisconnectedError,
)
from client.exchange import Asked, Exchange, HeadTooLarge, ReadPolicy, WireError
from client.head import Head, has_blank_line, tidy_head

if TYPE_CHECKING:
    from collections.abc import Callable

    from client.errors import ServerTimeoutError
    from client.timings import Opening


class Http1Protocol(Deadlines, asyncio.Protocol):
    """One connection. `begin` an exchange, `write` the rest of the request, and read the response from the exchange."""

    takes_chunks: ClassVar = True

    __slots__ = (
        "_drained",
        "_head_at",
        "_is_lost",
        "_lost",
        "_on_done",
        "_parser",
        "_pieces",
        "_poll",
        "_refusal",
        "_uncounted",
        "exchanges",
        "idle_since",
        "is_closed",
        "is_idle",
        "is_upgraded",
        "opening",
        "transport",
        "unread",
    )

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop())
        self._parser = self._new_parser()
        self._pieces: list[bytes] = []  # received bytes that hold an incomplete head
        self._head_at = 0  # where the head begins in them
        self._refusal: HttpParserError | None = None  # the parser's error for that head
        self._uncounted = 0  # bytes of an incomplete head, or of framing since the last content
        self._is_lost = False
        self._lost: asyncio.Future[None] | None = None
        self._on_done: Callable[[], None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._poll: Callable[[int], list[tuple[int, int]]] | None = None  # polls the socket for bytes to read
        self.transport: asyncio.Transport | None = None
        self.opening: Opening | None = None
        """How long it took to open the connection; set by the connector."""
        self.exchanges = 0
        """How many exchanges have begun."""
        self.idle_since = 0.0
        self.is_idle = False
        """Whether an exchange may begin here."""
        self.is_closed = False
        """Whether no further exchange can begin here."""
        self.is_upgraded = False
        """Whether a 101 response has ended HTTP on the connection. Reading is paused until another protocol takes over."""
        self.unread = b""
        """The bytes that arrived after the head of that response."""

    # -- what the user of the connection calls --------------------------------------------------------------------

    def is_quiet(self) -> bool:
        """Whether no bytes, nor the end of the connection, have arrived on the idle connection that the event loop has not read
        yet: after the end of a response, it reads no more in the same iteration.
        """
        poll = self._poll
        if poll is None:
            poll = self._poll = _poll_of(self.transport)
        return not poll(0)

    def begin(  # noqa: PLR0917  called for every request: keywords cost
        self,
        request: Asked,
        data: bytes,
        policy: ReadPolicy,
        is_whole: bool = True,
        deadline_at: float = inf,
        sock_read: float | None = None,
        on_done: Callable[[], None] | None = None,
    ) -> Exchange:
        """Send the head of a request, with its body if `is_whole`; else `write` the body and `end` it.

        `deadline_at` is on the loop's clock, `sock_read` in seconds. `on_done` is called when the exchange is over, unless it
        upgrades the connection. The connection must be idle; raises `ServerDisconnectedError` if it has been closed.
        """
        transport = self.transport
        if not self.is_idle or transport is None or transport.is_closing():
            raise ServerDisconnectedError("the server closed the connection while it was idle")
        now = self._loop.time()
        silence = sock_read or 0.0
        self._exchange = exchange = Exchange(request, policy, silence, now, is_whole, self._loop)
        self._on_done = on_done
        self.is_idle = False
        self.exchanges += 1
        self._uncounted = 0
        self._deadline_at = deadline_at
        self._silence_at = now + silence if silence and is_whole else inf
        if silence or deadline_at < self._timer_at:
            self._set_timer()
        transport.write(data)
        return exchange

    def hand_over(self) -> None:
        """Do nothing: a request is written at once."""

    async def write(self, exchange: Exchange, data: bytes) -> None:
        """Send a part of the request's body, and wait while the transport's buffer is full.

        Raises `ClientConnectionResetError` if the exchange is over.
        """
        if self.transport is not None and self.transport.is_reading() and not self.is_quiet():
            # Let the loop read first: a server that responds early may close, and a failed write would lose the response.
            for _ in range(2):
                await asyncio.sleep(0)
        if self._exchange is not exchange or self.transport is None:
            raise ClientConnectionResetError("the exchange ended while the request was being sent")
        self.transport.write(data)
        if self._drained is not None:
            drained = self._drained
            self._await_peer(exchange)
            await drained

    def end(self, exchange: Exchange) -> None:
        """Report that the whole request has been sent."""
        exchange.is_sent = True
        self.withhold(exchange)

    def withhold(self, exchange: Exchange) -> None:
        """Report that no more of the request will be sent: from now on, the peer is awaited."""
        exchange.may_continue = None
        self._await_peer(exchange)

    def fail(self, error: Exception) -> None:
        """Close the connection at once; the exchange, if there is one, ends with `error`."""
        self._abort()
        if self._exchange is not None:
            self._end(self._exchange, error, self._loop.time())

    def close(self) -> None:
        """Close the connection without waiting for the peer. An exchange in progress fails."""
        if self._exchange is not None:
            kind = ClientConnectionError if self._exchange.body is None else ClientPayloadError
            self.fail(kind("the connection was closed before the response was complete"))
        else:
            self._abort()

    async def wait_lost(self) -> None:
        """Wait until the transport has closed the socket, after `close`."""
        if not self._is_lost and asyncio.get_running_loop() is self._loop:  # else its loop has ended, or is not running
            self._lost = self._lost or self._loop.create_future()
            await asyncio.shield(self._lost)

    def pause_reading(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self._silence_at = inf  # the peer is not to blame for the silence
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self.transport is not None and not (self.transport.is_closing() or self._loop.is_closed()):
            if self._exchange is not None:
                self._put_off_silence(self._exchange, self._loop.time())
            self.transport.resume_reading()

    # -- what the transport calls ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.is_idle = True

    def data_received(self, data: bytes | memoryview) -> None:
        exchange = self._exchange
        if exchange is None:
            self._abort()
            return
        now = self._loop.time()
        if not exchange.first_byte_at:
            exchange.first_byte_at = now
        if exchange.sock_read:
            self._put_off_silence(exchange, now)
        if exchange.body is None:
            if isinstance(data, memoryview):
                data = bytes(data)  # a head is kept until it is complete; for a body, the parser makes copies
            self._pieces.append(data)
            content_before = 0
        else:
            content_before = exchange.body.total_bytes
        error = self._parse(data) if self._refusal is None else self._retry_refused()
        while error is not None and exchange.head is None and not isinstance(error, HttpParserCallbackError):
            error = self._parse_tidied(error)
            if not self._head_at:  # else it was a 1xx head, and the one after it is refused too
                break
        if exchange.is_complete:
            if error is not None:
                exchange.keeps_alive = False  # bytes after the response
            self._end(exchange, None, now)
        elif error is not None:
            self.fail(_explain(error, in_body=exchange.body is not None))
        else:
            self._check_bounds(exchange, len(data), content_before)

    def _retry_refused(self) -> HttpParserError | None:
        """After more bytes of a refused head, return the refusal again if the head may be complete now."""
        return self._refusal if has_blank_line(b"".join(self._pieces[-3:])) else None

    def _parse(self, data: bytes | memoryview) -> HttpParserError | None:
        """Feed the parser; return its error, if there is one."""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self.unread = bytes(data[upgrade.args[0] :])
        except HttpParserError as error:
            return error
        return None

    def _parse_tidied(self, refusal: HttpParserError) -> HttpParserError | None:
        """Normalize a refused head and parse it again. Return the error, or `refusal` if the head cannot be normalized.

        While the head is incomplete, this keeps the refusal, collects bytes and returns None.
        """
        data = b"".join(self._pieces)[self._head_at :]
        self._pieces, self._head_at, self._refusal = [data], 0, None
        if not data.lstrip(b"\r\n").startswith(b"HTTP/"):
            return refusal
        tidied = tidy_head(data)
        if tidied is None:
            self._refusal = refusal
            return None
        if tidied == data:
            return refusal
        self._parser = self._new_parser()
        self._pieces = [tidied]
        return self._parse(tidied)

    def eof_received(self) -> None:
        """The peer will send no more; `connection_lost` follows."""
        self.is_idle = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = self._is_lost = True
        self.is_idle = False
        del self._parser  # breaks a reference cycle
        if self._lost is not None:
            self._lost.set_result(None)
        self._stop_timer()
        self.resume_writing()
        exchange = self._exchange
        if exchange is None:
            return
        body = exchange.body
        if body is not None and exc is None and exchange.ends_with_connection:
            self._end(exchange, None, self._loop.time())
            return
        if body is not None:
            error: Exception = ClientPayloadError(
                f"the connection was closed in the body, after {body.total_bytes} bytes"
            )
        elif self._refusal is not None:
            error = _explain(self._refusal, in_body=False)
        elif isinstance(exc, OSError):
            error = ClientOSError(*exc.args)
        else:
            error = ServerDisconnectedError()
        error.__cause__ = error.__cause__ or exc
        self._end(exchange, error, self._loop.time())

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)
        if self._exchange is not None and self._exchange.may_continue is not None:
            self._silence_at = inf  # we have more to send

    # -- what the parser calls ------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._exchange is None or self._exchange.is_complete:
            raise WireError("bytes after the response")

    def on_headers_complete(self) -> None:
        exchange = self._exchange
        assert exchange is not None
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        head = Head(data, self._head_at)
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._pieces, self._head_at = [data], head.end
            exchange.take_interim(status)
        else:
            self._pieces, self._head_at = [], 0
            exchange.take_head(status, head, self)
            if exchange.ends_at_head and len(data) > head.end:
                exchange.keeps_alive = False  # bytes after the response

    def on_body(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None or exchange.body is None or exchange.is_complete:
            raise WireError("content where there is none")
        exchange.body.feed_data(data)

    def on_chunk_complete(self) -> None:
        if self._exchange is not None and self._exchange.body is not None:
            self._exchange.body.feed_chunk_end()

    def on_message_complete(self) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.body is not None:  # else it was a 1xx
            exchange.is_complete = True

    # -- what follows from it -------------------------------------------------------------------------------------

    def _check_bounds(self, exchange: Exchange, received: int, content_before: int) -> None:
        """Count the bytes since the last content (RFC 9112 §7.1.1: extensions, and trailers), and check the bounds."""
        body = exchange.body
        if body is None or body.total_bytes == content_before:
            self._uncounted += received
            if self._uncounted > exchange.policy.max_head_size:
                what = f"more than {exchange.policy.max_head_size} bytes of"
                self.fail(HeadTooLarge(f"{what} head") if body is None else ClientPayloadError(f"{what} framing"))
        else:
            self._uncounted = 0
            if error := body.exception():
                self.fail(error)

    def _end(self, exchange: Exchange, error: Exception | None, now: float) -> None:
        """End the exchange; the connection becomes idle if it can serve another."""
        self._exchange = None
        if error is not None:
            exchange.fail(error)
        else:
            assert exchange.body is not None
            exchange.done_at = now
            exchange.body.feed_eof()
            if exchange.status == 101:
                self.is_upgraded = True
                self.pause_reading()
            elif exchange.keeps_alive and exchange.is_sent and self._drained is None and not self.is_closed:
                if exchange.ends_at_head:
                    self._parser = self._new_parser()
                self.is_idle = True
                self.idle_since = now
            else:
                self._abort()
        on_done, self._on_done = self._on_done, None
        if on_done is not None and not self.is_upgraded:  # after an upgrade, the connection stays in use
            on_done()

    def _abort(self) -> None:
        self.is_closed = True
        self.is_idle = False
        if self.transport is not None and not self._loop.is_closed():
            self.transport.abort()

    def _await_peer(self, exchange: Exchange) -> None:
        """Await the peer's bytes, unless reading is paused."""
        if self._exchange is exchange and self.transport is not None and self.transport.is_reading():
            self._put_off_silence(exchange, self._loop.time())

    def _put_off_silence(self, exchange: Exchange, now: float) -> None:
        """Count the peer's silence from now on. While we have more to send, it only counts if the peer does not read."""
        if exchange.sock_read and (exchange.may_continue is None or self._drained is not None):
            self._silence_at = now + exchange.sock_read
            self._set_timer()

    def _give_up(self, exchange: Exchange, error: ServerTimeoutError) -> None:
        self.fail(error)

    def _new_parser(self) -> HttpResponseParser:
        parser = HttpResponseParser(self)
        parser.set_dangerous_leniencies(
            lenient_chunked_length=True,
            lenient_keep_alive=True,
            lenient_version=True,
            lenient_spaces_after_chunk_size=True,
        )
        return parser


def _poll_of(transport: asyncio.Transport | None) -> Callable[[int], list[tuple[int, int]]]:
    """Return a function that polls a transport's socket for bytes to read; where that is impossible, it never reports any."""
    connection = transport.get_extra_info("socket") if transport is not None else None
    if connection is None or not hasattr(select, "poll"):  # a custom transport; Windows
        return lambda _timeout: []
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return poll.poll


def _explain(error: HttpParserError, *, in_body: bool) -> Exception:
    """Return the error to report for a parser's: our own if one was raised in a callback, else one with the parser's reason."""
    if isinstance(error, HttpParserCallbackError) and isinstance(error.__context__, WireError):
        return error.__context__
    reason = str(error.args[0]) if error.args else "malformed"
    explained = ClientPayloadError(f"malformed body: {reason}") if in_body else WireError(reason)
    explained.__cause__ = error
    return explained
