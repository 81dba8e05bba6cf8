"""The keyword parameters of a request, as callers may write them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, SupportsInt, TypedDict

from client.request import ClientRequest
from client.response import ClientResponse

if TYPE_CHECKING:
    from ssl import SSLContext
    from types import EllipsisType

    from yarl import URL

    from client.abc import LooseCookies
    from client.auth import BasicAuth
    from client.timeouts import ClientTimeout
    from client.tls import Verification

LooseHeaders = Mapping[str, str] | Iterable[tuple[str, str]]
QueryValue = str | SupportsInt | float | Sequence[str | SupportsInt | float]
Params = str | Mapping[str, QueryValue] | Sequence[tuple[str, QueryValue]]
Handler = Callable[[ClientRequest], Awaitable[ClientResponse]]
Middleware = Callable[[ClientRequest, Handler], Awaitable[ClientResponse]]
"""Gets a request and what sends it; returns a response, its own or that."""
StatusCheck = bool | Callable[[ClientResponse], Awaitable[None]]


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
    max_redirects: int
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
