"""What a lease still is after it was sent."""

from __future__ import annotations

from msgspec.structs import replace

from client.origin import HostKey
from crawler.frontier import Lease
from crawler.readers import messages, translation


def test_a_reader_has_all_of_a_lease_that_is_needed_to_fetch_it_or_can_be_seen() -> None:
    """Each field has a value of its own here, so that none can take the place of another."""
    lease = Lease(
        id=7,
        host=HostKey("h.example"),
        url="http://h.example/moved",
        method="PUT",
        depth=3,
        requested_url="http://h.example/",
        referrer="http://h.example/from",
        callback="parse_entry",
        priority=5,
        headers={"Accept-Language": "de"},
        body=b"body",
        context={"page": [1, None, "ü"]},
        again=True,
        read_timeout=1.5,
        total_timeout=2.5,
        max_attempts=4,
        attempts=2,
        redirects=("http://h.example/", "http://h.example/next"),
    )
    task = translation.visit_task(9, lease, None, tells_start=False, may_be_private=False)
    came = messages.decode_to_reader(messages.encode(task))
    assert isinstance(came, messages.VisitTask)
    assert translation.lease_of(came) == replace(lease, id=9, host=HostKey(""), again=False, attempts=0)
