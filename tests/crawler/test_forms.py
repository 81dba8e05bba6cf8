"""Forms: the requests that submitting them makes, and those that are built by hand."""

from __future__ import annotations

import re
from email import message_from_bytes
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler import Crawl, File, Page, Report, Request, Settings, Spider
from crawler.errors import InvalidUrl, SpiderError
from crawler.frontier.statefile import StateFile
from crawler.web import encoding, form_bodies
from tests.crawler.readers.spiders import Uploading
from tests.crawler.test_page import URL, first, page
from tests.sites import Reply, Visit, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crawler.web.form_bodies import Fields

POST = "<form method=post>"
PARTS = "<form method=post enctype=multipart/form-data>"
PNG = File("a.png", b"\x89PNG\r\n--x\r\n", "image/png")


def sent(html: str, fields: dict[str, Any] | None = None, *, form: str = "form", button: Any = None) -> str:
    """The body that the form of a page is sent as."""
    body = page(html).submit(form, fields, button=button).body
    assert body is not None
    return body.decode("ascii")


# ---------------------------------------------------------------------- by hand


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({}, ""),
        ({"a": "b c", "d": "ä&=+"}, "a=b+c&d=%C3%A4%26%3D%2B"),
        ({"n": 3, "x": 1.5}, "n=3&x=1.5"),
        ({"a": ["1", 2], "b": ()}, "a=1&a=2"),
        ([("a", 1), ("b", 2), ("a", 3)], "a=1&b=2&a=3"),
        ({"": "*-._~"}, "=*-._%7E"),
    ],
)
def test_a_request_takes_the_fields_of_a_form(fields: Fields, body: str) -> None:
    request = Request.form(URL, fields, priority=2)
    assert (request.method, request.url, request.body, request.priority) == ("POST", URL, body.encode(), 2)
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded"}


@given(st.lists(st.tuples(st.text(), st.text())))
def test_what_is_encoded_can_be_decoded(pairs: list[tuple[str, str]]) -> None:
    try:
        body = form_bodies.urlencoded(pairs)
    except UnicodeEncodeError:
        return
    assert parse_qsl(body, keep_blank_values=True) == pairs


def test_fields_of_a_get_are_the_query() -> None:
    request = Request.form(f"{URL}?old=1#part", {"q": "a b"}, method="get")
    assert (request.method, request.url, request.body, request.headers) == ("GET", f"{URL}?q=a+b", None, None)


def test_fields_in_another_encoding() -> None:
    assert Request.form(URL, {"a": "Ж€"}, encoding="windows-1251").body == b"a=%C6%88"
    assert Request.form(URL, {"a": "Ж"}, encoding="windows-1252").body == b"a=%26%231046%3B"


@pytest.mark.parametrize("encoding", ["utf-16", "UTF-16LE", "utf_32", "utf-8-sig", "utf8", "hz", "iso-2022-kr"])
def test_encodings_that_are_only_read_are_not_sent(encoding: str) -> None:
    assert Request.form(URL, {"a": "ä"}, encoding=encoding).body == b"a=%C3%A4"


@pytest.mark.parametrize("encoding", ["nope", "base64"])
@pytest.mark.parametrize("fields", [{}, {"a": "b"}])
def test_what_is_no_encoding_is_named(encoding: str, fields: Fields) -> None:
    with pytest.raises(ValueError, match="is not a text encoding"):
        Request.form(URL, fields, encoding=encoding)


@pytest.mark.parametrize("fields", [{1: "2"}, {None: ["a", "b"]}, [(b"a", "b")]])
def test_names_of_fields_are_text(fields: Any) -> None:
    with pytest.raises(TypeError, match="the name of a field of a form must be text, not"):
        Request.form(URL, fields)


@pytest.mark.parametrize("value", [None, True, b"x", {"a": 1}])
def test_what_is_no_value_of_a_field_is_named(value: Any) -> None:
    with pytest.raises(TypeError, match="the field 'a'"):
        Request.form(URL, {"a": value})


def test_a_request_takes_json() -> None:
    request = Request.json(URL, {"q": "ä", "n": [1, None]}, headers={"X-Key": "1"}, context={"n": 1}, again=True)
    assert (request.method, request.body) == ("POST", '{"q":"ä","n":[1,null]}'.encode())
    assert request.headers == {"Content-Type": "application/json", "X-Key": "1"}
    assert (request.context, request.again) == ({"n": 1}, True)
    assert Request.json(URL, 1, method="PUT").method == "PUT"


def test_headers_may_name_another_media_type() -> None:
    request = Request.json(URL, {}, headers={"content-type": "application/vnd.api+json"})
    assert request.headers == {"content-type": "application/vnd.api+json"}


def test_what_json_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError):
        Request.json(URL, object())
    with pytest.raises(InvalidUrl):
        Request.json("/relative", {})


# ---------------------------------------------------------------------- controls (HTML Standard §4.10.21.4)


@pytest.mark.parametrize(
    ("controls", "body"),
    [
        ("<input name=a value=1><input name=b><input value=c>", "a=1&b="),
        ("<input type=HIDDEN name=a value=1><input type=none name=b value=2>", "a=1&b=2"),
        ("<input name=a value='x\ny'><input type=email name=b value=' x '>", "a=xy&b=x"),
        ("<input type=hidden name=a value='x\ny'>", "a=x%0D%0Ay"),
        ("<textarea name=a>\n x\n</textarea>", "a=+x%0D%0A"),
        ("<input type=checkbox name=a><input type=checkbox name=b checked><input type=checkbox name=b value=2 checked>", "b=on&b=2"),
        ("<input type=radio name=a value=1 checked><input type=radio name=a value=2 checked><input type=radio name=b>", "a=2"),
        ("<select name=a><option value=1>x<option value=2>y</select>", "a=1"),
        ("<select name=a><option disabled>x<optgroup disabled><option>y</optgroup><option> z  z </select>", "a=z+z"),
        ("<select name=a><option>x<option selected>y<option selected value>z</select>", "a="),
        ("<select name=a><option>&nbsp;x &nbsp;\t\f y\r\n</select>", "a=%C2%A0x+%C2%A0+y"),
        ("<select name=a size=2><option>x</select>", ""),
        ("<select name=a size='\n+02 '><option>x</select><select name=b size=10px><option>x</select>", ""),
        ("<select name=a size=1px><option>x</select><select name=b size=-2><option>x</select>", "a=x&b=x"),
        (f"<select name=a size={'9' * 5000}><option>x</select>", ""),
        ("<select name=a multiple><option>x<option selected>y<option selected>z<option selected disabled>d</select>", "a=y&a=z"),
        ("<input name=a disabled><select name=b disabled><option>x</select>", ""),
        ("<fieldset disabled><legend><input name=a></legend><input name=b><legend><input name=c></legend></fieldset>", "a="),
        ("<fieldset disabled><fieldset><legend><input name=a></legend></fieldset></fieldset>", ""),
        ("<datalist><input name=a></datalist>", ""),
        ("<input type=file name=a>", "a="),
        ("<input type=reset name=a value=1><input type=button name=b value=2><button type=button name=c>", ""),
        ("<input type=submit name=a value=1><input type=submit name=b value=2>", "a=1"),
        ("<button name=a disabled></button><button name=b value=2></button>", "b=2"),
        ("<input type=image name=a>", "a.x=0&a.y=0"),
        ("<input type=image>", "x=0&y=0"),
        ("<input type=hidden name=_charset_>", "_charset_=UTF-8"),
        ("<input name=a value=1 dirname=d><p dir=rtl><input name=b dirname=e>", "a=1&d=ltr&b=&e=rtl"),
        ("<object name=a></object><output name=b>x</output>", ""),
    ],
)  # fmt: skip
def test_what_a_form_sends_as_it_stands(controls: str, body: str) -> None:
    assert sent(POST + controls) == body


@pytest.mark.parametrize(
    ("html", "body"),
    [
        (f"<input name=a form=f><form id=f method=post><input name=b><input name=c form=g></form>{POST}", "a=&b="),
        (f"{POST}<input name=a></form><input name=b>{POST}<input name=c>", "a="),
        (f"<table><tr>{POST}<td><input name=a></tr><tr><td><input name=b></table><input name=c>", "a=&b="),
        (f"<table>{POST}<tr><td><input name=a></table><table><tr><td><input name=b></table>", "a="),
    ],
    ids=["by id", "two forms", "in a row", "in a table"],
)
def test_which_controls_are_the_forms(html: str, body: str) -> None:
    assert sent(html) == body


# ---------------------------------------------------------------------- filled in

BOXES = "<input type=checkbox name=a value=1 checked><input type=checkbox name=a value=2>"
RADIOS = "<input type=radio name=a value=1 checked><input type=radio name=a value=2>"
LIST = "<select name=a><option value=1 selected>x<option value=2>y</select>"
LISTS = LIST.replace("name", "multiple name")


@pytest.mark.parametrize(
    ("controls", "value", "body"),
    [
        ("<input name=a value=1>", "x y", "a=x+y"),
        ("<input name=a value=1>", 2, "a=2"),
        ("<input name=a value=1>", None, ""),
        ("<input type=hidden name=a value=1>", "2", "a=2"),
        ("<textarea name=a>1</textarea>", "2\n3", "a=2%0D%0A3"),
        ("<input name=a value=1 disabled>", "2", "a=2"),
        ("<input name=a><input name=a value=2><input name=a value=3>", ["x", "y"], "a=x&a=y"),
        ("<input type=checkbox name=a>", True, "a=on"),
        ("<input type=checkbox name=a checked>", False, ""),
        ("<input type=hidden name=a value=0><input type=checkbox name=a value=1>", True, "a=0&a=1"),
        ("<input type=hidden name=a value=0><input type=checkbox name=a value=1 checked>", False, "a=0"),
        (BOXES, "2", "a=2"),
        (BOXES, ["1", "2"], "a=1&a=2"),
        (BOXES, [], ""),
        (RADIOS, 2, "a=2"),
        (LIST, "2", "a=2"),
        (LIST, None, ""),
        (LISTS, ["1", "2"], "a=1&a=2"),
        ("<input type=file name=a>", None, "a="),
        (f"{RADIOS}<input name=a>", ["2", "else"], "a=2&a=else"),
    ],
)
def test_what_is_filled_in_takes_the_place_of_all_that_was(controls: str, value: Any, body: str) -> None:
    assert sent(POST + controls, {"a": value}) == body


@pytest.mark.parametrize(
    ("controls", "value", "told"),
    [
        ("<input name=b><input type=hidden name=c>", "1", "has no field 'a'; its fields are: b, c"),
        ("", "1", "has no field 'a'; its fields are: none"),
        ("<button name=a>", "1", "say which is pressed by button="),
        ("<input type=file name=a>", "1", "takes a file as 'a', not '1': give it a File(name, data)"),
        ("<input type=file name=a>", True, "has no single box 'a' to be ticked by True"),
        ("<input type=file name=a>", [PNG, PNG], "takes 1 file as 'a', not more"),
        ("<input type=file name=a><input type=file name=a>", [PNG] * 3, "takes 2 files as 'a', not more"),
        ("<input name=a>", PNG, "takes no file as 'a'"),
        (BOXES, PNG, "takes no file as 'a'; it can be: '1', '2'"),
        (BOXES, True, "no single box 'a' to be ticked by True; it can be: '1', '2'"),
        (BOXES, "3", "does not take '3' as 'a'; it can be: '1', '2'"),
        (RADIOS, ["1", "2"], "takes one value as 'a', not several"),
        (LIST, ["1", "2"], "takes one value as 'a', not several"),
        (LIST, "y", "does not take 'y' as 'a'; it can be: '1', '2'"),
        ("<input name=a>", ["1", "2"], "does not take '2' as 'a'"),
    ],
)
def test_what_cannot_be_filled_in_is_told(controls: str, value: Any, told: str) -> None:
    with pytest.raises(SpiderError) as caught:
        sent(f"<form id=f>{controls}", {"a": value})
    assert told in str(caught.value)
    assert f"the form <form id='f'> of {URL} " in str(caught.value)


def test_of_several_forms_it_is_told_that_there_are_several() -> None:
    with pytest.raises(SpiderError, match="the page has 2 forms: say which is meant by a selector"):
        sent("<form><input name=q></form><form><input name=user></form>", {"user": "x"})


def test_a_form_is_found_by_what_is_in_it() -> None:
    html = f"<form><input name=q></form>{POST}<label>Password <input type=password name=p></label></form>"
    assert sent(html, {"p": 1}, form="[type=password]") == "p=1"
    assert sent(html, {"p": 1}, form="label") == "p=1"
    one = page(html)
    assert one.submit(one.css("form")[1], {"p": 1}).body == b"p=1"


@pytest.mark.parametrize(
    ("html", "told"),
    [
        ("<p>", f"nothing on {URL} matches 'form.x'; it has no forms"),
        ("<form>", f"nothing on {URL} matches 'form.x'; it has 1 form"),
        ("<form></form><form>", f"nothing on {URL} matches 'form.x'; it has 2 forms"),
    ],
)
def test_a_form_that_is_missing_is_told(html: str, told: str) -> None:
    with pytest.raises(SpiderError) as caught:
        page(html).submit("form.x")
    assert str(caught.value) == told
    with pytest.raises(SpiderError, match="is not a form, nor in one"):
        page("<p>").submit("p")


# ---------------------------------------------------------------------- buttons

BUTTONS = "<input name=a><button name=b value=1>x</button><button id=two name=c value=2>y</button>"


@pytest.mark.parametrize(
    ("button", "body"), [(None, "a=&b=1"), (False, "a="), ("#two", "a=&c=2"), ("button", "a=&b=1")]
)
def test_which_button_is_pressed(button: Any, body: str) -> None:
    assert sent(POST + BUTTONS, button=button) == body


def test_a_button_may_be_a_node_and_say_where_to_go() -> None:
    one = page(
        "<form action=a><input name=n><button></button><button formaction=/b formmethod=post formenctype=text/plain>"
    )
    assert one.submit().url == "https://example.org/dir/a?n="
    request = one.submit(button=one.css("button")[1])
    assert (request.method, request.url, request.body) == ("POST", "https://example.org/b", b"n=\r\n")


def test_a_button_that_is_missing_is_told() -> None:
    with pytest.raises(
        SpiderError, match=r"no submit button '#x'; its submit buttons are: <button name='b' value='1'>, "
    ):
        sent(POST + BUTTONS, button="#x")


# ---------------------------------------------------------------------- where to, and how


@pytest.mark.parametrize(
    ("form", "url"),
    [
        ("<form>", f"{URL}?a=1"),
        ("<base href=/base/><form action>", f"{URL}?a=1"),
        ("<base href=/base/><form action=x>", "https://example.org/base/x?a=1"),
        ("<form action='?old=1#part' method=other>", f"{URL}?a=1"),
        ("<form action=http://other.example/>", "http://other.example/?a=1"),
    ],
)
def test_where_a_form_is_sent(form: str, url: str) -> None:
    request = page(f"{form}<input name=a value=1>").submit()
    assert (request.method, request.url, request.body, request.headers) == ("GET", url, None, None)


def test_a_post_keeps_the_query_of_its_action() -> None:
    assert page("<form method=POST action='?x=1'>").submit().url == f"{URL}?x=1"


@pytest.mark.parametrize(
    ("form", "told"), [("action=mailto:x@y.example", "'mailto:x@y.example'"), ("method=dialog", "dialog")]
)
def test_a_form_that_sends_nothing_to_a_site_is_told(form: str, told: str) -> None:
    with pytest.raises(SpiderError, match=told):
        page(f"<form {form}>").submit()


def test_a_request_for_a_form_takes_what_requests_take() -> None:
    request = page(POST).submit(callback="done", priority=3, context={"n": 1}, again=True, headers={"X-A": "b"})
    assert (request.callback, request.priority, request.context, request.again) == ("done", 3, {"n": 1}, True)
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded", "X-A": "b"}


# ---------------------------------------------------------------------- parts, and files


def parts_of(request: Request) -> list[tuple[str, str | None, bytes]]:
    """The parts of a body, as another reader sees them: where each belongs, its media type, and what it contains."""
    assert request.headers is not None
    return read_parts(request.headers["Content-Type"], request.body or b"")


def read_parts(content_type: str, body: bytes) -> list[tuple[str, str | None, bytes]]:
    message = message_from_bytes(b"Content-Type: %b\r\n\r\n%b" % (content_type.encode(), body))
    parts: Any = message.get_payload()
    return [(part["Content-Disposition"], part["Content-Type"], part.get_payload(decode=True)) for part in parts]


def test_a_form_of_parts() -> None:
    html = f"{PARTS}<input name='a\"' value=ä><input type=file name=f value=x><input name=b>"
    one, again = page(html).submit(), page(html).submit()
    assert one == again, "what is the same is asked for once"
    assert parts_of(one) == [
        ('form-data; name="a%22"', None, "ä".encode()),
        ('form-data; name="f"; filename=""', "application/octet-stream", b""),
        ('form-data; name="b"', None, b""),
    ]
    assert (one.body or b"").endswith(b"--\r\n")


def test_a_file_is_sent_byte_by_byte_as_browsers_do() -> None:
    form = f"{PARTS}<input name=title value='x\ny'><input type=file name=cover><button name=go value=1>"
    request = page(form).submit(fields={"cover": PNG})
    assert request.headers is not None
    boundary = request.headers["Content-Type"].removeprefix("multipart/form-data; boundary=")
    assert re.fullmatch("form-[0-9a-f]{64}", boundary), (
        "at most 70 characters, none of them to be quoted (RFC 2046 §5.1.1)"
    )
    expected = (
        b'--B\r\nContent-Disposition: form-data; name="title"\r\n\r\nxy\r\n'
        b'--B\r\nContent-Disposition: form-data; name="cover"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
        b"\x89PNG\r\n--x\r\n\r\n"
        b'--B\r\nContent-Disposition: form-data; name="go"\r\n\r\n1\r\n--B--\r\n'
    )
    assert request.body == expected.replace(b"--B", b"--" + boundary.encode())


TEXT = File("b.txt", b"b", "text/plain")


@pytest.mark.parametrize(
    ("controls", "value", "names"),
    [
        ("<input type=file name=a>", [], [""]),
        ("<input type=file name=a>", PNG, ["a.png"]),
        ("<input type=file name=a disabled>", PNG, ["a.png"]),
        ("<input type=file name=a multiple>", [PNG, TEXT, PNG], ["a.png", "b.txt", "a.png"]),
        ("<input type=file name=a><input type=file name=a>", PNG, ["a.png", ""]),
        ("<input type=file name=a><input type=file name=a multiple>", [PNG, TEXT, PNG], ["a.png", "b.txt", "a.png"]),
        ("<input type=file name=a><input type=file name=b>", TEXT, ["b.txt", ""]),
    ],
)
def test_which_control_takes_which_file(controls: str, value: Any, names: list[str]) -> None:
    parts = parts_of(page(PARTS + controls).submit(fields={"a": value}))
    assert [re.findall('filename="(.*)"', disposition)[0] for disposition, _, _ in parts] == names


def test_a_field_may_be_a_text_beside_a_file() -> None:
    html = f"{PARTS}<input type=file name=a><input name=a value=old>"
    assert [content for _, _, content in parts_of(page(html).submit(fields={"a": ["new", TEXT]}))] == [b"b", b"new"]


@pytest.mark.parametrize("form", [POST, "<form>", "<form method=post enctype=text/plain>"])
def test_without_parts_only_names_of_files_are_sent(form: str) -> None:
    request = page(f"{form}<input type=file name=a><input name=b>").submit(fields={"a": File("x\ny", b"data")})
    sent = request.body or request.url.partition("?")[2].encode()
    assert sent in (b"a=x%0D%0Ay&b=", b"a=x\r\ny\r\nb=\r\n")


@pytest.mark.parametrize(
    ("encoding", "name", "sent"),
    [
        ("utf-8", 'ä"\r\n\n\\%.txt', "ä%22%0D%0A%0A\\%.txt".encode()),
        ("windows-1252", "ä Ж.txt", b"\xe4 &#1046;.txt"),
        ("shift_jis", "表.txt", b"\x95\x5c.txt"),
        ("iso-2022-jp", "あ.txt", b"\x1b$B$%22\x1b(B.txt"),
    ],
)
def test_names_of_files_are_in_the_encoding_of_the_page(encoding: str, name: str, sent: bytes) -> None:
    """In ISO-2022-JP, half of a character may be the byte of a quote, which is escaped where it stands."""
    html = f"{PARTS}<input type=file name=a>".encode("ascii")
    request = page(html, content_type=f"text/html; charset={encoding}").submit(fields={"a": File(name, b"")})
    assert b'; filename="%b"\r\n' % sent in (request.body or b"")


def test_a_request_made_by_hand_has_parts_if_it_has_a_file() -> None:
    fields: dict[str, Any] = {"title": "ä", "n": [1, 2], "cover": PNG, "more": [TEXT, File("c", b"", "")]}
    request = Request.form(URL, fields, priority=2)
    assert (request.method, request.priority) == ("POST", 2)
    assert parts_of(request) == [
        ('form-data; name="title"', None, "ä".encode()),
        ('form-data; name="n"', None, b"1"),
        ('form-data; name="n"', None, b"2"),
        ('form-data; name="cover"; filename="a.png"', "image/png", PNG.data),
        ('form-data; name="more"; filename="b.txt"', "text/plain", b"b"),
        ('form-data; name="more"; filename="c"', "application/octet-stream", b""),
    ]
    assert request == Request.form(URL, list(form_bodies.entries_of(fields)), priority=2)
    assert Request.form(URL, {"a": TEXT}, method="PUT").method == "PUT"
    assert b"\xe4" in (Request.form(URL, {"ä": TEXT}, encoding="latin-1").body or b"")


def test_files_are_sent_only_where_they_can_be() -> None:
    with pytest.raises(ValueError, match="a GET sends no files"):
        Request.form(URL, {"a": PNG}, method="get")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: File(b"a", b""), "the name of a file in a form must be text"),  # type: ignore[arg-type]
        (lambda: File("a", "text"), "must be bytes, not str; path.read_bytes"),  # type: ignore[arg-type]
        (lambda: File("a", b"", "text/plain\r\nX: y"), "this is not the media type of a file"),
        (lambda: File("a", b"", "text/plän"), "this is not the media type of a file"),
        (lambda: File("a", b"", None), "this is not the media type of a file"),  # type: ignore[arg-type]
        (lambda: Request.form(URL, {"a": b"data"}), r"bytes are sent as File\(name, data\)"),
        (lambda: Request.form(URL, {"a": File("\ud800", b"")}), "surrogates not allowed"),
    ],
)
def test_what_is_no_file_is_told(make: Callable[[], object], told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        make()


def test_files_without_end_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form_bodies, "_MOST_BYTES", 2 << 20)
    half = File("a", bytes(1 << 20))
    assert len(Request.form(URL, {"a": [half, half]}).body or b"") > 2 << 20
    with pytest.raises(ValueError, match="the files of a form come to 3,145,728 bytes; at most 2 MiB are sent"):
        Request.form(URL, {"a": [half] * 3})
    with pytest.raises(ValueError, match="at most 2 MiB"):
        page(f"{PARTS}<input type=file name=a multiple>").submit(fields={"a": [half] * 3})
    assert repr(half) == "File('a', 1048576 bytes, 'application/octet-stream')"


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_file_is_sent_again_as_it_was_also_by_the_next_run(tmp_path: Path, processes: int) -> None:
    bodies = []

    async def reply(visit: Visit) -> Reply:
        if visit.method == "GET":
            return 200, {}, f"{PARTS}<input type=file name=cover><input name=title>"
        bodies.append((visit.headers["content-type"], visit.body))
        return (503, {"Retry-After": "0"}, "") if len(bodies) < 3 else (200, {}, "thanks")

    async def crawl(**options: Any) -> Report:
        settings = Settings(robots=False, retry_wait=0.01, processes=processes, max_attempts=3, **options)
        return await Crawl(Uploading(start_urls=[f"{site.url}/"]), settings, state=tmp_path / "a.crawl").run()

    async with serve(reply) as site:
        report = await crawl(max_pages=1)
        assert (report.reason, report.stats.queued + report.stats.leased) == ("max_pages", 1)
        report = await crawl()
    assert (report.finished, report.stats.done, report.stats.failed) == (True, 2, 0)
    assert len(bodies) == 3
    assert len(set(bodies)) == 1
    assert read_parts(*bodies[0]) == [
        ('form-data; name="cover"; filename="a.bin"', "image/png", Uploading.data),
        ('form-data; name="title"', None, b"x"),
    ]


@pytest.mark.parametrize(
    ("charset", "form", "body"),
    [
        ("windows-1251", "<form method=post>", "c=windows-1251&a=%C6"),
        ("windows-1251", "<form method=post accept-charset='none UTF-8 koi8-r'>", "c=UTF-8&a=%D0%96"),
        ("utf-8", "<form method=post accept-charset=nonsense>", "c=UTF-8&a=%D0%96"),
        ("utf-16", "<form method=post>", "c=UTF-8&a=%D0%96"),
        ("iso-8859-1", "<form method=post>", "c=windows-1252&a=%26%231046%3B"),
        ("x-sjis", "<form method=post>", "c=Shift_JIS&a=%84G"),
        ("iso-2022-jp", "<form method=post>", "c=ISO-2022-JP&a=%1B%24B%27%28%1B%28B"),
    ],
)
def test_a_form_is_sent_in_the_encoding_of_its_page(charset: str, form: str, body: str) -> None:
    html = f"{form}<input type=hidden name=_charset_><input name=a>"
    text = html.encode("utf-16-le") if charset == "utf-16" else html.encode("ascii")
    request = page(text, content_type=f"text/html; charset={charset}").submit("form", {"a": "Ж"})
    assert request.body == body.replace("c=", "_charset_=").encode()


def test_encodings_are_called_as_the_standard_does() -> None:
    labels = ["latin1", "koi", "ms932", "big5", "utf8", "x-x-big5", "gbk", "dos-874", "l2", "macintosh"]
    names = [encoding.name_of(encoding.codec_of(label) or "") for label in labels]
    assert names == [
        "windows-1252",
        "KOI8-R",
        "Shift_JIS",
        "Big5",
        "UTF-8",
        "Big5",
        "gb18030",
        "windows-874",
        "ISO-8859-2",
        "macintosh",
    ]
    assert encoding.name_of("cp1250") == "windows-1250"
    assert encoding.name_of("koi8_r") == "KOI8-R"


async def test_a_crawl_submits_a_form(tmp_path: Path) -> None:
    class Member(Spider):
        def parse(self, page: Page) -> Iterator[Request]:
            yield page.submit(fields={"user": "ann"}, callback=self.entered)

        def entered(self, page: Page) -> dict[str, str]:
            return {"said": page.text}

    async def reply(visit: Visit) -> Reply:
        form = f"{POST}<input type=hidden name=token value=1><input name=user>"
        told = f"{visit.method} {visit.headers.get('content-type')} {visit.body.decode()}"
        return 200, {"Content-Type": "text/html"}, told if visit.method == "POST" else form

    async with serve(reply) as site:
        report = await Crawl(
            Member(start_urls=[f"{site.url}/"]), Settings(robots=False), state=tmp_path / "a.crawl"
        ).run()
    assert report.stats.spider_errors == []
    with StateFile(tmp_path / "a.crawl") as file:
        assert list(file.items()) == ['{"said":"POST application/x-www-form-urlencoded token=1&user=ann"}']


def test_the_form_need_not_be_looked_for_by_a_selector() -> None:
    one = page(f"{POST}<input name=a>")
    assert one.submit(first(one, "form")) == one.submit()
