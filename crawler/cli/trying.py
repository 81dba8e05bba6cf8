"""`crawl try`: what a spider takes from one page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from crawler.cli.console import FAILED, FINISHED, MISUSED, complain, say
from crawler.cli.options import files, pairs
from crawler.cli.probe import manners, no_robots, probes, tell_why
from crawler.errors import CrawlError, Retry, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from crawler.page import Page
    from crawler.request import Request
    from crawler.spider import Spider
    from crawler.testing import Taken

_SHOWN = 5


@click.command("try", short_help="Show what a spider takes from one page.")
@click.argument("target", shell_complete=files)
@click.argument("url")
@click.option("--callback", metavar="NAME", help="The method of the spider that takes the page; by default parse.")
@click.option("--context", metavar="JSON", help="The context of the request for it: a JSON object.")
@click.option("-a", "arguments", multiple=True, callback=pairs, metavar="KEY=VALUE", help="An argument for the spider; repeatable.")  # fmt: skip
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
    """Fetch the page at URL as a crawl would, and hand it to the spider TARGET. Items are printed as JSON Lines; what the spider
    would follow is told on standard error, and not followed. Nothing is kept.

    When the spider raises, the whole traceback is shown, and the exit code is 2; when no page came, or one that the spider wants
    asked for again, it is 1.
    """
    from crawler.loader import load
    from crawler.spider import callback_of

    spider = load(target, arguments)
    callback_of(spider, callback)
    data = _read(context)
    with probes(overrides, options, spider=spider) as probe:
        probed = probe(url)
    if probed.page is None:
        tell_why(probed)
        return FAILED
    return _handed(spider, probed.page, callback, data)


def _read(context: str | None) -> dict[str, Any] | None:
    import msgspec

    if context is None:
        return None
    try:
        return msgspec.json.decode(context, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise UsageError(f"--context {context}: {error}; write a JSON object, such as '{{\"shelf\": 1}}'") from None


def _handed(spider: Spider, page: Page, callback: str | None, context: dict[str, Any] | None) -> int:
    """Have the spider take the page, and tell what it gave; the exit code."""
    import msgspec

    from crawler.loop import run_loop
    from crawler.spider import explain

    try:
        taken = run_loop(_taken(spider, page, callback, context))
    except Retry as raised:
        when = "" if raised.after is None else f", after {raised.after:g} s"
        say(f"{page!r}: a crawl would ask for it again{when}: {raised}")
        return FAILED
    except Exception as error:
        if not isinstance(error, CrawlError):
            import traceback

            traceback.print_exc()
        complain(explain(error))
        return MISUSED
    for item in taken.items:
        click.echo(msgspec.json.encode(item))
    for line in _told(page, taken):
        say(line)
    return FINISHED


async def _taken(spider: Spider, page: Page, callback: str | None, context: dict[str, Any] | None) -> Taken:
    """As in a crawl, between `opened` and `closed`."""
    from crawler.testing import page_of, take

    headers = dict(page.headers)
    given = page_of(page.url, page.body, status=page.status, headers=headers, context=context)
    await spider.opened()
    try:
        return await take(spider, given, callback)
    finally:
        await spider.closed()


def _told(page: Page, taken: Taken) -> Iterator[str]:
    from crawler.reports.wording import counted
    from crawler.request import callback_name

    yield f"{page!r}: {counted(len(taken.items), 'item')}, {counted(len(taken.requests), 'request')}"
    by_callback: dict[str, list[Request]] = {}
    for request in taken.requests:
        by_callback.setdefault(callback_name(request.callback) or "parse", []).append(request)
    for name, requests in by_callback.items():
        yield from _listed(name, requests)


def _listed(name: str, requests: Sequence[Request]) -> Iterator[str]:
    for request in requests[:_SHOWN]:
        yield f"  to {name}: {request.method} {request.url}"
    if (further := len(requests) - _SHOWN) > 0:
        yield f"  to {name}: {further:,} more"
