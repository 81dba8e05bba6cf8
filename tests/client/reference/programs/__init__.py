"""Programs as one writes them for aiohttp; nothing but the import has been changed."""
