"""`crawl hold`, `release`, `set` and `retry` on crawls at rest, finished or paused."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from crawler.control.steering import Steering
from crawler.frontier import SqliteFrontier
from crawler.orders import Change
from tests.proof.crawlfile import check_invariants
from tests.sites import Reply, Visit, page, redirect, serve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawler.cli.conftest import Crawl
    from tests.sites import Site


class Ward:
    """A site of which some pages are ill until it `is_well`."""

    def __init__(self) -> None:
        self.is_well = False

    async def __call__(self, visit: Visit) -> Reply:
        if visit.path == "/":
            return page("Home", "/a", "/ill", "/gone", "/b")
        if visit.path == "/ill" and not self.is_well:
            return 500, {}, ""
        return (404, {}, "") if visit.path == "/gone" else page(visit.path)


async def status(crawl: Crawl) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((await crawl("status", "s.crawl", "--json")).out)
    return answer


def run(site: Site, *options: str) -> tuple[str, ...]:
    return ("run", site.url, "--no-robots", "--state", "s.crawl", "-s", "max_attempts=1", "-o", "out.jsonl", *options)


async def test_what_failed_in_a_finished_crawl_is_tried_again(crawl: Crawl, tmp_path: Path) -> None:
    ward = Ward()
    async with serve(ward) as site:
        ended = await crawl(*run(site))
        assert ended.code == 0
        assert "to retry them: crawl retry s.crawl" in ended.err
        ward.is_well = True
        ordered = await crawl("retry", "s.crawl", "--status", "5xx")
        assert (ordered.code, ordered.out) == (0, "1 failed request queued again; crawl run resumes with them\n")
        now = await status(crawl)
        assert (now["state"], now["urls"]["queued"], now["urls"]["failed"]) == ("paused", 1, 1)
        check_invariants(tmp_path / "s.crawl")
        assert (await crawl(*run(site))).code == 0
        assert [path for path in site.paths if path == "/ill"] == ["/ill", "/ill"]
        assert site.paths.count("/a") == site.paths.count("/gone") == 1
    now = await status(crawl)
    assert (now["state"], now["urls"]["done"], now["urls"]["failed"]) == ("finished", 4, 1)
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 4
    check_invariants(tmp_path / "s.crawl")


async def test_what_is_tried_again_can_be_chosen(crawl: Crawl) -> None:
    async with serve(Ward()) as site:
        host = f"127.0.0.1:{site.port}"
        await crawl(*run(site))
        assert (await crawl("retry", "--kind", "timeout")).out == "nothing of that kind has failed\n"
        assert (await crawl("retry", "--status", "404", "--host", host)).out.startswith("1 failed request queued again")
        assert (await crawl("retry", "--kind", "http", "--host", host)).out.startswith("1 failed request queued again")
        assert (await crawl("retry", "--failed")).out == "nothing has failed\n"


@pytest.mark.parametrize("login", ["/login", "/login?next="])
async def test_what_was_led_to_a_login_is_tried_again_from_the_start(crawl: Crawl, tmp_path: Path, login: str) -> None:
    """Tried again where the redirect led, it would be the login page for ever; skipped, it would not be tried again at all."""
    (tmp_path / "members.py").write_text(
        "from crawler import Spider\nclass Members(Spider):\n    def parse(self, page): return {'h1': page.one('h1').text()}"
    )
    is_let_in = False

    async def club(visit: Visit) -> Reply:
        if visit.path in ("/a", "/b") and not is_let_in:
            return redirect(f"{login}{visit.path}" if login.endswith("=") else login)
        return page(visit.path, body="" if visit.path.startswith("/login") else f"<h1>{visit.path}</h1>")

    async with serve(club) as site:
        seeds = f"start_urls={site.url}/a,{site.url}/b"
        command = ("run", "members.py", "-a", seeds, "--no-robots", "-o", "out.jsonl", "--per-host", "1")
        assert (await crawl(*command)).code == 2
        is_let_in = True
        await crawl("retry", "--kind", "spider")
        assert (await crawl(*command)).code == 2, "the login page once more"
        ordered = await crawl("retry", "--redirected-to", f"{site.url}/elsewhere")
        assert ordered.out == f"nothing was redirected to {site.url}/elsewhere… and failed or was skipped\n"
        ordered = await crawl("retry", "--redirected-to", f"{site.url}/login")
        assert ordered.out == "2 redirected requests queued again; crawl run resumes with them\n"
        check_invariants(tmp_path / "members.crawl")
        assert (await crawl(*command)).code == 0
        assert site.paths[-2:] == ["/a", "/b"]
        told = (await crawl("why", f"{site.url}/b")).out
        assert f"UTC: {'spider: ' if login.endswith('=') else 'duplicate: redirected (302) to '}" in told
    assert (tmp_path / "out.jsonl").read_text() == '{"h1":"/a"}\n{"h1":"/b"}\n'
    check_invariants(tmp_path / "members.crawl")


async def test_a_host_that_is_held_is_left_alone_until_it_is_released(crawl: Crawl) -> None:
    async with serve(Ward()) as site:
        host = f"127.0.0.1:{site.port}"
        assert (await crawl(*run(site, "--max-pages", "1"))).code == 3
        held = await crawl("hold", "s.crawl", f"http://{host}/a")
        assert (held.code, held.out) == (0, f"{host} is held: nothing more of it is fetched until it is released\n")
        assert (await crawl("hold", host)).out == f"{host} is held already\n"
        ended = await crawl(*run(site))
        assert ended.code == 3
        assert "only held requests are left: 1 page" in ended.err
        assert "crawl release s.crawl HOST" in ended.err
        assert site.paths == ["/"]
        assert json.loads((await crawl("hosts", "s.crawl", "--json")).out)["held"]
        assert f"{host} is held since" in (await crawl("why", f"{site.url}/a")).out
        assert (await crawl("release", host)).out == f"{host} is released\n"
        assert (await crawl("release", host)).out == f"{host} was neither held nor left alone\n"
        assert (await crawl(*run(site))).code == 0
        assert sorted(site.paths) == ["/", "/a", "/b", "/gone", "/ill"]


async def test_what_is_over_a_budget_stands_aside_until_it_is_released(crawl: Crawl, tmp_path: Path) -> None:
    async with serve(Ward()) as site:
        host = f"127.0.0.1:{site.port}"
        ended = await crawl(*run(site, "-s", "max_pages_per_host=2"))
        assert ended.code == 0
        assert "3 requests set aside" in ended.err
        assert (await status(crawl))["urls"]["aside"] == 3
        assert "set aside on" in (await crawl("why", f"{site.url}/b")).out
        one = await crawl("release", "s.crawl", "--url", f"{site.url}/b")
        assert one.out == "1 request queued again that stood aside\n"
        rest = await crawl("release", "s.crawl", host, "--aside", "budget")
        assert rest.out == f"{host} was neither held nor left alone; 2 requests queued again that stood aside\n"
        changed = await crawl("set", "s.crawl", host, "--budget", "0")
        assert changed.out == f"{host}: a budget of any number of requests\n"
        check_invariants(tmp_path / "s.crawl")
        assert (await crawl(*run(site))).code == 0
        assert sorted(site.paths) == ["/", "/a", "/b", "/gone", "/ill"]


async def test_a_larger_budget_queues_what_stood_aside_for_it(crawl: Crawl, tmp_path: Path) -> None:
    async with serve(Ward()) as site:
        host = f"127.0.0.1:{site.port}"
        await crawl(*run(site, "-s", "max_pages_per_host=2"))
        changed = await crawl("set", "s.crawl", host, "--budget", "0")
        assert changed.out == (
            f"{host}: a budget of any number of requests, 3 requests queued again that stood aside\n"
        )
        check_invariants(tmp_path / "s.crawl")


async def test_a_smaller_budget_holds_for_what_waits_already(crawl: Crawl, tmp_path: Path) -> None:
    async with serve(Ward()) as site:
        host = f"127.0.0.1:{site.port}"
        await crawl(*run(site, "--max-pages", "1"))
        changed = await crawl("set", "s.crawl", host, "--budget", "3")
        assert changed.out == f"{host}: a budget of 3 requests, 2 requests beyond it set aside\n"
        assert (await crawl(*run(site))).code == 0
        assert sorted(site.paths) == ["/", "/a", "/ill"]
        assert (await status(crawl))["urls"]["aside"] == 2
        check_invariants(tmp_path / "s.crawl")


async def test_how_a_host_is_treated_is_kept_and_can_be_taken_back(crawl: Crawl) -> None:
    async with serve(Ward()) as site:
        host = f"127.0.0.1:{site.port}"
        await crawl(*run(site, "--max-pages", "1"))
        told = await crawl("set", host, "--delay", "0.01", "--per-host", "1", "--budget", "10", "--priority", "3")
        assert told.out == (
            f"{host}: at least 0.01 s between two requests, at most 1 connection at once, a budget of 10 requests, "
            "priority 3 for 4 requests that wait\n"
        )
        row = json.loads((await crawl("hosts", "--json")).out)
        assert (row["delay"], row["per_host"], row["budget"]) == (0.01, 1, 10)
        assert "delay 0.01 s, per-host 1, budget 10" in (await crawl("hosts")).out
        told = await crawl("set", host, "--delay", "default", "--per-host", "default", "--budget", "default")
        assert told.out == f"{host}: no delay, no per-host, no budget of its own any more\n"
        row = json.loads((await crawl("hosts", "--json")).out)
        assert (row["delay"], row["per_host"], row["budget"]) == (None, None, None)


async def test_what_matters_more_goes_first(crawl: Crawl) -> None:
    """A pattern is of the whole path and query; only `*` stands for anything."""

    async def shop(visit: Visit) -> Reply:
        return page(visit.path, "/old/a_1?q=%25", "/old/a-1?q=x", "/new/1", "/new/2") if visit.path == "/" else page("")

    async with serve(shop) as site:
        host = f"127.0.0.1:{site.port}"
        await crawl(*run(site, "--max-pages", "1"))
        told = await crawl("set", host, "--priority", "5", "--path", "/new/*")
        assert told.out == f"{host}: priority 5 for 2 requests like /new/* that wait\n"
        told = await crawl("set", host, "--priority", "9", "--path", "/old/a_1?q=%*")
        assert told.out == f"{host}: priority 9 for 1 request like /old/a_1?q=%* that waits\n"
        assert (await crawl("set", host, "--priority", "9", "--path", "/new/")).out.startswith(
            f"{host}: priority 9 for 0"
        )
        assert (await crawl(*run(site, "--per-host", "1"))).code == 0
        assert site.paths == ["/", "/old/a_1?q=%25", "/new/1", "/new/2", "/old/a-1?q=x"]


async def test_orders_are_carried_out_by_the_next_run_if_nobody_did_before(crawl: Crawl, tmp_path: Path) -> None:
    """As when the crawl, or the command that gave the order, was killed in between."""
    async with serve(Ward()) as site:
        host = f"127.0.0.1:{site.port}"
        await crawl(*run(site, "--max-pages", "1"))
        with closing(sqlite3.connect(tmp_path / "s.crawl")) as db:
            order = "INSERT INTO instruction (at, what, argument) VALUES (1.0, ?, ?)"
            db.execute(order, ("hold", json.dumps({"host": host})))
            db.execute(order, ("dance", "{}"))
            db.execute(order, ("release", json.dumps({"aside": "no such reason"})))
            db.commit()
        assert (await crawl(*run(site))).code == 3
        assert site.paths == ["/"]
        with closing(sqlite3.connect(tmp_path / "s.crawl")) as db:
            answers = [answer for (answer,) in db.execute("SELECT answer FROM instruction ORDER BY id")]
        assert answers[0].startswith(f"{host} is held")
        assert [answer.partition(":")[0] for answer in answers[1:]] == ["refused", "refused"]


async def test_a_file_with_orders_that_nobody_can_carry_out_heals(crawl: Crawl, tmp_path: Path) -> None:
    """Such as an older version has written: it had no bounds, and failed of the order in each run from then on."""
    async with serve(Ward()) as site:
        host = f"127.0.0.1:{site.port}"
        await crawl(*run(site, "--max-pages", "1"))
        with closing(sqlite3.connect(tmp_path / "s.crawl")) as db:
            for poison in ({"priority": 10**20}, {"per_host": 10**20}, {"priority": 1, "path": "/" + "*a" * 30_000}):
                order = json.dumps({"host": host, **poison})
                db.execute("INSERT INTO instruction (at, what, argument) VALUES (1.0, 'set', ?)", (order,))
            db.commit()
        assert (await crawl("set", host, "--priority", "3")).out == f"{host}: priority 3 for 4 requests that wait\n"
        assert (await crawl(*run(site))).code == 0
        with closing(sqlite3.connect(tmp_path / "s.crawl")) as db:
            answers = [answer for (answer,) in db.execute("SELECT answer FROM instruction ORDER BY id")]
        assert [answer.split(": ")[0] for answer in answers] == ["refused", "refused", "refused", host]


async def test_an_order_that_raises_is_refused_and_disturbs_nothing(crawl: Crawl, tmp_path: Path) -> None:
    """Orders are checked as they are read from the file, so this one never was there."""
    async with serve(Ward()) as site:
        await crawl(*run(site, "--max-pages", "1"))
        frontier = await SqliteFrontier.open(tmp_path / "s.crawl", spider=None)
        order = Change(host=f"127.0.0.1:{site.port}", priority=10**20)
        assert (await Steering(frontier)._answer(order)).startswith("refused: OverflowError: ")
        await frontier.close()
        assert (await crawl(*run(site))).code == 0
        check_invariants(tmp_path / "s.crawl")


async def test_an_order_at_rest_is_no_run(crawl: Crawl) -> None:
    async with serve(Ward()) as site:
        await crawl(*run(site))
        before = await status(crawl)
        await crawl("hold", "s.crawl", f"127.0.0.1:{site.port}")
        now = await status(crawl)
        assert now.pop("paces")[0]["held"]
        del before["paces"]
        assert now == before


async def test_a_mistake_is_one_clear_message_and_changes_nothing(crawl: Crawl) -> None:
    async with serve(Ward()) as site:
        await crawl(*run(site))
        host = f"127.0.0.1:{site.port}"
        mistakes = {
            ("hold",): "error: HOST is missing",
            ("hold", "s.crawl"): "error: HOST is missing",
            ("release",): "error: say what to release: HOST after the crawl file, or --aside REASON, or --url URL",
            ("release", "s.crawl"): "error: say what to release: HOST",
            ("hold", "s.crawl", host[:-1]): f"error: nothing was found on a host {host[:-1]}; did you mean {host}?",
            ("hold", "t.crawl", host): "error: there is no crawl file t.crawl; there is: s.crawl",
            ("hold", "out.jsonl", host): "error: out.jsonl is not a crawl file",
            ("set", "s.crawl", host): "error: say what to set: --delay, --per-host, --budget or --priority",
            ("set", "s.crawl", host, "--delay", "-1"): "'-1' is neither a number from 0 to 86,400 nor 'default'",
            ("set", "s.crawl", host, "--delay", "inf"): "'inf' is neither a number from 0 to 86,400 nor 'default'",
            ("set", "s.crawl", host, "--delay", "nan"): "'nan' is neither a number from 0 to 86,400 nor 'default'",
            ("set", "s.crawl", host, "--per-host", "1001"): "'1001' is neither a number from 0 to 1,000 nor 'default'",
            ("set", "s.crawl", host, "--budget", "9" * 20): "is neither a number from 0 to 1,000,000,000,000",
            ("set", "s.crawl", host, "--priority", "9" * 20): "is not in the range -1000000000<=x<=1000000000",
            ("set", "s.crawl", host, "--priority=-" + "9" * 20): "is not in the range -1000000000<=x<=1000000000",
            (
                "set",
                "s.crawl",
                host,
                "--priority",
                "1",
                "--path",
                "/" + "a" * 2048,
            ): "error: --path has 2,049 characters",
            ("set", "s.crawl", host, "--per-host", "0"): "to fetch nothing, hold the host",
            ("set", "s.crawl", host, "--path", "/new/*"): "error: --path says which requests --priority is for",
            ("set", "s.crawl", host, "--priority", "1", "--path", "new"): "and begins with / or *",
            ("retry", "s.crawl", "--status", "oops"): "error: --status oops: write a status, such as 503",
            ("retry", "s.crawl", "--failed", "--status", "500"): "error: --failed means all failures",
        }
        before = await status(crawl)
        for arguments, message in mistakes.items():
            ended = await crawl(*arguments)
            assert ended.code == 2, ended
            assert message in ended.err
            assert "Traceback" not in ended.err
        assert await status(crawl) == before
