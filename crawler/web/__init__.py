"""The web's rules: URLs, scope, encodings, links, robots.txt. Pure functions and small objects; nothing here waits."""
