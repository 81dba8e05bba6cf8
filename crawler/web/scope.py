"""Which URLs belong to a crawl."""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Any, TypeAlias

from msgspec import Struct

from client.origin import HostKey
from crawler.errors import InvalidUrl, SettingError
from crawler.web.urls import host_of, normalize

Pattern: TypeAlias = str | re.Pattern[str]
"""A pattern of URLs. A string that starts with a slash is the beginning of path and query, as in robots.txt, where `*` stands for any
characters, and `$` at the end for the end; any other is a regular expression, searched for anywhere in the canonical URL."""


class _Patterns(Struct, frozen=True):
    """Patterns, by kind; `words` are the patterns as they were given."""

    words: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    expressions: tuple[re.Pattern[str], ...] = ()

    @classmethod
    def of(cls, patterns: Iterable[Pattern], name: str) -> _Patterns:
        words, prefixes, expressions = [], [], []
        for pattern in _listed(patterns, name):
            words.append(pattern if isinstance(pattern, str) else pattern.pattern)
            if isinstance(pattern, str) and pattern.startswith("/"):
                path = normalize(f"http://h{pattern}").removeprefix("http://h")
                if "*" in path or path.endswith("$"):
                    expressions.append(_shape(path))
                else:
                    prefixes.append(path)
            else:
                expressions.append(_compiled(pattern, name))
        return cls(tuple(words), tuple(prefixes), tuple(expressions))

    def spelt(self) -> list[str]:
        """The same patterns, as strings only."""
        return [*self.prefixes, *map(_spelt, self.expressions)]

    def match(self, url: str) -> bool:
        path = url[url.index("/", len("https://")) :]
        return path.startswith(self.prefixes) or any(expression.search(url) for expression in self.expressions)


class Scope(Struct, frozen=True, kw_only=True):
    """The URLs that belong to a crawl: those on its hosts, as far as `allow` and `deny` admit them. Made by `of`.

    What `deny` matches is out in any case; if there is an `allow`, only what it matches is in.
    """

    hosts: AbstractSet[HostKey] = frozenset()
    domains: frozenset[str] = frozenset()
    anywhere: bool = False
    allow: _Patterns = _Patterns()
    deny: _Patterns = _Patterns()

    @classmethod
    def of(
        cls,
        seeds: Iterable[str] = (),
        *,
        hosts: Iterable[str] = (),
        domains: Iterable[str] = (),
        anywhere: bool = False,
        allow: Iterable[Pattern] = (),
        deny: Iterable[Pattern] = (),
    ) -> Scope:
        """The hosts of the seeds, these `hosts` (`name`, or `name:port` if the port is not the default), and these `domains` with
        everything below them, on every port unless one is given; with `anywhere`, all hosts.

        http and https on one name are one host. So are `example.org` and `www.example.org` if either is a seed's: many sites send
        visitors from one to the other.

        Raises SettingError, naming the value, for an invalid host, domain or pattern, and InvalidUrl for an invalid seed.
        """
        own = {twin for seed in seeds for twin in with_twin(host_of(normalize(seed)))}
        return cls(
            hosts=frozenset(own.union(_host(host, "hosts") for host in _listed(hosts, "hosts"))),
            domains=frozenset(_host(domain, "domains") for domain in _listed(domains, "domains")),
            anywhere=anywhere,
            allow=_Patterns.of(allow, "allow"),
            deny=_Patterns.of(deny, "deny"),
        )

    @classmethod
    def parse(cls, value: Any) -> Scope:
        """What a spider's `scope` means: "any" for every host, a list of domains, a Scope, or None for nothing but the hosts of the
        seeds, which the crawl adds in any case (`crawler.selection.admission`). Raises SettingError for anything else.
        """
        if isinstance(value, Scope):
            return value
        if value == "any":
            return cls.of(anywhere=True)
        if value is None or (isinstance(value, Iterable) and not isinstance(value, str)):
            return cls.of(domains=value or ())
        raise SettingError(f'scope = {value!r}: write None, "any", a list of domains, or a Scope')

    def described(self) -> dict[str, Any]:
        """The arguments with which `of` makes this scope again, as JSON can hold them."""
        return {
            "hosts": sorted(self.hosts),
            "domains": sorted(self.domains),
            "anywhere": self.anywhere,
            "allow": self.allow.spelt(),
            "deny": self.deny.spelt(),
        }

    def admits(self, url: str) -> bool:
        """Whether this canonical URL belongs to the crawl."""
        host = url.split("/", 3)[2]
        if not (host in self.hosts or self.anywhere or (self.domains and self._in_domains(host))):
            return False
        if self.deny.words and self.deny.match(url):
            return False
        return not self.allow.words or self.allow.match(url)

    def why_not(self, url: str) -> str | None:
        """Why this canonical URL does not belong to the crawl, in words; None if it does."""
        if self.admits(url):
            return None
        if self.deny.words and self.deny.match(url):
            return f"it matches what is denied: {_quoted(self.deny.words)}"
        host = host_of(url)
        if host in self.hosts or self.anywhere or self._in_domains(host):
            return f"it matches nothing of what is allowed: {_quoted(self.allow.words)}"
        of_domains = f" or the domains {_quoted(self.domains)}" if self.domains else ""
        return f"{host} is not of the hosts {_quoted(self.hosts)}{of_domains}"

    def _in_domains(self, host: str) -> bool:
        name, _, port = (host, "", "") if host.endswith("]") or ":" not in host else host.rpartition(":")
        while name:
            if name in self.domains or f"{name}:{port}" in self.domains:
                return True
            name = name.partition(".")[2]
        return False


def _listed(values: Iterable[Any], name: str) -> Iterable[Any]:
    if isinstance(values, str):
        raise SettingError(f"{name} = {values!r}: write a list, [{values!r}]")
    return values


def _host(text: Any, name: str) -> HostKey:
    """The host key of a host name, in any script and case, with or without a port."""
    if not isinstance(text, str):
        raise SettingError(f"{name}: {text!r} is not text")
    if "/" in text or "@" in text:
        raise SettingError(f"{name}: {text!r} is more than a name; write the host alone, such as 'example.org'")
    try:
        return host_of(normalize(f"http://{text.removeprefix('*.')}/"))
    except InvalidUrl:
        raise SettingError(f"{name}: {text!r} is not a host name") from None


def with_twin(host: HostKey) -> Iterable[HostKey]:
    """A host, and the other name that many sites have: the same with `www.`, or without."""
    yield host
    last_label = host.rpartition(".")[2]
    if last_label == host or last_label[:1].isdigit():  # localhost, an IP address
        return
    bare = host.removeprefix("www.")
    yield HostKey(f"www.{host}" if bare == host else bare)


def _shape(path: str) -> re.Pattern[str]:
    """The expression for a path with `*`. What is between stars is searched for from left to right, and only its first place counts
    (`(?>`): a later place leaves less for what follows. Trying each place, as `.*` does, takes ages with a few stars and a long URL."""
    is_whole = path.endswith("$")
    start, *further = map(re.escape, path.removesuffix("$").split("*"))
    last = f".*{further.pop()}" if is_whole and further else ""
    found = "".join(f"(?>.*?{part})" for part in further)
    return re.compile(f"^https?://[^/]+{start}{found}{last}" + (r"\Z" if is_whole else ""))


def _compiled(pattern: Pattern, name: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise SettingError(f"{name}: {pattern!r} is not a regular expression: {error}") from None


def _spelt(expression: re.Pattern[str]) -> str:
    letters = {re.ASCII: "a", re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s", re.VERBOSE: "x"}
    flags = "".join(letter for flag, letter in letters.items() if expression.flags & flag)
    if flags or expression.pattern.startswith("/"):
        return f"(?{flags}:{expression.pattern})"
    return expression.pattern


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))
