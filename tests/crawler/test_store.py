"""Kept bodies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from crawler.store import compressed, decompress, headers_of, keep


@given(st.binary())
def test_a_body_comes_back(body: bytes) -> None:
    assert [decompress(one) for one in compressed([body, body])] == [body, body]


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"no frame",
        *(one[:-3] for one in compressed([b"x" * 1000])),
        *(one[:-1] + b"\0" for one in compressed([b"a"])),
    ],
)
def test_a_damaged_body_is_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        decompress(damaged)


def test_headers_come_back_in_order_with_their_repetitions() -> None:
    headers = CIMultiDictProxy(CIMultiDict([("Set-Cookie", "a=1"), ("X-A", "ü\udc80"), ("Set-Cookie", "b=2")]))
    again = headers_of(keep(headers, b"").headers)
    assert list(again.items()) == [("Set-Cookie", "a=1"), ("X-A", "ü?"), ("Set-Cookie", "b=2")]


def test_equal_bodies_have_one_digest() -> None:
    headers = CIMultiDictProxy(CIMultiDict[str]())
    assert keep(headers, b"x").digest == keep(headers, b"x").digest != keep(headers, b"y").digest
