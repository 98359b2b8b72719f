"""Dispatch: feature packets in, outcomes out. A frame's life is in :mod:`orchestrator.dispatch.frame_path`."""

from narrows.runtime.redis.store import Store
from orchestrator.dispatch.connected import Connect, Connected
from orchestrator.dispatch.dispatcher import Dispatcher
from orchestrator.dispatch.settings import DispatchSettings

__all__ = ["Connect", "Connected", "DispatchSettings", "Dispatcher", "Store"]
