"""Reading URLs with yarl, whatever it makes of them."""

from yarl import URL


def parse_url(text: str | URL, *, encoded: bool = False) -> URL:
    """Return the URL that `text` is, with `encoded` as it stands; `ValueError` when it is none.

    yarl has an IndexError for some (``//[]]@/``), and of what is `encoded` reads the authority later, whoever asks for it.
    """
    try:
        url = URL(text, encoded=encoded)
        url.raw_host  # noqa: B018  reads it
    except IndexError as error:
        raise ValueError("the host cannot be read") from error
    return url


def shown(url: str | URL) -> str | URL:
    """Return `url`, or its text when yarl would fail to say it, for an authority that is none."""
    try:
        str(url)
    except (ValueError, IndexError):
        assert isinstance(url, URL)
        return f"{url.scheme}://{url.raw_authority}{url.raw_path_qs}"
    return url
