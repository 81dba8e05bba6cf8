"""Why a URL was or was not fetched: what the crawl file knows about it, gathered, and put into words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from crawler.frontier import trace
from crawler.frontier.census import Standing, standing
from crawler.frontier.integrity import making_sense
from crawler.outcome import Skip
from crawler.reports.wording import counted, duration, instant, size
from crawler.web.robots import Robots
from crawler.web.scope import Scope
from crawler.web.urls import host_of, normalize, origin_of, robots_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.frontier.statefile import StateFile
    from crawler.frontier.trace import Trace

_HOPS_SHOWN = 12

_other_url = re.compile(r"(?:redirected \(\d+\) to|names|is the canonical URL of) (\S+)").match
"""Finds the URL that a duplicate's detail names: see crawler/frontier/intake.py."""


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be said about `url`, which is canonical.

    `requests` are those made for it; `passed` those for other URLs that were redirected to it, or past it; `duplicate_of` is what became
    of the URLs that one of the `requests` turned out to duplicate. If the URL was not found, `alike` has URLs that were found and differ
    little, and `offered_on` is a page that links to it, if the crawl has yet to find out whether the URL is new
    (crawler/frontier/sieve.py). `scope` says why the URL is outside the crawl's scope, `robots` which rule of the robots.txt last seen
    disallows it; None: nothing is known against it. `remaining` counts the requests that wait or are under way, on whose pages it may
    yet be found.
    """

    url: str
    state: str
    requests: list[Trace]
    passed: list[Trace]
    duplicate_of: list[Trace]
    alike: list[str]
    offered_on: str | None
    host: Standing | None
    scope: str | None
    robots: str | None
    remaining: int

    @property
    def found(self) -> bool:
        return bool(self.requests or self.passed)


def why(file: StateFile, url: str) -> Why:
    """What the crawl file knows about a URL, in whatever form it is written. Raises InvalidUrl for what is not a URL."""
    url = normalize(url)
    status = file.status()
    requests = [trace.trace(file, number) for number in trace.requests_for(file, url)]
    passed = [trace.trace(file, number) for number in trace.requests_past(file, url)]
    return Why(
        url=url,
        state=status.state,
        requests=requests,
        passed=passed,
        duplicate_of=[known for one in requests for known in _known_already(file, one)],
        alike=[] if requests or passed else trace.alike(file, url),
        offered_on=None if requests or passed else trace.offered_on(file, url),
        host=standing(file, host_of(url)),
        scope=_out_of_scope(file, url),
        robots=_disallowed(file, url),
        remaining=status.urls.queued + status.urls.leased,
    )


def _known_already(file: StateFile, request: Trace) -> Iterator[Trace]:
    """The requests for what this one is a duplicate of."""
    if request.reason == Skip.DUPLICATE.value and (named := _other_url(request.detail or "")):
        other = named[1]
        numbers = trace.requests_for(file, other) or trace.requests_past(file, other)
        yield from (known for number in numbers if (known := trace.trace(file, number)).url != request.url)


def _out_of_scope(file: StateFile, url: str) -> str | None:
    described = file.described("scope")
    with making_sense(file.path):
        return Scope.of(**described).why_not(url) if described else None


def _disallowed(file: StateFile, url: str) -> str | None:
    rules: dict[str, Any] = file.described("rules")
    if not rules.get("robots"):
        return None
    for (body,) in file.query("SELECT body FROM robots WHERE origin = ?", (origin_of(url),)):
        robots = Robots.parse(body, user_agent=rules["user_agent"])
        return None if robots.allows(url) else robots.rule_for(url) or "Disallow"
    return None


# ---------------------------------------------------------------------- in words


def in_words(answer: Why, state_file: str) -> Iterator[str]:
    """The answer, line by line. `state_file`: the user's name for the crawl file, for the commands that are suggested."""
    if not answer.found:
        yield from _never_found(answer)
        return
    for request in answer.requests:
        method = "" if request.method == "GET" else f"{request.method} "
        yield f"{method}{request.url}"
        yield from _lines(_details(answer, request, state_file))
    for request in answer.passed:
        yield f"{answer.url}\n  was met on the way of a redirect from {request.url}:"
        yield from _lines(_details(answer, request, state_file))


def verdicts(answer: Why) -> Iterator[str]:
    """What became of each request for the URL, in one line each."""
    for request in answer.requests:
        yield _verdict(answer, request)
        for attempt in request.attempts:
            yield f"tried {instant(attempt.at)}: {attempt.error}"


def _lines(told: Iterator[tuple[str, str]]) -> Iterator[str]:
    for label, text in told:
        yield f"  {label:<10} {text}"


def _never_found(answer: Why) -> Iterator[str]:
    if answer.offered_on is not None:
        how = f"was found on {answer.offered_on}" if answer.offered_on else "is a seed"
        yield f"{answer.url}\n  {how}, and is looked up soon among all that was found before"
        return
    yield f"{answer.url}\n  was never found: the spider followed no link to it (nofollow links are left out), and no redirect led there"
    if answer.scope:
        yield f"  it would not have been fetched either: {answer.scope}"
    elif answer.robots:
        yield f"  it would not have been fetched either: robots.txt has {answer.robots!r}"
    if answer.remaining:
        yield f"  {counted(answer.remaining, 'page')} that may lead to it {_are(answer.remaining)} still to be read"
    if answer.alike:
        yield "  these were found:"
        yield from (f"    {url}" for url in answer.alike)


def _details(answer: Why, request: Trace, state_file: str) -> Iterator[tuple[str, str]]:
    yield "state", _verdict(answer, request)
    if request.state == "aside":
        yield "release", f"crawl release {state_file} --url {request.url}"
    if request.state in ("queued", "aside"):
        yield from _obstacles(answer, request)
    yield "found", _path(request)
    if request.redirects:
        yield "redirects", " → ".join([*request.redirects, request.now_at])
    if request.settings:
        yield "settings", ", ".join(f"{name} = {value}" for name, value in request.settings.items())
    for number, attempt in enumerate(request.attempts, start=1):
        yield f"try {number}", f"{instant(attempt.at)}: {attempt.error}"
    if request.reason == Skip.DUPLICATE.value:
        for known in answer.duplicate_of:
            yield "that URL", f"{known.url}: {_verdict(answer, known)}"


def _verdict(answer: Why, request: Trace) -> str:
    """What became of a request, or what it waits for, in one line."""
    match request.state:
        case "done":
            known = f", {request.detail}: taken from an earlier crawl" if request.detail else ""
            return f"fetched: {_response(request)}{known}"
        case "failed":
            return f"failed: {request.detail}" + (f" ({_response(request)})" if request.status else "")
        case "skipped":
            return f"not fetched: {_skip(answer, request)}"
        case "aside":
            return f"set aside on {instant(request.at)}, because {_aside(request)}"
        case "queued":
            return _waiting(answer, request)


def _waiting(answer: Why, request: Trace) -> str:
    ahead = f"{counted(request.ahead or 0, 'request')} of its host before it" if request.ahead else "next of its host"
    if answer.state == "running":
        return f"waits, {ahead}, or is being fetched"
    return f"waits, {ahead}; the crawl is {answer.state}; `crawl run` resumes it"


def _skip(answer: Why, request: Trace) -> str:
    match request.reason:
        case Skip.SCOPE.value:
            why_not = answer.scope if not request.redirects else request.detail
            return f"it is outside the scope{f': {why_not}' if why_not else ''}"
        case Skip.DEPTH.value:
            return f"it lies {counted(request.depth, 'link')} from a seed, deeper than max_depth allows"
        case Skip.ROBOTS.value:
            rule = f" by {request.detail!r}" if request.detail else ""
            return f"{robots_url(origin_of(request.now_at))} disallows it{rule}"
        case Skip.DUPLICATE.value:
            is_other_name = (request.detail or "").startswith("is the canonical URL")
            return f"it {request.detail}" + ("" if is_other_name else ", which was known already")
        case reason:
            return ": ".join(filter(None, [reason, request.detail]))


def _aside(request: Trace) -> str:
    reasons = {
        "budget": "its host has had as many requests as its budget allows",
        "trap": "it looks like part of a trap",
        "host": "its host could not be reached for long",
    }
    words = reasons.get(request.reason or "", request.reason or "")
    return f"{words}: {request.detail}" if request.detail else words


def _obstacles(answer: Why, request: Trace) -> Iterator[tuple[str, str]]:
    if request.not_before:
        yield "not due", f"before {instant(request.not_before)}"
    host = answer.host
    if host is None or host.host != host_of(request.now_at):
        return
    if host.held:
        yield "host", f"{host.host} is held since {instant(host.held)}; crawl release lets it go"
    if host.resting_until:
        yield "host", f"{host.host} is left alone until {instant(host.resting_until)}"
    if answer.robots:
        yield "robots", f"robots.txt, as it was read last, disallows it by {answer.robots!r}"


def _path(request: Trace) -> str:
    """From the seed to the request, page by page."""
    if not request.path:
        return "it is a seed" if request.depth == 0 else f"at depth {request.depth}"
    steps = request.path
    if len(steps) > _HOPS_SHOWN:
        half = _HOPS_SHOWN // 2
        steps = [*steps[:half], f"… {len(steps) - 2 * half:,} more …", *steps[-half:]]
    return f"at depth {request.depth}: {' → '.join([*steps, request.url])}"


def _response(request: Trace) -> str:
    parts = [str(request.status), request.content_type or "", size(request.size or 0)]
    took = f" in {duration(request.elapsed)}" if request.elapsed else ""
    return ", ".join(filter(None, parts)) + took + (f", on {instant(request.at)}" if request.at else "")


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
