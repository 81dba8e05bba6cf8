"""Steering a crawl that is finished, paused or running: `hold`, `release`, `set`, `retry`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from crawler.cli.console import FAILED, FINISHED, MISUSED, complain, say
from crawler.cli.crawl_file import names_file, optional_state, state_path, state_path_and
from crawler.errors import UsageError
from crawler.orders import LONGEST_PATH, MOST_BUDGET, MOST_DELAY, MOST_PER_HOST, MOST_PRIORITY
from crawler.outcome import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from crawler.orders import Order

_DEFAULT = -1.0
"""Takes back an earlier order."""


@click.command(short_help="Stop fetching from a host, until it is released.")
@optional_state
@click.argument("host", metavar="HOST", required=False)
def hold(state: str | None, host: str | None) -> int:
    """Stop fetching from HOST until it is released, whether the crawl in the file STATE is running or resumes later."""
    from crawler.orders import Hold

    path, name = state_path_and(state, host, "HOST")
    return _order(path, Hold(host=_host_key(name)))


@click.command(short_help="Resume a host that was held, or fetch what was set aside.")
@optional_state
@click.argument("host", metavar="[HOST]", required=False)
@click.option("--aside", type=click.Choice(["budget", "trap", "host", "any"]), help="Queue again what was set aside for this reason; only of HOST, if given.")  # fmt: skip
@click.option("--url", metavar="URL", help="Queue this URL again, if it was set aside.")
def release(state: str | None, host: str | None, *, aside: Any, url: str | None) -> int:
    """Resume HOST, which was held, or left alone because it was unreachable, in the crawl in the file STATE."""
    from crawler.orders import Release
    from crawler.web.urls import normalize

    name: str | None
    if host is None and (state is None or names_file(state)):
        if not (aside or url):
            raise UsageError("say what to release: HOST after the crawl file, or --aside REASON, or --url URL")
        path, name = state_path(state), None
    else:
        path, name = state_path_and(state, host, "HOST")
    return _order(
        path, Release(host=_host_key(name) if name else None, aside=aside, url=normalize(url) if url else None)
    )


class _OrDefault(click.ParamType[float]):
    """A number from 0 to `most`, or the word `default`."""

    def __init__(self, kind: Callable[[str], float], most: float) -> None:
        self._kind = kind
        self._most = most
        self.name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if value == "default":
            return self._kind(str(int(_DEFAULT)))
        try:
            number = self._kind(value)
        except ValueError:
            number = _DEFAULT
        if not 0 <= number <= self._most:
            self.fail(f"{value!r} is neither a number from 0 to {self._most:,.0f} nor 'default'", param, ctx)
        return number


@click.command("set", short_help="Override settings for a host: delay, connections, budget or priority.")
@optional_state
@click.argument("host", metavar="HOST", required=False)
@click.option("--delay", type=_OrDefault(float, MOST_DELAY), metavar="SECONDS", help="Minimum time between the starts of two requests.")  # fmt: skip
@click.option("--per-host", type=_OrDefault(int, MOST_PER_HOST), metavar="N", help="Connections at once.")
@click.option("--budget", type=_OrDefault(int, MOST_BUDGET), metavar="N", help="The most requests to make in all; 0: no limit.")  # fmt: skip
@click.option(
    "--priority",
    type=click.IntRange(-MOST_PRIORITY, MOST_PRIORITY),
    metavar="N",
    help="The priority of all its waiting requests.",
)
@click.option("--path", metavar="PATTERN", help="With --priority: only requests with such a path; * matches anything.")
def set_host(
    state: str | None,
    host: str | None,
    *,
    delay: float | None,
    per_host: int | None,
    budget: int | None,
    priority: int | None,
    path: str | None,
) -> int:
    """Override settings for HOST in the crawl in the file STATE. The word `default` instead of a number removes the override."""
    from crawler.orders import Change

    if path is not None and (priority is None or not path.startswith(("/", "*"))):
        raise UsageError("--path says which requests --priority is for, and begins with / or *: --path '/new/*'")
    if path is not None and len(path) > LONGEST_PATH:
        raise UsageError(f"--path has {len(path):,} characters; at most {LONGEST_PATH:,} are allowed")
    if delay is per_host is budget is priority is None:
        raise UsageError("say what to set: --delay, --per-host, --budget or --priority")
    if per_host == 0:
        raise UsageError("--per-host 0 would allow no connection at all; to fetch nothing, hold the host")
    file, name = state_path_and(state, host, "HOST")
    order = Change(host=_host_key(name), delay=delay, per_host=per_host, budget=budget, priority=priority, path=path)
    return _order(file, order)


@click.command(short_help="Retry failed requests.")
@optional_state
@click.option("--failed", is_flag=True, help="All failed requests; the default.")
@click.option("--status", "statuses", multiple=True, metavar="STATUS", help="Requests that failed with this status: 503, or 5xx; repeatable.")  # fmt: skip
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), metavar="KIND", help="Requests that failed with this kind of error: timeout, connect, dns, …; repeatable.")  # fmt: skip
@click.option("--host", metavar="HOST", help="Only requests of this host.")
@click.option("--redirected-to", metavar="URL", help="Only requests that were redirected to a URL that begins with this, such as a login page, and failed or were skipped for it. They start over.")  # fmt: skip
def retry(
    state: str | None,
    *,
    failed: bool,
    statuses: tuple[str, ...],
    kinds: tuple[str, ...],
    host: str | None,
    redirected_to: str | None,
) -> int:
    """Queue the failed requests of the crawl in the file STATE again, as if they had never been tried.

    If the crawl had finished, crawl run resumes it.
    """
    from crawler.orders import RetryFailed
    from crawler.web.urls import normalize

    if failed and (statuses or kinds):
        raise UsageError("--failed means all failures; leave it out to name a status or a kind")
    for kind in kinds:
        if not kind.isascii():
            raise UsageError(f"--kind {kind!r}: kinds are words such as timeout")
    order = RetryFailed(
        statuses=_statuses(statuses) if statuses else None,
        kinds=list(kinds) or None,
        host=_host_key(host) if host else None,
        redirected_to=normalize(redirected_to) if redirected_to else None,
    )
    return _order(state_path(state), order)


def _host_key(text: str) -> str:
    """A host as the crawl file writes it, from its name or a URL on it, in any case and script."""
    from crawler.web.urls import host_of, normalize

    return host_of(normalize(text if "//" in text else f"http://{text}/"))


def _statuses(texts: Sequence[str]) -> list[int]:
    """503 stands for itself, 5xx for 500 to 599."""
    found: list[int] = []
    for text in texts:
        if re.fullmatch("[1-9][0-9][0-9]", text):
            found.append(int(text))
        elif re.fullmatch("[1-9]xx", text, re.IGNORECASE):
            found.extend(range(int(text[0]) * 100, int(text[0]) * 100 + 100))
        else:
            raise UsageError(f"--status {text}: write a status, such as 503, or a class of them, such as 5xx")
    return found


def _order(path: Path, order: Order) -> int:
    from crawler.control.dispatch import dispatch

    answer = dispatch(path, order)
    if answer is None:
        say(f"the order is noted in {path}, but the process that holds it has not carried it out yet; crawl run will")
        return FAILED
    if answer.is_refusal:
        complain(answer.text)
        return MISUSED
    click.echo(answer.text)
    return FINISHED
