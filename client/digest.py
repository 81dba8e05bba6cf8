"""Digest authentication: from a challenge and a request to an Authorization header (RFC 7616), without I/O.

Mutual authentication (``rspauth``) is not supported. SHA-1 and SHA-512 are, under the names that servers use for them,
although no standard has them.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from yarl import URL

from client.challenges import Challenge
from client.grammar import quoted
from client.urls import parse_url

_HASHES: Final = {
    "MD5": "md5",
    "SHA": "sha1",
    "SHA-1": "sha1",
    "SHA256": "sha256",
    "SHA-256": "sha256",
    "SHA512": "sha512",
    "SHA-512": "sha512",
    "SHA-512-256": "sha512_256",
}
"""Algorithms and their names in hashlib; the last one is missing if OpenSSL was built without it."""

_SESSION_SUFFIX: Final = "-SESS"
_UNSENDABLE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestChallenge:
    """A challenge that can be answered."""

    realm: str
    nonce: str
    algorithm: str | None
    """As the server wrote it; None if it named none, which means MD5."""
    qop: str | None
    """``auth``, or ``auth-int`` if there is no other choice; None if none was offered (RFC 2069)."""
    opaque: str | None
    domain: tuple[str, ...]
    """The URIs for which an answer is valid, absolute or paths; empty for the whole origin."""
    is_stale: bool
    """Whether the last answer failed only because its nonce was too old."""
    hashes_username: bool

    @property
    def is_session(self) -> bool:
        return (self.algorithm or "").upper().endswith(_SESSION_SUFFIX)

    def hasher(self, data: bytes = b"") -> "hashlib._Hash":
        """Return the algorithm's hash object."""
        name = _hash_name(self.algorithm)
        assert name is not None
        return hashlib.new(name, data, usedforsecurity=False)

    def digest(self, *fields: str) -> str:
        """The standard's H of fields joined by colons; in UTF-8, except for bytes of the server's headers that were not."""
        return self.hasher(":".join(fields).encode("utf-8", "surrogateescape")).hexdigest()


def choose_challenge(challenges: Iterable[Challenge]) -> DigestChallenge | None:
    """Return the first Digest challenge that can be answered, or None (RFC 7616 §3.7)."""
    for scheme, parameters, _ in challenges:
        nonce, algorithm = parameters.get("nonce"), parameters.get("algorithm")
        qops = [qop.strip().lower() for qop in parameters.get("qop", "").split(",")]
        if scheme != "digest" or not nonce or _hash_name(algorithm) is None:
            continue
        if any(map(_UNSENDABLE.search, parameters.values())):
            continue
        if "auth" in qops:
            qop = "auth"
        elif "auth-int" in qops:
            qop = "auth-int"
        elif qops == [""]:
            qop = None
        else:
            continue
        return DigestChallenge(
            realm=parameters.get("realm", ""),
            nonce=nonce,
            algorithm=algorithm,
            qop=qop,
            opaque=parameters.get("opaque"),
            domain=tuple(parameters.get("domain", "").split()),
            is_stale=parameters.get("stale", "").lower() == "true",
            hashes_username=parameters.get("userhash", "").lower() == "true",
        )
    return None


def protects(challenge: DigestChallenge, challenged: URL, url: URL) -> bool:
    """Whether an answer to a challenge from `challenged` is valid for `url` (RFC 7616 §3.3, domain)."""
    spaces = [space for uri in challenge.domain if (space := _space(challenged, uri)) is not None]
    return any(_is_within(url, space) for space in spaces or [challenged.origin()])


def _space(challenged: URL, uri: str) -> URL | None:
    """Return the URL of a protection space, or None if `uri` cannot be parsed or has no path."""
    try:
        relative = parse_url(uri)
        return challenged.join(relative) if relative.path else None
    except ValueError:
        return None


def _is_within(url: URL, space: URL) -> bool:
    if not space.absolute or url.origin() != space.origin():
        return False
    prefix = space.raw_path.rstrip("/")
    return url.raw_path == prefix or url.raw_path.startswith(f"{prefix}/")


class DigestAnswers:
    """The answers to one challenge: they use its nonce, and are counted.

    All have the same client nonce, since with a ``-sess`` algorithm that of the first is part of the key (RFC 7616 §3.4.2).
    """

    __slots__ = ("_client_nonce", "_count", "_key", "_login", "_nonce", "challenge")

    def __init__(
        self, challenge: DigestChallenge, login: str, password: str, *, client_nonce: str | None = None
    ) -> None:
        self.challenge = challenge
        self._login = login
        self._nonce = challenge.nonce
        self._client_nonce = client_nonce or secrets.token_hex(16)
        self._count = 0
        self._key = challenge.digest(login, challenge.realm, password)
        if challenge.is_session:
            self._key = challenge.digest(self._key, self._nonce, self._client_nonce)

    @property
    def nonce(self) -> str:
        """The server's nonce, which the next answer uses."""
        return self._nonce

    def renew(self, nonce: str) -> None:
        """Use the nonce that the server announced with ``nextnonce`` (RFC 7616 §3.5)."""
        if nonce != self._nonce and not _UNSENDABLE.search(nonce):
            self._nonce = nonce
            self._count = 0

    def answer(self, method: str, uri: str, body_digest: str | None = None) -> str:
        """Return the value of the Authorization header for one request.

        `uri` is the request target as it is sent. `body_digest` is the hash of the body in hexadecimal; an ``auth-int``
        challenge needs it.
        """
        challenge = self.challenge
        self._count += 1
        count = f"{self._count:08x}"
        subject = [method, uri]
        if challenge.qop == "auth-int":
            assert body_digest is not None
            subject.append(body_digest)
        middle = [count, self._client_nonce, challenge.qop] if challenge.qop else []
        response = challenge.digest(self._key, self._nonce, *middle, challenge.digest(*subject))
        fields = [
            *self._user_fields(),
            f"realm={quoted(challenge.realm)}",
            f"nonce={quoted(self._nonce)}",
            f"uri={quoted(uri)}",
            f'response="{response}"',
        ]
        if challenge.algorithm is not None:
            fields.append(f"algorithm={challenge.algorithm}")
        if challenge.opaque is not None:
            fields.append(f"opaque={quoted(challenge.opaque)}")
        if challenge.qop:
            fields += [f"qop={challenge.qop}", f"nc={count}"]
        if challenge.qop or challenge.is_session:
            fields.append(f'cnonce="{self._client_nonce}"')
        return "Digest " + ", ".join(fields)

    def _user_fields(self) -> list[str]:
        """RFC 7616 §3.4 and §3.4.4."""
        if self.challenge.hashes_username:
            hashed = self.challenge.digest(self._login, self.challenge.realm)
            return [f'username="{hashed}"', "userhash=true"]
        if self._login.isascii():
            return [f"username={quoted(self._login)}"]
        return [f"username*=UTF-8''{quote(self._login, safe='')}"]


def _hash_name(algorithm: str | None) -> str | None:
    name = _HASHES.get((algorithm or "MD5").upper().removesuffix(_SESSION_SUFFIX))
    return name if name in hashlib.algorithms_available else None
