"""Which requests are made."""

from __future__ import annotations

from crawler.outcome import Aside, SetAside, Skip
from crawler.selection.admission import Admission
from crawler.selection.traps import Thresholds, Traps, digest_of

SEED = "http://h.example/"


def test_by_default_the_hosts_of_the_seeds_are_in_scope() -> None:
    admission = Admission(None, 0)
    admission.extend([SEED])
    assert admission.refuse("http://h.example/page", 1) is None
    assert admission.refuse("http://other.example/", 1) is Skip.SCOPE


def test_a_seed_is_always_admitted_and_widens_the_scope() -> None:
    """`example.org` may send its visitors to another name: the site is then there."""
    admission = Admission(None, 0)
    admission.extend([SEED])
    assert admission.refuse("http://moved.example/", 0) is None
    assert admission.refuse("http://moved.example/page", 1) is None
    assert admission.seed_names == {"h.example", "moved.example"}


def test_names_of_seeds_have_no_port_and_no_brackets() -> None:
    """They are compared with what addresses are looked up for."""
    admission = Admission(None, 0)
    admission.extend(["http://h.example:81/", "https://[::1]:8080/", "https://[::2]/", "http://127.0.0.1:9/", SEED])
    assert admission.seed_names == {"h.example", "::1", "::2", "127.0.0.1"}


def test_links_are_followed_down_to_the_depth() -> None:
    admission = Admission(None, 2)
    admission.extend([SEED])
    assert admission.refuse("http://h.example/2", 2) is None
    assert admission.refuse("http://h.example/3", 3) is Skip.DEPTH


def test_what_a_spider_declares_counts() -> None:
    admission = Admission(["other.example"], 0)
    admission.extend([SEED])
    assert admission.refuse("http://sub.other.example/", 5) is None
    assert admission.refuse("http://third.example/", 1) is Skip.SCOPE
    assert Admission("any", 0).refuse("http://third.example/", 1) is None


def test_what_looks_like_a_trap_is_set_aside() -> None:
    admission = Admission(None, 0, Traps(Thresholds(copies=1)))
    admission.extend([SEED])
    admission.visited(SEED, digest_of(b"the same"), None)
    assert admission.refuse(f"{SEED}x/", 1, SEED) is None
    admission.visited(f"{SEED}x/", digest_of(b"the same"), SEED)
    refusal = admission.refuse(f"{SEED}x/x/", 2, f"{SEED}x/")
    assert refusal == SetAside(
        Aside.TRAP, "found on a copy of the very page that leads to that copy, number 1 of such copies"
    )


def test_a_seed_is_no_trap_and_what_is_out_of_scope_no_suspect() -> None:
    admission = Admission(None, 1, Traps(Thresholds(url_length=5)))
    assert admission.refuse(SEED, 0) is None
    assert admission.refuse("http://other.example/", 1) is Skip.SCOPE
    assert admission.refuse(f"{SEED}deep", 2) is Skip.DEPTH
    assert isinstance(admission.refuse(f"{SEED}page", 1), SetAside)
