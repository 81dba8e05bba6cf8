"""The figures as they were measured, one file a benchmark: what is reported can be worked out again without measuring again.

A file is written anew after each run, so that a benchmark that was interrupted can go on where it stopped.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One process measured: what `contender` took for `work` (pages, or requests) of `subject`, the first round being 0."""

    subject: str
    contender: str
    round: int
    work: int
    cpu: float
    """User and system time in seconds."""
    wall: float
    peak_bytes: int = 0

    @property
    def per_cpu_second(self) -> float:
        return self.work / self.cpu

    @property
    def per_second(self) -> float:
        return self.work / self.wall


@dataclass(slots=True)
class Ledger:
    """The runs of one benchmark, and what they were measured with."""

    file: Path
    versions: list[str] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    @classmethod
    def read(cls, file: Path) -> Self:
        """What a file holds; without the file, an empty ledger."""
        if not file.exists():
            return cls(file)
        written = json.loads(file.read_text(encoding="utf-8"))
        return cls(file, written["versions"], [Run(**run) for run in written["runs"]])

    @classmethod
    def begin(cls, file: Path, *, resume: bool, versions: list[str]) -> Self:
        """A ledger to measure with: to go on with what the file holds, or with nothing in it."""
        ledger = cls.read(file) if resume else cls(file)
        ledger.versions = versions
        return ledger

    def add(self, run: Run) -> None:
        """Take a run in place of an earlier one of the same name, and write the file."""
        self.runs = [known for known in self.runs if _key(known) != _key(run)]
        self.runs.append(run)
        self.save()

    def save(self) -> None:
        """Write the file, whole or not at all."""
        rows = ",\n".join(json.dumps(asdict(run)) for run in self.runs)
        versions = json.dumps(self.versions, ensure_ascii=False)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        draft = self.file.with_suffix(".new")
        draft.write_text(f'{{"versions": {versions},\n"runs": [\n{rows}\n]}}\n', encoding="utf-8")
        draft.replace(self.file)

    def has(self, subject: str, contender: str, number: int) -> bool:
        return any(_key(run) == (subject, contender, number) for run in self.runs)

    def subjects(self) -> list[str]:
        return list(dict.fromkeys(run.subject for run in self.runs))

    def of(self, subject: str) -> dict[str, list[Run]]:
        """The runs of a subject by contender, each in the order of the rounds."""
        found: dict[str, list[Run]] = {}
        for run in sorted(self.runs, key=lambda run: run.round):
            if run.subject == subject:
                found.setdefault(run.contender, []).append(run)
        return found


def _key(run: Run) -> tuple[str, str, int]:
    return run.subject, run.contender, run.round


def ratios(
    ours: Sequence[Run], theirs: Sequence[Run], figure: Callable[[Run], float] = lambda run: run.per_cpu_second
) -> list[float]:
    """Our figure (work per CPU-second) to theirs, for each round that both have run."""
    by_round = {run.round: run for run in theirs}
    return [figure(run) / figure(by_round[run.round]) for run in ours if run.round in by_round]
