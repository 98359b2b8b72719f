"""The machine's wall clock, as cameras stamp their frames with it."""

from __future__ import annotations

import time


def unix_ms() -> int:
    """Unix milliseconds now; may be wrong, and may run backwards."""
    return time.time_ns() // 1_000_000
