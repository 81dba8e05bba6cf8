"""A site of real pages: the documentation that Debian packages, several thousand pages under one root."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHARE = Path("/usr/share/doc")


class Section(NamedTuple):
    """One package's pages: where they lie, and where in them a reader begins."""

    name: str
    package: str
    folder: Path
    start: str = "."


SECTIONS = (
    Section("python", "python3.11-doc", _SHARE / "python3.11/html"),
    Section("postgresql", "postgresql-doc-15", _SHARE / "postgresql-doc-15/html"),
    Section("boost", "libboost-doc", _SHARE / "libboost1.74-doc", "doc/html"),
)
LIBSTDCXX = Section("libstdc++", "libstdc++-12-doc", _SHARE / "gcc-12-base/libstdc++", "user")
"""Large pages, dense with links; not among the sections that tests crawl."""


def missing(sections: Iterable[Section] = SECTIONS) -> list[str]:
    """The Debian packages that are not installed here."""
    return [section.package for section in sections if not (section.folder / section.start / "index.html").is_file()]


def build(root: Path, sections: Iterable[Section] = SECTIONS) -> Path:
    """Lay the sections out under `root`, as links to where they lie, with a page that leads to each; returns `root`.

    Its links name folders without their slash, so that each of them is redirected.
    """
    root.mkdir(parents=True, exist_ok=True)
    entries = []
    for section in sections:
        (root / section.name).symlink_to(section.folder, target_is_directory=True)
        entries.append(f'<li><a href="{Path(section.name, section.start)}">{html.escape(section.package)}</a></li>')
    page = f"<!DOCTYPE html>\n<title>Documentation</title>\n<ul>\n{chr(10).join(entries)}\n</ul>\n"
    (root / "index.html").write_text(page, encoding="utf-8")
    return root
