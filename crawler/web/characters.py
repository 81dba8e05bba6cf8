"""Character references, resolved as the HTML Standard does (§13.2.5.72 to §13.2.5.80)."""

from __future__ import annotations

import re

_reference = re.compile(r"&(?:#([0-9]+);?|#[xX]([0-9a-fA-F]+);?|([A-Za-z][A-Za-z0-9]*)(;?))?")
_LONGEST_NAME = len("CounterClockwiseContourIntegral;")

_EVERYDAY = {"amp;": "&", "lt;": "<", "gt;": ">", "quot;": '"'}
"""The names that are enough for most documents. The other 2,227 take half a megabyte, and are loaded when one of them occurs."""


class NoCharacter(ValueError):
    """A number that is not a character, or stands for another one: only a parser of HTML knows what becomes of it."""


def in_value(text: str) -> str:
    """The value of an attribute, from its source text. Raises NoCharacter."""
    return _reference.sub(_character_in_value, text)


def in_text(text: str) -> str:
    """Text outside of tags, from its source text. Raises NoCharacter."""
    return _reference.sub(_character_in_text, text)


def _character_in_value(found: re.Match[str]) -> str:
    """What a character reference stands for in an attribute. Without its semicolon, it is only text if a name may continue there."""
    name = found[3]
    if not name:
        return _numbered(found)
    if found[4]:
        return _EVERYDAY.get(name + ";") or _names().get(name + ";", found[0])
    return found[0] if found.string.startswith("=", found.end()) else _names().get(name, found[0])


def _character_in_text(found: re.Match[str]) -> str:
    """What a character reference stands for in text: the longest known name counts."""
    name = found[3]
    if not name:
        return _numbered(found)
    whole = found[0][1:]
    if whole in _EVERYDAY:
        return _EVERYDAY[whole]
    names = _names()
    for end in range(min(len(whole), _LONGEST_NAME), 1, -1):
        if whole[:end] in names:
            return names[whole[:end]] + whole[end:]
    return found[0]


def _names() -> dict[str, str]:
    from html.entities import html5

    return html5


def _numbered(found: re.Match[str]) -> str:
    decimal, hexadecimal = found[1], found[2]
    if not decimal and not hexadecimal:
        return "&"
    if len(decimal or hexadecimal) > 7:
        raise NoCharacter(found[0])
    code = int(decimal) if decimal else int(hexadecimal, 16)
    if code in (0x09, 0x0A) or 0x20 <= code < 0x7F or 0xA0 <= code < 0xD800 or 0xE000 <= code < 0x110000:
        return chr(code)
    raise NoCharacter(found[0])
