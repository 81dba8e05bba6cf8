"""An asyncio HTTP client with the interface of aiohttp's, usable on its own.

Rarely used names are loaded on first use: WebSockets alone would double the import time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from multidict import CIMultiDict, MultiDict, MultiDictProxy

from client.abc import AbstractCookieJar, AbstractResolver
from client.auth import BasicAuth, encode_basic_auth
from client.connection import Connection
from client.connector import BaseConnector
from client.cookies import CookieJar, DummyCookieJar
from client.errors import (
    AddressRefused,
    BadHttpMessage,
    BodyTooLarge,
    ClientConnectionError,
    ClientConnectionResetError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientHttpProxyError,
    ClientOSError,
    ClientPayloadError,
    ClientProxyConnectionError,
    ClientResponseError,
    ClientSSLError,
    ConnectionTimeoutError,
    ConnectorClosed,
    ContentEncodingError,
    ContentTypeError,
    HeadersTooLarge,
    InvalidURL,
    InvalidUrlClientError,
    InvalidUrlRedirectClientError,
    MissingPackage,
    NonHttpUrlClientError,
    NonHttpUrlRedirectClientError,
    RedirectClientError,
    ServerConnectionError,
    ServerDisconnectedError,
    ServerFingerprintMismatch,
    ServerTimeoutError,
    SocketTimeoutError,
    TooManyRedirects,
    UnixClientConnectorError,
    WebSocketError,
    WSServerHandshakeError,
)
from client.limits import HostLimits, Slot
from client.middleware import Handler as ClientHandlerType
from client.middleware import Middleware as ClientMiddlewareType
from client.origin import HostKey, Origin
from client.request import ClientRequest
from client.request_info import RequestInfo
from client.resolver import AddressGuard, DefaultResolver, ThreadedResolver
from client.response import ClientResponse
from client.session import ClientSession
from client.single import request
from client.stream import StreamReader
from client.tcp_connector import TCPConnector
from client.timeouts import ClientTimeout, ClientWSTimeout
from client.tls import Fingerprint
from client.tracing import (
    TraceConfig,
    TraceConnectionCreateEndParams,
    TraceConnectionCreateStartParams,
    TraceConnectionQueuedEndParams,
    TraceConnectionQueuedStartParams,
    TraceConnectionReuseconnParams,
    TraceDnsCacheHitParams,
    TraceDnsCacheMissParams,
    TraceDnsResolveHostEndParams,
    TraceDnsResolveHostStartParams,
    TraceRequestChunkSentParams,
    TraceRequestEndParams,
    TraceRequestExceptionParams,
    TraceRequestHeadersSentParams,
    TraceRequestRedirectParams,
    TraceRequestStartParams,
    TraceResponseChunkReceivedParams,
)
from client.version import HttpVersion, HttpVersion10, HttpVersion11

if TYPE_CHECKING:
    from client import hdrs
    from client.async_resolver import AsyncResolver
    from client.digest_auth import DigestAuthMiddleware
    from client.forms import FormData
    from client.multipart import BodyPartReader, MultipartReader
    from client.multipart_writer import MultipartWriter
    from client.unix_connector import UnixConnector
    from client.websocket import ClientWebSocketResponse
    from client.ws_messages import WSCloseCode, WSMessage, WSMessageTypeError, WSMsgType

__all__ = [
    "AbstractCookieJar",
    "AbstractResolver",
    "AddressGuard",
    "AddressRefused",
    "AsyncResolver",
    "BadHttpMessage",
    "BaseConnector",
    "BasicAuth",
    "BodyPartReader",
    "BodyTooLarge",
    "CIMultiDict",
    "ClientConnectionError",
    "ClientConnectionResetError",
    "ClientConnectorCertificateError",
    "ClientConnectorDNSError",
    "ClientConnectorError",
    "ClientConnectorSSLError",
    "ClientError",
    "ClientHandlerType",
    "ClientHttpProxyError",
    "ClientMiddlewareType",
    "ClientOSError",
    "ClientPayloadError",
    "ClientProxyConnectionError",
    "ClientRequest",
    "ClientResponse",
    "ClientResponseError",
    "ClientSSLError",
    "ClientSession",
    "ClientTimeout",
    "ClientWSTimeout",
    "ClientWebSocketResponse",
    "Connection",
    "ConnectionTimeoutError",
    "ConnectorClosed",
    "ContentEncodingError",
    "ContentTypeError",
    "CookieJar",
    "DefaultResolver",
    "DigestAuthMiddleware",
    "DummyCookieJar",
    "Fingerprint",
    "FormData",
    "HeadersTooLarge",
    "HostKey",
    "HostLimits",
    "HttpVersion",
    "HttpVersion10",
    "HttpVersion11",
    "InvalidURL",
    "InvalidUrlClientError",
    "InvalidUrlRedirectClientError",
    "MissingPackage",
    "MultiDict",
    "MultiDictProxy",
    "MultipartReader",
    "MultipartWriter",
    "NonHttpUrlClientError",
    "NonHttpUrlRedirectClientError",
    "Origin",
    "RedirectClientError",
    "RequestInfo",
    "ServerConnectionError",
    "ServerDisconnectedError",
    "ServerFingerprintMismatch",
    "ServerTimeoutError",
    "Slot",
    "SocketTimeoutError",
    "StreamReader",
    "TCPConnector",
    "ThreadedResolver",
    "TooManyRedirects",
    "TraceConfig",
    "TraceConnectionCreateEndParams",
    "TraceConnectionCreateStartParams",
    "TraceConnectionQueuedEndParams",
    "TraceConnectionQueuedStartParams",
    "TraceConnectionReuseconnParams",
    "TraceDnsCacheHitParams",
    "TraceDnsCacheMissParams",
    "TraceDnsResolveHostEndParams",
    "TraceDnsResolveHostStartParams",
    "TraceRequestChunkSentParams",
    "TraceRequestEndParams",
    "TraceRequestExceptionParams",
    "TraceRequestHeadersSentParams",
    "TraceRequestRedirectParams",
    "TraceRequestStartParams",
    "TraceResponseChunkReceivedParams",
    "UnixClientConnectorError",
    "UnixConnector",
    "WSCloseCode",
    "WSMessage",
    "WSMessageTypeError",
    "WSMsgType",
    "WSServerHandshakeError",
    "WebSocketError",
    "encode_basic_auth",
    "hdrs",
    "request",
]

_LATE: Final = {
    "AsyncResolver": "async_resolver",
    "BodyPartReader": "multipart",
    "ClientWebSocketResponse": "websocket",
    "DigestAuthMiddleware": "digest_auth",
    "FormData": "forms",
    "MultipartReader": "multipart",
    "MultipartWriter": "multipart_writer",
    "UnixConnector": "unix_connector",
    "WSCloseCode": "ws_messages",
    "WSMessage": "ws_messages",
    "WSMessageTypeError": "ws_messages",
    "WSMsgType": "ws_messages",
    "hdrs": "hdrs",
}
"""Names that are loaded on first use, and their modules."""

if not TYPE_CHECKING:  # a type checker would take every name to exist

    def __getattr__(name: str) -> object:
        """Load a name on first use (PEP 562)."""
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = import_module(f"{__name__}.{_LATE[name]}")
        found = globals()[name] = module if name == _LATE[name] else getattr(module, name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *_LATE})
