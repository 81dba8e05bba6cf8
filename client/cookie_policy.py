"""Deciding whether to keep a cookie, by the cookie and its request alone (RFC 6265bis §5.7), without I/O."""

import functools
from typing import TYPE_CHECKING

from client.cookie_store import Cookie
from client.set_cookie import SetCookie, default_path, domain_matches

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


@functools.cache
def _public_suffixes() -> "PublicSuffixList":
    """The list takes 60 ms to load, and is needed only for a Domain attribute."""
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()


def accept_cookie(received: SetCookie, *, host: str, path: str, is_secure: bool) -> Cookie | None:
    """Return the cookie to keep, or None to ignore it: steps 7 to 22, except 16, which needs the store.

    `host`, `path` and `is_secure` describe the request; the host must be canonical.
    """
    domain = _domain(received.domain, host)
    if domain is None:
        return None
    cookie = cookie_for(received, domain or host, received.path or default_path(path), host_only=not domain)
    if cookie.secure and not is_secure:  # step 13
        return None
    if cookie.same_site == "None" and not cookie.secure:  # step 19
        return None
    return cookie if _keeps_promise_of_name(cookie, has_path=received.path is not None) else None


def cookie_for(received: SetCookie, domain: str, path: str, *, host_only: bool) -> Cookie:
    """Return the cookie for a domain and path, unchecked."""
    return Cookie(
        name=received.name,
        value=received.value,
        domain=domain,
        path=path,
        host_only=host_only,
        expires=received.expires,
        secure=received.secure,
        http_only=received.http_only,
        same_site=received.same_site,
    )


def _domain(attribute: str, host: str) -> str | None:
    """Return the domain of a cookie that `host` sets: ``""`` for the host only, None to ignore the cookie. Steps 8 to 10."""
    if not attribute:
        return ""
    if not attribute.isascii() or not domain_matches(host, attribute):
        return None
    if _public_suffixes().is_public(attribute):
        return "" if attribute == host else None
    return attribute


def _keeps_promise_of_name(cookie: Cookie, *, has_path: bool) -> bool:
    """Whether a cookie has the attributes that the prefix of its name requires. Steps 20 to 22.

    Only the value of a nameless cookie is sent, so it must not look like such a name.
    """
    label = (cookie.name or cookie.value).lower()
    if label.startswith("__secure-"):
        return cookie.secure and bool(cookie.name)
    if label.startswith("__host-"):
        return cookie.secure and cookie.host_only and has_path and cookie.path == "/" and bool(cookie.name)
    return True
