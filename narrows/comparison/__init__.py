"""The referee's results as one page: curves, costs and masks side by side."""

from narrows.comparison.page import write_page
from narrows.comparison.results import Results

__all__ = ["Results", "write_page"]
