"""The command line: ``narrows COMMAND``. Each command's module is imported when it is called, not before."""

from narrows.cli.root import main

__all__ = ["main"]
