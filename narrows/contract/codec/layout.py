"""The numbers that the tables file, the kernel and the counting agree on; see ``docs/symbol-coding.md``."""

from __future__ import annotations

MAX_SYMBOL = 127
NEIGHBOUR_OFFSETS = ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0))
"""``(dy, dx)`` of the neighbours, in the order of their weights."""
MEMORY_TAPS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1))
"""``(dy, dx)`` of the memory's taps, in the order of their weights, which follow the neighbours'."""
MEMORY_UNIT = 8
"""The memory is in eighths of a symbol."""
CAP = 15
"""Neighbours count in contexts with at most this magnitude."""
MAX_WEIGHT_SUM = 2184
"""Of a channel's magnitude weights: 15 times this fits 16 signed bits."""
MAX_TAP_WEIGHT_SUM = 273
"""Of the memory's taps, in magnitudes: 120 times this fits 16 signed bits."""
CONTEXT_LIMIT = 1023
"""Weighted sums are clipped to this before they are binned."""
MAX_LEVELS = 16
MAX_CHANNELS = 1024
MAX_TABLES = 64
MAX_ENTRIES = 255
"""Of a table, the escape included."""
MAX_BINS = 256
"""Magnitude bins times sign classes, of K and of P."""
MAX_WIDTH = 2048
MAX_SYMBOLS = 1 << 22
"""Of a plane; as in a packet."""
TOTAL = 65536
"""What a table's frequencies sum to."""
FLIP = 0x80
"""In a look-up: the value's sign is swapped before the table is used."""
