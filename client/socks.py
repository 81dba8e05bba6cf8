"""SOCKS 4, 4a and 5: asking a proxy that relays any protocol for a connection.

Sources: Ying-Da Lee's SOCKS 4 memo and its extension 4A; RFC 1928 (version 5) and RFC 1929 (its user names and passwords).
Of version 5, only CONNECT is supported, without authentication or with a password. GSSAPI is not, although RFC 1928 §3
demands it: no client that we know of has it enabled.

A target is a host as text. An IP address is sent as such; a name can only be sent by the variants that have names.
"""

from __future__ import annotations

import errno
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, Final

from client.handshakes import ProxyFault, TargetFault, UnclearFault, exactly

if TYPE_CHECKING:
    from collections.abc import Generator
    from ipaddress import IPv6Address

    from client.auth import BasicAuth
    from client.handshakes import Ask, Handshake

MAX_FIELD_BYTES: Final = 255
"""The longest user name, password and host name in version 5: their lengths are sent in one byte."""

_NO_AUTHENTICATION, _PASSWORD, _NO_METHOD = 0, 2, 0xFF
_IPV4, _NAME, _IPV6 = 1, 3, 4

_FAULTS_4: Final = {
    92: "SOCKS 4: the proxy could not reach identd on this machine",
    93: "SOCKS 4: identd reported another user to the proxy",
}
_FAULTS_5: Final = {1: "SOCKS 5: general failure", 7: "SOCKS 5: the proxy does not support CONNECT"}
_TARGET_FAULTS_5: Final = {
    2: ("not allowed by the proxy's rules", errno.EACCES),
    3: ("network unreachable from the proxy", errno.ENETUNREACH),
    4: ("host unreachable from the proxy", errno.EHOSTUNREACH),
    5: ("connection refused, according to the proxy", errno.ECONNREFUSED),
    6: ("TTL expired on the way from the proxy", errno.ETIMEDOUT),
    8: ("the proxy does not support this type of address", errno.EAFNOSUPPORT),
}
"""RFC 1928 §6."""


def socks4(host: str, port: int, user: str = "") -> Handshake:
    """Ask for a connection by SOCKS 4, or 4a if `host` is a name. Raises `ProxyFault` and `TargetFault`."""
    address = _parse(host)
    if address is None:
        # The impossible address 0.0.0.x means that a name follows.
        packed, name = b"\0\0\0\1", _name(host) + b"\0"
    elif isinstance(address, IPv4Address):
        packed, name = address.packed, b""
    else:
        raise TargetFault("SOCKS 4 does not support IPv6", errno.EAFNOSUPPORT)
    request = b"\4\1" + port.to_bytes(2) + packed + user.encode() + b"\0" + name
    version, code = (yield from exactly(8, request))[:2]
    if version not in (0, 4):  # the memo demands 0; some servers repeat the 4 of the request
        raise ProxyFault(f"not a SOCKS 4 proxy: its reply has version {version}")
    if code == 91:  # the memo's only code for an unreachable target; it means other refusals too
        raise TargetFault("SOCKS 4: rejected by the proxy, or failed", errno.ECONNREFUSED)
    if code != 90:
        raise ProxyFault(_FAULTS_4.get(code, f"SOCKS 4: unknown reply {code}"), errno.EACCES)


def socks5(host: str, port: int, auth: BasicAuth | None = None) -> Handshake:
    """Ask for a connection by SOCKS 5. Raises `ProxyFault` and `TargetFault`."""
    yield from _authenticate(auth)
    request = b"\5\1\0" + _address(host) + port.to_bytes(2)
    version, code = yield from exactly(2, request)
    _check_version(version)
    if code in _TARGET_FAULTS_5:
        raise TargetFault(*_TARGET_FAULTS_5[code])
    if code:
        raise UnclearFault(_FAULTS_5.get(code, f"SOCKS 5: unassigned reply {code}"))
    _reserved, kind = yield from exactly(2)
    if kind == _NAME:
        (length,) = yield from exactly(1)
    elif kind in (_IPV4, _IPV6):
        length = 4 if kind == _IPV4 else 16
    else:
        raise ProxyFault(f"SOCKS 5: an address of unknown kind {kind}")
    yield from exactly(length + 2)


def _authenticate(auth: BasicAuth | None) -> Generator[Ask, bytes, None]:
    """Agree on a method, and log in if the proxy wants us to (RFC 1928 §3, RFC 1929)."""
    offered = bytes((_NO_AUTHENTICATION,)) if auth is None else bytes((_NO_AUTHENTICATION, _PASSWORD))
    version, method = yield from exactly(2, b"\5" + bytes((len(offered),)) + offered)
    _check_version(version)
    if method == _NO_METHOD:
        what = "demands credentials" if auth is None else "accepts no password"
        raise ProxyFault(f"the SOCKS 5 proxy {what}", errno.EACCES)
    if method not in offered:
        raise ProxyFault(f"SOCKS 5: the proxy chose method {method}, which was not offered")
    if auth is None or method == _NO_AUTHENTICATION:
        return
    user, password = auth.login.encode(auth.encoding), auth.password.encode(auth.encoding)
    _version, status = yield from exactly(2, b"\1" + _counted(user) + _counted(password))
    if status:
        raise ProxyFault("the SOCKS 5 proxy refused our user name and password", errno.EACCES)


def _check_version(version: int) -> None:
    if version != 5:
        raise ProxyFault(f"not a SOCKS 5 proxy: its reply has version {version}")


def _address(host: str) -> bytes:
    """Return the address of a target in the format of RFC 1928 §5."""
    address = _parse(host)
    if address is None:
        return bytes((_NAME,)) + _counted(_name(host))
    return bytes((_IPV4 if address.version == 4 else _IPV6,)) + address.packed


def _parse(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _name(host: str) -> bytes:
    if not host.isascii() or not 0 < len(host) <= MAX_FIELD_BYTES or "\0" in host:
        raise TargetFault("a name that SOCKS cannot carry", errno.EINVAL)
    return host.encode("ascii")


def _counted(field: bytes) -> bytes:
    return bytes((len(field),)) + field
