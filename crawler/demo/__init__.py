"""A small site to try the crawler on, a server for it, and a spider that reads it: what `crawl demo` shows."""
