"""One place for a reader process: what the process there has been given and has not answered yet, and whether it is alive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crawler.readers import messages
from crawler.readers.messages import FailureTask, Ping

if TYPE_CHECKING:
    import asyncio

    from client.limits import Slot
    from client.origin import HostKey
    from crawler.readers.messages import Result, Task
    from crawler.readers.process import ReaderProcess

_AHEAD_BYTES = 2 << 20
"""The most that may be with one process unanswered, unless a single task is larger."""

LOOK_SECONDS = 5.0
"""How often `Place.look` is to be called."""

_SILENT_LOOKS = 6
"""A process that has said nothing for so many looks in a row is hung, if requests to a host wait for one to go out there. However
long it takes to connect, a process that is pinged answers at once, unless a callback blocks it: half a minute is long for that,
and if the process is killed wrongly, its pages are only read once more, elsewhere. Looks are counted, not seconds: if the whole
machine stood still for a while, that is no silence."""

_PING = messages.encode(Ping())


@dataclass(slots=True, eq=False)
class Job:
    """A task, and the future that whoever gave it waits for."""

    task: Task
    weight: int
    """Bytes that sending it takes, roughly."""
    result: asyncio.Future[Result]
    host: HostKey | None
    """The host that the task asks; None if it asks none."""
    slot: Slot | None
    """The host's slot, until the host has answered."""
    is_suspect: bool
    """Whether a process that had it has died."""


class Place:
    """Where one process after another reads: what the present one has to do, and how many have died in a row."""

    def __init__(self) -> None:
        self.process: ReaderProcess | None = None
        self.jobs: dict[int, Job] = {}
        self.asking: dict[HostKey, int] = {}
        """How many requests the process has under way to each host."""
        self.weight = 0
        self.deaths = 0
        self.is_ready = False
        self.has_suspect = False
        self.is_leaving = False
        self.was_heard = False
        self.silent_looks = 0
        self.trouble: str | None = None

    def has_room(self, job: Job) -> bool:
        """Whether the process may be given the job. A suspect job must be the only one that it has."""
        if not self.is_ready:
            return False
        if not self.jobs:
            return True
        return not self.has_suspect and not job.is_suspect and self.weight + job.weight <= _AHEAD_BYTES

    def give(self, job: Job) -> None:
        """Send the job to the process, which has room for it."""
        assert self.process
        self.jobs[job.task.number] = job
        self.weight += job.weight
        self.has_suspect = job.is_suspect
        if job.host:
            self.asking[job.host] = self.asking.get(job.host, 0) + 1
        self.process.channel.send(messages.encode(job.task))

    def settle(self, result: Result) -> None:
        """The process has answered: hand the result to whoever waits for it."""
        job = self.jobs.pop(result.number)
        if not isinstance(job.task, FailureTask):  # every page may kill its reader, and only the failures be answered
            self.deaths = 0
        self.weight -= job.weight
        self.free(job)
        if not job.result.done():  # else nobody waits for it any more: the crawl is being cut short
            job.result.set_result(result)

    def free(self, job: Job) -> None:
        """Give the host's slot back: the host has answered."""
        if job.host and (slot := job.slot):
            job.slot = None
            if asking := self.asking.pop(job.host) - 1:
                self.asking[job.host] = asking
            slot.release()

    def look(self) -> None:
        """Kill the process if it is hung and a host waits for it; ping it if it may be."""
        is_waited_for = any(job.slot and job.slot.is_starting for job in self.jobs.values())
        self.silent_looks = self.silent_looks + 1 if is_waited_for and not self.was_heard else 0
        self.was_heard = False
        if not (self.process and is_waited_for):
            return
        if self.silent_looks < _SILENT_LOOKS:
            self.process.channel.send(_PING)
        else:
            seconds = _SILENT_LOOKS * LOOK_SECONDS
            self.process.kill(
                f"it said nothing for {seconds:.0f} s, as if a callback blocked it, while a host waited for its next request"
            )

    @property
    def is_stuck(self) -> bool:
        """Whether the process was told to leave, and is still busy with something else."""
        return self.process is not None and not self.is_leaving and not self.process.channel.ended.is_set()

    def kill(self, why: str) -> None:
        """End the process, if there is one."""
        if self.process:
            self.process.kill(why)

    def take_back(self) -> list[Job]:
        """Clear the place of a process that has ended; returns the jobs it had not answered and somebody still waits for."""
        left = [job for job in self.jobs.values() if not job.result.done()]
        self.jobs.clear()
        self.asking.clear()
        self.weight = 0
        self.is_ready = False
        self.is_leaving = False
        self.silent_looks = 0
        self.process = None
        return left
