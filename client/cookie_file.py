"""Cookies as plain data, and in a file: JSON, replaced atomically."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypedDict, cast

from client.cookie_store import Cookie
from client.set_cookie import is_unfit

_VERSION: Final = 1
_YEAR_10000: Final = 253_402_300_800


class CookieRecord(TypedDict):
    """One cookie, ready for JSON. The fields are those of `Cookie`."""

    name: str
    value: str
    domain: str
    path: str
    host_only: bool
    expires: float | None
    secure: bool
    http_only: bool
    same_site: str


def to_record(cookie: Cookie) -> CookieRecord:
    return {
        "name": cookie.name,
        "value": cookie.value,
        "domain": cookie.domain,
        "path": cookie.path,
        "host_only": cookie.host_only,
        "expires": cookie.expires,
        "secure": cookie.secure,
        "http_only": cookie.http_only,
        "same_site": cookie.same_site,
    }


def from_record(record: object) -> Cookie:
    """Return the cookie of a record. Raises ValueError for one that `to_record` cannot have made, saying what is wrong."""
    if not isinstance(record, Mapping) or record.keys() != CookieRecord.__required_keys__:
        raise ValueError(
            f"a cookie has the fields {', '.join(CookieRecord.__annotations__)}; this is not one: {record!r}"
        )
    for field, kind in CookieRecord.__annotations__.items():
        if kind in (str, bool) and type(record[field]) is not kind:
            raise ValueError(f"the field {field} of a cookie must be a {kind.__name__}, not {record[field]!r}")
    expires = record["expires"]
    if expires is not None and (type(expires) not in (int, float) or not 0 <= expires < _YEAR_10000):
        raise ValueError(f"the field expires of a cookie must be null or UTC epoch seconds, not {expires!r}")
    if is_unfit(record["name"] + record["value"]) or not record["path"].startswith("/"):
        raise ValueError(f"a cookie that cannot be sent: {record!r}")
    if record["same_site"] not in ("", "None", "Lax", "Strict"):
        raise ValueError(f"the field same_site of a cookie cannot be {record['same_site']!r}")
    return Cookie(**cast("Mapping[str, Any]", record))


def write_cookie_file(path: Path, records: Iterable[CookieRecord]) -> None:
    """Write a file that only its owner can read. A crash or an error leaves the old file unchanged."""
    import tempfile

    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump({"version": _VERSION, "cookies": list(records)}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_cookie_file(path: Path) -> list[object]:
    """Return the records of a file, unchecked. Raises ValueError if it is not a cookie file, or has a newer version."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a cookie file: {error}") from error
    match content:
        case {"version": 1, "cookies": list(records)}:
            return records
        case {"version": int(version), "cookies": list()}:
            raise ValueError(f"{path} is a cookie file of version {version}; only version {_VERSION} can be read")
    raise ValueError(f"{path} is not a cookie file: it has no list of cookies")
