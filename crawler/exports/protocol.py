"""What the crawler requires of an export, and how each item gets into a file exactly once.

The crawl file is the truth, and an export follows it. Items are written only after the transaction that holds them is committed; the
cursor that `write` returns is kept in the crawl file with the next transaction. After a kill in between, the file is longer than its
cursor says: the next run opens it with that cursor, cuts off the rest and writes those items again.

Nothing need be on the disk before `close`, since all of it can be written again. After a power cut a file may be shorter than its
cursor says, or the user may have moved it: then it is written from the beginning, and the cursor that `open` returns says so. An
export that cannot be continued, such as a Parquet file, always does that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """How far an export has come: the id of the last item in it, its size in bytes, and what its format needs to go on."""

    item: int = 0
    bytes: int = 0
    extra: dict[str, Any] = {}

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str) -> Cursor:
        """Read what `to_json` wrote. Raises ValueError when `text` is not a cursor."""
        return msgspec.json.decode(text, type=cls)


class Export(Protocol):
    """One output. The crawler calls `open` once, `write` any number of times, and `close` or `abandon` once, never two at
    a time.

    They block on the disk, so they are called in a thread.
    """

    @property
    def path(self) -> str:
        """The key under which the cursor is kept: the absolute path; "-" for standard output."""

    def open(self, cursor: Cursor | None) -> Cursor:
        """Get ready to write the item after the returned cursor, which is `cursor`, or the beginning.

        With None, what is there is overwritten. Raises UsageError when the file cannot be opened.
        """

    def write(self, first_item: int, items: Sequence[str]) -> Cursor:
        """Append committed items, JSON objects as texts in the order of their ids. `first_item` is the id of the first, the one after
        the last that was written. If the disk does not take them, raises StorageError and leaves the file as it was."""

    def close(self) -> Cursor:
        """Make the file whole and durable. Returns the cursor to keep: completing a file can change its size.

        Raises StorageError. It may be called when `open` has failed.
        """

    def abandon(self) -> None:
        """Close it as it is, because not all items have come: a file that only `close` completes stays as it was before `open`. It may
        be called when `open` has failed."""
