"""Programs for those who work on Narrows; they need nothing but Python's standard library."""
