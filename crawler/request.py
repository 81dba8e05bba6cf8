"""What a spider asks for: a `Request`, or a batch of plain `Links`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypedDict, Unpack

from msgspec import Struct
from msgspec.structs import force_setattr

from client.grammar import is_token
from crawler.errors import InvalidUrl
from crawler.web.urls import normalize

if TYPE_CHECKING:
    from crawler.web.form_bodies import Fields

Callback: TypeAlias = str | Callable[..., Any] | None
"""A method of the spider, or its name; None means `parse`. It is kept by name: nothing is pickled."""

_EXACT: Final = 1 << 53
"""Whole numbers are smaller than this: JSON, and SQL, hold them exactly."""

_LONGEST: Final = 1e9
"""A timeout may be as long as that of a setting (crawler/settings.py)."""


def callback_name(callback: Callback) -> str | None:
    """The name under which a callback is kept."""
    name = getattr(callback, "__name__", None) if callable(callback) else callback
    return None if name is None else str.__str__(name)


class Options(TypedDict, total=False):
    """What a `Request` takes besides URL, method and body."""

    headers: Mapping[str, str] | None
    callback: Callback
    priority: int
    context: Mapping[str, Any] | None
    again: bool
    read_timeout: float | None
    total_timeout: float | None
    max_attempts: int | None


class _Named(Struct, frozen=True):
    """The URL may be positional; everything else about a request is given by name."""

    url: str


class Request(_Named, frozen=True, kw_only=True):
    """One thing to fetch.

    `url` is brought to its canonical form, without fragment. Of the requests to one host those of higher `priority` go
    first, then those found earlier. `context` is the spider's own data, anything JSON can hold: it is kept in the crawl
    file and comes back as `page.context`. What was requested before (same method, URL and body) is not requested again
    unless `again` is set. `read_timeout` and `total_timeout`, in seconds, and `max_attempts` replace the settings of these names.

    Raises InvalidUrl unless `url` is an absolute http or https URL, TypeError and ValueError for what could not be sent or kept.
    """

    method: str = "GET"
    headers: Mapping[str, str] | None = None
    body: bytes | None = None
    callback: Callback = None
    priority: int = 0
    context: Mapping[str, Any] | None = None
    again: bool = False
    read_timeout: float | None = None
    total_timeout: float | None = None
    max_attempts: int | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "url", _canonical(self.url))
        if not (isinstance(self.method, str) and is_token(self.method)):
            raise ValueError(f"the method of a request must be a word such as POST, not {self.method!r}")
        force_setattr(self, "method", self.method.upper())
        if self.body is not None and not isinstance(self.body, bytes):
            raise TypeError(
                f"the body of a request must be bytes, not {type(self.body).__name__}; .encode() makes them of text"
            )
        if self.headers is not None:
            force_setattr(self, "headers", checked_headers(self.headers))
        if self.read_timeout is not None:
            force_setattr(self, "read_timeout", _checked_seconds("read_timeout", self.read_timeout))
        if self.total_timeout is not None:
            force_setattr(self, "total_timeout", _checked_seconds("total_timeout", self.total_timeout))
        if self.max_attempts is not None:
            _check_attempts(self.max_attempts)
        _check_handling(self.callback, self.priority, self.context)

    @staticmethod
    def form(
        url: str, fields: Fields, *, method: str = "POST", encoding: str = "utf-8", **options: Unpack[Options]
    ) -> Request:
        """A request with the fields of a form, as `application/x-www-form-urlencoded` (WHATWG URL Standard §5.2), or, if there is a
        `File` among them, as `multipart/form-data` (RFC 7578).

        `fields` is a mapping of names to strings, numbers, files or lists of them; or pairs. With the method GET they replace the query
        of the URL, as in a browser. `encoding` is that of the text; a site's forms use that of their page, as `page.submit` does.

        Raises ValueError for files with the method GET, and for more than 128 MiB of them.
        """
        from crawler.web import form_bodies

        entries = form_bodies.entries_of(fields)
        if form_bodies.has_file(entries):
            if method.upper() == "GET":
                raise ValueError("a GET sends no files; POST does")
            boundary, body = form_bodies.multipart(entries, encoding)
            return with_body(url, method, f"{form_bodies.MULTIPART}; boundary={boundary}", body, options)
        data = form_bodies.urlencoded(form_bodies.pairs_of(entries), encoding)
        if method.upper() == "GET":
            return Request(f"{url.partition('#')[0].partition('?')[0]}?{data}", **options)
        return with_body(url, method, form_bodies.URLENCODED, data.encode(), options)

    @staticmethod
    def json(url: str, value: object, *, method: str = "POST", **options: Unpack[Options]) -> Request:
        """A request with `value` as its JSON body: anything that an item could hold. Raises TypeError for anything else."""
        from msgspec.json import encode

        return with_body(url, method, "application/json", encode(value), options)


def with_body(url: str, method: str, content_type: str, body: bytes, options: Options) -> Request:
    """A request with a body of this media type, unless the headers in `options` name another."""
    given = checked_headers(options.get("headers") or {})
    is_told = any(name.lower() == "content-type" for name in given)
    options["headers"] = given if is_told else {"Content-Type": content_type, **given}
    return Request(url, method=method, body=body, **options)


@dataclass(frozen=True, slots=True)
class Links(Sequence[Request]):
    """Many plain GET requests that share everything but the URL, as found on one page.

    To a spider it is a sequence of `Request`; the crawler takes the `urls` and makes no object for each. They are brought to
    their canonical form and deduplicated, unless `are_canonical` says that they are so already (`crawler.web.urls.resolve`
    makes such lists).

    Raises as `Request` does.
    """

    urls: Sequence[str]
    _: KW_ONLY
    callback: Callback = None
    priority: int = 0
    context: Mapping[str, Any] | None = None
    are_canonical: bool = field(default=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.are_canonical:
            object.__setattr__(self, "urls", list(dict.fromkeys(map(_canonical, self.urls))))
        _check_handling(self.callback, self.priority, self.context)

    def __len__(self) -> int:
        return len(self.urls)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return replace(self, urls=self.urls[index], are_canonical=True)
        return self._request(self.urls[index])

    def __iter__(self) -> Iterator[Request]:
        return map(self._request, self.urls)

    def _request(self, url: str) -> Request:
        return Request(url, callback=self.callback, priority=self.priority, context=self.context)


def _canonical(url: object) -> str:
    if not isinstance(url, str):
        raise TypeError(f"a URL must be text, not {type(url).__name__}: {url!r:.80}")
    try:
        return normalize(url)
    except InvalidUrl as error:
        if ":" in url:
            raise
        raise InvalidUrl(f"{error}; page.follow(url=…) and page.urljoin(…) take what is relative to a page") from None


def checked_headers(headers: object) -> dict[str, str]:
    """Headers as plain texts. Raises TypeError and ValueError for what could not be sent or kept."""
    if not isinstance(headers, Mapping):
        raise TypeError(f"the headers of a request must be a mapping, not {type(headers).__name__}")
    for name, value in headers.items():
        if not (isinstance(name, str) and isinstance(value, str)):
            raise TypeError(f"names and values of headers must be text: {name!r}: {value!r:.80}")
        if not is_token(name) or any(sign in value for sign in "\r\n\0"):
            raise ValueError(f"this is not a header that can be sent: {name!r}: {value!r:.80}")
        value.encode()  # half a surrogate pair could not be kept
    return {str.__str__(name): str.__str__(value) for name, value in headers.items()}


def _checked_seconds(name: str, seconds: object) -> float:
    """A timeout. Raises TypeError and ValueError for anything else."""
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise TypeError(f"the {name} of a request must be a number of seconds, not {seconds!r}")
    if not 0 < seconds <= _LONGEST:
        raise ValueError(f"the {name} of a request must be a number above 0, {_LONGEST:,.0f} at most: {seconds}")
    return float(seconds)


def _check_attempts(attempts: object) -> None:
    """Raise TypeError or ValueError for what is not a number of attempts."""
    if not isinstance(attempts, int) or isinstance(attempts, bool):
        raise TypeError(f"the max_attempts of a request must be a whole number, not {attempts!r}")
    if not 1 <= attempts < _EXACT:
        raise ValueError(f"the max_attempts of a request must be a whole number from 1: {attempts}")


def _check_handling(callback: object, priority: object, context: object) -> None:
    """Raise TypeError or ValueError for what does not say how to treat a request."""
    name = getattr(callback, "__name__", None) if callable(callback) else callback
    if callback is not None and not isinstance(name, str):
        raise TypeError(f"a callback must be a method of the spider, or its name, not {callback!r}")
    if not isinstance(priority, int):
        raise TypeError(f"a priority must be a whole number, not {priority!r}")
    if not -_EXACT < priority < _EXACT:
        raise ValueError(f"a priority must lie between -2^53 and 2^53: {priority}")
    if context is not None and not isinstance(context, Mapping):
        raise TypeError(f"the context of a request must be a mapping, not {type(context).__name__}")
