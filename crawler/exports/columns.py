"""The columns of tables of items. They are not fixed, but learned from the items, in the order in which their keys appear.

Not every key can be a column. To SQLite, and to many programs that read Parquet, names that differ only in case are the same; and
no table takes any number of columns, or a NUL in a name. Values without a column of their own go into one more, `_more`, as a JSON
object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

MORE: Final = "_more"

ROW_ID: Final = "_rowid_"
"""SQLite's name for a row's number, unless a column has that name."""

MOST_COLUMNS: Final = 1000
"""SQLite takes 2,000, unless it was built with another limit."""

MOST_LETTERS: Final = 255

_decode_item = msgspec.json.Decoder(dict[str, Any]).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class Columns:
    """The columns so far."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names: dict[str, None] = {}
        self._taken = {MORE, ROW_ID}
        self._has_more = False
        for name in names:
            if name == MORE:
                self._has_more = True
            else:
                self._is_column(name)

    @property
    def names(self) -> list[str]:
        """All columns; `_more` is the last, if it is needed."""
        return [*self._names, *([MORE] if self._has_more else [])]

    def row(self, item: str | bytes) -> dict[str, Any]:
        """The values of an item, which is JSON, by column; columns that the item does not have are left out."""
        values = _values_of(item)
        if values.keys() <= self._names.keys():
            return values
        more = {key: value for key, value in values.items() if not self._is_column(key)}
        if not more:
            return values
        self._has_more = True
        return {key: value for key, value in values.items() if key not in more} | {MORE: more}

    def _is_column(self, key: str) -> bool:
        """Whether a key is a column; it becomes one if it can."""
        if key in self._names:
            return True
        folded = key.lower()
        if folded in self._taken or len(self._names) >= MOST_COLUMNS or len(key) > MOST_LETTERS or "\0" in key:
            return False
        self._names[key] = None
        self._taken.add(folded)
        return True


def _values_of(item: str | bytes) -> dict[str, Any]:
    try:
        return _decode_item(item)
    except msgspec.ValidationError:  # a number that only JSON has, such as 1e999
        return {key: _value_of(bytes(raw)) for key, raw in _decode_fields(item).items()}


def _value_of(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:
        return text.decode()


def as_text(value: Any) -> str | None:
    """A value as text: strings and None as they are, anything else as JSON."""
    return value if value is None or isinstance(value, str) else _encode(value).decode()
