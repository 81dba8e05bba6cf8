"""What the client promises, row by row: the table of its interface, and a test against a real server for each row."""
