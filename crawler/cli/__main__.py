"""`python -m crawler.cli` is `crawl`."""

from crawler.cli.main import main

if __name__ == "__main__":
    main()
