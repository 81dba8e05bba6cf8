"""One request and its response, as a connection sees them: what has arrived, and who waits for it."""

import asyncio
from dataclasses import dataclass, field
from typing import Final, Protocol

from yarl import URL

from client.body_buffer import Flow
from client.errors import ClientError
from client.head import Head
from client.stream import StreamReader


class WireError(Exception):
    """The peer broke HTTP; the message says how. It is wrapped in an error that names the request."""


class HeadTooLarge(WireError):
    """The head exceeds a limit of `WireLimits`."""


_LEAST_LINE: Final = 4
"""The length of the shortest possible header line: a letter, a colon and a line end."""


@dataclass(frozen=True, slots=True)
class ReadPolicy:
    """How responses are received; sizes in bytes. One object serves a whole session."""

    max_line_size: int = 8190
    """The largest status line."""
    max_field_size: int = 8190
    """The largest header line, name and value."""
    max_headers: int = 128
    """The largest number of header lines."""
    max_head_size: int = 64 * 1024
    """The largest head, together with the 1xx heads before it; also the most framing between two pieces of a body."""
    max_body_bytes: int | None = None
    """The largest body, both on the wire and decoded; None for no bound."""
    high_water: int = 256 * 1024
    """How much of a body may wait for its reader before the transport is paused."""
    decompresses: bool = True
    """Whether Content-Encoding is decoded."""
    read_until_eof: bool = True
    """Whether a body may be delimited by the end of the connection; if not, such a response has no body."""

    modest_head_size: int = field(init=False)
    """A head of at most this size cannot exceed any bound."""

    def __post_init__(self) -> None:
        bounds = (_LEAST_LINE * self.max_headers, self.max_line_size, self.max_field_size, self.max_head_size)
        object.__setattr__(self, "modest_head_size", min(bounds))


_MAX_INTERIMS: Final = 32
"""The largest number of 1xx heads before the final one. Honest servers send one or two."""


class Asked(Protocol):
    """The parts of a request on which its response depends."""

    method: str
    url: URL

    def asks_upgrade(self) -> bool:
        """Whether the response may be a 101 (Switching Protocols)."""

    def asks_close(self) -> bool:
        """Whether no request may follow this one on its connection (RFC 9112 §9.6)."""


class Exchange:
    """One request and its response, filled in by a connection."""

    __slots__ = (
        "_interims",
        "answered",
        "body",
        "done_at",
        "ends_at_head",
        "error",
        "first_byte_at",
        "head",
        "is_complete",
        "is_sent",
        "keeps_alive",
        "may_continue",
        "policy",
        "request",
        "sent_at",
        "sock_read",
        "status",
    )

    def __init__(  # noqa: PLR0917  made for every request: keywords cost
        self,
        request: Asked,
        policy: ReadPolicy,
        sock_read: float,
        sent_at: float,
        is_sent: bool,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.request = request
        self.policy = policy
        self.sock_read = sock_read
        self.sent_at = sent_at
        self.is_sent = is_sent
        """Whether the whole request has been handed to the transport."""
        self.status = 0
        self.head: Head | None = None
        """None until the head of the final response has arrived, like `body`."""
        self.error: Exception | None = None
        """Why the response will not be complete. If there is no head, this is a `WireError`, `ServerDisconnectedError`,
        `ClientOSError` or `ServerTimeoutError`, and the connection is closed."""
        self.answered: asyncio.Future[None] = loop.create_future()
        """Done as soon as there is a `head` or an `error`. It never has an exception."""
        self.body: StreamReader | None = None
        self.keeps_alive = False
        self.ends_at_head = False
        self.is_complete = False
        """Whether the whole response has arrived."""
        self.may_continue: asyncio.Future[None] | None = None if is_sent else loop.create_future()
        """Done as soon as the peer asks for the body (RFC 9110 §10.1.1); None if the body was sent with the head, has been
        sent since, or will not be sent."""
        self.first_byte_at = 0.0
        self.done_at = 0.0
        self._interims = 0

    @property
    def has_begun(self) -> bool:
        """Whether any part of the response has arrived."""
        return self.first_byte_at > 0.0

    # -- what arrives ---------------------------------------------------------------------------------------------

    def take_interim(self, status: int) -> None:
        """Take a 1xx head that has arrived. Raises `HeadTooLarge` if there are too many."""
        self._interims += 1
        if self._interims > _MAX_INTERIMS:
            raise HeadTooLarge(f"more than {_MAX_INTERIMS} interim responses")
        if status == 100 and self.may_continue is not None and not self.may_continue.done():
            self.may_continue.set_result(None)

    def take_head(self, status: int, head: Head, flow: Flow) -> None:
        """Take the head of the final response. Raises `WireError` if it exceeds a limit or is invalid."""
        policy, request, lowered = self.policy, self.request, head.lowered
        is_http = head.protocol == "http/1.1" or head.protocol.startswith("http/")
        if not is_http or status < 100 or (status == 101 and not request.asks_upgrade()):
            raise WireError(f"unexpected status line {head.data[:40]!r}")
        if "\0" in lowered:
            raise WireError("NUL in the head")  # the parser accepts it in the reason phrase
        if len(lowered) > policy.modest_head_size:
            _check_size(head.data, policy)
        self.status = status
        self.head = head
        self.keeps_alive = _persists(head) and not request.asks_close()
        if request.method == "HEAD":
            self.ends_at_head = self.is_complete = True
        elif request.method == "CONNECT" and 200 <= status < 300:
            self.ends_at_head = self.is_complete = True
            self.keeps_alive = False  # what follows is not HTTP (RFC 9110 §9.3.6)
        elif not policy.read_until_eof and self.ends_with_connection:
            self.ends_at_head = self.is_complete = True
            self.keeps_alive = False
        coding = ""
        if "\ncontent-encoding:" in lowered and policy.decompresses:
            coding = ",".join(head.text_values("\ncontent-encoding:"))
        self.body = StreamReader(flow, request.method, request.url, policy.high_water, policy.max_body_bytes, coding)
        if not self.answered.done():
            self.answered.set_result(None)

    @property
    def ends_with_connection(self) -> bool:
        """Whether the end of the connection is the end of the body (RFC 9112 §6.3, items 4 and 8)."""
        assert self.head is not None
        if codings := self.head.values("\ntransfer-encoding:"):
            return codings[-1].rpartition(b",")[2].strip().lower() != b"chunked"
        return "\ncontent-length:" not in self.head.lowered

    # -- failure --------------------------------------------------------------------------------------------------

    def fail(self, error: Exception) -> None:
        """End the response incomplete: `error` goes to those who wait for its head or read its body."""
        if isinstance(error, ClientError):
            error.method, error.url = self.request.method, self.request.url
        self.error = error
        if self.body is not None:
            self.body.set_exception(error)
        if not self.answered.done():
            self.answered.set_result(None)


def _check_size(data: bytes, policy: ReadPolicy) -> None:
    """Raise `HeadTooLarge` for a head that exceeds a bound."""
    size = len(data)
    if data.count(b"\n") - 2 > policy.max_headers:
        raise HeadTooLarge(f"more than {policy.max_headers} headers")
    if size > policy.max_head_size:  # the last piece made it too large: before, it was incomplete and within the bound
        raise HeadTooLarge(f"a head of more than {policy.max_head_size} bytes")
    if size > policy.max_field_size or size > policy.max_line_size:
        status_line, *lines = data.split(b"\r\n")  # the only line end in a head that the parser accepts
        if len(status_line) > policy.max_line_size:
            raise HeadTooLarge(f"a status line of more than {policy.max_line_size} bytes")
        if any(len(line) > policy.max_field_size for line in lines):
            raise HeadTooLarge(f"a header line of more than {policy.max_field_size} bytes")


def _persists(head: Head) -> bool:
    """Whether the peer keeps the connection open after this response (RFC 9112 §9.3)."""
    lowered = head.lowered
    is_modern = head.protocol >= "http/1.1"
    if "\ntransfer-encoding:" in lowered and (not is_modern or "\ncontent-length:" in lowered):
        return False  # two framings, or one unknown to HTTP/1.0: others may see the end elsewhere (§6.1, §6.3)
    _before, marker, after = lowered.partition("\nconnection:")
    if not marker or (is_modern and after[:12] == " keep-alive\r" and marker not in after):
        return is_modern
    options = [option.strip() for option in ",".join(head.text_values("\nconnection:")).lower().split(",")]
    return "close" not in options and (is_modern or "keep-alive" in options)
