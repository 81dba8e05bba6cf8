"""The servers, each started when first asked for, once for all tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.client.reference.servers import proxies
from tests.client.reference.servers.asgi import asgi as run_asgi
from tests.client.reference.servers.certificates import Certificates
from tests.client.reference.servers.daemon import find
from tests.client.reference.servers.httpbin import httpbin as run_httpbin
from tests.client.reference.servers.nginx import nginx as run_nginx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.client.reference.servers.nginx import Addresses
    from tests.client.reference.servers.proxies import Proxy


def _need(program: str, package: str) -> None:
    if find(program) is None:
        pytest.skip(f"not installed here: {package}")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.issue(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates, asgi: str) -> Iterator[Addresses]:
    _need("nginx", "nginx-light")
    with run_nginx(tmp_path_factory.mktemp("nginx"), certificates, asgi) as addresses:
        yield addresses


@pytest.fixture(scope="session")
def asgi() -> Iterator[str]:
    """The URL of the ASGI server, with a slash at the end."""
    with run_asgi() as url:
        yield url


@pytest.fixture(scope="session")
def httpbin() -> Iterator[str]:
    """The URL of httpbin, with a slash at the end."""
    with run_httpbin() as url:
        yield url


@pytest.fixture(scope="session")
def tinyproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    _need("tinyproxy", "tinyproxy-bin")
    with proxies.tinyproxy(tmp_path_factory.mktemp("tinyproxy")) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def microsocks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    _need("microsocks", "microsocks")
    with proxies.microsocks(tmp_path_factory.mktemp("microsocks")) as proxy:
        yield proxy
