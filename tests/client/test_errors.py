"""Errors: one tree, with aiohttp's bases, each of which says enough by itself."""

from __future__ import annotations

import copy
import inspect
import pickle
import ssl
from typing import TYPE_CHECKING, NamedTuple

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from client import errors
from client.connection import ConnectionKey
from client.handshakes import ProxyFault
from client.origin import Origin
from client.proxies import Proxy
from client.request_info import RequestInfo
from client.timeouts import ClientTimeout, fail_at

if TYPE_CHECKING:
    from collections.abc import Callable

URL_ = URL("http://a.example/path")
INFO = RequestInfo(URL_, "GET", CIMultiDictProxy(CIMultiDict()), URL_)


class Key(NamedTuple):
    """Where a connection was going."""

    host: str = "a.example"
    port: int = 443
    is_ssl: bool = True
    ssl: bool = True


BASES = {
    "ClientConnectionError": ["ClientError"],
    "ClientConnectionResetError": ["ClientConnectionError", "ConnectionResetError"],
    "ClientConnectorCertificateError": ["ClientSSLError", "SSLCertVerificationError"],
    "ClientConnectorDNSError": ["ClientConnectorError"],
    "ClientConnectorError": ["ClientOSError"],
    "ClientConnectorSSLError": ["ClientSSLError", "SSLError"],
    "ClientHttpProxyError": ["ClientResponseError"],
    "ClientOSError": ["ClientConnectionError", "OSError"],
    "ClientPayloadError": ["ClientError"],
    "ClientProxyConnectionError": ["ClientConnectorError"],
    "ClientResponseError": ["ClientError"],
    "ClientSSLError": ["ClientConnectorError"],
    "ConnectionTimeoutError": ["ServerTimeoutError"],
    "ConnectorClosed": ["ClientConnectionError", "RuntimeError"],
    "ContentTypeError": ["ClientResponseError"],
    "InvalidURL": ["ClientError", "ValueError"],
    "InvalidUrlClientError": ["InvalidURL"],
    "InvalidUrlRedirectClientError": ["InvalidUrlClientError", "RedirectClientError"],
    "NonHttpUrlClientError": ["ClientError"],
    "NonHttpUrlRedirectClientError": ["NonHttpUrlClientError", "RedirectClientError"],
    "RedirectClientError": ["ClientError"],
    "ServerConnectionError": ["ClientConnectionError"],
    "ServerDisconnectedError": ["ServerConnectionError"],
    "ServerFingerprintMismatch": ["ServerConnectionError"],
    "ServerTimeoutError": ["ServerConnectionError", "TimeoutError"],
    "SocketTimeoutError": ["ServerTimeoutError"],
    "TooManyRedirects": ["ClientResponseError"],
    "UnixClientConnectorError": ["ClientConnectorError"],
    "WSServerHandshakeError": ["ClientResponseError"],
}
"""As in aiohttp 3.14."""


@pytest.mark.parametrize("name", BASES)
def test_bases(name: str) -> None:
    """A handler written for aiohttp catches the same errors here."""
    error = getattr(errors, name)
    ancestors = {base.__name__ for base in error.__mro__}
    assert set(BASES[name]) <= ancestors


def test_the_docstring_draws_the_tree() -> None:
    """Every error has its place in it, under its base."""
    assert errors.__doc__ is not None
    drawn = errors.__doc__
    for name in errors.__all__:
        assert name in drawn
    defined = {
        name
        for name, member in vars(errors).items()
        if inspect.isclass(member) and issubclass(member, errors.ClientError)
    }
    assert defined == set(errors.__all__)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errors.ClientError(), "ClientError"),
        (errors.ClientPayloadError("cut short"), "cut short"),
        (errors.ClientOSError(104, "Connection reset by peer"), "[Errno 104] Connection reset by peer"),
        (
            errors.ClientConnectorError(Key(), OSError(111, "Connection refused")),
            "cannot connect to a.example:443 for https: Connection refused",
        ),
        (
            errors.ClientConnectorError(Key(), OSError("odd")),
            "cannot connect to a.example:443 for https: odd",
        ),
        (
            errors.ClientProxyConnectionError(Key(), OSError(111, "Connection refused")),
            "cannot connect to the proxy a.example:443: Connection refused",
        ),
        (
            errors.UnixClientConnectorError("/socket", Key(), OSError(2, "No such file")),
            "cannot connect to Unix socket /socket: No such file",
        ),
        (
            errors.ClientConnectorCertificateError(Key(), ssl.SSLCertVerificationError("expired")),
            "a.example:443 has no valid certificate: ('expired',)",
        ),
        (
            errors.ClientConnectorCertificateError(Key(), ValueError("odd")),
            "a.example:443 has no valid certificate: odd",
        ),
        (
            errors.ServerFingerprintMismatch(b"\1", b"\2", "a.example", 443),
            "a.example:443 has certificate 02, pinned is 01",
        ),
        (errors.ServerDisconnectedError(), "server disconnected"),
        (errors.ServerTimeoutError("late"), "late"),
    ],
)
def test_texts(error: errors.ClientError, text: str) -> None:
    """What, where and why; with the request as soon as one is known."""
    assert str(error) == text
    error.method, error.url = "GET", URL_
    assert str(error) == f"{text} (GET {URL_})"
    assert type(error).__name__ in repr(error)


def test_response_errors() -> None:
    """They carry the request, and what there was of a response."""
    error = errors.ClientResponseError(INFO, (), status=404, message="Not Found", headers=CIMultiDict({"X": "y"}))
    assert (error.request_info, error.history, error.status, error.message) == (INFO, (), 404, "Not Found")
    assert (error.method, error.url) == ("GET", URL_)
    assert str(error) == f"404 Not Found (GET {URL_})"
    assert str(errors.BadHttpMessage(INFO, (), message="nonsense")) == f"nonsense (GET {URL_})"
    assert "404" in repr(error)


def test_code_is_an_older_name_of_status() -> None:
    """It still works, with a warning."""
    with pytest.warns(DeprecationWarning, match="status"):
        error = errors.ClientResponseError(INFO, (), code=500)
    assert error.status == 500
    with pytest.warns(DeprecationWarning, match="status"):
        assert error.code == 500
    with pytest.raises(ValueError, match="not both"):
        errors.ClientResponseError(INFO, (), code=500, status=500)


def test_url_errors() -> None:
    """They keep the URL as it was given."""
    error = errors.InvalidURL("nonsense", "no host")
    assert (error.url, error.description) == ("nonsense", "no host")
    assert str(error) == "no host (URL nonsense)"
    assert str(errors.InvalidURL("nonsense")) == "invalid URL (URL nonsense)"
    assert "nonsense" in repr(error)
    assert str(errors.NonHttpUrlClientError("ftp:x")) == "not an http or https URL (URL ftp:x)"


def test_os_errors_are_os_errors() -> None:
    """`errno` and `strerror` are the system's."""
    error = errors.ClientConnectorError(Key(), OSError(111, "Connection refused"))
    assert (error.errno, error.strerror, error.host, error.port, error.ssl) == (
        111,
        "Connection refused",
        "a.example",
        443,
        True,
    )


# -- copies -----------------------------------------------------------------------------------------------------------

KEY = ConnectionKey(
    Origin("https", "a.example", 443), ssl.create_default_context(), None, Proxy.of("http://p", headers={"X": "y"})
)
REFUSED = OSError(111, "Connection refused")
MADE: dict[str, Callable[[], errors.ClientError]] = {
    "ClientConnectorCertificateError": lambda: errors.ClientConnectorCertificateError(KEY, ValueError("odd")),
    "ClientConnectorSSLError": lambda: errors.ClientConnectorSSLError(KEY, ssl.SSLError(1, "odd")),
    "ClientOSError": lambda: errors.ClientOSError(2, "No such file", "/file"),
    "ClientProxyConnectionError": lambda: errors.ClientProxyConnectionError(KEY, ProxyFault("no SOCKS")),
    "MissingPackage": lambda: errors.MissingPackage("a thing", "name", "extra"),
    "ServerDisconnectedError": lambda: errors.ServerDisconnectedError("gone"),
    "ServerFingerprintMismatch": lambda: errors.ServerFingerprintMismatch(b"1", b"2", "a.example", 443),
    "UnixClientConnectorError": lambda: errors.UnixClientConnectorError("/socket", KEY, REFUSED),
    "WebSocketError": lambda: errors.WebSocketError(1002, "odd"),
}


def made(name: str) -> errors.ClientError:
    """One of each, with all that it may have."""
    kind = getattr(errors, name)
    if name in MADE:
        error = MADE[name]()
    elif issubclass(kind, errors.ClientConnectorError):
        error = kind(KEY, REFUSED)
    elif issubclass(kind, errors.ClientResponseError):
        headers = CIMultiDictProxy(CIMultiDict([("X", "y"), ("x", "z")]))
        info = INFO._replace(headers=headers)
        error = kind(info, (object(),), status=404, message="Not Found", headers=headers)
    elif issubclass(kind, errors.InvalidURL | errors.NonHttpUrlClientError):
        error = kind("nonsense", "odd")
    else:
        error = kind("odd")
    if not isinstance(error, errors.ClientResponseError):
        error.method, error.url, error.history = "GET", URL_, (lambda: "what cannot be pickled",)
    error.add_note("a note")
    return error


@pytest.mark.parametrize("name", errors.__all__)
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_copies(name: str, again: Callable[[errors.ClientError], errors.ClientError]) -> None:
    """Every error can be copied, and sent to another process, as it is with pools of them."""
    error = made(name)
    twin = again(error)
    assert (type(twin), str(twin), repr(twin)) == (type(error), str(error), repr(error).replace(*_context(twin)))
    assert twin.history == (error.history if again is copy.copy else ())
    kept = vars(error).keys() - {"history", "headers", "request_info", "os_error", "certificate_error", "_endpoint"}
    assert {key: vars(twin)[key] for key in kept} == {key: vars(error)[key] for key in kept}
    if isinstance(error, OSError) and isinstance(twin, OSError):
        assert (twin.errno, twin.strerror, twin.filename) == (error.errno, error.strerror, error.filename)
    if isinstance(error, errors.ClientConnectorError) and isinstance(twin, errors.ClientConnectorError):
        assert str(twin.os_error) == str(error.os_error)
        assert (twin.host, twin.port, twin.ssl) == ("a.example", 443, error.ssl if again is copy.copy else True)
    if isinstance(error, errors.ClientResponseError) and isinstance(twin, errors.ClientResponseError):
        assert error.headers is not None
        assert twin.headers is not None
        assert list(twin.headers.items()) == list(error.headers.items())
        assert twin.request_info == error.request_info


def _context(twin: errors.ClientError) -> tuple[str, str]:
    """What a representation has of the TLS context, and what it has in place of that in another process."""
    left_out = isinstance(twin, errors.ClientConnectorError) and twin.ssl is True
    return (f"ssl={KEY.ssl!r}", "ssl=True") if left_out else ("", "")


# -- deadlines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["total", "connect", "sock_read", "sock_connect", "ceil_threshold"])
@pytest.mark.parametrize("value", [-1, float("inf"), float("nan"), "1"])
def test_timeouts_that_are_none(field: str, value: object) -> None:
    """A mistake is told where it is made, by its name."""
    with pytest.raises(ValueError, match=field):
        ClientTimeout(**{field: value})  # type: ignore[arg-type]


def test_deadlines() -> None:
    """None and 0 mean never; distant deadlines fall on whole seconds, so that many are one."""
    timeout = ClientTimeout(ceil_threshold=5)
    assert timeout.deadline_at(10.5, None) == timeout.deadline_at(10.5, 0) == float("inf")
    assert timeout.deadline_at(10.5, 2) == 12.5
    assert timeout.deadline_at(10.5, 6) == 17


async def test_other_timeouts_pass_through() -> None:
    """A `TimeoutError` that is not the deadline's stays what it is."""
    with pytest.raises(TimeoutError, match="mine"):
        async with fail_at(float("inf"), errors.ServerTimeoutError("ours")):
            raise TimeoutError("mine")
