"""Handshakes carried out with a proxy that is written down beforehand, without any connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from client.handshakes import Handshake


def play(
    handshake: Handshake, answers: bytes, *, step: Callable[[int], int] = lambda limit: limit
) -> tuple[bytes, bytes]:
    """Carry a handshake out with `answers`, of which `step(limit)` bytes arrive at a time.

    Returns what was sent, and what was left of the answers. Raises `EOFError` when they do not suffice.
    """
    sent, taken = b"", 0
    try:
        ask = next(handshake)
        while True:
            sent += ask.data
            if taken == len(answers):
                raise EOFError(sent)
            count = max(1, min(ask.limit, step(ask.limit)))
            received = answers[taken : taken + count]
            taken += len(received)
            ask = handshake.send(received)
    except StopIteration:
        return sent, answers[taken:]
