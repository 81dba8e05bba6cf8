"""Spiders in processes of their own, for crawls that need more than one core. `crawler.crawl.Crawl` uses them through `pool.Readers`.

In the crawl's process: `launch` and `fork` start processes, `process` is one of them, `place` what it has to do, `pool` all of them, and
`visitor` has them visit pages. In a reader: `main` is its life, `tasks` what it does. On both sides: `messages`, and `translation` between
them and leases, pages and harvests; `channel`, which carries them, and `gathering`, which sends them together; `signals`.
"""
