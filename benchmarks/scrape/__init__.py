"""How large a scrape is, and how it grows with the streams."""
