"""Dispatch: feature packets in, outcomes out. A frame's life is in :mod:`orchestrator.dispatch.frame_path`."""

from orchestrator.dispatch.dispatcher import Dispatcher
from orchestrator.dispatch.lane import Connect, Connected
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.store import Store

__all__ = ["Connect", "Connected", "DispatchSettings", "Dispatcher", "Store"]
