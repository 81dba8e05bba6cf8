"""`crawl shell`: Python, with a page at hand."""

from __future__ import annotations

import sys
from code import InteractiveConsole
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from crawler.cli.console import FAILED, FINISHED
from crawler.cli.options import no_robots
from crawler.cli.probe import manners, probing, report_no_page
from crawler.errors import CrawlError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crawler.page import Page


@click.command(short_help="Try out selectors on a page, in Python.")
@click.argument("url")
@no_robots
@manners
def shell(url: str, *, overrides: Mapping[str, str], **options: Any) -> int:
    """Fetch the page at URL as a crawl would, and open a Python prompt: `page` is what a spider's parse receives, `fetch(url)` returns
    another page, fetched no sooner than a crawl would. The Tab key completes names.
    """
    last: Page | None = None

    def fetch(url: str) -> Page | None:
        """The page at `url`, which may be relative to the last one; None, and why, if there is none."""
        nonlocal last
        probed = probe(last.urljoin(url) if last else url)
        if probed.page is None:
            report_no_page(probed)
        last = probed.page or last
        return probed.page

    with probing(overrides, options) as probe:
        page = fetch(url)
        if page is None:
            return FAILED
        banner = f"{page!r}\npage.css(…), page.links(), page.json(), page.follow(…): see docs/spiders.md. page = fetch(url) fetches another."
        names = {"page": page, "fetch": fetch}
        _complete(names)
        _Console(names).interact(banner, exitmsg="")
    return FINISHED


class _Console(InteractiveConsole):
    """Prints our own errors, which say what is wrong, in one line instead of a traceback."""

    def showtraceback(self) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, CrawlError):
            self.write(f"error: {error}\n")
        else:
            super().showtraceback()


def _complete(names: dict[str, Any]) -> None:
    """Enable line editing, and completion by the Tab key, where Python has them."""
    with suppress(ImportError):
        import readline
        from rlcompleter import Completer

        readline.set_completer(Completer(names).complete)
        is_libedit = "libedit" in (readline.__doc__ or "")
        readline.parse_and_bind("bind ^I rl_complete" if is_libedit else "tab: complete")
