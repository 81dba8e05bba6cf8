"""The agenda gives hosts out in the order of their turns, whatever order they were entered in."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from client.origin import HostKey
from crawler.agenda import Agenda
from crawler.window import Host

HOSTS = st.integers(0, 7)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), HOSTS, st.integers(-3, 6)),
        st.tuples(st.just("void"), HOSTS, st.just(0)),
        st.tuples(st.just("pop"), HOSTS, st.integers(0, 2)),
    ),
    max_size=60,
)


@given(STEPS)
def test_turns_come_in_order(steps: list[tuple[str, int, int]]) -> None:
    """Beside a list that is searched from end to end. Time goes on with each look."""
    agenda = Agenda()
    hosts = [Host(HostKey(f"h{number}.example")) for number in range(8)]
    listed: dict[Host, float] = {}
    now = 0.0
    for step, number, amount in steps:
        host = hosts[number]
        match step:
            case "enter" if now + amount < host.listed_at:
                listed[host] = now + amount
                agenda.enter(host, now + amount, now)
            case "void":
                listed.pop(host, None)
                host.listed_at = math.inf
            case "pop":
                now += amount
                first_at = min(listed.values(), default=math.inf)
                assert agenda.first_at <= first_at
                popped = agenda.pop(now)
                assert (popped is None) is (first_at > now)
                if popped:
                    assert listed.pop(popped) == first_at
                    assert popped.listed_at == math.inf


def test_of_those_whose_turns_come_together_the_first_to_be_entered_goes_first() -> None:
    agenda = Agenda()
    hosts = [Host(HostKey(f"h{number}.example")) for number in range(6)]
    for host, now in zip(hosts, (0.0, 2.0, 0.0, 2.0, 0.0, 2.0), strict=True):  # later, ready, and out of order in both
        agenda.enter(host, 2.0, now)
    assert [agenda.pop(2.0) for _ in hosts] == hosts


def test_nothing_is_on_an_empty_agenda() -> None:
    agenda = Agenda()
    assert agenda.first_at == math.inf
    assert agenda.pop(math.inf) is None
