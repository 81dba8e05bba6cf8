"""A terminal as a program sees it, and the screen as its user does."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import struct
import termios
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

CLEAR = "\r\x1b[J"
"""From the cursor on, with which a view is drawn anew, or ended."""

_SEQUENCE = re.compile(r"\x1b\[(\??)([\d;]*)([A-Za-z])")


class Screen:
    """What a window shows of what was written to it. It knows what `crawler.reports.terminal` uses, and raises ValueError for more."""

    def __init__(self, columns: int = 80) -> None:
        self.columns = columns
        self.rows: list[list[str]] = [[]]
        self.line = self.column = 0
        self.breaks_lines = True

    @property
    def lines(self) -> list[str]:
        """The text from above to the last row that is not empty."""
        lines = ["".join(row).rstrip() for row in self.rows]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def feed(self, text: str) -> None:
        while text:
            if found := _SEQUENCE.match(text):
                self._obey(*found.groups())
                text = text[found.end() :]
            else:
                self._show(text[0])
                text = text[1:]

    def _obey(self, private: str, number: str, letter: str) -> None:
        match private, letter:
            case "", "A":
                self.line = max(self.line - int(number or 1), 0)
            case "", "J" if not number:
                del self.rows[self.line][self.column :]
                del self.rows[self.line + 1 :]
            case "", "m":
                pass  # colours are seen, not read
            case "?", "h" | "l" if number == "7":
                self.breaks_lines = letter == "h"
            case _:
                raise ValueError(f"{private}{number}{letter}")

    def _show(self, sign: str) -> None:
        if sign == "\r":
            self.column = 0
        elif sign == "\n":
            self._go_down()
        elif sign == "\x1b":
            raise ValueError("a control sequence of an unknown form")
        else:
            if self.column == self.columns and self.breaks_lines:
                self._go_down()
            row = self.rows[self.line]
            self.column = min(self.column, self.columns - 1)
            row.extend(" " * (self.column + 1 - len(row)))
            row[self.column] = sign
            self.column += 1

    def _go_down(self) -> None:
        """To the beginning of the next line: a terminal's driver puts a carriage return before each newline."""
        self.line, self.column = self.line + 1, 0
        if self.line == len(self.rows):
            self.rows.append([])


def shown(text: str, columns: int = 80) -> list[str]:
    """What the window shows of a text in the end."""
    screen = Screen(columns)
    screen.feed(text)
    return screen.lines


def shown_before_the_end(text: str, columns: int = 80) -> list[str]:
    """What it showed before a view was cleared for the last time."""
    return shown(text.rpartition(CLEAR)[0], columns)


class Terminal:
    """A pseudo-terminal. `stream` is the program's end; what was written there is in `read`, up to now."""

    def __init__(self, stream: TextIO, master: int) -> None:
        self.stream = stream
        self._master = master
        self._text = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.stream.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _read(self) -> None:
        try:
            while data := os.read(self._master, 65536):
                self._text += data
        except OSError as error:
            if error.errno != errno.EIO:  # how Linux says that the other end is closed
                raise

    def read(self) -> str:
        """All that was written, once nobody has the program's end open any more."""
        self.stream.close()
        self._reader.join()
        return self._text.decode()


@contextmanager
def terminal(columns: int = 80, lines: int = 24) -> Iterator[Terminal]:
    master, theirs = pty.openpty()
    opened = Terminal(os.fdopen(theirs, "w", encoding="utf-8"), master)
    opened.resize(columns, lines)
    try:
        yield opened
    finally:
        opened.read()
        os.close(master)
