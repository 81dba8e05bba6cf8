"""Parsing URLs with yarl, and its errors."""

from yarl import URL


def parse_url(text: str | URL, *, encoded: bool = False) -> URL:
    """Parse a URL, with `encoded` without changing its quoting. Raises `ValueError` for invalid ones.

    yarl raises IndexError for some (``//[]]@/``), and with `encoded` it does not parse the authority until it is asked for it.
    """
    try:
        url = URL(text, encoded=encoded)
        url.raw_host  # noqa: B018  parses the authority
    except IndexError as error:
        raise ValueError("the host cannot be read") from error
    return url


def shown(url: str | URL) -> str | URL:
    """Return `url`, or its text if its authority is invalid, so that yarl could not turn it into text."""
    try:
        str(url)
    except (ValueError, IndexError):
        assert isinstance(url, URL)
        return f"{url.scheme}://{url.raw_authority}{url.raw_path_qs}"
    return url
