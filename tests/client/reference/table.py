"""The client's interface as data: every public name, parameter, default, property and method.

A *row* is one line of it, named as one would write it: ``ClientSession``, ``ClientSession(connector)`` for a parameter of the
constructor, ``ClientSession.request(params)`` for one of a method, ``ClientSession.closed``. The table says what is there;
what each row does is shown by the tests that are marked with `exercises`.
"""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any, Final, TypeVar

from client.version import HttpVersion11

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T", bound="Callable[..., Any]")

REQUIRED: Final = inspect.Parameter.empty
"""In place of a default: there is none."""

NOT_GIVEN: Final = ...
"""The default of what tells None apart from nothing said."""


# -- names


CLASSES: Final = (
    "AbstractCookieJar",
    "AbstractResolver",
    "AddressGuard",
    "AsyncResolver",
    "BaseConnector",
    "BasicAuth",
    "BodyPartReader",
    "CIMultiDict",
    "ClientRequest",
    "ClientResponse",
    "ClientSession",
    "ClientTimeout",
    "ClientWSTimeout",
    "ClientWebSocketResponse",
    "Connection",
    "CookieJar",
    "DefaultResolver",
    "DigestAuthMiddleware",
    "DummyCookieJar",
    "Fingerprint",
    "FormData",
    "HostLimits",
    "HttpVersion",
    "MultiDict",
    "MultiDictProxy",
    "MultipartReader",
    "MultipartWriter",
    "Origin",
    "RequestInfo",
    "Slot",
    "StreamReader",
    "TCPConnector",
    "ThreadedResolver",
    "TraceConfig",
    "UnixConnector",
    "WSCloseCode",
    "WSMessage",
    "WSMsgType",
)

NEW_TYPES: Final = ("HostKey",)

TYPES: Final = ("ClientHandlerType", "ClientMiddlewareType")
"""What annotations of middlewares say."""

MODULES: Final = ("hdrs",)

FUNCTIONS: Final = ("encode_basic_auth", "request")

VALUES: Final[dict[str, object]] = {"HttpVersion10": (1, 0), "HttpVersion11": (1, 1)}

SIGNALS: Final = {
    "on_request_start": "TraceRequestStartParams",
    "on_request_headers_sent": "TraceRequestHeadersSentParams",
    "on_request_chunk_sent": "TraceRequestChunkSentParams",
    "on_request_redirect": "TraceRequestRedirectParams",
    "on_request_end": "TraceRequestEndParams",
    "on_request_exception": "TraceRequestExceptionParams",
    "on_response_chunk_received": "TraceResponseChunkReceivedParams",
    "on_connection_queued_start": "TraceConnectionQueuedStartParams",
    "on_connection_queued_end": "TraceConnectionQueuedEndParams",
    "on_connection_create_start": "TraceConnectionCreateStartParams",
    "on_connection_create_end": "TraceConnectionCreateEndParams",
    "on_connection_reuseconn": "TraceConnectionReuseconnParams",
    "on_dns_resolvehost_start": "TraceDnsResolveHostStartParams",
    "on_dns_resolvehost_end": "TraceDnsResolveHostEndParams",
    "on_dns_cache_hit": "TraceDnsCacheHitParams",
    "on_dns_cache_miss": "TraceDnsCacheMissParams",
}
"""The signals of `TraceConfig`, and the class of what each carries."""

ERRORS: Final[dict[str, tuple[str, ...]]] = {
    "ClientError": ("Exception",),
    "ClientConnectionError": ("ClientError",),
    "ConnectorClosed": ("ClientConnectionError", "RuntimeError"),
    "ClientOSError": ("ClientConnectionError", "OSError"),
    "ClientConnectionResetError": ("ClientConnectionError", "ConnectionResetError"),
    "ClientConnectorError": ("ClientOSError",),
    "ClientConnectorDNSError": ("ClientConnectorError",),
    "AddressRefused": ("ClientConnectorError",),
    "ClientProxyConnectionError": ("ClientConnectorError",),
    "UnixClientConnectorError": ("ClientConnectorError",),
    "ClientSSLError": ("ClientConnectorError",),
    "ClientConnectorSSLError": ("ClientSSLError", "SSLError"),
    "ClientConnectorCertificateError": ("ClientSSLError", "SSLCertVerificationError"),
    "ServerConnectionError": ("ClientConnectionError",),
    "ServerDisconnectedError": ("ServerConnectionError",),
    "ServerFingerprintMismatch": ("ServerConnectionError",),
    "ServerTimeoutError": ("ServerConnectionError", "TimeoutError"),
    "ConnectionTimeoutError": ("ServerTimeoutError",),
    "SocketTimeoutError": ("ServerTimeoutError",),
    "ClientResponseError": ("ClientError",),
    "BadHttpMessage": ("ClientResponseError",),
    "HeadersTooLarge": ("BadHttpMessage",),
    "ContentTypeError": ("ClientResponseError",),
    "ClientHttpProxyError": ("ClientResponseError",),
    "TooManyRedirects": ("ClientResponseError",),
    "WSServerHandshakeError": ("ClientResponseError",),
    "ClientPayloadError": ("ClientError",),
    "ContentEncodingError": ("ClientPayloadError",),
    "BodyTooLarge": ("ClientPayloadError",),
    "WebSocketError": ("ClientError",),
    "WSMessageTypeError": ("TypeError",),
    "InvalidURL": ("ClientError", "ValueError"),
    "InvalidUrlClientError": ("InvalidURL",),
    "NonHttpUrlClientError": ("ClientError",),
    "RedirectClientError": ("ClientError",),
    "InvalidUrlRedirectClientError": ("InvalidUrlClientError", "RedirectClientError"),
    "NonHttpUrlRedirectClientError": ("NonHttpUrlClientError", "RedirectClientError"),
    "MissingPackage": ("ClientError", "ImportError", "RuntimeError"),
}
"""Errors and what they can be caught as, besides the bases of these."""


# -- parameters


_REQUEST_OPTIONS: Final[dict[str, object]] = {
    "params": None,
    "data": None,
    "json": None,
    "cookies": None,
    "headers": None,
    "skip_auto_headers": None,
    "auth": None,
    "allow_redirects": True,
    "max_redirects": 10,
    "compress": None,
    "chunked": None,
    "expect100": False,
    "raise_for_status": None,
    "read_until_eof": True,
    "proxy": None,
    "proxy_auth": None,
    "proxy_headers": None,
    "timeout": NOT_GIVEN,
    "verify_ssl": None,
    "fingerprint": None,
    "ssl_context": None,
    "ssl": True,
    "server_hostname": None,
    "trace_request_ctx": None,
    "read_bufsize": None,
    "auto_decompress": None,
    "max_line_size": None,
    "max_field_size": None,
    "max_headers": None,
    "max_body_bytes": None,
    "middlewares": None,
}

PARAMETERS: Final[dict[str, dict[str, object]]] = {
    "ClientSession": {
        "base_url": None,
        "connector": None,
        "loop": None,
        "cookies": None,
        "headers": None,
        "skip_auto_headers": None,
        "auth": None,
        "json_serialize": json.dumps,
        "version": HttpVersion11,
        "cookie_jar": None,
        "connector_owner": True,
        "raise_for_status": False,
        "read_timeout": NOT_GIVEN,
        "conn_timeout": None,
        "timeout": NOT_GIVEN,
        "auto_decompress": True,
        "requote_redirect_url": True,
        "trace_configs": None,
        "read_bufsize": 256 * 1024,
        "max_line_size": 8190,
        "max_field_size": 8190,
        "max_headers": 128,
        "max_body_bytes": None,
        "fallback_charset_resolver": NOT_GIVEN,
        "middlewares": (),
        "proxy": None,
        "proxy_auth": None,
        "proxies": None,
        "no_proxy": "",
        "trust_env": False,
    },
    "ClientSession.request": {"method": REQUIRED, "url": REQUIRED, **_REQUEST_OPTIONS},
    "ClientSession.get": {"url": REQUIRED, "allow_redirects": True},
    "ClientSession.post": {"url": REQUIRED, "data": None},
    "ClientSession.put": {"url": REQUIRED, "data": None},
    "ClientSession.delete": {"url": REQUIRED},
    "ClientSession.head": {"url": REQUIRED, "allow_redirects": False},
    "ClientSession.options": {"url": REQUIRED, "allow_redirects": True},
    "ClientSession.patch": {"url": REQUIRED, "data": None},
    "ClientSession.ws_connect": {
        "url": REQUIRED,
        "method": "GET",
        "protocols": (),
        "timeout": NOT_GIVEN,
        "receive_timeout": None,
        "autoclose": True,
        "autoping": True,
        "heartbeat": None,
        "auth": None,
        "origin": None,
        "params": None,
        "headers": None,
        "proxy": None,
        "proxy_auth": None,
        "proxy_headers": None,
        "verify_ssl": None,
        "fingerprint": None,
        "ssl_context": None,
        "ssl": True,
        "server_hostname": None,
        "compress": 0,
        "max_msg_size": 4 * 1024 * 1024,
        "decode_text": True,
    },
    "request": {
        "method": REQUIRED,
        "url": REQUIRED,
        "encoding": "utf-8",
        "version": HttpVersion11,
        "connector": None,
        "loop": None,
        "trust_env": False,
        **_REQUEST_OPTIONS,
    },
    "BaseConnector": {
        "keepalive_timeout": 15.0,
        "force_close": False,
        "limit": 100,
        "limit_per_host": 0,
        "limits": None,
        "enable_cleanup_closed": False,
        "loop": None,
    },
    "BaseConnector.connect": {"request": None, "req": None},
    "BaseConnector._create_connection": {"req": REQUIRED},
    "TCPConnector": {
        "verify_ssl": True,
        "fingerprint": None,
        "use_dns_cache": True,
        "ttl_dns_cache": 10,
        "dns_cache_max_size": 1000,
        "family": 0,
        "ssl_context": None,
        "ssl": True,
        "local_addr": None,
        "resolver": None,
        "address_guard": None,
        "keepalive_timeout": 15.0,
        "force_close": False,
        "limit": 100,
        "limit_per_host": 0,
        "limits": None,
        "enable_cleanup_closed": False,
        "loop": None,
        "happy_eyeballs_delay": 0.25,
        "interleave": None,
        "http2": False,
    },
    "TCPConnector.clear_dns_cache": {"host": None, "port": None},
    "UnixConnector": {
        "path": REQUIRED,
        "conn_timeout": None,
        "keepalive_timeout": 30.0,
        "force_close": False,
        "limit": 100,
        "limit_per_host": 0,
        "limits": None,
        "loop": None,
    },
    "ClientTimeout": {
        "total": None,
        "connect": None,
        "sock_read": None,
        "sock_connect": None,
        "ceil_threshold": 5,
    },
    "ClientWSTimeout": {"ws_receive": None, "ws_close": None},
    "BasicAuth": {"login": REQUIRED, "password": "", "encoding": "latin1"},
    "DigestAuthMiddleware": {"login": REQUIRED, "password": REQUIRED, "preemptive": True},
    "Fingerprint": {"fingerprint": REQUIRED},
    "CookieJar": {
        "unsafe": False,
        "quote_cookie": True,
        "treat_as_secure_origin": None,
        "loop": None,
        "max_per_domain": 180,
        "max_total": 3300,
        "clock": NOT_GIVEN,
    },
    "FormData": {"fields": (), "quote_fields": True, "charset": None, "default_to_multipart": False},
    "MultipartWriter": {"subtype": "mixed", "boundary": None},
    "MultipartReader": {
        "headers": REQUIRED,
        "content": REQUIRED,
        "max_field_size": 8190,
        "max_headers": 128,
        "max_parts": 10_000,
        "max_part_bytes": 64 * 1024 * 1024,
    },
    "TraceConfig": {"trace_config_ctx_factory": NOT_GIVEN},
    "ThreadedResolver": {"loop": None},
    "AsyncResolver": {
        "nameservers": None,
        "loop": None,
        "timeout": None,
        "tries": None,
        "rotate": False,
        "ndots": None,
        "domains": None,
        "udp_port": None,
        "tcp_port": None,
        "local_ip": None,
        "local_dev": None,
        "socket_send_buffer_size": None,
        "socket_receive_buffer_size": None,
        "flags": None,
    },
    "ClientResponse.text": {"encoding": None, "errors": "strict"},
    "ClientResponse.json": {"encoding": None, "loads": json.loads, "content_type": "application/json"},
}
"""Of callables, in the order of the reference; of methods of no more than two parameters, those that have defaults."""

DEPRECATED: Final = frozenset(
    {
        "ClientSession(loop)",
        "ClientSession(read_timeout)",
        "ClientSession(conn_timeout)",
        "ClientSession.loop",
        "ClientSession.request(verify_ssl)",
        "ClientSession.request(fingerprint)",
        "ClientSession.request(ssl_context)",
        "ClientSession.ws_connect(receive_timeout)",
        "ClientSession.ws_connect(verify_ssl)",
        "ClientSession.ws_connect(fingerprint)",
        "ClientSession.ws_connect(ssl_context)",
        "request(encoding)",
        "request(loop)",
        "BaseConnector(enable_cleanup_closed)",
        "BaseConnector(loop)",
        "TCPConnector(verify_ssl)",
        "TCPConnector(fingerprint)",
        "TCPConnector(ssl_context)",
        "TCPConnector(enable_cleanup_closed)",
        "TCPConnector(loop)",
        "UnixConnector(conn_timeout)",
        "UnixConnector(loop)",
        "CookieJar(loop)",
        "ThreadedResolver(loop)",
        "AsyncResolver(loop)",
    }
)
"""Rows that warn with `DeprecationWarning` when they are used, and act all the same."""


# -- members


PROPERTIES: Final[dict[str, tuple[str, ...]]] = {
    "ClientSession": ("closed", "connector", "cookie_jar", "requote_redirect_url", "loop"),
    "BaseConnector": ("closed", "force_close", "limit", "limit_per_host", "limits"),
    "TCPConnector": (
        "verify_ssl",
        "ssl_context",
        "fingerprint",
        "family",
        "use_dns_cache",
        "dns_cache",
        "cached_hosts",
    ),
    "UnixConnector": ("path",),
    "ClientResponse": (
        "version",
        "reason",
        "ok",
        "url",
        "real_url",
        "host",
        "headers",
        "raw_headers",
        "cookies",
        "links",
        "content_type",
        "charset",
        "content_length",
        "content_disposition",
        "connection",
        "request_info",
        "closed",
        "timings",
    ),
    "ClientWebSocketResponse": ("closed", "close_code", "protocol", "compress"),
    "Connection": ("closed", "transport"),
    "CookieJar": ("unsafe", "quote_cookie", "treat_as_secure_origin"),
    "FormData": ("is_multipart",),
}

ATTRIBUTES: Final[dict[str, tuple[str, ...]]] = {
    "ClientResponse": ("status", "method", "history", "content"),
    "HttpVersion": ("major", "minor"),
    "BasicAuth": ("login", "password", "encoding"),
    "RequestInfo": ("url", "method", "headers", "real_url"),
    "Fingerprint": ("fingerprint",),
    "WSMessage": ("type", "data", "extra"),
}
"""Of instances: their classes need not know of them."""

METHODS: Final[dict[str, tuple[str, ...]]] = {
    "ClientSession": ("request", "get", "post", "put", "delete", "head", "options", "patch", "ws_connect", "detach"),
    "BaseConnector": ("close",),
    "TCPConnector": ("clear_dns_cache",),
    "ClientResponse": ("release", "close", "raise_for_status", "get_encoding"),
    "ClientWebSocketResponse": ("exception", "get_extra_info"),
    "StreamReader": ("iter_chunked", "iter_any", "iter_chunks", "at_eof", "read_nowait"),
    "BasicAuth": ("decode", "from_url", "encode"),
    "CookieJar": ("update_cookies", "filter_cookies", "clear", "clear_domain", "save", "load"),
    "FormData": ("add_field", "add_fields"),
    "MultipartReader": ("from_response",),
    "MultipartWriter": ("append", "append_json", "append_form"),
    "WSMessage": ("json",),
    "Connection": ("release", "close"),
}

COROUTINES: Final[dict[str, tuple[str, ...]]] = {
    "ClientSession": ("close",),
    "BaseConnector": ("connect", "_create_connection"),
    "ClientResponse": ("read", "text", "json"),
    "ClientWebSocketResponse": (
        "ping",
        "pong",
        "send_str",
        "send_bytes",
        "send_json",
        "receive",
        "receive_str",
        "receive_bytes",
        "receive_json",
        "close",
    ),
    "StreamReader": ("read", "readany", "readexactly", "readline", "readuntil", "readchunk"),
    "MultipartReader": ("next", "release"),
    "BodyPartReader": ("read", "read_chunk", "readline", "text", "json", "form", "release"),
    "AbstractResolver": ("resolve", "close"),
}


# -- rows


def rows() -> Iterator[str]:
    """Yield the name of every row."""
    yield from (*CLASSES, *NEW_TYPES, *TYPES, *MODULES, *FUNCTIONS, *VALUES, *ERRORS, *SIGNALS.values())
    for owner, parameters in PARAMETERS.items():
        yield from (f"{owner}({name})" for name in parameters)
    for members in (PROPERTIES, ATTRIBUTES, METHODS, COROUTINES):
        for owner, names in members.items():
            yield from (f"{owner}.{name}" for name in names)
    yield from (f"TraceConfig.{signal}" for signal in SIGNALS)


ROWS: Final = frozenset(rows())


def exercises(*names: str) -> Callable[[T], T]:
    """Say which rows a test shows at work. A name that is no row is an error."""
    unknown = set(names) - ROWS
    assert not unknown, f"not in the table: {sorted(unknown)}"

    def mark(test: T) -> T:
        vars(test)["exercised_rows"] = frozenset(names)
        return test

    return mark
