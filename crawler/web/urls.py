"""URLs: the canonical form, references on a page, fingerprints, and the keys derived from a URL.

There is one canonical form, which is fetched, fingerprinted, stored and shown. It is the serialization of the WHATWG URL Standard (what
browsers request), and in addition it has:

* no fragment, which is never sent;
* no user info: a password has no place in a crawl file, and the same page would be fetched once for each user name. Credentials are sent
  in a header instead;
* escapes as in RFC 3986 §6.2.2.1-2, with hexadecimal digits in upper case and unreserved characters not escaped. In a URL with a stray `%`
  nothing is decoded, because `%%34%31` would become `%41`, which means something else.

What the standard distinguishes remains distinct: the order of a query's parameters, which may matter, an empty query, a trailing slash, a
trailing dot of the host. A canonical URL is ASCII, has no white space, and its path is never empty.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from ada_url import join_url, normalize_url
from xxhash import xxh3_128_digest

from client.origin import HostKey, Origin
from crawler.errors import InvalidUrl

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_log = logging.getLogger(__name__)

_BLANK = "".join(map(chr, range(0x21)))
"""C0 controls and space, which the URL parser strips from both ends."""

_ESCAPE = re.compile("%[0-9A-Fa-f]{2}")
_STRAY_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

_NAME = "[A-Za-z0-9_~-][A-Za-z0-9._~-]*"
_QUERY = "[A-Za-z0-9._~=&+:;,/-]*"
_plain = re.compile(rf"(?!\?)(/|(?:\.\./){{0,9}})((?:{_NAME}/)*(?:{_NAME})?(?:\?{_QUERY})?)").fullmatch
"""Matches references that need no URL parser: a start that `_Starts` knows, then characters that the parser leaves as they are, in
segments that are neither empty nor start with a dot. Without a colon in the path there is no scheme. A reference that begins with its
query does not match: it goes after the base's last segment."""

_LABEL = "[a-z0-9](?:-?[a-z0-9])*"
_is_canonical = re.compile(
    rf"https?://(?:{_LABEL}\.)*(?=[a-z]){_LABEL}/(?:{_NAME}/)*(?:{_NAME})?(?:\?{_QUERY})?"
).fullmatch
"""Matches URLs that the parser leaves as they are: those with none of the above, and with a host without port that is neither a number
nor in Punycode, which has two hyphens in a row."""

_hangs_on_page = re.compile(r"\Z|\?|https?:(?!//)|[^\t\n\r]*[\t\n\r]", re.IGNORECASE).match
"""Matches references that may go after the base's last segment instead of replacing it: the parser drops line ends and tabs."""

LONGEST_URL = 8192
"""Characters of a URL that a page or a redirect leads to. Servers need not accept longer ones (RFC 9110 §4.1 asks for 8000 octets), but a
page may have a base of any length, whose folder each of its links would repeat."""

_USUAL_BASE = 100
_BASE_CHARACTERS = 16 << 20
"""How many characters of a page's base, beyond the usual length, all of its references together may repeat."""

_FOLDERS_KEPT = 128
_REFERENCES_KEPT = 500
_LONGEST_KEPT = 300
"""Characters of references and folders that are cached: those that are repeated are short, and memory must be bounded."""

_AUTHORITY = len("http://") + 1
"""Where the search for the slash that ends the authority begins: a host has at least one character, and `https` one more letter."""

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def normalize(url: str) -> str:
    """The canonical form of an absolute http or https URL; a canonical URL stays as it is.

    Raises InvalidUrl, naming the URL and what is wrong with it.
    """
    try:
        canonical = _canonical(normalize_url(url))
    except ValueError:
        canonical = None
    if canonical is None:
        raise InvalidUrl(f"{url!r} is not a URL that can be fetched: {_complaint(url)}")
    return canonical


def resolve(base: str, hrefs: Iterable[str]) -> list[str]:
    """The canonical URLs that the references of one page lead to, each once, in order of first occurrence. Characters beyond ASCII are
    encoded in UTF-8; for a page in another encoding, `crawler.web.encoders.in_query` has to come first.

    `base` is canonical. References that are invalid, or do not lead to http or https, are left out; so are those that lead to a URL longer
    than `LONGEST_URL`, and, if the base's folder is long, relative ones beyond some thousands.
    """
    return join_all(base, list(dict.fromkeys(map(without_fragment, dict.fromkeys(hrefs)))))


def join_all(base: str, references: Sequence[str]) -> list[str]:
    """The same for references without surrounding blanks and without fragments."""
    page = base.partition("?")[0]
    if (len(page) - _USUAL_BASE) * len(references) > _BASE_CHARACTERS:
        references = _affordable(page, references)
    folder = _folder(page[: page.rindex("/") + 1])
    urls = list(map(folder.__getitem__, references))
    while None in urls:
        at = urls.index(None)
        urls[at] = _join(base, references[at]) if references[at] else base
    found = dict.fromkeys(urls)
    found.pop("", None)
    return list(found)  # type: ignore[arg-type]  # no None is left


def _affordable(page: str, references: Sequence[str]) -> list[str]:
    """The references without those that would repeat more of the base than there is room for; `page` is the base without its query."""
    origin, folder = len(origin_of(page)), page.rindex("/") + 1
    room = _BASE_CHARACTERS
    kept = []
    for reference in references:
        if reference.startswith(("http://", "https://", "//")):
            repeated = 0
        elif reference.startswith("/"):
            repeated = origin
        else:
            repeated = len(page) if _hangs_on_page(reference) else folder
        unusual = max(repeated - _USUAL_BASE, 0)
        if unusual <= room:
            room -= unusual
            kept.append(reference)
    if len(kept) < len(references):
        _log.info("%d links of %.100s… are left out: its URL is too long to repeat", len(references) - len(kept), page)
    return kept


def without_fragment(href: str) -> str:
    """An href without its fragment, and without blanks at its ends. A blank before a `#` belongs to the path: then the `#` stays, so that
    the blank is not at the end.
    """
    href = href.strip(_BLANK)
    end = href.find("#")
    if end < 0:
        return href
    return href[: end + 1] if end and href[end - 1] <= " " else href[:end]


def fingerprint(url: str, method: str = "GET", body: bytes | None = None) -> bytes:
    """16 bytes that stand for a request in the seen-set; `url` is canonical.

    A plain GET is hashed as its URL alone. Otherwise method and body follow, each after a line feed, which neither a canonical URL nor a
    method can contain. An empty body counts as none.
    """
    if method == "GET" and not body:
        return xxh3_128_digest(url.encode())
    return xxh3_128_digest(b"%b\n%b\n%b" % (url.encode(), method.encode(), body or b""))


def fingerprints(urls: Iterable[str]) -> list[bytes]:
    """The fingerprints of plain GET requests for these canonical URLs, in order."""
    return [xxh3_128_digest(url.encode()) for url in urls]


def host_of(url: str) -> HostKey:
    """The host of a canonical URL, as the unit of politeness: its name, with the port if that is not the scheme's default. So http and
    https on one name are one host. IPv6 addresses are in brackets.
    """
    return HostKey(url.split("/", 3)[2])


@lru_cache(maxsize=4096)
def host_key(origin: Origin) -> HostKey:
    """The same for an origin: `host_key(Origin.of(URL(url))) == host_of(url)`."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return HostKey(host if origin.port == _DEFAULT_PORTS.get(origin.scheme) else f"{host}:{origin.port}")


def origin_of(url: str) -> str:
    """`scheme://authority` of a canonical URL, to which one robots.txt belongs."""
    return url[: url.index("/", _AUTHORITY)]


def path_of(url: str) -> str:
    """The path of a canonical URL, and its query."""
    return url[url.index("/", _AUTHORITY) :]


def robots_url(origin: str) -> str:
    """Where the robots.txt of an origin is (RFC 9309 §2.3)."""
    return f"{origin}/robots.txt"


class _Folder(dict[str, "str | None"]):
    """Where references lead on the pages of one folder, whose canonical URL ends with a slash. `""`: to nothing that can be fetched; None:
    that depends on the page. It is a cache, since pages of one folder have many references in common.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._starts = _Starts(url)
        self._longest_kept = _LONGEST_KEPT if len(url) <= _LONGEST_KEPT else -1

    def __missing__(self, reference: str) -> str | None:
        found: str | None
        if len(reference) > LONGEST_URL:
            found = ""
        elif reference and (plain := _plain(reference)):
            start, rest = plain.groups()
            begin = self._starts[start]
            found = begin + rest if len(begin) + len(rest) <= LONGEST_URL else ""
        elif reference.startswith(("http://", "https://")):
            found = _absolute(reference) if len(reference) <= _LONGEST_KEPT else _absolute.__wrapped__(reference)
        else:
            found = None if _hangs_on_page(reference) else _join(self._url, reference)
        if len(reference) <= self._longest_kept:
            if len(self) == _REFERENCES_KEPT:
                self.clear()
            self[reference] = found
        return found


class _Starts(dict[str, str]):
    """The URLs for the starts of plain references in a folder: `""`, `"/"`, `"../"`, `"../../"`…"""

    def __init__(self, folder: str) -> None:
        super().__init__({"": folder, "/": f"{origin_of(folder)}/"})

    def __missing__(self, start: str) -> str:
        below = self[start.removeprefix("../")]
        folder = below if below == self["/"] else below[: below.rindex("/", 0, -1) + 1]
        self[start] = folder
        return folder


_folder = lru_cache(maxsize=_FOLDERS_KEPT)(_Folder)


def _join(base: str, reference: str) -> str:
    """Where a reference leads; empty if that cannot be fetched."""
    try:
        return _unless_too_long(_canonical(join_url(base, reference)))
    except ValueError:
        return ""


@lru_cache(maxsize=4096)
def _absolute(reference: str) -> str:
    """The same for a reference that needs no base. It is cached, since templates repeat these on each page of a site."""
    if _is_canonical(reference):
        return reference
    try:
        return _unless_too_long(_canonical(normalize_url(reference)))
    except ValueError:
        return ""


def _unless_too_long(url: str | None) -> str:
    return url if url and len(url) <= LONGEST_URL else ""


def _canonical(url: str) -> str | None:
    """The canonical form of a URL in WHATWG serialization; None unless its scheme is http or https."""
    if not url.startswith(("http://", "https://")):
        return None
    if "#" in url:
        url = url[: url.index("#")]
    if "@" in url:
        scheme, _, rest = url.partition("//")
        authority, slash, path = rest.partition("/")
        url = f"{scheme}//{authority.rpartition('@')[2]}{slash}{path}"
    if "%" in url:
        url = _ESCAPE.sub(_upper if _STRAY_PERCENT.search(url) else _decode_unreserved, url)
    return url


def _upper(escape: re.Match[str]) -> str:
    return escape[0].upper()


def _decode_unreserved(escape: re.Match[str]) -> str:
    character = chr(int(escape[0][1:], 16))
    return character if character in _UNRESERVED else escape[0].upper()


def _complaint(url: str) -> str:
    scheme, colon, _ = url.strip(_BLANK).partition(":")
    if not colon or not re.fullmatch("[A-Za-z][A-Za-z0-9+.-]*", scheme) or "." in scheme:
        return "it does not start with http:// or https://"
    if scheme.lower() not in ("http", "https"):
        return f"its scheme is {scheme!r}, and only http and https are fetched"
    if re.search("[\ud800-\udfff]", url):
        return "it holds half of a surrogate pair, which is not a character"
    return "its host or port is missing or invalid"
