"""Headers as they are kept."""

from __future__ import annotations

from multidict import CIMultiDict, CIMultiDictProxy

from crawler.headers import headers_from_json, headers_to_json


def test_headers_come_back_in_order_with_their_repetitions() -> None:
    headers = CIMultiDictProxy(CIMultiDict([("Set-Cookie", "a=1"), ("X-A", "ü\udc80"), ("Set-Cookie", "b=2")]))
    again = headers_from_json(headers_to_json(headers))
    assert list(again.items()) == [("Set-Cookie", "a=1"), ("X-A", "ü?"), ("Set-Cookie", "b=2")]


def test_headers_that_are_text_come_back_as_they_were() -> None:
    headers = CIMultiDictProxy(CIMultiDict([("X-A", "ü"), ("x-a", 'quoted "so"')]))
    assert list(headers_from_json(headers_to_json(headers)).items()) == list(headers.items())
