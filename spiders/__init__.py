"""Ready-made spiders. `crawl run NAME` finds those in here by the name of their module, and yours beside them too."""
