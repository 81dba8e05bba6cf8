"""The agenda gives hosts out in the order of their turns, whatever order they were entered in."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from client.limits import HostLimits
from client.origin import HostKey
from crawler.hosts.agenda import READY, Agenda
from crawler.hosts.window import Host

HOSTS = st.integers(0, 7)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["first", "ready", "leave"]), HOSTS, st.just(0)),
        st.tuples(st.just("later"), HOSTS, st.integers(1, 6)),
        st.tuples(st.just("pop"), HOSTS, st.integers(0, 2)),
    ),
    max_size=60,
)


def made(number: int) -> list[Host]:
    limits = HostLimits()
    return [Host(HostKey(f"h{host}.example"), limits) for host in range(number)]


@given(STEPS)
def test_turns_come_in_order(steps: list[tuple[str, int, int]]) -> None:
    """Beside a list of those that are ready, and one of the others that is searched from end to end. Time goes on with each look;
    who leaves does not come back."""
    agenda, hosts, now = Agenda(), made(8), 0.0
    ready: list[Host] = []
    later: dict[Host, float] = {}
    for step, number, amount in steps:
        host = hosts[number]
        match step:
            case "first" | "ready" if host.listed_at > now:
                later.pop(host, None)
                ready.insert(0 if step == "first" else len(ready), host)
                agenda.enter_ready(host, comes_first=step == "first")
            case "later" if now + amount < host.listed_at:
                later.pop(host, None)
                later[host] = now + amount
                agenda.enter(host, now + amount)
            case "leave":
                later.pop(host, None)
                ready = [one for one in ready if one is not host]
                host.listed_at = math.nan
            case "pop":
                now += amount
                assert agenda.first_at <= (READY if ready else min(later.values(), default=math.inf))
                for due in sorted((host for host in later if later[host] <= now), key=lambda host: later[host]):
                    ready.append(due)
                    del later[due]
                assert agenda.pop(now) is (ready.pop(0) if ready else None)


def test_of_those_whose_turns_come_together_the_first_to_be_entered_goes_first() -> None:
    agenda, hosts = Agenda(), made(6)
    for host in hosts[:3]:
        agenda.enter(host, 2.0)
    assert agenda.first_at == 2.0
    for host in hosts[3:]:
        agenda.enter(host, 2.0)
    assert [agenda.pop(2.0) for _ in hosts] == hosts


def test_nothing_is_on_an_empty_agenda() -> None:
    agenda = Agenda()
    assert agenda.first_at == math.inf
    assert agenda.pop(math.inf) is None
