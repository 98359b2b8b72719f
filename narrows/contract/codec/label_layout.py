"""The numbers that the label tables, the kernel and the counting agree on; see ``docs/label-coding.md``."""

from __future__ import annotations

MIN_LABELS, MAX_LABELS = 2, 255
MAX_SIDE = 8192
MAX_PIXELS = 1 << 24
"""Of a map; as in a mask packet."""
TESTS = 14
"""Of the neighbours, a bit each of a pixel's context."""
ENTRIES = 8
"""Of a table: seven ranks and the escape, or seven ages and all others."""
TOTAL = 65536
"""What a table's frequencies sum to."""
MAX_SETS = 8
MAX_LEAVES = 2048
RUN_CLASSES = 9
"""Runs of 1, 2-3, 4-7 ... 256 pixels."""

BREAK = 1 << TESTS
CLEAN = BREAK + 1
UPPER = CLEAN + RUN_CLASSES
HINT = UPPER + RUN_CLASSES - 1
RECENT = HINT + 1
CONTEXTS = RECENT + 1
OWN_TABLES = CONTEXTS - BREAK
"""Contexts beyond those of the tests, which have a table each."""
