"""What people are told of a crawl: in words, in tables, on a terminal.

`why`, `diff` and `pace_table` answer by the crawl file; `wording` has figures as people write them, and `terminal` draws.
"""
