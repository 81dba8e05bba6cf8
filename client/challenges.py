"""Parsing WWW-Authenticate challenges (RFC 9110 §11.6.1), without I/O.

One header may hold several challenges, and commas separate both challenges and their parameters. So a name followed by
``=`` is a parameter of the last scheme, and any other is a scheme. Malformed pieces are skipped.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from client.grammar import QUOTED, TOKEN, unescaped

_TOKEN68: Final = re.compile(r"[A-Za-z0-9\-._~+/]++=*+(?=[ \t]*+(?:,|\Z))")  # RFC 9110 §11.2
_EQUALS: Final = re.compile(r"[ \t]*+=[ \t]*+")
_BARE: Final = re.compile(r"[^,]*")  # lenient: a token, or a value that lacks its quotes
_SEPARATOR: Final = re.compile(r"[ \t,]*")
_SPACE: Final = re.compile(r"[ \t]*")
_REST: Final = re.compile(r"[^,]*+,?")


class Challenge(NamedTuple):
    scheme: str
    """In lower case."""
    parameters: dict[str, str]
    """Names in lower case, values unquoted; the first of several with one name."""
    token: str | None = None
    """The token68 that some schemes have instead of parameters."""


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """Return the challenges of WWW-Authenticate (or Proxy-Authenticate) headers, in order. Takes linear time."""
    challenges: list[Challenge] = []
    for value in values:
        challenges += _parse(value)
    return challenges


def parse_parameters(value: str) -> dict[str, str]:
    """Return the parameters of a header that has no scheme, such as Authentication-Info (RFC 7615 §3)."""
    return parse_challenges([f"none, {value}"])[0].parameters


def _parse(text: str) -> list[Challenge]:
    challenges: list[Challenge] = []
    at = _end(_SEPARATOR, text, 0)
    while at < len(text):
        name = TOKEN.match(text, at)
        if name is None:
            at = _end(_REST, text, at)
        elif equals := _EQUALS.match(text, name.end()):
            parameter, at = _value(text, equals.end())
            if challenges:
                challenges[-1].parameters.setdefault(name[0].lower(), parameter)
        else:
            at = _end(_SPACE, text, name.end())
            token = _TOKEN68.match(text, at) if at > name.end() else None
            challenges.append(Challenge(name[0].lower(), {}, token[0] if token else None))
            at = token.end() if token else at
        at = _end(_SEPARATOR, text, at)
    return challenges


def _value(text: str, at: int) -> tuple[str, int]:
    """Return the value of a parameter and where it ends."""
    if quoted := QUOTED.match(text, at):
        return unescaped(quoted[1]), quoted.end()
    end = _end(_BARE, text, at)
    return text[at:end].strip(), end


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    """Where the match of a pattern ends; the pattern must match everywhere, if only the empty string."""
    match = pattern.match(text, start)
    assert match is not None
    return match.end()
