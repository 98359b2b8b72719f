"""The live page: one screen that answers whether the fleet is well, and each stream's latest mask below it."""

from orchestrator.page.options import PageOptions

__all__ = ["PageOptions"]
