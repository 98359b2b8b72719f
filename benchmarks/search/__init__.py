"""Which proxy orders networks for weak cameras, and what a search finds beside the present encoder, scaled."""
