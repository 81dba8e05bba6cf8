"""The client's documentation is the code's: every name, parameter and default is there, and the programs run."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import client
from tests.client.reference.servers.nginx import BLOB
from tests.client.reference.servers.proxies import LOGIN, PASSWORD
from tests.client.reference.table import (
    ATTRIBUTES,
    CLASSES,
    DEPRECATED,
    ERRORS,
    FUNCTIONS,
    MODULES,
    NEW_TYPES,
    NOT_GIVEN,
    PARAMETERS,
    REQUIRED,
    SIGNALS,
    TYPES,
    VALUES,
)
from tests.servers.dns import serving_dns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.client.reference.servers.certificates import Certificates
    from tests.client.reference.servers.nginx import Addresses
    from tests.client.reference.servers.proxies import Proxy
    from tests.servers.dns import DnsServer

DOCS = Path(__file__).parents[3] / "docs" / "client"
REFERENCE = (DOCS / "reference.md").read_text(encoding="utf-8")

ELSEWHERE = {"MultiDict", "MultiDictProxy", "CIMultiDict"}
"""Classes whose documentation is another package's."""

VERBS = {f"ClientSession.{verb}" for verb in ("get", "options", "head", "post", "put", "patch", "delete")}
"""Their parameters are those of `ClientSession.request`."""


def _sections() -> dict[str, str]:
    """What stands below each heading, up to the next one."""
    parts = re.split(r"^## (.*)$", REFERENCE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


SECTIONS = _sections()


def _rows(section: str) -> list[list[str]]:
    """The cells of a section's tables."""
    lines = re.findall(r"^\| (.*) \|$", SECTIONS[section], re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def _row(section: str, name: str) -> list[str]:
    """The one row that begins with a name."""
    (row,) = [row for row in _rows(section) if row[0] == f"`{name}`" and len(row) == 3]
    return row


def _spans(section: str) -> set[str]:
    """The names that are set as code in a section, without what follows them."""
    spans = re.findall(r"`([^`]+)`", SECTIONS[section])
    bare = (span.removeprefix("await ").removeprefix(f"{section}.") for span in spans)
    return {re.split(r"[(=: ]", span)[0] for span in bare}


# -- nothing is missing


def test_every_public_name_occurs() -> None:
    for name in (*CLASSES, *NEW_TYPES, *TYPES, *MODULES, *FUNCTIONS, *VALUES, *ERRORS, *SIGNALS.values()):
        assert re.search(rf"`{name}\b", REFERENCE) or name in SECTIONS, name


@pytest.mark.parametrize(
    ("function", "name", "default"),
    [(owner, *item) for owner, some in PARAMETERS.items() if owner not in VERBS for item in some.items()],
)
def test_every_parameter_is_listed_with_its_default(function: str, name: str, default: object) -> None:
    if function == "request" and name in PARAMETERS["ClientSession.request"] and default is not REQUIRED:
        function = "ClientSession.request"  # which is referred to
    _, written, meaning = _row(function, name)
    if default is REQUIRED:
        assert written == "required"
    elif default is NOT_GIVEN:
        assert written == "`...`"
    else:
        assert eval(written.strip("`"), {**vars(client), "json": json}) == default
    assert ("Deprecated" in meaning) is (f"{function}({name})" in DEPRECATED)


@pytest.mark.parametrize("name", sorted(set(CLASSES) - ELSEWHERE))
def test_every_public_member_is_described(name: str) -> None:
    kind = getattr(client, name)
    inherited = {*dir(tuple), *dir(int)}
    if name in ("TCPConnector", "UnixConnector"):
        inherited |= set(dir(client.BaseConnector))  # whose section is referred to
    members = {member for member in dir(kind) if not member.startswith("_")} - inherited
    assert members | set(ATTRIBUTES.get(name, ())) <= _spans(name)


@pytest.mark.parametrize("name", sorted(set(CLASSES) - ELSEWHERE))
def test_no_member_is_described_that_is_not_there(name: str) -> None:
    kind = getattr(client, name)
    for members in (row[0] for row in _rows(name) if len(row) == 2):
        for span in re.findall(r"`([^`]+)`", members):
            member = re.split(r"[(=]", span.removeprefix("await "))[0]
            assert hasattr(kind, member) or f"self.{member}" in inspect.getsource(kind) or member in ATTRIBUTES[name]


@pytest.mark.parametrize(("name", "bases"), ERRORS.items())
def test_every_error_is_listed_with_its_bases(name: str, bases: tuple[str, ...]) -> None:
    _, listed, _ = _row("Errors", name)
    assert [base.rpartition(".")[2] for base in re.findall(r"`([^`]+)`", listed)] == list(bases)


@pytest.mark.parametrize(("name", "params"), SIGNALS.items())
def test_every_signal_is_listed_with_what_it_carries(name: str, params: str) -> None:
    _, carries, _ = _row("TraceConfig", name)
    kind, *fields = re.findall(r"`([^`]+)`", carries)
    assert kind == params
    assert fields == list(inspect.signature(getattr(client, params)).parameters)


def test_the_quick_start_leads_to_the_reference() -> None:
    assert "reference.md" in (DOCS / "quickstart.md").read_text(encoding="utf-8")


# -- the programs run


def _programs() -> Iterator[Any]:
    for page in ("quickstart.md", "recipes.md", "proxies.md", "websockets.md"):
        text = (DOCS / page).read_text(encoding="utf-8")
        for found in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, found.start()) + 1
            yield pytest.param(found[1], id=f"{page}:{line}")


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    async with serving_dns("named.example. 60 IN A 127.0.0.1") as server:
        yield server


@pytest.mark.parametrize("program", list(_programs()))
async def test_every_program_runs(
    program: str,
    httpbin: str,
    nginx: Addresses,
    certificates: Certificates,
    asgi: str,
    tinyproxy: Proxy,
    microsocks: Proxy,
    dns: DnsServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("authority.pem").write_bytes(certificates.authority.read_bytes())
    for example, real in (
        ("https://httpbin.example/", httpbin),
        ("https://site.example/", nginx.plain),
        ("http://site.example/", nginx.plain),
        ("https://secure.example/", nginx.right),
        ("https://expired.example/", nginx.expired),
        ("https://upload.example/", asgi),
        ("https://api.example/", asgi),
        ("wss://chat.example/", asgi.replace("http", "ws")),
        ("proxy.example:3128", f"127.0.0.1:{tinyproxy.port}"),
        ("socks.example:1080", f"127.0.0.1:{microsocks.port}"),
        ("http://named.example/", nginx.plain.replace("127.0.0.1", "named.example")),
        ("192.0.2.53", dns.address),
        ("opensesame", PASSWORD),
        ("somebody", LOGIN),
    ):
        program = program.replace(example, real)
    assert ".example/" not in program
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(compile(program, "example", "exec"), namespace)
    await namespace["main"]()
    assert capsys.readouterr().out


@pytest.mark.parametrize(
    ("kept", "is_current"),
    [(1000, True), (len(BLOB), True), (1000, False)],
    ids=["part", "whole", "part of another version"],
)
async def test_a_download_resumes_as_shown(nginx: Addresses, tmp_path: Path, kept: int, is_current: bool) -> None:
    text = (DOCS / "recipes.md").read_text(encoding="utf-8")
    (program,) = (
        block for block in re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S) if "def download" in block
    )
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(compile(program, "example", "exec"), namespace)
    file = tmp_path / "blob.bin"
    async with client.ClientSession() as session:
        async with session.head(f"{nginx.plain}blob.bin") as response:
            version = response.headers["ETag"]
        file.write_bytes(BLOB[:kept] if is_current else bytes(kept))
        Path(f"{file}.etag").write_text(version if is_current else '"another"', encoding="utf-8")
        await namespace["download"](session, f"{nginx.plain}blob.bin", file)
    assert file.read_bytes() == BLOB
    assert Path(f"{file}.etag").read_text(encoding="utf-8") == version
