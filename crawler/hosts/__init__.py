"""Whose turn it is, and how fast it may come again: what the scheduler and politeness know of each host.

`window` and `agenda` are the scheduler's: which hosts take turns, and in which order. `pace` and `throttle` are politeness's: what
one host bears, and how all of them are treated. `proxy_gate` is the proxy that stands before them all.
"""
