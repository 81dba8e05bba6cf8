"""The outputs of `crawl run`, and which of them may be written to: no existing data is lost unasked.

A file that is not empty is continued only if the crawl file knows how far the crawl has come in it. That is recorded before anything
is written there (crawler/exports/feed.py), so a crawl that was killed is never refused its own output.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from crawler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crawler.exports import Export
    from crawler.frontier.statefile import StateFile


class KnownOutputs(NamedTuple):
    """What a crawl file knows about outputs. `cursors`: how far each has come, by path. `was_cut_off`: all runs were killed before
    they had found anything; then, after a power cut, even the cursors may be missing."""

    cursors: Mapping[str, str] = {}
    was_cut_off: bool = False


def known_outputs(file: StateFile) -> KnownOutputs:
    """What the crawl file knows about its outputs."""
    cursors: dict[str, str] = dict(iter(file.query("SELECT path, cursor FROM export")))
    has_begun = file.query(
        "SELECT EXISTS (SELECT 1 FROM request) OR EXISTS (SELECT 1 FROM run WHERE coalesce(why, 'killed') <> 'killed')"
    )
    return KnownOutputs(cursors, was_cut_off=not any(value for (value,) in has_begun))


def open_outputs(
    names: Sequence[str], state: Path, known: KnownOutputs, *, overwrite: bool, results_are_taken: bool
) -> list[Export]:
    """The exports to the files that the user has named. Nothing is created or changed yet. `results_are_taken`: standard output is
    used for something else. Raises UsageError when a file may not be written to, or is named twice."""
    from crawler.exports import open_export

    exports = [open_export(name) for name in names]
    paths = [export.path for export in exports]
    if twice := next((path for path in paths if paths.count(path) > 1), None):
        raise UsageError(f"-o names {twice} twice")
    if str(state.resolve()) in paths:
        raise UsageError(f"{state} cannot be both the crawl file and an output")
    if results_are_taken and "-" in paths:
        raise UsageError("-o - and --json both need standard output; write the items to a file")
    for name, path in zip(names, paths, strict=True):
        if not (overwrite or path == "-" or _is_empty(Path(path)) or _is_ours(path, known)):
            raise UsageError(
                f"{name} is not empty, and does not belong to the crawl in {state}; name another file, "
                f"or add --yes to overwrite it"
            )
    return exports


def _is_empty(path: Path) -> bool:
    return not path.exists() or not path.stat().st_size


def _is_ours(path: str, known: KnownOutputs) -> bool:
    if not known.cursors:
        return known.was_cut_off
    return path in known.cursors or any(_has_moved(old, path, known) for old in known.cursors)


def _has_moved(old: str, path: str, known: KnownOutputs) -> bool:
    """Whether this seems to be an output that was moved to another folder, with its crawl file: it is written anew from that."""
    from crawler.exports.files import ends_line_at
    from crawler.exports.protocol import Cursor

    if Path(old).name != Path(path).name or Path(old).exists():
        return False
    cursor = Cursor.from_json(known.cursors[old])
    mark: int | None = cursor.extra.get("mark")
    if mark is not None:  # SQLite's, which may be of another size by now
        from crawler.exports.sqlite import mark_of

        return mark_of(Path(path)) == mark
    return Path(path).stat().st_size == cursor.bytes or ends_line_at(Path(path), cursor.bytes)
