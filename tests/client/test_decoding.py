"""Content codings: every coding through the same laws, then what is particular to one, then bombs."""

import gzip
import random
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterable
from itertools import pairwise

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.codings import CODINGS, Coding, Stream
from client.decoding import FREE_STREAMS, MAX_CODINGS, MAX_RATIO, Decoder, decode_whole, make_compressor, make_decoder
from client.errors import BodyTooLarge, ClientPayloadError, ContentEncodingError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

UNBOUNDED = sys.maxsize - 1
MEBIBYTE = 1024 * 1024


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def brotli_fast(data: bytes) -> bytes:
    compressed: bytes = brotli.compress(data, quality=4)
    return compressed


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "zlib": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "br": ("br", brotli_fast),
    "zstd": ("zstd", zstd.compress),
    "br in gzip": ("br, gzip", lambda data: gzip.compress(brotli_fast(data))),
    "gzip in zstd": ("gzip, zstd", lambda data: zstd.compress(gzip.compress(data))),
    "all": ("deflate, gzip, br, zstd", lambda data: zstd.compress(brotli_fast(gzip.compress(zlib.compress(data))))),
}
every_coding = pytest.mark.parametrize(("header", "encode"), ENCODERS.values(), ids=ENCODERS)

# Text repeats itself and noise does not: both kinds of block, and sizes around the windows in use.
texts = st.builds(lambda unit, times: unit * times, st.binary(max_size=80), st.integers(0, 4000))
noise = st.builds(lambda seed, size: random.Random(seed).randbytes(size), st.integers(0, 99), st.integers(0, 100_000))
bodies = st.one_of(st.binary(max_size=200), texts, noise)
at_leisure = settings(deadline=None)  # they are large: decoding one takes as long as a busy machine likes


def decoder_for(header: str) -> Decoder:
    decoder = make_decoder(header)
    assert decoder is not None
    return decoder


def decode_in_parts(decoder: Decoder, parts: Iterable[bytes], step: int) -> bytes:
    """Feed `parts`, pulling at most `step` bytes at a time."""
    output = bytearray()
    for part in parts:
        output += decoder.feed(part, step)
        while decoder.pending:
            output += decoder.feed(b"", step)
    return bytes(output + decoder.finish())


def split(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    marks = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(marks)]


@every_coding
@at_leisure
@given(body=bodies, cuts=st.lists(st.integers(0, 2**20), max_size=5), step=st.integers(1, 70_000))
def test_any_body_survives_any_split(
    header: str, encode: Callable[[bytes], bytes], body: bytes, cuts: list[int], step: int
) -> None:
    step = max(step, len(body) // 50)
    assert decode_in_parts(decoder_for(header), split(encode(body), cuts), step) == body


@every_coding
@at_leisure
@given(body=bodies)
def test_a_whole_body_decodes_at_once(header: str, encode: Callable[[bytes], bytes], body: bytes) -> None:
    assert decode_whole(header, encode(body), UNBOUNDED) == body


@every_coding
def test_a_body_arriving_byte_by_byte(header: str, encode: Callable[[bytes], bytes]) -> None:
    body = b"<p>one page</p>\n" * 40
    assert decode_in_parts(decoder_for(header), split(encode(body), range(len(encode(body)))), 7) == body


@every_coding
def test_a_body_cut_at_any_byte_is_an_error(header: str, encode: Callable[[bytes], bytes]) -> None:
    """Half a page must never pass for a page. (Nothing at all may: servers send empty bodies under any coding.)"""
    encoded = encode(b"<p>one page</p>\n" * 40)
    for cut in range(1, len(encoded)):
        with pytest.raises(ContentEncodingError):
            decode_whole(header, encoded[:cut], UNBOUNDED)
        with pytest.raises(ContentEncodingError):
            decode_in_parts(decoder_for(header), [encoded[:cut]], 1000)


@pytest.mark.parametrize("header", sorted({header for header, _ in ENCODERS.values()}))
def test_an_empty_body_is_empty_under_any_coding(header: str) -> None:
    assert decode_whole(header, b"", 10) == b""
    assert decoder_for(header).finish() == b""


@every_coding
@given(body=st.binary(min_size=1, max_size=300), cuts=st.lists(st.integers(0, 300), max_size=3))
def test_noise_is_decoded_or_refused(
    header: str, encode: Callable[[bytes], bytes], body: bytes, cuts: list[int]
) -> None:
    """No other exception escapes, whatever comes, and a damaged stream is treated alike."""
    damaged = bytearray(encode(body))
    damaged[cuts[0] % len(damaged) if cuts else 0] ^= 0x55
    for data in (body, bytes(damaged)):
        try:
            decode_in_parts(decoder_for(header), split(data, cuts), 100)
        except ContentEncodingError as error:
            assert isinstance(error, ClientPayloadError)  # noqa: PT017 - success is fine too


@every_coding
def test_feed_returns_no_more_than_asked(header: str, encode: Callable[[bytes], bytes]) -> None:
    decoder = decoder_for(header)
    body = random.Random(1).randbytes(1000) * 300
    output = decoder.feed(encode(body), 10_000)
    assert 0 < len(output) <= 10_000 + (32 * 1024 if header.startswith("br") else 0)
    assert decoder.pending
    assert output + decoder.finish() == body
    assert not decoder.pending


@every_coding
def test_decode_whole_refuses_what_exceeds_its_bound(header: str, encode: Callable[[bytes], bytes]) -> None:
    body = random.Random(1).randbytes(100) * 20
    assert decode_whole(header, encode(body), 2000) == body
    with pytest.raises(BodyTooLarge):
        decode_whole(header, encode(body), 1999)


# ---- which decoder


@pytest.mark.parametrize("header", ["", " ", "identity", "Identity, identity", ","])
def test_identity_needs_no_decoder(header: str) -> None:
    assert make_decoder(header) is None
    assert decode_whole(header, b"as it is", 8) == b"as it is"
    with pytest.raises(BodyTooLarge):
        decode_whole(header, b"as it is", 7)


@pytest.mark.parametrize("header", ["utf-8", "none", "gzip, aes128gcm", "compress", "gzip;q=1"])
def test_an_unknown_coding_leaves_the_body_alone(header: str) -> None:
    assert make_decoder(header) is None
    assert decode_whole(header, gzip.compress(b"page"), 100) == gzip.compress(b"page")


@pytest.mark.parametrize("header", ["gzip", "GZIP", "x-gzip", " gzip ", "identity, gzip", "gzip,"])
def test_spellings_of_gzip(header: str) -> None:
    assert decode_whole(header, gzip.compress(b"page"), 100) == b"page"


def test_too_many_codings_are_refused() -> None:
    body = b"page"
    for _ in range(MAX_CODINGS):
        body = gzip.compress(body)
    assert decode_whole(", ".join(["gzip"] * MAX_CODINGS), body, 100) == b"page"
    with pytest.raises(ContentEncodingError, match="content codings"):
        make_decoder(", ".join(["gzip"] * (MAX_CODINGS + 1)))


# ---- after the end of a stream


@pytest.mark.parametrize("split_at", [None, "the end", "each byte"])
@pytest.mark.parametrize("garbage", [b"\n", b"\0" * 40_000, b"\x1f", b"\x1f\x8b", b"\x28\xb5", b"<!-- cached -->"])
@pytest.mark.parametrize("coding", ["gzip", "zlib", "raw deflate", "zstd"])
def test_garbage_after_the_stream_is_ignored(coding: str, garbage: bytes, split_at: str | None) -> None:
    header, encode = ENCODERS[coding]
    end = len(encode(b"page"))
    cuts = {None: [], "the end": [end], "each byte": range(end + 10)}[split_at]
    decoder = decoder_for(header)
    assert decode_in_parts(decoder, split(encode(b"page") + garbage, cuts), 100) == b"page"
    assert decoder.feed(garbage, 100) == b""
    assert not decoder.pending
    assert decode_whole(header, encode(b"page") + garbage, 100) == b"page"


def test_garbage_within_the_chain_is_ignored_too() -> None:
    """Though the outer stream is then not read to its end."""
    body = zstd.compress(gzip.compress(b"page") + random.Random(1).randbytes(200_000))
    assert decode_whole("gzip, zstd", body, 100) == b"page"
    assert decode_in_parts(decoder_for("gzip, zstd"), split(body, range(0, len(body), 1000)), 100) == b"page"


@pytest.mark.parametrize("cuts", [[], [len(brotli_fast(b"page"))]])
def test_garbage_after_a_br_stream_is_an_error(cuts: list[int]) -> None:
    """Whether or not it comes in the same packet."""
    with pytest.raises(ContentEncodingError):
        decode_in_parts(decoder_for("br"), split(brotli_fast(b"page") + b"\n", cuts), 100)


SKIPPABLE_FRAME = b"\x5a\x2a\x4d\x18\x03\0\0\0abc"


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        ("gzip", [gzip.compress(b"one "), gzip.compress(b""), gzip.compress(b"page")]),
        ("zstd", [zstd.compress(b"one "), SKIPPABLE_FRAME, zstd.compress(b"page"), SKIPPABLE_FRAME]),
    ],
)
def test_members_and_frames_are_joined(header: str, parts: list[bytes]) -> None:
    whole = b"".join(parts)
    assert decode_whole(header, whole, 100) == b"one page"
    for pieces in (parts, split(whole, range(len(whole)))):
        assert decode_in_parts(decoder_for(header), pieces, 100) == b"one page"


@pytest.mark.parametrize("header", ["gzip", "zstd"])
def test_a_second_member_cut_short_is_an_error(header: str) -> None:
    encode = ENCODERS[header][1]
    with pytest.raises(ContentEncodingError, match="ends in the middle"):
        decode_whole(header, encode(b"one ") + encode(b"page")[:-1], 100)


def test_many_tiny_members() -> None:
    members = 20_000
    assert decode_whole("gzip", gzip.compress(b"x") * members, members) == b"x" * members


def test_a_wrong_checksum_is_an_error() -> None:
    body = bytearray(gzip.compress(b"page"))
    body[-5] ^= 1
    with pytest.raises(ContentEncodingError, match="gzip: invalid data"):
        decode_whole("gzip", bytes(body), 100)


def test_a_zstd_window_beyond_the_standard_is_refused() -> None:
    """RFC 9659: 8 MiB. The decompressor allocates the window that the frame asks for."""
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    frame = compressor.compress(b"page") + compressor.flush()
    with pytest.raises(ContentEncodingError, match="zstd: invalid data"):
        decode_whole("zstd", frame, 100)


# ---- bombs


def bomb(name: str) -> tuple[str, bytes]:
    """A body expanding to 16 MiB and more."""
    zeros = bytes(16 * MEBIBYTE)
    header, encode = ENCODERS[name]
    return header, encode(zeros)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_bomb_is_stopped_early_and_in_bounded_memory(name: str) -> None:
    header, body = bomb(name)
    assert 16 * MEBIBYTE / len(body) > 1000
    runs: list[Callable[[], bytes]] = [
        lambda: decode_whole(header, body, UNBOUNDED),
        lambda: decoder_for(header).feed(body, UNBOUNDED),
        lambda: decode_in_parts(decoder_for(header), [body], 1000),
    ]
    for run in runs:
        tracemalloc.start()
        with pytest.raises(BodyTooLarge, match="expands beyond 500:1"):
            run()
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak_bytes < 2 * MAX_RATIO * len(body) + 4 * MEBIBYTE


def test_a_bomb_within_the_chain_is_stopped_though_nothing_comes_out() -> None:
    """The outer coding inflates to endless empty blocks of the inner one. It may inflate to less than the last coding may."""
    body = zstd.compress(b"\0\0\0\xff\xff" * (2 * MEBIBYTE // 5))
    with pytest.raises(BodyTooLarge, match="zstd: the body expands beyond 20:1"):
        decoder_for("deflate, zstd").feed(body, 1000)


SKIPPABLE = b"\x50\x2a\x4d\x18\0\0\0\0"


@pytest.mark.parametrize(
    ("header", "stream", "wrap"),
    [
        ("zstd", SKIPPABLE, bytes),
        ("zstd", zstd.compress(b""), bytes),
        ("zstd", zstd.compress(b"x"), bytes),
        ("gzip", gzip.compress(b"", mtime=0), bytes),
        ("zstd, gzip", SKIPPABLE, gzip.compress),
        ("gzip, gzip", gzip.compress(b"", mtime=0), gzip.compress),
        ("gzip, zstd", gzip.compress(b"", mtime=0), zstd.compress),
    ],
)
def test_streams_are_counted(
    header: str, stream: bytes, wrap: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To open a stream is dear, and endless empty ones yield nothing that a bound of the size would notice."""
    opened = 0

    def counted(coding: Coding) -> Coding:
        def open_stream() -> Stream:
            nonlocal opened
            opened += 1
            return coding.open()

        return coding._replace(open=open_stream)

    for name, coding in CODINGS.items():
        monkeypatch.setitem(CODINGS, name, counted(coding))
    body = wrap(stream * 100_000)
    runs: list[Callable[[], bytes]] = [
        lambda: decode_whole(header, body, UNBOUNDED),
        lambda: decoder_for(header).feed(body, UNBOUNDED),
    ]
    for decode in runs:
        opened = 0
        with pytest.raises(ContentEncodingError, match=r"empty streams|streams in so small a body"):
            decode()
        assert opened < 2 * FREE_STREAMS + len(body) // 128


@pytest.mark.parametrize(("header", "encode"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
def test_records_may_be_streams_of_their_own(header: str, encode: Callable[[bytes], bytes]) -> None:
    """As those of a WARC file are."""
    record = random.Random(0).randbytes(200)
    count = 2 * FREE_STREAMS
    assert decode_whole(header, encode(record) * count, UNBOUNDED) == record * count


@pytest.mark.parametrize("name", ENCODERS)
def test_a_wider_ratio_can_be_allowed(name: str) -> None:
    header, encode = ENCODERS[name]
    zeros = bytes(2 * MEBIBYTE)
    with pytest.raises(BodyTooLarge, match="beyond"):
        decode_whole(header, encode(zeros), UNBOUNDED)
    assert decode_whole(header, encode(zeros), UNBOUNDED, max_ratio=1e9) == zeros


@pytest.mark.parametrize("name", ENCODERS)
def test_a_blank_body_below_the_floor_may_have_any_ratio(name: str) -> None:
    header, encode = ENCODERS[name]
    zeros = bytes(MEBIBYTE)
    assert decode_whole(header, encode(zeros), UNBOUNDED) == zeros


# ---- encoding


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@at_leisure
@given(body=bodies, cuts=st.lists(st.integers(0, 2**20), max_size=5))
def test_a_compressor_writes_what_a_decoder_reads(coding: str, body: bytes, cuts: list[int]) -> None:
    compressor = make_compressor(coding)
    encoded = b"".join([*map(compressor.compress, split(body, cuts)), compressor.flush()])
    assert decode_whole(coding, encoded, UNBOUNDED) == body


def test_deflate_is_sent_as_a_zlib_stream() -> None:
    compressor = make_compressor("deflate")
    assert zlib.decompress(compressor.compress(b"page") + compressor.flush()) == b"page"


def test_a_compressor_for_another_coding_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot compress with 'br'"):
        make_compressor("br")
