"""Frames as bytes: every family of cases of RFC 6455 §5 and RFC 7692, whole and one byte at a time."""

from __future__ import annotations

import json
import random
import tracemalloc
import zlib
from array import array
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate

from client import WebSocketError, WSCloseCode, WSMessage, WSMsgType
from client.ws_frames import Deflate, FrameWriter, MessageReader
from tests.client.ws_peer import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    close_frame,
    deflated,
    frame,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PROTOCOL_ERROR, INVALID_TEXT, TOO_BIG = (
    WSCloseCode.PROTOCOL_ERROR,
    WSCloseCode.INVALID_TEXT,
    WSCloseCode.MESSAGE_TOO_BIG,
)

KAPPA = "κόσμε".encode()
SIZES = (0, 1, 125, 126, 127, 128, 65535, 65536)


def deflate(*, server_takes_over: bool = True, client_takes_over: bool = True, bits: int = 15) -> Deflate:
    return Deflate(PerMessageDeflate(not server_takes_over, not client_takes_over, bits, bits))


def text(data: str) -> WSMessage:
    return WSMessage(WSMsgType.TEXT, data, "")


def binary(data: bytes) -> WSMessage:
    return WSMessage(WSMsgType.BINARY, data, "")


def ping(data: bytes) -> WSMessage:
    return WSMessage(WSMsgType.PING, data, "")


def pong(data: bytes) -> WSMessage:
    return WSMessage(WSMsgType.PONG, data, "")


def closing(code: int, reason: str = "") -> WSMessage:
    return WSMessage(WSMsgType.CLOSE, code, reason)


def messages(reader: MessageReader) -> Iterator[WSMessage]:
    """All that a reader has, up to where it needs more bytes."""
    while (message := reader.poll()) is not None or not reader.is_starved:
        if message is not None:
            yield message


def read(reader: MessageReader, pieces: Iterable[bytes]) -> list[WSMessage | WebSocketError]:
    """Feed a reader, poll it after every piece, and return what it says, the error last."""
    said: list[WSMessage | WebSocketError] = []
    try:
        for piece in pieces:
            reader.feed(piece)
            said.extend(messages(reader))
    except WebSocketError as error:
        said.append(error)
    return said


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def fragments(kind: int, *parts: bytes, rsv: int = 0) -> bytes:
    """A message in as many frames as parts."""
    frames = [frame(kind, parts[0], fin=len(parts) == 1, rsv=rsv)]
    frames += [frame(CONTINUATION, part, fin=at == len(parts)) for at, part in enumerate(parts[1:], 2)]
    return b"".join(frames)


class Good(NamedTuple):
    data: bytes
    messages: list[WSMessage]


GOOD = {
    "empty text": Good(frame(TEXT), [text("")]),
    "empty bytes": Good(frame(BINARY), [binary(b"")]),
    "text": Good(frame(TEXT, KAPPA), [text("κόσμε")]),
    "the length in more bytes than needed": Good(
        b"\x81\x7e\x00\x02hi" + b"\x82\x7f" + bytes(7) + b"\x01x", [text("hi"), binary(b"x")]
    ),
    "fragments": Good(fragments(TEXT, b"a", b"b", b"c"), [text("abc")]),
    "empty fragments": Good(fragments(TEXT, b"", b"b", b""), [text("b")]),
    "characters over fragments": Good(fragments(TEXT, *bytewise(KAPPA)), [text("κόσμε")]),
    "pings within a message": Good(
        frame(TEXT, b"a", fin=False)
        + frame(PING, b"1")
        + frame(CONTINUATION, b"b", fin=False)
        + frame(PING, b"2")
        + frame(CONTINUATION, b"c"),
        [ping(b"1"), ping(b"2"), text("abc")],
    ),
    "ping": Good(frame(PING) + frame(PING, b"p" * 125), [ping(b""), ping(b"p" * 125)]),
    "pong": Good(frame(PONG, b"unasked"), [pong(b"unasked")]),
    "bytes that are no text": Good(frame(BINARY, b"\xff\xfe"), [binary(b"\xff\xfe")]),
    "the last character of Unicode": Good(frame(TEXT, "\U0010ffff".encode()), [text("\U0010ffff")]),
    "a byte order mark": Good(frame(TEXT, b"\xef\xbb\xbfx"), [text("\ufeffx")]),
    "a noncharacter": Good(frame(TEXT, "\ufffe".encode()), [text("\ufffe")]),
    "close": Good(frame(CLOSE), [closing(1005)]),
    "close with a code": Good(close_frame(1000), [closing(1000)]),
    "close with a reason": Good(close_frame(1001, "fort…".encode()), [closing(1001, "fort…")]),
    "close with the longest reason": Good(close_frame(1000, b"r" * 123), [closing(1000, "r" * 123)]),
    "anything after close": Good(close_frame(1000) + b"\xff" * 100 + frame(TEXT, b"late"), [closing(1000)]),
    **{
        f"close {code}": Good(close_frame(code), [closing(code)])
        for code in (1002, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
    },
    **{f"{size} bytes": Good(frame(BINARY, b"*" * size), [binary(b"*" * size)]) for size in SIZES},
}


@pytest.mark.parametrize("case", GOOD.values(), ids=GOOD)
def test_what_the_standard_allows_is_read(case: Good) -> None:
    assert read(MessageReader(), [case.data]) == case.messages
    assert read(MessageReader(), bytewise(case.data)) == case.messages


class Bad(NamedTuple):
    data: bytes
    code: WSCloseCode
    before: int = 0
    """How many messages are read before the fault is seen."""


BAD = {
    "masked": Bad(frame(TEXT, b"x", mask=b"abcd"), PROTOCOL_ERROR),
    **{f"opcode {opcode}": Bad(frame(opcode, b"x"), PROTOCOL_ERROR) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    **{f"reserved bits {rsv >> 4}": Bad(frame(TEXT, b"x", rsv=rsv), PROTOCOL_ERROR) for rsv in range(RSV3, 0x80, RSV3)},
    "reserved bit in a ping": Bad(frame(PING, rsv=RSV1), PROTOCOL_ERROR),
    "reserved bit in a close": Bad(frame(CLOSE, rsv=RSV2), PROTOCOL_ERROR),
    "reserved bit in the second message": Bad(
        frame(TEXT, b"x") + frame(TEXT, b"y", rsv=RSV3), PROTOCOL_ERROR, before=1
    ),
    "fragmented ping": Bad(frame(PING, b"a", fin=False), PROTOCOL_ERROR),
    "fragmented pong": Bad(frame(PONG, b"a", fin=False), PROTOCOL_ERROR),
    "fragmented close": Bad(frame(CLOSE, fin=False), PROTOCOL_ERROR),
    "ping too long": Bad(frame(PING, b"p" * 126), PROTOCOL_ERROR),
    "close too long": Bad(close_frame(1000, b"r" * 124), PROTOCOL_ERROR),
    "continuation of nothing": Bad(frame(CONTINUATION, b"x"), PROTOCOL_ERROR),
    "continuation of nothing, unfinished": Bad(frame(CONTINUATION, b"x", fin=False), PROTOCOL_ERROR),
    "continuation after the end": Bad(
        fragments(TEXT, b"a", b"b") + frame(CONTINUATION, b"c"), PROTOCOL_ERROR, before=1
    ),
    "text within text": Bad(frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), PROTOCOL_ERROR),
    "bytes within text": Bad(frame(TEXT, b"a", fin=False) + frame(BINARY, b"b", fin=False), PROTOCOL_ERROR),
    "close of one byte": Bad(frame(CLOSE, b"\x03"), PROTOCOL_ERROR),
    **{
        f"close {code}": Bad(close_frame(code), PROTOCOL_ERROR)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
    "close with a reason that is no text": Bad(close_frame(1000, b"\xce\xba\xe1\xff"), INVALID_TEXT),
    "not UTF-8": Bad(frame(TEXT, b"\xce\xba\xff"), INVALID_TEXT),
    "not UTF-8, in a fragment before the last": Bad(
        frame(TEXT, b"\xce", fin=False) + frame(CONTINUATION, b"x", fin=False), INVALID_TEXT
    ),
    "a character cut short": Bad(frame(TEXT, KAPPA[:-1]), INVALID_TEXT),
    "a character cut short, in fragments": Bad(fragments(TEXT, KAPPA[:3], KAPPA[3:-1]), INVALID_TEXT),
    "a surrogate": Bad(frame(TEXT, b"\xed\xa0\x80"), INVALID_TEXT),
    "an overlong character": Bad(frame(TEXT, b"\xc0\xaf"), INVALID_TEXT),
    "beyond Unicode": Bad(frame(TEXT, b"\xf4\x90\x80\x80"), INVALID_TEXT),
    "a frame of 2⁶³ bytes": Bad(b"\x82\x7f\x80" + bytes(7), TOO_BIG),
    "a frame beyond the bound": Bad(b"\x82\x7e\x04\x01", TOO_BIG),
    "fragments beyond the bound": Bad(fragments(BINARY, b"x" * 1000, b"x" * 25), TOO_BIG),
    "fragments beyond the bound, unfinished": Bad(
        frame(BINARY, b"x" * 1000, fin=False) + frame(CONTINUATION, b"x" * 25, fin=False), TOO_BIG
    ),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_what_breaks_the_standard_or_a_bound_is_told_with_its_code(case: Bad) -> None:
    for pieces in ([case.data], bytewise(case.data)):
        reader = MessageReader(max_msg_size=1024)
        *before, error = read(reader, pieces)
        assert isinstance(error, WebSocketError)
        assert (error.code, len(before)) == (case.code, case.before)
        with pytest.raises(WebSocketError):
            reader.poll()  # an error is for ever


def test_a_message_may_fill_the_bound_and_be_interrupted() -> None:
    """A ping is not counted as part of the message it comes within."""
    data = frame(BINARY, b"x" * 1024, fin=False) + frame(PING, b"p" * 125) + frame(CONTINUATION)
    assert read(MessageReader(max_msg_size=1024), [data]) == [ping(b"p" * 125), binary(b"x" * 1024)]


def test_text_can_be_left_as_it_came() -> None:
    reader = MessageReader(decodes_text=False)
    data = frame(TEXT, b'{"a": 1}') + fragments(TEXT, b"\xff", b"\xfe")
    first, second = messages_of(reader, data)
    assert first.json() == {"a": 1}
    assert second == WSMessage(WSMsgType.TEXT, b"\xff\xfe", "")


def messages_of(reader: MessageReader, data: bytes) -> list[WSMessage]:
    reader.feed(data)
    return list(messages(reader))


def test_a_message_reads_json_with_the_function_it_is_given() -> None:
    assert text("[1]").json(loads=lambda data: json.loads(data)[0]) == 1


def test_a_flood_of_empty_frames_does_not_keep_the_processor() -> None:
    """A poll ends after some hundred frames even if there is no message and no lack of bytes."""
    reader = MessageReader()
    reader.feed(frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 2000 + frame(CONTINUATION))
    assert reader.poll() is None
    assert not reader.is_starved
    assert list(messages(reader)) == [text("")]


# -- compression --------------------------------------------------------------------------------------------------


def test_a_message_is_inflated_whole_or_in_fragments() -> None:
    payload = b"Hello, hello, hello! " * 50
    data = deflated(payload)
    reader = MessageReader(deflate=deflate(server_takes_over=False))
    assert messages_of(reader, frame(BINARY, data, rsv=RSV1)) == [binary(payload)]
    assert messages_of(reader, fragments(BINARY, *bytewise(data), rsv=RSV1)) == [binary(payload)]
    assert messages_of(reader, frame(BINARY, payload)) == [binary(payload)]  # a message need not be compressed


def test_the_examples_of_the_standard_are_inflated() -> None:
    """RFC 7692 §7.2.3: one block; a block of the same window; no compression; a final block; two blocks."""
    hello = frame(TEXT, bytes.fromhex("f248cdc9c90700"), rsv=RSV1)
    again = frame(TEXT, bytes.fromhex("f200110000"), rsv=RSV1)
    stored = frame(TEXT, bytes.fromhex("000500faff48656c6c6f00"), rsv=RSV1)
    final = frame(TEXT, bytes.fromhex("f348cdc9c9070000"), rsv=RSV1)
    blocks = frame(TEXT, bytes.fromhex("f24805000000ffffcac9c90700"), rsv=RSV1)
    reader = MessageReader(deflate=deflate())
    assert messages_of(reader, hello + again + stored + final + hello + blocks) == [text("Hello")] * 6


@pytest.mark.parametrize("takes_over", [True, False])
def test_a_message_that_ends_with_a_final_block_leaves_nothing_behind(*, takes_over: bool) -> None:
    """RFC 7692 §7.2.3.4. zlib would keep all that follows a final block, for as long as the connection lasts."""
    final = zlib.compress(b"Hello", wbits=-15)
    reader = MessageReader(deflate=deflate(server_takes_over=takes_over))
    for ending in (final, final + b"\0"):
        assert messages_of(reader, frame(TEXT, ending, rsv=RSV1)) == [text("Hello")]
        assert messages_of(reader, frame(TEXT, deflated(b"World"), rsv=RSV1)) == [text("World")]
        assert messages_of(reader, fragments(TEXT, ending, deflated(b"World"), rsv=RSV1)) == [text("HelloWorld")]


COMPRESSED_BAD = {
    "not deflated": Bad(frame(BINARY, b"\xff\xff\xff\xff", rsv=RSV1), PROTOCOL_ERROR),
    "reserved bit in a continuation": Bad(
        frame(BINARY, deflated(b"x"), rsv=RSV1, fin=False) + frame(CONTINUATION, rsv=RSV1), PROTOCOL_ERROR
    ),
    "reserved bit in a compressed ping": Bad(frame(PING, deflated(b"x"), rsv=RSV1), PROTOCOL_ERROR),
    "another reserved bit": Bad(frame(BINARY, deflated(b"x"), rsv=RSV1 | RSV2), PROTOCOL_ERROR),
    "text behind a final block": Bad(frame(BINARY, zlib.compress(b"x", wbits=-15) * 2, rsv=RSV1), PROTOCOL_ERROR),
    "no UTF-8 inside": Bad(frame(TEXT, deflated(b"\xff"), rsv=RSV1), INVALID_TEXT),
    "a bomb": Bad(frame(BINARY, deflated(bytes(1 << 20)), rsv=RSV1), TOO_BIG),
    "a bomb in fragments": Bad(fragments(BINARY, *bytewise(deflated(bytes(1 << 20))), rsv=RSV1), TOO_BIG),
    "one byte too many": Bad(frame(BINARY, deflated(bytes(2049)), rsv=RSV1), TOO_BIG),
}


@pytest.mark.parametrize("case", COMPRESSED_BAD.values(), ids=COMPRESSED_BAD)
def test_bad_compression_is_told_with_its_code(case: Bad) -> None:
    for pieces in ([case.data], bytewise(case.data)):
        (error,) = read(MessageReader(max_msg_size=2048, deflate=deflate()), pieces)
        assert isinstance(error, WebSocketError)
        assert error.code == case.code


def test_a_bomb_is_not_inflated_beyond_the_bound() -> None:
    bomb = frame(BINARY, deflated(bytes(64 << 20)), rsv=RSV1)
    reader = MessageReader(max_msg_size=1 << 20, deflate=deflate())
    reader.feed(bomb)
    tracemalloc.start()
    try:
        with pytest.raises(WebSocketError):
            reader.poll()
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_message_may_inflate_to_the_bound() -> None:
    reader = MessageReader(max_msg_size=2048, deflate=deflate())
    assert messages_of(reader, frame(BINARY, deflated(bytes(2048)), rsv=RSV1)) == [binary(bytes(2048))]


# -- writing ------------------------------------------------------------------------------------------------------


def unmasked(data: bytes) -> bytes:
    """A client's frame as a server would have sent it, so that a reader takes it."""
    size = {126: 2, 127: 8}.get(data[1] & 0x7F, 0)
    mask, payload = data[2 + size : 6 + size], data[6 + size :]
    assert data[1] & 0x80
    plain = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return data[:1] + bytes([data[1] & 0x7F]) + data[2 : 2 + size] + plain


@given(st.lists(st.tuples(st.binary(max_size=300), st.sampled_from([None, 0, 9, 12, 15]), st.booleans())))
@pytest.mark.parametrize("takes_over", [True, False])
def test_what_is_written_can_be_read(takes_over: bool, sent: list[tuple[bytes, int | None, bool]]) -> None:
    """Whichever window each message has, and with control frames between them."""
    writer = FrameWriter(deflate(client_takes_over=takes_over))
    reader = MessageReader(deflate=deflate(server_takes_over=takes_over))
    for payload, compress, interrupts in sent:
        if interrupts:
            assert messages_of(reader, unmasked(writer.frame(WSMsgType.PING, b"!", compress))) == [ping(b"!")]
        data = writer.frame(WSMsgType.BINARY, payload, compress)
        assert bool(data[0] & RSV1) == (compress != 0)
        assert messages_of(reader, unmasked(data)) == [binary(payload)]


@pytest.mark.parametrize(("agreed", "asked"), [(15, 9), (9, None), (9, 15)])
def test_a_smaller_window_is_kept_to(agreed: int, asked: int | None) -> None:
    """What lies further back than 2⁹ bytes is not referred to: an inflater with such a window would not understand."""
    noise = random.Random(1)
    again = noise.randbytes(300)
    payload = again + noise.randbytes(1000) + again
    data = unmasked(FrameWriter(deflate(bits=agreed)).frame(WSMsgType.BINARY, payload, asked))
    piecemeal = fragments(BINARY, *bytewise(data[4:]), rsv=RSV1)  # in one piece, zlib would look back further
    assert messages_of(MessageReader(deflate=deflate(bits=9)), piecemeal) == [binary(payload)]


def test_each_frame_is_masked_with_a_key_of_its_own() -> None:
    writer = FrameWriter()
    keys = {writer.frame(WSMsgType.TEXT, b"x")[2:6] for _ in range(16)}
    assert len(keys) > 8


def test_without_an_agreement_nothing_is_compressed() -> None:
    assert unmasked(FrameWriter().frame(WSMsgType.TEXT, b"x" * 50, 15)) == frame(TEXT, b"x" * 50)


def test_a_close_frame_says_code_and_reason_or_nothing() -> None:
    writer = FrameWriter()
    assert unmasked(writer.close_frame(4000, "fort…")) == close_frame(4000, "fort…".encode())
    assert unmasked(writer.close_frame(WSCloseCode.NO_STATUS)) == frame(CLOSE)


@pytest.mark.parametrize("code", [0, 999, 1004, 1006, 1015, 2000, 5000])
def test_a_code_that_must_not_be_sent_is_refused(code: int) -> None:
    with pytest.raises(ValueError, match=str(code)):
        FrameWriter().close_frame(code)


@pytest.mark.parametrize("bits", [1, 8, 16, -15])
def test_a_window_of_another_size_is_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="from 9 to 15"):
        FrameWriter().frame(WSMsgType.TEXT, b"", bits)


def test_a_control_frame_has_its_bound() -> None:
    writer = FrameWriter()
    assert unmasked(writer.frame(WSMsgType.PING, b"p" * 125)) == frame(PING, b"p" * 125)
    with pytest.raises(ValueError, match="125"):
        writer.frame(WSMsgType.PING, b"p" * 126)
    with pytest.raises(ValueError, match="125"):
        writer.close_frame(1000, "r" * 124)


@pytest.mark.parametrize("kind", [WSMsgType.BINARY, WSMsgType.PING])
def test_a_view_is_sent_by_its_bytes_whatever_its_elements_are(kind: WSMsgType) -> None:
    numbers = memoryview(array("I", range(20)))
    written = FrameWriter().frame(kind, numbers)
    assert written[1] & 0x7F == numbers.nbytes
    mask = written[2:6]
    assert bytes(byte ^ mask[at % 4] for at, byte in enumerate(written[6:])) == bytes(numbers)
