"""Complete signatures for `inspect` and `help`: each parameter of a typed ``**options`` is listed."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

F = TypeVar("F", bound="Callable[..., Any]")


def listing(options: type, defaults: Mapping[str, object], **own_defaults: object) -> Callable[[F], F]:
    """Decorate a function that takes ``**options: Unpack[Options]``: its signature lists each of them with its default.

    `options` is that typed dictionary; `own_defaults` override `defaults`.
    """
    listed = [
        Parameter(name, Parameter.KEYWORD_ONLY, default={**defaults, **own_defaults}[name], annotation=annotation)
        for name, annotation in options.__annotations__.items()
    ]

    def rewrite(function: F) -> F:
        shown = signature(function)
        *parameters, _unpacked = shown.parameters.values()
        vars(function)["__signature__"] = shown.replace(parameters=[*parameters, *listed])
        return function

    return rewrite
