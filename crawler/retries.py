"""Which failures are tried again, and after how long: one table, one formula."""

from __future__ import annotations

import errno
import os
import socket
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from client import (
    AddressRefused,
    BodyTooLarge,
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientError,
    ClientHttpProxyError,
    ClientPayloadError,
    ClientResponseError,
    ClientSSLError,
    ContentEncodingError,
    InvalidURL,
    ServerTimeoutError,
)
from crawler.outcome import Failed, Postponed

if TYPE_CHECKING:
    from collections.abc import Callable

    from crawler.frontier.protocol import Lease
    from crawler.settings import Settings


class Failure(NamedTuple):
    """What went wrong, in one word (`kind`) and in several (`text`), and whether another attempt may succeed. If something is short on
    this machine, such as open files, no request is given up for that."""

    kind: str
    text: str
    is_temporary: bool
    is_shortage: bool = False

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


_ERRORS: tuple[tuple[type[ClientError], str, bool], ...] = (
    (AddressRefused, "address", False),
    (ClientConnectorDNSError, "dns", True),
    (ClientConnectorCertificateError, "tls", False),
    (ClientSSLError, "tls", True),
    (ServerTimeoutError, "timeout", True),
    (ClientConnectorError, "connect", True),
    (BodyTooLarge, "size", False),
    (ContentEncodingError, "encoding", False),
    (ClientPayloadError, "payload", True),
    (ClientResponseError, "protocol", True),
    (InvalidURL, "url", False),
    (ClientError, "connection", True),
)
"""The first row whose type fits gives an error's kind, and whether it is temporary."""

_TEMPORARY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 522, 524})
"""Request Timeout, Too Early, Too Many Requests; what servers and the proxies before them answer while in trouble."""

PROXY = "proxy"
"""The kind of a failure of the proxy, which says nothing about any host."""

HOLDING_STATUSES = frozenset({429, 503})
"""Answers that ask for a pause of the whole host (RFC 6585 §4, RFC 9110 §15.6.4)."""

UNREACHABLE = frozenset({"dns", "connect", "tls", "timeout", "connection"})
"""Kinds of failure that say something about the host, not about the page: no answer came."""

_MOST_DOUBLINGS = 64
"""Enough to exceed any bound, without overflowing a float."""

_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_HOPELESS_LOOKUPS = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


def failure_of(error: ClientError) -> Failure:
    """What an error of the client means for the request that met it."""
    if isinstance(error, ClientHttpProxyError):
        return _failure_of_tunnel(error)
    if getattr(error, "errno", None) in _SHORTAGES:
        return Failure("internal", str(error), is_temporary=True, is_shortage=True)
    kind, is_temporary = next((kind, temporary) for type_, kind, temporary in _ERRORS if isinstance(error, type_))
    if isinstance(error, ClientConnectionError) and error.is_of_proxy:
        return Failure(PROXY, str(error), is_temporary)
    if kind == "dns" and getattr(error, "errno", None) in _HOPELESS_LOOKUPS:
        is_temporary = False  # the name does not exist, as opposed to: nobody could be asked
    return Failure(kind, str(error) or type(error).__name__, is_temporary)


def _failure_of_tunnel(error: ClientHttpProxyError) -> Failure:
    """What it means that a proxy was reached but did not connect us to a host: it does not accept our credentials, it cannot reach
    the host, or it does not allow it."""
    text = f"the proxy answered {error}"
    if error.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return Failure(PROXY, text, is_temporary=False)
    return Failure("connect", text, is_temporary=error.status >= 500 or error.status in _TEMPORARY_STATUSES)


def failure_of_lookup(host: str, error: OSError) -> Failure:
    """What it means that the addresses of a host could not be found (TimeoutError is an OSError)."""
    is_temporary = error.errno not in _HOPELESS_LOOKUPS
    return Failure("dns", f"{host}: {error.strerror or error or 'no answer in time'}", is_temporary)


def failure_of_status(status: int) -> Failure | None:
    """What a status other than 2xx and the redirects means; None when the response is one for the spider."""
    if 200 <= status < 300:
        return None
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "unknown status"
    return Failure("http", f"{status} {phrase}", status in _TEMPORARY_STATUSES)


def back_off(turn: int, *, first: float, most: float) -> float:
    """Seconds to wait for the turn of this number, from 1: drawn evenly between 0 and a bound that begins at `first`, doubles
    with each turn, and is never above `most`. Full jitter: those who failed together do not come back together.
    """
    bound = min(most, first * 2.0 ** min(turn - 1, _MOST_DOUBLINGS))
    # Not by the module `random`: to import it takes a file, and there may be none left.
    return bound * int.from_bytes(os.urandom(4)) / (1 << 32)


class RetryPolicy:
    """When a request that failed is tried again: exponential back-off with full jitter, or what the server asks for. `now` is the
    clock of the frontier, where it waits. `max_attempts` is for requests that have no number of their own."""

    def __init__(
        self, *, max_attempts: int, wait: float, max_wait: float, now: Callable[[], float] = time.time
    ) -> None:
        self._max_attempts = max_attempts
        self._wait = wait
        self._max_wait = max_wait
        self._now = now

    @classmethod
    def of(cls, settings: Settings, *, now: Callable[[], float]) -> RetryPolicy:
        return cls(
            max_attempts=settings.max_attempts, wait=settings.retry_wait, max_wait=settings.max_retry_wait, now=now
        )

    def decide(
        self, lease: Lease, failure: Failure, *, retry_after: float | None = None, is_patient: bool = False
    ) -> Postponed | Failed:
        """Another attempt later, or the end. With `is_patient`, the number of attempts does not end it: the host is to blame."""
        most = lease.max_attempts or self._max_attempts
        if not failure.is_temporary or (lease.attempts + 1 >= most and not is_patient):
            return Failed(error=str(failure), final_url=lease.url)
        wait = self.wait_before(lease.attempts + 1) if retry_after is None else min(retry_after, self._max_wait)
        return Postponed(error=str(failure), not_before=self._now() + wait)

    def put_off(self, lease: Lease, failure: Failure, seconds: float | None = None) -> Postponed:
        """Another attempt later, whatever happens: neither the page nor its host is to blame, so this one does not count."""
        wait = self.wait_before(lease.attempts + 1) if seconds is None else min(seconds, self._max_wait)
        return Postponed(error=str(failure), not_before=self._now() + wait, is_charged=False)

    def wait_before(self, attempt: int) -> float:
        """Seconds to wait before the attempt of this number (the first retry is 1): up to `wait`, twice as much each time."""
        return back_off(attempt, first=self._wait, most=self._max_wait)


def retry_after_of(value: str | None) -> float | None:
    """The seconds that a Retry-After field asks for (RFC 9110 §10.2.3: seconds, or a date); None when it says neither."""
    text = (value or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    from crawler.web.http_date import parse_http_date  # few servers say it so

    now = time.time()
    at = parse_http_date(text, now=now)
    return None if at is None else max(0.0, at - now)
