"""What people are told about a crawl: in words, in tables, on a terminal.

`why`, `diff` and `pace_table` answer from the crawl file; `wording` writes figures as people do, and `terminal` draws.
"""
