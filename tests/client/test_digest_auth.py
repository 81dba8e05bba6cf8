"""Digest authentication over real sockets, against a server that checks each answer by itself."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from yarl import URL

from client import ClientSession, ClientTimeout, TCPConnector
from client.auth import encode_basic_auth
from client.digest_auth import DigestAuthMiddleware
from tests.client.peer import Peer, serving


@dataclass
class Seen:
    method: str
    target: str
    authorization: str | None
    body: bytes
    status: int


def respond(status: int, *headers: str, body: bytes = b"") -> tuple[int, bytes]:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
    return status, "\r\n".join(lines).encode() + body


@dataclass
class Guard:
    """A server for one login; nonces are numbered, each good for `uses` requests."""

    algorithm: str = "SHA-256"
    qop: str = "auth"
    extra: str = ""
    uses: int = 1000
    announces_next: bool = False
    login: str = "me"
    password: str = "secret"
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    issued: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def url(self) -> URL:
        return URL(f"http://127.0.0.1:{self.port}")

    def statuses(self) -> list[int]:
        return [seen.status for seen in self.seen]

    def challenge(self, *, stale: bool = False) -> str:
        self.issued += 1
        qop = f', qop="{self.qop}"' if self.qop else ""
        flag = ", stale=true" if stale else ""
        return f'Digest realm="r", nonce="n{self.issued}", algorithm={self.algorithm}{qop}{flag}{self.extra}'

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if target.startswith("/to/"):
            return respond(302, f"Location: {target.removeprefix('/to/')}")
        if target == "/open":
            return respond(200)
        given = headers.get("authorization", "")
        if not given.startswith("Digest "):
            return respond(401, f"WWW-Authenticate: {self.challenge()}", body=b"who is there?")
        fields = {name: quoted or bare for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^,]*))', given)}
        if fields["response"] != self.expected(method, target, fields, body):
            return respond(401, f"WWW-Authenticate: {self.challenge()}")
        nonce = fields["nonce"]
        count = int(fields.get("nc", "1"), 16)
        if nonce != f"n{self.issued}" or (self.qop and count != self.counts.get(nonce, 0) + 1) or count > self.uses:
            return respond(401, f"WWW-Authenticate: {self.challenge(stale=True)}")
        self.counts[nonce] = count
        if self.announces_next:
            self.issued += 1
            return respond(200, f'Authentication-Info: nextnonce="n{self.issued}"', body=b"welcome")
        return respond(200, body=b"welcome")

    def expected(self, method: str, target: str, fields: dict[str, str], body: bytes) -> str:
        def digest(*parts: str) -> str:
            name = self.algorithm.removesuffix("-sess").replace("-", "").lower()
            return hashlib.new(name, ":".join(parts).encode()).hexdigest()

        key = digest(self.login, "r", self.password)
        if self.algorithm.endswith("-sess"):
            key = digest(key, fields["nonce"], fields["cnonce"])
        subject = digest(method, target)
        if fields.get("qop") == "auth-int":
            subject = digest(method, target, hashlib.new(self.algorithm.replace("-", "").lower(), body).hexdigest())
        if not self.qop:
            return digest(key, fields["nonce"], subject)
        return digest(key, fields["nonce"], fields["nc"], fields["cnonce"], fields["qop"], subject)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *lines = head.decode().rstrip().split("\r\n")
                method, target, _ = line.split(" ")
                headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)}
                body = await read_body(reader, headers)
                status, response = self.answer(method, target, headers, body)
                self.seen.append(Seen(method, target, headers.get("authorization"), body, status))
                writer.write(response)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


async def read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "chunked" not in headers.get("transfer-encoding", ""):
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


@asynccontextmanager
async def running(guard: Guard) -> AsyncIterator[Guard]:
    server = await asyncio.start_server(guard.serve, "127.0.0.1", 0)
    guard.port = server.sockets[0].getsockname()[1]
    async with server:
        yield guard


@asynccontextmanager
async def session_for(
    login: str = "me", password: str = "secret", preemptive: bool = True
) -> AsyncIterator[ClientSession]:
    async with ClientSession(middlewares=[DigestAuthMiddleware(login, password, preemptive)]) as session:
        yield session


async def status_of(session: ClientSession, url: URL | str, **options: object) -> int:
    async with session.post(url, **options) if "data" in options else session.get(url) as response:  # type: ignore[arg-type]
        await response.read()
        return response.status


@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512"])
@pytest.mark.parametrize("qop", ["auth", "auth,auth-int", ""])
async def test_the_server_asks_once(algorithm: str, qop: str) -> None:
    async with running(Guard(algorithm, qop)) as guard, session_for() as session:
        for path in ("/a", "/b?c=%C3%A4&d", "/e/"):
            assert await status_of(session, guard.url.join(URL(path))) == 200
    assert guard.statuses() == [401, 200, 200, 200]


async def test_it_can_wait_to_be_asked() -> None:
    async with running(Guard()) as guard, session_for(preemptive=False) as session:
        assert [await status_of(session, guard.url) for _ in range(2)] == [200, 200]
    assert guard.statuses() == [401, 200, 401, 200]


async def test_a_wrong_password_is_tried_once() -> None:
    async with running(Guard()) as guard, session_for(password="wrong") as session:
        assert await status_of(session, guard.url) == 401
    assert guard.statuses() == [401, 401]


async def test_a_stale_nonce_is_renewed() -> None:
    async with running(Guard(uses=2)) as guard, session_for() as session:
        for _ in range(4):
            assert await status_of(session, guard.url) == 200
    assert guard.statuses() == [401, 200, 200, 401, 200, 200]


async def test_a_nonce_that_the_server_forgot_is_renewed() -> None:
    async with running(Guard()) as guard, session_for() as session:
        assert await status_of(session, guard.url) == 200
        guard.issued += 7
        assert await status_of(session, guard.url) == 200
    assert guard.statuses() == [401, 200, 401, 200]


async def test_the_announced_nonce_is_used_next() -> None:
    async with running(Guard(announces_next=True)) as guard, session_for() as session:
        for _ in range(3):
            assert await status_of(session, guard.url) == 200
    assert guard.statuses() == [401, 200, 200, 200]


def make_file(folder: Path) -> object:
    path = folder / "body"
    path.write_bytes(b"x" * 200_000)
    return path.open("rb")


@pytest.mark.parametrize("qop", ["auth", "auth-int"])
@pytest.mark.parametrize(
    "make", [lambda _: b"bytes", make_file, lambda _: {"a": "form"}], ids=["bytes", "file", "form"]
)
async def test_a_body_is_sent_again(qop: str, make: Callable[[Path], object], tmp_path: Path) -> None:
    data = make(tmp_path)
    async with running(Guard(qop=qop)) as guard, session_for() as session:
        assert await status_of(session, guard.url, data=data) == 200
    assert guard.statuses() == [401, 200]
    assert guard.seen[0].body == guard.seen[1].body != b""
    if hasattr(data, "close"):
        data.close()


async def generate() -> AsyncIterator[bytes]:
    yield b"once"


@pytest.mark.parametrize(("qop", "second"), [("auth", 200), ("auth-int", 401)])
async def test_a_body_that_comes_once_gets_the_answer_as_it_is(qop: str, second: int) -> None:
    """Unless the server has asked before; and what must be hashed first cannot be sent then either."""
    async with running(Guard(qop=qop)) as guard, session_for() as session:
        assert await status_of(session, guard.url, data=generate()) == 401
        assert await status_of(session, guard.url) == 200
        assert await status_of(session, guard.url, data=generate()) == second
    assert {seen.body for seen in guard.seen if seen.method == "POST"} == {b"once"}


async def test_another_origin_learns_nothing() -> None:
    """A redirect must not lead the credentials to a server that asks for them."""
    async with running(Guard()) as guard, running(Guard()) as stranger, session_for() as session:
        assert await status_of(session, guard.url / "open") == 200
        assert await status_of(session, f"{guard.url}/to/{stranger.url}/trap") == 401
        assert await status_of(session, guard.url / "a") == 200
        assert await status_of(session, f"{guard.url}/to/{stranger.url}/trap") == 401
    assert [seen.authorization for seen in stranger.seen] == [None, None]


async def test_a_challenge_can_extend_to_another_origin() -> None:
    async with running(Guard()) as friend, session_for() as session:
        async with running(Guard(extra=f', domain="/a {friend.url}/b"')) as guard:
            assert await status_of(session, guard.url / "a") == 200
            assert await status_of(session, guard.url / "other") == 200
            assert await status_of(session, friend.url / "b") == 200
        assert guard.statuses() == [401, 200, 401, 200]
        assert friend.statuses()[-1] == 200


async def test_headers_of_ones_own_are_left_alone() -> None:
    async with running(Guard()) as guard, session_for() as session:
        headers = {"Authorization": encode_basic_auth("x", "y")}
        async with session.get(guard.url, headers=headers) as response:
            assert response.status == 401
    assert guard.statuses() == [401]


async def test_other_challenges_are_left_alone() -> None:
    async with running(Guard(algorithm="TIGER")) as guard, session_for() as session:
        assert await status_of(session, guard.url) == 401
    assert guard.statuses() == [401]


async def test_many_requests_at_once() -> None:
    """Each is asked on its own until one knows; none is lost."""
    async with running(Guard(qop="")) as guard, session_for() as session, asyncio.TaskGroup() as group:
        guard.challenge = lambda *, stale=False: 'Digest realm="r", nonce="n0", algorithm=SHA-256'  # type: ignore[method-assign]
        tasks = [group.create_task(status_of(session, guard.url)) for _ in range(20)]
        for task in tasks:
            assert await task == 200


@pytest.mark.parametrize(
    ("login", "password", "complaint"), [("a:b", "c", "colon"), (None, "c", "None"), ("a", None, "None")]
)
def test_credentials_are_checked(login: str, password: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        DigestAuthMiddleware(login, password)


async def test_the_body_of_a_challenge_is_not_waited_for() -> None:
    """The answer may need the place of its connection."""

    async def script(peer: Peer) -> None:
        if "authorization" in (await peer.request()).headers:
            await peer.answer(b"welcome")
            return
        await peer.send(b'HTTP/1.1 401 X\r\nWWW-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\n')
        await peer.send(b"Content-Length: 1000000\r\n\r\nwho is there?")
        await peer.closed()

    digest = DigestAuthMiddleware("me", "secret")
    timeout = ClientTimeout(connect=5)
    async with (
        serving(script) as server,
        ClientSession(connector=TCPConnector(limit=1), middlewares=[digest], timeout=timeout) as session,
        session.get(server.url) as response,
    ):
        assert await response.text() == "welcome"
