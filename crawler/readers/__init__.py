"""Spiders in processes of their own: for crawls that one core is not enough for. `crawler.crawl.Crawl` has them by `pool.Readers`.

In the crawl's process: `launch` and `fork` begin processes, `process` is one of them, `pool` all of them, and `visitor` has them
visit pages. In a reader: `main` is its life, `tasks` what it does. On both sides: `messages`, and `translation` of leases, pages and
harvests to them; `channel`, which takes them over, and `gathering`, which sends them together; `signals`.
"""
