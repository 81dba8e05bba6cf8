"""A base for the objects that calls return: usable in `async with`, and as coroutines, to be awaited or run in a task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

T = TypeVar("T")


class Awaited(Coroutine[Any, Any, T], Generic[T]):
    """Accepted wherever a coroutine is, such as by `asyncio.create_task` and `asyncio.run`."""

    __slots__ = ()

    @abstractmethod
    def _begun(self) -> Coroutine[Any, Any, T]:
        """The coroutine that does the work; the same one each time."""

    def __await__(self) -> Generator[Any, None, T]:
        return self._begun().__await__()

    def send(self, value: Any) -> Any:
        return self._begun().send(value)

    def throw(self, kind: Any, error: BaseException | object = None, traceback: TracebackType | None = None, /) -> Any:
        if isinstance(kind, BaseException):
            return self._begun().throw(kind)
        return self._begun().throw(kind, error, traceback)

    def close(self) -> None:
        self._begun().close()
