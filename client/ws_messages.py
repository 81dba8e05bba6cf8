"""The messages of a WebSocket, as its user sees them."""

from __future__ import annotations

import json as json_module
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class WSMsgType(IntEnum):
    """The type of a message; up to `PONG`, its opcode on the wire (RFC 6455 §11.8)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA

    # made by the client itself
    CLOSING = 0x100
    """`close` was called while `receive` waited."""
    CLOSED = 0x101
    """The WebSocket is closed; there is nothing more to receive."""
    ERROR = 0x102
    """The server broke the protocol, exceeded a bound or was given up; `data` is the exception."""

    # older names
    text = TEXT
    binary = BINARY
    close = CLOSE
    ping = PING
    pong = PONG
    closing = CLOSING
    closed = CLOSED
    error = ERROR


class WSCloseCode(IntEnum):
    """Why a WebSocket was closed (RFC 6455 §7.4.1 and its registry)."""

    OK = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    """The Close frame had no code. Never sent."""
    ABNORMAL_CLOSURE = 1006
    """The connection ended without a Close frame. Never sent."""
    INVALID_TEXT = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014


class WSMessage(NamedTuple):
    """A message.

    `data` is text for TEXT, bytes for BINARY, PING and PONG, the close code for CLOSE, the exception for ERROR, else None.
    `extra` is the reason for CLOSE, None for messages that the client itself makes, else empty.
    """

    type: WSMsgType
    data: Any
    extra: str | None

    def json(self, *, loads: Callable[[Any], Any] = json_module.loads) -> Any:
        """Return the data parsed by `loads`."""
        return loads(self.data)


class WSMessageTypeError(TypeError):
    """The message does not have the expected type."""
