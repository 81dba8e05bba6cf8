"""Content-Disposition headers."""

import re
from random import Random

from client.disposition import content_disposition_filename, format_content_disposition, parse_content_disposition
from tests.fuzz.text import header

_WORDS = [
    *("attachment", "inline", "form-data", ";", "; ", "=", '"', "\\", "'", "*", "%", "%41", "%22", "%c3%a4", "%ff", "/", ".."),
    *("filename=", "filename*=", "filename*0=", "filename*1*=", "name=", "UTF-8''", "iso-8859-1'en'", "a.txt", " "),
]  # fmt: skip

_NOT_ESCAPED = re.compile("%(?:22|0A|0D)|[\ud800-\udfff]")
"""What does not come back as it was: an escape that stood there already, and bytes that are no UTF-8."""


class Target:
    def execute(self, random: Random) -> None:
        _, parameters = parse_content_disposition(header(random, _WORDS))
        filename = content_disposition_filename(parameters)
        assert filename is None or (not set(filename) & {"/", "\\"} and filename not in (".", ".."))
        for name in ("name", "filename*"):
            content_disposition_filename(parameters, name)
        written = {"name": header(random, _WORDS), "filename": header(random, _WORDS)}
        if not any(_NOT_ESCAPED.search(value) for value in written.values()):
            again = parse_content_disposition(format_content_disposition("form-data", written))
            assert again == ("form-data", written)
