"""What a call returns, besides what it is in `async with`: a coroutine, to be awaited, or given to a task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

T = TypeVar("T")


class Awaited(Coroutine[Any, Any, T], Generic[T]):
    """Wanted wherever a coroutine is, such as by `asyncio.create_task` and `asyncio.run`."""

    __slots__ = ()

    @abstractmethod
    def _begun(self) -> Coroutine[Any, Any, T]:
        """The coroutine that does it, always the same."""

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
