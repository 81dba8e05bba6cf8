"""Tables of the pace at which hosts are asked: of a run, from its report, and of any crawl, from its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from crawler.frontier.census import busiest
from crawler.reports.wording import aligned, brief, minute

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.frontier.statefile import StateFile
    from crawler.hosts.pace import HostPace

_HOSTS_SHOWN = 5


class KeptPace(msgspec.Struct, frozen=True, kw_only=True):
    """What the crawl file says about one host: durations in seconds, instants as ISO 8601, UTC; None for what is not known.

    `pace`: between two requests, and `latency`: to an answer, as learned. `delay`: by the user's order. `crawl_delay`: what its
    robots.txt asks for; `crawl_delay_cut`: whether that is more than `max_crawl_delay`, and was cut to it.
    """

    host: str
    pace: float | None
    latency: float | None
    delay: float | None
    crawl_delay: float | None
    crawl_delay_cut: bool
    held: str | None
    resting_until: str | None


def kept_paces(file: StateFile) -> list[KeptPace]:
    """The few hosts with most requests, among those about which the crawl file says anything."""
    rules = file.described("rules")
    paces = []
    for row in busiest(file, _HOSTS_SHOWN):
        asked = max((_crawl_delay(body, rules.get("user_agent", "")) for body in row.robots), default=0.0) or None
        paces.append(
            KeptPace(
                host=row.host,
                pace=row.pace,
                latency=row.latency,
                delay=row.delay,
                crawl_delay=asked,
                crawl_delay_cut=asked is not None and asked > rules.get("max_crawl_delay", asked),
                held=row.held,
                resting_until=row.resting_until,
            )
        )
    return paces


def table_of_run(paces: Sequence[HostPace], *, most_delay: float) -> Iterator[str]:
    """The paces of a run, in lines. `most_delay`: what a longer Crawl-delay was cut to."""
    head = ("host", "requests", "every", "at least", "at once", "latency", "")
    rows = [
        (
            one.host,
            f"{one.requests:,}",
            brief(one.mean_gap),
            brief(one.spacing or None),
            str(one.connections),
            brief(one.latency),
            ", ".join(_remarks(one, most_delay)),
        )
        for one in paces
    ]
    return aligned([head, *rows])


def _remarks(one: HostPace, most_delay: float) -> Iterator[str]:
    if one.crawl_delay:
        yield _delay_in_words(one.crawl_delay, cut_to=most_delay if one.crawl_delay_cut else None)
    if one.pauses:
        cut = f" ({one.pauses_cut:,} cut short by max_retry_wait)" if one.pauses_cut else ""
        yield f"asked for {one.pauses:,} pause{'s' * (one.pauses != 1)}{cut}"
    if one.rests:
        yield f"out of reach {one.rests:,} time{'s' * (one.rests != 1)}"


def table_of_file(paces: Sequence[KeptPace]) -> Iterator[str]:
    """The paces that a crawl file knows, in lines."""
    head = ("host", "at least", "latency", "")
    rows = [(one.host, brief(one.pace), brief(one.latency), ", ".join(_notes(one))) for one in paces]
    return aligned([head, *rows])


def treatment(held: str | None, resting_until: str | None, delay: float | None) -> Iterator[str]:
    """How a host is treated differently, by order or because it was out of reach. Instants are ISO 8601."""
    if held:
        yield f"held since {minute(held)}"
    if resting_until:
        yield f"left alone until {minute(resting_until)}"
    if delay is not None:
        yield f"delay {delay:g} s"


def _notes(one: KeptPace) -> Iterator[str]:
    yield from treatment(one.held, one.resting_until, one.delay)
    if one.crawl_delay:
        yield _delay_in_words(one.crawl_delay) + (", cut short by max_crawl_delay" if one.crawl_delay_cut else "")


def _delay_in_words(asked: float, cut_to: float | None = None) -> str:
    return f"Crawl-delay {asked:g} s" + (f", cut to {cut_to:g} s by max_crawl_delay" if cut_to is not None else "")


def _crawl_delay(body: bytes, user_agent: str) -> float:
    from crawler.web.robots import Robots

    return Robots.parse(body, user_agent=user_agent).crawl_delay or 0.0
