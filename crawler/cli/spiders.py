"""Spiders themselves: `crawl new` writes one, `crawl check` looks one over, `crawl list` shows which there are."""

from __future__ import annotations

import ast
import keyword
import re
import sys
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.cli.console import FINISHED, say
from crawler.cli.options import files, spider_arguments
from crawler.errors import SpiderError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from crawler.spider import Spider

_TEMPLATE = '''\
"""What {name} takes from each page, and where it goes from there."""

from crawler import Page, Spider


class {class_name}(Spider):
    start_urls = ["{url}"]

    def parse(self, page: Page) -> object:
        yield {{"url": page.url, "title": page.title}}
        yield page.follow_all()
'''

_IMPORTED = {"Page", "Spider"}
"""By the spider that `crawl new` writes."""

_SEEDS_SHOWN = 3


@click.command(short_help="Start a spider of your own.")
@click.argument("name")
@click.argument("url", default="https://example.com/")
def new(name: str, url: str) -> int:
    """Write the file NAME.py, a minimal spider for the site at URL to start from."""
    from crawler.web.urls import normalize

    name = name.removesuffix(".py")
    if not re.fullmatch(r"[a-z_]\w*", name, re.IGNORECASE | re.ASCII):
        raise UsageError(f"{name!r} cannot name a Python file: use letters, digits and _, and begin with a letter")
    class_name = "".join(part.capitalize() for part in name.split("_") if part) or "Site"
    if name in sys.stdlib_module_names or not {name, class_name}.isdisjoint([*keyword.kwlist, *_IMPORTED]):
        raise UsageError(
            f"{name!r} means something to Python, or to the spider itself; choose another name, such as my_{name}"
        )
    text = _TEMPLATE.format(name=name, class_name=class_name, url=normalize(url))
    path = Path(f"{name}.py")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} exists; name another, or delete it first") from None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
    say(f"wrote {path}; to see what it takes from one page: crawl try {path} {normalize(url)}")
    say(f"then try it with: crawl run {path} -o {name}.jsonl --max-pages 20")
    return FINISHED


@click.command(short_help="Inspect a spider, without crawling.")
@click.argument("target", shell_complete=files)
@spider_arguments
def check(target: str, arguments: Mapping[str, str]) -> int:
    """Load the spider TARGET as `crawl run` would, and show its name, seeds, scope, arguments and settings."""
    from crawler.loader import load
    from crawler.settings import Settings, with_overrides
    from crawler.web.scope import Scope

    spider = load(target, arguments)
    with_overrides(Settings(), spider.settings, source=f"the settings of {type(spider).__name__}")
    Scope.parse(spider.scope)
    _check_ring(spider)
    for label, value in _described(spider):
        click.echo(f"{label:<10} {value}")
    return FINISHED


def _check_ring(spider: Spider) -> None:
    """Raise SpiderError if nothing would be requested, or nothing taken from pages, as far as that shows without crawling."""
    from crawler.spider import Spider as Contract
    from crawler.spider import seedless

    kind = type(spider)
    if kind.start is Contract.start and not spider.start_urls:
        raise seedless(spider)
    if kind.start is Contract.start and kind.parse is Contract.parse:
        raise SpiderError(f"{kind.__name__} takes nothing from its pages: write a method parse(self, page)")


def _described(spider: Spider) -> Iterator[tuple[str, str]]:
    from crawler.scrapy_names import without_effect
    from crawler.spider import Spider as Contract
    from crawler.spider import arguments_of

    kind = type(spider)
    yield "spider", f"{kind.crawl_name()} (class {kind.__name__})"
    if kind.start is not Contract.start:
        yield "starts at", "what its start() yields"
    else:
        further = len(spider.start_urls) - _SEEDS_SHOWN
        seeds = ", ".join(spider.start_urls[:_SEEDS_SHOWN])
        yield "starts at", seeds + (f" and {further:,} more" if further > 0 else "")
    yield "follows", "links to the hosts of its seeds" if spider.scope is None else repr(spider.scope)
    for name, hint in arguments_of(kind).items():
        if name != "start_urls":
            value = (
                f" = {getattr(spider, name)!r}" if hasattr(spider, name) else f" (no value; set it with -a {name}=…)"
            )
            yield "argument", f"{name}: {getattr(hint, '__name__', hint)}{value}"
    for name, value in (spider.settings or {}).items():
        yield "setting", f"{name} = {value!r}"
    for name, ours in without_effect(spider):
        yield "no effect", f"{name}, which is Scrapy's; here it is {ours}"


@click.command("list", short_help="List the available spiders.")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".")
def list_spiders(folder: Path) -> int:
    """List the ready-made spiders, by the names that `crawl run` takes, and those in the files of FOLDER, by default this one.

    No file is run for that: a class counts if the name of one of its bases ends in Spider, unless another base is ABC, which marks a
    class to derive from.
    """
    package = util.find_spec("spiders")
    for home in package.submodule_search_locations or () if package else ():
        for path, _ in _spiders_in(Path(home)):
            click.echo(path.stem)
    for path, name in _spiders_in(folder):
        click.echo(f"{path}:{name}")
    return FINISHED


def _spiders_in(folder: Path) -> Iterator[tuple[Path, str]]:
    """The spider classes in the files of a folder, with their files; files that are not valid Python are passed over."""
    for path in sorted(folder.glob("*.py")):
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and _is_spider(node):
                yield path, node.name


def _is_spider(node: ast.ClassDef) -> bool:
    bases = [_name_of(base) for base in node.bases]
    return "ABC" not in bases and any(base.endswith("Spider") for base in bases)


def _name_of(base: ast.expr) -> Any:
    return getattr(base, "attr", None) or getattr(base, "id", "")
