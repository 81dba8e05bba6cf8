"""Paths as users write them."""

from __future__ import annotations

from pathlib import Path

from crawler.errors import UsageError


def expanded(text: str | Path) -> Path:
    """With `~` as a home folder; UsageError when nobody has that."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UsageError(f"{text}: there is no such user, nor a home folder of theirs") from None
