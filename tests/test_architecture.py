"""Imports run one way, spiders → crawler → client, and never in a circle.

Every import counts, wherever it stands: those for types alone and those within functions as well. A module that needs
`TYPE_CHECKING` to name its caller tells that the type lives in the wrong place.
"""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {"client": {"client"}, "crawler": {"crawler", "client"}, "spiders": {"spiders", "crawler"}}
OTHER_CLIENTS = {"aiohttp", "httpx", "requests", "urllib3", "urllib.request", "http.client"}
DATABASES = {"sqlite3", "aiosqlite"}
KNOW_SQLITE = {"crawler.frontier", "crawler.exports.sqlite"}
ROOMS = ("web", "frontier", "exports", "hosts", "selection", "reports", "control", "readers", "demo", "cli")
"""The rooms of the crawler (docs/architecture.md). Each imports from those before it alone, and from the top, which all share."""


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {_name(path): path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))}


@cache
def imports(module: str) -> frozenset[str]:
    """The full names of all that a module imports; of ours, the modules they are in."""
    return frozenset(_imports(module))


def _imports(module: str) -> Iterator[str]:
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            source = ".".join(filter(None, (above, node.module)))
            yield from (
                name if (name := f"{source}.{alias.name}") in MODULES or source not in MODULES else source
                for alias in node.names
            )


def _is_of(name: str, families: set[str]) -> bool:
    return any(name == family or name.startswith(f"{family}.") for family in families)


def offenders(modules: Iterable[str], is_forbidden: Callable[[str, str], bool]) -> dict[str, list[str]]:
    """What modules import that they must not, of each that does; `is_forbidden` is asked with the module and the import."""
    found = {module: sorted(name for name in imports(module) if is_forbidden(module, name)) for module in modules}
    return {module: names for module, names in found.items() if names}


def test_there_is_something_to_look_at() -> None:
    """The other tests would pass in an empty folder."""
    assert {name.partition(".")[0] for name in MODULES} == set(MAY_IMPORT)


def test_a_floor_talks_only_to_the_next() -> None:
    """The client never hears of spiders or frontiers, a spider never of sockets."""

    def is_forbidden(module: str, name: str) -> bool:
        return _is_of(name, set(MAY_IMPORT) - MAY_IMPORT[module.partition(".")[0]])

    assert offenders(MODULES, is_forbidden) == {}


def test_no_module_is_its_own_ancestor() -> None:
    """Not even among type-only imports."""
    graph = {module: {name for name in imports(module) if name in MODULES} for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' ← '.join(error.args[1])}")


def _room(module: str) -> str | None:
    package, _, rest = module.partition(".")
    room = rest.partition(".")[0]
    return room if package == "crawler" and room in ROOMS else None


def test_every_room_has_its_place() -> None:
    assert {path.parent.name for path in (ROOT / "crawler").glob("*/__init__.py")} == set(ROOMS)


def test_a_room_imports_from_those_before_it_alone() -> None:
    """What a room is for can be understood without those behind it."""

    def is_forbidden(module: str, name: str) -> bool:
        room = _room(name)
        return room is not None and ROOMS.index(room) > ROOMS.index(str(_room(module)))

    assert offenders(filter(_room, MODULES), is_forbidden) == {}


def test_there_is_one_http_client() -> None:
    """Whatever asked the network past our own client would ask past its limits."""
    assert offenders(MODULES, lambda _, name: _is_of(name, OTHER_CLIENTS)) == {}


def test_nothing_outside_the_frontier_knows_sqlite() -> None:
    """Another frontier, on another database, must be able to take its place. SQLite as a format of exports is another matter."""
    others = [module for module in MODULES if not _is_of(module, KNOW_SQLITE)]
    assert offenders(others, lambda _, name: _is_of(name, DATABASES)) == {}
