"""A view is drawn in one place, what is printed goes above it, and the terminal is left as if it had never been there."""

from __future__ import annotations

import io
import sys
import threading

import pytest

from crawler.reports.terminal import Span, Style, View, can_draw
from tests.terminals import Screen, shown, shown_before_the_end, terminal

LINES = [[Span("one ", Style.BOLD), Span("1")], [Span("two")], [Span("three")]]


def test_it_is_drawn_over_what_was_drawn_before() -> None:
    stream = io.StringIO()
    with View(stream) as view:
        view.draw(LINES)
        view.draw([[Span("ONE")], *LINES[1:]])
        screen = Screen()
        screen.feed(stream.getvalue())
        assert screen.lines == ["ONE", "two", "three"]
        assert (screen.line, screen.column) == (0, 0), "where the prompt will be if the process is killed now"
        assert screen.breaks_lines


def test_nothing_is_left_of_it() -> None:
    stream = io.StringIO()
    stream.write("before\n")
    with View(stream) as view:
        view.draw(LINES)
    assert shown(stream.getvalue()) == ["before"]


def test_what_was_never_drawn_is_not_cleared() -> None:
    stream = io.StringIO()
    with View(stream):
        pass
    assert not stream.getvalue()


def test_what_is_printed_goes_above_it_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal() as screen:
        monkeypatch.setattr(sys, "stdout", screen.stream)
        monkeypatch.setattr(sys, "stderr", screen.stream)
        with View(screen.stream) as view:
            print("early")
            view.draw(LINES)
            print("to out")
            print("to err", file=sys.stderr)
            print("half", end="", flush=True)
            view.draw(LINES)
            sys.stdout.writelines([" and half\n", "unfinished"])
            assert sys.stdout.isatty()
            assert sys.stdout.encoding == "utf-8"
        assert sys.stdout is sys.stderr is screen.stream
        print(" business")
        assert shown(screen.read()) == ["early", "to out", "to err", "half and half", "unfinished business"]


def test_the_view_stays_below_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with View(stream) as view:
        view.draw(LINES)
        printing = threading.Thread(target=lambda: print("from a thread", file=sys.stderr))
        printing.start()
        printing.join()
        assert shown(stream.getvalue()) == ["from a thread", "one 1", "two", "three"]


def test_what_goes_to_a_file_stays_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """`crawl run … > log` must find in the log what the spider printed, when it was printed."""
    stream, log = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", log)
    with View(stream) as view:
        view.draw(LINES)
        print("printed")
        assert log.getvalue() == "printed\n"
    assert "printed" not in stream.getvalue()


def test_streams_that_somebody_else_has_replaced_meanwhile_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, theirs = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with View(stream):
        ours = sys.stderr
        monkeypatch.setattr(sys, "stderr", theirs)
    assert sys.stderr is theirs
    print("late", file=ours)
    assert stream.getvalue() == "late\n"


@pytest.mark.parametrize("columns", [1, 2, 9, 10, 40])
def test_lines_are_cut_to_the_window(columns: int) -> None:
    with terminal(columns) as screen:
        with View(screen.stream) as view:
            view.draw([[Span("123456"), Span("78901", Style.GREEN), Span("2")], [Span("two")]])
        first = ("123456789012" if columns > 12 else f"{'123456789012'[: columns - 2]}…")[: columns - 1]
        two = "two" if columns > 3 else "…"[: columns - 1]
        lines = shown_before_the_end(screen.read(), columns)
        assert [*lines, "", ""][:2] == [first, two]


def test_a_window_that_became_narrower_is_cleared_all_the_same() -> None:
    """A terminal breaks anew what it shows: there are more lines then than were drawn, but all of them below the cursor."""
    screen = Screen(20)
    stream = io.StringIO()
    with View(stream) as view:
        view.draw([[Span("a" * 18)], [Span("b" * 18)]])
        screen.feed(stream.getvalue())
        screen.rows = [list("a" * 10), list("a" * 8), list("b" * 10), list("b" * 8)]
        seen = len(stream.getvalue())
        view.draw([[Span("c")]])
        screen.feed(stream.getvalue()[seen:])
    assert screen.lines == ["c"]


def test_a_low_window_shows_fewer_lines() -> None:
    """More than fit would scroll, and be drawn anew below each time."""
    with terminal(80, 3) as screen:
        with View(screen.stream) as view:
            view.draw(LINES)
            screen.resize(80, 1)
            view.draw(LINES)
        drawn = screen.read()
        assert "two" in drawn
        assert "three" not in drawn
        assert shown_before_the_end(drawn) == ["one 1"]


def test_what_controls_a_terminal_does_not_reach_it() -> None:
    """The text of an error may come from anywhere."""
    stream = io.StringIO()
    with View(stream) as view:
        view.draw([[Span("a\x1b[2Jb\nc\td")]])
        assert shown(stream.getvalue()) == ["a [2Jb c d"]


@pytest.mark.parametrize(("no_color", "is_coloured"), [("", True), ("1", False)])
def test_it_has_no_colours_if_they_are_not_wanted(
    no_color: str, is_coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    stream = io.StringIO()
    with View(stream) as view:
        view.draw(LINES)
    assert ("\x1b[1mone \x1b[m" in stream.getvalue()) is is_coloured


@pytest.mark.parametrize(
    ("term", "can"), [("xterm-256color", True), ("linux", True), ("dumb", False), ("", False), (None, False)]
)
def test_it_is_drawn_on_terminals_that_are_not_dumb(
    term: str | None, can: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    if term is None:
        monkeypatch.delenv("TERM")
    else:
        monkeypatch.setenv("TERM", term)
    with terminal() as screen:
        assert can_draw(screen.stream) is can


def test_it_is_not_drawn_where_its_signs_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert not can_draw(io.StringIO())
    with terminal() as screen:
        screen.stream.reconfigure(encoding="latin-1")  # type: ignore[attr-defined]
        assert not can_draw(screen.stream)
