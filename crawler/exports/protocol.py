"""What the crawler asks of an export, and how an item gets into a file exactly once.

The crawl file is the truth, an export follows it. Items are written only after the transaction that holds them; the
cursor that `write` returns is kept in the crawl file by the next one. Killed in between, the file is longer than its
cursor says; the next run opens it with that cursor, cuts the surplus off and writes those items again.

Nothing need be on the disk before `close`, since all of it can be written again. After a power cut a file may be shorter than
its cursor, or the user may have moved it: then it begins anew, which the cursor that `open` returns says. What cannot be gone
on with, such as a Parquet file, always does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """How far an export has come: the id of the last item in it, its size, and what its format needs to go on."""

    item: int = 0
    bytes: int = 0
    extra: dict[str, Any] = {}

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str) -> Cursor:
        """Raises ValueError when `text` is no cursor."""
        return msgspec.json.decode(text, type=cls)


class Export(Protocol):
    """One output. The crawler calls `open` once, `write` any number of times, and `close` or `abandon` once, never two at
    a time.

    They block on the disk, so they are called in a thread.
    """

    @property
    def path(self) -> str:
        """What the cursor is kept under: the absolute path; "-" for standard output."""

    def open(self, cursor: Cursor | None) -> Cursor:
        """Be ready to write the item after the returned cursor's: `cursor`, or the beginning.

        None: what is there is overwritten. Raises UsageError when the file cannot be opened.
        """

    def write(self, first_item: int, items: Sequence[str]) -> Cursor:
        """Append committed items, texts of JSON objects in the order of their ids, of which the first is `first_item`: the one after
        the last that was written. Raises StorageError, and leaves the file as it was, when the disk would not take them."""

    def close(self) -> Cursor:
        """Make the file whole and durable. Returns the cursor to keep: completing a file can change its size.

        Raises StorageError. It may be called when `open` has failed.
        """

    def abandon(self) -> None:
        """Close it as it is, since not all that it should hold has come: what is made whole only by `close` stays as it was before
        `open`. It may be called when `open` has failed."""
