"""Crawls over HTTP/2: the same pages, over one connection a host."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
import trustme
from msgspec.structs import replace

from crawler import Settings
from crawler.errors import UsageError
from spiders.site import SiteSpider
from tests.crawler.test_crawl import crawl, items
from tests.servers.nginx import Nginx, find_nginx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGES = 30


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nginx]:
    """A site over TLS, by an authority that this process trusts, and those that it starts."""
    if find_nginx() is None:
        pytest.skip("nginx is not installed")
    root, folder = tmp_path / "root", tmp_path / "nginx"
    root.mkdir()
    folder.mkdir()
    links = "".join(f'<a href="/{number}.html">.</a>' for number in range(PAGES))
    for number in range(PAGES):
        (root / f"{number}.html").write_text(f"<title>{number}</title>{links}")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "certificate.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))
    with Nginx(root, folder, tls=(folder / "certificate.pem", folder / "certificate.pem")) as nginx:
        yield nginx


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_site_is_crawled(processes: int, site: Nginx, tmp_path: Path) -> None:
    """robots.txt and all pages go over one connection of each process that fetches, as many at a time as ever."""
    settings = Settings(http2=True, processes=processes, per_host=8, retry_wait=0.01, commit_interval=0.01)
    report = await crawl(tmp_path, SiteSpider(start_urls=[f"{site.url}0.html"]), settings)
    assert report.finished
    site.stop()
    assert sorted(int(item["title"]) for item in items(tmp_path)) == list(range(PAGES))
    asked = site.journal()
    assert {seen.request.rpartition(" ")[2] for seen in asked} == {"HTTP/2.0"}
    assert len({seen.connection for seen in asked}) <= processes + 1
    assert len(asked) == PAGES + 1


@pytest.mark.parametrize("processes", [1, 2])
async def test_what_has_not_changed_is_not_sent_again(processes: int, site: Nginx, tmp_path: Path) -> None:
    """nginx knows of both kinds of validators; it sends none with a 304 that it does not with a 200."""
    settings = Settings(http2=True, processes=processes, retry_wait=0.01, commit_interval=0.01, keep_bodies=True)
    for night in ("1", "2"):
        (tmp_path / night).mkdir()
        report = await crawl(tmp_path / night, SiteSpider(start_urls=[f"{site.url}0.html"]), settings)
        settings = replace(settings, revalidate=str(tmp_path / night / "test.crawl"))
    assert report.stats.not_modified == PAGES
    site.stop()
    assert [seen.status for seen in site.journal() if seen.target != "/robots.txt"] == [200] * PAGES + [304] * PAGES
    assert items(tmp_path / "1") != []
    assert sorted(items(tmp_path / "1"), key=str) == sorted(items(tmp_path / "2"), key=str)


async def test_it_is_not_spoken_unless_asked_for(site: Nginx, tmp_path: Path) -> None:
    settings = Settings(retry_wait=0.01, commit_interval=0.01, max_pages=3)
    await crawl(tmp_path, SiteSpider(start_urls=[f"{site.url}0.html"]), settings)
    site.stop()
    assert {seen.request.rpartition(" ")[2] for seen in site.journal()} == {"HTTP/1.1"}


async def test_a_missing_package_is_named_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "client.sharing", None)
    settings = replace(Settings(), http2=True)
    with pytest.raises(UsageError, match=r"setting http2: .*pip install 'nephila\[http2\]'"):
        await crawl(tmp_path, SiteSpider(start_urls=["https://127.0.0.1:9/"]), settings)
