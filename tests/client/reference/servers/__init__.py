"""The other ends: real servers and proxies, none of which shares code with the client."""
