"""Random text that looks like a header: words of its language, put together, repeated, damaged."""

from collections.abc import Sequence
from random import Random

_NOISE = [*map(chr, range(0x00, 0x80)), "\u00e4", "\u0661", "\u20ac", "\U0001f36a", "\udc80", "\udcff", "\ud800"]


def header(random: Random, words: Sequence[str]) -> str:
    """Return up to some dozen of `words`, among them single characters of every kind, and now and then a very long one."""
    pieces = []
    for _ in range(random.randrange(1, 16)):
        piece = random.choice(words) if random.random() < 0.85 else random.choice(_NOISE)
        if random.random() < 0.01:
            piece *= random.choice((2, 100, 2000))
        pieces.append(piece)
    return "".join(pieces)
