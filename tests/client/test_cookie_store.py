"""The jar against a naive one: a plain list, searched from end to end by the wording of RFC 6265bis."""

import gc
from dataclasses import dataclass, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from yarl import URL

from client.cookie_store import Cookie
from client.cookies import CookieJar
from client.set_cookie import default_path, parse_set_cookie, path_matches

# A small world, so that cookies often meet: the same names on hosts that are each other's parents.
HOSTS = ["example.com", "a.example.com", "b.a.example.com", "1.2.3.4"]
PUBLIC_SUFFIXES = {"com"}
PATHS = ["", "/x", "/x/y"]
MAX_PER_DOMAIN, MAX_TOTAL, KEPT = 3, 6, 5

urls = st.builds(
    "{}://{}{}".format, st.sampled_from(["http", "https"]), st.sampled_from(HOSTS), st.sampled_from(PATHS)
).map(URL)
headers = st.builds(
    "{}={}{}{}{}{}".format,
    st.sampled_from(["a", "a", "b", "c", "", "__Host-a", "__Secure-a"]),
    st.integers(1, 9),
    st.sampled_from(["", "; Secure", "; Secure", "; HttpOnly", "; SameSite=None", "; SameSite=None; Secure"]),
    st.sampled_from(["", "", *(f"; Domain={host}" for host in [*HOSTS, "com", "3.4"])]),
    st.sampled_from(["", "; Path", "; Path=/", "; Path=/x", "; Path=/x/"]),
    st.sampled_from(["", "", "; Max-Age=0", "; Max-Age=3", "; Max-Age=6"]),
)


@dataclass(frozen=True)
class NaiveCookie:
    name: str
    value: str
    domain: str
    host_only: bool
    path: str
    expires: float
    secure: bool
    created: int
    accessed: int


def naive_match(host: str, domain: str) -> bool:
    return host == domain or (host.endswith("." + domain) and not host.replace(".", "").isdigit())


def hides(new: NaiveCookie, old: NaiveCookie) -> bool:
    return (
        old.secure
        and old.name == new.name
        and (naive_match(old.domain, new.domain) or naive_match(new.domain, old.domain))
        and path_matches(new.path, old.path)
    )


class NaiveJar:
    def __init__(self) -> None:
        self.cookies: list[NaiveCookie] = []
        self.ticks = 0

    def expire(self, now: float) -> None:
        self.cookies = [cookie for cookie in self.cookies if cookie.expires > now]

    def store(self, header: str, url: URL, now: float) -> None:
        self.expire(now)
        received = parse_set_cookie(header, now=now)
        host, secure_origin = url.host or "", url.scheme == "https"
        if received is None or not naive_match(host, received.domain or host):
            return
        host_only = not received.domain
        if received.domain in PUBLIC_SUFFIXES:
            return
        self.ticks += 1
        new = NaiveCookie(
            name=received.name,
            value=received.value,
            domain=received.domain or host,
            host_only=host_only,
            path=received.path or default_path(url.raw_path),
            expires=float("inf") if received.expires is None else received.expires,
            secure=received.secure,
            created=self.ticks,
            accessed=self.ticks,
        )
        if new.secure and not secure_origin:
            return
        if not new.secure and not secure_origin and any(hides(new, old) for old in self.cookies):
            return
        if received.same_site == "None" and not new.secure:
            return
        if new.name == "__Secure-a" and not new.secure:
            return
        if new.name == "__Host-a" and not (new.secure and host_only and received.path is not None and new.path == "/"):
            return
        self.insert(new)
        self.expire(now)
        self.evict(new.domain)

    def insert(self, new: NaiveCookie) -> None:
        for old in self.cookies:
            if (old.name, old.domain, old.host_only, old.path) == (new.name, new.domain, new.host_only, new.path):
                self.cookies.remove(old)
                new = replace(new, created=old.created)
                break
        self.cookies.append(new)

    def evict(self, domain: str) -> None:
        crowd = [cookie for cookie in self.cookies if cookie.domain == domain]
        if len(crowd) > MAX_PER_DOMAIN:
            self.cookies.remove(min(crowd, key=lambda cookie: (cookie.secure, cookie.accessed)))
        if len(self.cookies) > MAX_TOTAL:
            self.cookies.sort(key=lambda cookie: cookie.accessed)
            del self.cookies[:-KEPT]

    def header(self, url: URL, now: float) -> str | None:
        self.expire(now)
        host = url.host or ""
        found = [
            cookie
            for cookie in self.cookies
            if (host == cookie.domain if cookie.host_only else naive_match(host, cookie.domain))
            and path_matches(url.raw_path, cookie.path)
            and (url.scheme == "https" or not cookie.secure)
        ]
        found.sort(key=lambda cookie: cookie.created)
        found.sort(key=lambda cookie: len(cookie.path), reverse=True)
        for cookie in found:
            self.ticks += 1
            self.cookies[self.cookies.index(cookie)] = replace(cookie, accessed=self.ticks)
        return "; ".join(f"{cookie.name}={cookie.value}" if cookie.name else cookie.value for cookie in found) or None


class JarsAgree(RuleBasedStateMachine):
    """Whatever servers set, whatever is asked and however time passes, both jars send the same."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.naive = NaiveJar()
        self.jar = CookieJar(unsafe=True, max_per_domain=MAX_PER_DOMAIN, max_total=MAX_TOTAL, clock=lambda: self.now)

    @rule(cookies=st.lists(headers, min_size=1, max_size=4), url=urls)
    def store(self, cookies: list[str], url: URL) -> None:
        for header in cookies:
            self.naive.store(header, url, self.now)
        self.jar.store(cookies, url)

    @rule(url=urls)
    def ask(self, url: URL) -> None:
        assert self.jar.cookie_header(url) == self.naive.header(url, self.now)

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def restore(self) -> None:
        """A restored jar knows the order of creation, not that of use."""
        self.jar.restore(self.jar.dump())
        self.naive.expire(self.now)
        self.naive.cookies.sort(key=lambda cookie: cookie.created)
        for index, cookie in enumerate(self.naive.cookies):
            self.naive.ticks += 1
            self.naive.cookies[index] = replace(cookie, created=self.naive.ticks, accessed=self.naive.ticks)

    @rule(domain=st.sampled_from(HOSTS))
    def clear_domain(self, domain: str) -> None:
        self.jar.clear_domain(domain)
        self.naive.cookies = [cookie for cookie in self.naive.cookies if not naive_match(cookie.domain, domain)]

    @invariant()
    def both_hold_the_same(self) -> None:
        self.naive.expire(self.now)
        naive = sorted(self.naive.cookies, key=lambda cookie: cookie.created)
        assert [(record["name"], record["value"], record["domain"]) for record in self.jar.dump()] == [
            (cookie.name, cookie.value, cookie.domain) for cookie in naive
        ]
        assert len(self.jar) == len(naive)


JarsAgree.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestJarsAgree = JarsAgree.TestCase


def test_refreshing_a_cookie_for_ever_keeps_the_store_small() -> None:
    """Each refresh leaves a stale entry in the heap of expiries, which holds the cookie that was replaced."""
    now = 0.0
    jar = CookieJar(clock=lambda: now)
    others = count_cookies()
    for now in range(2000):  # noqa: B007  the clock reads it
        jar.store(["a=1; Max-Age=100000", "b=1; Max-Age=200000"], URL("https://example.com/"))
    assert len(jar) == 2
    assert count_cookies() - others < 200


def count_cookies() -> int:
    return sum(isinstance(item, Cookie) for item in gc.get_objects())
