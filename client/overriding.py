"""Finding out what a subclass has overridden, for classes with an older and a newer method for the same thing."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def is_overridden(kind: type, method: str, *, since: str) -> bool:
    """Whether `method` comes from a class or mixin before the one that `since` comes from, in the method resolution order."""
    first = next(base for base in kind.__mro__ if method in vars(base) or since in vars(base))
    return since not in vars(first)


def can_take(function: Callable[..., Any], *arguments: str, **named: str) -> bool:
    """Whether the signature of a function accepts these positional and keyword arguments, whatever their values."""
    try:
        signature(function).bind(*arguments, **named)
    except TypeError:
        return False
    return True
