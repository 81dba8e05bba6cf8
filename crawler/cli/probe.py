"""Fetching one page: `crawl fetch` and `crawl robots`, and what other commands that fetch one share with them."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crawler.cli.console import FAILED, FINISHED, complain, say
from crawler.cli.options import files, no_robots, setting_overrides, settings_of
from crawler.paths import expanded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from crawler.page import Page
    from crawler.probe import Probed, RobotsReport

Command = TypeVar("Command", bound="Callable[..., Any]")


def manners(command: Command) -> Command:
    """The options that say how one page is fetched."""
    return click.option("--user-agent", metavar="TEXT", help="The User-Agent to send.")(setting_overrides(command))


@click.command(short_help="Fetch one page, as a crawl would.")
@click.argument("url")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    shell_complete=files,
    help="Write the body to FILE; by default to standard output.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object about the page instead of its body.")  # fmt: skip
@no_robots
@manners
def fetch(url: str, *, output: str | None, as_json: bool, overrides: Mapping[str, str], **options: Any) -> int:
    """Fetch the page at URL with the settings and politeness of a crawl, and print its body, decompressed but otherwise as received.

    If no page comes, it says why, with exit code 1.
    """
    from crawler.exports.files import check_writable, disk_errors, replacing

    file = None if output in (None, "-") else expanded(output)
    if file:
        check_writable(file)
    with probing(overrides, options) as probe:
        probed = probe(url)
    page = probed.page
    if page is None:
        report_no_page(probed)
        return FAILED
    if as_json:
        click.echo(_figures(page))
    elif file:
        with replacing(file) as partial, disk_errors(file):
            partial.write_bytes(page.body)
    else:
        sys.stdout.buffer.write(page.body)
    return FINISHED


@click.command(short_help="Show what robots.txt says about a URL.")
@click.argument("url")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@manners
def robots(url: str, *, as_json: bool, overrides: Mapping[str, str], **options: Any) -> int:
    """Fetch the robots.txt of URL's site, and show whether the crawler may fetch URL, by which line, how fast, and which sitemaps
    there are. Exit code 1 if it may not.
    """
    import msgspec

    from crawler.loop import run_loop
    from crawler.probe import rules_for

    rules = run_loop(rules_for(url, settings_of(overrides, options)))
    if as_json:
        click.echo(msgspec.json.encode(rules._asdict()))
    else:
        for label, text in _in_words(rules):
            click.echo(f"{label:<10} {text}")
    return FINISHED if rules.is_allowed else FAILED


def _in_words(rules: RobotsReport) -> Iterator[tuple[str, str]]:
    yield "robots.txt", f"{rules.robots_url} {f'answered {rules.status}' if rules.status else 'did not answer'}"
    yield "agent", rules.agent or "(none: only rules for everyone apply)"
    verdict = "allowed" if rules.is_allowed else "not allowed"
    yield verdict, rules.url + (f" by {rules.rule!r}" if rules.rule else "")
    if rules.error:
        yield "because", f"{rules.error}: nothing is allowed until it can be fetched"
    if rules.crawl_delay is not None:
        yield "delay", f"{rules.crawl_delay:g} s between two requests"
    for sitemap in rules.sitemaps:
        yield "sitemap", sitemap


@contextmanager
def probing(overrides: Mapping[str, str], options: Mapping[str, Any]) -> Iterator[Callable[[str], Probed]]:
    """Gives a function that fetches a page: one after another, with the manners of one crawl."""
    settings = settings_of(overrides, options)
    from crawler.loop import run_loop
    from crawler.probe import Probes

    with Probes(settings) as probes:
        yield lambda url: run_loop(probes.probe(url))


def report_no_page(probed: Probed) -> None:
    from crawler.reports.why import verdicts

    complain(f"no page came from {probed.why.url}")
    for line in verdicts(probed.why):
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
