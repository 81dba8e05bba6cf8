"""Bodies that are gzip, in one layer or more; and those that mean harm."""

from __future__ import annotations

import gzip
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.web import gzipped
from crawler.web.gzipped import MAX_LAYERS, is_gzip, whole

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 1 << 20
NOISE = Random(1).randbytes(3 * gzipped._PART_BYTES)
"""It cannot be compressed, so each layer takes several parts."""
EMPTY = gzip.compress(b"", mtime=0)


def packed(body: bytes, layers: int) -> bytes:
    for _ in range(layers):
        body = gzip.compress(body, mtime=0)
    return body


@pytest.mark.parametrize("layers", range(MAX_LAYERS + 1))
@pytest.mark.parametrize(
    "body", [b"", b"\x1f", b"a", b"text", NOISE], ids=["empty", "half a sign", "a", "text", "noise"]
)
def test_every_layer_is_undone(body: bytes, layers: int) -> None:
    assert whole(packed(body, layers), MOST) == (body, None)


@given(st.binary(), st.integers(0, MAX_LAYERS))
def test_whatever_was_packed_comes_out(body: bytes, layers: int) -> None:
    if not is_gzip(body):
        assert whole(packed(body, layers), MOST) == (body, None)


def test_members_and_padding_in_each_layer() -> None:
    inner = gzip.compress(b"one, ") + EMPTY + gzip.compress(b"two") + bytes(100)
    assert whole(gzip.compress(inner[:7]) + gzip.compress(inner[7:]) + bytes(9), MOST) == (b"one, two", None)


def test_layers_without_end_are_not_undone() -> None:
    body, problem = whole(packed(b"text", MAX_LAYERS + 1), MOST)
    assert (body, problem) == (b"", "it is compressed more than 3 times")


@pytest.mark.parametrize("layers", range(1, MAX_LAYERS + 1))
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda data: data[: len(data) // 2], "it is compressed, and cut short"),
        (lambda data: data[:-8] + b"\xff" * 8, "it is not valid gzip: "),
        (lambda data: data[:4], "it is compressed, and cut short"),
    ],
    ids=["cut short", "wrong sum", "nothing but a head"],
)
def test_damage_ends_it_where_it_is(damage: Callable[[bytes], bytes], told: str, layers: int) -> None:
    body, problem = whole(damage(packed(NOISE, layers)), MOST)
    assert NOISE.startswith(body)
    assert (problem or "").startswith(told)


@pytest.mark.parametrize("layers", range(1, MAX_LAYERS + 1))
def test_a_bomb_gives_no_more_than_is_wanted(layers: int) -> None:
    bomb = packed(b"x" * (8 * MOST), layers)
    assert len(bomb) < 1 << 14
    assert whole(bomb, MOST) == (b"x" * MOST, f"it is longer than {MOST} bytes")


def test_a_layer_in_between_may_not_be_longer_either() -> None:
    """Though nothing is in it."""
    inner = gzip.compress(NOISE * 8, 0) + EMPTY
    body, problem = whole(gzip.compress(inner), len(NOISE) * 7)
    assert problem == f"it is longer than {len(NOISE) * 7} bytes"
    assert (NOISE * 8).startswith(body)


@pytest.mark.parametrize("layers", range(MAX_LAYERS))
def test_what_is_empty_without_end_is_not_read_without_end(layers: int) -> None:
    body, problem = whole(packed(EMPTY * 200_000, layers), 1 << 30)
    assert (body, problem) == (b"", "it has more than 10000 parts that are compressed by themselves")


@given(st.binary(max_size=200), st.integers(0, 2))
def test_nothing_is_an_error(data: bytes, layers: int) -> None:
    whole(packed(b"\x1f\x8b\x08" + data, layers), 100)
