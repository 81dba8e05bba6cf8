"""Asking for one page: `crawl fetch`, `crawl robots` and `crawl shell`."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crawler.cli.console import FAILED, FINISHED, complain, say
from crawler.cli.options import pairs, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from crawler.page import Page
    from crawler.visit import Rules, Visit

Command = TypeVar("Command", bound="Callable[..., Any]")


def _manners(command: Command) -> Command:
    """The options that say how one page is asked for."""
    command = click.option("-s", "overrides", multiple=True, callback=pairs, metavar="KEY=VALUE", help="Any setting; repeatable.")(command)  # fmt: skip
    return click.option("--user-agent", metavar="TEXT", help="How the crawler calls itself.")(command)


_no_robots = click.option("--no-robots", "robots", flag_value=False, default=None, help="Do not ask for robots.txt, nor obey it.")  # fmt: skip


@click.command(short_help="Fetch one page, as a crawl would.")
@click.argument("url")
@click.option("-o", "--output", metavar="FILE", help="Write the body to FILE; by default to standard output.")
@click.option("--json", "as_json", is_flag=True, help="Print what is known of the page as one JSON object, in place of its body.")  # fmt: skip
@_no_robots
@_manners
def fetch(url: str, *, output: str | None, as_json: bool, overrides: Mapping[str, str], **options: Any) -> int:
    """Fetch the page at URL with the settings and the manners of a crawl, and print its body, decompressed, as it came.

    Exit code 1 if no page came: then it is told why.
    """
    from crawler.exports.files import check_writable, disk_errors, replacing

    file = None if output in (None, "-") else Path(output)
    if file:
        check_writable(file)
    with _visits(overrides, options) as visit:
        visited = visit(url)
    page = visited.page
    if page is None:
        _tell_why(visited)
        return FAILED
    if as_json:
        click.echo(_figures(page))
    elif file:
        with replacing(file) as partial, disk_errors(file):
            partial.write_bytes(page.body)
    else:
        sys.stdout.buffer.write(page.body)
    return FINISHED


@click.command(short_help="Tell what robots.txt says of a URL.")
@click.argument("url")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_manners
def robots(url: str, *, as_json: bool, overrides: Mapping[str, str], **options: Any) -> int:
    """Fetch the robots.txt of the site that URL is on, and tell whether the crawler may fetch URL, by which line, how fast, and
    which sitemaps there are. Exit code 1 if it may not.
    """
    import msgspec

    from crawler.loop import run_loop
    from crawler.visit import rules_for

    rules = run_loop(rules_for(url, settings_of(overrides, options)))
    if as_json:
        click.echo(msgspec.json.encode(rules._asdict()))
    else:
        for label, text in _told(rules):
            click.echo(f"{label:<10} {text}")
    return FINISHED if rules.is_allowed else FAILED


def _told(rules: Rules) -> Iterator[tuple[str, str]]:
    yield "robots.txt", f"{rules.robots_url} {f'answered {rules.status}' if rules.status else 'did not answer'}"
    yield "agent", rules.agent or "(none: only rules for everyone count)"
    verdict = "allowed" if rules.is_allowed else "not allowed"
    yield verdict, rules.url + (f" by {rules.rule!r}" if rules.rule else "")
    if rules.error:
        yield "because", f"{rules.error}: until it can be had, nothing is allowed"
    if rules.crawl_delay is not None:
        yield "delay", f"{rules.crawl_delay:g} s between two requests"
    for sitemap in rules.sitemaps:
        yield "sitemap", sitemap


@click.command(short_help="Try out selectors on a page, in Python.")
@click.argument("url")
@_no_robots
@_manners
def shell(url: str, *, overrides: Mapping[str, str], **options: Any) -> int:
    """Fetch the page at URL as a crawl would, and open Python with it: `page` is what a spider's parse gets, `fetch(url)` brings
    another one, no sooner than a crawl would.
    """
    import code
    from contextlib import suppress

    def fetch_page(url: str) -> Page | None:
        """The page at `url`; None, and why, if there is none."""
        visited = visit(url)
        if visited.page is None:
            _tell_why(visited)
        return visited.page

    with suppress(ImportError):
        import readline  # noqa: F401 - importing it is what gives input() its line editing
    with _visits(overrides, options) as visit:
        page = fetch_page(url)
        if page is None:
            return FAILED
        banner = f"{page!r}\npage.css(…), page.links(), page.json(), page.follow(…): see docs/spiders.md. fetch(url) brings another."
        code.interact(banner, local={"page": page, "fetch": fetch_page}, exitmsg="")
    return FINISHED


@contextmanager
def _visits(overrides: Mapping[str, str], options: Mapping[str, Any]) -> Iterator[Callable[[str], Visit]]:
    """What asks for a page: for one after the other, with the manners of one crawl."""
    settings = settings_of(overrides, options)
    from crawler.loop import run_loop
    from crawler.visit import Visits

    with Visits(settings) as visits:
        yield lambda url: run_loop(visits.visit(url))


def _tell_why(visited: Visit) -> None:
    from crawler.why import verdicts

    complain(f"no page came from {visited.why.url}")
    for line in verdicts(visited.why):
        say(f"  {line}")


def _figures(page: Page) -> bytes:
    import msgspec

    return msgspec.json.encode(
        {
            "url": page.requested_url,
            "final_url": page.url,
            "redirects": page.redirects,
            "status": page.status,
            "headers": [(f"{name}", value) for name, value in page.headers.items()],
            "content_type": page.content_type,
            "encoding": page.encoding,
            "size": len(page.body),
            "elapsed": round(page.elapsed, 6),
            "title": page.title,
            "links": page.links(),
        }
    )
