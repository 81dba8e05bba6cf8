"""Spiders in processes of their own: for crawls that one core is not enough for. `crawler.crawl.Crawl` has them by `pool.Readers`."""
