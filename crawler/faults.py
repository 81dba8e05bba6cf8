"""What a spider has raised, in one line for its author: where, what, and what may be meant."""

from __future__ import annotations

import linecache
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING

from crawler.cancellation import RAISED, is_cancellation
from crawler.errors import CrawlError, Retry, SpiderError, Stop, TooCostly, leaves
from crawler.scrapy_names import IN_SCRAPY, OF_PIPELINES
from crawler.spider import READY_MADE, Spider, arguments_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from traceback import FrameSummary
    from types import TracebackType

_LONGEST_TOLD = 1000
"""How many characters of an exception's text are kept."""

_LONGEST_CODE = 80
"""How many characters of an expression that raised are kept, with each page that has an error."""

_TYPED_IN = ("<stdin>", "<string>", "<console>", "<ipython")
"""How Python names code that is not in a file."""


@contextmanager
def faults_of_the_spider(where: str) -> Iterator[None]:
    """Turn what the user's code raises into a SpiderError that says where."""
    try:
        yield
    except CrawlError:
        raise
    except RAISED as error:
        if is_cancellation(error):
            raise
        raise SpiderError(f"the spider's {where} raised: {explain(error)}") from error


def explain(error: BaseException) -> str:
    """An exception of a spider in one line: the place in the user's code, the error, and the expression that raised it. For a group of
    exceptions, this is the first that is not a `Stop` or `Retry`: the text of the group itself only says how many there are."""
    errors = list(leaves(error))
    error = next((one for one in errors if not isinstance(one, Stop | Retry)), errors[0])
    text = text_of(error)
    if isinstance(error, CrawlError):  # its text says what is wrong
        text = text.removeprefix(f"{type(error).__name__}: ")
    if isinstance(error, TooCostly):  # the page is to blame, wherever it is raised
        return text
    for frame in reversed(extract_tb(error.__traceback__)):
        if _is_the_users(frame.filename) and not _is_made_by_dataclass(frame):
            function = "" if frame.name == "<module>" else f" (in {frame.name})"
            code = "" if isinstance(error, CrawlError | ImportError) else _culprit(frame)
            code += _in_our_words(error, code)
            return f"{frame.filename}:{frame.lineno}: {text.rstrip('.') if code else text}{code}{function}"
    return text


def from_the_users_code(traceback: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames that called the user's code; the whole traceback, if that is not in it."""
    first = traceback
    while first and not _is_the_users(first.tb_frame.f_code.co_filename):
        first = first.tb_next
    return first or traceback


def text_of(error: BaseException) -> str:
    """An exception's name, and its text if it has one, shortened: some quote what they could not read, which may be a whole page."""
    name = type(error).__name__
    try:
        said = str(error)
    except RAISED as another:
        if isinstance(another, KeyboardInterrupt):
            raise
        return f"{name}, which cannot be told: its text raises {type(another).__name__}"
    return f"{name}: {_in_short(said)}" if said else name


def _in_short(text: str) -> str:
    return text if len(text) <= _LONGEST_TOLD else f"{text[:_LONGEST_TOLD]}…"


def _culprit(frame: FrameSummary) -> str:
    """The expression that raised, which may be one of several in its line; empty for a `raise` statement, which would say nothing new."""
    line = linecache.getline(frame.filename, frame.lineno or 0).encode()  # positions count bytes
    is_one_line = frame.end_lineno == frame.lineno
    code = line[frame.colno : frame.end_colno if is_one_line else None].decode("utf-8", "replace").strip()
    if not code or code.startswith("raise"):
        return ""
    return f", at `{code if len(code) <= _LONGEST_CODE else code[:_LONGEST_CODE] + '…'}`"


def _in_our_words(error: BaseException, code: str) -> str:
    """A hint for a name that pages, nodes, spiders and pipelines have in Scrapy but not here, for a selector of Scrapy's, for a node that
    is not on the page, or for an argument without a value; empty for others."""
    if "::" in code and type(error).__module__.startswith("selectolax."):
        return "; CSS selects elements: node.text() and node.attributes say what is in them"
    named = error.name if isinstance(error, NameError) else type(error).__name__
    if named in OF_PIPELINES:
        return f"; here {OF_PIPELINES[named]}"
    return _of_an_attribute(error, code) if isinstance(error, AttributeError) else ""


def _of_an_attribute(error: AttributeError, code: str) -> str:
    asked = error.obj
    if asked is None and "css_first(" in code:
        return "; the selector matches nothing here"
    if isinstance(asked, Spider) and error.name in arguments_of(type(asked)):
        return f"; give it a value: -a {error.name}=…"
    if error.name not in IN_SCRAPY:
        return ""
    is_ours = isinstance(asked, Spider | list) or type(asked).__module__.startswith(("crawler.", "selectolax."))
    return f"; here it is {IN_SCRAPY[error.name]}" if is_ours else ""


def _is_the_users(filename: str) -> bool:
    """Whether code is the user's. Compiled code, which has the relative names of its sources, is not; what was typed in is."""
    return filename.startswith(_TYPED_IN) or (
        Path(filename).is_absolute() and not filename.startswith(_not_the_users())
    )


def _is_made_by_dataclass(frame: FrameSummary) -> bool:
    return frame.filename == "<string>" and frame.name == "__init__"


@cache
def _not_the_users() -> tuple[str, ...]:
    """Where code that is not the user's is found: this package, the ready-made spiders (but not others beside them), the standard library,
    and installed packages."""
    from sysconfig import get_paths

    here = Path(__file__).parent
    ready_made = (str(here.parent / "spiders" / f"{name}.py") for name in READY_MADE)
    return (str(here), *ready_made, *get_paths().values(), "<frozen")
