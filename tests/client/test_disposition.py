"""Content-Disposition as servers write it; the cases of RFC 6266, RFC 8187 and greenbytes' collection."""

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from client.disposition import content_disposition_filename, format_content_disposition, parse_content_disposition


@pytest.mark.parametrize(
    ("header", "kind", "parameters"),
    [
        (None, None, {}),
        ("", None, {}),
        ("inline", "inline", {}),
        ("ATTACHMENT", "attachment", {}),
        ("attachment;", "attachment", {}),
        ("attachment; ; ;;", "attachment", {}),
        ("attachment; filename", "attachment", {}),
        ('attachment; filename="foo.html"', "attachment", {"filename": "foo.html"}),
        ('attachment;FILENAME="foo.html";size=3', "attachment", {"filename": "foo.html", "size": "3"}),
        ('attachment ; filename = \t "foo.html" ; x=y', "attachment", {"filename": "foo.html", "x": "y"}),
        ("attachment; filename=foo.html", "attachment", {"filename": "foo.html"}),
        ("attachment; filename=foo bar.html ;x=y", "attachment", {"filename": "foo bar.html", "x": "y"}),
        ("attachment; filename=a=b", "attachment", {"filename": "a=b"}),
        ("attachment; filename=", "attachment", {"filename": ""}),
        ('attachment; filename=""', "attachment", {"filename": ""}),
        (r'attachment; filename="f\oo\"\\.html"', "attachment", {"filename": r"foo" r'"\.html'}),
        ('attachment; filename="Here\'s a semicolon;.html"', "attachment", {"filename": "Here's a semicolon;.html"}),
        ('attachment; filename="foo.html"junk; x=y', "attachment", {"filename": "foo.html", "x": "y"}),
        ('attachment; filename="open.html', "attachment", {"filename": "open.html"}),
        ("attachment; filename='foo.bar'", "attachment", {"filename": "'foo.bar'"}),
        ("attachment; filename=foo-%41.html", "attachment", {"filename": "foo-%41.html"}),
        ('attachment; filename="a"; filename="b"', "attachment", {"filename": "a"}),
        ("attachment; fi le=a; x=b", "attachment", {"x": "b"}),
        ("attachment; =a; x=b", "attachment", {"x": "b"}),
        ("filename=foo.html", None, {"filename": "foo.html"}),
        ("filename=foo.html; x=y", None, {"filename": "foo.html", "x": "y"}),
        ('"attachment"; filename=foo.html', None, {"filename": "foo.html"}),
        ("; filename=foo.html", None, {"filename": "foo.html"}),
        ('form-data; name="a\u00e4"', "form-data", {"name": "a\u00e4"}),
        ('form-data; name="\udcfc"', "form-data", {"name": "\u00fc"}),
        # form-data: as browsers write it, and as quoted-strings
        (r'form-data; name="f"; filename="C:\dir\"', "form-data", {"name": "f", "filename": "C:\\dir\\"}),
        (r'Form-Data;name="a\\b" ; x=y;', "form-data", {"name": r"a\\b", "x": "y"}),
        ('form-data; name="a%22%0D%0A%0d%41"', "form-data", {"name": 'a"\r\n%0d%41'}),
        (r'form-data; name="\"; filename="; x="', "form-data", {"name": "\\", "filename": "; x="}),
        (r'form-data; name="a\"; x="; filename="b\\%22"', "form-data", {"name": 'a"; x=', "filename": "b\\%22"}),
        (r'form-data; name="a\b"; x', "form-data", {"name": "ab"}),
        (r'attachment; name="a\b%22"', "attachment", {"name": "ab%22"}),
        # RFC 8187
        ("attachment; filename*=UTF-8''foo-%c3%a4.html", "attachment", {"filename*": "foo-\u00e4.html"}),
        ("attachment; filename*=iso-8859-1'en'foo-%E4.html", "attachment", {"filename*": "foo-\u00e4.html"}),
        ("attachment; filename*=\"UTF-8''foo%20bar\"", "attachment", {"filename*": "foo bar"}),
        ("attachment; filename*=UTF-8''a%zz%", "attachment", {"filename*": "a%zz%"}),
        ("attachment; filename*=UTF-8''%ff; filename=b", "attachment", {"filename": "b"}),
        ("attachment; filename*=utf-7''a; filename=b", "attachment", {"filename": "b"}),
        ("attachment; filename*=''a; filename=b", "attachment", {"filename": "b"}),
        ("attachment; filename*=UTF-8'a; filename=b", "attachment", {"filename": "b"}),
        ("attachment; filename*=UTF-8''\u00e4; filename=b", "attachment", {"filename": "b"}),
        ("attachment; filename*=a", "attachment", {}),
        # RFC 2231
        ('attachment; filename*0="a"; filename*1*=b', "attachment", {"filename*0": "a", "filename*1*": "b"}),
    ],
)
def test_reading(header: str | None, kind: str | None, parameters: dict[str, str]) -> None:
    assert parse_content_disposition(header) == (kind, parameters)


@pytest.mark.parametrize(
    ("header", "filename"),
    [
        ("inline", None),
        ("attachment; filename=b", "b"),
        ("attachment; filename=b; filename*=UTF-8''a", "a"),
        ('attachment; filename=""', ""),
        ('attachment; filename*0="foo."; filename*1="html"', "foo.html"),
        ('attachment; filename*1="html"; filename*0="foo."', "foo.html"),
        ('attachment; filename*0="foo."; filename*2="html"', "foo."),
        ('attachment; filename*1="foo."; filename*2="html"', None),
        ("attachment; filename*0*=UTF-8''%c3; filename*1*=%a4; filename*2=\"%41\"", "\u00e4%41"),
        ("attachment; filename*0*=UTF-8''%c3; filename*1*=a", None),
        ('attachment; filename*0="it\'s"', "it's"),
        # folders, RFC 6266 §4.3
        ('attachment; filename="/etc/passwd"', "passwd"),
        (r'attachment; filename="..\\..\\boot.ini"', "boot.ini"),
        (r'form-data; name="f"; filename="C:\dir\a.txt"', "a.txt"),
        (r'form-data; name="f"; filename="C:\dir\"', ""),
        ("attachment; filename*=UTF-8''..%2f..%2fx", "x"),
        ('attachment; filename=".."', None),
        ('attachment; filename="a/."', None),
        ('attachment; filename="a/"', ""),
    ],
)
def test_file_names(header: str, filename: str | None) -> None:
    assert content_disposition_filename(parse_content_disposition(header)[1]) == filename


def test_other_parameters_keep_their_slashes() -> None:
    _, parameters = parse_content_disposition("form-data; name*=utf-8''a%2Fb")
    assert content_disposition_filename(parameters, "name") == "a/b"


@given(st.text())
@example("attachment; filename*=utf-8''" + "%" * 1000)
@example(';"=' * 2000)
@example('a="\ud800\udcff"')
@example('a="' + "\\" * 8001)
@example("attachment; filename*" + "0" * 5000 + "=a")
def test_reading_never_fails(header: str) -> None:
    _, parameters = parse_content_disposition(header)
    filename = content_disposition_filename(parameters)
    assert filename is None or not set(filename) & {"/", "\\"}
    content_disposition_filename(parameters, "name")


@pytest.mark.parametrize(
    ("kind", "parameters", "quote_fields", "header"),
    [
        ("attachment", {}, True, "attachment"),
        ("attachment", {"filename": 'a "b".txt'}, True, r'attachment; filename="a \"b\".txt"'),
        ("attachment", {"filename": "\u20ac rates"}, True, "attachment; filename*=utf-8''%E2%82%AC%20rates"),
        ("form-data", {"name": "a", "filename": "b c.txt"}, True, 'form-data; name="a"; filename="b c.txt"'),
        ("form-data", {"name": 'a"\r\nb\\%'}, True, 'form-data; name="a%22%0D%0Ab\\%"'),
        ("form-data", {"name": "\u00e4"}, True, 'form-data; name="\u00e4"'),
        ("form-data", {"name": 'a"\\'}, False, r'form-data; name="a\"\\"'),
    ],
)
def test_writing(kind: str, parameters: dict[str, str], quote_fields: bool, header: str) -> None:
    assert format_content_disposition(kind, parameters, quote_fields=quote_fields) == header


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [("form data", {}), ("", {}), ("inline", {"a b": "c"}), ("inline", {"a": "b\r\nc"}), ("form-data", {"a": "b\0"})],
)
def test_what_would_break_the_header_is_refused(kind: str, parameters: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"not a|a line break"):
        format_content_disposition(kind, parameters, quote_fields=False)


values = st.text(st.one_of(st.sampled_from('"\\%;= '), st.characters(exclude_categories=["Cs"])))
parameters_ = st.dictionaries(st.sampled_from(["name", "filename", "x"]), values, min_size=1)


@given(parameters_)
@example({"name": "a\\"})
@example({"name": 'a\\"\r\n', "filename": "\\;"})
def test_reading_undoes_writing_as_browsers_do(parameters: dict[str, str]) -> None:
    assume(not any(re.search("%(22|0D|0A)", value) for value in parameters.values()))
    header = format_content_disposition("form-data", parameters)
    assert parse_content_disposition(header) == ("form-data", parameters)


@given(parameters_)
@example({"name": 'a"; x=', "filename": ";y="})
@example({"name": '"%22', "x": "\\"})
def test_reading_undoes_writing_of_quoted_strings(parameters: dict[str, str]) -> None:
    """Whatever is in a value: where there is a quote, it tells that no browser wrote this; other kinds are of one sort only."""
    assume(not any(re.search(r"[\r\n\0]", value) for value in parameters.values()))
    if any('"' in value for value in parameters.values()):
        header = format_content_disposition("form-data", parameters, quote_fields=False)
        assert parse_content_disposition(header) == ("form-data", parameters)
    read = parse_content_disposition(format_content_disposition("attachment", parameters))[1]
    assert {name: content_disposition_filename(read, name) for name in parameters if name != "filename"} == {
        name: value for name, value in parameters.items() if name != "filename"
    }
