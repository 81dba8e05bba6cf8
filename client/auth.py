"""Basic credentials (RFC 7617), from the caller, a URL or a netrc file."""

from __future__ import annotations

import base64
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Mapping
    from netrc import netrc

__all__ = ["BasicAuth", "encode_basic_auth", "load_netrc", "netrc_auth"]

_logger = logging.getLogger(__name__)


def encode_basic_auth(login: str, password: str = "", encoding: str = "utf-8") -> str:
    """Return the value of an Authorization header for a login and a password.

    Raises ValueError for a login with a colon, which would be read as the end of the login (RFC 7617 §2), and
    UnicodeEncodeError for characters that `encoding` cannot express.
    """
    if ":" in login:
        raise ValueError(f"a login cannot hold a colon: {login!r}")
    return _encode(login, password, encoding)


def _encode(login: str, password: str, encoding: str) -> str:
    return "Basic " + base64.b64encode(f"{login}:{password}".encode(encoding)).decode("ascii")


class _Credentials(NamedTuple):
    login: str
    password: str
    encoding: str


class BasicAuth(_Credentials):
    """A login and a password, for `auth=` and `proxy_auth=`; a named tuple.

    aiohttp 3.14 deprecates its class of this name in favour of `encode_basic_auth` and an explicit header. Here both are
    supported: the session knows when it must not send credentials that were given as such.
    """

    __slots__ = ()

    def __new__(cls, login: str, password: str = "", encoding: str = "latin1") -> Self:
        if login is None or password is None:
            raise ValueError("login and password cannot be None")
        if ":" in login:
            raise ValueError(f"a login cannot hold a colon: {login!r}")
        return super().__new__(cls, login, password, encoding)

    @classmethod
    def decode(cls, auth_header: str, encoding: str = "latin1") -> Self:
        """Parse the value of an Authorization header. Raises ValueError if it does not hold Basic credentials."""
        scheme, _, token = auth_header.partition(" ")
        if scheme.lower() != "basic":
            raise ValueError(f"not Basic credentials: {scheme!r}")
        try:
            decoded = base64.b64decode(token.strip(), validate=True).decode(encoding)
        except ValueError as error:  # binascii.Error and UnicodeDecodeError are
            raise ValueError(f"not Basic credentials: {error}") from error
        login, colon, password = decoded.partition(":")
        if not colon:
            raise ValueError("not Basic credentials: there is no colon")
        return cls(login, password, encoding)

    @classmethod
    def from_url(cls, url: URL, *, encoding: str = "latin1") -> Self | None:
        """Return the credentials in a URL, or None if it has none.

        They may come from a page, so they can always be sent: unlike others, their login may hold a colon (``%3A``), and
        if `encoding` cannot express them they are encoded in UTF-8, as in browsers.
        """
        if not isinstance(url, URL):
            raise TypeError(f"url must be a yarl.URL, not a {type(url).__name__}")
        if url.raw_user is None and url.raw_password is None:
            return None
        login, password = url.user or "", url.password or ""
        try:
            f"{login}{password}".encode(encoding)
        except UnicodeEncodeError:
            encoding = "utf-8"
        return super().__new__(cls, login, password, encoding)

    def encode(self) -> str:
        """Return the value of an Authorization header.

        Raises UnicodeEncodeError for characters that `encoding` cannot express.
        """
        return _encode(*self)


def load_netrc(variables: Mapping[str, str] = os.environ) -> netrc | None:
    """Read the user's netrc file: the one that NETRC names, else ``~/.netrc`` or ``~/_netrc``; None if there is none.

    `variables` are the environment variables; without HOME, the system's home directory of the user is taken. If a file
    that is named or exists cannot be read, a warning is logged. This blocks while it reads the disk.
    """
    from netrc import NetrcParseError, netrc

    named = variables.get("NETRC")
    try:
        place = Path(named or variables.get("HOME") or Path.home())
    except RuntimeError:  # there is no home directory
        return None
    for path in [place] if named else [place / ".netrc", place / "_netrc"]:
        try:
            return netrc(path)
        except FileNotFoundError:
            continue
        except NetrcParseError as error:
            _logger.warning("cannot read credentials: %s", error)  # names the file and the line
            return None
        except (OSError, UnicodeDecodeError) as error:
            _logger.warning("cannot read credentials from %s: %s", path, error)
            return None
    if named:
        _logger.warning("cannot read credentials: NETRC names %s, which does not exist", named)
    return None


def netrc_auth(host: str, file: netrc | None = None) -> BasicAuth | None:
    """Return the credentials for a host, or the file's default ones, or None. Without `file`, the user's is read."""
    file = file or load_netrc()
    found = file.authenticators(host) if file else None
    if found is None:
        return None
    login, account, password = found
    return BasicAuth(login or account or "", password or "", "utf-8")
