"""Whose turn it is, and how soon it may come again: what the scheduler and politeness know about each host.

`window` and `agenda` belong to the scheduler: which hosts take turns, and in which order. `pace`, `throttle` and `rules` belong to
politeness: what one host can bear, how all of them are treated, and what their robots.txt files say. `proxy_gate` is the proxy in front
of them all.
"""
