"""A session against a server that speaks HTTP/2 by the rules, and is as capricious as they allow: it changes its mind about windows,
streams and tables, refuses requests, ends connections, stalls, pads, and says things of no consequence.

The laws: every request that is not called off is answered with what it asked for; the server receives what was sent, and sees no rule
broken; in the end nothing is left, neither here nor on the connections.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError, StreamClosedError
from h2.settings import ChangedSetting, SettingCodes, Settings
from hyperframe.frame import ExtensionFrame, GoAwayFrame, PriorityFrame, SettingsFrame, WindowUpdateFrame

from client import ClientSession, ClientTimeout, HostLimits, TCPConnector
from client.http2 import Http2Protocol
from tests.fuzz._memory import Line, Loop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from random import Random

    from h2.events import Event
    from hyperframe.frame import Frame

    from client import ClientRequest
    from client.carrier import Carrier
    from client.timeouts import ClientTimeout as Timeout
    from client.tracing import Trace

_SIZES = (0, 1, 100, 5000, 70_000, 300_000, 1_200_000)
_WINDOWS = (0, 1, 100, 5000, 65_535, 1_000_000)
_STREAMS = (1, 2, 3, 10, 100, 1 << 31)
_TABLES = (0, 50, 4096, 65_536)
_SOON = (0.0001, 0.001, 0.02)


class Target:
    def execute(self, random: Random) -> None:
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(_World(random).run())


class _World:
    """One session, and all that it asks for."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.pace = random.choice(_SOON)
        self.pieces = random.choice(((1_000_000,), (1, 10, 100, 1000, 100_000), (5, 5000, 70_000)))
        self.servers: list[_Server] = []
        self.uploads: list[bytes | None] = []
        self.downloads: list[bytes] = []
        self.faults: list[BaseException] = []

    def delay(self) -> float:
        return self.random.random() * self.pace

    def size(self) -> int:
        return self.random.choice(self.pieces)

    async def run(self) -> None:
        random, loop = self.random, asyncio.get_running_loop()
        spacing = random.choice((0.0, 0.0, 0.01))
        limits = HostLimits(limit=random.choice((0, 3, 100)), spacing=spacing, clock=loop.time)
        connector = _Connector(self, limits=limits, keepalive_timeout=random.choice((None, 15, 0.01)))
        latest = random.choice((0.0, 0.01, 1.0, 20.0))
        async with ClientSession(connector=connector, timeout=ClientTimeout(total=600)) as session:
            asking = [
                asyncio.ensure_future(self._ask(session, number, latest)) for number in range(random.choice((1, 5, 30)))
            ]
            called_off = [task for task in asking if random.random() < 0.1]
            for task in called_off:
                loop.call_later(random.random() * (latest + 0.1), task.cancel)
            outcomes = await asyncio.gather(*asking, return_exceptions=True)
            for task, outcome in zip(asking, outcomes, strict=True):
                if isinstance(outcome, BaseException) and not (task in called_off and task.cancelled()):
                    raise outcome
            await asyncio.sleep(0)
            assert (connector.in_use_count, limits.active) == (0, 0)
        assert all(server.line.is_over for server in self.servers)
        if self.faults:
            raise self.faults[0]

    async def _ask(self, session: ClientSession, number: int, latest: float) -> None:
        random = self.random
        method = random.choice(("GET", "GET", "HEAD", "POST", "PUT"))
        upload = random.randbytes(random.choice(_SIZES)) if method.startswith("P") else None
        self.uploads.append(upload)
        self.downloads.append(random.randbytes(random.choice(_SIZES)))
        await asyncio.sleep(random.random() * latest)
        headers = {"X-Number": str(number), "X-Long": "a" * random.choice((1, 3000))}
        url = f"https://a.example/{number}"
        async with session.request(
            method, url, data=upload, headers=headers, expect100=random.random() < 0.1
        ) as response:
            received = bytearray()
            while chunk := await response.content.read(random.choice((100, 10_000, 1_000_000))):
                received += chunk
                if random.random() < 0.05:
                    await asyncio.sleep(random.random() * 0.1)
            assert (response.status, response.headers["x-number"]) == (200, str(number))
            assert received == (b"" if method == "HEAD" else self.downloads[number])


class _Connector(TCPConnector):
    """Connects to servers of a world, and nowhere else."""

    def __init__(self, world: _World, *, limits: HostLimits, keepalive_timeout: float | None) -> None:
        super().__init__(http2=True, ssl=False, limits=limits, keepalive_timeout=keepalive_timeout)
        self._world = world

    async def _create_connection(self, req: ClientRequest, traces: Sequence[Trace], timeout: Timeout) -> Carrier:
        await asyncio.sleep(self._world.delay())
        protocol = Http2Protocol()
        server = _Server(self._world, protocol)
        self._world.servers.append(server)
        protocol.connection_made(server.line)
        assert self._sharing is not None
        return self._sharing.take_in(req.connection_key, protocol)


class _Settings(Settings):
    """Settings that come into force as they are acknowledged, frame by frame; those of the library do so name by name."""

    def __init__(self) -> None:
        super().__init__(client=False)
        self.sent: deque[dict[int, int]] = deque()

    def acknowledge(self) -> dict[SettingCodes | int, ChangedSetting]:
        changes: dict[SettingCodes | int, ChangedSetting] = {}
        for name, value in self.sent.popleft().items():
            changes[name] = ChangedSetting(name, self.get(name), value)
            self._settings[name] = deque([value])
        return changes


class _Server:
    """One connection, seen from the server."""

    def __init__(self, world: _World, protocol: asyncio.Protocol) -> None:
        self._world = world
        self._random = world.random
        self.line = Line(protocol, self, world.delay, world.size)
        self.is_stalled = False
        self._h2 = H2Connection(
            H2Configuration(client_side=False, header_encoding="utf-8", validate_outbound_headers=False)
        )
        self._h2.local_settings = self._settings = _Settings()
        self._bodies: dict[int, bytearray] = {}
        self._ended: set[int] = set()  # what the client has said
        self._busy: set[int] = set()  # what has not been answered
        self._last_id: int | None = None
        self._until_goaway = self._random.choice((None, None, None, 1, 2, 7))
        self._most_busy = self._random.choice((1 << 31, 1 << 31, 1, 5))
        self._tasks: set[asyncio.Task[None]] = set()
        self._h2.initiate_connection()
        self._h2.data_to_send()  # settings of its own
        self._set(
            {
                SettingCodes.INITIAL_WINDOW_SIZE: self._random.choice(_WINDOWS),
                SettingCodes.MAX_CONCURRENT_STREAMS: self._random.choice(_STREAMS),
                SettingCodes.HEADER_TABLE_SIZE: self._random.choice(_TABLES),
            }
        )
        self._h2.increment_flow_control_window(self._random.choice((1, 1_000_000, 10_000_000)))
        self._flush()
        self._do(self._relent())
        self._do(self._fuss())

    # -- what the line calls --------------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        try:
            for event in self._h2.receive_data(data):
                self._take(event)
        except ProtocolError as fault:
            if self._h2.state_machine.state is not ConnectionState.CLOSED:
                self._world.faults.append(fault)
            self.line.abort()
            return
        self._flush()

    def lost(self) -> None:
        for task in self._tasks:
            task.cancel()

    # -- how it goes on -------------------------------------------------------------------------------------------

    def _do(self, work: Coroutine[None, None, None]) -> None:
        async def attempt() -> None:
            try:
                await work
            except (ProtocolError, KeyError):
                return  # the stream was reset meanwhile, or the connection is closed
            except Exception as fault:
                self._world.faults.append(fault)

        task = asyncio.ensure_future(attempt())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _flush(self, *frames: Frame) -> None:
        self.line.answer(self._h2.data_to_send() + b"".join(frame.serialize() for frame in frames))

    def _set(self, settings: dict[int, int]) -> None:
        self._settings.sent.append(settings)
        self._flush(SettingsFrame(0, settings))

    def _take(self, event: Event) -> None:
        stream_id = getattr(event, "stream_id", None) or 0
        if isinstance(event, RequestReceived):
            self._bodies[stream_id] = bytearray()
            if self._last_id is not None:
                return
            if len(self._busy) >= self._most_busy or self._random.random() < 0.03:
                with suppress(StreamClosedError):  # the client has called it off, in the same read
                    self._h2.reset_stream(stream_id, ErrorCodes.REFUSED_STREAM)
                return
            self._busy.add(stream_id)
            self._do(self._serve(stream_id, {str(name): str(value) for name, value in event.headers or ()}))
            if self._until_goaway is not None:
                self._until_goaway -= 1
                if not self._until_goaway:
                    self._go_away(stream_id)
        elif isinstance(event, DataReceived):
            self._bodies[stream_id] += event.data or b""
            self._do(self._credit(stream_id, event.flow_controlled_length or 0))
        elif isinstance(event, StreamEnded | StreamReset):
            self._ended.add(stream_id)
            if isinstance(event, StreamReset):
                self._busy.discard(stream_id)
                assert event.remote_reset, event
        elif isinstance(event, ConnectionTerminated):
            assert event.error_code == ErrorCodes.NO_ERROR, event

    def _go_away(self, last_id: int) -> None:
        if self._last_id is None:
            self._last_id = last_id
            warning = GoAwayFrame(0, last_stream_id=(1 << 31) - 1)
            self._flush(*[warning][: self._random.randrange(2)], GoAwayFrame(0, last_stream_id=last_id))

    async def _credit(self, stream_id: int, size: int) -> None:
        """Open the windows by what was received, and no further."""
        await asyncio.sleep(self._world.delay())
        if size:
            self._h2.increment_flow_control_window(size)
            if stream_id in self._busy and stream_id not in self._ended:
                self._h2.increment_flow_control_window(size, stream_id)
            self._flush()

    async def _relent(self) -> None:
        """Allow windows of some size again."""
        await asyncio.sleep(self._random.random())
        self._set({SettingCodes.INITIAL_WINDOW_SIZE: self._random.choice((1000, 65_535, 500_000))})

    async def _fuss(self) -> None:
        random = self._random
        whims: list[Callable[[], None]] = [
            lambda: self._set({SettingCodes.INITIAL_WINDOW_SIZE: random.choice(_WINDOWS)}),
            lambda: self._set({SettingCodes.MAX_CONCURRENT_STREAMS: random.choice(_STREAMS)}),
            lambda: self._set({SettingCodes.HEADER_TABLE_SIZE: random.choice(_TABLES)}),
            lambda: self._h2.ping(bytes(8)),
            lambda: self._flush(ExtensionFrame(0xBE, 0)),
            lambda: self._flush(*[PriorityFrame(sid, depends_on=0) for sid in list(self._bodies)[:1]]),
            lambda: self._flush(*[WindowUpdateFrame(sid, 9) for sid in set(self._bodies) - self._busy]),
            lambda: setattr(self, "is_stalled", True),
        ]
        for _ in range(30):
            await asyncio.sleep(random.random() * random.choice((0.001, 0.1, 1.0)))
            self.is_stalled = False
            random.choice(whims)()
            self._flush()
            self._do(self._relent())
        self.is_stalled = False

    async def _serve(self, stream_id: int, headers: dict[str, str]) -> None:
        try:
            await asyncio.sleep(self._random.random() * self._random.choice((0.0, 0.001, 0.05, 1.0)))
            number = int(headers["x-number"])
            for _ in range(self._random.choice((0, 0, 1, 3)) + ("expect" in headers)):
                self._h2.send_headers(stream_id, [(":status", "100")])
            self._flush()
            upload = self._world.uploads[number]
            if upload is not None and self._random.random() < 0.9:
                while stream_id not in self._ended:  # noqa: ASYNC110  time costs nothing here
                    await asyncio.sleep(0.002)
                assert stream_id not in self._busy or self._bodies[stream_id] == upload, number
            await self._answer(stream_id, number, is_head=headers[":method"] == "HEAD")
        finally:
            self._busy.discard(stream_id)

    async def _answer(self, stream_id: int, number: int, *, is_head: bool) -> None:
        random, rest = self._random, memoryview(self._world.downloads[number])
        length = [("content-length", str(len(rest)))] * random.randrange(2)
        many = [(f"x-{random.randrange(200)}", "v" * 300) for _ in range(random.choice((0, 3, 80)))]
        fields = [(":status", "200"), ("x-number", str(number)), *length, *many]
        self._h2.send_headers(stream_id, fields, end_stream=is_head)
        has_trailers = random.random() < 0.3
        while not is_head:
            self._flush()
            padding = random.choice((None, None, 0, 255))
            cost = 0 if padding is None else padding + 1
            step = (
                min(self._h2.local_flow_control_window(stream_id), random.choice((1, 100, 16_384)) + cost, 16_384)
                - cost
            )
            if step < 0 or (step == 0 and rest):
                await asyncio.sleep(0.005)
                continue
            part, rest = rest[:step], rest[step:]
            self._h2.send_data(stream_id, part, end_stream=not (rest or has_trailers), pad_length=padding)
            if not rest:
                if has_trailers:
                    self._h2.send_headers(stream_id, [("x-trailer", "1")], end_stream=True)
                break
            if random.random() < 0.1:
                await asyncio.sleep(self._world.delay())
        self._flush()
