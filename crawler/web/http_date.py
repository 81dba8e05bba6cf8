"""Dates in header fields: the three forms that RFC 9110 §5.6.7 has a recipient accept.

    IMF-fixdate   Sun, 06 Nov 1994 08:49:37 GMT
    rfc850-date   Sunday, 06-Nov-94 08:49:37 GMT
    asctime-date  Sun Nov  6 08:49:37 1994

All are in UTC. The name of the day is not checked; letters may be in either case, and `UTC` may stand for `GMT`, as some older servers
write it.
"""

from __future__ import annotations

import re
import time

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_FORMS = tuple(
    re.compile(pattern, re.IGNORECASE | re.ASCII)
    for pattern in (
        rf"[a-z]{{3}}, (?P<day>\d\d) (?P<month>[a-z]{{3}}) (?P<year>\d{{4}}) {_TIME} (?:GMT|UTC)",
        rf"[a-z]{{6,9}}, (?P<day>\d\d)-(?P<month>[a-z]{{3}})-(?P<year>\d\d) {_TIME} (?:GMT|UTC)",
        rf"[a-z]{{3}} (?P<month>[a-z]{{3}}) (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
    )
)
_LEAP_SECOND = 60


def parse_http_date(text: str, *, now: float) -> float | None:
    """The instant of an HTTP date, in seconds of the epoch; None when it has none of the three forms, or is no date.

    `now`, also in seconds of the epoch, determines the century of a year of two digits: more than 50 years ahead means the last century.
    """
    found = next((found for form in _FORMS if (found := form.fullmatch(text.strip()))), None)
    if found is None or found["month"].lower() not in _MONTHS:
        return None
    month = _MONTHS.index(found["month"].lower()) + 1
    day, hour, minute, second = (int(found[name]) for name in ("day", "hour", "minute", "second"))
    year = int(found["year"])
    if len(found["year"]) == 2:
        year = _in_century(year, (month, day, hour, minute, second), now)
    if second > _LEAP_SECOND:
        return None
    from datetime import UTC, datetime  # few crawls meet such a date

    try:
        return datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp() + second
    except ValueError:  # the year 0, the 30th of February, 25 o'clock
        return None


def _in_century(year: int, rest: tuple[int, ...], now: float) -> int:
    in_fifty_years = (time.gmtime(now).tm_year + 50, *time.gmtime(now)[1:6])
    full = in_fifty_years[0] - (in_fifty_years[0] - year) % 100
    return full if (full, *rest) <= in_fifty_years else full - 100
