"""The results of `make bench-rate` as one page: curves, costs and masks side by side."""

from narrows.models.comparison.page import write_page
from narrows.models.comparison.results import Results

__all__ = ["Results", "write_page"]
