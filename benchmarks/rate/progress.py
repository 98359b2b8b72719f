"""What a long comparison says while it runs."""

from __future__ import annotations

import sys
import time


def say(line: str) -> None:
    """To stderr at once, with the clock."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)
