"""Numbers that no option means: infinities, and whole ones that fit into no machine word."""

from __future__ import annotations

import math
from collections.abc import Mapping

from narrows.contract.errors import ConfigError

MOST = (1 << 53) - 1
"""Beyond it a whole number is not the same one in JSON (RFC 8259, section 6), where run folders keep theirs."""
MOST_SEED = (1 << 32) - 1
"""NumPy's and torch's generators both take it, and a thousand times it too."""
MOST_THREADS = 1024


def check_numbers(options: Mapping[str, object]) -> None:
    """See that every number among a command's options is one.

    Typer's bounds leave out an option's open end, and an infinity is within it: a learning rate of ``inf`` trained
    a network of NaN.

    Raises:
        ConfigError: one is infinite, NaN, or beyond :data:`MOST`.
    """
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{option} {value}: give a finite number")
        if isinstance(value, int) and abs(value) > MOST:
            raise ConfigError(f"{option} {value}: give a number between -{MOST:,} and {MOST:,}")
