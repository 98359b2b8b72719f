"""The demo: the whole system on one machine, on real input, watched and checked."""

from narrows.ops.demo.options import DemoOptions
from narrows.ops.demo.play import play

__all__ = ["DemoOptions", "play"]
