"""Which encoding a body is read in, and that reading it never fails."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.web.encoders import encode, in_query
from crawler.web.encoding import _CODECS, decode, encoding_of

GERMAN = "Über die Größe der Wälder und die Bäche: schöne Grüße aus München. "


content_types = st.none() | st.text(max_size=40) | st.sampled_from(sorted(_CODECS)).map("text/html; charset={}".format)


@given(st.binary(max_size=300), content_types)
def test_any_bytes_become_text(body: bytes, content_type: str | None) -> None:
    """Text that can be written as UTF-8 again, as parsing it asks for."""
    text = decode(body, encoding_of(body, content_type))
    assert text.encode().decode() == text


@given(st.text().filter(lambda text: not text.startswith("\ufeff")))
def test_undeclared_utf_8_is_utf_8(text: str) -> None:
    body = text.encode("utf-8", "replace")
    if not body.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE)):
        assert encoding_of(body, "text/plain") == "utf-8"
        assert decode(body, "utf-8") == body.decode()


@pytest.mark.parametrize(
    ("label", "encoding"),
    [
        ("utf8", "utf-8"),
        ("ISO-8859-1", "windows-1252"),
        ("us-ascii", "windows-1252"),
        ("latin1", "windows-1252"),
        ("iso-8859-9", "windows-1254"),
        ("iso-8859-15", "iso-8859-15"),
        ("gb2312", "gb18030"),
        ("GBK", "gb18030"),
        ("x-sjis", "cp932"),
        ("Shift_JIS", "cp932"),
        ("ks_c_5601-1987", "cp949"),
        ("big5", "big5hkscs"),
        ("tis-620", "cp874"),
        ("utf-16", "utf-16-le"),
        ("x-mac-cyrillic", "mac-cyrillic"),
    ],
)
def test_labels_mean_what_the_encoding_standard_says(label: str, encoding: str) -> None:
    assert encoding_of(b"", f"text/html; charset={label}") == encoding


@pytest.mark.parametrize(
    ("label", "body", "text"),
    [
        ("euc-jp", b"a\xad\xa1\xad\xea\xa4\xa2\xf9\xa1", "a①㈱あ纊"),
        ("euc-jp", b"\xa1\xc1\xa1\xdd", "\uff5e\uff0d"),
        ("euc-jp", b"\x8e\xb1\x8f\xb0\xa1", "ｱ丂"),
        ("euc-jp", b"a\xadb\xff\xad", "a\ufffdb\ufffd\ufffd"),
        ("iso-2022-jp", b'a\x1b$B-!$"y!\x1b(Ba', "a①あ纊a"),
        ("iso-2022-jp", b"\x1b(I1\x1b(J\\\x1b(B\xad\xa1", "ｱ¥\ufffd\ufffd"),
        ("shift_jis", b"\x87\x40\xb1\x81\x60", "①ｱ\uff5e"),
    ],
)  # fmt: skip
def test_japanese_as_browsers_read_it(label: str, body: bytes, text: str) -> None:
    """With the vendors' characters, in each of its encodings; Python's codecs have them in Shift_JIS alone."""
    assert decode(body, encoding_of(b"", f"text/html; charset={label}")) == text


def test_what_says_most_wins() -> None:
    meta = b"<meta charset=koi8-r>"
    header = "text/html; charset=windows-1251"
    assert encoding_of(codecs.BOM_UTF8 + meta, header) == "utf-8"
    assert encoding_of(codecs.BOM_UTF16_LE, header) == "utf-16-le"
    assert encoding_of(codecs.BOM_UTF16_BE, header) == "utf-16-be"
    assert encoding_of(meta, header) == "windows-1251"
    assert encoding_of(meta, "text/html; charset=nonsense") == "koi8-r"
    assert encoding_of(meta, None) == "koi8-r"
    assert encoding_of(b"<meta charset=nonsense>", None) == "utf-8"


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        (b'<META http-equiv="Content-Type" content="text/html; charset=Windows-1251">', "windows-1251"),
        (b"<meta content='text/html;charset=koi8-r' http-equiv=content-type />", "koi8-r"),
        (b'<meta\ncharset = "gbk" >', "gb18030"),
        (b"<meta/charset=big5 />", "big5hkscs"),
        (b"<meta charset=big5/>", "utf-8"),
        (b'<meta name=viewport content=x><meta charset="euc-kr">', "cp949"),
        (b"<!-- <meta charset=koi8-r> --><meta charset=cp866>", "cp866"),
        (b"<!-- <meta charset=koi8-r>", "utf-8"),
        (b"<!--><meta charset=koi8-r>", "koi8-r"),
        (b"<a title='<meta charset=koi8-r>'><meta charset=cp866>", "cp866"),
        (b"<meta name=keywords content='charset=koi8-r'><meta charset=cp866>", "cp866"),
        (b"<meta http-equiv=refresh content='0;?charset=koi8-r'>", "utf-8"),
        (b"<meta data-charset=koi8-r>", "utf-8"),
        (b"<meta name='>' charset=koi8-r>", "koi8-r"),
        (b"<meta charset=nonsense http-equiv=content-type content='charset=koi8-r'><meta charset=cp866>", "cp866"),
        (b"<meta charset=koi8-r", "utf-8"),
        (b'<meta charset="utf-16">', "utf-8"),
        (b"<meta charset=x-user-defined>", "windows-1252"),
        (b"<?xml version='1.0' encoding='koi8-r'?><meta charset=cp866>", "cp866"),
        (b"<?xml version='1.0' encoding='utf-16'?>", "utf-8"),
        ("<?xml version='1.0'?>".encode("utf-16-le"), "utf-16-le"),
        ("<?xml version='1.0'?>".encode("utf-16-be"), "utf-16-be"),
        (b'<?xml version="1.0" encoding="ISO-8859-2"?><html>', "iso-8859-2"),
        (b" <?xml version='1.0' encoding='iso-8859-2'?>", "utf-8"),
        (b" " * 1010 + b"<meta charset=koi8-r>", "utf-8"),
        (b"<metal charset=koi8-r>", "utf-8"),
    ],
)
def test_declarations_in_the_first_1024_bytes(head: bytes, encoding: str) -> None:
    assert encoding_of(head, "text/html") == encoding


def test_declarations_count_in_markup_only() -> None:
    body = b"<meta charset=koi8-r>"
    assert encoding_of(body, "text/plain") == "utf-8"
    assert encoding_of(body, "text") == "koi8-r"
    assert encoding_of(body, "application/xhtml+xml") == "koi8-r"
    assert encoding_of(b"<?xml version='1.0' encoding='cp866'?>" + body, "application/xhtml+xml") == "cp866"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Привет, как дела? Вот русская страница про погоду под Москвой. ", "cp1251"),
        ("Привет, как дела? Вот русская страница про погоду под Москвой. ", "koi8_r"),
        ("これは日本語のページです。文字コードの判定を試します。", "cp932"),
        ("これは日本語のページです。文字コードの判定を試します。", "euc_jp"),
        ("这是一个中文网页,用来测试编码检测的效果。", "gb18030"),
        ("이것은 한국어 페이지입니다. 인코딩 감지를 시험합니다. ", "cp949"),
        (GERMAN, "cp1252"),
        ("L'été dernier, nous avons mangé des crêpes à la forêt, déjà très fâché. ", "cp1252"),
        ("Räksmörgås är gott på sommaren, även åt små barn. ", "cp1252"),
    ],
)
@pytest.mark.parametrize("times", [3, 400])
def test_undeclared_legacy_text_is_guessed(text: str, encoding: str, times: int) -> None:
    """Four hundred times exceeds the sample; its cut end must not spoil the guess."""
    body = b"<html><body>" + b"a " * 5000 + (text * times).encode(encoding)
    assert decode(body, encoding_of(body, "text/html")) == body.decode(encoding)


def test_what_nothing_explains_is_read_as_the_web_always_did() -> None:
    body = bytes(range(0x80, 0x100)) * 40
    assert encoding_of(body, "text/html") == "windows-1252"
    assert "ÀÁÂ" in decode(body, "windows-1252")


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE])
def test_the_mark_is_no_part_of_the_text(mark: bytes) -> None:
    encoding = encoding_of(mark, None)
    assert decode(mark + "é".encode(encoding), encoding) == "é"


def test_a_wrong_declaration_is_believed_and_survived() -> None:
    body = b"caf\xe9"
    assert encoding_of(body, "text/html; charset=utf-8") == "utf-8"
    assert decode(body, "utf-8") == "caf\ufffd"


@pytest.mark.parametrize(
    ("reference", "encoding", "expected"),
    [
        ("é?é#é", "utf-8", "é?é#é"),
        ("é?é#é", "utf-16-le", "é?é#é"),
        ("é?é#é", "windows-1252", "é?%E9#é"),
        ("é", "windows-1252", "é"),
        ("é#?é", "windows-1252", "é#?é"),
        ("?a é%?€ж&☃☃", "windows-1252", "?a %E9%?%80%26%231078%3B&%26%239731%3B%26%239731%3B"),
        ("?\x80\x9d", "windows-1252", "?%26%23128%3B%26%23157%3B"),
        ("?表", "cp932", "?%95\\"),
        ("?あ\uff5e①x", "euc-jp", "?%A4%A2%A1%C1%AD%A1x"),
        ("?前x", "iso2022_jp_ext", "?%1B$BA0%1B(Bx"),
        ("?\uff0c", "iso2022_jp_ext", "?%1B$B!$%1B(B"),
        ("?△", "iso2022_jp_ext", "?%1B$B%22$%1B(B"),
        ("?中€", "gb18030", "?%D6%D0%A2%E3"),
    ],
)  # fmt: skip
def test_queries_are_written_in_the_encoding_of_their_document(reference: str, encoding: str, expected: str) -> None:
    assert in_query(reference, encoding) == expected


@pytest.mark.parametrize(
    ("label", "text", "expected"),
    [
        ("big5", "a中十卅═╞╡╪", b"a\xa4\xa4\xa4\x51\xa4\xca\xf9\xf9\xf9\xe9\xf9\xeb\xf9\xea"),
        ("big5", "会齐É", b"&#20250;&#40784;&#201;"),
        ("big5", "Ê\u0304", b"&#202;&#772;"),
        ("big5", "‧\uff5e￥€\uff0f\u2215╭①", b"\xa1\x45\xa1\xe3\xa2\x44\xa3\xe1\xa1\xfe\xa2\x41\xa2\x7e\xc6\xa1"),
        ("euc-jp", "aあｱ¥‾", b"a\xa4\xa2\x8e\xb1\\~"),
        ("euc-jp", "丂é", b"&#19970;&#233;"),
        ("euc-jp", "①髙\u222a\u2212\uff0d", b"\xad\xa1\xfc\xe2\xa2\xc0\xa1\xdd\xa1\xdd"),
        ("iso-2022-jp", "aあx", b"a\x1b$B$\"\x1b(Bx"),
        ("iso-2022-jp", "ｶﾞﾟ｡①", b"\x1b$B%+!+!,!#-!\x1b(B"),
        ("iso-2022-jp", "丂あ丂", b"&#19970;\x1b$B$\"\x1b(B&#19970;"),
        ("iso-2022-jp", "a¥b~‾é", b"a\x1b(J\\b\x1b(B~\x1b(J~&#233;\x1b(B"),
        ("iso-2022-jp", "あ\x1b\x0ea", b"\x1b$B$\"\x1b(B&#65533;&#65533;a"),
    ],
)  # fmt: skip
def test_what_is_read_is_not_always_written(label: str, text: str, expected: bytes) -> None:
    """As the encoders of the Encoding Standard have it (§11.1.2, §12.1.2, §12.2.2), by its indexes."""
    assert encode(text, encoding_of(b"", f"text/html; charset={label}"), "xmlcharrefreplace") == expected


@pytest.mark.parametrize("label", ["big5", "euc-jp", "iso-2022-jp"])
def test_what_was_written_is_read_as_it_was(label: str) -> None:
    encoding = encoding_of(b"", f"text/html; charset={label}")
    for row in range(0xA1, 0xFF):
        pairs = [bytes([row, cell]) for cell in range(0xA1, 0xFF)]
        if label == "iso-2022-jp":
            pairs = [b"\x1b$B%b\x1b(B" % bytes(byte & 0x7F for byte in pair) for pair in pairs]
        for text in {decode(pair, encoding) for pair in pairs}:
            if len(text) == 1 and text != "\ufffd":
                assert decode(encode(text, encoding, "strict"), encoding) == text


@given(st.text(), st.sampled_from(sorted(set(_CODECS.values()))))
def test_any_reference_has_its_query_written_so(reference: str, encoding: str) -> None:
    text = reference.encode("utf-8", "replace").decode()
    written = in_query(text, encoding)
    assert in_query(written, encoding) == written
    before, _, _ = written.partition("#")
    assert encoding in ("utf-8", "utf-16-le", "utf-16-be") or before.partition("?")[2].isascii()
