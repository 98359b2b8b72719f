"""Networks that are pruned and narrowed for the link, beside themselves: bytes at the cut against accuracy."""
