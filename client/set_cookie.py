"""Parsing Set-Cookie headers: RFC 6265bis §5.1 and §5.6, step by step, without I/O.

The standard's algorithms are defined for any input, since servers send anything: nothing here raises. Octets beyond ASCII
arrive as the characters (or surrogate escapes) to which the header was decoded, and are kept as they are.
"""

import math
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.cookies import CookieError, Morsel, SimpleCookie
from typing import Final, Literal

SameSite = Literal["", "None", "Lax", "Strict"]
"""The enforcement that the cookie asks for; ``""`` is the standard's "Default"."""

MAX_PAIR_BYTES: Final = 4096
MAX_ATTRIBUTE_BYTES: Final = 1024
MAX_AGE_SECONDS: Final = 400 * 24 * 3600
"""The longest lifetime of a cookie (RFC 6265bis §5.5)."""

_WSP: Final = " \t"
_UNFIT: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udc7f\udd00-\udfff]")
"""Control characters except HTAB, and surrogates that do not stand for an octet (PEP 383)."""

_SECONDS: Final = re.compile(r"-?[0-9]+")
_FLAGS: Final = {"secure", "httponly", "partitioned"}
_CODER: Final[SimpleCookie] = SimpleCookie()
_SAME_SITES: Final[dict[str, SameSite]] = {"none": "None", "lax": "Lax", "strict": "Strict"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCookie:
    """The contents of one Set-Cookie header, without regard to the request."""

    name: str
    """May be empty; then `value` is not."""
    value: str
    """As it was sent, with any quotes."""
    expires: float | None = None
    """UTC epoch seconds; ``-inf`` for a cookie to be removed; None: until the session ends."""
    domain: str = ""
    """Lower case, without a leading dot; empty: there is none, and the cookie is for one host."""
    path: str | None = None
    """None: there is no Path attribute. Empty: there is one, but it holds no path. Both mean the default path."""
    secure: bool = False
    http_only: bool = False
    same_site: SameSite = ""


def parse_set_cookie(header: str, *, now: float) -> SetCookie | None:
    """Parse the value of one Set-Cookie header; None if it is to be ignored (RFC 6265bis §5.6).

    `now`, in UTC epoch seconds, is the time from which Max-Age and the longest lifetime are counted.
    """
    if (parts := _parts(header)) is None:
        return None
    name, value, attributes = parts
    if not attributes:
        return SetCookie(name=name, value=value)
    return _with_attributes(name, value, attributes.split(";"), now)


def parse_morsel(header: str) -> Morsel[str] | None:
    """Parse the same into a `Morsel` of the standard library, with attributes as they were sent; None as above.

    Attributes that `Morsel` does not know are left out, and so are invalid ones, so that an earlier one of that name counts.
    """
    if (parts := _parts(header)) is None:
        return None
    name, value, attributes = parts
    morsel = morsel_with(name, _CODER.value_decode(value)[0], value)
    if morsel is None:  # pragma: no cover  only in versions that refuse tabs
        return None
    for attribute in attributes.split(";"):
        key, _, text = attribute.partition("=")
        key, text = key.strip(_WSP).lower(), text.strip(_WSP)
        if key in morsel and octets(text) <= MAX_ATTRIBUTE_BYTES and _says_something(key, text):
            with suppress(CookieError):  # as above
                morsel[key] = key in _FLAGS or text
    return morsel


def _says_something(key: str, text: str) -> bool:
    if key == "max-age":
        return _SECONDS.fullmatch(text) is not None
    return key != "expires" or parse_cookie_date(text) is not None


def morsel_with(name: str, value: str, coded_value: str) -> Morsel[str] | None:
    """Return a cookie as a `Morsel`, or None if the standard library refuses it (a tab, in some versions)."""
    morsel: Morsel[str] = Morsel()
    try:
        # The method that pickle calls: the only way to set a name like "path" or "a[b]", which servers do use.
        morsel.__setstate__({"key": name, "value": value, "coded_value": coded_value})  # type: ignore[attr-defined]
    except CookieError:  # pragma: no cover  only in versions that refuse tabs
        return None
    return morsel


def _parts(header: str) -> tuple[str, str, str] | None:
    """Return the name, value and attributes of a header; None if it is to be ignored."""
    if is_unfit(header):  # step 1
        return None
    pair, _, attributes = header.partition(";")  # step 2
    name, equals, value = pair.partition("=")  # step 3
    if not equals:
        name, value = "", name
    name, value = name.strip(_WSP), value.strip(_WSP)  # step 4
    if octets(name) + octets(value) > MAX_PAIR_BYTES:  # step 5
        return None
    if not name and not value:  # §5.7 step 2
        return None
    return name, value, attributes


def _with_attributes(name: str, value: str, attributes: list[str], now: float) -> SetCookie:
    """The second half of §5.6 and its subsections. The last of several attributes with one name counts."""
    max_age = expires = path = None
    domain = ""
    same_site: SameSite = ""
    secure = http_only = False
    for attribute in attributes:
        key, _, text = attribute.partition("=")
        text = text.strip(_WSP)
        if octets(text) > MAX_ATTRIBUTE_BYTES:
            continue
        match key.strip(_WSP).lower():
            case "expires":
                date = parse_cookie_date(text)
                expires = expires if date is None else min(date, now + MAX_AGE_SECONDS)
            case "max-age" if _SECONDS.fullmatch(text):
                max_age = _expiry_by_max_age(int(text), now)
            case "domain":
                domain = text.removeprefix(".").lower()
            case "path":
                path = text if text.startswith("/") else ""
            case "secure":
                secure = True
            case "httponly":
                http_only = True
            case "samesite":
                same_site = _SAME_SITES.get(text.lower(), "")
    return SetCookie(
        name=name,
        value=value,
        expires=expires if max_age is None else max_age,
        domain=domain,
        path=path,
        secure=secure,
        http_only=http_only,
        same_site=same_site,
    )


def _expiry_by_max_age(seconds: int, now: float) -> float:
    """§5.6.2, steps 3 to 6."""
    return now + min(seconds, MAX_AGE_SECONDS) if seconds > 0 else -math.inf


def is_unfit(text: str) -> bool:
    """Whether `text` must not be in a cookie, because of a control character other than a tab, or one that cannot be sent.

    The latter is a surrogate that does not stand for an octet; two of them would come back from JSON as one character.
    """
    return _UNFIT.search(text) is not None


def octets(text: str) -> int:
    """The length of `text` on the wire, where each surrogate stands for one octet that was not UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


# ---- dates, §5.1.1
#
#   delimiter     = %x09 / %x20-2F / %x3B-40 / %x5B-60 / %x7B-7E
#   time          = hms-time [ non-digit *OCTET ]      hms-time = 1*2DIGIT ":" 1*2DIGIT ":" 1*2DIGIT
#   day-of-month  = 1*2DIGIT [ non-digit *OCTET ]
#   month         = ( "jan" / "feb" / ... ) *OCTET
#   year          = 2*4DIGIT [ non-digit *OCTET ]

_DELIMITERS: Final = re.compile(r"[\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME: Final = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?![0-9])")
_DAY: Final = re.compile(r"([0-9]{1,2})(?![0-9])")
_YEAR: Final = re.compile(r"([0-9]{2,4})(?![0-9])")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def parse_cookie_date(text: str) -> float | None:
    """Return the UTC epoch time in seconds that `text` means by the algorithm of §5.1.1, or None."""
    time = day = month = year = None
    for token in _DELIMITERS.split(text):  # steps 1 and 2
        if time is None and (match := _TIME.match(token)):
            time = int(match[1]), int(match[2]), int(match[3])
        elif day is None and (match := _DAY.match(token)):
            day = int(match[1])
        elif month is None and (name := token[:3].lower()) in _MONTHS:
            month = _MONTHS.index(name) + 1
        elif year is None and (match := _YEAR.match(token)):
            year = int(match[1])
    if time is None or day is None or month is None or year is None:  # step 5
        return None
    if year <= 99:  # steps 3 and 4
        year += 1900 if year >= 70 else 2000
    if year < 1601:
        return None
    hour, minute, second = time
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()  # the rest of step 5, and 6
    except ValueError:
        return None


# ---- hosts and paths, §5.1.3 and §5.1.4


_NUMBER: Final = re.compile("[0-9]+|0x[0-9a-f]*")
"""What the standard's "ends in a number" accepts: all digits, or hexadecimal as in its "IPv4 number parser", where 0x is 0."""


def is_ip_address(host: str) -> bool:
    """Whether a canonical host is an address: the last label of a name is never a number (WHATWG URL, "ends in a number")."""
    last = host.removesuffix(".").rpartition(".")[2]
    return ":" in host or (last[:1].isdigit() and _NUMBER.fullmatch(last) is not None)


def domain_matches(host: str, domain: str) -> bool:
    """Whether `host` domain-matches `domain`. Both must be canonical: in lower case and Punycode."""
    return host == domain or (host.endswith(f".{domain}") and not is_ip_address(host))


def default_path(path: str) -> str:
    """Return the path of a cookie without a Path attribute, set in response to a request for `path`."""
    return path[: path.rfind("/")] or "/" if path.startswith("/") else "/"


def path_matches(path: str, cookie_path: str) -> bool:
    """Whether cookies for `cookie_path` are sent with a request for `path`."""
    if not path.startswith(cookie_path):
        return False
    return len(path) == len(cookie_path) or cookie_path.endswith("/") or path[len(cookie_path)] == "/"
