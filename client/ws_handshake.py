"""The opening handshake of a WebSocket (RFC 6455 §4.1, RFC 7692 §7): making the request and checking the response."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from websockets.exceptions import InvalidHandshake
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.headers import (
    build_extension,
    build_subprotocol,
    parse_connection,
    parse_extension,
    parse_subprotocol,
    parse_upgrade,
    validate_subprotocols,
)
from websockets.typing import Subprotocol
from websockets.utils import accept_key, generate_key

from client.ws_frames import Deflate, check_window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multidict import CIMultiDict, MultiMapping

_MAX_WINDOW_BITS: Final = 15


class HandshakeError(Exception):
    """The response does not open a WebSocket; the message says why. It is wrapped in an error that has the response."""


class Agreement(NamedTuple):
    """What the server agreed to."""

    protocol: str | None
    """The subprotocol that it chose from ours; None if it chose none."""
    deflate: Deflate | None
    """The compression; None if there is none."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What we ask for. Raises `ValueError` for invalid parameters."""

    protocols: tuple[str, ...] = ()
    """Subprotocols, the preferred one first."""
    origin: str | None = None
    compress: int = 0
    """The size of the largest window for compression in either direction, in bits (9 to 15); 0 asks for no compression."""
    key: str = field(default_factory=generate_key)
    """The nonce; the server has to prove that it has read it."""

    def __post_init__(self) -> None:
        check_window(self.compress)
        validate_subprotocols(self._subprotocols)

    def headers(self, given: CIMultiDict[str]) -> CIMultiDict[str]:
        """Return the caller's headers with those of the handshake; the caller's Upgrade, Connection and version are kept."""
        headers = given.copy()
        headers.setdefault("Upgrade", "websocket")
        headers.setdefault("Connection", "Upgrade")
        headers.setdefault("Sec-WebSocket-Version", "13")
        headers["Sec-WebSocket-Key"] = self.key
        if self.protocols:
            headers["Sec-WebSocket-Protocol"] = build_subprotocol(self._subprotocols)
        if self.origin is not None:
            headers["Origin"] = self.origin
        if self.compress:
            compression = self._compression
            headers["Sec-WebSocket-Extensions"] = build_extension(
                [(compression.name, list(compression.get_request_params()))]
            )
        return headers

    def check(self, status: int, headers: MultiMapping[str], sent_protocols: Sequence[str] = ()) -> Agreement:
        """Return what the server agreed to, or raise `HandshakeError`. Follows the order of RFC 6455 §4.1.

        `sent_protocols` are the values of Sec-WebSocket-Protocol in the request, which callers may have set themselves.
        """
        if status != 101:
            raise HandshakeError("the server did not open a WebSocket")
        try:
            upgrades = [name.lower() for value in headers.getall("Upgrade", ()) for name in parse_upgrade(value)]
            options = [name.lower() for value in headers.getall("Connection", ()) for name in parse_connection(value)]
            if upgrades != ["websocket"] or "upgrade" not in options:
                raise HandshakeError("the server switched to a protocol other than WebSocket")
            if headers.getall("Sec-WebSocket-Accept", []) != [accept_key(self.key)]:
                raise HandshakeError("Sec-WebSocket-Accept does not answer our key")
            deflate = self._agreed_compression(headers)
            return Agreement(self._agreed_protocol(headers, sent_protocols), deflate)
        except InvalidHandshake as error:
            raise HandshakeError(str(error)) from error

    def _agreed_compression(self, headers: MultiMapping[str]) -> Deflate | None:
        """Return the compression that the server chose; it must be the one offered, and the only extension."""
        values = headers.getall("Sec-WebSocket-Extensions", ())
        extensions = [extension for value in values for extension in parse_extension(value)]
        if not extensions:
            return None
        name, parameters = extensions[0]
        compression = self._compression
        if not self.compress or len(extensions) > 1 or name != compression.name:
            raise HandshakeError(f"the server chose an extension that was not offered: {', '.join(values)}")
        return Deflate(compression.process_response_params(parameters, []))

    def _agreed_protocol(self, headers: MultiMapping[str], sent: Sequence[str]) -> str | None:
        offered = {*self.protocols, *(name.strip() for value in sent for name in value.split(","))}
        chosen = [name for value in headers.getall("Sec-WebSocket-Protocol", ()) for name in parse_subprotocol(value)]
        if len(chosen) > 1 or not offered.issuperset(chosen):
            raise HandshakeError(f"the server chose a subprotocol that was not offered: {', '.join(chosen)}")
        return chosen[0] if chosen else None

    @property
    def _subprotocols(self) -> tuple[Subprotocol, ...]:
        return tuple(map(Subprotocol, self.protocols))

    @property
    def _compression(self) -> ClientPerMessageDeflateFactory:
        """The offer of compression. It names the size of the windows, the server's and ours, only if it is not the largest."""
        bits = self.compress if 0 < self.compress < _MAX_WINDOW_BITS else None
        return ClientPerMessageDeflateFactory(server_max_window_bits=bits, client_max_window_bits=bits or True)
