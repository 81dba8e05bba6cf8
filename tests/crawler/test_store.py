"""Kept bodies."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.selection.traps import digest_of
from crawler.store import PACK_BYTES, Keeper, Packer, decompress

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = st.sampled_from([0, 1, 2, 1000, PACK_BYTES // 3, PACK_BYTES - 1, PACK_BYTES, PACK_BYTES + 1])


def numbered(bodies: list[bytes]) -> dict[str, bytes]:
    return {str(number): body for number, body in enumerate(bodies)}


@given(st.lists(st.binary() | SIZES.map(bytes) | SIZES.map(os.urandom), max_size=12))
def test_bodies_come_back_from_their_packs(bodies: list[bytes]) -> None:
    """In their order; and no pack is larger than it may be but for a body that is."""
    wanted, found = numbered(bodies), dict[str, bytes]()
    for pack in Packer().pack(wanted):
        whole = decompress(pack.data)
        assert len(whole) == pack.size == sum(size for _, _, size in pack.places)
        assert pack.size <= PACK_BYTES or len(pack.places) == 1
        found.update({digest: whole[start : start + size] for digest, start, size in pack.places})
    assert list(found.items()) == list(wanted.items())


def test_what_pages_have_in_common_is_kept_once() -> None:
    template = os.urandom(10_000)
    bodies = numbered([template + str(number).encode() for number in range(40)])
    (pack,) = Packer().pack(bodies)
    assert len(pack.data) < 2 * len(template)


@pytest.mark.parametrize(
    "damage", [lambda _: b"", lambda _: b"no frame", lambda one: one[:-3], lambda one: one[:-1] + b"\0"]
)
def test_a_damaged_pack_is_refused(damage: Callable[[bytes], bytes]) -> None:
    (pack,) = Packer().pack(numbered([b"x" * 1000, b"a"]))
    with pytest.raises(ValueError, match=r"."):
        decompress(damage(pack.data))


def test_what_comes_once_is_numbered_and_what_comes_again_is_hashed() -> None:
    keeper = Keeper()
    digests = [keeper.keep("[]", body, digest_of(body)).digest for body in (b"x", b"y", b"x", b"z", b"x")]
    first, *_ = digests
    assert [int(digest, 16) - int(first, 16) for digest in (digests[1], digests[3])] == [1, 2]
    assert digests[2] == digests[4] == sha256(b"x").hexdigest()[:32]
    assert len(set(digests)) == 4


def test_bodies_that_were_made_to_look_alike_are_told_apart() -> None:
    """Whoever can find two bodies with one xxh3 does not have one of them stand for the other."""
    keeper = Keeper()
    digests = [keeper.keep("[]", body, 7).digest for body in (b"mine", b"yours", b"mine", b"yours")]
    assert digests[1] == digests[3]
    assert len(set(digests)) == 3


def test_runs_number_bodies_differently() -> None:
    assert Keeper().keep("[]", b"x", 1).digest != Keeper().keep("[]", b"y", 1).digest
