"""Verifying servers: with the system's authorities, not at all, with the caller's context, or with a pinned certificate."""

from __future__ import annotations

import errno
import ssl as ssl_module
from typing import TYPE_CHECKING, Final

from client.deprecation import deprecated
from client.errors import ClientConnectorCertificateError, ClientConnectorSSLError, ServerFingerprintMismatch

if TYPE_CHECKING:
    import asyncio

    from client.errors import ClientSSLError, Endpoint

_DIGEST_BYTES: Final = 32


class Fingerprint:
    """The SHA-256 digest of the only certificate (DER) that a server may show; its authority is not checked."""

    __slots__ = ("fingerprint",)

    def __init__(self, fingerprint: bytes) -> None:
        if len(fingerprint) != _DIGEST_BYTES:
            raise ValueError(f"a SHA-256 digest has {_DIGEST_BYTES} bytes, this one has {len(fingerprint)}")
        self.fingerprint = fingerprint

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fingerprint) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return f"Fingerprint({self.fingerprint.hex()})"

    def check(self, transport: asyncio.Transport, host: str, port: int) -> None:
        """Close a TLS connection and raise `ServerFingerprintMismatch` unless its peer showed this certificate."""
        import hashlib

        tls: ssl_module.SSLObject | None = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        got = hashlib.sha256(certificate or b"").digest()
        if got != self.fingerprint:
            transport.abort()
            raise ServerFingerprintMismatch(self.fingerprint, got, host, port)


Verification = bool | ssl_module.SSLContext | Fingerprint
"""The type of `ssl=`: True verifies with the system's authorities, False does not verify at all."""


def merge_verification(
    ssl: Verification | None,
    *,
    verify_ssl: bool | None = None,
    ssl_context: ssl_module.SSLContext | None = None,
    fingerprint: bytes | None = None,
) -> Verification:
    """Return the verification from `ssl`, or from one of the older parameters, with a `DeprecationWarning`.

    None is an older form of True.

    Raises `TypeError` for a value of another type, `ValueError` if two of the parameters are given.
    """
    ssl = True if ssl is None else ssl
    older: dict[str, Verification] = {}
    if verify_ssl is False:
        older["verify_ssl"] = False
    if ssl_context is not None:
        older["ssl_context"] = ssl_context
    if fingerprint is not None:
        older["fingerprint"] = Fingerprint(fingerprint)
    if len(older) + (ssl is not True) > 1:
        raise ValueError("give only one of ssl, verify_ssl, ssl_context, fingerprint")
    for name, value in older.items():
        deprecated(f"{name} is deprecated, use ssl")
        return value
    if not isinstance(ssl, bool | ssl_module.SSLContext | Fingerprint):
        raise TypeError(f"ssl must be True, False, an SSLContext or a Fingerprint, not {ssl!r}")
    return ssl


def explained(error: OSError) -> OSError:
    """Return an error of opening a connection, with a reason if asyncio gives none: the peer closed it in the TLS handshake."""
    return error if error.args else ConnectionResetError(errno.ECONNRESET, "closed during the TLS handshake")


def handshake_error(key: Endpoint, error: ssl_module.SSLError) -> ClientSSLError:
    """Return the error to raise for one of the TLS handshake."""
    if isinstance(error, ssl_module.SSLCertVerificationError):
        return ClientConnectorCertificateError(key, error)
    return ClientConnectorSSLError(key, error)


class TlsContexts:
    """The TLS contexts for each kind of verification, made on first use: loading the authorities takes time."""

    def __init__(self) -> None:
        self._contexts: dict[tuple[bool, bool], ssl_module.SSLContext] = {}

    def context_for(self, verification: Verification, *, offers_http2: bool = False) -> ssl_module.SSLContext:
        """Return the context for a handshake. For a fingerprint it does not verify: check that after the handshake.

        A context of the caller's is returned unchanged, with the protocols that it offers.
        """
        if isinstance(verification, ssl_module.SSLContext):
            return verification
        kind = (verification is True, offers_http2)
        context = self._contexts.get(kind)
        if context is None:
            context = self._contexts[kind] = _make_context(verifies=kind[0], offers_http2=offers_http2)
        return context


def _make_context(*, verifies: bool, offers_http2: bool) -> ssl_module.SSLContext:
    context = ssl_module.create_default_context()
    context.set_alpn_protocols(["h2", "http/1.1"] if offers_http2 else ["http/1.1"])
    if not verifies:
        context.check_hostname = False
        context.verify_mode = ssl_module.CERT_NONE
    return context
