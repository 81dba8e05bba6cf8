"""What looks like a trap, and what must not: real sites lose nothing."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from crawler.selection.traps import Thresholds, Traps, _grown_path, digest_of
from crawler.web.links import base_of, hrefs
from crawler.web.urls import normalize, resolve

if TYPE_CHECKING:
    from pathlib import Path

HOST = "http://h.example"
LOW = Thresholds(dates=5, steps=10, copies=3)


def suspected(path: str) -> str | None:
    """What is said of a URL that stands for itself."""
    return Traps().suspicion(HOST + path, None)


@pytest.mark.parametrize(
    "path",
    [
        "/a/a/a/a/",
        "/start/a/b/a/b/a/b/a/b",
        "/a/b/c/a/b/c/a/b/c/a/b/c/end",
        "/a/b/a/c/a/d/a/e/a/f/a/g/a",
        "//////",
        "/list?x=1&x=1&x=1&x=1",
        "/login?to=%25252Flogin",
        "/a" * 1100,
    ],
)
def test_urls_that_grow(path: str) -> None:
    assert suspected(path)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/a/a/a",
        "/a/b/a/b/a/b",
        "/list/0/0/0/0/0",
        "/python/python/lib/python/python.html",
        "/list?x=1&x=2&x=3&x=4&x=5",
        "/login?to=%252Flogin",
        "/" + "a" * 2000,
    ],
)
def test_urls_that_do_not(path: str) -> None:
    assert suspected(path) is None


def test_a_run_too_wide_to_be_looked_for_grows_until_its_segments_stand_too_often() -> None:
    run = "".join(f"/{number}x" for number in range(40))
    assert [suspected(run * times) is not None for times in (3, 6, 7)] == [False, False, True]


class Compared(str):
    """Counts how often such segments are compared."""

    __slots__ = ()
    times = 0

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return super().__eq__(other)

    __hash__ = str.__hash__


def test_a_path_is_not_compared_with_itself_at_every_distance() -> None:
    compared = []
    for number in (500, 4 * 500):
        Compared.times = 0
        assert _grown_path([Compared(f"{place % (number // 3)}x") for place in range(number)], 3) is None
        compared.append(Compared.times)
    assert compared[1] < 5 * compared[0]


def test_a_threshold_of_zero_is_never_passed() -> None:
    traps = Traps(Thresholds(repeats=0, url_length=0, dates=0, steps=0, copies=0))
    assert traps.suspicion(HOST + "/a" * 5000, None) is None
    for number in range(100):
        traps.visited(f"{HOST}/p/{number}", digest_of(b"the same"))
        assert traps.suspicion(f"{HOST}/p/{number + 1}", f"{HOST}/p/{number}") is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/a;jsessionid=0123456789ABCDEF", "/a;jsessionid=F123456789ABCDEF"),
        ("/a;jsessionid=0123456789ABCDEF.node1?b=c", "/a;jsessionid=F123456789ABCDEF.node2?b=c"),
        ("/a?PHPSESSID=h8rj2k4l5m6n7o8p", "/a?PHPSESSID=99rj2k4l5m6n7o8p"),
        ("/a?b=c&sid=0123456789abcdef&d=e", "/a?b=c&sid=1123456789abcdef&d=e"),
        ("/a?session=550e8400-e29b-41d4-a716-446655440000", "/a?session=650e8400-e29b-41d4-a716-446655440000"),
        ("/(S(4o5qgk45xh2zjqvvnsb2zu55))/a", "/(S(5o5qgk45xh2zjqvvnsb2zu55))/a"),
    ],
)
def test_one_session_is_enough(first: str, second: str) -> None:
    """The first URL is fetched as it is: without its session it may not work."""
    traps = Traps()
    assert traps.suspicion(HOST + first, None) is None
    assert traps.suspicion(HOST + second, None)
    assert traps.suspicion(HOST + first, None) is None, "asked for again"
    assert traps.suspicion(HOST + first.replace("/a", "/other"), None) is None


@pytest.mark.parametrize(
    "path",
    [
        "/a?sid=17",
        "/a?session=spring-in-the-mountains",
        "/a?session=keynotes-of-2024-in-the-great-hall",
        "/a?session=2024-05-12-2024-06-13",
        "/a?side=0123456789abcdef",
        "/a?s=x1",
    ],
)
def test_what_is_no_session(path: str) -> None:
    traps = Traps()
    assert traps.suspicion(HOST + path, None) is None
    assert traps.suspicion(HOST + path.replace("=", "=2"), None) is None


def fetched_until_suspected(traps: Traps, start: str, *links: tuple[str, ...], most: int = 1000) -> list[str]:
    """The pages of a chain, each with its own links and the way to the next, up to the one that is suspected."""
    fetched = []
    url = HOST + start
    for page, (following, *others) in zip(range(most), links, strict=False):
        traps.visited(url, digest_of(f"page {page} {url}".encode()))
        fetched.append(url)
        for other in others:
            assert traps.suspicion(HOST + other, url, depth=page + 1) is None
        if traps.suspicion(HOST + following, url, depth=page + 1):
            return fetched
        url = HOST + following
    return fetched


DAYS = [(date(2024, 1, 1) + timedelta(days=number)) for number in range(100)]


@pytest.mark.parametrize(
    "form", ["/{:%Y/%m/%d}/", "/day/{:%Y-%m-%d}.html", "/cal?date={:%Y%m%d}", "/c?year={0:%Y}&day={0:%j}"]
)
def test_a_calendar_without_events_ends(form: str) -> None:
    chain = [(form.format(day),) for day in DAYS]
    assert len(fetched_until_suspected(Traps(LOW), form.format(DAYS[0]), *chain[1:])) == LOW.dates + 1


def test_views_of_a_calendar_that_feed_one_another_end() -> None:
    """Months lead to days, days to months; and each day asks visitors to log in, to come back to it."""
    traps = Traps(LOW)
    month, day = "/2024/{:02}/", "/2024/{:02}/01"
    for number in range(1, 12):
        traps.visited(HOST + month.format(number), digest_of(str(number).encode()))
        suspicions = [
            traps.suspicion(HOST + path, HOST + month.format(number))
            for path in (day.format(number), f"/login?to=%2F2024%2F{number:02}", month.format(number + 1))
        ]
        assert all(suspicions) == any(suspicions) == (number > LOW.dates)


def test_a_calendar_with_events_does_not_end_before_them() -> None:
    chain = [(f"/{day:%Y/%m/%d}", f"/{day:%Y/%m/%d}/party") for day in DAYS]
    assert len(fetched_until_suspected(Traps(LOW), "/2023/12/31", *chain)) == len(DAYS)


def test_a_path_through_one_pattern_ends() -> None:
    chain = [(f"/maze/{number}?from={number - 1}",) for number in range(1, 100)]
    assert len(fetched_until_suspected(Traps(LOW), "/maze/0?from=x", *chain)) == LOW.steps + 2


def test_a_pattern_as_wide_as_you_like_does_not() -> None:
    """Things that lead to things alike, and to nothing else, are many a site's; each is a few steps away."""
    traps = Traps(LOW)
    for number in range(1, 200):
        page = f"{HOST}/thing/{number}"
        traps.visited(page, digest_of(str(number).encode()))
        for near in range(2 * number, 2 * number + 2):
            assert traps.suspicion(f"{HOST}/thing/{near}", page, depth=near.bit_length()) is None


def test_a_list_with_something_on_it_does_not_end() -> None:
    chain = [(f"/list?page={number}", f"/thing/{number}") for number in range(100)]
    assert len(fetched_until_suspected(Traps(LOW), "/list?page=x", *chain)) == 100


def test_things_on_a_list_are_no_pattern_of_a_trap() -> None:
    traps = Traps(LOW)
    traps.visited(f"{HOST}/list", digest_of(b"list"))
    for number in range(100):
        assert traps.suspicion(f"{HOST}/thing/{number}", f"{HOST}/list") is None
    for number in range(100):
        traps.visited(f"{HOST}/thing/{number}", digest_of(str(number).encode()))
    assert traps.suspicion(f"{HOST}/thing/100", f"{HOST}/list") is None


def test_what_a_spider_asks_for_alone_is_its_own_affair() -> None:
    """It goes through an interface page by page; or leads from a list to things, which is what a list is for."""
    traps = Traps(LOW)
    for number in range(100):
        page = f"{HOST}/api?page={number}"
        traps.visited(page, digest_of(b"the same"))
        assert traps.suspicion(f"{HOST}/api?page={number + 1}", page, is_alone=True) is None
    assert traps.suspicion(f"{HOST}/a/a/a/a", page, is_alone=True)
    traps = Traps(LOW)
    for number in range(100):
        page = f"{HOST}/list?page={number}"
        traps.visited(page, digest_of(str(number).encode()))
        assert traps.suspicion(f"{HOST}/thing/{number}", page, is_alone=True) is None
        assert traps.suspicion(f"{HOST}/list?page={number + 1}", page) is None


def test_sessions_of_earlier_runs_are_remembered() -> None:
    traps = Traps()
    traps.remember([f"{HOST}/a?sid=0123456789abcdef", f"{HOST}/b"])
    assert traps.suspicion(f"{HOST}/a?sid=1123456789abcdef", None)
    assert traps.suspicion(f"{HOST}/b?sid=1123456789abcdef", None) is None


def test_copies_told_apart_by_their_queries_end_wherever_they_are_found() -> None:
    """Each page asks visitors to log in, to come back to it."""
    traps = Traps(LOW)
    for number in range(LOW.copies):
        traps.visited(f"{HOST}/login?to={number}", digest_of(b"the same"))
        assert traps.suspicion(f"{HOST}/login?to=x{number}", f"{HOST}/list") is None
    traps.visited(f"{HOST}/login?to=last", digest_of(b"the same"))
    assert traps.suspicion(f"{HOST}/login?to=after", f"{HOST}/list")
    assert traps.suspicion(f"{HOST}/search?to=after", f"{HOST}/list") is None
    assert traps.suspicion("http://other.example/login?to=after", f"{HOST}/list") is None
    traps.visited(f"{HOST}/login?to=queued", digest_of(b"another"))
    assert traps.suspicion(f"{HOST}/login?to=again", f"{HOST}/list") is None


def test_copies_told_apart_by_their_paths_do_not_end() -> None:
    traps = Traps(LOW)
    for number in range(100):
        traps.visited(f"{HOST}/thing/{number}", digest_of(b"nothing to say"))
        assert traps.suspicion(f"{HOST}/thing/x{number}", f"{HOST}/list") is None


def test_a_pattern_of_copies_that_lead_somewhere_does_not_end() -> None:
    """Each thing has a page that says nothing but where its own pages are."""
    traps = Traps(LOW)
    for number in range(100):
        page = f"{HOST}/{number}/"
        traps.visited(page, digest_of(b"<a href=contents.html>"), f"{HOST}/list")
        assert traps.suspicion(f"{page}contents.html", page) is None
        assert traps.suspicion(f"{HOST}/{number + 1}/", f"{HOST}/list") is None


def test_so_does_one_to_which_each_of_its_names_redirects() -> None:
    """What was found on a page knows it by the URL that was requested."""
    traps = Traps(LOW)
    names = [f"{HOST}/{'xy' * step}" for step in range(1, 5)]
    for name, found_on in zip(names, [None, *names], strict=False):
        if found_on:
            assert traps.suspicion(name, f"{found_on}/") is None
        traps.visited(f"{name}/", digest_of(b"<a href=x/><a href=y/>"), found_on, requested_url=name)
    assert traps.suspicion(f"{HOST}/last", f"{names[-1]}/")


def test_a_page_that_leads_to_itself_under_ever_other_names_ends() -> None:
    traps = Traps(LOW)
    path = "/"
    traps.visited(HOST + path, digest_of(b"<a href=x/><a href=y/>"))
    for step in "xyx":
        assert traps.suspicion(f"{HOST}{path}{step}/", HOST + path) is None
        traps.visited(f"{HOST}{path}{step}/", digest_of(b"<a href=x/><a href=y/>"), HOST + path)
        path += f"{step}/"
    assert traps.suspicion(f"{HOST}{path}y/", HOST + path)
    traps.visited("http://other.example/", digest_of(b"<a href=x/><a href=y/>"), HOST + path)
    assert traps.suspicion("http://other.example/x/", "http://other.example/") is None


@given(st.text(max_size=40), st.text(max_size=40), st.binary(max_size=4))
def test_nothing_is_an_error(path: str, query: str, body: bytes) -> None:
    url = normalize(f"{HOST}/{path}?{query}")
    traps = Traps(Thresholds(1, 100, 1, 1, 1))
    for _ in range(4):
        traps.visited(url, digest_of(body), url)
        traps.suspicion(url, url)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_KINDS_KEPT", "_BODIES_KEPT", "_SESSIONS_KEPT"):
        monkeypatch.setattr(f"crawler.selection.traps.{name}", 10)
    traps = Traps(LOW)
    for number in range(100):
        host = f"http://h{number}.example"
        traps.visited(f"{host}/{number}", digest_of(str(number).encode()))
        traps.suspicion(f"{host}/?sid=0123456789abcdef", f"{host}/{number}")
    kept = (traps._records, traps._pages, traps._bodies, traps._sessions)
    assert [len(one) for one in kept] == [10, 10, 10, 20]
    for number in range(95, 100):
        assert traps._pages.get(hash(f"http://h{number}.example/{number}")) is not None, "the latest are kept"


@pytest.mark.corpus
def test_real_sites_lose_nothing(corpus_root: Path) -> None:
    """Every page that links of the corpus lead to, with its true body, in the order of discovery."""
    traps, waiting = Traps(), [f"{HOST}/"]
    seen: dict[str, str | None] = {f"{HOST}/": None}
    depths = {f"{HOST}/": 0}
    for number in count():
        if number == len(waiting):
            break
        url = waiting[number]
        file = corpus_root / url.removeprefix(f"{HOST}/").partition("?")[0]
        file = file / "index.html" if file.is_dir() else file
        if not file.is_file():
            continue
        body = file.read_bytes()
        traps.visited(url, digest_of(body), seen[url])
        if file.suffix not in (".html", ".htm"):
            continue
        document = LexborHTMLParser(body)
        here = f"{HOST}/{file.relative_to(corpus_root)}"
        for link in resolve(base_of(document, here), hrefs(document)):
            if link.startswith(HOST) and link not in seen:
                depths[link] = depths[url] + 1
                assert traps.suspicion(link, url, depth=depths[link]) is None, link
                seen[link] = url
                waiting.append(link)
    assert len(waiting) > 5500


def test_a_pattern_may_have_a_budget() -> None:
    """It counts what differs in numbers and values alone, of each host; what a spider asks for by itself is not held to it."""
    traps = Traps(Thresholds(pattern=2))
    filters = [f"/shop?colour={colour}&size={size}" for colour in ("red", "blue") for size in (1, 2)]
    told = [traps.suspicion(HOST + path, f"{HOST}/", depth=1) for path in filters]
    beyond = "2 URLs like h.example/shop?colour&size have been let in"
    assert told == [None, None, beyond, beyond]
    assert traps.suspicion(HOST + filters[-1], f"{HOST}/", is_alone=True) is None
    assert traps.suspicion(f"{HOST}/shop?size=1", f"{HOST}/") is None
    assert traps.suspicion(f"http://other.example{filters[0]}", f"{HOST}/") is None
    assert [traps.suspicion(f"{HOST}/about/{name}", f"{HOST}/") for name in "abcdef"] == [None] * 6
