"""Opening handshakes without a connection: what is asked, and which answers are an agreement (RFC 6455 §4.1, RFC 7692 §7.1)."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from multidict import CIMultiDict

from client.ws_handshake import HandshakeError, Offer

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 §1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
DEFLATE = "Sec-WebSocket-Extensions", "permessage-deflate"


def answer(*more: tuple[str, str], **replaced: str) -> CIMultiDict[str]:
    """The headers of a good answer, some of them replaced (`connection`, `upgrade`, `accept`; empty for none)."""
    usual = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": ACCEPT}
    names = {"upgrade": "Upgrade", "connection": "Connection", "accept": "Sec-WebSocket-Accept"}
    usual.update({names[name]: value for name, value in replaced.items()})
    headers = CIMultiDict((name, value) for name, value in usual.items() if value)
    headers.extend(more)
    return headers


def test_the_usual_offer() -> None:
    headers = Offer(key=KEY).headers(CIMultiDict())
    assert dict(headers) == {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
    }


def test_the_whole_offer() -> None:
    offer = Offer(("chat", "superchat"), origin="http://example.org", compress=12, key=KEY)
    headers = offer.headers(CIMultiDict({"X-Own": "1", "Connection": "keep-alive, Upgrade"}))
    assert headers["X-Own"] == "1"
    assert headers["Connection"] == "keep-alive, Upgrade"
    assert headers["Origin"] == "http://example.org"
    assert headers["Sec-WebSocket-Protocol"] == "chat, superchat"
    assert headers["Sec-WebSocket-Extensions"] == (
        "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
    )


def test_the_largest_window_goes_without_saying() -> None:
    headers = Offer(compress=15).headers(CIMultiDict())
    assert headers["Sec-WebSocket-Extensions"] == "permessage-deflate; client_max_window_bits"


def test_each_offer_has_its_own_key() -> None:
    assert Offer().key != Offer().key
    assert len(Offer().key) == 24


@pytest.mark.parametrize("protocol", ["", "two words", "a,b", "café"])
def test_a_subprotocol_is_a_token(protocol: str) -> None:
    with pytest.raises(ValueError, match="subprotocol"):
        Offer(("chat", protocol))


@pytest.mark.parametrize(
    "headers",
    [
        answer(),
        answer(upgrade="WebSocket", connection="upgrade"),
        answer(connection="keep-alive, Upgrade"),
        answer(("Connection", "Upgrade"), connection="keep-alive"),
    ],
)
def test_a_good_answer_is_an_agreement(headers: CIMultiDict[str]) -> None:
    assert Offer(key=KEY).check(101, headers) == (None, None)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (answer(upgrade=""), "a protocol other than"),
        (answer(upgrade="h2c"), "a protocol other than"),
        (answer(upgrade="websocket, h2c"), "a protocol other than"),
        (answer(("Upgrade", "websocket")), "a protocol other than"),
        (answer(connection=""), "a protocol other than"),
        (answer(connection="close"), "a protocol other than"),
        (answer(connection="not a token; at all"), "Connection"),
        (answer(accept=""), "key"),
        (answer(accept=KEY), "key"),
        (answer(accept=ACCEPT.lower()), "key"),
        (answer(("Sec-WebSocket-Accept", ACCEPT)), "key"),
        (answer(DEFLATE), "not offered"),
        (answer(("Sec-WebSocket-Extensions", "x-unheard-of")), "not offered"),
        (answer(("Sec-WebSocket-Extensions", ";")), "Extensions"),
        (answer(("Sec-WebSocket-Protocol", "chat")), "not offered"),
    ],
)
def test_another_answer_is_none(headers: CIMultiDict[str], reason: str) -> None:
    with pytest.raises(HandshakeError, match=reason):
        Offer(key=KEY).check(101, headers)


@pytest.mark.parametrize("status", [200, 204, 400, 401, 403, 404, 426, 500])
def test_another_status_is_none(status: int) -> None:
    with pytest.raises(HandshakeError):
        Offer(key=KEY).check(status, answer())


def test_one_of_our_subprotocols_may_be_chosen() -> None:
    offer = Offer(("chat", "superchat"), key=KEY)
    assert offer.check(101, answer(("Sec-WebSocket-Protocol", "superchat"))).protocol == "superchat"
    assert offer.check(101, answer()).protocol is None


@pytest.mark.parametrize("chosen", ["other", "Chat", "chat, superchat", "chat, chat"])
def test_another_subprotocol_must_not(chosen: str) -> None:
    with pytest.raises(HandshakeError, match="not offered"):
        Offer(("chat", "superchat"), key=KEY).check(101, answer(("Sec-WebSocket-Protocol", chosen)))


class Agreed(NamedTuple):
    """What compression was asked for and answered, and what comes of it: ours, then the server's."""

    compress: int
    answer: str
    window_bits: int
    takes_over: bool = True
    server_bits: int = 15
    server_takes_over: bool = True


@pytest.mark.parametrize(
    "case",
    [
        Agreed(15, "", 15),
        Agreed(15, "; client_max_window_bits=10", 10),
        Agreed(15, '; client_max_window_bits="10"', 10),
        Agreed(15, "; server_max_window_bits=8", 15, server_bits=8),
        Agreed(15, "; client_no_context_takeover", 15, takes_over=False),
        Agreed(15, "; server_no_context_takeover", 15, server_takes_over=False),
        Agreed(12, "; server_max_window_bits=12", 12, server_bits=12),
        Agreed(12, "; server_max_window_bits=9; client_max_window_bits=9", 9, server_bits=9),
    ],
)
def test_the_server_may_narrow_what_was_offered(case: Agreed) -> None:
    headers = answer((DEFLATE[0], DEFLATE[1] + case.answer))
    deflate = Offer(compress=case.compress, key=KEY).check(101, headers).deflate
    assert deflate is not None
    assert deflate.window_bits == case.window_bits
    assert deflate.local_no_context_takeover is not case.takes_over
    assert deflate.remote_max_window_bits == case.server_bits
    assert deflate.remote_no_context_takeover is not case.server_takes_over


def test_the_server_may_decline_to_compress() -> None:
    assert Offer(compress=15, key=KEY).check(101, answer()).deflate is None


@pytest.mark.parametrize(
    "parameters",
    [
        "; client_max_window_bits=8",  # zlib has no such window
        "; client_max_window_bits=16",
        "; client_max_window_bits=013",
        "; client_max_window_bits",
        "; server_max_window_bits=7",
        "; server_no_context_takeover=1",
        "; server_no_context_takeover; server_no_context_takeover",
        "; unheard_of",
        ", permessage-deflate",
        ", x-other",
    ],
)
def test_an_answer_beyond_the_standard_is_refused(parameters: str) -> None:
    with pytest.raises(HandshakeError):
        Offer(compress=15, key=KEY).check(101, answer((DEFLATE[0], DEFLATE[1] + parameters)))


@pytest.mark.parametrize(
    "parameters",
    [
        "",  # a server that cannot narrow its window has to decline
        "; server_max_window_bits=13",
        "; server_max_window_bits=12; client_max_window_bits=13",
    ],
)
def test_an_answer_beyond_the_offer_is_refused(parameters: str) -> None:
    with pytest.raises(HandshakeError):
        Offer(compress=12, key=KEY).check(101, answer((DEFLATE[0], DEFLATE[1] + parameters)))


@pytest.mark.parametrize("compress", [1, 8, 16])
def test_a_window_has_nine_to_fifteen_bits(compress: int) -> None:
    with pytest.raises(ValueError, match="from 9 to 15"):
        Offer(compress=compress)
