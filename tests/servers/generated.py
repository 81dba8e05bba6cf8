"""A small web made up by rule: many hosts, pages of prose under menus, links within a host and across. Always the same one.

A host is a loopback address, so that no crawler needs a resolver of its own. Its pages form a tree three deep, which makes
all of them reachable; menus and mentions give most links to pages that are known already, as on any real site.
"""

from __future__ import annotations

import html
import itertools
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PREFIX = "127.0.1."
"""What all hosts begin with, and no other site of the benchmarks."""

PAGES_OF_HOST = 100
SECTIONS = 9
"""The pages right below a host's front page; the others are shared out among them."""

_SYLLABLES = ["".join(letters) for letters in itertools.product("bdfgklmnprst", "aeiou")]
_SCRIPT = "<script>if (window.top !== window) document.write('<a href=\"/framed.html\">whole page</a>');</script>"

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="stylesheet" href="/style.css">
<meta name="description" content="{title}: what is known of it">
{script}
</head>
<body>
<!-- <a href="/draft.html">not yet</a> -->
<header><nav class="menu"><ul>
{menu}
</ul></nav></header>
<main>
<h1>{title}</h1>
{body}
</main>
<aside><h2>See also</h2>
<ul>
{aside}
</ul></aside>
<footer><ul>
{menu}
</ul><p><a href="/">Home</a> &middot; <a href="#top">Top</a> &middot; <a href="mailto:office@site.example">Write to us</a></p></footer>
</body>
</html>
"""


def addresses(hosts: int) -> tuple[str, ...]:
    """The addresses of so many hosts, 250 at most."""
    return tuple(f"{PREFIX}{number}" for number in range(1, hosts + 1))


def build(root: Path, hosts: tuple[str, ...], port: int) -> None:
    """Write the pages of each host to a folder of `root` that is named for it."""
    words = _words()
    for host in hosts:
        folder = root / host
        for section in range(1, SECTIONS + 1):
            (folder / f"s{section}").mkdir(parents=True)
        (folder / "style.css").write_text("body { max-width: 60em }\n", encoding="ascii")
        for number in range(PAGES_OF_HOST):
            (folder / _path(number).lstrip("/")).write_text(_page(host, number, hosts, port, words), encoding="utf-8")


def _path(number: int) -> str:
    """Where a host's page lies: the front page, the front pages of its sections, then theirs."""
    if number == 0:
        return "/index.html"
    if number <= SECTIONS:
        return f"/s{number}/index.html"
    return f"/s{_section(number)}/page{number}.html"


def _section(number: int) -> int:
    return (number - 1) % SECTIONS + 1


def _page(host: str, number: int, hosts: tuple[str, ...], port: int, words: list[str]) -> str:
    chance = Random(f"{host} {number}")
    title = f"{' '.join(chance.choices(words, k=3)).title()} & {number}"
    menu = [_link(_url(section), f"Section {section}") for section in range(SECTIONS + 1)]
    if number == 0:  # to every other host, so that none hangs on a mention
        menu += [_link(f"http://{other}:{port}/", other) for other in hosts if other != host]
    below = _pages_of(number) if 0 < number <= SECTIONS else []
    aside = [_link(f"page{page}.html", f"Page {page}") for page in below]
    aside += [_link(_mention(chance, host, hosts, port), "mentioned") for _ in range(chance.randint(2, 5))]
    return _PAGE.format(
        title=html.escape(title),
        script=_SCRIPT,
        menu="\n".join(menu),
        body="\n".join(_paragraph(chance, words, number) for _ in range(min(int(chance.lognormvariate(3, 0.5)), 80))),
        aside="\n".join(aside),
    )


def _pages_of(section: int) -> list[int]:
    return [number for number in range(SECTIONS + 1, PAGES_OF_HOST) if _section(number) == section]


def _paragraph(chance: Random, words: list[str], number: int) -> str:
    text = " ".join(chance.choices(words, k=chance.randint(40, 110))).capitalize()
    if chance.random() < 0.1:
        target = chance.randrange(PAGES_OF_HOST)
        text += f", as <a class='ref' href='{_url(target)}#p{chance.randrange(9)}'>page {target}</a> says &amp; <em>shows</em>"
    return f'<p id="p{number}-{chance.randrange(1000)}">{text}.</p>'


def _mention(chance: Random, host: str, hosts: tuple[str, ...], port: int) -> str:
    """A page of whichever host: of its own by its path, of another by its whole URL."""
    other = chance.choice(hosts)
    path = _url(chance.randrange(PAGES_OF_HOST))
    return path if other == host else f"http://{other}:{port}{path}"


def _url(number: int) -> str:
    return _path(number).removesuffix("index.html")


def _link(href: str, text: str) -> str:
    return f'<li><a href="{html.escape(href)}">{html.escape(text)}</a></li>'


def _words() -> list[str]:
    chance = Random("words")
    return ["".join(chance.choices(_SYLLABLES, k=chance.randint(1, 4))) for _ in range(2000)]
