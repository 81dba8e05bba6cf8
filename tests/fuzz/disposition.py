"""Content-Disposition headers."""

from random import Random

from client.disposition import content_disposition_filename, format_content_disposition, parse_content_disposition
from tests.fuzz.text import header

_WORDS = [
    *("attachment", "inline", "form-data", ";", "; ", "=", '"', "\\", "'", "*", "%", "%41", "%c3%a4", "%ff", "/", ".."),
    *("filename=", "filename*=", "filename*0=", "filename*1*=", "name=", "UTF-8''", "iso-8859-1'en'", "a.txt", " "),
]  # fmt: skip


class Target:
    def execute(self, random: Random) -> None:
        kind, parameters = parse_content_disposition(header(random, _WORDS))
        filename = content_disposition_filename(parameters)
        assert filename is None or (not set(filename) & {"/", "\\"} and filename not in (".", ".."))
        for name in ("name", "filename*"):
            content_disposition_filename(parameters, name)
        if kind == "form-data" and not any("\0" in value or "%" in value for value in parameters.values()):
            plain = {name: value for name, value in parameters.items() if "*" not in name and '"' not in value}
            again = parse_content_disposition(format_content_disposition(kind, plain, quote_fields=True))
            assert again[1].keys() == plain.keys()
