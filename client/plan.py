"""Planning the next request of a call, before anything is sent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from multidict import CIMultiDict

from client.auth import BasicAuth
from client.errors import ClientPayloadError
from client.fields import check_value
from client.redirects import ORIGIN_HEADERS, redirect_headers, redirect_method, redirect_url
from client.request import ClientRequest
from client.send_policy import merge_cookies

if TYPE_CHECKING:
    from yarl import URL

    from client.abc import AbstractCookieJar
    from client.body import Body
    from client.send_policy import SendPolicy


class Plan:
    """The request that a caller or a redirect asks for. `Call` is a subclass, so that no second object is needed."""

    __slots__ = ("body", "cookies", "headers", "method", "policy", "url")

    method: str
    url: URL
    """Without credentials."""
    policy: SendPolicy
    headers: CIMultiDict[str] | None
    """Headers besides the session's."""
    body: Body | None
    cookies: str | None
    """Cookies of this call only, as the value of a Cookie header."""

    def request(self, jar: AbstractCookieJar) -> ClientRequest:
        """Make the request, with the cookies that the jar has for it."""
        cookie = jar.cookie_header(self.url)
        given = self.policy.defaults.cookie
        if self.headers is not None and "Cookie" in self.headers:
            said = self.headers.getall("Cookie")
            for value in said:
                check_value("Cookie", value)
            given = merge_cookies(*said)
        if given is not None or self.cookies is not None:
            cookie = merge_cookies(given, cookie, self.cookies)
        headers = self.headers if self.policy.credentials_for is None else self._with_known_credentials()
        return ClientRequest(self.method, self.url, self.policy, headers, self.body, cookie)

    def _with_known_credentials(self) -> CIMultiDict[str] | None:
        """Return the headers, with the credentials known for the host unless others are sent. `self.headers` is not changed."""
        known = self.policy.credentials_for
        headers = CIMultiDict(self.headers or ())
        if known is None or "Authorization" in headers or "Authorization" in self.policy.defaults.headers:
            return self.headers
        auth = known(self.url.raw_host or "")
        if auth is None:
            return self.headers
        headers["Authorization"] = auth.encode()
        return headers

    def take_changes(self, before: CIMultiDict[str], after: CIMultiDict[str]) -> None:
        """Apply changes that were made to the headers of the request, the session's included."""
        if before == after:
            return
        names = {name.lower() for name in (*before, *after)}
        changed = {name for name in names if before.getall(name, []) != after.getall(name, [])}
        headers = CIMultiDict(self.headers or ())
        for name in changed:
            headers.popall(name, None)
        headers.extend((name, value) for name, value in after.items() if name.lower() in changed)
        self.headers = headers
        gone = frozenset(name for name in changed if name not in after)
        if gone:
            self.policy = replace(self.policy.without_headers(gone), skipped=self.policy.skipped | gone)

    def redirect(self, status: int, location: bytes, *, requote: bool) -> None:
        """Plan the request that a redirect asks for.

        Raises a `RedirectClientError` if it leads where it must not, `ClientPayloadError` if the body cannot be sent again.
        """
        method = redirect_method(self.method, status)
        url, credentials = split_credentials(redirect_url(self.url, location, requote=requote))
        keeps_body = method == self.method
        if keeps_body and self.body is not None and not self.body.can_replay:
            raise ClientPayloadError(f"redirected with status {status}, but the body cannot be sent again")
        same_origin = url.origin() == self.url.origin()
        headers = redirect_headers(self.headers, keeps_body=keeps_body, same_origin=same_origin)
        if credentials is not None:
            headers = CIMultiDict() if headers is None else headers
            headers["Authorization"] = credentials.encode()
        self.method, self.url, self.headers = method, url, headers
        if not keeps_body:
            self.policy, self.body = self.policy.without_body(), None
        if not same_origin:
            self.policy, self.cookies = self.policy.without_headers(ORIGIN_HEADERS), None


def split_credentials(url: URL) -> tuple[URL, BasicAuth | None]:
    """Return a URL without credentials, and those that it held."""
    if url.raw_user is None and url.raw_password is None:
        return url, None
    return url.with_user(None), BasicAuth.from_url(url)
