"""Every row of the table is there, as it is described, and shown at work by some test."""

from __future__ import annotations

import builtins
import importlib
import inspect
import pkgutil
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import multidict
import pytest

import client
from client import abc as client_abc
from tests.client.reference.table import (
    CLASSES,
    COROUTINES,
    DEPRECATED,
    ERRORS,
    FUNCTIONS,
    METHODS,
    MODULES,
    NEW_TYPES,
    NOT_GIVEN,
    PARAMETERS,
    PROPERTIES,
    REQUIRED,
    ROWS,
    SIGNALS,
    TYPES,
    VALUES,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VERBS = ("get", "options", "head", "post", "put", "patch", "delete")

WHOLE = (
    "ClientSession",
    "ClientSession.request",
    "ClientSession.ws_connect",
    "request",
    "TCPConnector",
    "UnixConnector",
)
"""Callables whose parameters are all in the table."""


def _find(path: str) -> Any:
    """Return what a dotted name in `client` means."""
    found: Any = client
    for part in path.split("."):
        found = getattr(found, part)
    return found


def _members(table: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [f"{owner}.{name}" for owner, names in table.items() for name in names]


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return {name: one for name, one in inspect.signature(function).parameters.items() if name != "self"}


# -- names


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_can_be_imported(name: str) -> None:
    assert inspect.isclass(_find(name))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_can_be_imported(name: str) -> None:
    assert inspect.isfunction(_find(name))


@pytest.mark.parametrize(("name", "value"), VALUES.items())
def test_every_value_can_be_imported(name: str, value: object) -> None:
    assert _find(name) == value


def test_nothing_public_is_missing_from_the_table() -> None:
    assert set(client.__all__) == {
        *(*CLASSES, *NEW_TYPES, *TYPES, *MODULES, *FUNCTIONS, *VALUES, *ERRORS),
        *SIGNALS.values(),
    }


def test_what_others_may_implement_is_in_abc_too() -> None:
    assert client_abc.AbstractCookieJar is client.AbstractCookieJar
    assert client_abc.AbstractResolver is client.AbstractResolver


def test_multi_dictionaries_are_those_of_multidict() -> None:
    for name in ("MultiDict", "MultiDictProxy", "CIMultiDict"):
        assert _find(name) is getattr(multidict, name)


def test_the_connectors_are_kinds_of_the_base() -> None:
    assert issubclass(client.TCPConnector, client.BaseConnector)
    assert issubclass(client.UnixConnector, client.BaseConnector)
    assert inspect.isabstract(client.BaseConnector)


@pytest.mark.parametrize(("name", "bases"), ERRORS.items())
def test_every_error_can_be_caught_as_its_bases(name: str, bases: tuple[str, ...]) -> None:
    for base in bases:
        kind = getattr(client, base, None) or getattr(builtins, base, None) or getattr(ssl, base)
        assert issubclass(_find(name), kind)


# -- parameters


@pytest.mark.parametrize(
    ("function", "name", "default"),
    [(function, name, default) for function, some in PARAMETERS.items() for name, default in some.items()],
)
def test_every_parameter_has_the_documented_default(function: str, name: str, default: object) -> None:
    parameter = _parameters(_find(function))[name]
    if default is NOT_GIVEN:
        assert parameter.default is not REQUIRED
        assert parameter.default is not None
    else:
        assert parameter.default == default


@pytest.mark.parametrize("function", WHOLE)
def test_no_parameter_is_missing_from_the_table(function: str) -> None:
    assert set(_parameters(_find(function))) == set(PARAMETERS[function])


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_what_request_takes(verb: str) -> None:
    expected = {
        name: one.default for name, one in _parameters(client.ClientSession.request).items() if name != "method"
    }
    if verb == "head":
        expected["allow_redirects"] = False
    assert {name: one.default for name, one in _parameters(_find(f"ClientSession.{verb}")).items()} == expected


@pytest.mark.parametrize("function", [name for name in PARAMETERS if name.rpartition(".")[2] not in VERBS])
def test_every_parameter_can_be_given_by_name(function: str) -> None:
    for name in PARAMETERS[function]:
        assert _parameters(_find(function))[name].kind in (
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            inspect.Parameter.KEYWORD_ONLY,
        )


# -- members


@pytest.mark.parametrize("member", _members(PROPERTIES))
def test_every_property_is_one(member: str) -> None:
    assert isinstance(inspect.getattr_static(*_owner_and_name(member)), property)


@pytest.mark.parametrize("member", _members(METHODS))
def test_every_method_is_one(member: str) -> None:
    assert callable(_find(member))
    assert not inspect.iscoroutinefunction(_find(member))


@pytest.mark.parametrize("member", _members(COROUTINES))
def test_every_coroutine_is_one(member: str) -> None:
    assert inspect.iscoroutinefunction(_find(member))


def test_types_of_messages_go_by_their_older_names_too() -> None:
    kinds = set(client.WSMsgType) - {client.WSMsgType.CONTINUATION}
    assert {getattr(client.WSMsgType, kind.name.lower()) for kind in kinds} == kinds


def test_every_signal_can_be_listened_to() -> None:
    config = client.TraceConfig()
    assert {name for name in vars(config) if name.startswith("on_")} == set(SIGNALS)
    for name, kind in SIGNALS.items():
        assert config.callbacks_for(tuple.__new__(_find(kind))) is getattr(config, name)


def _owner_and_name(member: str) -> tuple[Any, str]:
    owner, _, name = member.rpartition(".")
    return _find(owner), name


# -- and everything at work


def _exercised() -> set[str]:
    """The rows that the tests of this folder say they exercise."""
    package = Path(__file__).parent
    found: set[str] = set()
    for module in pkgutil.iter_modules([str(package)]):
        if module.name.startswith("test_"):
            tests = vars(importlib.import_module(f"{__package__}.{module.name}"))
            found.update(*(getattr(test, "exercised_rows", ()) for test in tests.values()))
    return found


def test_every_row_is_exercised() -> None:
    assert sorted(ROWS - _exercised()) == []


def test_every_deprecated_row_is_a_row() -> None:
    assert DEPRECATED <= ROWS
