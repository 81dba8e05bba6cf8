"""Orders to a crawl (crawler/orders.py): `dispatch` takes one to whoever can carry it out, `steering` does that."""
