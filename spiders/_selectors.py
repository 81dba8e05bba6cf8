"""CSS selectors, checked where a spider is written."""

from __future__ import annotations

from crawler.errors import SpiderError


def check_selector(selector: object, what: str) -> None:
    """Raise SpiderError, which calls it `what`, for what is not a CSS selector."""
    from selectolax.lexbor import LexborHTMLParser, SelectolaxError  # takes 2 MB, and not every rule has a selector

    if not isinstance(selector, str):
        raise SpiderError(f"{what} = {selector!r} is not a CSS selector, but {type(selector).__name__}")
    try:
        LexborHTMLParser("").css(selector)
    except SelectolaxError:
        hint = "; CSS selects elements, not what is in them" if "::" in selector else ""
        raise SpiderError(f"{what} = {selector!r} is not a CSS selector{hint}") from None
