"""What a disk can hold after a power cut, made from snapshots of a crawl that was stopped for an instant.

Stopped by SIGSTOP, a process leaves the files as the kernel has them: what a `kill -9` would leave. A power cut takes away
more: of what was written since the last sync, any part may be missing (https://www.sqlite.org/atomiccommit.html). SQLite syncs
the write-ahead log before it copies pages out of it (a checkpoint), and the database before it begins the log anew. So behind
what a checkpoint has dealt with, the log may end anywhere or have holes; and while one is under way, each page of the database
may be the old or the new one. The output is synced at the end of a run only: of that, anything may be missing.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import struct
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

BLOCK = 4096
_WAL_HEADER = 32
_FRAME_HEADER = 24
_FRAME = _FRAME_HEADER + BLOCK
_SALTS = slice(16, 24)
_SALTS_IN_INDEX = slice(32, 40)
_BACKFILL_ATTEMPTED = slice(128, 132)  # in the wal-index, https://www.sqlite.org/walformat.html


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of a crawl at one instant: of the database, its log, its wal-index, and the output."""

    database: bytes
    log: bytes
    index: bytes
    output: bytes

    @property
    def synced(self) -> int:
        """Up to where the log is known to be on the disk: as far as a checkpoint may have copied from it."""
        if len(self.log) < _WAL_HEADER or self.index[_SALTS_IN_INDEX] != self.log[_SALTS]:
            return 0
        (frames,) = struct.unpack("=I", self.index[_BACKFILL_ATTEMPTED])
        return _WAL_HEADER + frames * _FRAME if frames else 0

    def follows(self, earlier: Snapshot) -> bool:
        """Whether the log has only grown since `earlier`, so that it still holds every page that a checkpoint copied."""
        return self.log[:_WAL_HEADER] == earlier.log[:_WAL_HEADER] and len(self.log) >= len(earlier.log) > 0


class Files(NamedTuple):
    """What is on the disk when the power is back. `how`: what was made of a snapshot."""

    how: str
    database: bytes
    log: bytes
    output: bytes

    def put(self, state: Path, output: Path) -> None:
        """Write them where a crawl looks for them; the wal-index is never on a disk."""
        state.write_bytes(self.database)
        state.with_name(f"{state.name}-wal").write_bytes(self.log)
        state.with_name(f"{state.name}-shm").unlink(missing_ok=True)
        output.write_bytes(self.output)


def take(process: subprocess.Popen[str], state: Path, output: Path, *, checkpoint: bool) -> Snapshot:
    """Stop a process for as long as its files are read; before that, copy what can be from the log, if there is to be a
    `checkpoint`."""
    process.send_signal(signal.SIGSTOP)
    try:
        os.waitpid(process.pid, os.WUNTRACED)
        if checkpoint:
            with closing(sqlite3.connect(state)) as db:
                db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        paths = (state, *(state.with_name(f"{state.name}{suffix}") for suffix in ("-wal", "-shm")), output)
        return Snapshot(*(path.read_bytes() if path.exists() else b"" for path in paths))
    finally:
        process.send_signal(signal.SIGCONT)


def least(snapshot: Snapshot) -> Files:
    """No more than what was synced."""
    return Files("least", snapshot.database, snapshot.log[: snapshot.synced], b"")


def cuts(snapshot: Snapshot, earlier: Snapshot | None, dice: Random) -> Iterator[Files]:
    """What a power cut at that instant could leave. `earlier`: the snapshot before, if there is one."""
    whole = snapshot.log
    yield Files("all of it", snapshot.database, whole, snapshot.output)
    end = dice.randint(snapshot.synced, len(whole))
    yield Files(f"the log ends at {end}", snapshot.database, whole[:end], shortened(snapshot.output, dice))
    frame = dice.randint(snapshot.synced, len(whole)) // _FRAME * _FRAME + _WAL_HEADER
    if snapshot.synced <= frame < len(whole):
        torn = frame + dice.randrange(_FRAME)
        noise = dice.choice([bytes(_FRAME), dice.randbytes(_FRAME)])[: frame + _FRAME - torn]
        log = whole[:torn] + noise + whole[torn + len(noise) :]
        yield Files(
            f"a frame is torn at {torn}", snapshot.database, log[: len(whole)], with_hole(snapshot.output, dice)
        )
    if earlier and snapshot.follows(earlier) and snapshot.database != earlier.database and snapshot.synced:
        database = mixed(earlier.database, snapshot.database, dice)
        yield Files("a checkpoint is half done", database, whole[: max(snapshot.synced, end)], snapshot.output)


def mixed(old: bytes, new: bytes, dice: Random) -> bytes:
    """Each page as it was or as it is."""
    pages = range(0, max(len(old), len(new)), BLOCK)
    return b"".join((old if dice.random() < 0.5 else new)[place : place + BLOCK].ljust(BLOCK, b"\0") for place in pages)


def shortened(output: bytes, dice: Random) -> bytes:
    """Its end is missing, or zeros."""
    end = dice.randint(0, len(output))
    return output[:end] + (bytes(len(output) - end) if dice.random() < 0.5 else b"")


def with_hole(output: bytes, dice: Random) -> bytes:
    """One block is zeros."""
    place = dice.randint(0, len(output)) // BLOCK * BLOCK
    return (output[:place] + bytes(BLOCK) + output[place + BLOCK :])[: len(output)]
