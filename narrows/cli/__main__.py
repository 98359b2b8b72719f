"""``python -m narrows.cli`` is ``narrows``."""

from narrows.cli import main

main()
