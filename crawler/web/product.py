"""The name of a robot."""

from __future__ import annotations

import re

_PRODUCT = re.compile(r"[^\s/*;,()]+")
_COMPATIBLE = re.compile(r"[(;]\s*compatible;\s*([^\s/*;,()]+)", re.IGNORECASE)


def product_token(user_agent: str) -> str:
    """The name, in lower case, by which robots.txt files address a robot: the first product of its User-Agent, or the one that follows a
    browser's name: `Mozilla/5.0 (compatible; Name/1.0)`, `Mozilla/5.0 (KHTML, like Gecko; compatible; Name/1.0)`.
    """
    if compatible := _COMPATIBLE.search(user_agent):
        return compatible[1].lower()
    product = _PRODUCT.match(user_agent.strip())
    return product[0].lower() if product else ""
