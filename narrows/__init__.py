"""Narrows: semantic segmentation for fleets of cameras, read straight from the bottleneck."""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["MaskPacket", "Refusal", "ResultPacket", "Skip", "__version__", "labels_at_source_size", "subscribe"]

if TYPE_CHECKING:
    from narrows.client.subscription import subscribe
    from narrows.contract.wire.mask import MaskPacket
    from narrows.contract.wire.outcome import Refusal, Skip
    from narrows.contract.wire.result import ResultPacket
    from narrows.runtime.pictures import labels_at_source_size
else:
    _MODULES = {
        "MaskPacket": "narrows.contract.wire.mask",
        "Refusal": "narrows.contract.wire.outcome",
        "ResultPacket": "narrows.contract.wire.result",
        "Skip": "narrows.contract.wire.outcome",
        "labels_at_source_size": "narrows.runtime.pictures.source_size",
        "subscribe": "narrows.client.subscription",
    }

    def __getattr__(name: str) -> object:
        """Load what is asked for when it is asked for: the contract imports without Redis or Pillow."""
        if name not in _MODULES:
            raise AttributeError(f"module 'narrows' has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415

        return getattr(import_module(_MODULES[name]), name)
