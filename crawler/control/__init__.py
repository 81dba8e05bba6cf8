"""Orders to a crawl (crawler/orders.py): `dispatch` takes one to the process that can carry it out, `steering` carries it out."""
