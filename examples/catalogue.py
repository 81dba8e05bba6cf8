"""Listings: every book of a shop's catalogue, with what its own page adds.

crawl run examples/catalogue.py -o books.csv
"""

from spiders.listing import Field, ListingSpider


class Catalogue(ListingSpider):
    start_urls = ["https://books.toscrape.com/"]
    entries = "article.product_pod"
    fields = {
        "title": "h3 a@title",
        "url": "h3 a@href",
        "price": Field(".price_color", convert=lambda text: float(text.strip("£"))),
        "stars": lambda entry: entry.css_first(".star-rating").attributes["class"].split()[-1],
    }
    next_page = "li.next a"
    details = "h3 a"
    detail_fields = {"about": "#product_description + p", "shelves": Field(".breadcrumb a", many=True)}
