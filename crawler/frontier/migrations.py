"""Making a crawl file, recognising one, and bringing an older one up to date.

`application_id` in the file's header says that it is a crawl file, and `user_version` which schema it has. A migration is a script
from one version to the next; each is applied together with its version number, in one transaction.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from crawler.errors import StateDamaged, StateTooNew

if TYPE_CHECKING:
    from sqlite3 import Connection

APPLICATION_ID = 0x4E50484C  # "NPHL"

VERSION = 5
"""The version of the schema in `schema.sql`. `version{n}.sql` leads from version n - 1 to version n."""


def script(name: str) -> str:
    """The text of an SQL file of this package."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def prepare(db: Connection, path: Path) -> bool:
    """Create the schema in an empty file, or migrate an older one; returns whether it was empty.

    Raises StateDamaged when the file is not a crawl file, StateTooNew when a newer version of the program made it, and
    sqlite3.Error.
    """
    application, version = _pragma(db, "application_id"), _pragma(db, "user_version")
    if not _pragma(db, "schema_version"):
        _apply(db, script("schema.sql"), VERSION)
        return True
    if application != APPLICATION_ID:
        raise StateDamaged(f"{path} is an SQLite file, but not of a crawl; name another with --state")
    check_version(version, path)
    for older in range(version, VERSION):
        _apply(db, script(f"version{older + 1}.sql"), older + 1)
    return False


def check_version(version: int, path: Path) -> None:
    """Raise StateTooNew if a newer version of the program wrote a file of this schema, StateDamaged if none did."""
    if version > VERSION:
        raise StateTooNew(
            f"{path} has schema {version}, which a newer version of the program wrote; this one knows {VERSION} at most: "
            f"update the program"
        )
    if version < 1:
        raise StateDamaged(
            f"{path} is a damaged crawl file: it says that it has schema {version}, which there never was. crawl repair {path} "
            f"saves all that can be read, and keeps the original"
        )


def _apply(db: Connection, sql: str, version: int) -> None:
    db.executescript(
        f"BEGIN IMMEDIATE;\n{sql}\nPRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {version};\nCOMMIT;"
    )


def _pragma(db: Connection, name: str) -> int:
    ((value,),) = db.execute(f"PRAGMA {name}")
    return int(value)
