"""What a user names is found and built, and what is wrong with it is said in one glance."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from crawler.errors import InvalidUrl, SpiderError, TargetError
from crawler.loader import crawl_name, load, load_class

if TYPE_CHECKING:
    from collections.abc import Iterator

QUOTES = """
    from crawler.spider import Spider

    class Quotes(Spider):
        start_urls = ["http://quotes.example/"]
        tag: str = ""
        pages: int = 1
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder of its own, and an interpreter that forgets what was loaded there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(path: str, source: str = QUOTES) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(source).lstrip(), encoding="utf-8")
    return file


@pytest.mark.parametrize("target", ["quotes.py", "./quotes.py", "quotes.py:Quotes", "quotes", "quotes:Quotes"])
def test_a_spider_is_found_by_file_and_by_module(target: str) -> None:
    write("quotes.py")
    spider = load(target)
    assert type(spider).__name__ == "Quotes"
    assert crawl_name(target, spider) == "quotes"


def test_a_file_may_lie_anywhere_and_import_its_neighbours(tmp_path: Path) -> None:
    write("far/away/neighbour.py", "START = 'http://neighbour.example/'")
    write("far/away/spider.py", QUOTES + "    from neighbour import START\n    Quotes.start_urls = [START]\n")
    assert load(str(tmp_path / "far/away/spider.py")).start_urls == ["http://neighbour.example/"]


def test_a_file_in_a_package_may_import_relatively() -> None:
    write("project/crawls/__init__.py", "")
    write("project/crawls/items.py", "NAME = 'renamed'")
    write("project/crawls/quotes.py", QUOTES + "    from .items import NAME\n    Quotes.name = NAME\n")
    assert type(load("project/crawls/quotes.py")).__module__ == "crawls.quotes"
    assert load("project/crawls/quotes.py").crawl_name() == "renamed"


@pytest.mark.parametrize("place", ["project/spiders", "project"])
def test_a_package_called_like_the_ready_made_is_the_users(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many a project has one; they are imported from each other, and by spiders beside the package."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "spiders"]:
        monkeypatch.delitem(sys.modules, name)
    write("project/spiders/__init__.py", "AGE = 3")
    write("project/spiders/base.py", QUOTES)
    write(
        f"{place}/own.py", "from spiders import AGE\nfrom spiders.base import Quotes\nclass Own(Quotes): pages = AGE\n"
    )
    assert vars(type(load(f"{place}/own.py")))["pages"] == 3


@pytest.mark.parametrize("name", ["queue.py", "antigravity.py", "client.py", "tenacity.py"])
def test_a_file_called_like_another_module_takes_nothing_from_it(name: str) -> None:
    """`queue` is the standard library's and loaded; `antigravity` is too, but is not loaded; `client` is ours, `tenacity`
    is installed."""
    before = sys.modules.get(name.removesuffix(".py"))
    assert type(load(str(write(name)))).__name__ == "Quotes"
    assert sys.modules.get(name.removesuffix(".py")) is before


def test_files_of_one_name_in_two_folders_are_two_spiders() -> None:
    first = load_class(str(write("one/quotes.py")))
    second = load_class(str(write("two/quotes.py", QUOTES.replace("tag: str", "tag: bytes"))))
    assert first is not second
    assert first is load_class("one/quotes.py")
    assert second is load_class("two/quotes.py")


def test_the_ready_made_are_found_whatever_is_called_like_them() -> None:
    """`site` is a module of the standard library; and many a project has a package `spiders`."""
    write("spiders/__init__.py", "")
    write("site.py")
    for target in ("http://h.example/", "site", "site:SiteSpider"):
        assert type(load(target)).__module__ == "spiders.site"
    assert type(load("site.py")).__name__ == "Quotes"


def test_arguments_reach_the_spider_with_their_declared_types() -> None:
    write("quotes.py")
    spider = load("quotes.py", {"tag": "love", "pages": "3"})
    assert vars(spider) == {"tag": "love", "pages": 3}


def test_of_spiders_that_build_on_each_other_the_last_is_meant() -> None:
    write("quotes.py", QUOTES + "\n    class Longer(Quotes):\n        pages = 9\n    Alias = Longer\n")
    assert load_class("quotes.py").__name__ == "Longer"
    assert load_class("quotes.py:Quotes").__name__ == "Quotes"


def test_a_spider_imported_from_elsewhere_counts_only_by_its_name() -> None:
    write("base.py")
    write("own.py", "from base import Quotes\nclass Own(Quotes): ...\n")
    write("bare.py", "from base import Quotes\n")
    assert load_class("own.py").__name__ == "Own"
    assert load_class("bare.py:Quotes").__name__ == "Quotes"
    with pytest.raises(TargetError, match=r"bare\.py defines no spider: write a class"):
        load_class("bare.py")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("quote.py", "there is no file quote.py; did you mean quotes.py?"),
        ("folder/missing.py", "there is no file folder/missing.py"),
        ("folder", "folder is a folder; name a spider file in it: inner.py"),
        ("folder/", "folder is a folder; name a spider file in it: inner.py"),
        ("quote", "there is no module quote; did you mean quotes.py?"),
        ("no.such.module", "there is no module no.such.module; if it is a site, write https://no.such.module"),
        ("example.com", "there is no module example.com; if it is a site, write https://example.com"),
        ("localhost:8000", "'localhost:8000' is not a spider file, module or URL; if it is a site, write https://localhost:8000"),
        ("example.com/docs", "there is no file example.com/docs; if it is a site, write https://example.com/docs"),
        ("ftp://example.com/", "ftp://example.com/: only http and https URLs are crawled"),
        ("a b", "'a b' is not a spider file, module or URL"),
        ("quotes.py:", "'quotes.py:' is not a spider file, module or URL"),
        ("quotes.py:Missing", "quotes.py has no Missing; it has: quotes.py:Quotes"),
        ("quotes.py:Spider", None),
        ("two.py", "two.py defines several spiders; name one of: two.py:One, two.py:Two"),
        ("plain.py", "plain.py defines no spider: write a class that derives from crawler.Spider in it"),
        ("plain.py:VALUE", "VALUE in plain.py is not a spider class"),
        ("text.txt", "text.txt cannot be loaded: ImportError: text.txt is not a Python file: its name must end in .py"),
        ("./text.txt", "text.txt cannot be loaded: ImportError: text.txt is not a Python file: its name must end in .py"),
    ],
)  # fmt: skip
def test_a_target_that_cannot_be_found_says_what_can(target: str, message: str | None) -> None:
    write("quotes.py")
    write("folder/inner.py")
    write("two.py", "from crawler.spider import Spider\nclass One(Spider): ...\nclass Two(Spider): ...\n")
    write("plain.py", "VALUE = 1\n")
    write("text.txt", "")
    if message is None:
        assert load_class(target).__name__ == "Spider"
        return
    with pytest.raises(TargetError) as error:
        load(target)
    assert str(error.value) == message


def test_a_syntax_error_is_shown_with_its_line_and_a_caret() -> None:
    write("broken.py", "class Broken:\n    def parse(self, page)\n        yield 1\n")
    with pytest.raises(TargetError) as error:
        load("broken.py")
    assert str(error.value) == "\n".join(
        ["broken.py:2:26: expected ':'", "    def parse(self, page)", "    " + " " * 21 + "^"]
    )


def test_a_syntax_error_in_a_neighbour_is_shown_as_the_neighbours() -> None:
    write("neighbour.py", "a = (1,\n")
    write("spider.py", "import neighbour\n")
    with pytest.raises(TargetError, match=r"^neighbour\.py:1:5: '\(' was never closed\n    a = \(1,\n        \^$"):
        load("spider.py")


@pytest.mark.parametrize("source", [b"x = '\xff'\n", b"x = 1\0\n"])
def test_a_file_that_is_no_text_is_refused_in_words(folder: Path, source: bytes) -> None:
    (folder / "binary.py").write_bytes(source)
    with pytest.raises(TargetError, match=r"^binary\.py"):
        load("binary.py")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import os\nimport missing_thing\n", r"^x\.py cannot be loaded: x\.py:2: ModuleNotFoundError: No module named 'missing_thing'; install it"),
        ("raise ModuleNotFoundError('None', name='scrapy.http')\n", r"^x\.py cannot be loaded: x\.py:1: ModuleNotFoundError: None; here spiders derive from"),
        ("from json import nothing\n", r"^x\.py cannot be loaded: x\.py:1: ImportError: cannot import name 'nothing' from 'json'"),
        ("import json\n\njson.loads('{')\n", r"^x\.py cannot be loaded: x\.py:3: JSONDecodeError: "),
        ("def f():\n    return 1 / 0\nf()\n", r"^x\.py cannot be loaded: x\.py:2: ZeroDivisionError: "),
        ("raise SystemExit(7)\n", r"^x\.py cannot be loaded: x\.py:1: SystemExit: 7$"),
    ],
)  # fmt: skip
def test_a_spider_that_fails_while_loading_says_where(source: str, message: str) -> None:
    write("x.py", source)
    for target in ("x.py", "x"):
        with pytest.raises(TargetError, match=message.replace(r"^x\.py", f"^{target.replace('.', '[.]')}", 1)):
            load(target)


def test_arguments_a_spider_does_not_take_are_refused_by_name() -> None:
    write("quotes.py")
    with pytest.raises(SpiderError, match="Quotes takes no argument 'tags'; it takes: pages, start_urls, tag"):
        load("quotes.py", {"tags": "x"})
    with pytest.raises(SpiderError, match="argument pages='x' of Quotes: it takes a whole number"):
        load("quotes.py", {"pages": "x"})


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("start_urls = None", "^start_urls of Quotes is a NoneType; it must be a list of URLs$"),
        (
            "start_urls = (url for url in ['http://h.example/'])",
            "^start_urls of Quotes is a generator; it must be a list",
        ),
        ("start_urls = [b'http://h.example/']", "^start_urls of Quotes holds b'http://h.example/', which is not text$"),
        ("name = 5", "^the name of Quotes is 5; it must be printable text$"),
        ("name = '\\udcff'", "^the name of Quotes is .*; it must be printable text$"),
        ("__init__ = exit", "^Quotes cannot be made: SystemExit"),
    ],
)
def test_what_a_spider_declares_wrongly_is_named(line: str, complaint: str) -> None:
    """To leave the program, too: it would be taken for the end of the crawl."""
    write("quotes.py", QUOTES + f"\n        {line}\n")
    with pytest.raises(TargetError, match=complaint):
        load("quotes.py")


def test_a_constructor_that_raises_is_a_mistake_in_the_spider() -> None:
    write("quotes.py", QUOTES + "\n        def __init__(self):\n            self.size = len(None)\n")
    with pytest.raises(TargetError, match=r"^Quotes cannot be made: quotes\.py:9: TypeError: object of type"):
        load("quotes.py")
    with pytest.raises(TargetError, match=r"^Quotes cannot be made: TypeError: .*unexpected keyword argument 'tag'"):
        load("quotes.py", {"tag": "x"})


def test_seeds_that_are_no_urls_are_found_before_a_crawl_begins() -> None:
    write("mail.py", QUOTES.replace("http:", "mailto:"))
    with pytest.raises(InvalidUrl, match="mailto"):
        load("mail.py")
    write("text.py", QUOTES.replace("[", "").replace("]", ""))
    with pytest.raises(TargetError, match=r"start_urls of Quotes is a string; it must be a list: \['http://quotes"):
        load("text.py")


def test_seeds_of_a_spider_that_makes_its_own_are_its_own_affair() -> None:
    write("own.py", QUOTES.replace("http:", "mailto:") + "\n        def start(self): return []\n")
    assert load("own.py").start() == []


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://docs.example/3/library/", "docs.example"),
        ("HTTP://Docs.Example:8080?q", "docs.example-8080"),
        ("http://user:secret@docs.example/#x", "docs.example"),
        ("http://[::1]:81/", "_--1_-81"),
        ("http://bücher.example/", "xn--bcher-kva.example"),
        ("http:///docs.example/", "docs.example"),
        ("http://docs.example:80", "docs.example"),
        ("https://docs.example:80", "docs.example-80"),
    ],
)
def test_the_crawl_of_a_site_is_called_after_its_host(url: str, name: str) -> None:
    write("quotes.py")
    assert crawl_name(url, load("quotes.py")) == name


def test_a_name_that_is_no_file_name_becomes_one() -> None:
    write("quotes.py", QUOTES + "\n        name = '../my spider'\n")
    assert crawl_name("quotes.py", load("quotes.py")) == ".._my_spider"


def test_a_seed_with_a_password_is_told_that_it_is_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    load("https://docs.example/a@b")
    assert caplog.text == ""
    assert load("https://user:secret@docs.example/").start_urls
    assert "the user name and password of https://docs.example/ are not sent" in caplog.text
    assert "secret" not in caplog.text
