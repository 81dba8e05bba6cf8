"""The page a spider gets: a document, how it was fetched, and the requests that it leads to."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard, Unpack, cast

from crawler.errors import SpiderError
from crawler.request import Links, Options, Request, with_body
from crawler.web.directives import OBEDIENT, Obedience
from crawler.web.document import Document
from crawler.web.links import hrefs_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from multidict import CIMultiDictProxy
    from selectolax.lexbor import LexborNode

    from crawler.frontier.protocol import Lease
    from crawler.request import Callback
    from crawler.web.forms import Button, FieldValue

Target: TypeAlias = "str | LexborNode"
"""What to follow on a page: a node (its own href, or the links inside it), a CSS selector of such nodes, or a URL reference. A string is
a reference if it starts with `http://`, `https://`, `/`, `./`, `../` or `?`, or is a file name that ends in `.html` or `.htm`; any other
string is a selector. The argument `url` takes every kind of reference."""

_is_reference = re.compile(
    r"(?:https?://|\.{0,2}/|\?).*|[\w.-]+\.html?(?:[?#].*)?", re.IGNORECASE | re.DOTALL
).fullmatch


class Page(Document):
    """One fetched page. It is decoded and parsed only when that is needed, and only once."""

    __slots__ = ("_lease", "elapsed", "fetched_at", "status")

    not_modified = False
    """Whether the body was not sent, but taken from an earlier crawl (the setting `revalidate`)."""

    def __init__(
        self,
        lease: Lease,
        *,
        url: str,
        status: int,
        headers: CIMultiDictProxy[str],
        body: bytes,
        fetched_at: float,
        elapsed: float,
        obedience: Obedience = OBEDIENT,
    ) -> None:
        Document.__init__(self, url, headers, body, obedience)
        self.status = status
        self.fetched_at = fetched_at
        """Seconds of the epoch (UTC)."""
        self.elapsed = elapsed
        """Seconds from the start of the request to the end of the body."""
        self._lease = lease

    def __repr__(self) -> str:
        return f"<Page {self.status} {self.url}>"

    @property
    def requested_url(self) -> str:
        """The URL that was requested first; differs from `url` after a redirect."""
        return self._lease.requested_url

    @property
    def redirects(self) -> tuple[str, ...]:
        """The URLs that redirected here, oldest first."""
        return self._lease.redirects

    @property
    def depth(self) -> int:
        """How many links lead from a seed to this page; 0 for a seed."""
        return self._lease.depth

    @property
    def referrer(self) -> str | None:
        """The URL of the page on which this one was found first; None for a seed."""
        return self._lease.referrer

    @property
    def context(self) -> Mapping[str, Any]:
        """The `context` of the request for this page; empty if it had none."""
        return self._lease.context or {}

    def follow(
        self,
        what: Target | None = None,
        *,
        url: str | None = None,
        method: str = "GET",
        body: bytes | None = None,
        **options: Unpack[Options],
    ) -> Request | None:
        """The request for the first link that `what` (see `Target`) or the reference `url` leads to.

        None if there is none: the selector matches nothing, the node is None or has no links, or none of them is an http or https
        URL. So `yield page.follow("li.next a")` stops by itself at the last page. All other parameters are those of `Request`.
        """
        found = [url] if url is not None else self._hrefs_of(what) if what is not None else ()
        for target in self._resolved(found):
            return Request(target, method=method, body=body, **options)
        return None

    def follow_all(
        self,
        what: Target | Iterable[Target] | None = None,
        *,
        callback: Callback = None,
        priority: int = 0,
        context: Mapping[str, Any] | None = None,
    ) -> Links:
        """The requests for all links that `what` (see `Target`) leads to, each once; by default every link of the page.

        A match that is not a link itself stands for the links inside it. In a list, strings are references. Links that are named are
        followed whatever their `rel` says; by default, links marked `nofollow` are left out.
        """
        if what is None:
            urls = self._found_links()
        elif isinstance(what, str) or _is_node(what):
            urls = self._resolved(self._hrefs_of(what))
        else:
            several = cast("Iterable[Target]", what)
            found = ([one] if isinstance(one, str) else hrefs_in(one) for one in several)
            urls = self._resolved(chain.from_iterable(found))
        return Links(urls, callback=callback, priority=priority, context=context, are_canonical=True)

    def submit(
        self,
        form: str | LexborNode = "form",
        fields: Mapping[str, FieldValue] | None = None,
        *,
        button: Button = None,
        **options: Unpack[Options],
    ) -> Request:
        """The request for submitting a form, with everything that the form would send as it is, and `fields` filled in.

        `form` is a CSS selector, whose first match counts, or a node: the form, or something in it. The value given for a field
        replaces all values that it has: a string, a number or a `File`, a list of these, True or False for a single checkbox, None for
        no value. If the form is not sent as `multipart/form-data`, only the names of files are, as in a browser. `button` is the button
        that is pressed: a selector or a node, by default the first one; False for none.

        Raises SpiderError, which lists what there is, if there is no such form, field, option or button; ValueError for more than
        128 MiB of files.
        """
        from crawler.web.forms import submission

        node = self.css_first(form) if isinstance(form, str) else form
        if node is None:
            forms = len(self.css("form"))
            raise SpiderError(
                f"nothing on {self.url} matches {form!r}; it has {forms or 'no'} form{'s' * (forms != 1)}"
            )
        method, url, content_type, body = submission(self, node, fields or {}, button)
        if body is None or content_type is None:
            return Request(url, method=method, **options)
        return with_body(url, method, content_type, body, options)

    def _hrefs_of(self, what: Target) -> Iterable[str]:
        if not isinstance(what, str):
            return hrefs_in(what)
        if _is_reference(what):
            return [what]
        return chain.from_iterable(map(hrefs_in, self.css(what)))


class UnmodifiedPage(Page):
    """A page that an earlier crawl kept, and that has not changed since, according to its server."""

    __slots__ = ()

    not_modified = True


def _is_node(what: object) -> TypeGuard[LexborNode]:
    from selectolax.lexbor import LexborNode

    return isinstance(what, LexborNode)
