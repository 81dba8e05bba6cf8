"""Figures, instants and tables: how the command writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def counted(number: int, noun: str) -> str:
    """`1 page`, `1,234 pages`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def size(number: int) -> str:
    """Bytes, for people: `512 B`, `1.5 kB`, `34.0 MB` (powers of 1000)."""
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def duration(seconds: float) -> str:
    """A time, for people: `0.8 s`, `12.5 s`, `3:07`, `26:03:07`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def brief(seconds: float | None) -> str:
    """`12 ms`, `3.25 s`; empty for None."""
    if seconds is None:
        return ""
    return f"{seconds:.2f} s" if seconds >= 1.0 else f"{seconds * 1000:.0f} ms"


def instant(iso: str | None) -> str:
    """An instant of ISO 8601 to the second: `2026-01-31 12:00:00 UTC`."""
    return f"{(iso or '')[:19].replace('T', ' ')} UTC"


def minute(iso: str) -> str:
    """An instant of ISO 8601 to the minute: `2026-01-31 12:00 UTC`."""
    return f"{iso[:16].replace('T', ' ')} UTC"


def rounded(value: Any) -> Any:
    """Plain data for JSON, with fractions to the sixth place: seconds to the microsecond."""
    import msgspec

    return _rounded(msgspec.to_builtins(value))


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {name: _rounded(member) for name, member in value.items()}
    return [_rounded(member) for member in value] if isinstance(value, list) else value


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table: the first and the last column are texts, those between are figures, aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *figures, last in rows:
        right = (cell.rjust(width) for cell, width in zip(figures, widths[1:], strict=False))
        yield "  ".join([first.ljust(widths[0]), *right, last]).rstrip()
