"""What closes itself in XHTML has an end in HTML as well."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.web.xhtml import as_html


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("<title/>", "<title></title>"),
        ("<script src='a/>b' type=\"x\" />", "<script src='a/>b' type=\"x\" ></script>"),
        (
            "<textarea\n/><select/><iframe src='x'/>",
            "<textarea\n></textarea><select></select><iframe src='x'></iframe>",
        ),
        ("<br/><p/><a name='x'/><titles/>", "<br/><p/><a name='x'/><titles/>"),
        ("<!-- <title/> --><title/>", "<!-- <title/> --><title></title>"),
        ("<![CDATA[<title/>]]><title/>", "<![CDATA[<title/>]]><title></title>"),
        ("<script>'<script/>'</script><title/>", "<script>'<script/>'</script><title></title>"),
        ("<!-- <title/>", "<!-- <title/>"),
        ("<script> <title/>", "<script> <title/>"),
        ("<script it's/>", "<script it's/>"),
        ("", ""),
    ],
)
def test_an_end_for_what_closes_itself(written: str, expected: str) -> None:
    assert as_html(written) == expected


pieces = st.sampled_from(
    ["<title/>", "<script", "<script>", "</script>", "<select a='/>'", "/>", ">", "/", "'", '"', "<!--", "-->", "<![CDATA[", "]]>", " x"]
)  # fmt: skip


@given(st.lists(pieces, max_size=12).map("".join))
def test_once_is_enough(document: str) -> None:
    assert as_html(as_html(document)) == as_html(document)


@pytest.mark.parametrize(
    "piece", ["<!--", "<![CDATA[", "<script>", "<script ", '<script "', "<script /", "<title></titl", "<"]
)
def test_no_document_takes_long(piece: str) -> None:
    """A megabyte takes a tenth of a second; if some of it were looked at again and again, hours."""
    as_html((piece * (1 << 20))[: 1 << 20] + "/>")
