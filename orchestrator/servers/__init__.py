"""Real servers on this machine, started by the program itself and never left behind."""

from orchestrator.servers.guarded import Guarded
from orchestrator.servers.keeper import Keeper
from orchestrator.servers.local_redis import LocalRedis
from orchestrator.servers.local_triton import LocalTriton

__all__ = ["Guarded", "Keeper", "LocalRedis", "LocalTriton"]
