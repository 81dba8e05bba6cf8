"""Where a spider comes from: what another process needs to make the same one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from crawler.errors import UsageError
from crawler.loader import load
from crawler.spider import Spider, arguments_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_REMEDY = "give Crawl(…, source=Source(target, arguments)), what `crawl run` would be given; or crawl with processes=1"


class Source(msgspec.Struct, frozen=True):
    """A target as `crawl run` takes it, and the arguments for the spider: anything that JSON can hold."""

    target: str
    arguments: Mapping[str, Any] = msgspec.field(default_factory=dict)

    @classmethod
    def of(cls, spider: Spider) -> Source:
        """The file that the spider's class is in, and its arguments as they are now.

        Raises UsageError when another process cannot find the class, or cannot make the spider from its arguments.
        """
        kind = type(spider)
        if kind.__init__ is not Spider.__init__:
            raise UsageError(f"{kind.__name__} has a constructor of its own, so nobody else can make one: {_REMEDY}")
        module = sys.modules.get(kind.__module__)
        file = getattr(module, "__file__", None)
        if file is None or getattr(module, kind.__name__, None) is not kind:
            raise UsageError(
                f"{kind.__qualname__} cannot be loaded in another process: define it at the top of a file, or {_REMEDY}"
            )
        declared = arguments_of(kind)
        arguments = {name: value for name, value in vars(spider).items() if name in declared}
        return cls(f"{Path(file).resolve()}:{kind.__name__}", arguments)

    def encoded(self) -> bytes:
        """As JSON. Raises UsageError when JSON cannot hold an argument."""
        try:
            return msgspec.json.encode([self.target, self.arguments], enc_hook=_as_text)
        except (TypeError, ValueError) as error:
            raise UsageError(f"an argument of {self.target} cannot be sent to another process: {error}") from None


def load_encoded(source: bytes) -> Spider:
    """Make the spider of an encoded source. Raises what `crawler.loader.load` raises."""
    target, arguments = msgspec.json.decode(source, type=tuple[str, dict[str, Any]])
    return load(target, arguments)


def _as_text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a {type(value).__name__} is nothing JSON can hold")
