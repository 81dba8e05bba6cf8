"""`crawl try`: what a spider takes from one page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from crawler.cli.console import FAILED, FINISHED, MISUSED, complain, say
from crawler.cli.options import files, no_robots, settings_of, spider_arguments
from crawler.cli.probe import manners, report_no_page
from crawler.errors import CrawlError, Retry, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from crawler.page import Page
    from crawler.request import Request
    from crawler.testing import Taken

_SHOWN = 5


@click.command("try", short_help="Show what a spider takes from one page.")
@click.argument("target", shell_complete=files)
@click.argument("url")
@click.option("--callback", metavar="NAME", help="The spider method that receives the page; by default parse.")
@click.option("--context", metavar="JSON", help="The context of its request: a JSON object.")
@spider_arguments
@no_robots
@manners
def try_out(
    target: str,
    url: str,
    *,
    callback: str | None,
    context: str | None,
    arguments: Mapping[str, str],
    overrides: Mapping[str, str],
    **options: Any,
) -> int:
    """Fetch the page at URL as a crawl would, and pass it to the spider TARGET. Items are printed as JSON Lines; requests that the
    spider would follow are listed on standard error, but not followed. Nothing is stored.

    If the spider raises, its traceback is shown, and the exit code is 2. If no page comes, or the spider wants it requested again,
    the exit code is 1.
    """
    from crawler.loader import load
    from crawler.loop import run_loop
    from crawler.spider import callback_of
    from crawler.trial import SpiderRaised, try_spider

    spider = load(target, arguments)
    callback_of(spider, callback)
    data = _read(context)
    settings = settings_of(overrides, options, spider=spider)
    try:
        probed, taken = run_loop(try_spider(spider, settings, url, callback=callback, context=data))
    except SpiderRaised as raised:
        return _blamed(raised.error)
    if probed.page is None or taken is None:
        report_no_page(probed)
        return FAILED
    return _show(probed.page, taken, callback or "parse")


def _read(context: str | None) -> dict[str, Any] | None:
    import msgspec

    if context is None:
        return None
    try:
        return msgspec.json.decode(context, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise UsageError(f"--context {context}: {error}; write a JSON object, such as '{{\"shelf\": 1}}'") from None


def _blamed(error: BaseException) -> int:
    """Tell what the spider raised; the exit code."""
    from crawler.faults import explain, from_the_users_code

    if not isinstance(error, CrawlError):
        import traceback

        traceback.print_exception(type(error), error, from_the_users_code(error.__traceback__))
    complain(explain(error))
    return MISUSED


def _show(page: Page, taken: Taken | Retry, callback: str) -> int:
    """Tell what the spider's `callback` gave for the page; the exit code."""
    import msgspec

    if isinstance(taken, Retry):
        when = "" if taken.after is None else f", after {taken.after:g} s"
        say(f"{page!r}: a crawl would request it again{when}: {taken}")
        return FAILED
    for item in taken.items:
        click.echo(msgspec.json.encode(item))
    for line in _summary(page, taken, callback):
        say(line)
    return FINISHED


def _summary(page: Page, taken: Taken, callback: str) -> Iterator[str]:
    from crawler.reports.wording import counted
    from crawler.request import callback_name

    dropped = f", {taken.dropped:,} dropped by keep_item" if taken.dropped else ""
    given = f"{counted(len(taken.items), 'item')}{dropped}, {counted(len(taken.requests), 'request')}"
    yield f"{page!r} to {callback}: {given}"
    if page.redirects:
        yield f"  redirected from {page.requested_url}"
    by_callback: dict[str, list[Request]] = {}
    for request in taken.requests:
        by_callback.setdefault(callback_name(request.callback) or "parse", []).append(request)
    for name, requests in by_callback.items():
        yield from _listed(name, requests)
    if taken.stop is not None:
        yield f"  a crawl would stop here{f': {taken.stop}' if taken.stop else ''}"


def _listed(name: str, requests: Sequence[Request]) -> Iterator[str]:
    for request in requests[:_SHOWN]:
        yield f"  to {name}: {request.method} {request.url}"
    if (further := len(requests) - _SHOWN) > 0:
        yield f"  to {name}: {further:,} more"
