"""Ready-made spiders. `crawl run NAME` finds the modules in here by name, including any that you add."""
