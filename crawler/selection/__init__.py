"""Which URLs are crawled: where they come from besides links, and which are let in.

Crawlers have four policies (C. Castillo: Effective Web Crawling, 2004): which pages are selected, when they are visited again, how
politely, and how many at once. This is the first. `seeds` and `sitemaps` bring URLs; `admission` lets in what is in scope, not too deep,
and not part of one of the `traps`; `aliases` tells which pages are the same as others, and `detours` which URLs lead to each other.
"""
