"""What the crawler raises.

CrawlError                  the root; its text says what is wrong, where, and what to do
├── UsageError              the caller's mistake: exit code 2
│   ├── SettingError        a setting of the wrong name, type or range
│   ├── TargetError         a spider that cannot be found, read or built
│   └── SpiderError         a spider that breaks its contract, or raises
├── StateError              a crawl file that cannot be used: exit code 2
│   ├── StateLocked         another process is crawling with it
│   ├── StateMismatch       it belongs to another spider
│   ├── StateTooNew         a newer version wrote it
│   └── StateDamaged        not a crawl file, or a damaged one
├── TooCostly               a document whose tree would take too much time or memory: its page fails, by the kind `size`
├── InvalidUrl              a string that is not an absolute http(s) URL
├── ProxyError              the proxy stays out of reach, or refuses us: exit code 1
└── StorageError            the disk could not take what had to be saved (full, read-only, gone): exit code 1

`Retry` and `Stop` are none of them: a callback raises the one to have its page asked for again, the other to end the crawl.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class CrawlError(Exception):
    """The root of the tree."""


class UsageError(CrawlError):
    """The caller's mistake."""


class SettingError(UsageError):
    """A setting of the wrong name, type or range."""


class TargetError(UsageError):
    """A spider that cannot be found, read or built."""


class SpiderError(UsageError):
    """A spider that breaks its contract, or raises."""


class StateError(CrawlError):
    """A crawl file that cannot be used."""


class StateLocked(StateError):
    """Another process is crawling with this file."""


class StateMismatch(StateError):
    """The file belongs to another spider."""


class StateTooNew(StateError):
    """A newer version of the program wrote the file."""


class StateDamaged(StateError):
    """Not a crawl file, or a damaged one."""


class TooCostly(CrawlError):
    """A document whose tree would take too much time or memory: its page fails, by the kind `size`."""


class InvalidUrl(CrawlError, ValueError):
    """A string that is not an absolute http or https URL."""


class ProxyError(CrawlError):
    """The proxy stays out of reach, or refuses us."""


class StorageError(CrawlError):
    """The disk could not take what had to be saved."""


class Retry(Exception):
    """Raised by a callback, or a middleware: the page is not what it should be, and is to be requested again.

    It counts as a failed attempt, for the reason `why`, as if the server had not answered; what the callback gave before is
    dropped. After the last of `max_attempts`, the page fails. `after`: seconds to wait, at most `max_retry_wait`; by default
    as long as for any temporary failure.
    """

    after: float | None = None  # also of a subclass that does not call this

    def __init__(self, why: str, *, after: float | None = None) -> None:
        super().__init__(why)
        if after is not None and not 0 <= after < inf:
            raise ValueError(f"after is a number of seconds, 0 or more, not {after!r}")
        self.after = after


class Stop(Exception):
    """Raised by a callback, by `failed`, or by a middleware: the crawl is to end here, for the reason `why`.

    Nothing new is started, and requests in flight finish, as after the first Ctrl-C. The page is done, and what the callback gave
    before is kept; a request that a middleware was handling is left to the next run, which resumes from there.
    """

    def __init__(self, why: str = "") -> None:
        super().__init__(why)


def wish_of(group: BaseExceptionGroup[BaseException]) -> Stop | Retry | None:
    """The `Stop` or `Retry` that a group of errors amounts to, as the task groups of callbacks and middlewares raise it: the first `Stop`,
    or else the first `Retry`. None if it contains any other error: that is a fault of the spider, and may have cut the other tasks
    short."""
    errors = list(leaves(group))
    stops = [error for error in errors if isinstance(error, Stop)]
    retries = [error for error in errors if isinstance(error, Retry)]
    if len(stops) + len(retries) < len(errors):
        return None
    return (stops or retries)[0]


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group, and in groups within it, in order; for an error that is not a group, itself."""
    pending = [error]
    while pending:
        one = pending.pop()
        if isinstance(one, BaseExceptionGroup):
            pending.extend(reversed(one.exceptions))
        else:
            yield one
