"""Making the plan of a call from the caller's parameters and the session's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from multidict import CIMultiDict
from yarl import URL

from client.auth import BasicAuth
from client.body import Body, BytesBody
from client.errors import InvalidUrlClientError, NonHttpUrlClientError
from client.grammar import is_token
from client.options import cookie_header
from client.plan import split_credentials
from client.request import body_of
from client.urls import parse_url, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from client.abc import AbstractCookieJar
    from client.options import LooseHeaders, Params, RequestOptions
    from client.plan import Plan
    from client.send_policy import SendPolicy

_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """The settings of a session that go into the plans of its calls."""

    base_url: URL | None
    auth: BasicAuth | None
    """Credentials for all requests, or, with a base URL, for those to its origin."""
    headers: CIMultiDict[str]
    json_serialize: Callable[[Any], str]
    schemes: frozenset[str]
    jar: AbstractCookieJar
    """Its settings apply to the cookies of a call as well."""

    def fill(self, plan: Plan, method: str, url: str | URL, options: RequestOptions, policy: SendPolicy) -> None:
        """Plan the first request of a call.

        Raises `InvalidUrlClientError`, `NonHttpUrlClientError`, and `ValueError` or `TypeError` for options that cannot be sent.
        """
        if method not in _METHODS:
            method = _checked_method(method)
        try:
            target = URL(url)
            if self.base_url is not None:
                target = self.base_url.join(target)
            if options and (params := options.get("params")):
                target = _with_params(target, params)
            host = target.raw_host  # if a URL was made with encoded=True, yarl parses the authority only now
        except (ValueError, IndexError) as error:  # yarl may raise IndexError, see `parse_url`
            reason = "the host cannot be read" if isinstance(error, IndexError) else str(error)
            raise InvalidUrlClientError(shown(url), reason) from error
        if target.scheme not in self.schemes or not host:
            raise self._refusal(url, target)
        credentials = None
        if target.raw_user is not None or target.raw_password is not None:
            target, credentials = split_credentials(target)
        plan.method, plan.url, plan.policy = method, target, policy
        if not options and credentials is None and self.auth is None:
            return
        auth = options.get("auth")
        if auth is not None and credentials is not None:
            raise ValueError("give credentials in the URL or as auth, not both")
        plan.headers = self._headers_for(target, options.get("headers"), auth or credentials)
        plan.body = self._make_body(options.get("data"), options.get("json"))
        plan.cookies = cookie_header(options.get("cookies"), target, self.jar)

    def _refusal(self, url: str | URL, target: URL) -> InvalidUrlClientError | NonHttpUrlClientError:
        """Return the error for a URL that cannot be requested."""
        if not target.raw_host and target.scheme in {"", "http", "https", *self.schemes}:
            return InvalidUrlClientError(url, "the URL has no host")
        return NonHttpUrlClientError(url)

    def _headers_for(self, url: URL, given: LooseHeaders | None, auth: BasicAuth | None) -> CIMultiDict[str] | None:
        """Return the headers of this request besides the session's."""
        if auth is None and self.auth is not None:
            is_ours = self.base_url is None or self.base_url.origin() == url.origin()
            auth = self.auth if is_ours else None
        headers = CIMultiDict(given) if given else None
        if auth is None:
            return headers
        headers = CIMultiDict() if headers is None else headers
        if "Authorization" in headers or "Authorization" in self.headers:
            raise ValueError("give credentials or an Authorization header, not both")
        if not isinstance(auth, BasicAuth):
            raise TypeError(f"auth must be a BasicAuth, not a {type(auth).__name__}")
        headers["Authorization"] = auth.encode()
        return headers

    def _make_body(self, data: Any, json: Any) -> Body | None:
        if json is not None:
            if data is not None:
                raise ValueError("give data or json, not both")
            return BytesBody(self.json_serialize(json).encode(), "application/json")
        return None if data is None else body_of(data)


def absolute(base_url: str | URL) -> URL:
    """Return a base URL. Raises `ValueError` if it is relative or its path does not end with a slash."""
    url = parse_url(base_url)
    if not url.absolute or url.path[-1:] != "/":
        raise ValueError(f"base_url must be absolute, and its path must end with a slash: {url}")
    return url


def _with_params(url: URL, params: Params) -> URL:
    if isinstance(params, str):
        return _with_ready_query(url, params)
    return url.extend_query(params if isinstance(params, Mapping | Sequence) else list(params))


def _with_ready_query(url: URL, query: str) -> URL:
    """Add a query that is already quoted: only characters that would end it or break the URL are quoted. The URL's own stays."""
    added = URL("?" + query.replace("#", "%23")).raw_query_string
    joined = f"{url.raw_query_string}&{added}" if url.raw_query_string else added
    return url.join(URL(f"?{joined}#{url.raw_fragment}", encoded=True))


def _checked_method(method: str) -> str:
    method = method.upper()
    if not is_token(method):
        raise ValueError(f"not a method: {method!r}")
    return method
