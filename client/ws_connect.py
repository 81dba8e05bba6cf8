"""Opening a WebSocket: from the parameters of `ClientSession.ws_connect` to the result."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from multidict import CIMultiDict

from client.awaitable import Awaited
from client.deprecation import deprecated
from client.errors import WSServerHandshakeError
from client.options import RequestOptions, unknown_options
from client.timeouts import ClientWSTimeout
from client.websocket import ClientWebSocketResponse
from client.ws_frames import FrameWriter, MessageReader
from client.ws_handshake import HandshakeError, Offer
from client.ws_options import WEBSOCKET_DEFAULTS, WebSocketOptions
from client.ws_protocol import WebSocketProtocol

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType

    from client.response import ClientResponse

_OPTIONS: Final = frozenset(WebSocketOptions.__annotations__)
_REQUEST_OPTIONS: Final = _OPTIONS & frozenset(RequestOptions.__annotations__) - {"timeout", "compress"}


class Opening:
    """Makes the request that opens a WebSocket, and the WebSocket from its response.

    Raises `TypeError` and `ValueError` for invalid parameters.
    """

    def __init__(self, options: WebSocketOptions) -> None:
        if not _OPTIONS.issuperset(options):
            raise unknown_options(options, _OPTIONS)
        self._given = options
        self._options: WebSocketOptions = {**WEBSOCKET_DEFAULTS, **options}
        options = self._options
        protocols, heartbeat = options["protocols"], options["heartbeat"]
        if isinstance(protocols, str):
            raise TypeError(f"protocols must be a list of names, not {protocols!r}")
        if not 0 <= (heartbeat or 0) < math.inf or options["max_msg_size"] < 0:
            raise ValueError("heartbeat and max_msg_size must not be negative")
        self._offer = Offer(tuple(protocols), options["origin"], options["compress"])
        self._timeout = _ws_timeout(options["timeout"], options["receive_timeout"])

    @property
    def request_options(self) -> RequestOptions:
        """The options of the handshake request."""
        taken = {name: value for name, value in self._given.items() if name in _REQUEST_OPTIONS}
        options = cast("RequestOptions", taken)
        options["headers"] = self._offer.headers(CIMultiDict(self._options["headers"] or ()))
        options["read_until_eof"] = False
        options["raise_for_status"] = False
        return options

    def finish(self, response: ClientResponse) -> ClientWebSocketResponse:
        """Make a WebSocket on the response's connection. Raises `WSServerHandshakeError` if the server did not open one."""
        try:
            return self._open(response)
        except HandshakeError as error:
            raise WSServerHandshakeError(
                response.request_info,
                response.history,
                status=response.status,
                message=str(error),
                headers=response.headers,
            ) from error

    def _open(self, response: ClientResponse) -> ClientWebSocketResponse:
        sent_protocols = response.request_info.headers.getall("Sec-WebSocket-Protocol", ())
        agreement = self._offer.check(response.status, response.headers, sent_protocols)
        connection = response.connection
        if connection is None or connection.closed:
            raise HandshakeError("the connection was closed after the server's answer")
        options = self._options
        reader = MessageReader(
            max_msg_size=options["max_msg_size"], deflate=agreement.deflate, decodes_text=options["decode_text"]
        )
        wire = WebSocketProtocol(connection, reader, FrameWriter(agreement.deflate), heartbeat=options["heartbeat"])
        return ClientWebSocketResponse(
            response,
            wire,
            agreement,
            timeout=self._timeout,
            autoclose=options["autoclose"],
            autoping=options["autoping"],
        )


class WebSocketContext(Awaited[ClientWebSocketResponse]):
    """What `session.ws_connect()` returns: `await` gives the WebSocket; `async with` also closes it at the end."""

    __slots__ = ("_call", "_coroutine", "_opening", "_websocket")

    def __init__(self, opening: Opening, call: Coroutine[Any, Any, ClientResponse]) -> None:
        self._opening = opening
        self._call = call
        self._websocket: ClientWebSocketResponse | None = None
        self._coroutine: Coroutine[Any, Any, ClientWebSocketResponse] | None = None

    def _begun(self) -> Coroutine[Any, Any, ClientWebSocketResponse]:
        self._coroutine = self._coroutine or self._open()
        return self._coroutine

    async def _open(self) -> ClientWebSocketResponse:
        response = await self._call
        try:
            return self._opening.finish(response)
        except BaseException:
            response.close()
            raise

    def throw(self, kind: Any, error: BaseException | object = None, traceback: TracebackType | None = None, /) -> Any:
        try:
            return super().throw(kind, error, traceback)
        except BaseException:
            self._call.close()  # if a task is cancelled before its first step, the call has not been awaited
            raise

    def close(self) -> None:
        super().close()
        self._call.close()

    async def __aenter__(self) -> ClientWebSocketResponse:
        self._websocket = await self._open()
        return self._websocket

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._websocket is not None
        await self._websocket.close()


def _ws_timeout(timeout: ClientWSTimeout | float, receive_timeout: float | None) -> ClientWSTimeout:
    """Return the limits, also from the deprecated forms of the parameters."""
    if not isinstance(timeout, ClientWSTimeout):
        deprecated("a number as timeout is deprecated, use ClientWSTimeout(ws_close=...)")
        timeout = ClientWSTimeout(ws_close=timeout)
    if receive_timeout is not None:
        deprecated("receive_timeout is deprecated, use ClientWSTimeout(ws_receive=...)")
        timeout = replace(timeout, ws_receive=receive_timeout)
    return timeout
