"""Certificates of every kind that a client may meet, from authorities made for the occasion."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, Self

import trustme

if TYPE_CHECKING:
    from pathlib import Path


class Pair(NamedTuple):
    """A certificate with its chain, and its key, as PEM files."""

    certificate: Path
    key: Path
    fingerprint: bytes
    """The SHA-256 digest of the certificate itself."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """One authority, and what is signed by it or by nobody."""

    authority: Path
    """The authority's own certificate."""
    right: Pair
    """For localhost and 127.0.0.1."""
    wrong_host: Pair
    expired: Pair
    self_signed: Pair
    client: Pair

    @classmethod
    def issue(cls, folder: Path) -> Self:
        """Make them all, as files in a folder."""
        ca, nobody = trustme.CA(), trustme.CA()
        authority = folder / "authority.pem"
        ca.cert_pem.write_to_path(authority)
        long_ago = datetime(2001, 1, 1, tzinfo=UTC)
        expired = ca.issue_cert("localhost", "127.0.0.1", not_before=long_ago, not_after=long_ago.replace(year=2002))
        return cls(
            authority=authority,
            right=_written(folder, "right", ca.issue_cert("localhost", "127.0.0.1")),
            wrong_host=_written(folder, "wrong-host", ca.issue_cert("elsewhere.example")),
            expired=_written(folder, "expired", expired),
            self_signed=_written(folder, "self-signed", nobody),
            client=_written(folder, "client", ca.issue_cert("somebody@clients.example")),
        )

    def trusting(self) -> ssl.SSLContext:
        """Return a context that believes this authority alone."""
        return ssl.create_default_context(cafile=self.authority)


def _written(folder: Path, name: str, issued: trustme.LeafCert | trustme.CA) -> Pair:
    chain = [issued.cert_pem] if isinstance(issued, trustme.CA) else issued.cert_chain_pems
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(b"".join(blob.bytes() for blob in chain))
    issued.private_key_pem.write_to_path(key)
    return Pair(certificate, key, sha256(ssl.PEM_cert_to_DER_cert(chain[0].bytes().decode())).digest())
