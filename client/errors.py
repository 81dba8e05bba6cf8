"""The client's errors: one tree, divided by what a caller can do about each.

Names and bases are those of the aiohttp client, so that handlers written for it keep working::

    ClientError                                   anything this package raises while it talks to a server
    ├── ClientConnectionError                     the connection failed: worth trying again later
    │   ├── ClientOSError (OSError)
    │   │   ├── ClientConnectorError              could not be opened
    │   │   │   ├── ClientConnectorDNSError       the name has no address
    │   │   │   ├── AddressRefused                the name has only addresses that the address guard refuses
    │   │   │   ├── ClientProxyConnectionError    the proxy could not be reached
    │   │   │   ├── UnixClientConnectorError      the socket file could not be reached
    │   │   │   └── ClientSSLError
    │   │   │       ├── ClientConnectorSSLError (ssl.SSLError)
    │   │   │       └── ClientConnectorCertificateError (ssl.SSLCertVerificationError)
    │   │   └── ClientConnectionResetError (ConnectionResetError)
    │   ├── ConnectorClosed (RuntimeError)        the connector was closed by its user
    │   └── ServerConnectionError
    │       ├── ServerDisconnectedError           closed before a response
    │       ├── ServerFingerprintMismatch         not the pinned certificate
    │       └── ServerTimeoutError (TimeoutError) the total deadline has passed
    │           ├── ConnectionTimeoutError        ... the one for connecting
    │           └── SocketTimeoutError            ... the one for silence while reading
    ├── ClientResponseError                       a response that cannot be used; has `status`, `headers`
    │   ├── BadHttpMessage                        the bytes are not HTTP
    │   │   └── HeadersTooLarge
    │   ├── ContentTypeError                      not the expected media type
    │   ├── ClientHttpProxyError                  the proxy declined to open a tunnel
    │   ├── TooManyRedirects
    │   └── WSServerHandshakeError
    ├── ClientPayloadError                        the body is truncated or malformed, or cannot be sent again
    │   ├── ContentEncodingError                  it does not decompress
    │   └── BodyTooLarge                          it is larger than the caller allowed, or expands too much
    ├── WebSocketError                            the server broke the WebSocket protocol; has `code`
    ├── InvalidURL (ValueError)
    │   └── InvalidUrlClientError
    │       └── InvalidUrlRedirectClientError (RedirectClientError)
    ├── NonHttpUrlClientError
    │   └── NonHttpUrlRedirectClientError (RedirectClientError)
    ├── RedirectClientError
    └── MissingPackage (ImportError, RuntimeError)  an optional part of this package needs another one

Every error has `method` and `url`: those of the request that failed, or None if no request is known; and `history`: the
`ClientResponse` of every redirect before that request. If a redirect could not be followed, it is the last of these.

Every error can be copied, and pickled for another process. What belongs to this process is left out when pickling: `history`, and a
connection's TLS context, which is replaced by True.
"""

import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self, TypeVar

from multidict import MultiDictProxy, MultiMapping
from yarl import URL

from client.deprecation import deprecated

__all__ = [
    "AddressRefused",
    "BadHttpMessage",
    "BodyTooLarge",
    "ClientConnectionError",
    "ClientConnectionResetError",
    "ClientConnectorCertificateError",
    "ClientConnectorDNSError",
    "ClientConnectorError",
    "ClientConnectorSSLError",
    "ClientError",
    "ClientHttpProxyError",
    "ClientOSError",
    "ClientPayloadError",
    "ClientProxyConnectionError",
    "ClientResponseError",
    "ClientSSLError",
    "ConnectionTimeoutError",
    "ConnectorClosed",
    "ContentEncodingError",
    "ContentTypeError",
    "HeadersTooLarge",
    "InvalidURL",
    "InvalidUrlClientError",
    "InvalidUrlRedirectClientError",
    "MissingPackage",
    "NonHttpUrlClientError",
    "NonHttpUrlRedirectClientError",
    "RedirectClientError",
    "ServerConnectionError",
    "ServerDisconnectedError",
    "ServerFingerprintMismatch",
    "ServerTimeoutError",
    "SocketTimeoutError",
    "TooManyRedirects",
    "UnixClientConnectorError",
    "WSServerHandshakeError",
    "WebSocketError",
]


_AnError = TypeVar("_AnError", bound="ClientError")


class Endpoint(Protocol):
    """What a connection error says about its destination; a connector's `ConnectionKey` is one."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int | None: ...
    @property
    def is_ssl(self) -> bool: ...
    @property
    def ssl(self) -> Any:
        """True for the default verification, False for none, a context or a fingerprint."""


class AskedRequest(Protocol):
    """What a response error says about the request; `RequestInfo` is one."""

    @property
    def method(self) -> str: ...
    @property
    def real_url(self) -> URL: ...


class ClientError(Exception):
    """Root of the tree. `method` and `url` name the request that failed, where one is known, `history` the redirects to it."""

    method: str | None = None
    url: URL | str | None = None
    history: Sequence[Any] = ()

    def __copy__(self) -> Self:
        return _made_again(type(self), self._made_of(), self.__dict__)

    def __reduce__(self) -> tuple[Any, ...]:
        made_of = tuple(() if given is self.history else _portable(given) for given in self._made_of())
        state = {name: _portable(value) for name, value in self.__dict__.items() if name != "history"}
        return _made_again, (type(self), made_of, state)

    def _made_of(self) -> tuple[Any, ...]:
        """The arguments with which the error can be made again; attributes are set afterwards."""
        made_of: tuple[Any, ...] = super().__reduce__()[1]  # type: ignore[assignment]  # with those that OSError hides
        return made_of

    def __str__(self) -> str:
        text = self._reason()
        return text if self.url is None else f"{text} ({self.method or 'URL'} {self.url})"

    def _reason(self) -> str:
        """What went wrong, without the request."""
        return super().__str__() or type(self).__name__


def _made_again(kind: type[_AnError], made_of: tuple[Any, ...], state: Mapping[str, Any]) -> _AnError:
    error = kind(*made_of)
    error.__dict__.update(state)
    return error


def _portable(value: Any) -> Any:
    """Return a value without what cannot leave the process."""
    if isinstance(value, MultiDictProxy):
        return value.copy()
    if isinstance(getattr(value, "ssl", None), ssl.SSLContext) and hasattr(value, "_replace"):
        return value._replace(ssl=True)
    return value


class ClientConnectionError(ClientError):
    """The connection could not be made or did not last. `is_of_proxy`: only the proxy is to blame: it was not reached, refused our
    credentials, or is not such a proxy. Then nothing is known about what lies behind it."""

    is_of_proxy = False


class ConnectorClosed(ClientConnectionError, RuntimeError):
    """The connector is closed, or was closed while it was connecting. A session that is closed itself raises a plain `RuntimeError`."""


class ClientOSError(ClientConnectionError, OSError):
    """An error of the operating system; `errno` and `strerror` are the system's."""


class ClientConnectionResetError(ClientOSError, ConnectionResetError):
    """Data was written to a connection that the server had closed."""


class ClientConnectorError(ClientOSError):
    """A connection could not be opened; `host`, `port` and `ssl` say where to, `os_error` says why."""

    def __init__(self, connection_key: Endpoint, os_error: OSError) -> None:
        super().__init__(os_error.errno, os_error.strerror or str(os_error))
        self.args = (connection_key, os_error)
        self._endpoint = connection_key
        self.os_error = os_error

    @property
    def host(self) -> str:
        return self._endpoint.host

    @property
    def port(self) -> int | None:
        return self._endpoint.port

    @property
    def ssl(self) -> Any:
        return self._endpoint.ssl

    def _reason(self) -> str:
        scheme = "https" if self._endpoint.is_ssl else "http"
        return f"cannot connect to {self.host}:{self.port} for {scheme}: {self.os_error.strerror or self.os_error}"


class ClientConnectorDNSError(ClientConnectorError):
    """The host's name could not be resolved to an address."""


class AddressRefused(ClientConnectorError):
    """The host resolves only to addresses that the address guard refuses."""


class ClientProxyConnectionError(ClientConnectorError):
    """The proxy could not be reached."""

    is_of_proxy = True

    def _reason(self) -> str:
        return f"cannot connect to the proxy {self.host}:{self.port}: {self.os_error.strerror or self.os_error}"


class UnixClientConnectorError(ClientConnectorError):
    """The Unix domain socket at `path` could not be reached."""

    def __init__(self, path: str, connection_key: Endpoint, os_error: OSError) -> None:
        super().__init__(connection_key, os_error)
        self.path = path

    def _made_of(self) -> tuple[Any, ...]:
        return (self.path, *self.args)

    def _reason(self) -> str:
        return f"cannot connect to Unix socket {self.path}: {self.os_error.strerror or self.os_error}"


class ClientSSLError(ClientConnectorError):
    """The TLS handshake failed."""


class ClientConnectorSSLError(ClientSSLError, ssl.SSLError):
    """The TLS handshake failed for a reason other than the certificate."""


class ClientConnectorCertificateError(ClientSSLError, ssl.SSLCertVerificationError):
    """The server's certificate is not valid for it; `certificate_error` says why."""

    def __init__(self, connection_key: Endpoint, certificate_error: Exception) -> None:
        cause = certificate_error if isinstance(certificate_error, OSError) else OSError(str(certificate_error))
        super().__init__(connection_key, cause)
        self.args = (connection_key, certificate_error)
        self.certificate_error = certificate_error

    def _reason(self) -> str:
        return f"{self.host}:{self.port} has no valid certificate: {self.certificate_error}"


class ServerConnectionError(ClientConnectionError):
    """The server ended the connection, or was silent."""


class ServerDisconnectedError(ServerConnectionError):
    """The server closed the connection before a response. `is_unprocessed`: it is known that the server did not process the
    request, so that it may be made again, whatever its method (RFC 9113 §8.7)."""

    is_unprocessed = False

    def __init__(self, message: str | None = None) -> None:
        self.message = message or "server disconnected"
        super().__init__(self.message)


class ServerFingerprintMismatch(ServerConnectionError):
    """The server's certificate is not the pinned one: SHA-256 digests `expected` and `got`."""

    def __init__(self, expected: bytes, got: bytes, host: str, port: int) -> None:
        super().__init__(expected, got, host, port)
        self.expected = expected
        self.got = got
        self.host = host
        self.port = port

    def _reason(self) -> str:
        return f"{self.host}:{self.port} has certificate {self.got.hex()}, pinned is {self.expected.hex()}"


class ServerTimeoutError(ServerConnectionError, TimeoutError):
    """A deadline of `ClientTimeout` has passed; this class itself means `total`."""


class ConnectionTimeoutError(ServerTimeoutError):
    """No connection within `connect` or `sock_connect` seconds."""


class SocketTimeoutError(ServerTimeoutError):
    """Nothing was received for `sock_read` seconds."""


class ClientResponseError(ClientError):
    """A response that cannot be used.

    `request_info` describes the request, `history` holds the `ClientResponse` of every redirect before it, `status` and
    `headers` are the response's (0 and None if it had no readable head), `message` is the reason.
    """

    def __init__(
        self,
        request_info: AskedRequest,
        history: Sequence[Any],
        *,
        code: int | None = None,
        status: int | None = None,
        message: str = "",
        headers: MultiMapping[str] | None = None,
    ) -> None:
        super().__init__(request_info, history)
        if code is not None:
            if status is not None:
                raise ValueError("give status, or its deprecated name code, not both")
            deprecated("code is deprecated, use status")
        self.request_info = request_info
        self.history = history
        self.status = status or code or 0
        self.message = message
        self.headers = headers
        self.method = request_info.method
        self.url = request_info.real_url

    @property
    def code(self) -> int:
        """Deprecated name of `status`."""
        deprecated("code is deprecated, use status")
        return self.status

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def _reason(self) -> str:
        return f"{self.status} {self.message}".rstrip() if self.status else self.message  # HTTP/2 has no reason phrases


class BadHttpMessage(ClientResponseError):
    """What the server sent is not an HTTP response (RFC 9112, RFC 9113)."""


class HeadersTooLarge(BadHttpMessage):
    """A header line, the number of lines or their total size exceeds the session's limits."""


class ContentTypeError(ClientResponseError):
    """The response does not have the expected media type."""


class ClientHttpProxyError(ClientResponseError):
    """The proxy answered CONNECT with a status other than 2xx."""


class TooManyRedirects(ClientResponseError):
    """More redirects than `max_redirects`; `history` holds all of them."""


class WSServerHandshakeError(ClientResponseError):
    """The server did not open a WebSocket."""


class ClientPayloadError(ClientError):
    """The body is truncated or malformed, or cannot be sent again."""


class ContentEncodingError(ClientPayloadError):
    """The body cannot be decoded as its Content-Encoding says."""


class BodyTooLarge(ClientPayloadError):
    """The body exceeds `max_body_bytes`, or expands more than honest content does."""


class WebSocketError(ClientError):
    """The server broke the WebSocket protocol, or exceeded a bound; `code` is the close code that it is sent."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def _reason(self) -> str:
        return self.message


class InvalidURL(ClientError, ValueError):
    """The URL is malformed or has no host; `url` is as it was given, `description` says what is wrong."""

    def __init__(self, url: URL | str, description: str | None = None) -> None:
        super().__init__(url, description)
        self.url = url
        self.description = description

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def _reason(self) -> str:
        return self.description or "invalid URL"


class InvalidUrlClientError(InvalidURL):
    """The URL of a request is malformed."""


class RedirectClientError(ClientError):
    """A redirect that cannot be followed: the last response of `history`."""


class NonHttpUrlClientError(ClientError):
    """The URL is neither http nor https; `url` is as it was given."""

    def __init__(self, url: URL | str, description: str | None = None) -> None:
        super().__init__(url)
        self.url = url
        self.description = description

    def _reason(self) -> str:
        return self.description or "not an http or https URL"


class InvalidUrlRedirectClientError(InvalidUrlClientError, RedirectClientError):
    """A redirect to a malformed URL."""


class NonHttpUrlRedirectClientError(NonHttpUrlClientError, RedirectClientError):
    """A redirect to a URL that is neither http nor https."""


class MissingPackage(ClientError, ImportError, RuntimeError):
    """Something needs a package that is not installed: its `name`, and the `extra` of ours that installs it."""

    def __init__(self, what: str, name: str, extra: str) -> None:
        super().__init__(f"{what} needs the package {name}: pip install 'nephila[{extra}]'", name=name)
        self.what = what
        self.extra = extra

    def _made_of(self) -> tuple[Any, ...]:
        return self.what, self.name, self.extra
