"""A reader process: `python -m crawler.readers FD`, with one end of a socket pair as FD."""

import sys

from crawler.readers.main import serve

if __name__ == "__main__":
    serve(int(sys.argv[1]))
