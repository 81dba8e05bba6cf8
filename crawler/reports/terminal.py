"""A few lines at the bottom of a terminal, redrawn in the same place; what is printed meanwhile goes above them.

Between two drawings the cursor is visible, at the start of the view. So nothing has to be restored but the view itself, which is cleared
from the cursor on: neither when lines have wrapped because the window became narrower, nor when the process is killed, after which the
prompt appears there. Lines are cut to the width of the window, and the terminal is told not to wrap.

The control sequences are those of ECMA-48 that every terminal knows, except a dumb one.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

_CLEAR = "\r\x1b[J"
_NO_BREAKS, _BREAKS = "\x1b[?7l", "\x1b[?7h"
_PLAIN = "\x1b[m"


class Style:
    """The values of `Span.style`: parameters of SGR."""

    NONE = ""
    BOLD = "1"
    GREEN = "32"
    BOLD_GREEN = "1;32"
    YELLOW = "33"
    FAINT = "90"


class Span(NamedTuple):
    """A piece of a line, in one style."""

    text: str
    style: str = Style.NONE


def can_draw(stream: TextIO) -> bool:
    """Whether a view can be drawn there: on a terminal that is not dumb and can show more than ASCII."""
    return stream.isatty() and os.environ.get("TERM") not in (None, "", "dumb") and "utf" in stream.encoding.lower()


class View:
    """The lines, on `stream`, a terminal. Within the `with` block, what is printed on standard output and standard error goes above
    them, line by line; standard output only if it goes to a terminal.

    Colours are left out if NO_COLOR says so (no-color.org).
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn = ""
        self._has_colours = not os.environ.get("NO_COLOR")
        self._lock = threading.RLock()  # a spider may print in a thread, and a signal's handler anywhere
        self._above: list[_Above] = []

    def __enter__(self) -> View:
        out, err = sys.stdout, sys.stderr
        self._above = [_Above(err, self)]
        sys.stderr = self._above[0]
        if out.isatty():
            self._above.append(_Above(out, self))
            sys.stdout = self._above[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Clear the view, and restore the streams."""
        for above in self._above:
            if sys.stderr is above:
                sys.stderr = above.stream
            if sys.stdout is above:
                sys.stdout = above.stream
        with self._lock:
            if self._drawn:
                self._write(_CLEAR)
            self._drawn = ""
        for above in self._above:
            above.end()

    def draw(self, lines: Sequence[Iterable[Span]]) -> None:
        """Draw these lines in place of the previous ones, as many and as much of each as fit into the window."""
        width, height = _size(self._stream)
        rows = ["".join(self._painted(_fitted(line, width - 1))) for line in lines[: max(height - 1, 1)]]
        up = f"\x1b[{len(rows) - 1}A" if len(rows) > 1 else ""
        with self._lock:
            self._drawn = _NO_BREAKS + "\n".join(rows) + _BREAKS + "\r" + up
            self._write(_CLEAR + self._drawn)

    def print_above(self, stream: TextIO, text: str) -> None:
        """Write whole lines where the view is, and draw the view below them."""
        with self._lock:
            if self._drawn:
                self._write(_CLEAR)
            stream.write(text)
            stream.flush()
            if self._drawn:
                self._write(self._drawn)

    def _painted(self, spans: Iterable[Span]) -> Iterator[str]:
        for text, style in spans:
            yield f"\x1b[{style}m{text}{_PLAIN}" if style and self._has_colours else text

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class _Above:
    """A stream whose whole lines go above a view; the beginning of a line waits for its end."""

    def __init__(self, stream: TextIO, view: View) -> None:
        self.stream = stream
        self._view = view
        self._begun = ""

    def write(self, text: str) -> int:
        whole, newline, self._begun = (self._begun + text).rpartition("\n")
        if newline:
            self._view.print_above(self.stream, whole + newline)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))

    def end(self) -> None:
        """Write what still waits for the end of its line."""
        self.stream.write(self._begun)
        self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _fitted(line: Iterable[Span], width: int) -> Iterator[Span]:
    """As much of a line as fits, with an ellipsis for the rest. Characters that cannot be printed become spaces."""
    for text, style in line:
        shown = text if text.isprintable() else "".join(sign if sign.isprintable() else " " for sign in text)
        if len(shown) > width:
            yield Span(f"{shown[: max(width - 1, 0)]}…"[:width], style)
            return
        width -= len(shown)
        yield Span(shown, style)


def _size(stream: TextIO) -> tuple[int, int]:
    """Columns and lines of the window; 80 and 24 if that is not known."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        columns, lines = 0, 0
    return columns or 80, lines or 24
