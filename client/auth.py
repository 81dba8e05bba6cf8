"""Basic credentials (RFC 7617), and where they may come from besides the caller: a URL, a netrc file."""

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

    Raises ValueError for a login with a colon, which would read as the end of the login (RFC 7617 §2), and
    UnicodeEncodeError for what `encoding` cannot express.
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

    aiohttp 3.14 deprecates its class of this name for `encode_basic_auth` and a header of one's own. Here both ways
    stand, for the session knows when to leave out credentials that it was given as such.
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
        """Read the value of an Authorization header; ValueError when it holds no Basic credentials."""
        scheme, _, token = auth_header.partition(" ")
        if scheme.lower() != "basic":
            raise ValueError(f"not Basic credentials: {scheme!r}")
        try:
            decoded = base64.b64decode(token.strip(), validate=True).decode(encoding)
        except ValueError as error:  # binascii.Error and UnicodeDecodeError are
            raise ValueError(f"not Basic credentials: {error}") from error
        login, colon, password = decoded.partition(":")
        if not colon:
            raise ValueError("not Basic credentials: they lack a colon")
        return cls(login, password, encoding)

    @classmethod
    def from_url(cls, url: URL, *, encoding: str = "latin1") -> Self | None:
        """Return the credentials within a URL, None when it has none.

        A page may have written them, so these never fail to be sent: unlike others they may hold a colon (``%3A``), and
        they are encoded in UTF-8, as browsers do, where `encoding` cannot express them.
        """
        if not isinstance(url, URL):
            raise TypeError(f"the credentials of a yarl.URL can be read, not those of a {type(url).__name__}")
        if url.raw_user is None and url.raw_password is None:
            return None
        login, password = url.user or "", url.password or ""
        try:
            f"{login}{password}".encode(encoding)
        except UnicodeEncodeError:
            encoding = "utf-8"
        return super().__new__(cls, login, password, encoding)

    def encode(self) -> str:
        """Return the value of an Authorization header; UnicodeEncodeError for what `encoding` cannot express."""
        return _encode(*self)


def load_netrc(variables: Mapping[str, str] = os.environ) -> netrc | None:
    """Read the user's netrc file: the one that NETRC names, or ``~/.netrc``, or ``~/_netrc``; None when there is none.

    `variables` are those of the environment; without HOME among them, home is where the system says. A file that is named
    or present but cannot be used is told to the log. This blocks on the disk.
    """
    from netrc import NetrcParseError, netrc

    named = variables.get("NETRC")
    try:
        place = Path(named or variables.get("HOME") or Path.home())
    except RuntimeError:  # there is no home
        return None
    for path in [place] if named else [place / ".netrc", place / "_netrc"]:
        try:
            return netrc(path)
        except FileNotFoundError:
            continue
        except NetrcParseError as error:
            _logger.warning("cannot read credentials: %s", error)  # says the file and the line
            return None
        except (OSError, UnicodeDecodeError) as error:
            _logger.warning("cannot read credentials from %s: %s", path, error)
            return None
    if named:
        _logger.warning("cannot read credentials: NETRC names %s, which does not exist", named)
    return None


def netrc_auth(host: str, file: netrc | None = None) -> BasicAuth | None:
    """Return the credentials of a host, or the file's default ones, or None; `file` is read anew unless it is given."""
    file = file or load_netrc()
    found = file.authenticators(host) if file else None
    if found is None:
        return None
    login, account, password = found
    return BasicAuth(login or account or "", password or "", "utf-8")
