"""Narrows: semantic segmentation for fleets of cameras, read straight from the bottleneck."""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["__version__", "subscribe"]

if TYPE_CHECKING:
    from narrows.subscription import subscribe
else:

    def __getattr__(name: str) -> object:
        """Load ``subscribe`` when it is asked for: the contract imports without Redis."""
        if name != "subscribe":
            raise AttributeError(f"module 'narrows' has no attribute {name!r}")
        from narrows.subscription import subscribe  # noqa: PLC0415

        return subscribe
