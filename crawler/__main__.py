"""`python -m crawler` is `crawl`, where that is not on the path."""

from crawler.cli import main

if __name__ == "__main__":
    main()
