"""How often Python looks for garbage that refers to itself."""

from __future__ import annotations

import gc

_YOUNG, _MIDDLE, _OLD = 20_000, 20, 20
"""Python 3.11 looks after 700 containers that were made and are still there, and among all there are after some 70,000.
A dispatcher with thousands of streams holds tens of thousands of frames at a time, which end by themselves: a quarter
of its time went into walking over them (measured with 2,000 streams, saturated)."""


def collect_seldom() -> None:
    """For a program that holds much and makes few cycles: look less often, and never among what is here now.

    Call it once all modules are loaded. What refers to itself is found as ever, later.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
