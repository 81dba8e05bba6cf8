"""What a subclass has overridden, for classes with an older and a newer method for the same thing."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def is_overridden(kind: type, method: str, *, since: str) -> bool:
    """Whether a class has `method` from a class, maybe a mixin, that comes before the one that it has `since` from."""
    first = next(base for base in kind.__mro__ if method in vars(base) or since in vars(base))
    return since not in vars(first)


def can_take(function: Callable[..., Any], *arguments: str, **named: str) -> bool:
    """Whether a function can be called with so many arguments, and those named; what they are does not matter."""
    try:
        signature(function).bind(*arguments, **named)
    except TypeError:
        return False
    return True
