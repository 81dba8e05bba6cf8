"""All settings of a crawl, typed, checked and documented, and where their values come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct

from crawler.errors import SettingError
from crawler.paths import expanded

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.spider import Spider

_MOST = 1 << 53
_LONGEST = 1e9
"""Nobody needs values beyond these bounds, and clocks and SQLite cannot hold all of them, such as infinity."""

_OF_ONE_REQUEST = {"connection", "content-length", "content-type", "host", "transfer-encoding"}

Count = Annotated[int, Meta(ge=1, le=_MOST)]
Limit = Annotated[int, Meta(ge=0, le=_MOST)]
Seconds = Annotated[float, Meta(ge=0, le=_LONGEST)]
PositiveSeconds = Annotated[float, Meta(gt=0, le=_LONGEST)]
Bytes = Annotated[int, Meta(ge=1, le=_MOST)]

DEFAULT_USER_AGENT = "nephila/0.1"


class Settings(Struct, frozen=True, kw_only=True):
    """How to crawl. Durations are in seconds, sizes in bytes.

    Later sources override earlier ones: these defaults; `[tool.crawl]` in pyproject.toml; the environment (`CRAWL_` and the name in
    capitals); the spider's `settings`; the command line.
    """

    # how much at once
    concurrency: Count = 64
    """Requests in flight at once, over all hosts, not counting those that linger."""
    lingering: Limit = 4
    """This many times `concurrency` requests may linger in addition: those that take much longer than usual. 0: none."""
    per_host: Count = 2
    """Connections to one host at once."""
    active_hosts: Count = 10_000
    """Hosts that take turns at once; others wait in the crawl file, and take no memory."""
    delay: Seconds = 0.0
    """Minimum time between two request starts to one host."""
    adaptive: bool = True
    """Slow down for hosts that ask for it, fail or become slow; then speed up again in steps (crawler/hosts/pace.py)."""
    max_delay: PositiveSeconds = 5.0
    """The longest time between two request starts that `adaptive` sets by itself."""
    per_ip: Limit = 8
    """Connections at once to all hosts at one public address; 0: no limit."""
    ip_delay: Seconds = 0.0
    """Minimum time between two request starts to all hosts at one public address."""

    processes: Count = 1
    """How many processes fetch pages and run the spider's callbacks; if more than one, another process manages the crawl."""

    # how far
    max_pages: Limit = 0
    """Stop once the crawl has fetched this many pages in all its runs; it can be resumed. 0: never."""
    max_pages_per_host: Limit = 0
    """Admit at most this many requests of each host, and set aside the others. 0: no limit."""
    max_depth: Limit = 0
    """Follow links at most this many steps from a seed; 0: no limit."""
    max_time: Seconds = 0.0
    """Stop a run after this time; it can be resumed. 0: never."""

    # traps: what looks like one is set aside; 0 turns a check off
    traps: bool = True
    """Set aside what looks like part of a trap."""
    trap_repeats: Limit = 3
    """How often a sequence of path segments may repeat in a row, or a parameter occur in a query."""
    trap_url_length: Limit = 2048
    """How many characters a URL may have."""
    trap_dates: Limit = 1000
    """How many pages in a row whose URLs end in dates may lead only to further dates."""
    trap_steps: Limit = 5000
    """How many steps in a row, from page to page of one pattern, may lead to nothing else."""
    trap_copies: Limit = 50
    """How many pages in a row that differ only in their queries may be copies of others; how often a page may lead to itself."""
    trap_pattern: Limit = 0
    """How many links of one pattern a run admits; URLs of a host share one if they differ only in digits and query values."""

    # manners
    user_agent: Annotated[str, Meta(min_length=1)] = DEFAULT_USER_AGENT
    headers: dict[str, str] = {}
    """Sent with every request, to every host; headers of the request itself take precedence."""
    robots: bool = True
    """Fetch robots.txt and obey it (RFC 9309)."""
    nofollow: bool = True
    """Follow links marked `nofollow` only where a spider asks for them by name. Only with `robots`, as these are rules for robots."""
    canonical: bool = True
    """Treat a page's canonical URL as another name of that page, if that is plausible."""
    redirect_aliases: bool = True
    """Treat a URL that redirects to an already known one as another name of it, and do not fetch the page again."""
    sitemaps: bool = False
    """Follow the sitemaps that robots.txt files name. Needs `robots`, which fetches those files."""
    max_crawl_delay: Seconds = 60.0
    """The longest Crawl-delay of a robots.txt that is obeyed in full; longer ones are cut to this."""
    allow_private: bool = False
    """Allow pages of public hosts to lead to private, loopback and link-local addresses."""

    # protocols and proxies
    http2: bool = False
    """Use HTTP/2 with hosts that choose it, over TLS; needs the package h2 (`nephila[http2]`), and more CPU."""
    proxy: str | None = None
    """The URL of a proxy for all requests (http, https, socks5h, socks5, socks4a, socks4); None, or an empty text: no proxy."""
    no_proxy: str = ""
    """Hosts to reach without the proxy, separated by commas: names (including subdomains), addresses, networks; with or without a port."""

    # patience
    connect_timeout: PositiveSeconds = 15.0
    read_timeout: PositiveSeconds = 30.0
    """The longest time without any data of a response."""
    total_timeout: PositiveSeconds = 180.0
    """The longest time that one request may take in total."""
    max_attempts: Count = 3
    """How often a request is tried before it has failed."""
    retry_wait: PositiveSeconds = 2.0
    """The wait before the second attempt is random between 0 and this; the bound doubles with each further attempt (full jitter)."""
    max_retry_wait: PositiveSeconds = 300.0
    """The longest wait before an attempt, even if a Retry-After asks for more."""
    rest_after: Count = 5
    """After this many consecutive failures to reach a host, it rests for a while, and again after each further failure."""
    rest_wait: PositiveSeconds = 2.0
    """A host's first rest is random between 0 and this; the bound doubles with each further rest (full jitter), up to `max_retry_wait`."""
    max_rests: Limit = 6
    """After this many rests without an answer, or a third of them if the host has never answered, its queued requests are set aside."""
    max_redirects: Limit = 10
    drain_timeout: Seconds = 10.0
    """How long a stop waits for requests in flight."""

    # bounds
    max_body_bytes: Bytes = 32 * 1024 * 1024
    """A request fails if its decoded body is larger than this; a sitemap may have 50 MiB."""
    parse_thread_bytes: Bytes = 256 * 1024
    """HTML of at least this size is parsed in a thread beside the event loop."""
    commit_pages: Count = 256
    """Once this many pages are settled, they are committed at once."""
    commit_interval: PositiveSeconds = 0.25
    """The longest time that a settled page waits for the next group commit."""
    remembered: Count = 1 << 21
    """How many of the requests that were found are kept in memory, at about 50 bytes each; older ones are looked up in the crawl file."""

    # keeping
    keep_bodies: bool = False
    """Keep the headers and the body of each page in the crawl file, compressed, so that the crawl can be replayed."""
    revalidate: str | None = None
    """The file of an earlier crawl: pages that it kept are fetched only if they have changed since. None, or an empty text: none."""

    def __repr__(self) -> str:
        """Hide the proxy's password."""
        values = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return f"Settings({', '.join(f'{name}={_shown(name, value)!r}' for name, value in values)})"


NAMES = frozenset(Settings.__struct_fields__)


def with_overrides(settings: Settings, values: Mapping[str, Any], *, source: str) -> Settings:
    """`settings`, overridden by `values`; strings are converted. Raises SettingError, which names the setting, its value and `source`."""
    if not values:
        return settings
    if not isinstance(values, Mapping):
        raise SettingError(f"{source} must be a mapping of names to values, not {values!r}")
    merged = {name: getattr(settings, name) for name in NAMES}
    for key, value in values.items():
        name = f"{key}".replace("-", "_")
        if name not in NAMES:
            raise SettingError(f"{source}: there is no setting {key!r}{_suggestion(name)}")
        merged[name] = _decoded(value) if name == "headers" else value
        if isinstance(value, str) and not _is_sendable(value):
            shown = _shown(name, value)
            raise SettingError(f"{source}: {name} = {shown!r}: it is not valid text in this locale")
    try:
        converted = msgspec.convert(merged, Settings, strict=False)
    except msgspec.ValidationError as error:
        name = str(error).rpartition("$.")[2].rstrip("`").partition("[")[0]
        shown = _shown(name, merged.get(name))
        raise SettingError(f"{source}: {name} = {shown!r}: it takes {_taken(name)}") from None
    if converted.headers:
        _check_headers(converted.headers, source)
    if converted.proxy:
        _check_proxy(converted.proxy, source)
    if not converted.user_agent.isprintable():
        raise SettingError(f"{source}: user_agent = {converted.user_agent!r}: it must be one line of plain text")
    return converted


def _decoded(value: object) -> object:
    """A table; on the command line and in the environment, it is written as JSON."""
    try:
        return msgspec.json.decode(value) if isinstance(value, str) else value
    except msgspec.DecodeError:
        return value  # not a table either, and refused as such


def _check_headers(headers: Mapping[str, str], source: str) -> None:
    from crawler.request import checked_headers

    try:
        checked_headers(headers)
    except ValueError as error:
        raise SettingError(f"{source}: headers = {headers!r}: {error}") from None
    names = {name.lower() for name in headers}
    if "user-agent" in names:
        raise SettingError(f"{source}: headers = {headers!r}: set user_agent instead, which robots.txt goes by too")
    if wrong := sorted(names & _OF_ONE_REQUEST):
        raise SettingError(f"{source}: headers = {headers!r}: {wrong[0]} differs with each request")


def _check_proxy(proxy: str, source: str) -> None:
    from client import InvalidURL
    from client.proxies import Proxy

    try:
        Proxy.of(proxy)
    except ValueError as error:
        reason = error.description if isinstance(error, InvalidURL) else error
        raise SettingError(f"{source}: proxy = {_shown('proxy', proxy)!r}: {reason}") from None


def _shown(name: str, value: object) -> object:
    """A value that others may read: without a proxy's credentials."""
    if name != "proxy" or value is None:
        return value
    from client.proxies import without_credentials

    return without_credentials(f"{value}")


def checked(settings: Settings) -> Settings:
    """Check settings made in Python, whose constructor checks nothing. Raises SettingError."""
    values = {name: getattr(settings, name) for name in NAMES}
    return with_overrides(Settings(), values, source="Settings")


def settings_for(spider: Spider, given: Settings | Mapping[str, Any] | None) -> Settings:
    """The settings of a crawl: a `Settings` as it is given; otherwise the defaults, overridden by the spider's, overridden by what is
    given."""
    if isinstance(given, Settings):
        return _at_home(checked(given))
    own = with_overrides(Settings(), spider.settings, source=f"settings of {type(spider).__name__}")
    return _at_home(with_overrides(own, given or {}, source="the settings of the crawl"))


def _at_home(settings: Settings) -> Settings:
    """With absolute paths: other processes, and a spider that changes the current folder, must find the same files."""
    if not settings.revalidate:
        return settings
    return msgspec.structs.replace(settings, revalidate=str(expanded(settings.revalidate).absolute()))


def _taken(name: str) -> str:
    """What a setting takes, in words."""
    from msgspec import inspect  # needed only for a mistake

    described = inspect.type_info(Settings)
    assert isinstance(described, inspect.StructType)
    (kind,) = (field.type for field in described.fields if field.name == name)
    match kind:
        case inspect.BoolType():
            return "true or false"
        case inspect.DictType():
            return """a table of texts, such as {"Accept-Language": "de"}"""
        case inspect.IntType(ge=least):
            return f"a whole number from {least}"
        case inspect.FloatType(ge=None):
            return f"a number above 0, {_LONGEST:,.0f} at most"
        case inspect.FloatType():
            return f"a number from 0 to {_LONGEST:,.0f}"
    return "a text" if name in {"proxy", "no_proxy", "revalidate"} else "a text that is not empty"


def from_project(settings: Settings, folder: Path) -> Settings:
    """With `[tool.crawl]` of the pyproject.toml in `folder`, or the nearest one above it."""
    for place in (folder, *folder.parents):
        path = place / "pyproject.toml"
        if path.is_file():
            import tomllib

            try:
                tools = tomllib.loads(path.read_text(encoding="utf-8")).get("tool")
            except (OSError, ValueError, RecursionError) as error:
                raise SettingError(f"{path} cannot be read: {error}") from None
            table = tools.get("crawl", {}) if isinstance(tools, dict) else {}
            if not isinstance(table, dict):
                raise SettingError(f"{path}: tool.crawl = {table!r}: it must be a table of settings, [tool.crawl]")
            return with_overrides(settings, table, source=f"[tool.crawl] in {path}")
    return settings


def from_environment(settings: Settings, environment: Mapping[str, str]) -> Settings:
    """With the variables named `CRAWL_` and a setting's name in capitals; any other name is an error."""
    values = {key[len("CRAWL_") :].lower(): value for key, value in environment.items() if key.startswith("CRAWL_")}
    return with_overrides(settings, values, source="the environment (CRAWL_*)")


def _is_sendable(text: str) -> bool:
    """Whether a text can be encoded as UTF-8: the system may pass any bytes, as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _suggestion(name: str) -> str:
    from difflib import get_close_matches

    name = name.lower()
    if "pipeline" in name:  # Scrapy's `ITEM_PIPELINES`
        return "; what is kept of items is said by the spider's method keep_item(item, page)"
    within = [one for one in sorted(NAMES, key=len) if one in name]  # other crawlers' `DOWNLOAD_DELAY`, say
    close = within[-1:] or get_close_matches(name, NAMES, n=1)
    return f"; did you mean {close[0]!r}?" if close else "; docs/settings.md lists them all"
