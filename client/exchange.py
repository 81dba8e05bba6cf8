"""One request and its response, as far as a connection knows them: what has arrived, and who waits for it."""

import asyncio
from itertools import chain
from typing import Final, NamedTuple

from yarl import URL

from client.errors import ClientError
from client.stream import Flow, StreamReader
from client.version import HttpVersion, HttpVersion11

RawHeaders = list[tuple[bytes, bytes]]


class WireError(Exception):
    """The peer does not speak HTTP/1.1; says how, to be wrapped by whoever knows the request."""


class HeadTooLarge(WireError):
    """The head exceeds a limit of `WireLimits`."""


class ReadPolicy(NamedTuple):
    """How responses are received; sizes in bytes. One object serves a whole session."""

    max_line_size: int = 8190
    """Bound of the reason phrase of the status line."""
    max_field_size: int = 8190
    """Bound of one header's name and value."""
    max_headers: int = 128
    """How many header lines there may be."""
    max_head_size: int = 64 * 1024
    """Bound of a whole head, with the 1xx heads before it, and of framing between two pieces of a body."""
    max_body_bytes: int | None = None
    """Bound of a body, on the wire and decoded; None for none."""
    high_water: int = 256 * 1024
    """Body bytes that wait for their reader before the transport is paused."""
    decompresses: bool = True
    """Whether Content-Encoding is undone."""
    read_until_eof: bool = True
    """Whether a body may be framed by the end of the connection; if not, such a response has none."""


_NOTED: Final = frozenset(
    {b"connection", b"content-encoding", b"content-length", b"location", b"set-cookie", b"transfer-encoding"}
)
"""The headers an exchange itself looks at."""


class Exchange:
    """One request and its response. A connection fills it; whoever builds a response reads it."""

    __slots__ = (
        "_error",
        "_waiter",
        "body",
        "done_at",
        "ends_at_head",
        "first_byte_at",
        "is_complete",
        "is_sent",
        "keeps_alive",
        "may_continue",
        "may_upgrade",
        "method",
        "noted",
        "policy",
        "raw_headers",
        "reason",
        "sent_at",
        "sock_read",
        "status",
        "url",
        "version",
    )

    def __init__(  # noqa: PLR0917  made once a request
        self,
        method: str,
        url: URL,
        policy: ReadPolicy,
        sock_read: float,
        sent_at: float,
        is_sent: bool,
        may_upgrade: bool,
    ) -> None:
        self.method = method
        self.url = url
        self.policy = policy
        self.sock_read = sock_read
        self.is_sent = is_sent
        """Whether the request has been handed to the transport completely."""
        self.may_upgrade = may_upgrade
        self.status = 0
        self.reason = b""
        self.version = HttpVersion11
        self.raw_headers: RawHeaders = []
        self.noted: dict[bytes, list[bytes]] = {}
        """The values of the headers in `_NOTED`, by name in lower case."""
        self.body: StreamReader | None = None
        """None until the head of the final response has arrived."""
        self.keeps_alive = False
        self.ends_at_head = False
        self.is_complete = False
        """Whether the response has arrived completely."""
        self.sent_at = sent_at
        self.first_byte_at = 0.0
        self.done_at = 0.0
        self.may_continue = False
        """Whether the peer has asked for a body that was announced (RFC 9110 §10.1.1)."""
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def has_begun(self) -> bool:
        """Whether anything of a response has arrived."""
        return self.first_byte_at > 0.0

    def set_cookie_values(self) -> list[str]:
        """The values of the Set-Cookie headers, as they came."""
        return [value.decode("utf-8", "surrogateescape") for value in self.noted.get(b"set-cookie", ())]

    # -- who waits ------------------------------------------------------------------------------------------------

    def news(self) -> asyncio.Future[None]:
        """Return what to await for a head, final or not, and then look again at `body` and `may_continue`.

        One at a time. Raises `WireError`, `ServerDisconnectedError`, `ClientOSError` or `ServerTimeoutError` when none will
        come; the connection is closed then.
        """
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        return self._waiter

    # -- what arrives ---------------------------------------------------------------------------------------------

    def take_interim(self, status: int) -> None:
        """A 1xx head has arrived."""
        if status == 100:
            self.may_continue = True
            self._wake()

    def take_head(self, version: HttpVersion, status: int, reason: bytes, headers: RawHeaders, flow: Flow) -> None:
        """The head of the final response has arrived; raises `WireError` when it breaks a limit or makes no sense."""
        policy = self.policy
        if status < 100 or (status == 101 and not self.may_upgrade):
            raise WireError(f"unexpected status {status}")
        if len(reason) > policy.max_line_size:
            raise HeadTooLarge(f"a status line of more than {policy.max_line_size} bytes")
        if len(headers) > policy.max_headers:
            raise HeadTooLarge(f"more than {policy.max_headers} headers")
        self.version, self.status, self.reason, self.raw_headers = version, status, reason, headers
        self._note(headers, policy.max_field_size)
        self.keeps_alive = self._persists()
        if self.method == "HEAD" or (self.method == "CONNECT" and 200 <= status < 300):
            self.ends_at_head = True
        elif not policy.read_until_eof and self.ends_with_connection:
            self.ends_at_head, self.keeps_alive = True, False
        self.is_complete = self.ends_at_head
        codings = self.noted.get(b"content-encoding", ()) if policy.decompresses else ()
        self.body = StreamReader(
            flow,
            self.method,
            self.url,
            high_water=policy.high_water,
            max_bytes=policy.max_body_bytes,
            content_encoding=b",".join(codings).decode("latin-1") if codings else "",
        )
        self._wake()

    def _note(self, headers: RawHeaders, max_field_size: int) -> None:
        """Check each header, and remember those that concern the exchange."""
        content = b"".join(chain.from_iterable(headers))
        if len(content) > max_field_size:
            for name, value in headers:
                if len(name) + len(value) > max_field_size:
                    raise HeadTooLarge(f"a header of more than {max_field_size} bytes: {name[:40]!r}")
        if b"\0" in content:
            raise WireError("NUL in a header")
        noted = self.noted
        for name, value in [(key, value) for name, value in headers if (key := name.lower()) in _NOTED]:
            noted.setdefault(name, []).append(value)

    def _persists(self) -> bool:
        """Whether the peer keeps the connection open after this response (RFC 9112 §9.3)."""
        noted = self.noted
        if b"transfer-encoding" in noted and (b"content-length" in noted or self.version < HttpVersion11):
            return False  # two framings, or one HTTP/1.0 does not know: others may see the end elsewhere (§6.1, §6.3)
        if b"connection" not in noted:
            return self.version >= HttpVersion11
        options = [option.strip() for option in b",".join(noted[b"connection"]).lower().split(b",")]
        return b"close" not in options and (self.version >= HttpVersion11 or b"keep-alive" in options)

    @property
    def ends_with_connection(self) -> bool:
        """Whether the end of the connection is the end of the body (RFC 9112 §6.3, items 4 and 8)."""
        if codings := self.noted.get(b"transfer-encoding"):
            return codings[-1].rpartition(b",")[2].strip().lower() != b"chunked"
        return b"content-length" not in self.noted

    # -- how it ends ----------------------------------------------------------------------------------------------

    def finish(self, now: float) -> None:
        """The response is complete."""
        self.done_at = now
        if self.body is not None:
            self.body.feed_eof()

    def fail(self, error: Exception) -> None:
        """The response will not be complete: whoever waits for its head or reads its body gets `error`."""
        if isinstance(error, ClientError):
            error.method, error.url = self.method, self.url
        self._error = error
        if self.body is not None:
            self.body.set_exception(error)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
