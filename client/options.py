"""The keyword parameters of requests and of sessions: the forms that callers may use, and their meaning."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from http.cookies import BaseCookie, Morsel, SimpleCookie
from typing import TYPE_CHECKING, Any, Final, SupportsInt, TypedDict

from client.cookies import header_for
from client.deprecation import deprecated
from client.environment import excepting
from client.fields import check_value
from client.proxies import always_at, by_scheme, first_of, telling
from client.timeouts import DEFAULT_TIMEOUT, ClientTimeout
from client.tls import merge_verification

if TYPE_CHECKING:
    from collections.abc import Callable
    from ssl import SSLContext
    from types import EllipsisType

    from yarl import URL

    from client.abc import AbstractCookieJar, LooseCookies
    from client.auth import BasicAuth
    from client.connector import BaseConnector
    from client.environment import Environment
    from client.exchange import ReadPolicy
    from client.middleware import Middleware, StatusCheck
    from client.proxies import ProxyChoice
    from client.response import ClientResponse
    from client.send_policy import SendPolicy
    from client.tls import Verification

LooseHeaders = Mapping[str, str] | Iterable[tuple[str, str]]
QueryValue = str | SupportsInt | float | Sequence[str | SupportsInt | float]
Params = str | Mapping[str, QueryValue] | Iterable[tuple[str, QueryValue]]


class RequestOptions(TypedDict, total=False):
    """The keyword parameters of `ClientSession.request`, which describes them."""

    params: Params | None
    data: Any
    json: Any
    cookies: LooseCookies | None
    headers: LooseHeaders | None
    skip_auto_headers: Iterable[str] | None
    auth: BasicAuth | None
    allow_redirects: bool
    max_redirects: int | None
    compress: str | bool | None
    chunked: bool | int | None
    expect100: bool
    raise_for_status: StatusCheck | None
    read_until_eof: bool
    timeout: ClientTimeout | float | EllipsisType | None
    verify_ssl: bool | None
    fingerprint: bytes | None
    ssl_context: SSLContext | None
    ssl: Verification
    server_hostname: str | None
    trace_request_ctx: object
    read_bufsize: int | None
    auto_decompress: bool | None
    max_line_size: int | None
    max_field_size: int | None
    max_headers: int | None
    max_body_bytes: int | None
    middlewares: Sequence[Middleware] | None
    proxy: str | URL | None
    proxy_auth: BasicAuth | None
    proxy_headers: LooseHeaders | None


REQUEST_DEFAULTS: Final[RequestOptions] = {
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
    "timeout": ...,
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
    "proxy": None,
    "proxy_auth": None,
    "proxy_headers": None,
}
"""The values of parameters that are not given. None and ``...`` mean the session's setting."""


@dataclass(frozen=True, slots=True)
class CallSettings:
    """The settings that a session's calls share, unless a call changes them."""

    connector: BaseConnector
    jar: AbstractCookieJar
    timeout: ClientTimeout
    send_policy: SendPolicy
    read_policy: ReadPolicy
    middlewares: Sequence[Middleware]
    requote: bool
    """Whether the URLs of redirects are quoted again."""
    resolve_charset: Callable[[ClientResponse, bytes], str]


_OPTIONS: Final = frozenset(RequestOptions.__annotations__)
_READ_OPTIONS: Final = {
    "auto_decompress": "decompresses",
    "max_body_bytes": "max_body_bytes",
    "max_field_size": "max_field_size",
    "max_headers": "max_headers",
    "max_line_size": "max_line_size",
    "read_bufsize": "high_water",
    "read_until_eof": "read_until_eof",
}
"""Options that change the `ReadPolicy`, and their names there."""
_SEND_OPTIONS: Final = frozenset(
    {
        *("chunked", "compress", "expect100", "fingerprint", "proxy", "proxy_auth", "proxy_headers", "server_hostname"),
        *("skip_auto_headers", "ssl", "ssl_context", "verify_ssl"),
    }
)
"""Options that change the `SendPolicy`."""
_PLAN_OPTIONS: Final = frozenset(
    {
        *("allow_redirects", "auth", "cookies", "data", "headers", "json", "max_redirects", "params"),
        *("raise_for_status", "trace_request_ctx"),
    }
)
"""Options that leave the session's settings as they are."""


_IN_REQUESTS = {
    "cert": "give ssl= a context with the certificate",
    "files": "give data= a FormData",
    "stream": "bodies are only read on demand",
    "verify": "it is ssl= here: False, or a context with the authority",
}
"""Options of the package requests that are called otherwise here."""


def settings_for(options: RequestOptions, settings: CallSettings) -> CallSettings:
    """Return a session's settings, changed by the options of a call. Raises `TypeError` for unknown options."""
    if _PLAN_OPTIONS.issuperset(options):
        return settings
    if not _OPTIONS.issuperset(options):
        raise unknown_options(options, _OPTIONS)
    middlewares = options.get("middlewares")
    return replace(
        settings,
        timeout=_as_timeout(options.get("timeout", ...), settings.timeout),
        send_policy=_send_policy(options, settings.send_policy),
        read_policy=_read_policy(options, settings.read_policy),
        middlewares=settings.middlewares if middlewares is None else middlewares,
    )


def unknown_options(options: Mapping[str, Any], known: Collection[str]) -> TypeError:
    """Return the error to raise for options of which some are unknown; it suggests what other clients' names are here, and similar
    names."""
    from difflib import get_close_matches

    texts = []
    for name in sorted(options.keys() - known):
        text = f"unknown option {name}"
        if name in _IN_REQUESTS:
            text += f": {_IN_REQUESTS[name]}"
        elif close := get_close_matches(name, sorted(known), n=1):
            text += f": did you mean {close[0]}?"
        texts.append(text)
    return TypeError("; ".join(texts))


def max_redirects_of(options: RequestOptions) -> int | None:
    """Return how many redirects a call may follow; None if it does not follow them."""
    if not options.get("allow_redirects", True):
        return None
    given = options.get("max_redirects")
    return 10 if given is None else given


def _read_policy(options: RequestOptions, policy: ReadPolicy) -> ReadPolicy:
    changes: dict[str, Any] = {
        _READ_OPTIONS[name]: value for name, value in options.items() if name in _READ_OPTIONS and value is not None
    }
    return replace(policy, **changes) if changes else policy


def _send_policy(options: RequestOptions, policy: SendPolicy) -> SendPolicy:
    if _SEND_OPTIONS.isdisjoint(options):
        return policy  # the object itself, which caches the keys of connections
    chunked = options.get("chunked") or False
    if not isinstance(chunked, bool):
        deprecated("a chunk size is deprecated, use chunked=True")
    compress = options.get("compress")
    return replace(
        policy,
        skipped=frozenset(name.lower() for name in options.get("skip_auto_headers") or ()),
        compress="deflate" if compress is True else compress or None,
        chunked=bool(chunked),
        chunk_bytes=0 if isinstance(chunked, bool) else chunked,
        expect100=options.get("expect100", False),
        ssl=merge_verification(
            options.get("ssl"),
            verify_ssl=options.get("verify_ssl"),
            ssl_context=options.get("ssl_context"),
            fingerprint=options.get("fingerprint"),
        ),
        server_hostname=options.get("server_hostname"),
        proxy_for=_proxy_choice(options, policy.proxy_for),
    )


def _proxy_choice(options: RequestOptions, default: ProxyChoice | None) -> ProxyChoice | None:
    proxy, auth, headers = options.get("proxy"), options.get("proxy_auth"), options.get("proxy_headers")
    if proxy is not None:
        return always_at(proxy, auth, headers or ())
    return telling(default, auth, headers)


def cookie_header(cookies: LooseCookies | None, url: URL, jar: AbstractCookieJar) -> str | None:
    """Return the cookies of one call as the value of a Cookie header. Raises `ValueError` for those that would break it."""
    if not cookies:
        return None
    pairs: list[tuple[str, Any]] = list(cookies.items() if isinstance(cookies, Mapping) else cookies)
    is_plain = not any(isinstance(value, Morsel | BaseCookie) for _, value in pairs)
    if not is_plain or not getattr(jar, "quote_cookie", True):
        return header_for(pairs, url, jar)
    parsed: BaseCookie[str] = SimpleCookie()
    for name, value in pairs:
        parsed[name] = value
    header = "; ".join(f"{name}={morsel.coded_value}" for name, morsel in parsed.items())
    check_value("Cookie", header)
    return header


def _as_timeout(given: ClientTimeout | float | EllipsisType | None, default: ClientTimeout) -> ClientTimeout:
    if given is ...:
        return default
    if isinstance(given, ClientTimeout):
        return given
    if given is not None:
        deprecated("a number as timeout is deprecated, use ClientTimeout(total=...)")
    return ClientTimeout(total=given)


def session_timeout(
    timeout: ClientTimeout | float | EllipsisType | None,
    read_timeout: float | EllipsisType | None,
    conn_timeout: float | None,
) -> ClientTimeout:
    """Return the timeout from `timeout`, or from the deprecated parameters. Raises `ValueError` if both are given."""
    if read_timeout is ... and conn_timeout is None:
        return _as_timeout(timeout, DEFAULT_TIMEOUT)
    if timeout is not ...:
        raise ValueError("give timeout or the deprecated read_timeout and conn_timeout, not both")
    deprecated("read_timeout and conn_timeout are deprecated, use ClientTimeout(total=..., connect=...)")
    total = DEFAULT_TIMEOUT.total if read_timeout is ... else read_timeout
    return replace(DEFAULT_TIMEOUT, total=total, connect=conn_timeout)


def session_proxies(
    proxy: str | URL | None,
    auth: BasicAuth | None,
    proxies: Mapping[str, str | URL] | None,
    no_proxy: str,
    environment: Environment | None,
) -> ProxyChoice | None:
    """Return how proxies are chosen for requests that name none: from the session's parameters, then from the environment."""
    if proxy is not None:
        chosen = always_at(proxy, auth)
    else:
        choices = [by_scheme(proxies)] if proxies else []
        if environment is not None:
            choices.append(environment.proxy_for)
        chosen = telling(first_of(choices), auth, None)
    return chosen and excepting(no_proxy, chosen)
