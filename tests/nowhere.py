"""A host that does not exist."""

from __future__ import annotations

from typing import Final

NOWHERE: Final = ".".join(["nowhere" * 8] * 5) + ".invalid"
"""Too long for a query of DNS (RFC 1035 §2.3.4): the system knows it for unknown without asking anybody."""
