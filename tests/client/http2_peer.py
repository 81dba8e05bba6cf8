"""The other end of an HTTP/2 connection: what the library makes of it in its role as a server, and frames of any kind besides."""

from __future__ import annotations

import ssl
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset, WindowUpdated
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import trustme
    from hyperframe.frame import Frame

    from tests.client.peer import Peer

E = TypeVar("E", bound=Event)


class Asked(NamedTuple):
    """A request as it came."""

    stream_id: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def path(self) -> str:
        return dict(self.headers)[":path"]


def server_context(authority: trustme.CA, *protocols: str) -> ssl.SSLContext:
    """What a server on loopback shows, and which protocols it speaks, the one it likes best first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    context.set_alpn_protocols(list(protocols or ("h2",)))
    return context


def speaking(script: Callable[[Http2Peer], Awaitable[None]]) -> Callable[[Peer], Awaitable[None]]:
    """A script for a connection of HTTP/2; it ends when the client says goodbye, too."""

    async def run(peer: Peer) -> None:
        http2 = Http2Peer(peer)
        try:
            await script(http2)
        except ProtocolError:
            if http2.h2.state_machine.state is not ConnectionState.CLOSED:
                raise

    return run


class Http2Peer:
    """One connection, seen from the server. Begin with `greet`."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._events: deque[Event] = deque()
        self.seen: list[Event] = []
        """All that the client has done, as far as it has been looked at."""
        self.h2 = H2Connection(
            H2Configuration(
                client_side=False,
                header_encoding="utf-8",
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )

    async def greet(self, settings: dict[SettingCodes, int] | None = None) -> None:
        """Say our settings."""
        self.h2.local_settings = Settings(client=False, initial_values=settings or {})
        self.h2.initiate_connection()
        await self.flush()

    async def flush(self) -> None:
        await self._peer.send(self.h2.data_to_send())

    async def event(self, kind: type[E]) -> E:
        """The next event of a kind; `asyncio.IncompleteReadError` when the client has closed. Others are passed over."""
        while True:
            while self._events:
                event = self._events.popleft()
                self.seen.append(event)
                if isinstance(event, kind):
                    return event
            await self._read()

    async def _read(self) -> None:
        data = await self._peer.reader.read(65536)
        if not data:
            await self._peer.reader.readexactly(1)  # raises
        self._events.extend(self.h2.receive_data(data))
        await self.flush()

    async def head(self) -> Asked:
        """The next request, without its body."""
        event = await self.event(RequestReceived)
        assert event.stream_id is not None
        return Asked(event.stream_id, [(str(name), str(value)) for name, value in event.headers or []], b"")

    async def request(self) -> Asked:
        """The next request with its body; the window is opened as it comes."""
        asked = await self.head()
        return asked._replace(body=await self.body(asked.stream_id))

    async def body(self, stream_id: int) -> bytes:
        parts: list[bytes] = []
        while True:
            event = await self.event(Event)
            if isinstance(event, DataReceived) and event.stream_id == stream_id:
                parts.append(event.data or b"")
                self.h2.acknowledge_received_data(event.flow_controlled_length or 0, stream_id)
                await self.flush()
            elif isinstance(event, StreamEnded) and event.stream_id == stream_id:
                return b"".join(parts)

    async def begin(self, stream_id: int, *headers: tuple[str, str], status: int = 200, ends: bool = False) -> None:
        """Send a head."""
        self.h2.send_headers(stream_id, [(":status", str(status)), *headers], end_stream=ends)
        await self.flush()

    async def data(self, stream_id: int, data: bytes, *, ends: bool = False) -> None:
        """Send content, as the client lets us."""
        while True:
            room = min(self.h2.local_flow_control_window(stream_id), self.h2.max_outbound_frame_size, len(data))
            if room or not data:
                self.h2.send_data(stream_id, data[:room], end_stream=ends and room == len(data))
                data = data[room:]
                await self.flush()
                if not data:
                    return
            else:
                await self.event(WindowUpdated)

    async def answer(
        self, asked: Asked, body: bytes = b"", *headers: tuple[str, str], status: int = 200, measured: bool = True
    ) -> None:
        """Send a whole response."""
        length = [("content-length", str(len(body)))] if measured else []
        await self.begin(asked.stream_id, *length, *headers, status=status)
        await self.data(asked.stream_id, body, ends=True)

    async def reset(self, stream_id: int, code: int) -> None:
        self.h2.reset_stream(stream_id, code)
        await self.flush()

    async def was_reset(self, stream_id: int) -> int:
        """Wait until the client has reset a stream; return the code."""
        while (event := await self.event(StreamReset)).stream_id != stream_id:
            continue
        return int(event.error_code or 0)

    # -- past the library -----------------------------------------------------------------------------------------

    async def raw(self, *frames: Frame | bytes) -> None:
        """Send frames, or any bytes, of which the library knows nothing."""
        await self._peer.send(b"".join(frame if isinstance(frame, bytes) else frame.serialize() for frame in frames))

    def block(self, *fields: tuple[str, str]) -> bytes:
        """Return fields as a block, for a HEADERS frame."""
        return bytes(self.h2.encoder.encode(fields))

    async def closed(self) -> None:
        """Wait until the client has closed the connection."""
        await self._peer.closed()

    def hang_up(self) -> None:
        """Close the connection with a TCP reset."""
        self._peer.reset()

    def leave(self) -> None:
        """Close the connection in good order."""
        self._peer.writer.close()
