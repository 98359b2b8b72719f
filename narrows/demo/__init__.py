"""The demo: the whole system on one machine, on real input, watched and checked."""

from narrows.demo.options import DemoOptions
from narrows.demo.play import play

__all__ = ["DemoOptions", "play"]
